//! Three boards by hand: what is said to them is done, and what comes of it is shown.

mod command;
mod screen;

use crate::Failure;
use crate::client::Outside;
use crate::rig::{Heard, Rig};
use command::{BOARDS, Number};
pub use command::{Command, HELP};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use example_firmware::member::Machine;
pub use screen::{Colour, Screen};
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant as Clock;
use synod::client::Address;
use synod::machines::{KvCommand, KvReply};
use synod::{NodeId, NodeState, Status};

/// How long a board may take from power to its first line.
const BOOT: Duration = Duration::from_secs(20);
/// How often a wait looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(50);
/// What a line is garbled by.
const NOISE: u64 = 6;

/// What the boards are started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a command may take.
    pub patience: Duration,
    /// Where flash is kept; in a folder that goes with the boards, if nothing is named.
    pub flash: Option<std::path::PathBuf>,
    /// When to show colours.
    pub colour: Colour,
    /// What tells the client's session from all others.
    pub nonce: u64,
}

/// Three boards, one of each kind, and a client.
#[derive(Debug)]
pub struct ByHand {
    rig: Rig,
    client: Outside<Machine>,
    patience: Duration,
    screen: Screen,
    heard: Receiver<(usize, Heard)>,
    stop: Arc<AtomicBool>,
    /// Held for as long as the boards run, where their flash stays.
    _lock: Option<File>,
}

impl ByHand {
    /// Switches on three boards: new ones where there is no flash, and otherwise those that the flash is of.
    ///
    /// # Errors
    ///
    /// The images were not built, or a board did not start.
    pub fn start(settings: &Settings) -> Result<Self, Failure> {
        crate::qemu::look()?;
        let lock = settings.flash.as_deref().map(hold).transpose()?;
        let screen = Screen::new(settings.colour);
        let (sender, heard) = mpsc::channel();
        let listen = move |index: usize, heard: Heard| {
            let kind = crate::image::Board::ALL.get(index);
            let kind = kind.map_or("", |board| board.name());
            match &heard {
                Heard::Line(line) => {
                    screen.board(index, kind, format_args!("{:5} {}", line.level, line.text));
                }
                Heard::End => screen.board(index, kind, "is off"),
                Heard::Lost(failure) => screen.board(index, kind, failure),
            }
            // Nobody waits for anything any more when the boards go.
            let _ = sender.send((index, heard));
        };
        let flash = settings.flash.as_deref();
        let rig = Rig::new(("by-hand", "node"), BOARDS.into(), flash, listen)?;
        let address = Address::FIRST;
        let line = (rig.hub().end(address.byte()), rig.size());
        let client = Outside::new(line, rig.size(), address, settings.nonce)?;
        let mut boards = Self {
            stop: client.stop(),
            rig,
            client,
            patience: settings.patience,
            screen,
            heard,
            _lock: lock,
        };
        for board in 0..BOARDS {
            boards.switch_on(board, !boards.rig.has_flash(board.into())?)?;
        }
        Ok(boards)
    }

    /// What ends every wait: from any thread, for ever.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Where everything is shown.
    pub fn screen(&self) -> Screen {
        self.screen
    }

    /// Does what was said, and answers what came of it in a line for a person.
    ///
    /// # Errors
    ///
    /// What was not done, or is not as it must be.
    pub fn run(&mut self, command: Command) -> Result<String, Failure> {
        match command {
            Command::Ask(command) => self.ask(command),
            Command::Status(board) => self.status(board),
            Command::Agree => self.agree(),
            Command::Kill(board) => {
                self.rig.switch_off(board.into())?;
                Ok(format!("board {board} is off"))
            }
            Command::Start(board) => {
                self.switch_on(board, false)?;
                Ok(format!("board {board} is on"))
            }
            Command::Restart(board) => {
                self.rig.switch_off(board.into())?;
                self.switch_on(board, false)?;
                Ok(format!("board {board} was off, and is on"))
            }
            Command::Wipe(board) => {
                self.rig.erase(board.into())?;
                Ok(format!(
                    "the flash of board {board} is empty: it will only learn"
                ))
            }
            Command::Cut(one, other) => Ok(self.cut(one, other)),
            Command::Heal(between) => Ok(self.heal(between)),
            Command::Noise(true) => {
                self.rig.hub().garble(NOISE, Vec::new());
                Ok("one frame of twelve is garbled".into())
            }
            Command::Noise(false) => {
                let struck = self.rig.hub().clear();
                Ok(format!("the line is clear; {struck} frames were garbled"))
            }
            Command::Wait(span) => {
                self.wait(span)?;
                Ok(format!("{} s later", span.as_secs_f64()))
            }
            Command::Help => Ok(HELP.into()),
            Command::Quit => Ok("all boards are switched off".into()),
        }
    }

