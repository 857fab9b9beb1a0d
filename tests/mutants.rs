//! The test that runs the museum of mutants. Mutants exist only under a feature of the core, and cargo turns a
//! feature on for everything that it builds together; so the museum is built and run by a cargo of its own, and all
//! other tests use a core without mutants.

use std::path::Path;
use std::process::Command;

#[test]
fn every_mutant_is_caught() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["test", "--quiet", "--package", "synod-tests"])
        .args(["--features", "mutants", "--test", "museum"])
        .current_dir(root);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(
        stdout.contains("8 passed"),
        "not all tests of the museum ran: {stdout}"
    );
}
