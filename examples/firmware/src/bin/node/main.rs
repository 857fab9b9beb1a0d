//! A node of a cluster of boards that replicates eight keys and their values.
//!
//! Its arguments are `NODE SIZE SEED FLASH [new] [joins=NODE] [power=COUNT]`, as described in the module `boot` of the
//! library. A cluster of one:
//!
//! ```sh
//! cargo run -p example-firmware --profile firmware --target thumbv6m-none-eabi --bin node -- 0 1 6 flash.bin new
//! ```
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

#[cfg(not(target_os = "none"))]
fn main() {}
