//! The links between nodes. Each node reaches each other one through an address of its own, at which a thread of the
//! driver takes the connection and passes on its bytes: late, slowly, in part, or not at all.

mod hello;
mod pump;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A link: from a node to another one.
pub type Link = (u16, u16);

/// What strikes a link. The default is a link that works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Connections are torn, and new ones are not taken.
    pub refused: bool,
    /// Connections stay, but no byte passes.
    pub withheld: bool,
    /// How late bytes are.
    pub delay: Duration,
    /// How many bytes pass in a second; 0 for any number.
    pub bytes_per_second: u64,
    /// How often a connection is torn in the middle of what passes: once in so many pieces. 0 for never.
    pub torn_once_in: u64,
}

impl Effect {
    /// Returns the effect of both.
    fn and(self, other: Self) -> Self {
        let least = |one: u64, other: u64| match (one, other) {
            (0, other) => other,
            (one, 0) => one,
            (one, other) => one.min(other),
        };
        Self {
            refused: self.refused || other.refused,
            withheld: self.withheld || other.withheld,
            delay: self.delay.max(other.delay),
            bytes_per_second: least(self.bytes_per_second, other.bytes_per_second),
            torn_once_in: least(self.torn_once_in, other.torn_once_in),
        }
    }
}

/// What the threads of a link share.
#[derive(Debug)]
struct Shared {
    /// Where the link begins, and where it leads.
    addresses: (SocketAddr, SocketAddr),
    /// Where the node at the end reaches the one at the beginning.
    back: SocketAddr,
    effect: Mutex<Effect>,
    clock: Clock,
    stop: Arc<AtomicBool>,
    /// The seed of the tears.
    seed: u64,
}

impl Shared {
    fn effect(&self) -> Effect {
        *lock(&self.effect)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// All links of a cluster.
#[derive(Debug)]
pub struct Links {
    by_nodes: BTreeMap<Link, Arc<Shared>>,
    /// What strikes at present.
    strikes: Mutex<BTreeMap<u64, (Vec<Link>, Effect)>>,
    stop: Arc<AtomicBool>,
}

/// Locks a mutex. A thread that panicked leaves its value as it is.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    /// Opens links. Each is given with where it begins, where it leads and where the way back begins.
    ///
    /// # Errors
    ///
    /// An address cannot be listened to.
    pub fn open(
        links: impl IntoIterator<Item = (Link, [SocketAddr; 3])>,
        seed: u64,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut opened = Self {
            by_nodes: BTreeMap::new(),
            strikes: Mutex::default(),
            stop: Arc::clone(&stop),
        };
        for (link, [begin, end, back]) in links {
            let listener = TcpListener::bind(begin)?;
            let shared = Arc::new(Shared {
                addresses: (begin, end),
                back,
                effect: Mutex::default(),
                clock: Clock::start(),
                stop: Arc::clone(&stop),
                seed: seed ^ (u64::from(link.0) << 16 | u64::from(link.1)),
            });
            opened.by_nodes.insert(link, Arc::clone(&shared));
            thread::spawn(move || accept(&listener, &shared));
        }
        Ok(opened)
    }

    /// Strikes links, until [`Links::heal`] is called with the same number.
    pub fn strike(&self, number: u64, links: Vec<Link>, effect: Effect) {
        lock(&self.strikes).insert(number, (links, effect));
        self.apply();
    }

    /// Ends a strike.
    pub fn heal(&self, number: u64) {
        lock(&self.strikes).remove(&number);
        self.apply();
    }

    /// Ends all strikes.
    pub fn heal_all(&self) {
        lock(&self.strikes).clear();
        self.apply();
    }

    fn apply(&self) {
        let strikes = lock(&self.strikes);
        for (link, shared) in &self.by_nodes {
            let here = strikes.values().filter(|(links, _)| links.contains(link));
            let effect = here.fold(Effect::default(), |sum, (_, effect)| sum.and(*effect));
            *lock(&shared.effect) = effect;
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for shared in self.by_nodes.values() {
            // Wakes up whoever accepts.
            let _ = TcpStream::connect(shared.addresses.0);
        }
    }
}

/// Takes the connections of a link.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_stopped() {
            return;
        }
        if let Ok(stream) = stream
            && !shared.effect().refused
        {
            let shared = Arc::clone(shared);
            thread::spawn(move || pump::run(stream, &shared));
        }
    }
}
