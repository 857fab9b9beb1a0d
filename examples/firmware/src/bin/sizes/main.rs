//! The sizes of the parts of a node on a board, as a table in the image. `cargo budget memory` reads it; the program
//! is not run.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;

#[cfg(not(target_os = "none"))]
fn main() {}