    fn ask(&mut self, command: KvCommand) -> Result<String, Failure> {
        let applied = self.client.ask(command, self.patience)?;
        let slot = applied.slot.number();
        let key = match command {
            KvCommand::Get(key) | KvCommand::Set(key, _) => key,
        };
        let key = key.as_str();
        match applied.output {
            KvReply::Value(value) => Ok(format!("{key} is {value}, by slot {slot}")),
            KvReply::None => Ok(format!("{key} has no value, by slot {slot}")),
            KvReply::Full => Err(Failure::new(format!(
                "{key} was not set: all keys are in use (slot {slot})"
            ))),
        }
    }

    fn status(&mut self, board: Option<Number>) -> Result<String, Failure> {
        let boards = match board {
            Some(board) => board..=board,
            None => 0..=BOARDS - 1,
        };
        let mut lines = Vec::new();
        let mut known: Vec<(Number, Status)> = Vec::new();
        for board in boards {
            if !self.rig.is_on(board.into())? {
                lines.push(format!("board {board}: off"));
                continue;
            }
            match self.client.status(NodeId(board.into())) {
                None => lines.push(format!("board {board}: no answer")),
                Some(status) => {
                    lines.push(format!("board {board}: {}", Told(&status)));
                    known.push((board, status));
                }
            }
        }
        for (one, cut) in self.rig.hub().cuts() {
            lines.push(format!("the line between {one} and {cut} is cut"));
        }
        let said = lines.join("\n");
        match differing(&known) {
            None => Ok(said),
            Some((one, other)) => Err(Failure::new(format!(
                "{said}\nboards {one} and {other} have applied as far, and not the same: a rule was broken"
            ))),
        }
    }

    /// Waits until all that are on have joined and applied as far.
    fn agree(&mut self) -> Result<String, Failure> {
        let began = clock();
        while began.elapsed() < self.patience && !self.is_stopped() {
            let mut known = Vec::new();
            for board in 0..BOARDS {
                if self.rig.is_on(board.into())? {
                    known.push((board, self.client.status(NodeId(board.into()))));
                }
            }
            match agreed(&known)? {
                Some(said) => return Ok(said),
                None => self.wait(LOOK)?,
            }
        }
        Err(Failure::new(format!(
            "the boards did not agree within {} s: status says how each is",
            began.elapsed().as_secs()
        )))
    }

    fn cut(&mut self, one: Number, other: Option<Number>) -> String {
        let others: Vec<Number> = match other {
            Some(other) => vec![other],
            None => (0..BOARDS).filter(|board| *board != one).collect(),
        };
        for other in &others {
            self.rig.hub().cut(one, *other);
        }
        let others: Vec<String> = others.iter().map(Number::to_string).collect();
        format!(
            "nothing is carried between {one} and {}",
            others.join(", nor ")
        )
    }

    fn heal(&mut self, between: Option<(Number, Number)>) -> String {
        let pairs = match between {
            Some(pair) => vec![pair],
            None => self.rig.hub().cuts(),
        };
        let mended = pairs
            .into_iter()
            .filter(|(one, other)| self.rig.hub().mend(*one, *other))
            .count();
        match mended {
            0 => "nothing was cut".into(),
            1 => "the line is mended".into(),
            count => format!("{count} lines are mended"),
        }
    }

