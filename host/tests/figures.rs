//! What the documents show of the command line is what it prints.

use std::process::Command;
use synod_figures::{assert_shown, sweep};

#[test]
fn the_account_of_a_sweep_is_the_one_that_is_printed() {
    let output = Command::new(env!("CARGO_BIN_EXE_synod"))
        .args(["sweep"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_shown("sweep", &sweep(&String::from_utf8(output.stdout).unwrap()));
}
