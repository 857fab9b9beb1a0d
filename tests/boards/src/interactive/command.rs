//! Commands of the interactive cluster, one a line.

use core::time::Duration;
use synod::machines::{Key, KvCommand};
use synod::{NODES_MAX, NodeId, NodeSet};

/// The help text: the commands and their effects, for `help` and `--help`.
pub const HELP: &str = "\
  set KEY VALUE    set a key (a name of up to 7 letters) to a value (a whole number) on all boards
  get KEY          read a key, linearizably: through the log
  status [BOARD]   print the status of one board or of all: voting or leading, the leader, the last applied slot, a
                   digest of the applied log, and the members; two boards that differ at one slot have broken a rule
  agree            wait until all boards that are on have joined and applied the same slots, and compare their digests
  kill BOARD       cut the power of a board at any moment
  start BOARD      power on a board; it restarts from its flash
  restart BOARD    kill and start
  wipe BOARD       erase the flash of a board that is off: it will start as a learner, without a vote
  replace BOARD    switch a board off for ever, and put a new board with the next number in its place; the others vote
                   on it, so a majority of the members must be on
  members BOARD...  make these boards the members, and no others; a number that was removed is never used again
  cut BOARD [BOARD]    cut the line between two boards, or between one and all others; the client still reaches all
  heal [BOARD BOARD]   restore the line between two boards, or all lines
  noise on|off     garble one frame in twelve on the whole line
  wait SECONDS     wait (1, 0.5)
  help             print this
  quit             power off all boards; the end of the input does the same";

/// The number of a board.
pub(super) type Number = u8;

/// The longest wait, in seconds.
const WAIT_MAX: f64 = 3600.0;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "each is the command of that name in the help text"
)]
pub enum Command {
    Ask(KvCommand),
    Status(Option<Number>),
    Agree,
    Kill(Number),
    Start(Number),
    Restart(Number),
    Wipe(Number),
    Replace(Number),
    Members(NodeSet),
    Cut(Number, Option<Number>),
    Heal(Option<(Number, Number)>),
    Noise(bool),
    Wait(Duration),
    Help,
    Quit,
}

impl Command {
    /// Parses a line; returns `None` for an empty line or a comment, which begins with `#`.
    ///
    /// # Errors
    ///
    /// Returns the problem, and the expected form.
    pub fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, rest @ ..] = words.as_slice() else {
            return Ok(None);
        };
        let command = match (*name, rest) {
            ("set", [key, value]) => Self::Ask(KvCommand::Set(key_of(key)?, value_of(value)?)),
            ("get", [key]) => Self::Ask(KvCommand::Get(key_of(key)?)),
            ("status", []) => Self::Status(None),
            ("status", [board]) => Self::Status(Some(board_of(board)?)),
            ("agree", []) => Self::Agree,
            ("kill", [board]) => Self::Kill(board_of(board)?),
            ("start", [board]) => Self::Start(board_of(board)?),
            ("restart", [board]) => Self::Restart(board_of(board)?),
            ("wipe", [board]) => Self::Wipe(board_of(board)?),
            ("replace", [board]) => Self::Replace(board_of(board)?),
            ("members", [_, ..]) => Self::Members(boards_of(rest)?),
            ("cut", [board]) => Self::Cut(board_of(board)?, None),
            ("cut", [one, other]) => {
                let (one, other) = two_boards(one, other)?;
                Self::Cut(one, Some(other))
            }
            ("heal", []) => Self::Heal(None),
            ("heal", [one, other]) => Self::Heal(Some(two_boards(one, other)?)),
            ("noise", ["on"]) => Self::Noise(true),
            ("noise", ["off"]) => Self::Noise(false),
            ("wait", [seconds]) => Self::Wait(seconds_of(seconds)?),
            ("help", _) => Self::Help,
            ("quit" | "exit", []) => Self::Quit,
            (name, _) => return Err(unknown(name)),
        };
        Ok(Some(command))
    }
}

/// Returns the expected form of a command, or an error for an unknown one.
fn unknown(name: &str) -> String {
    let lines = HELP.lines().map(str::trim_start);
    let usages: Vec<&str> = lines
        .filter(|line| line.split_whitespace().next() == Some(name))
        .map(|line| line.split("  ").next().unwrap_or(line))
        .collect();
    if usages.is_empty() {
        format!("there is no command {name}: enter help for a list")
    } else {
        format!("expected: {}", usages.join(" or "))
    }
}

