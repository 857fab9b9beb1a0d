//! Figures of the documents, compared with the output of the command line.

use std::process::Command;
use synod_figures::{assert_shown, sweep};

#[test]
fn the_sweep_report_in_the_documents_is_the_one_that_is_printed() {
    let output = Command::new(env!("CARGO_BIN_EXE_synod"))
        .args(["sweep"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_shown("sweep", &sweep(&String::from_utf8(output.stdout).unwrap()));
}