    /// Switches a board on, and waits until it has said who it is.
    fn switch_on(&mut self, board: Number, is_new: bool) -> Result<(), Failure> {
        while self.heard.try_recv().is_ok() {}
        let index = usize::from(board);
        self.rig
            .switch_on(index, if is_new { &["new"] } else { &[] })?;
        let is_up = |line: &str| {
            ["begins as ", "goes on as ", "only learns: "]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let began = clock();
        while began.elapsed() < BOOT && !self.is_stopped() {
            match self.heard.recv_timeout(LOOK) {
                Ok((of, Heard::Line(line))) if of == index && is_up(&line.text) => return Ok(()),
                Ok((of, Heard::End)) if of == index => {
                    let code = self.rig.code(index)?;
                    return Err(Failure::new(format!(
                        "board {board} ended with code {code}: its log says why"
                    )));
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let _ = self.rig.switch_off(index);
        Err(Failure::new(format!("board {board} did not come up")))
    }

    fn wait(&mut self, span: Duration) -> Result<(), Failure> {
        let began = clock();
        while let Some(left) = span.checked_sub(began.elapsed()) {
            if self.is_stopped() {
                return Err(Failure::new("the wait was cut short"));
            }
            let _ = self.heard.recv_timeout(left.min(LOOK));
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A status in words.
struct Told<'a>(&'a Status);

impl core::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Status {
            state,
            leader,
            applied,
            chain,
            highest,
        } = self.0;
        write!(f, "{state}")?;
        match leader {
            Some(leader) => write!(f, ", leader {leader}")?,
            None => f.write_str(", no leader")?,
        }
        let (round, slot) = (highest.round(), applied.number());
        write!(
            f,
            ", round {round}, applied slot {slot}, chain {chain:016x}"
        )
    }
}

/// What boards agree on that have all joined and applied as far; `None` where they have not, or do not all answer.
fn agreed(known: &[(Number, Option<Status>)]) -> Result<Option<String>, Failure> {
    let mut told = Vec::new();
    for (board, status) in known {
        match status {
            Some(status) if status.state == NodeState::Halted => {
                return Err(Failure::new(format!("board {board} has halted")));
            }
            Some(status) if status.state != NodeState::Joining => told.push((*board, *status)),
            _ => return Ok(None),
        }
    }
    if let Some((one, other)) = differing(&told) {
        return Err(Failure::new(format!(
            "boards {one} and {other} have applied as far, and not the same: a rule was broken"
        )));
    }
    let Some((_, first)) = told.first() else {
        return Err(Failure::new("no board is on"));
    };
    if told
        .iter()
        .any(|(_, status)| status.applied != first.applied)
    {
        return Ok(None);
    }
    let (count, slot, chain) = (told.len(), first.applied.number(), first.chain);
    Ok(Some(format!(
        "{count} boards have applied the same up to slot {slot}: chain {chain:016x}"
    )))
}

/// Two boards that have applied as far, and not the same.
fn differing(known: &[(Number, Status)]) -> Option<(Number, Number)> {
    known.iter().enumerate().find_map(|(index, (one, status))| {
        let differs = |(_, other): &&(Number, Status)| {
            other.applied == status.applied && other.chain != status.chain
        };
        let mut others = known.iter().skip(index + 1);
        others.find(differs).map(|(other, _)| (*one, *other))
    })
}

/// Makes a folder for flash, where there is none, and keeps others from it: two boards with one flash would be two with one
/// number.
fn hold(folder: &Path) -> Result<File, Failure> {
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format!("{} cannot be used: {error}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let file = File::create(folder.join("lock")).map_err(|error| failed(&error))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => failed(&"other boards run on the flash in it"),
        TryLockError::Error(error) => failed(&error),
    })?;
    Ok(file)
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever sits at the boards waits by the clock"
)]
fn clock() -> Clock {
    Clock::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::{Ballot, Slot};

    #[test]
    fn one_flash_is_for_one_set_of_boards() {
        let folder = std::env::temp_dir().join(format!("synod-lock-{}", std::process::id()));
        let held = hold(&folder).unwrap();
        let error = hold(&folder).unwrap_err().to_string();
        assert!(error.contains("other boards run"), "{error}");
        drop(held);
        assert!(hold(&folder).is_ok());
        let file = folder.join("lock");
        assert!(hold(&file).is_err(), "it is no folder");
        fs::remove_dir_all(folder).unwrap();
    }

    fn status(state: NodeState, slot: u64, chain: u64) -> Status {
        Status {
            state,
            leader: None,
            applied: Slot::new(slot),
            chain,
            highest: Ballot::NULL,
        }
    }

    #[test]
    fn boards_that_applied_as_far_and_not_the_same_are_named() {
        let voting = |slot, chain| status(NodeState::Voting, slot, chain);
        let same = [(0, voting(7, 1)), (1, voting(8, 2)), (2, voting(7, 1))];
        assert_eq!(differing(&same), None);
        let other = [(0, voting(7, 1)), (1, voting(8, 2)), (2, voting(7, 3))];
        assert_eq!(differing(&other), Some((0, 2)));
    }

    #[test]
    fn boards_agree_when_all_have_joined_and_applied_the_same() {
        let of = |state, slot, chain| Some(status(state, slot, chain));
        let (leads, learns) = (NodeState::Leading, NodeState::Learning);
        let both = [(0, of(leads, 7, 1)), (2, of(learns, 7, 1))];
        let said = agreed(&both).unwrap().unwrap();
        assert!(said.starts_with("2 boards have applied the same up to slot 7"));
        for not_yet in [None, of(learns, 6, 1), of(NodeState::Joining, 7, 1)] {
            assert_eq!(agreed(&[(0, of(leads, 7, 1)), (2, not_yet)]), Ok(None));
        }
        for (never, says) in [
            (of(learns, 7, 2), "boards 0 and 2 have applied as far"),
            (of(NodeState::Halted, 7, 1), "board 2 has halted"),
        ] {
            let error = agreed(&[(0, of(leads, 7, 1)), (2, never)]).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        assert!(agreed(&[]).is_err());
    }
}
