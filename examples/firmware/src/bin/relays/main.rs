//! A node of a cluster of boards, which replicates sixteen relays, a state machine of one's own.
//!
//! Its words are `NODE SIZE SEED FLASH [new] [power=COUNT]`: the module `start` of the library says what they are. Alone, a
//! cluster of one:
//!
//! ```sh
//! cargo run -p example-firmware --profile firmware --target thumbv6m-none-eabi --bin relays -- 0 1 6 flash.bin new
//! ```
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

#[cfg(not(target_os = "none"))]
fn main() {}