fn board_of(word: &str) -> Result<Number, String> {
    let number = word.parse().ok();
    let number = number.filter(|number| u16::from(*number) < NODES_MAX);
    number.ok_or_else(|| format!("there is no board {word}: they are 0 to {}", NODES_MAX - 1))
}

fn boards_of(words: &[&str]) -> Result<NodeSet, String> {
    let boards = words.iter().map(|word| board_of(word));
    let boards: Vec<Number> = boards.collect::<Result<_, _>>()?;
    Ok(boards
        .into_iter()
        .map(|board| NodeId(board.into()))
        .collect())
}

fn two_boards(one: &str, other: &str) -> Result<(Number, Number), String> {
    let (one, other) = (board_of(one)?, board_of(other)?);
    if one == other {
        return Err(format!(
            "board {one} has no line to itself: name two boards"
        ));
    }
    Ok((one, other))
}

fn key_of(word: &str) -> Result<Key, String> {
    let len_max = Key::LEN_MAX;
    Key::new(word).ok_or_else(|| {
        format!("{word} is not a key: a key has 1 to {len_max} printable ASCII characters")
    })
}

fn value_of(word: &str) -> Result<i64, String> {
    word.parse()
        .map_err(|_| format!("{word} is not a value: a value is a whole number of 64 bits"))
}

fn seconds_of(word: &str) -> Result<Duration, String> {
    let seconds = word.parse::<f64>().ok();
    let fits = |seconds: &f64| (0.0..=WAIT_MAX).contains(seconds);
    let seconds = seconds.filter(fits).map(Duration::from_secs_f64);
    seconds
        .ok_or_else(|| format!("{word} is not a time to wait: it must be 0 to {WAIT_MAX} seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_parsed() {
        let parse = |line| Command::parse(line).unwrap();
        let key = Key::new("speed").unwrap();
        assert_eq!(
            parse("  set speed -7 # slowly"),
            Some(Command::Ask(KvCommand::Set(key, -7)))
        );
        assert_eq!(parse("get speed"), Some(Command::Ask(KvCommand::Get(key))));
        assert_eq!(parse("cut 2"), Some(Command::Cut(2, None)));
        assert_eq!(parse("cut 2 0"), Some(Command::Cut(2, Some(0))));
        assert_eq!(parse("heal"), Some(Command::Heal(None)));
        assert_eq!(parse("replace 1"), Some(Command::Replace(1)));
        let two = NodeSet::first(2);
        assert_eq!(parse("members 1 0 1"), Some(Command::Members(two)));
        assert_eq!(
            parse("wait 0.5"),
            Some(Command::Wait(Duration::from_millis(500)))
        );
        assert_eq!(parse("exit"), Some(Command::Quit));
        for nothing in ["", "   ", "# a comment"] {
            assert_eq!(parse(nothing), None);
        }
    }

    #[test]
    fn an_invalid_command_is_answered_with_the_expected_form() {
        for (line, says) in [
            ("kill", "expected: kill BOARD"),
            ("kill 64", "there is no board 64: they are 0 to 63"),
            ("replace", "expected: replace BOARD"),
            ("members", "expected: members BOARD..."),
            ("members 0 x", "there is no board x"),
            ("kill -1", "there is no board -1"),
            ("cut 1 1", "name two boards"),
            ("heal 1", "expected: heal [BOARD BOARD]"),
            ("cut", "expected: cut BOARD [BOARD]"),
            ("set speed", "expected: set KEY VALUE"),
            ("set speed 1 2", "expected: set KEY VALUE"),
            ("set speed fast", "fast is not a value"),
            ("get too_long", "too_long is not a key"),
            ("noise loud", "expected: noise on|off"),
            ("wait -1", "-1 is not a time to wait"),
            ("wait NaN", "NaN is not a time to wait"),
            ("dance", "there is no command dance: enter help"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn every_command_is_in_the_help() {
        for name in [
            "set", "get", "status", "agree", "kill", "start", "restart", "wipe", "replace",
            "members", "cut", "heal", "noise", "wait", "help", "quit",
        ] {
            let error = unknown(name);
            assert!(error.starts_with(&format!("expected: {name}")), "{error}");
        }
    }
}
