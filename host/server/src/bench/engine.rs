//! The loop of a benchmark: it joins the schedule, the requests and the counts with sockets and the clock, on one thread.

use super::alarm::Alarm;
use super::connection::{Broken, Connection, PIECE};
use super::dialect::Dialect;
use super::plan::Plan;
use super::report::Summary;
use super::schedule::Schedule;
use super::tally::Tally;
use super::workload::Workload;
use crate::tls::Refusal;
use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use mio::{Events, Poll, Token};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};

/// The most events that are taken from the system at a time.
const EVENTS: usize = 1024;
/// How often connections are looked at that wait for long, and the progress is reported.
const LOOK: Duration = Duration::from_millis(50);
/// The error of a process that has as many files and connections as it may; none where it has another number.
const EMFILE: Option<i32> = if cfg!(unix) { Some(24) } else { None };

/// Why a benchmark has not begun.
#[derive(Debug)]
#[non_exhaustive]
pub enum BenchError {
    /// A server cannot be reached.
    Unreachable(SocketAddr, io::Error),
    /// A server has not answered for so long.
    Silent(SocketAddr, Duration),
    /// What answers does not speak this protocol.
    Stranger(SocketAddr, &'static str),
    /// A server does not take a connection, for this reason.
    Refused(SocketAddr, String),
    /// A server does not get through TLS.
    Tls(SocketAddr, Refusal),
    /// There are more clients than this process may have connections.
    TooManyClients(io::Error),
    /// There are no addresses.
    NoAddress,
    /// The system has refused what every benchmark needs.
    System(io::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(address, error) => write!(
                f,
                "{address}: {error}: start a server there, or name the address for clients of one that runs"
            ),
            Self::Silent(address, time) => write!(
                f,
                "{address} has not answered within {time:?}: look whether a server runs there, or wait for longer with --timeout"
            ),
            Self::Stranger(address, protocol) => write!(
                f,
                "{address}: what answers there does not speak {protocol}: name the port for clients"
            ),
            Self::Refused(address, reason) => write!(
                f,
                "{address} does not serve this client ({reason}): give the password, or use fewer clients"
            ),
            Self::Tls(address, refusal) => write!(f, "{address}: {refusal}"),
            Self::TooManyClients(error) => write!(
                f,
                "{error}: use fewer clients, or raise the number of files that a process may open (ulimit -n)"
            ),
            Self::NoAddress => f.write_str("there is no server to measure: name its address"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BenchError {}

/// How far a benchmark has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The time since the first request.
    pub elapsed: Duration,
    /// The number of requests that were done.
    pub done: u64,
    /// The number of requests that failed.
    pub failed: u64,
}

/// Who looks on while a benchmark runs.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Once it is set, the benchmark ends, with the figures so far.
    pub stop: &'a AtomicBool,
    /// Called several times a second.
    pub progress: &'a dyn Fn(Progress),
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Runs a benchmark. `dialect` makes what each connection speaks.
///
/// A connection that is lost while the benchmark runs is dialled again, at the next address, and the requests under way
/// have failed.
///
/// # Errors
///
/// [`BenchError`]: nothing was measured.
pub fn run<D: Dialect>(
    plan: &Plan,
    dialect: impl Fn() -> D,
    watch: Watch<'_>,
) -> Result<Summary, BenchError> {
    let mut engine = Engine::new(plan, dialect).map_err(BenchError::System)?;
    engine.connect(watch)?;
    engine.measure(watch).map_err(BenchError::System)
}

/// The clock of a benchmark. This is the only place where it is read.
#[derive(Clone, Copy, Debug)]
struct Clock(std::time::Instant);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark is where the clock is read"
    )]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Returns the time since the start.
    fn now(self) -> Duration {
        self.0.elapsed()
    }
}

/// A benchmark that runs.
struct Engine<'a, D, F> {
    plan: &'a Plan,
    dialect: F,
    poll: Poll,
    alarm: Alarm,
    clock: Clock,
    connections: Vec<Connection<D>>,
    /// Where each connection is dialled: an index into the addresses.
    targets: Vec<usize>,
    /// The connections that can take a request, in the order in which they could.
    free: VecDeque<usize>,
    schedule: Schedule,
    workload: Workload,
    tally: Tally,
    scratch: Vec<u8>,
    /// The number of requests under way.
    under_way: usize,
    /// When a measured request was last answered.
    last_answer: Duration,
    /// When a connection was last ready.
    last_ready: Duration,
    looked: Duration,
}

