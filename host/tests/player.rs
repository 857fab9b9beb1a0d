//! Pages that the program writes with `--html`.

#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A scenario with too little time.
const HOPELESS: &str = "nodes = 3\nuntil = \"300ms\"\n";

/// Executes the program in a folder.
fn synod(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    command.current_dir(folder).args(line.split_whitespace());
    command.output().unwrap()
}

/// Returns an empty folder of a test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Asserts that the command has written a page, and said so.
fn assert_page(folder: &Path, output: &Output, code: i32) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(
        said.contains("synod: the run can be seen in run.html\n"),
        "{said}"
    );
    let page = fs::read_to_string(folder.join("run.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    fs::remove_file(folder.join("run.html")).unwrap();
}

#[test]
fn a_run_is_the_same_with_a_page_and_without() {
    let folder = folder("page-of-a-run");
    let plain = synod(&folder, "6 --nodes 3");
    let shown = synod(&folder, "6 --nodes 3 --html run.html");
    assert_eq!(plain.stdout, shown.stdout);
    assert_page(&folder, &shown, 0);
    let again = synod(&folder, "6 --nodes 3 --verify --quiet --html run.html");
    assert_page(&folder, &again, 0);
    // With all faults and on disks, and on files.
    let faults = synod(&folder, "run 17 --faults all --quiet --html run.html");
    assert_page(&folder, &faults, 0);
    let stored = synod(&folder, "6 --nodes 3 --data nodes --quiet --html run.html");
    assert_page(&folder, &stored, 0);
}

#[test]
fn replays_counterexamples_and_failures_of_sweeps_have_pages() {
    let folder = folder("pages-of-failures");
    fs::write(folder.join("hopeless.toml"), HOPELESS).unwrap();
    let shrunk = "shrink hopeless.toml --tries 20 --output least.toml --html run.html";
    assert_page(&folder, &synod(&folder, shrunk), 0);
    let replayed = synod(&folder, "replay least.toml --quiet --html run.html");
    assert_page(&folder, &replayed, 3);
    let swept = "sweep --scenario hopeless.toml --seeds 3..6 --quiet --html run.html";
    assert_page(&folder, &synod(&folder, swept), 3);
    // A sweep in which nothing fails has nothing to show.
    let sound = synod(
        &folder,
        "sweep --seeds 0..2 --faults none --quiet --html run.html",
    );
    assert_eq!(sound.status.code(), Some(0));
    assert!(!folder.join("run.html").exists());
}

#[test]
fn a_page_that_cannot_be_written_is_noticed_before_the_run() {
    let folder = folder("no-page");
    for line in [
        "6 --html no/run.html",
        "sweep --seeds 0..2 --html no/run.html",
    ] {
        let output = synod(&folder, line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.starts_with("synod: nothing was run: no/run.html"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
