//! An interactive cluster of three boards: executes commands and prints their results.

mod command;
mod members;
mod screen;

use crate::Failure;
use crate::board_cluster::{self, BOARDS, BoardCluster, BoardOutput};
use crate::host_client::HostClient;
use command::Number;
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
use synod::{NodeId, NodeSet, NodeState, Status};

/// The time limit from power-on to the first log line of a board.
const BOOT: Duration = Duration::from_secs(20);
/// The interval at which a wait checks for a request to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The seed of line noise.
const NOISE_SEED: u64 = 6;

/// The settings of the boards.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time limit of a command.
    pub patience: Duration,
    /// The folder of the flash files; a temporary one if `None`.
    pub flash: Option<std::path::PathBuf>,
    /// When to show colours.
    pub colour: Colour,
    /// The nonce of the client's session, which must be unique.
    pub nonce: u64,
}

/// Three boards, one of each kind, with those that were added later, and a client.
#[derive(Debug)]
pub struct Console {
    cluster: BoardCluster,
    client: HostClient<Machine>,
    patience: Duration,
    screen: Screen,
    heard: Receiver<(usize, BoardOutput)>,
    stop: Arc<AtomicBool>,
    /// The lock of the flash folder, held while the boards run.
    _lock: Option<File>,
}

impl Console {
    /// Powers on three boards with new flash, or all boards that have flash in the folder.
    ///
    /// # Errors
    ///
    /// Returns an error if the images cannot be built, or a board does not start.
    pub fn start(settings: &Settings) -> Result<Self, Failure> {
        crate::qemu::look()?;
        let lock = settings.flash.as_deref().map(hold).transpose()?;
        let screen = Screen::new(settings.colour);
        let (sender, heard) = mpsc::channel();
        let listen = move |index: usize, heard: BoardOutput| {
            let kind = board_cluster::kind(index).name();
            match &heard {
                BoardOutput::Line(line) => {
                    screen.board(index, kind, format_args!("{:5} {}", line.level, line.text));
                }
                BoardOutput::End => screen.board(index, kind, "is off"),
                BoardOutput::Lost(failure) => screen.board(index, kind, failure),
            }
            // The receiver is gone when the boards are being switched off.
            let _ = sender.send((index, heard));
        };
        let flash = settings.flash.as_deref();
        let cluster = BoardCluster::new(("by-hand", "node"), BOARDS.into(), flash, listen)?;
        let address = Address::FIRST;
        let line = (cluster.bus().end(address.byte()), cluster.size());
        let all = (0..cluster.len()).filter_map(|index| u16::try_from(index).ok());
        let all = all.map(NodeId).collect();
        let client = HostClient::new(line, all, address, settings.nonce)?;
        let mut boards = Self {
            stop: client.stop(),
            cluster,
            client,
            patience: settings.patience,
            screen,
            heard,
            _lock: lock,
        };
        for board in boards.boards() {
            boards.switch_on(board, !boards.cluster.has_flash(board.into())?)?;
        }
        Ok(boards)
    }

    /// Returns a flag that ends every wait when it is set, from any thread.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Returns the screen for all output.
    pub fn screen(&self) -> Screen {
        self.screen
    }

