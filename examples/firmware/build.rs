//! Link settings of the programs for a board, which follows from the target.

use core::error::Error;
use std::env;

use std::fs;
use std::path::PathBuf;

/// The stack of each program on each board, in bytes of RAM; the rest is for statics.
const STACKS: [(&str, [(&str, u32); 3]); 5] = [
    (
        "simulate",
        [
            ("microbit", 4480),
            ("lm3s6965evb", 12 << 10),
            ("mps2-an386", 64 << 10),
        ],
    ),
    ("node", MEMBER),
    ("relays", MEMBER),
    ("decide", WORK),
    ("sizes", WORK),
];

/// A node takes the same stack on every board, as it lives there itself. Most of it is needed only briefly, to
/// restore the node from flash.
const MEMBER: [(&str, u32); 3] = [
    ("microbit", 11_520),
    ("lm3s6965evb", 11_520),
    ("mps2-an386", 11_520),
];

/// Programs that decide commands, or do nothing.
const WORK: [(&str, u32); 3] = [
    ("microbit", 6720),
    ("lm3s6965evb", 16 << 10),
    ("mps2-an386", 256 << 10),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory");
    println!(
        "cargo:rustc-check-cfg=cfg(board, values(\"microbit\", \"lm3s6965evb\", \"mps2-an386\"))"
    );
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        // The programs of a host are empty.
        return Ok(());
    }
    let target = env::var("TARGET")?;
    let board = match target.as_str() {
        "thumbv6m-none-eabi" => "microbit",
        "thumbv7m-none-eabi" => "lm3s6965evb",
        "thumbv7em-none-eabihf" => "mps2-an386",
        _ => return Err(format!("there is no board for {target}").into()),
    };
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy(format!("memory/{board}.x"), out.join("memory.x"))?;
    println!("cargo:rustc-cfg=board=\"{board}\"");
    println!("cargo:rustc-link-search={}", out.display());
    // Not in `rustflags`: the environment could override those, and they would apply to every crate.
    for argument in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    for (program, stacks) in STACKS {
        let stack = stacks
            .iter()
            .find(|stack| stack.0 == board)
            .map_or(0, |stack| stack.1);
        println!("cargo:rustc-link-arg-bin={program}=--defsym=_stack_size={stack}");
    }
    Ok(())
}
