//! A cluster of boards with the logs of all nodes; each failure fails the test.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use synod::wire::Dropped;
use synod_boards::board_cluster::{self, BoardOutput};
use synod_boards::serial_bus::SerialBus;

/// The number of slots between two progress lines of a node.
pub(crate) const SLOTS_A_LINE: u64 = 64;
/// The time limit for any reaction of a board.
const WATCHDOG: Duration = Duration::from_mins(1);

/// The log of a node, over all of its restarts.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    news: Condvar,
}

impl Log {
    pub(crate) fn say(&self, line: String) {
        self.lines.lock().unwrap().0.push(line);
        self.news.notify_all();
    }

    fn begin(&self) {
        self.lines.lock().unwrap().1 = false;
    }

    fn end(&self) {
        self.lines.lock().unwrap().1 = true;
        self.news.notify_all();
    }

    fn has_ended(&self) -> bool {
        self.lines.lock().unwrap().1
    }

    fn read(&self) -> Vec<String> {
        self.lines.lock().unwrap().0.clone()
    }

    /// Waits for a matching line, including earlier ones.
    fn wait(&self, patience: Duration, is_it: impl Fn(&str) -> bool) -> bool {
        let lines = self.lines.lock().unwrap();
        let missing = |lines: &mut (Vec<String>, bool)| !lines.0.iter().any(|line| is_it(line));
        let waited = self.news.wait_timeout_while(lines, patience, missing);
        !waited.unwrap().1.timed_out()
    }

    /// Returns the logged chain digests by slot.
    fn chains(&self) -> Vec<(u64, String)> {
        let lines = self.read();
        let chains = lines.iter().filter_map(|line| {
            let slot = number(line, "slot=")?;
            Some((slot, line.split("chain=").nth(1)?.to_owned()))
        });
        chains.collect()
    }
}

/// Returns the number behind a name in a line.
fn number(line: &str, name: &str) -> Option<u64> {
    let rest = line.split(name).nth(1)?;
    rest.split(' ').next()?.parse().ok()
}

/// Three boards, one of each kind, on a serial bus, and up to as many that are added.
pub(crate) struct BoardCluster {
    boards: board_cluster::BoardCluster,
    logs: Vec<Arc<Log>>,
    /// The boards that were thrown away.
    gone: BTreeSet<usize>,
    host: Option<Arc<Log>>,
}

impl BoardCluster {
    /// Creates the boards of a cluster of `size` nodes with new flash, all of them off.
    pub(crate) fn new(name: &str, program: &str, size: u16) -> Self {
        let logs: Vec<Arc<Log>> = (0..6).map(|_| Arc::default()).collect();
        let listened = logs.clone();
        let listen = move |index: usize, heard| match heard {
            BoardOutput::Line(line) => listened[index].say(line.text),
            BoardOutput::End => listened[index].end(),
            BoardOutput::Lost(failure) => listened[index].say(format!("lost: {failure}")),
        };
        Self {
            boards: board_cluster::BoardCluster::new((name, program), size, None, listen).unwrap(),
            logs,
            gone: BTreeSet::new(),
            host: None,
        }
    }

    pub(crate) fn bus(&self) -> &SerialBus {
        self.boards.bus()
    }

    /// Returns the parameters of a client.
    pub(crate) fn client(&self) -> (&SerialBus, u16) {
        (self.boards.bus(), self.boards.size())
    }

    /// Returns the log of the host node, which must satisfy the same checks.
    pub(crate) fn log_of_host(&mut self) -> Arc<Log> {
        Arc::clone(self.host.get_or_insert_default())
    }

    /// Adds a board with a number that none ever had, and returns it. It is off.
    pub(crate) fn add(&mut self) -> usize {
        self.boards.add().unwrap().into()
    }

    /// Throws away a board that is off: from now on nothing is expected of it.
    pub(crate) fn throw_away(&mut self, index: usize) {
        self.gone.insert(index);
    }

    /// Powers on all boards for the first time.
    pub(crate) fn switch_on_all(&mut self) {
        for index in 0..self.boards.len() {
            self.switch_on(index, &["new"]);
        }
    }

    /// Powers on a board, with additional arguments.
    pub(crate) fn switch_on(&mut self, index: usize, words: &[&str]) {
        self.logs[index].begin();
        self.boards.switch_on(index, words).unwrap();
    }

