//! A bare-metal image of the simulation with the digest of all its events, by which replays are compared.
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
