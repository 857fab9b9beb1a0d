//! A cluster of boards on a serial bus, with control of their power and access to their logs.

use crate::Failure;
use crate::image::{self, Board};
use crate::log_decoder::{Dictionary, Line};
use crate::qemu::{self, Running};
use crate::serial_bus::SerialBus;
use core::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use synod::NODES_MAX;

/// An event from a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardOutput {
    /// A line of its log.
    Line(Line),
    /// The end of its log: the program has ended, or the power was cut.
    End,
    /// The log cannot be decoded any further.
    Lost(Failure),
}

type Listener = Arc<dyn Fn(usize, BoardOutput) + Send + Sync>;

/// Three boards, one of each kind, on a serial bus, and those that were added later.
pub struct BoardCluster {
    // Declared before the bus, so that the boards are dropped first.
    places: Vec<Place>,
    bus: SerialBus,
    size: u16,
    program: String,
    /// The folder of the flash files.
    flash: PathBuf,
    listener: Listener,
}

/// The number of boards of a new cluster.
pub const BOARDS: u8 = 3;

/// Returns the kind of a board with a number: each kind in turn.
pub fn kind(index: usize) -> Board {
    let [first, ..] = Board::ALL;
    let mut kinds = Board::ALL
        .into_iter()
        .cycle()
        .skip(index % Board::ALL.len());
    kinds.next().unwrap_or(first)
}

struct Place {
    board: Board,
    image: PathBuf,
    flash: PathBuf,
    socket: PathBuf,
    running: Option<(Running, JoinHandle<()>)>,
}

impl fmt::Debug for BoardCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoardCluster")
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

impl BoardCluster {
    /// Creates the boards of a cluster with `size` founding members, all of them off. Their flash is in a temporary
    /// folder, or in `flash`, which is kept: then boards that were added before are there as well.
    ///
    /// # Errors
    ///
    /// Returns an error if the program cannot be built, or a socket cannot be created.
    pub fn new(
        (name, program): (&str, &str),
        size: u16,
        flash: Option<&Path>,
        listen: impl Fn(usize, BoardOutput) + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let bus = SerialBus::new(name)?;
        let flash = flash.unwrap_or_else(|| bus.folder()).to_path_buf();
        let mut cluster = Self {
            places: Vec::new(),
            bus,
            size,
            program: program.to_owned(),
            flash,
            listener: Arc::new(listen),
        };
        while cluster.len() < usize::from(BOARDS) || cluster.flash_of(cluster.len()).exists() {
            cluster.add()?;
        }
        Ok(cluster)
    }

    /// Adds a board with the next number, which no board ever had, and returns the number. The board is off.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no more numbers, the program cannot be built, or a socket cannot be created.
    pub fn add(&mut self) -> Result<u8, Failure> {
        let index = self.places.len();
        let number = u8::try_from(index).ok();
        let number = number.filter(|number| u16::from(*number) < NODES_MAX);
        let number = number.ok_or_else(|| {
            Failure::new(format!(
                "there are no more numbers for boards: a cluster has {NODES_MAX} in its life"
            ))
        })?;
        let board = kind(index);
        self.places.push(Place {
            board,
            image: image::firmware(board, &self.program)?,
            flash: self.flash_of(index),
            socket: self.bus.socket(number)?,
            running: None,
        });
        Ok(number)
    }

    fn flash_of(&self, index: usize) -> PathBuf {
        self.flash.join(format!("flash-{index}"))
    }

    /// Returns the bus.
    pub fn bus(&self) -> &SerialBus {
        &self.bus
    }

    /// Returns the number of founding members of the cluster.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Returns the number of boards.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there are no boards.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the kind of a board.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such board.
    pub fn board(&self, index: usize) -> Result<Board, Failure> {
        Ok(self.place(index)?.board)
    }

    /// True if a board was ever on, even if its flash was erased since: it is not new.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such board.
    pub fn has_flash(&self, index: usize) -> Result<bool, Failure> {
        Ok(self.place(index)?.flash.exists())
    }

    /// Powers on a board, with additional arguments.
    ///
    /// # Errors
    ///
    /// Returns an error if it is on, or does not start.
    pub fn switch_on(&mut self, index: usize, words: &[&str]) -> Result<(), Failure> {
        let (size, listener) = (self.size.to_string(), Arc::clone(&self.listener));
        let place = self.place_mut(index)?;
        if place.running.is_some() {
            return Err(Failure::new(format!("board {index} is on")));
        }
        let (node, flash) = (index.to_string(), place.flash.display().to_string());
        let words = [&[node.as_str(), size.as_str(), "6", &flash], words].concat();
        let mut command = qemu::bare(place.board, &place.image, &words);
        command.arg("-serial");
        command.arg(format!("unix:{}", place.socket.display()));
        let (running, stream) = Running::start(command)?;
        let image = place.image.clone();
        let reader = thread::spawn(move || {
            let each = |line| listener(index, BoardOutput::Line(line));
            if let Err(failure) = read(&image, stream, each) {
                listener(index, BoardOutput::Lost(failure));
            }
            listener(index, BoardOutput::End);
        });
        place.running = Some((running, reader));
        Ok(())
    }

    /// Cuts the power of a board.
    ///
    /// # Errors
    ///
    /// Returns an error if it is off.
    pub fn switch_off(&mut self, index: usize) -> Result<(), Failure> {
        let (running, reader) = self.take(index)?;
        drop(running);
        let _ = reader.join();
        Ok(())
    }

    /// True if a board has power, even if its program has ended.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such board.
    pub fn is_on(&self, index: usize) -> Result<bool, Failure> {
        Ok(self.place(index)?.running.is_some())
    }

    /// Returns the exit code of a program that has ended, and switches its board off.
    ///
    /// # Errors
    ///
    /// Returns an error if the board is off, or was killed.
    pub fn code(&mut self, index: usize) -> Result<i32, Failure> {
        let (mut running, reader) = self.take(index)?;
        let _ = reader.join();
        running.code()
    }

    /// Erases the flash of a board. The file stays, as that of a board that was on before.
    ///
    /// # Errors
    ///
    /// Returns an error if it is on, or was never on.
    pub fn erase(&self, index: usize) -> Result<(), Failure> {
        let place = self.place(index)?;
        if place.running.is_some() {
            return Err(Failure::new(format!("board {index} is on")));
        }
        let erased = File::options()
            .write(true)
            .truncate(true)
            .open(&place.flash);
        erased
            .map(|_| ())
            .map_err(|error| Failure::new(format!("{}: {error}", place.flash.display())))
    }

    fn take(&mut self, index: usize) -> Result<(Running, JoinHandle<()>), Failure> {
        let off = || Failure::new(format!("board {index} is off"));
        self.place_mut(index)?.running.take().ok_or_else(off)
    }

    fn place(&self, index: usize) -> Result<&Place, Failure> {
        self.places.get(index).ok_or_else(|| none(index))
    }

    fn place_mut(&mut self, index: usize) -> Result<&mut Place, Failure> {
        self.places.get_mut(index).ok_or_else(|| none(index))
    }
}

fn none(index: usize) -> Failure {
    Failure::new(format!("there is no board {index}"))
}

/// Decodes a log to its end.
fn read(image: &Path, mut stream: ChildStdout, mut each: impl FnMut(Line)) -> Result<(), Failure> {
    let dictionary = Dictionary::of(image)?;
    let mut decoder = dictionary.decoder();
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        decoder.receive(bytes.get(..read).unwrap_or_default(), &mut each)?;
    }
    Ok(())
}
