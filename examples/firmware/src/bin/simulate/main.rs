//! The deterministic simulation on a board, which gives the digests of the host: `cargo run -p example-firmware
//! --profile firmware --target thumbv6m-none-eabi --bin simulate -- small 6`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

#[cfg(not(target_os = "none"))]
fn main() {}
