//! Boards on a line: to be switched on and off, and to be heard.

use crate::Failure;
use crate::image::{self, Board};
use crate::log_decoder::{Dictionary, Line};
use crate::qemu::{self, Running};
use crate::serial_bus::Hub;
use core::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// What a board lets be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line of its log.
    Line(Line),
    /// Its program has ended, or its power was cut.
    End,
    /// Its log cannot be read any more.
    Lost(Failure),
}

type Listener = Arc<dyn Fn(usize, Heard) + Send + Sync>;

/// Three boards, one of each kind, on a hub.
pub struct Rig {
    // Ahead of the hub: whoever is connected goes first.
    places: Vec<Place>,
    hub: Hub,
    size: u16,
    listener: Listener,
}

struct Place {
    board: Board,
    image: PathBuf,
    flash: PathBuf,
    socket: PathBuf,
    running: Option<(Running, JoinHandle<()>)>,
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

impl Rig {
    /// Boards of a cluster of so many nodes, all of them off. Their flash is in a folder of its own that goes with the rig, or
    /// in another one that stays.
    ///
    /// # Errors
    ///
    /// The program was not built, or a socket cannot be made.
    pub fn new(
        (name, program): (&str, &str),
        size: u16,
        flash: Option<&Path>,
        listen: impl Fn(usize, Heard) + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let hub = Hub::new(name)?;
        let folder = flash.unwrap_or_else(|| hub.folder());
        let mut places = Vec::new();
        for (address, board) in (0..).zip(Board::ALL) {
            places.push(Place {
                board,
                image: image::firmware(board, program)?,
                flash: folder.join(format!("flash-{address}")),
                socket: hub.socket(address)?,
                running: None,
            });
        }
        Ok(Self {
            places,
            hub,
            size,
            listener: Arc::new(listen),
        })
    }

    /// The line.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// How many nodes the cluster has.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// How many boards there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What kind of board is at a place.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn board(&self, index: usize) -> Result<Board, Failure> {
        Ok(self.place(index)?.board)
    }

    /// Whether a board has flash that was written to.
    ///
    /// # Errors
    ///
    /// There is no such board.
    pub fn has_flash(&self, index: usize) -> Result<bool, Failure> {
        Ok(self.place(index)?.flash.exists())
    }

    /// Switches a board on, with words besides those that it is always given.
    ///
    /// # Errors
    ///
    /// It is on, or did not start.
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
            let each = |line| listener(index, Heard::Line(line));
            if let Err(failure) = read(&image, stream, each) {
                listener(index, Heard::Lost(failure));
            }
            listener(index, Heard::End);
        });
        place.running = Some((running, reader));
        Ok(())
    }

    /// Cuts a board's power.
    ///
    /// # Errors
    ///
    /// It is off.
    pub fn switch_off(&mut self, index: usize) -> Result<(), Failure> {
        let (running, reader) = self.take(index)?;
        drop(running);
        let _ = reader.join();
        Ok(())
    }

    /// Whether a board has power. Its program may have ended all the same.
    ///
    /// # Errors
    ///
    /// There is no such board.
    pub fn is_on(&self, index: usize) -> Result<bool, Failure> {
        Ok(self.place(index)?.running.is_some())
    }

    /// The exit code of a program that has ended. The board is off then.
    ///
    /// # Errors
    ///
    /// It is off, or was killed.
    pub fn code(&mut self, index: usize) -> Result<i32, Failure> {
        let (mut running, reader) = self.take(index)?;
        let _ = reader.join();
        running.code()
    }

    /// Takes all that a board has written, as if it had a new flash.
    ///
    /// # Errors
    ///
    /// It is on, or has written nothing.
    pub fn erase(&self, index: usize) -> Result<(), Failure> {
        let place = self.place(index)?;
        if place.running.is_some() {
            return Err(Failure::new(format!("board {index} is on")));
        }
        fs::remove_file(&place.flash)
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

/// Reads a log to its end.
fn read(image: &Path, mut stream: ChildStdout, mut each: impl FnMut(Line)) -> Result<(), Failure> {
    let dictionary = Dictionary::of(image)?;
    let mut decoder = dictionary.decoder();
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        decoder.receive(bytes.get(..read).unwrap_or_default(), &mut each)?;
    }
    Ok(())
}
