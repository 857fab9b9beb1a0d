//! Stack painting: the observed stack depth of simulations, and of three boards in a cluster. The runtime fills the
//! stack with a pattern before a program starts.

use super::read;
use crate::Failure;
use crate::host_client::HostClient;
use crate::image::Board;
use crate::log_decoder::Dictionary;
use crate::qemu::{self, Running};
use crate::serial_bus::SerialBus;
use core::time::Duration;
use example_firmware::configurations::Settable;
use example_firmware::member::Machine;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::thread;
use synod::NodeSet;
use synod::client::Address;

/// The word that the runtime fills the stack with.
const PAINT: [u8; 4] = 0xCCCC_CCCC_u32.to_le_bytes();

/// Returns the bytes of stack that simulations used on a board.
pub(super) fn simulate(board: Board) -> Result<u64, Failure> {
    let (image, _) = read(board, "simulate")?;
    let words = match board {
        Board::Microbit => ["small", "6..38", "stack"],
        Board::Lm3s6965evb => ["medium", "6..22", "stack"],
        Board::Mps2An386 => ["whole", "6..10", "stack"],
    };
    let finished = qemu::run(board, &image, &words)?;
    let lines = Dictionary::of(&image)?.decode(&finished.log)?;
    let last = lines
        .last()
        .and_then(|line| line.text.strip_prefix("stack="));
    last.and_then(|bytes| bytes.parse().ok())
        .ok_or_else(|| Failure::new("simulate does not report its stack depth"))
}

/// The number of commands that a cluster decides in each of its lives.
const COMMANDS: u32 = 200;
/// The time limit for a command.
const WATCHDOG: Duration = Duration::from_mins(1);

/// Returns the bytes of stack that the boards of a cluster used, from the smallest to the largest board: the greater
/// value of a start with new flash and a restart.
pub(super) fn node() -> Result<[u64; 3], Failure> {
    let bus = SerialBus::new("budget")?;
    let mut places = Vec::new();
    for (address, board) in (0..).zip(Board::ALL) {
        places.push(Place {
            board,
            address,
            line: bus.socket(address)?,
            folder: bus.folder().into(),
        });
    }
    let address = Address::FIRST;
    // There is only one client.
    let nonce = 6;
    let mut client = HostClient::<Machine>::new(
        (bus.end(address.byte()), 3),
        NodeSet::first(3),
        address,
        nonce,
    )?;
    let mut deepest = [0; 3];
    for life in ["new", ""] {
        let mut running = Vec::new();
        for place in &places {
            running.push(place.start(life)?);
        }
        for number in 0..COMMANDS {
            let key = u16::try_from(number % 8).unwrap_or(0);
            client.ask(Machine::set(key, number), WATCHDOG)?;
        }
        for (place, deepest) in places.iter().zip(&mut deepest) {
            *deepest = place.stack()?.max(*deepest);
        }
    }
    Ok(deepest)
}

/// The files of a board.
struct Place {
    board: Board,
    address: u8,
    line: PathBuf,
    folder: PathBuf,
}

impl Place {
    fn monitor(&self) -> PathBuf {
        self.folder.join(format!("monitor-{}", self.address))
    }

    /// Powers on a board. It must log `life`: a board with new flash begins, and another one resumes.
    fn start(&self, life: &str) -> Result<Running, Failure> {
        let (image, _) = read(self.board, "node")?;
        let flash = self.folder.join(format!("flash-{}", self.address));
        let (address, flash) = (self.address.to_string(), flash.display().to_string());
        let mut words = vec![address.as_str(), "3", "6", &flash];
        words.extend((!life.is_empty()).then_some(life));
        let mut command = qemu::bare(self.board, &image, &words);
        command.args(["-serial", &format!("unix:{}", self.line.display())]);
        let monitor = self.monitor();
        command.args([
            "-qmp",
            &format!("unix:{},server=on,wait=off", monitor.display()),
        ]);
        let (running, log) = Running::start(command)?;
        thread::spawn(move || discard(log));
        Ok(running)
    }

    /// Returns the bytes of stack used since the start.
    fn stack(&self) -> Result<u64, Failure> {
        let (_, elf) = read(self.board, "node")?;
        let (end, start) = elf.stack;
        let file = self.folder.join(format!("stack-{}", self.address));
        save(&self.monitor(), end, start - end, &file)
            .map_err(|error| Failure::new(format!("QEMU cannot save the stack: {error}")))?;
        let bytes = fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        let words = bytes.as_chunks().0.iter();
        let painted = words.take_while(|word| **word == PAINT).count();
        Ok(start - end - 4 * u64::try_from(painted).unwrap_or(u64::MAX))
    }
}

/// Discards the log of a board, so that the board never waits for a reader.
fn discard(mut log: ChildStdout) {
    let mut bytes = [0; 4096];
    while log.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// Makes QEMU write a range of memory to a file.
fn save(monitor: &Path, address: u64, size: u64, file: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(monitor)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let file = file.display();
    writeln!(stream, "{{\"execute\": \"qmp_capabilities\"}}")?;
    writeln!(
        stream,
        "{{\"execute\": \"memsave\", \"arguments\": {{\"val\": {address}, \"size\": {size}, \"filename\": \"{file}\"}}}}"
    )?;
    let mut done = 0;
    while done < 2 {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 || line.starts_with("{\"error\"") {
            return Err(io::Error::other(line));
        }
        done += u32::from(line.starts_with("{\"return\""));
    }
    Ok(())
}
