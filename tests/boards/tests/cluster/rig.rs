//! Boards on a line: to be switched on and off, and to be read.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use synod::wire::{CLIENT, Dropped};
use synod_boards::decode::Dictionary;
use synod_boards::hub::{End, Hub};
use synod_boards::image::{self, Board};
use synod_boards::qemu::{self, Running};

/// How many slots are between two lines about how far a node is.
pub(crate) const SLOTS_A_LINE: u64 = 64;
/// How long a board may take for anything.
const WATCHDOG: Duration = Duration::from_mins(1);

/// What a node has logged, in all of its lives.
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

    /// Waits for a line, that may be there already.
    fn wait(&self, patience: Duration, is_it: impl Fn(&str) -> bool) -> bool {
        let lines = self.lines.lock().unwrap();
        let missing = |lines: &mut (Vec<String>, bool)| !lines.0.iter().any(|line| is_it(line));
        let waited = self.news.wait_timeout_while(lines, patience, missing);
        !waited.unwrap().1.timed_out()
    }

    /// The chains that were told, by slot.
    fn chains(&self) -> Vec<(u64, String)> {
        let lines = self.read();
        let chains = lines.iter().filter_map(|line| {
            let slot = number(line, "slot=")?;
            Some((slot, line.split("chain=").nth(1)?.to_owned()))
        });
        chains.collect()
    }
}

/// The number behind a name in a line.
fn number(line: &str, name: &str) -> Option<u64> {
    let rest = line.split(name).nth(1)?;
    rest.split(' ').next()?.parse().ok()
}

struct Place {
    board: Board,
    image: PathBuf,
    flash: PathBuf,
    socket: PathBuf,
    running: Option<(Running, JoinHandle<()>)>,
    log: Arc<Log>,
}

/// Three boards, one of each kind, on a hub.
pub(crate) struct Rig {
    hub: Hub,
    size: u16,
    places: Vec<Place>,
    host: Option<Arc<Log>>,
}

impl Rig {
    /// Boards of a cluster of so many nodes, with new flash, all of them off.
    pub(crate) fn new(name: &str, program: &str, size: u16) -> Self {
        let hub = Hub::new(name).unwrap();
        let places = (0..).zip(Board::ALL).map(|(address, board)| Place {
            board,
            image: image::firmware(board, program).unwrap(),
            flash: hub.folder().join(format!("flash-{address}")),
            socket: hub.socket(address).unwrap(),
            running: None,
            log: Arc::default(),
        });
        let places = places.collect();
        Self {
            hub,
            size,
            places,
            host: None,
        }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What a client needs to know.
    pub(crate) fn client(&self) -> (End, u16) {
        let address = u8::try_from(CLIENT.0).unwrap();
        (self.hub.end(address), self.size)
    }

    /// Where a node on the host logs, which is held to the same.
    pub(crate) fn log_of_host(&mut self) -> Arc<Log> {
        Arc::clone(self.host.get_or_insert_default())
    }

    /// Switches all boards on for the first time.
    pub(crate) fn switch_on_all(&mut self) {
        for index in 0..self.places.len() {
            self.switch_on(index, &["new"]);
        }
    }

    /// Switches a board on, with words besides those that it is always given.
    pub(crate) fn switch_on(&mut self, index: usize, words: &[&str]) {
        let place = &mut self.places[index];
        let (node, size) = (index.to_string(), self.size.to_string());
        let flash = place.flash.to_str().unwrap();
        let words = [&[node.as_str(), size.as_str(), "6", flash], words].concat();
        let mut command = qemu::bare(place.board, &place.image, &words);
        command.arg("-serial");
        command.arg(format!("unix:{}", place.socket.display()));
        let (running, mut stream) = Running::start(command).unwrap();
        place.log.begin();
        let (log, image) = (Arc::clone(&place.log), place.image.clone());
        let reader = thread::spawn(move || {
            let dictionary = Dictionary::of(&image).unwrap();
            let mut decoder = dictionary.decoder();
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                let each = |line: synod_boards::decode::Line| log.say(line.text);
                decoder.receive(&bytes[..read], each).unwrap();
            }
            log.end();
        });
        place.running = Some((running, reader));
    }

