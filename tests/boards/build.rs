//! Detects the tools that the tests need. The tests of a missing tool are shown as ignored, with the command that
//! installs it; with `CI` in the environment they run, and fail.

use std::env;
use std::path::Path;
use std::process::Command;

const BOARDS: [&str; 3] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-env-changed=CI");
    let qemu = is_on_path("qemu-system-arm") && BOARDS.iter().all(|target| has_target(target));
    tell("no_qemu", qemu);
    let node = is_on_path("node") && has_target("wasm32-unknown-unknown");
    tell("no_node", node);
}

/// Sets the condition under which the tests of a missing tool are ignored.
fn tell(missing: &str, is_there: bool) {
    println!("cargo:rustc-check-cfg=cfg({missing})");
    if !is_there {
        // A file that does not exist makes cargo run this again, so that a tool installed later is found.
        println!("cargo:rerun-if-changed=not-there");
        if env::var_os("CI").is_none() {
            println!("cargo:rustc-cfg={missing}");
        }
    }
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// True if the compiler has the library of a target.
fn has_target(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
