//! Tests of `cargo boards`, which reads its commands from a pipe.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs the command with an input.
fn boards(options: &[&str], script: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_boards"))
        .args(options)
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // The process may end before it has read everything.
    let _ = input.write_all(script.as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

/// Returns each command line with its result, without the logs of the boards.
fn transcript(output: &Output) -> Vec<(String, String)> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut transcript: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("NODE_")) {
        match (line.strip_prefix("> "), transcript.last_mut()) {
            (Some(command), _) => transcript.push((command.to_owned(), String::new())),
            (None, Some((_, said))) => {
                said.push_str(line);
                said.push('\n');
            }
            (None, None) => {}
        }
    }
    transcript
}

fn said<'a>(transcript: &'a [(String, String)], command: &str) -> Vec<&'a str> {
    let of = transcript.iter().filter(|(line, _)| line == command);
    of.map(|(_, said)| said.as_str()).collect()
}

/// Returns a folder for a test, which does not exist yet.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn boards_agree_after_a_script_of_crashes_cuts_and_lost_flash() {
    let script = "\
        # A board is killed, and what it missed it learns.
        set speed 7
        get heat
        kill 0
        kill 0
        set speed 8
        start 0
        noise on
        set speed 9
        noise off
        # Two cuts leave no quorum to board 1; the client still has an answer.
        cut 1
        set speed 10
        heal
        heal
        kill 2
        wipe 2
        start 2
        set speed 11
        get speed
        agree
        status
        quit
        set speed 12\n";
    let output = boards(&[], script);
    let transcript = transcript(&output);
    let one = |command: &str| said(&transcript, command)[0];
    assert!(one("set speed 7").starts_with("speed is 7, by slot "));
    assert!(one("get heat").starts_with("heat has no value, by slot "));
    let kills = said(&transcript, "kill 0");
    assert_eq!(kills, ["board 0 is off\n", "not done: board 0 is off\n"]);
    assert_eq!(one("start 0"), "board 0 is on\n");
    assert!(one("noise off").starts_with("the line is clear; "));
    assert_eq!(one("cut 1"), "board 1 is cut off from 0 and 2\n");
    assert!(one("set speed 10").starts_with("speed is 10, "));
    let heals = said(&transcript, "heal");
    assert_eq!(heals, ["2 lines are restored\n", "no line was cut\n"]);
    assert!(one("get speed").starts_with("speed is 11, by slot "));
    assert!(one("agree").starts_with("3 boards have applied the same log up to slot "));
    let status: Vec<&str> = one("status").lines().collect();
    let [first, second, third] = status[..] else {
        panic!("{status:?}");
    };
    assert!(first.starts_with("board 0: "), "{first}");
    assert!(second.starts_with("board 1: "), "{second}");
    assert!(third.starts_with("board 2: learning, "), "{third}");
    assert!(said(&transcript, "set speed 12").is_empty(), "it had ended");
    assert_eq!(
        one("quit"),
        "all boards are switched off\n20 done, 1 not done\n"
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("NODE_0 microbit    | info  begins as NODE_0"));
    assert!(text.contains("NODE_0 microbit    | info  goes on as NODE_0"));
    assert!(text.contains("| warn  only learns: NODE_2"));
    assert!(!text.contains('\x1b'), "a pipe has no colours");
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn boards_without_a_quorum_answer_nothing_and_resume_from_their_flash() {
    let flash = folder("by-hand-flash");
    let flash = flash.to_str().unwrap();
    let options = ["--flash", flash, "--color", "always", "--patience", "2"];
    let first = boards(&options, "set speed 7\nkill 1\nkill 2\nset speed 8\n");
    let text = String::from_utf8(first.stdout).unwrap();
    assert!(text.contains("not done: no answer within 2 s"), "{text}");
    assert!(text.contains("\x1b[38;5;28mNODE_0"), "{text}");
    assert_eq!(first.status.code(), Some(1));

    let options = ["--flash", flash];
    let second = boards(&options, "get speed\ndance\nget speed\n");
    let transcript = transcript(&second);
    assert_eq!(transcript.len(), 1, "nothing after what is no command");
    // The withdrawn command may have been applied.
    let [speed] = said(&transcript, "get speed")[..] else {
        panic!("{transcript:?}");
    };
    assert!(speed.starts_with("speed is 7") || speed.starts_with("speed is 8"));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(
        error.contains("dance: there is no command dance"),
        "{error}"
    );
    assert_eq!(second.status.code(), Some(2));
    let text = String::from_utf8(second.stdout).unwrap();
    assert_eq!(text.matches("goes on as NODE_").count(), 3, "{text}");
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_board_is_replaced_by_hand_and_its_number_is_not_used_again() {
    let flash = folder("by-hand-replaced");
    let flash = flash.to_str().unwrap();
    let script = "\
        set speed 7
        kill 2
        wipe 2
        replace 2
        # One more is lost: board 3 has the vote that decides.
        kill 0
        set speed 8
        members 1 2 3
        members 1 9
        replace 2
        replace 9\n";
    let first = boards(&["--flash", flash], script);
    let spoken = transcript(&first);
    let one = |command: &str| said(&spoken, command)[0];
    let replaced = "board 3 votes in the place of board 2: the members are 0, 1 and 3\n";
    let again = "not done: board 2 is no member: the members are 0, 1 and 3\n";
    assert_eq!(said(&spoken, "replace 2"), [replaced, again]);
    assert!(one("set speed 8").starts_with("speed is 8, by slot "));
    let removed = "not done: the members were not changed: NODE_2 was removed before";
    assert!(one("members 1 2 3").starts_with(removed));
    assert!(one("members 1 9").contains("NODE_9 is far behind, or the leader has not heard of it"));
    assert!(one("replace 9").starts_with("not done: there is no board 9\n"));
    assert_eq!(first.status.code(), Some(1));
    let text = String::from_utf8(first.stdout).unwrap();
    assert!(text.contains("NODE_3 microbit    | info  begins as NODE_3"));
    assert!(text.contains("| warn  the members were not changed: removed"));

    // Whoever was on before is not new, also if its flash was erased.
    let script = "get speed\nagree\nstatus\nmembers 0 1\nget speed\n";
    let second = boards(&["--flash", flash], script);
    let spoken = transcript(&second);
    let one = |command: &str| said(&spoken, command)[0];
    assert!(one("get speed").starts_with("speed is 8, by slot "));
    assert!(one("agree").starts_with("4 boards have applied the same log up to slot "));
    let status: Vec<&str> = one("status").lines().collect();
    assert_eq!(status.len(), 4, "{status:?}");
    assert!(status[2].starts_with("board 2: retired, "), "{status:?}");
    assert!(
        status
            .iter()
            .all(|line| line.ends_with(", epoch 1, members 0, 1 and 3")),
        "{status:?}"
    );
    assert_eq!(
        one("members 0 1"),
        "the members are 0 and 1 from epoch 2 on\n"
    );
    assert!(said(&spoken, "get speed")[1].starts_with("speed is 8, by slot "));
    assert_eq!(second.status.code(), Some(0));
    let text = String::from_utf8(second.stdout).unwrap();
    assert!(text.contains("NODE_2 mps2-an386  | warn  only learns: NODE_2 has lost what it said"));
    assert!(text.contains("NODE_2 mps2-an386  | warn  is retired: NODE_2 was removed"));
    assert!(text.contains("NODE_3 microbit    | info  goes on as NODE_3"));
    assert!(!text.contains("begins as"), "{text}");
}

#[test]
fn without_qemu_the_error_names_the_package_to_install() {
    let output = Command::new(env!("CARGO_BIN_EXE_boards"))
        .env("PATH", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("apt-get install -y qemu-system-arm"),
        "{error}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_help_lists_the_commands() {
    let output = boards(&["--help"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "kill BOARD",
        "cut BOARD [BOARD]",
        "| cargo boards",
        "Exit codes",
    ] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert_eq!(output.status.code(), Some(0));
}