    /// Cuts a board's power.
    pub(crate) fn switch_off(&mut self, index: usize) {
        let (running, reader) = self.places[index].running.take().unwrap();
        drop(running);
        reader.join().unwrap();
    }

    /// Takes all that a board has written, as if it had a new flash. It must be off.
    pub(crate) fn erase(&self, index: usize) {
        fs::remove_file(&self.places[index].flash).unwrap();
    }

    /// Whether a program has not ended by itself yet.
    pub(crate) fn is_on(&self, index: usize) -> bool {
        !self.places[index].log.has_ended()
    }

    /// The exit code of a program that has ended.
    pub(crate) fn code(&mut self, index: usize) -> i32 {
        let (mut running, reader) = self.places[index].running.take().unwrap();
        reader.join().unwrap();
        running.code().unwrap()
    }

    pub(crate) fn has_said(&self, index: usize, text: &str) -> bool {
        let is_it = |line: &str| line == text;
        self.places[index].log.wait(WATCHDOG, is_it)
    }

    /// The slot that a board had in its flash when it was switched on last.
    pub(crate) fn went_on_from(&self, index: usize) -> u64 {
        let is_it = |line: &str| line.starts_with("goes on as ");
        let log = &self.places[index].log;
        assert!(log.wait(WATCHDOG, is_it));
        let lines = log.read();
        let last = lines.iter().rev().find(|line| is_it(line));
        last.and_then(|line| number(line, "slot=")).unwrap()
    }

    /// The board that the others followed last.
    pub(crate) fn leader(&self) -> usize {
        let followed = |place: &Place| {
            let lines = place.log.read();
            let last = lines
                .iter()
                .rev()
                .find_map(|line| number(line, "follows NODE_"));
            last.and_then(|node| usize::try_from(node).ok())
        };
        let votes: Vec<usize> = self.places.iter().filter_map(followed).collect();
        let count = |index: &usize| votes.iter().filter(|vote| *vote == index).count();
        (0..self.places.len()).max_by_key(count).unwrap()
    }

    /// What a board has dropped, as it said last.
    pub(crate) fn dropped(&self, index: usize) -> Dropped {
        let mut dropped = Dropped::default();
        for line in self.places[index].log.read() {
            let count = |name| number(&line, name).and_then(|count| u32::try_from(count).ok());
            if let (Some(damaged), Some(foreign)) = (count("damaged="), count("foreign=")) {
                dropped.damaged = damaged;
                dropped.foreign = foreign;
            }
        }
        dropped
    }

    fn logs(&self) -> impl Iterator<Item = &Log> {
        let boards = self.places.iter().map(|place| &*place.log);
        boards.chain(self.host.as_deref())
    }

    /// Whether all nodes have said, or say soon, how it stands at a slot.
    pub(crate) fn all_at(&self, slot: u64) -> bool {
        let is_it = |line: &str| number(line, "slot=") == Some(slot);
        self.logs().all(|log| log.wait(WATCHDOG / 6, is_it))
    }

    /// No two nodes were told different things, in any of their lives.
    pub(crate) fn assert_one_log(&self) {
        let mut known = BTreeMap::new();
        for (slot, chain) in self.logs().flat_map(Log::chains) {
            let known = known.entry(slot).or_insert_with(|| chain.clone());
            assert_eq!(*known, chain, "at slot {slot}");
        }
        assert!(!known.is_empty());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if thread::panicking() {
            for (place, index) in self.places.iter().zip(0..) {
                let lines = place.log.read();
                let from = lines.len().saturating_sub(20);
                eprintln!(
                    "board {index}, {}:\n{:#?}",
                    place.board.name(),
                    &lines[from..]
                );
            }
        }
        self.places.clear();
        let _ = fs::remove_dir_all(self.hub.folder());
    }
}
