//! A bare-metal image of a simulated cluster of three nodes and its clients, without logs.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

fn program() {
    example_bare::simulate(&mut ());
}

example_bare::entry!(program);
