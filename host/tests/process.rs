//! Tests of the program as a process: its streams, its exit codes, and the signals that stop it.

#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Child;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Returns the program with a command line.
fn synod(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    #[cfg(unix)]
    command.arg0("synod");
    command.args(line.split_whitespace());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn finished(line: &str) -> Output {
    synod(line).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

fn digest_of(output: &Output) -> &str {
    let last = text(&output.stdout).lines().last().unwrap();
    let digest = last
        .strip_prefix("digest=")
        .or_else(|| last.split_once(r#""digest":""#)?.1.strip_suffix(r#""}"#))
        .unwrap();
    assert_eq!(digest.len(), 16, "{last}");
    digest
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, second) = (finished("6"), finished("run 6"));
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(first.stdout, second.stdout);
    assert!(first.stderr.is_empty(), "{}", text(&first.stderr));
    let log = text(&first.stdout);
    assert!(
        log.contains("\noutcome     done\n") && log.contains("\ncommand     synod 6\n"),
        "{log}"
    );
}

#[test]
fn output_options_do_not_change_the_run() {
    let plain = finished("6 --nodes 3");
    for show in [
        "--quiet",
        "--format json",
        "--format json --quiet",
        "--color always",
        "--log-level trace --role scout --node 1 --slot 3",
    ] {
        let other = finished(&format!("6 --nodes 3 {show}"));
        assert_eq!(digest_of(&other), digest_of(&plain), "{show}");
    }
    assert_ne!(digest_of(&finished("7 --nodes 3 -q")), digest_of(&plain));
}

#[test]
fn a_pipe_gets_no_colours_unless_requested() {
    assert!(!finished("6 --nodes 1").stdout.contains(&0x1b));
    assert!(
        finished("6 --nodes 1 --color always")
            .stdout
            .contains(&0x1b)
    );
}

#[test]
fn a_drawn_seed_is_printed_first_and_repeats_the_run() {
    let drawn = finished("--nodes 3 --quiet");
    let seed = text(&drawn.stderr)
        .trim_end()
        .strip_prefix("synod: the seed is ")
        .unwrap();
    let again = finished(&format!("{seed} --nodes 3 --quiet"));
    assert_eq!(again.stdout, drawn.stdout);
}

#[test]
fn an_invalid_command_line_gets_one_line_and_exit_code_2() {
    for line in [
        "--bogus",
        "--nodes 0",
        "--nodes 1000",
        "--loss 200%",
        "--kill 99@1s",
        "six",
        "6 --jitter 1h --delay 2h",
    ] {
        let output = finished(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        let error = text(&output.stderr);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("synod: "), "{error}");
    }
}

#[test]
fn a_run_that_cannot_finish_is_stalled_with_a_reason() {
    let output = finished("6 --nodes 3 --loss 100% --until 5s --quiet");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).starts_with("outcome     stalled: "));
}

#[test]
fn a_second_run_is_compared_with_the_first() {
    let output = finished("6 --nodes 3 --quiet --verify");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("\nverified    two runs, one trace\n"));
}

#[test]
fn every_line_of_json_is_one_object() {
    let output = finished("6 --nodes 3 --format json --log-level trace");
    let log = text(&output.stdout);
    assert!(log.lines().count() > 100);
    for line in log.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
    let last = log.lines().last().unwrap();
    assert!(
        last.starts_with(r#"{"event":"summary","outcome":"done","run_seed":6,"#),
        "{last}"
    );
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let mut child = synod("6 --requests 1_000_000 --until 1000h")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.starts_with("NODE_"), "{first}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn help_and_version_are_printed() {
    let help = finished("--help");
    assert_eq!(help.status.code(), Some(0));
    for part in ["How to read a log line", "Examples", "Exit codes", "--kill"] {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
    assert!(
        finished("-h").stdout.len() < help.stdout.len(),
        "the short help is shorter"
    );
    assert!(text(&finished("--version").stdout).starts_with("synod "));
}

#[test]
fn a_full_disk_is_an_error_of_one_line() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("there is no /dev/full here: nothing was tried");
        return;
    };
    let output = synod("6").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).lines().count(), 1);
    assert!(text(&output.stderr).starts_with("synod: cannot write to the standard output: "));
}