impl<'a, D: Dialect, F: Fn() -> D> Engine<'a, D, F> {
    fn new(plan: &'a Plan, dialect: F) -> io::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), Token(plan.clients))?;
        let depth = plan.depth.max(1);
        let connection = |index| Connection::new(Token(index), dialect(), depth);
        let tally = Tally::new().ok_or(ErrorKind::OutOfMemory)?;
        Ok(Self {
            poll,
            alarm,
            clock: Clock::start(),
            connections: (0..plan.clients).map(connection).collect(),
            targets: (0..plan.clients).collect(),
            free: VecDeque::with_capacity(plan.clients),
            schedule: Schedule::new(plan),
            workload: Workload::new(plan),
            tally,
            scratch: vec![0; PIECE],
            under_way: 0,
            last_answer: Duration::ZERO,
            last_ready: Duration::ZERO,
            looked: Duration::ZERO,
            plan,
            dialect,
        })
    }

    /// Opens all connections.
    fn connect(&mut self, watch: Watch<'_>) -> Result<(), BenchError> {
        for index in 0..self.connections.len() {
            self.dial(index)
                .map_err(|broken| self.refused(index, broken))?;
        }
        let mut events = Events::with_capacity(EVENTS);
        while self.free.len() < self.connections.len() && !watch.stop.load(Ordering::Relaxed) {
            self.poll(&mut events, LOOK).map_err(BenchError::System)?;
            for event in &events {
                let index = event.token().0;
                self.on_event(index)
                    .map_err(|broken| self.refused(index, broken))?;
            }
            let now = self.clock.now();
            let late = self.connections.iter();
            let mut late = late.map(|connection| connection.is_overdue(now, self.plan.timeout));
            if let Some(index) = late.position(|is_overdue| is_overdue) {
                return Err(self.refused(index, Broken::Silent(self.plan.timeout)));
            }
        }
        Ok(())
    }

    /// Returns why a benchmark does not begin whose connection is of no use.
    fn refused(&self, index: usize, broken: Broken) -> BenchError {
        let Some(address) = self.address(index) else {
            return BenchError::NoAddress;
        };
        match broken {
            Broken::System(error) if EMFILE.is_some() && error.raw_os_error() == EMFILE => {
                BenchError::TooManyClients(error)
            }
            Broken::System(error) => BenchError::Unreachable(address, error),
            Broken::Silent(time) => BenchError::Silent(address, time),
            Broken::Refused(reason) => BenchError::Refused(address, reason),
            Broken::Tls(refusal) => BenchError::Tls(address, refusal),
            Broken::Garbled | Broken::HungUp => BenchError::Stranger(address, D::NAME),
        }
    }

    /// Returns the address at which a connection is dialled.
    fn address(&self, index: usize) -> Option<SocketAddr> {
        let target = self.targets.get(index)?;
        let target = target.checked_rem(self.plan.addresses.len())?;
        self.plan.addresses.get(target).copied()
    }

    fn dial(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.clock.now();
        let (Some(address), Some(connection)) =
            (self.address(index), self.connections.get_mut(index))
        else {
            return Err(Broken::HungUp);
        };
        connection.dial(now, address, self.poll.registry())
    }

