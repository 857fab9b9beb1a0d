//! One connection over a link. Frames go one way, so that only the end of the other way is looked at.

use super::{Effect, Shared, hello};
use crate::random::Random;
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

/// How often a connection looks at what strikes it.
const LOOK: Duration = Duration::from_millis(20);
/// How much is read at a time, in bytes.
const PIECE: usize = 16 * 1024;
/// How many pieces may be on their way. More are left in the buffers of the system.
const PIECES_MAX: usize = 256;

/// Bytes on their way.
struct Pump<'a> {
    from: TcpStream,
    to: TcpStream,
    shared: &'a Shared,
    /// Pieces, each with the time at which it is due.
    pieces: VecDeque<(Duration, Vec<u8>)>,
    /// When the last piece is due.
    last: Duration,
    /// The bytes of the hello that have arrived; `None` when it is complete.
    greeting: Option<Vec<u8>>,
    random: Random,
}

/// Passes on the bytes of a connection until one side ends it.
pub(super) fn run(from: TcpStream, shared: &Shared) {
    let Ok(to) = TcpStream::connect_timeout(&shared.addresses.1, Duration::from_secs(1)) else {
        return;
    };
    let _ = to.set_nodelay(true);
    let (Ok(watched), Ok(other)) = (to.try_clone(), from.try_clone()) else {
        return;
    };
    // A node that ends is noticed by the one that has dialled, as without a proxy.
    thread::spawn(move || {
        let mut watched = watched;
        while watched.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        close(&watched, &other);
    });
    let mut pump = Pump {
        random: Random::new(shared.seed, shared.clock.micros()),
        from,
        to,
        shared,
        pieces: VecDeque::new(),
        last: Duration::ZERO,
        greeting: Some(Vec::new()),
    };
    while pump.step().is_some() {}
    close(&pump.from, &pump.to);
}

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

impl Pump<'_> {
    /// Reads once and sends what is due. Returns `None` when the connection has ended.
    fn step(&mut self) -> Option<()> {
        let effect = self.shared.effect();
        if effect.refused || self.shared.is_stopped() {
            return None;
        }
        if effect.withheld {
            thread::sleep(LOOK);
            return Some(());
        }
        let now = self.shared.clock.elapsed();
        if effect.delay.is_zero() && effect.bytes_per_second == 0 {
            // What a strike has held back passes when it has ended.
            self.last = now;
            for (due, _) in &mut self.pieces {
                *due = now;
            }
        }
        if self.pieces.len() >= PIECES_MAX {
            thread::sleep(Duration::from_millis(1));
        } else {
            let due = self.pieces.front().map(|(due, _)| *due);
            let wait = due.map_or(LOOK, |due| due.saturating_sub(now).min(LOOK));
            self.read(effect, wait.max(Duration::from_micros(100)))?;
        }
        self.send()
    }

    fn read(&mut self, effect: Effect, wait: Duration) -> Option<()> {
        let mut piece = vec![0; PIECE];
        self.from.set_read_timeout(Some(wait)).ok()?;
        match self.from.read(&mut piece) {
            Ok(0) => {
                // What is on its way still arrives, as in the buffers of the system.
                for (_, piece) in self.pieces.drain(..) {
                    self.to.write_all(&piece).ok()?;
                }
                None
            }
            Ok(count) => {
                piece.truncate(count);
                let piece = self.translated(piece);
                if !piece.is_empty() {
                    self.take(effect, piece)?;
                }
                Some(())
            }
            Err(error) if is_patience(error.kind()) => Some(()),
            Err(_) => None,
        }
    }

    /// Replaces the address in the first frame, for which it waits.
    fn translated(&mut self, piece: Vec<u8>) -> Vec<u8> {
        let Some(greeting) = &mut self.greeting else {
            return piece;
        };
        greeting.extend(piece);
        let Some((hello, len)) = hello::translate(greeting, self.shared.back) else {
            return Vec::new();
        };
        let rest = greeting.split_off(len);
        self.greeting = None;
        [hello, rest].concat()
    }

    /// Takes a piece on its way.
    fn take(&mut self, effect: Effect, piece: Vec<u8>) -> Option<()> {
        if effect.torn_once_in > 0 && self.random.below(effect.torn_once_in) == 0 {
            let half = piece.get(..piece.len() / 2)?;
            let _ = self.to.write_all(half);
            return None;
        }
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let takes = (len * 1_000_000).checked_div(effect.bytes_per_second);
        let arrives = self.shared.clock.elapsed() + effect.delay;
        // Bytes do not overtake each other.
        self.last = self.last.max(arrives) + Duration::from_micros(takes.unwrap_or(0));
        self.pieces.push_back((self.last, piece));
        Some(())
    }

    /// Sends the pieces that are due.
    fn send(&mut self) -> Option<()> {
        let now = self.shared.clock.elapsed();
        while self.pieces.front().is_some_and(|(due, _)| *due <= now) {
            let (_, piece) = self.pieces.pop_front()?;
            self.to.write_all(&piece).ok()?;
        }
        Some(())
    }
}

/// True if nothing has arrived in time.
fn is_patience(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
