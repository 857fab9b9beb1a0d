//! How deep stacks were: those of simulations, and those of three boards that are a cluster. The runtime paints the stack
//! before a program starts.

use super::read;
use crate::Failure;
use crate::decode::Dictionary;
use crate::hub::{End, Hub};
use crate::image::Board;
use crate::qemu::{self, Running};
use core::time::Duration;
use example_firmware::configurations::Settable;
use example_firmware::line::MTU;
use example_firmware::member::{self, Machine, PAGE};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::thread;
use synod::wire::{CLIENT, Frames};
use synod::{ClientId, Envelope, Message, NodeId, Outcome, Proposal, RequestKey, RequestNumber};

/// The word that the runtime paints with.
const PAINT: [u8; 4] = 0xCCCC_CCCC_u32.to_le_bytes();

/// The bytes of stack that simulations took on a board.
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
        .ok_or_else(|| Failure::new("simulate does not say how deep its stack was"))
}

/// How many commands a cluster decides in each of its lives.
const COMMANDS: u32 = 200;
/// How long a board may be silent before another one is asked, and how often that may be.
const PATIENCE: Duration = Duration::from_millis(700);
const TRIES: u32 = 100;

/// The bytes of stack that a cluster's boards took, from the smallest to the largest board: with new flash, or with flash that
/// they had been started from, whichever is more.
pub(super) fn node() -> Result<[u64; 3], Failure> {
    let hub = Hub::new("budget")?;
    let mut places = Vec::new();
    for (address, board) in (0..).zip(Board::ALL) {
        places.push(Place {
            board,
            address,
            line: hub.socket(address)?,
            folder: hub.folder().into(),
        });
    }
    let mut client = Client::new(hub.end(u8::try_from(CLIENT.0).unwrap_or(u8::MAX)));
    let mut deepest = [0; 3];
    for life in ["new", ""] {
        let mut running = Vec::new();
        for place in &places {
            running.push(place.start(life)?);
        }
        for _ in 0..COMMANDS {
            client.ask()?;
        }
        for (place, deepest) in places.iter().zip(&mut deepest) {
            *deepest = place.stack()?.max(*deepest);
        }
    }
    Ok(deepest)
}

/// Where a board is.
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

    /// Switches it on. A new one is to begin; another one finds itself in its flash.
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
        thread::spawn(move || swallow(log));
        Ok(running)
    }

    /// The bytes of stack that it has taken since it was started.
    fn stack(&self) -> Result<u64, Failure> {
        let (_, elf) = read(self.board, "node")?;
        let (end, start) = elf.stack;
        let file = self.folder.join(format!("stack-{}", self.address));
        save(&self.monitor(), end, start - end, &file)
            .map_err(|error| Failure::new(format!("QEMU does not show the stack: {error}")))?;
        let bytes = fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        let words = bytes.as_chunks().0.iter();
        let painted = words.take_while(|word| **word == PAINT).count();
        Ok(start - end - 4 * u64::try_from(painted).unwrap_or(u64::MAX))
    }
}

/// Takes what a board logs, so that it need not wait.
fn swallow(mut log: ChildStdout) {
    let mut bytes = [0; 4096];
    while log.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// Has QEMU write memory to a file.
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

/// A client that asks one thing after the other.
struct Client {
    end: End,
    frames: Frames<Machine, PAGE, MTU>,
    cluster: u32,
    at: u16,
    id: Option<ClientId>,
    asked: u32,
}

impl Client {
    fn new(end: End) -> Self {
        let cluster = member::Member::fingerprint_of(&member::config(NodeId(0), 3));
        Self {
            end,
            frames: Frames::new(cluster),
            cluster,
            at: 0,
            id: None,
            asked: 0,
        }
    }

    /// Has the next command applied, in a session that is opened where there is none.
    fn ask(&mut self) -> Result<(), Failure> {
        let client = match self.id {
            Some(client) => client,
            None => match self.say(Proposal::Register { nonce: 6 })? {
                Outcome::Registered { client } => *self.id.insert(client),
                other => return Err(Failure::new(format!("no session: {other:?}"))),
            },
        };
        self.asked += 1;
        let number = RequestNumber(self.asked);
        let command = Machine::set(u16::try_from(self.asked % 8).unwrap_or(0), self.asked);
        let request = Proposal::Request {
            client,
            number,
            command,
        };
        match self.say(request)? {
            Outcome::Applied { .. } => Ok(()),
            other => Err(Failure::new(format!(
                "a command was not applied: {other:?}"
            ))),
        }
    }

    /// Says something to one board after the other, until one answers.
    fn say(
        &mut self,
        proposal: Proposal<<Machine as synod::StateMachine>::Command>,
    ) -> Result<Outcome<<Machine as synod::StateMachine>::Output>, Failure> {
        let key = proposal
            .key()
            .ok_or_else(|| Failure::new("nothing is asked"))?;
        for _ in 0..TRIES {
            let envelope = Envelope {
                cluster: self.cluster,
                from: CLIENT,
                to: NodeId(self.at),
                message: Message::Request { proposal },
            };
            let mut buffer = [0; MTU];
            if let Ok(len) = self.frames.encode(&envelope, &mut buffer) {
                self.end.send(buffer.get(..len).unwrap_or_default());
            }
            if let Some(outcome) = self.hear(key) {
                return Ok(outcome);
            }
            self.at = (self.at + 1) % 3;
        }
        Err(Failure::new("a cluster of three boards does not answer"))
    }

    /// The answer; `None` where there is none, or the board is busy.
    fn hear(
        &mut self,
        key: RequestKey,
    ) -> Option<Outcome<<Machine as synod::StateMachine>::Output>> {
        loop {
            let frame = self.end.receive(PATIENCE)?;
            if let Ok(envelope) = self.frames.decode(&frame)
                && let Message::Response {
                    key: of, outcome, ..
                } = envelope.message
                && of == key
            {
                return (outcome != Outcome::Busy).then_some(outcome);
            }
        }
    }
}