#[test]
fn a_small_world_is_explored_completely() {
    let output = finished("check --nodes 2 --claimants 2 --crashes 1");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    assert!(
        report.starts_with(
            "outcome     done: every state was visited, and no invariant is violated\n"
        ),
        "{report}"
    );
    assert!(
        report.contains("\ncommand     synod check --nodes 2 --claimants 2 --crashes 1\n"),
        "{report}"
    );
    let (first, second) = (finished("check --walks 20"), finished("check --walks 20"));
    let but_the_time = |output: &Output| {
        let lines = text(&output.stdout).lines();
        let kept = lines.filter(|line| !line.starts_with("time "));
        kept.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(but_the_time(&first), but_the_time(&second));
}

#[test]
fn a_check_prints_json_and_refuses_invalid_options() {
    let output = finished("check --nodes 2 --format json");
    let report = text(&output.stdout);
    assert_eq!(report.lines().count(), 1, "{report}");
    let start = r#"{"event":"check","outcome":"done","reason":"every state was visited, and no invariant is violated","exhausted":true,"states":"#;
    assert!(report.starts_with(start), "{report}");
    for line in ["check 6", "check --nodes 9", "check --seed 6"] {
        let output = finished(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{line}");
    }
    let help = finished("check --help");
    for part in [
        "Violations that are detected",
        "Examples",
        "Exit codes",
        "--crashes",
    ] {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
    let mut closed = synod("check --nodes 2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(closed.stdout.take());
    let output = closed.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

/// Returns a scenario in which no request can be answered in time.
fn hopeless() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hopeless.toml");
        fs::write(&path, "nodes = 3\nuntil = \"300ms\"\n").unwrap();
        path
    })
}

#[test]
fn a_successful_sweep_reports_its_coverage() {
    let output = finished("sweep --seeds 0..20");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let account = text(&output.stdout);
    for line in [
        "outcome     done\n",
        "\ncommand     synod sweep --seeds 0..20 --faults all\nruns        20\n",
        "\nfaults that struck              runs       times    due from\n",
    ] {
        assert!(account.contains(line), "{account}");
    }
    for show in ["--quiet --jobs 1", "--jobs 3 --format json", "--verify"] {
        let other = finished(&format!("sweep --seeds 0..20 {show}"));
        assert_eq!(digest_of(&other), digest_of(&output), "{show}");
    }
}

#[test]
fn the_command_of_a_failure_repeats_it() {
    let path = hopeless().to_str().unwrap();
    let output = finished(&format!(
        "sweep --scenario {path} --format json --seeds 3.."
    ));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let output = finished(&format!("sweep --scenario {path} --seeds 3..90"));
    assert_eq!(output.status.code(), Some(3));
    let account = text(&output.stdout);
    assert!(account.starts_with("seed 3 stalled: "), "{account}");
    let after = |label: &str| {
        let (_, rest) = account.split_once(label).unwrap();
        rest.lines().next().unwrap().trim()
    };
    let command = after("repeat it with: synod ");
    let again = finished(command);
    assert_eq!(again.status.code(), Some(3));
    assert_eq!(digest_of(&again), after("\n  digest "));
    let summary = format!("\ncommand     synod {command}\n");
    assert!(text(&again.stdout).contains(&summary));
}

#[test]
fn a_seed_of_a_sweep_can_be_run_alone_and_with_its_log() {
    let alone = finished("run 17 --faults all --quiet");
    assert_eq!(alone.status.code(), Some(0));
    let summary = text(&alone.stdout);
    assert!(summary.contains("\ncommand     synod run 17 --faults all\n"));
    let logged = finished("17 --faults all");
    assert!(text(&logged.stdout).contains("NODE_0.Scout"));
    assert_eq!(digest_of(&logged), digest_of(&alone));
}

#[test]
fn a_sweep_without_expected_faults_is_vacuous() {
    let output = finished("sweep --seeds 1..2 --faults pause");
    assert_eq!(output.status.code(), Some(5));
    let account = text(&output.stdout);
    assert!(
        account.starts_with("outcome     vacuous: never seen: pause\n"),
        "{account}"
    );
}

#[test]
fn a_sweep_prints_junit_xml() {
    let path = hopeless().to_str().unwrap();
    let output = finished(&format!(
        "sweep --scenario {path} --seeds 0..3 --keep-going --format junit"
    ));
    assert_eq!(output.status.code(), Some(3));
    let account = text(&output.stdout);
    assert!(account.starts_with("<?xml "), "{account}");
    assert_eq!(account.matches("<failure type=\"stalled\"").count(), 3);
}

#[test]
fn an_invalid_sweep_gets_one_line_and_exit_code_2() {
    for line in [
        "sweep --seeds 7",
        "sweep --faults fire",
        "sweep --scenario nowhere.toml",
    ] {
        let output = finished(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{line}");
    }
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    send("INT", child);
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let kill = format!("kill -{signal} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_reports_the_runs_so_far() {
    let mut child = synod("sweep --for 1000h --jobs 2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    // The program prints this once it handles interrupts.
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("synod: the first seed is "), "{line}");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let account = text(&output.stdout);
    assert!(
        account.starts_with("outcome     interrupted\n"),
        "{account}"
    );
    assert!(
        account.contains("; a signal ended the sweep\n"),
        "{account}"
    );
    assert_eq!(digest_of(&output).len(), 16);
}

/// Every signal that requests a process to stop, and its exit code.
#[cfg(unix)]
const SIGNALS: [(&str, i32); 3] = [("INT", 130), ("TERM", 143), ("HUP", 129)];

#[cfg(unix)]
#[test]
fn every_signal_that_stops_a_sweep_gives_a_report() {
    for (signal, code) in SIGNALS {
        let mut child = synod("sweep --for 1000h --jobs 1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        errors.read_line(&mut String::new()).unwrap();
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{signal}");
        let account = text(&output.stdout);
        assert!(
            account.starts_with("outcome     interrupted\n"),
            "{account}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_run_prints_its_summary() {
    for (signal, code) in SIGNALS {
        for form in ["text", "json"] {
            let line = format!("6 --requests 1_000_000 --until 1000h --format {form}");
            let mut child = synod(&line).stdout(Stdio::piped()).spawn().unwrap();
            let mut log = BufReader::new(child.stdout.take().unwrap());
            // The program handles signals once it has a log.
            log.read_line(&mut String::new()).unwrap();
            send(signal, &child);
            let mut rest = String::new();
            log.read_to_string(&mut rest).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
            let said = match form {
                "text" => "\noutcome     interrupted: it was stopped from outside\nseed        6\n",
                _ => {
                    r#"{"event":"summary","outcome":"interrupted","reason":"it was stopped from outside","#
                }
            };
            assert!(rest.contains(said), "{signal} {form}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_check_prints_its_report() {
    let mut child = synod(
        "check --claimants 2 --crashes 2 --requests 2 --time 10h --states 18446744073709551615",
    )
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    // Nothing tells when the program handles signals, and earlier ones end it.
    wait_until_signals_are_handled(&child);
    send("TERM", &child);
    let mut report = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut report)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(
        report.starts_with(
            "outcome     interrupted: the exploration is incomplete, and no invariant is violated\n"
        ),
        "{report}"
    );
}

/// Waits until the system reports that the process catches SIGTERM.
#[cfg(unix)]
fn wait_until_signals_are_handled(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let catches = |status: String| {
        let bits = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let bits = bits.map(|bits| u64::from_str_radix(bits.trim(), 16).unwrap());
        bits.is_some_and(|bits| bits >> 14 & 1 == 1)
    };
    while !catches(fs::read_to_string(&status).unwrap()) {
        std::thread::yield_now();
    }
}

#[cfg(unix)]
#[test]
fn an_ignored_hangup_stays_ignored() {
    let line = "trap '' HUP; exec \"$@\"";
    let sweep = synod("sweep --for 1000h --jobs 1");
    let mut child = Command::new("sh")
        .args(["-c", line, "sh"])
        .arg(sweep.get_program())
        .args(sweep.get_args())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    errors.read_line(&mut String::new()).unwrap();
    send("HUP", &child);
    send("TERM", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(143),
        "as if there had been no hangup"
    );
}

#[cfg(unix)]
#[test]
fn printed_commands_can_be_pasted_under_any_name_of_the_program() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it's a folder");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_synod"), folder.join("my synod")).unwrap();
    fs::write(folder.join("a b.toml"), "nodes = 3\n").unwrap();
    for options in [
        &["6", "--nodes", "3", "--quiet", "--data", "my $dir"][..],
        &["6", "--nodes", "3", "--quiet", "--data=-d"],
        &["--scenario", "a b.toml", "--quiet"],
    ] {
        let run = |command: &mut Command| command.current_dir(&folder).output().unwrap();
        let first = run(Command::new("./my synod").args(options));
        assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
        let (_, rest) = text(&first.stdout).split_once("\ncommand     ").unwrap();
        let line = rest.lines().next().unwrap();
        assert!(line.starts_with("'./my synod' "), "{line}");
        let again = run(Command::new("sh").args(["-c", &format!("{line} --quiet")]));
        assert_eq!(
            again.status.code(),
            Some(0),
            "{line}: {}",
            text(&again.stderr)
        );
        assert!(text(&again.stdout).contains(line), "{line}");
    }
    let output = Command::new("./my synod")
        .current_dir(&folder)
        .arg("--bogus")
        .output()
        .unwrap();
    assert!(
        text(&output.stderr).contains("(see: './my synod' --help)"),
        "{}",
        text(&output.stderr)
    );
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_a_sweep_at_once() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endless.toml");
    fs::write(
        &path,
        "requests = 4_000_000\nuntil = \"100000h\"\nevents = 9_000_000_000\n",
    )
    .unwrap();
    let mut child = synod(&format!(
        "sweep --for 1000h --jobs 1 --scenario {}",
        path.display()
    ))
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    for begins in [
        "synod: the first seed is ",
        "synod: finishing the runs in progress; ",
    ] {
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        assert!(line.starts_with(begins), "{line}");
        interrupt(&child);
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty());
}

/// Returns the path of a temporary file.
fn scratch(name: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_recorded_run_can_be_replayed() {
    let path = scratch("recorded.toml");
    let first = finished(&format!("run 17 --faults all --quiet --record {path}"));
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let again = finished(&format!("replay {path} --quiet"));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(again.stderr.is_empty());
    let requests = |output: &Output| {
        let lines = text(&output.stdout).lines();
        let found = lines.filter(|line| line.starts_with("requests"));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(requests(&first), requests(&again));
    assert!(text(&again.stdout).contains(&format!("synod replay {path}\n")));
}

#[test]
fn a_replay_with_another_outcome_is_reported() {
    let path = scratch("altered.toml");
    let recorded = finished(&format!("run 18 --faults loss --quiet --record {path}"));
    assert_eq!(recorded.status.code(), Some(0));
    let file = fs::read_to_string(&path).unwrap();
    let (before, _) = file.split_once("digest = \"").unwrap();
    let (_, after) = file[before.len() + 10..].split_once('"').unwrap();
    fs::write(
        &path,
        format!("{before}digest = \"0000000000000000\"{after}"),
    )
    .unwrap();
    let again = finished(&format!("replay {path} --quiet"));
    assert_eq!(again.status.code(), Some(4));
    assert!(text(&again.stderr).starts_with("synod: this run was recorded as done"));
    assert_eq!(text(&again.stderr).lines().count(), 1);
}

#[test]
fn a_failure_shrinks_to_an_explanation_whose_command_fails_again() {
    let (path, least) = (hopeless().to_str().unwrap(), scratch("least.toml"));
    let shrunk = finished(&format!("shrink {path} --tries 300 --output {least}"));
    assert_eq!(shrunk.status.code(), Some(0), "{}", text(&shrunk.stderr));
    let told = text(&shrunk.stdout);
    assert!(told.lines().count() < 60, "{told}");
    let command = told.lines().last().unwrap();
    assert_eq!(command, format!("synod replay {least}"));
    let again = finished(&format!("replay {least} --quiet"));
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
}

#[test]
fn an_unwritable_path_is_refused_before_the_run() {
    let (path, folder) = (scratch("there.toml"), scratch("no-such-folder"));
    fs::write(&path, "nodes = 3\n").unwrap();
    for line in [
        // Without the check, this run would take forever.
        format!("run --scenario {} --record {folder}/x.toml", endless()),
        format!(
            "run --scenario {} --record {}",
            endless(),
            env!("CARGO_TARGET_TMPDIR")
        ),
        format!("shrink {} --output {folder}/x.toml", endless()),
    ] {
        let output = finished(&line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        assert_eq!(
            text(&output.stderr).lines().count(),
            1,
            "{line}: {}",
            text(&output.stderr)
        );
    }
    // A refused run does not change an existing file and leaves no new one.
    let new = scratch("not-there.toml");
    let _ = fs::remove_file(&new);
    for record in [&path, &new] {
        let line = format!("run 6 --faults all --node 99 --record {record}");
        assert_eq!(finished(&line).status.code(), Some(2));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "nodes = 3\n");
    assert!(!Path::new(&new).exists());
}

/// Returns a scenario that never ends.
fn endless() -> String {
    let path = scratch("endless-run.toml");
    fs::write(
        &path,
        "requests = 4_000_000\nuntil = \"100000h\"\nevents = 9_000_000_000\n",
    )
    .unwrap();
    path
}

#[test]
fn a_scenario_can_come_from_the_standard_input() {
    let with = |line: &str, scenario: &str| {
        let mut child = synod(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(scenario.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let path = scratch("from-a-file.toml");
    let scenario = "nodes = 3\nseed = 4\n";
    fs::write(&path, scenario).unwrap();
    for rest in ["--quiet", "7 --quiet"] {
        let piped = with(&format!("run --scenario - {rest}"), scenario);
        let read = finished(&format!("run --scenario {path} {rest}"));
        assert_eq!(piped.status.code(), Some(0), "{}", text(&piped.stderr));
        assert_eq!(digest_of(&piped), digest_of(&read));
        assert!(text(&piped.stdout).contains(" --scenario -\n"));
    }
    let swept = with("sweep --scenario - --seeds 0..3 --quiet", scenario);
    assert_eq!(swept.status.code(), Some(0), "{}", text(&swept.stderr));
    let bad = with("run --scenario -", "\nnodes = 99\n");
    assert_eq!(
        text(&bad.stderr),
        "synod: the standard input: line 2: nodes is '99', but takes a whole number from 1 to 64\n"
    );
    let nameless = with("shrink -", "");
    assert_eq!(
        text(&nameless.stderr),
        "synod: FILE - needs --output, as it has no name\n"
    );
}

#[test]
fn an_invalid_scenario_is_reported_with_its_line() {
    let path = scratch("nonsense.toml");
    for (scenario, says) in [
        (
            "nodes = 3\n[[fault]]\nkind = \"crash\"\nnode = 9\nat = \"1s\"\n",
            "line 4: node is '9', but takes a node from 0 to 2",
        ),
        (
            "until = \"10s\"\n[[fault]]\nkind = \"crash\"\nnode = 1\nat = \"11s\"\n",
            "line 5: at is '11s', but takes a time before until (10s)",
        ),
        (
            "[link]\ndelay = \"876000h\"\n",
            "line 2: delay is '3153600000s', but takes at most 24h",
        ),
        (
            "clients = 65\n",
            "line 1: clients is '65', but takes a whole number from 0 to 64",
        ),
    ] {
        fs::write(&path, scenario).unwrap();
        for command in ["run --scenario", "sweep --scenario", "replay", "shrink"] {
            let output = finished(&format!("{command} {path}"));
            assert_eq!(output.status.code(), Some(2), "{command}: {scenario}");
            let error = text(&output.stderr);
            assert!(
                error.starts_with(&format!("synod: {path}: {says}")),
                "{command}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}

#[test]
fn errors_of_recording_and_shrinking_are_one_line() {
    let path = scratch("sound.toml");
    fs::write(&path, "nodes = 3\n").unwrap();
    for (line, code) in [
        ("6 --record here.toml".to_owned(), 2),
        ("replay nowhere.toml".to_owned(), 2),
        ("shrink nowhere.toml".to_owned(), 2),
        (format!("shrink {path}"), 3),
    ] {
        let output = finished(&line);
        assert_eq!(output.status.code(), Some(code), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{line}");
    }
}

/// Conventions of terminals: <https://no-color.org>, <https://bixense.com/clicolors>.
#[test]
fn environment_variables_decide_about_colours_unless_an_option_does() {
    let is_coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = synod("6 --nodes 1 --clients 1 --requests 1");
        command.args(arguments).envs(variables.iter().copied());
        command.output().unwrap().stdout.contains(&0x1b)
    };
    for (variables, on) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        // Regardless of its value, as the convention says.
        (&[("CLICOLOR_FORCE", "0")], true),
        (&[("CLICOLOR", "1")], false),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
        (&[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")], true),
        (&[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], true),
    ] {
        assert_eq!(is_coloured(&[], variables), on, "{variables:?}");
        assert!(is_coloured(&["--color", "always"], variables));
        assert!(!is_coloured(&["--color", "never"], variables));
    }
}
