//! The simulation in WebAssembly, whose digests must be those of the host.

use crate::host_digests::{digests, seeds};
use example_firmware::clusters::{Cluster, Medium, Small, Whole};
use std::path::Path;
use std::process::Command;
use synod::simulation::Verdict;
use synod_boards::image::{build, root};

/// Asserts that the script prints the host's digest for each seed.
fn assert_same_digests<C: Cluster>(module: &Path, cluster: &str) {
    let output = Command::new("node")
        .arg(root().join("examples/wasm/digest.mjs"))
        .arg(module)
        .args([cluster, &seeds()])
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("node did not start ({error}): apt-get install -y nodejs");
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let printed = String::from_utf8_lossy(&output.stdout);
    let expected = digests::<C>().into_iter();
    let expected = expected.map(|(seed, outcome, digest)| {
        assert_eq!(outcome, Verdict::Done, "seed {seed}");
        format!("seed={seed} digest={digest}")
    });
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
}

#[test]
#[cfg_attr(
    no_node,
    ignore = "apt-get install nodejs; rustup target add wasm32-unknown-unknown"
)]
fn digests_agree_in_webassembly() {
    let built = build("example-wasm", "wasm32-unknown-unknown");
    let module = built.unwrap_or_else(|error| panic!("{error}"));
    let module = module.join("example_wasm.wasm");
    assert_same_digests::<Small>(&module, "small");
    assert_same_digests::<Medium>(&module, "medium");
    assert_same_digests::<Whole>(&module, "whole");
}
