//! The serial line between boards: one socket for each, and frames that go where they are addressed.
//!
//! It is a line, not a network: it knows of a frame only where its address is, and may be told to garble what it carries.

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

/// Which bytes of a frame are the addresses of its sender and of its recipient.
const FROM: usize = 6;
const TO: usize = 7;

/// How many frames wait for one end before more are dropped. A line never stops who sends.
const QUEUE: usize = 256;

/// A hub to which boards and programs of the host are connected.
#[derive(Debug)]
pub struct Hub {
    folder: PathBuf,
    lines: Arc<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Who is connected, by address: what is sent to it, as bytes of the line.
    ends: Mutex<BTreeMap<u8, SyncSender<Vec<u8>>>>,
    noise: Mutex<Option<Noise>>,
    /// Between which two addresses nothing is carried, the lower one first.
    cuts: Mutex<BTreeSet<(u8, u8)>>,
}

impl Hub {
    /// A hub nobody is connected to. Its sockets are in a folder of their own, which goes with it.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn new(name: &str) -> Result<Self, Failure> {
        // Not in the target directory: the path of a socket is short.
        let folder = std::env::temp_dir().join(format!("synod-{}-{name}", process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        Ok(Self {
            folder,
            lines: Arc::default(),
        })
    }

    /// A folder for whatever belongs to what is connected here.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The socket for the board of an address. It may connect, go, and connect again.
    ///
    /// # Errors
    ///
    /// The socket cannot be made.
    pub fn socket(&self, address: u8) -> Result<PathBuf, Failure> {
        let path = self.folder.join(format!("line-{address}"));
        let listener = UnixListener::bind(&path)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let lines = Arc::clone(&self.lines);
        // It ends with the process: a listener has no other end.
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                lines.connect(address, stream);
            }
        });
        Ok(path)
    }

    /// Connects a program of the host under an address. Dropped, it is disconnected.
    pub fn end(&self, address: u8) -> End {
        let (sender, received) = mpsc::sync_channel(QUEUE);
        self.lines.ends().insert(address, sender);
        End {
            address,
            line: Line::default(),
            rest: Vec::new().into_iter(),
            received,
            lines: Arc::clone(&self.lines),
        }
    }

    /// From now on nothing is carried between two addresses. Whether it was until now.
    pub fn cut(&self, one: u8, other: u8) -> bool {
        lock(&self.lines.cuts).insert(pair(one, other))
    }

    /// From now on everything is carried again between two addresses. Whether it was not until now.
    pub fn mend(&self, one: u8, other: u8) -> bool {
        lock(&self.lines.cuts).remove(&pair(one, other))
    }

    /// Between which two addresses nothing is carried, the lower one first.
    pub fn cuts(&self) -> Vec<(u8, u8)> {
        lock(&self.lines.cuts).iter().copied().collect()
    }

    /// From now on what is carried is garbled: by a generator of this seed, and with frames of others in between.
    pub fn garble(&self, seed: u64, foreign: Vec<Vec<u8>>) {
        *lock(&self.lines.noise) = Some(Noise::new(seed, foreign));
    }

    /// From now on nothing is garbled. How many frames were since [`Hub::garble`].
    pub fn clear(&self) -> u32 {
        lock(&self.lines.noise)
            .take()
            .map_or(0, |noise| noise.struck())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // What is left of it is in the way of nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Lines {
    fn ends(&self) -> MutexGuard<'_, BTreeMap<u8, SyncSender<Vec<u8>>>> {
        lock(&self.ends)
    }

    /// Carries what a board says until it goes.
    fn connect(&self, address: u8, stream: UnixStream) {
        let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(QUEUE);
        let Ok(mut writer) = stream.try_clone() else {
            return;
        };
        // Apart from what reads: a board that does not listen for a while must not stop the others.
        let writing = thread::spawn(move || {
            for bytes in receiver {
                if writer.write_all(&bytes).is_err() {
                    break;
                }
            }
            // It is gone already, or goes now.
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

    /// Carries a frame to whom it is addressed. Who is not there, or does not keep up, misses it.
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

/// A program of the host that is connected to a hub.
#[derive(Debug)]
pub struct End {
    address: u8,
    line: Line,
    /// Bytes that arrived and were not looked at.
    rest: std::vec::IntoIter<u8>,
    received: Receiver<Vec<u8>>,
    lines: Arc<Lines>,
}

impl End {
    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        self.lines.carry(frame);
    }

    /// The next frame, or `None` where none arrives for so long.
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

impl Drop for End {
    fn drop(&mut self) {
        self.lines.ends().remove(&self.address);
    }
}

fn pair(one: u8, other: u8) -> (u8, u8) {
    (one.min(other), one.max(other))
}

/// A thread that panicked has left nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
