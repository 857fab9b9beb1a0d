//! The same simulation with the digest of everything that happens in it: what its replay is compared by.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

use core::hint::black_box;
use synod::Digest;

fn program() {
    let mut digest = Digest::new();
    example_bare::simulate(&mut digest);
    black_box(digest.value());
}

example_bare::entry!(program);
