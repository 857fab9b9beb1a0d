//! A serial bus between boards and host programs: a socket for each board, and frames routed by their addresses.
//!
//! The bus knows only the address fields of a frame. It can cut links and garble frames.

mod noise;

use crate::Failure;
use core::time::Duration;
use example_firmware::serial_line::{self, Line};
use noise::Noise;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, process, thread};

/// The positions of the sender's and the recipient's address in a frame.
const FROM: usize = 6;
const TO: usize = 7;

/// The greatest number of frames that wait for one port before more are dropped. A sender is never blocked.
const QUEUE: usize = 256;

/// A bus that connects boards and host programs.
#[derive(Debug)]
pub struct SerialBus {
    folder: PathBuf,
    lines: Arc<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// The connected ports by address, as senders of stuffed frames.
    ends: Mutex<BTreeMap<u8, SyncSender<Vec<u8>>>>,
    noise: Mutex<Option<Noise>>,
    /// The cut links, as pairs of addresses with the lower one first.
    cuts: Mutex<BTreeSet<(u8, u8)>>,
}

impl SerialBus {
    /// Creates a bus without connections. Its sockets are in a temporary folder that is removed with it.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created.
    pub fn new(name: &str) -> Result<Self, Failure> {
        // Not in the target directory: the path of a socket must be short.
        let folder = std::env::temp_dir().join(format!("synod-{}-{name}", process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        Ok(Self {
            folder,
            lines: Arc::default(),
        })
    }

    /// Returns the temporary folder, for other files of the connected boards.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the socket for the board with an address. The board may disconnect and reconnect.
    ///
    /// # Errors
    ///
    /// Returns an error if the socket cannot be created.
    pub fn socket(&self, address: u8) -> Result<PathBuf, Failure> {
        let path = self.folder.join(format!("line-{address}"));
        let listener = UnixListener::bind(&path)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let lines = Arc::clone(&self.lines);
        // The thread ends with the process: a listener cannot be closed otherwise.
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                lines.connect(address, stream);
            }
        });
        Ok(path)
    }

    /// Connects a host program at an address until the port is dropped.
    pub fn end(&self, address: u8) -> Port {
        let (sender, received) = mpsc::sync_channel(QUEUE);
        self.lines.ends().insert(address, sender);
        Port {
            address,
            line: Line::default(),
            rest: Vec::new().into_iter(),
            received,
            lines: Arc::clone(&self.lines),
        }
    }

    /// Cuts the link between two addresses. Returns true if it was not cut before.
    pub fn cut(&self, one: u8, other: u8) -> bool {
        lock(&self.lines.cuts).insert(pair(one, other))
    }

    /// Restores the link between two addresses. Returns true if it was cut.
    pub fn restore(&self, one: u8, other: u8) -> bool {
        lock(&self.lines.cuts).remove(&pair(one, other))
    }

    /// Returns the cut links, as pairs of addresses with the lower one first.
    pub fn cuts(&self) -> Vec<(u8, u8)> {
        lock(&self.lines.cuts).iter().copied().collect()
    }

    /// Garbles frames from now on, with this seed, and inserts some of the `foreign` frames.
    pub fn garble(&self, seed: u64, foreign: Vec<Vec<u8>>) {
        *lock(&self.lines.noise) = Some(Noise::new(seed, foreign));
    }

    /// Stops garbling, and returns the number of frames garbled since [`SerialBus::garble`].
    pub fn clear(&self) -> u32 {
        lock(&self.lines.noise)
            .take()
            .map_or(0, |noise| noise.garbled())
    }
}

impl Drop for SerialBus {
    fn drop(&mut self) {
        // Leftover files are harmless.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Lines {
    fn ends(&self) -> MutexGuard<'_, BTreeMap<u8, SyncSender<Vec<u8>>>> {
        lock(&self.ends)
    }

    /// Carries the frames of a board until it disconnects.
    fn connect(&self, address: u8, stream: UnixStream) {
        let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(QUEUE);
        let Ok(mut writer) = stream.try_clone() else {
            return;
        };
        // Writing has its own thread: a board that does not read for a while must not block the others.
        let writing = thread::spawn(move || {
            for bytes in receiver {
                if writer.write_all(&bytes).is_err() {
                    break;
                }
            }
            // The board has disconnected already, or does so now.
            let _ = writer.shutdown(Shutdown::Both);
        });
        self.ends().insert(address, sender);
        let mut bytes = BufReader::new(stream).bytes();
        let mut line = Line::default();
        while let Some(frame) = line.receive(|| bytes.next()?.ok()) {
            self.carry(frame);
        }
        self.ends().remove(&address);
        let _ = writing.join();
    }

    /// Delivers a frame to its recipient. It is lost if the recipient is not connected or its queue is full.
    fn carry(&self, frame: &[u8]) {
        if let (Some(from), Some(to)) = (frame.get(FROM), frame.get(TO))
            && lock(&self.cuts).contains(&pair(*from, *to))
        {
            return;
        }
        let mut stuffed = Vec::new();
        serial_line::send(frame, |bytes| stuffed.extend_from_slice(bytes));
        if let Some(noise) = lock(&self.noise).as_mut() {
            noise.garble(&mut stuffed);
        }
        if let Some(end) = frame.get(TO).and_then(|to| self.ends().get(to).cloned()) {
            let _ = end.try_send(stuffed);
        }
    }
}

/// The connection of a host program to a bus.
#[derive(Debug)]
pub struct Port {
    address: u8,
    line: Line,
    /// Bytes received and not yet processed.
    rest: std::vec::IntoIter<u8>,
    received: Receiver<Vec<u8>>,
    lines: Arc<Lines>,
}

impl Port {
    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        self.lines.carry(frame);
    }

    /// Returns the next frame, or `None` if none arrives in time.
    pub fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.line.receive(|| self.rest.next()) {
                return Some(frame.to_vec());
            }
            match self.received.recv_timeout(patience) {
                Ok(bytes) => self.rest = bytes.into_iter(),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.lines.ends().remove(&self.address);
    }
}

fn pair(one: u8, other: u8) -> (u8, u8) {
    (one.min(other), one.max(other))
}

/// A panic while the lock is held leaves consistent data here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
