//! Detects what the tests need. Where it is missing they are shown as ignored, with the command that installs it; with `CI`
//! in the environment they run, and fail.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-env-changed=CI");
    println!("cargo:rustc-check-cfg=cfg(no_browser)");
    let has_driver = Path::new("node_modules/playwright-core").is_dir();
    if !(is_on_path("chromium") && is_on_path("node") && has_driver) {
        // A file that does not exist makes cargo run this again, so that what is installed later is found.
        println!("cargo:rerun-if-changed=not-there");
        if env::var_os("CI").is_none() {
            println!("cargo:rustc-cfg=no_browser");
        }
    }
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