    /// Executes a command, and returns its result as text for a person.
    ///
    /// # Errors
    ///
    /// Returns the reason why the command failed, or a violation that it found.
    pub fn run(&mut self, command: Command) -> Result<String, Failure> {
        match command {
            Command::Ask(command) => self.ask(command),
            Command::Status(board) => self.status(board),
            Command::Agree => self.agree(),
            Command::Kill(board) => {
                self.cluster.switch_off(board.into())?;
                Ok(format!("board {board} is off"))
            }
            Command::Start(board) => {
                self.switch_on(board, false)?;
                Ok(format!("board {board} is on"))
            }
            Command::Restart(board) => {
                self.cluster.switch_off(board.into())?;
                self.switch_on(board, false)?;
                Ok(format!("board {board} was restarted"))
            }
            Command::Wipe(board) => {
                self.cluster.erase(board.into())?;
                Ok(format!(
                    "the flash of board {board} is empty: it will start as a learner"
                ))
            }
            Command::Replace(board) => self.replace(board),
            Command::Members(members) => self.change_members(members),
            Command::Cut(one, other) => self.cut(one, other),
            Command::Heal(between) => Ok(self.heal(between)),
            Command::Noise(true) => {
                self.cluster.bus().garble(NOISE_SEED, Vec::new());
                Ok("one frame in twelve is garbled".into())
            }
            Command::Noise(false) => {
                let garbled = self.cluster.bus().clear();
                Ok(format!("the line is clear; {garbled} frames were garbled"))
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
            Some(board) => board..board + 1,
            None => self.boards(),
        };
        let mut lines = Vec::new();
        let mut known: Vec<(Number, Status)> = Vec::new();
        for board in boards {
            if !self.cluster.is_on(board.into())? {
                lines.push(format!("board {board}: off"));
                continue;
            }
            match self.client.status(NodeId(board.into())) {
                None => lines.push(format!("board {board}: no answer")),
                Some(status) => {
                    lines.push(format!("board {board}: {}", StatusText(&status)));
                    known.push((board, status));
                }
            }
        }
        for (one, cut) in self.cluster.bus().cuts() {
            lines.push(format!("the line between {one} and {cut} is cut"));
        }
        let text = lines.join("\n");
        match differing(&known) {
            None => Ok(text),
            Some((one, other)) => Err(Failure::new(format!(
                "{text}\nboards {one} and {other} have applied different logs up to the same slot: a rule is broken"
            ))),
        }
    }

    /// Waits until all boards that are on have joined and have applied the same slots.
    fn agree(&mut self) -> Result<String, Failure> {
        let began = clock();
        while began.elapsed() < self.patience && !self.is_stopped() {
            let mut known = Vec::new();
            for board in self.boards() {
                if self.cluster.is_on(board.into())? {
                    known.push((board, self.client.status(NodeId(board.into()))));
                }
            }
            match agreed(&known)? {
                Some(text) => return Ok(text),
                None => self.wait(POLL_INTERVAL)?,
            }
        }
        Err(Failure::new(format!(
            "the boards did not agree within {} s: status shows the state of each",
            began.elapsed().as_secs()
        )))
    }

    fn cut(&mut self, one: Number, other: Option<Number>) -> Result<String, Failure> {
        let others: Vec<Number> = match other {
            Some(other) => vec![other],
            None => self.boards().filter(|board| *board != one).collect(),
        };
        for board in others.iter().chain([&one]) {
            self.cluster.board((*board).into())?;
        }
        for other in &others {
            self.cluster.bus().cut(one, *other);
        }
        let others: NodeSet = others
            .into_iter()
            .map(|board| NodeId(board.into()))
            .collect();
        let others = members::list(others);
        Ok(format!("board {one} is cut off from {others}"))
    }

    fn heal(&mut self, between: Option<(Number, Number)>) -> String {
        let pairs = match between {
            Some(pair) => vec![pair],
            None => self.cluster.bus().cuts(),
        };
        let restored = pairs
            .into_iter()
            .filter(|(one, other)| self.cluster.bus().restore(*one, *other))
            .count();
        match restored {
            0 => "no line was cut".into(),
            1 => "the line is restored".into(),
            count => format!("{count} lines are restored"),
        }
    }

    /// Powers on a board, and waits until it has logged its identity.
    fn switch_on(&mut self, board: Number, is_new: bool) -> Result<(), Failure> {
        while self.heard.try_recv().is_ok() {}
        let index = usize::from(board);
        let mut words = Vec::new();
        if is_new {
            words.push("new".to_owned());
        }
        // A board that was added asks a board that runs, as board 0 may be gone.
        if board >= BOARDS
            && let Ok(source) = self.source(Some(board))
        {
            words.push(format!("joins={}", source.0));
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.cluster.switch_on(index, &words)?;
        let is_up = |line: &str| {
            ["begins as ", "goes on as ", "only learns: "]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let began = clock();
        while began.elapsed() < BOOT && !self.is_stopped() {
            match self.heard.recv_timeout(POLL_INTERVAL) {
                Ok((of, BoardOutput::Line(line))) if of == index && is_up(&line.text) => {
                    return Ok(());
                }
                Ok((of, BoardOutput::End)) if of == index => {
                    let code = self.cluster.code(index)?;
                    return Err(Failure::new(format!(
                        "board {board} exited with code {code}: its log has the reason"
                    )));
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let _ = self.cluster.switch_off(index);
        Err(Failure::new(format!("board {board} did not start in time")))
    }

    fn wait(&mut self, span: Duration) -> Result<(), Failure> {
        let began = clock();
        while let Some(left) = span.checked_sub(began.elapsed()) {
            if self.is_stopped() {
                return Err(Failure::new("the wait was interrupted"));
            }
            let _ = self.heard.recv_timeout(left.min(POLL_INTERVAL));
        }
        Ok(())
    }

    /// Returns the numbers of all boards.
    fn boards(&self) -> core::ops::Range<Number> {
        0..Number::try_from(self.cluster.len()).unwrap_or(Number::MAX)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Formats a status.
struct StatusText<'a>(&'a Status);

impl core::fmt::Display for StatusText<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Status {
            state,
            leader,
            applied,
            chain,
            highest,
            epoch,
            members,
        } = self.0;
        write!(f, "{state}")?;
        match leader {
            Some(leader) => write!(f, ", leader {leader}")?,
            None => f.write_str(", no leader")?,
        }
        let (round, slot) = (highest.round(), applied.number());
        write!(
            f,
            ", round {round}, applied slot {slot}, chain {chain:016x}, epoch {epoch}, members {}",
            members::list(*members)
        )
    }
}

/// Returns a summary if all boards have joined and applied the same slots; `None` if not, or if one does not answer.
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
            "boards {one} and {other} have applied different logs up to the same slot: a rule is broken"
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
        "{count} boards have applied the same log up to slot {slot}: chain {chain:016x}"
    )))
}

/// Returns two boards that have applied different logs up to the same slot.
fn differing(known: &[(Number, Status)]) -> Option<(Number, Number)> {
    known.iter().enumerate().find_map(|(index, (one, status))| {
        let differs = |(_, other): &&(Number, Status)| {
            other.applied == status.applied && other.chain != status.chain
        };
        let mut others = known.iter().skip(index + 1);
        others.find(differs).map(|(other, _)| (*one, *other))
    })
}

/// Creates the flash folder if necessary, and locks it: two boards that share flash would have one node id.
fn hold(folder: &Path) -> Result<File, Failure> {
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format!("{} cannot be used: {error}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let file = File::create(folder.join("lock")).map_err(|error| failed(&error))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => failed(&"its flash is in use by other boards"),
        TryLockError::Error(error) => failed(&error),
    })?;
    Ok(file)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an interactive program waits in real time"
)]
fn clock() -> Clock {
    Clock::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::{Ballot, Epoch, Slot};

    #[test]
    fn a_flash_folder_is_used_by_one_set_of_boards() {
        let folder = std::env::temp_dir().join(format!("synod-lock-{}", std::process::id()));
        let held = hold(&folder).unwrap();
        let error = hold(&folder).unwrap_err().to_string();
        assert!(error.contains("in use by other boards"), "{error}");
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
            epoch: Epoch::FIRST,
            members: NodeSet::first(3),
        }
    }

    #[test]
    fn boards_that_applied_different_logs_are_named() {
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
        let text = agreed(&both).unwrap().unwrap();
        assert!(text.starts_with("2 boards have applied the same log up to slot 7"));
        for not_yet in [None, of(learns, 6, 1), of(NodeState::Joining, 7, 1)] {
            assert_eq!(agreed(&[(0, of(leads, 7, 1)), (2, not_yet)]), Ok(None));
        }
        for (never, says) in [
            (
                of(learns, 7, 2),
                "boards 0 and 2 have applied different logs",
            ),
            (of(NodeState::Halted, 7, 1), "board 2 has halted"),
        ] {
            let error = agreed(&[(0, of(leads, 7, 1)), (2, never)]).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        assert!(agreed(&[]).is_err());
    }
}