    /// Makes requests until the schedule is over and all are answered or given up.
    fn measure(&mut self, watch: Watch<'_>) -> io::Result<Summary> {
        self.clock = Clock::start();
        self.connections.iter_mut().for_each(Connection::begin);
        (self.last_ready, self.looked) = (Duration::ZERO, Duration::ZERO);
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.begin_requests();
            let now = self.clock.now();
            if watch.stop.load(Ordering::Relaxed) {
                break;
            }
            if self.schedule.is_over(now) && self.under_way == 0 {
                break;
            }
            if self.is_hopeless(now) {
                self.give_up();
                break;
            }
            // Without a free connection there is nothing to wait for but answers.
            let next = self.schedule.next_due().filter(|_| !self.free.is_empty());
            let wait = self.alarm.wait(now, next, LOOK)?;
            self.poll(&mut events, wait)?;
            for event in &events {
                let index = event.token().0;
                if let Err(broken) = self.on_event(index) {
                    self.on_broken(index, &broken);
                }
            }
            self.look(watch);
        }
        Ok(Summary::new(&self.tally, self.measured_for()))
    }

    fn poll(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    /// Returns the time that was measured: until the last answer, and at least as long as requests were due.
    fn measured_for(&self) -> Duration {
        let now = self.clock.now();
        let end = self
            .schedule
            .end()
            .map_or(Duration::ZERO, |end| end.min(now));
        self.last_answer.max(end).saturating_sub(self.plan.warm_up)
    }

    /// True if what is left is not waited for: it is long after the end, or there is none and no server can be reached.
    fn is_hopeless(&self, now: Duration) -> bool {
        let last = self.schedule.end().unwrap_or(self.last_ready);
        now > last + self.plan.timeout
    }

    /// Counts what was not answered or not begun as failed.
    fn give_up(&mut self) {
        for index in 0..self.connections.len() {
            self.on_broken(index, &Broken::Silent(self.plan.timeout));
        }
        let not_begun = self.schedule.not_begun();
        let reason = "not sent: no client was free for it in time";
        self.tally.fail(reason, not_begun);
    }

    /// Begins the requests that are due, on the connections that are free, in turn.
    fn begin_requests(&mut self) {
        while let Some(index) = self.free.front().copied() {
            let Some(connection) = self.connections.get_mut(index) else {
                return;
            };
            // Read anew for each connection: what is sent to others takes time.
            let now = self.clock.now();
            let Some(mut from) = self.schedule.begin(now) else {
                return;
            };
            self.free.pop_front();
            connection.is_listed = false;
            loop {
                connection.ask(now, from, self.workload.draw());
                self.under_way += 1;
                if connection.under_way() >= self.plan.depth {
                    break;
                }
                // What is due at the same time leaves together.
                match self.schedule.begin(now) {
                    Some(next) => from = next,
                    None => break,
                }
            }
            match connection.flush() {
                Ok(()) => self.list(index),
                Err(broken) => self.on_broken(index, &broken),
            }
        }
    }

    /// Lists a connection among those that can take a request, if it can.
    fn list(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index)
            && connection.is_ready()
            && connection.under_way() < self.plan.depth
            && !connection.is_listed
        {
            connection.is_listed = true;
            self.free.push_back(index);
        }
    }

    /// Handles an event of a connection: sends, reads, and counts what was answered.
    fn on_event(&mut self, index: usize) -> Result<(), Broken> {
        loop {
            let Some(connection) = self.connections.get_mut(index) else {
                // The alarm.
                return Ok(());
            };
            let read = connection.on_event(&mut self.scratch, self.plan.trust.as_ref());
            let now = self.clock.now();
            let (tally, schedule) = (&mut self.tally, &self.schedule);
            let (under_way, last_answer) = (&mut self.under_way, &mut self.last_answer);
            connection.take_answers(now, |from, answer| {
                *under_way -= 1;
                if schedule.is_measured(from) {
                    tally.count(answer, now.saturating_sub(from));
                    *last_answer = now;
                }
            })?;
            self.list(index);
            if !read? {
                return Ok(());
            }
        }
    }

    /// Closes a connection, whose requests have failed. It is dialled again at the next address.
    fn on_broken(&mut self, index: usize, broken: &Broken) {
        let now = self.clock.now();
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        self.under_way -= connection.under_way();
        let lost = connection.close(now, (self.dialect)(), self.plan.warm_up);
        if core::mem::take(&mut connection.is_listed) {
            self.free.retain(|listed| *listed != index);
        }
        if let Some(target) = self.targets.get_mut(index) {
            *target += 1;
        }
        if lost > 0 {
            self.tally.fail(&broken.to_string(), lost);
        }
    }

    /// Looks at all connections from time to time: those that wait for too long are closed, and closed ones dialled.
    fn look(&mut self, watch: Watch<'_>) {
        let now = self.clock.now();
        if now < self.looked + LOOK {
            return;
        }
        self.looked = now;
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections.get(index) else {
                return;
            };
            if connection.is_ready() {
                self.last_ready = now;
            }
            if connection.is_overdue(now, self.plan.timeout) {
                self.on_broken(index, &Broken::Silent(self.plan.timeout));
            } else if connection.is_due(now)
                && let Err(broken) = self.dial(index)
            {
                self.on_broken(index, &broken);
            }
        }
        (watch.progress)(Progress {
            elapsed: now,
            done: self.tally.done(),
            failed: self.tally.failed(),
        });
    }
}