    /// Cuts the power of a board.
    pub(crate) fn switch_off(&mut self, index: usize) {
        self.boards.switch_off(index).unwrap();
    }

    /// Erases the flash of a board that is off.
    pub(crate) fn erase(&self, index: usize) {
        self.boards.erase(index).unwrap();
    }

    /// True if a board has power and its program has not ended.
    pub(crate) fn is_on(&self, index: usize) -> bool {
        !self.logs[index].has_ended()
    }

    /// Returns the exit code of a program that has ended.
    pub(crate) fn code(&mut self, index: usize) -> i32 {
        self.boards.code(index).unwrap()
    }

    pub(crate) fn has_said(&self, index: usize, text: &str) -> bool {
        let is_it = |line: &str| line == text;
        self.logs[index].wait(WATCHDOG, is_it)
    }

    /// Returns the slot that a board read from its flash at its last start.
    pub(crate) fn went_on_from(&self, index: usize) -> u64 {
        let is_it = |line: &str| line.starts_with("goes on as ");
        let log = &self.logs[index];
        assert!(log.wait(WATCHDOG, is_it));
        let lines = log.read();
        let last = lines.iter().rev().find(|line| is_it(line));
        last.and_then(|line| number(line, "slot=")).unwrap()
    }

    /// Returns the leader that the others followed last.
    pub(crate) fn leader(&self) -> usize {
        let followed = |log: &Arc<Log>| {
            let lines = log.read();
            let last = lines
                .iter()
                .rev()
                .find_map(|line| number(line, "follows NODE_"));
            last.and_then(|node| usize::try_from(node).ok())
        };
        let votes: Vec<usize> = self.logs.iter().filter_map(followed).collect();
        let count = |index: &usize| votes.iter().filter(|vote| *vote == index).count();
        (0..self.boards.len()).max_by_key(count).unwrap()
    }

    /// Returns the last logged counts of dropped frames of a board.
    pub(crate) fn dropped(&self, index: usize) -> Dropped {
        let mut dropped = Dropped::default();
        for line in self.logs[index].read() {
            let count = |name| number(&line, name).and_then(|count| u32::try_from(count).ok());
            if let (Some(damaged), Some(foreign)) = (count("damaged="), count("foreign=")) {
                dropped.damaged = damaged;
                dropped.foreign = foreign;
            }
        }
        dropped
    }

    fn logs(&self) -> impl Iterator<Item = &Log> {
        let boards = self.logs.iter().map(|log| &**log);
        boards.take(self.boards.len()).chain(self.host.as_deref())
    }

    /// Waits until all nodes have logged their progress at a slot; returns false after the time limit.
    pub(crate) fn all_at(&self, slot: u64) -> bool {
        let is_it = |line: &str| number(line, "slot=") == Some(slot);
        let boards = (0..self.boards.len()).filter(|board| !self.gone.contains(board));
        let mut logs = boards
            .map(|board| &*self.logs[board])
            .chain(self.host.as_deref());
        logs.all(|log| log.wait(WATCHDOG / 6, is_it))
    }

    /// Waits until the host node has applied a slot; returns false after the time limit.
    pub(crate) fn host_is_at(&self, slot: u64) -> bool {
        let is_it = |line: &str| number(line, "slot=").is_some_and(|applied| applied >= slot);
        let host = self.host.as_deref();
        host.is_some_and(|log| log.wait(WATCHDOG / 6, is_it))
    }

    /// Asserts that no two nodes ever logged different digests for a slot.
    pub(crate) fn assert_one_log(&self) {
        let mut known = BTreeMap::new();
        for (slot, chain) in self.logs().flat_map(Log::chains) {
            let known = known.entry(slot).or_insert_with(|| chain.clone());
            assert_eq!(*known, chain, "at slot {slot}");
        }
        assert!(!known.is_empty());
    }
}

impl Drop for BoardCluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for index in 0..self.boards.len() {
                let lines = self.logs[index].read();
                let from = lines.len().saturating_sub(20);
                let board = self.boards.board(index).unwrap();
                eprintln!("board {index}, {}:\n{:#?}", board.name(), &lines[from..]);
            }
        }
    }
}
