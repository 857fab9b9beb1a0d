//! An example of a custom state machine, a lock service run by a simulated cluster of five nodes: `cargo run -p
//! example-custom-machine`.
//!
//! Clients share a few locks. A granted lock comes with a fencing token that is higher than all before it, so that
//! the protected resource can reject a holder that is out of date.

use std::process::ExitCode;
use synod::simulation::{Calm, Kill, Scenario, Simulation, Target, Verdict, Workload};
use synod::{
    Duration, Instant, MalformedPage, Reader, SNAPSHOT_PAGE, Sink, StateMachine, Value, Writer,
};

/// A command of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Command {
    Acquire { lock: u8, client: u16 },
    Release { lock: u8, client: u16 },
}

/// The answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Granted { token: u32 },
    HeldBy { client: u16 },
    Released,
    Refused,
}

/// The locks, with the holder and the number of grants of each. Their number is fixed, and so is the memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Locks<const LOCKS: usize> {
    locks: [Lock; LOCKS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Lock {
    holder: Option<u16>,
    tokens: u32,
}

impl<const LOCKS: usize> Default for Locks<LOCKS> {
    fn default() -> Self {
        let locks = [Lock::default(); LOCKS];
        Self { locks }
    }
}

impl<const LOCKS: usize> Locks<LOCKS> {
    /// A holder takes three bytes, and a count four.
    const LOCKS_A_PAGE: usize = SNAPSHOT_PAGE / 7;
}

impl<const LOCKS: usize> StateMachine for Locks<LOCKS> {
    type Command = Command;
    type Output = Answer;

    /// The number of locks: nodes with another number would answer differently, and must not be in one cluster.
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "LOCKS is at most 256"
    )]
    const VERSION: u32 = LOCKS as u32;

    fn apply(&mut self, command: &Command) -> Answer {
        let (Command::Acquire { lock, .. } | Command::Release { lock, .. }) = *command;
        // Input from a client is validated.
        let Some(lock) = self.locks.get_mut(usize::from(lock)) else {
            return Answer::Refused;
        };
        match (*command, lock.holder) {
            (Command::Acquire { client, .. }, None) => {
                lock.holder = Some(client);
                lock.tokens += 1;
                Answer::Granted { token: lock.tokens }
            }
            (Command::Acquire { .. }, Some(client)) => Answer::HeldBy { client },
            (Command::Release { client, .. }, Some(holder)) if client == holder => {
                lock.holder = None;
                Answer::Released
            }
            (Command::Release { .. }, _) => Answer::Refused,
        }
    }

    fn snapshot_pages(&self) -> u32 {
        u32::try_from(LOCKS.div_ceil(Self::LOCKS_A_PAGE)).unwrap_or(u32::MAX)
    }

    fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        let pages = self.locks.chunks(Self::LOCKS_A_PAGE);
        let index = usize::try_from(page).unwrap_or(usize::MAX);
        for lock in pages.skip(index).take(1).flatten() {
            writer.put_u8(u8::from(lock.holder.is_some()));
            writer.put(&lock.holder.unwrap_or(0).to_le_bytes());
            writer.put_u32(lock.tokens);
        }
    }

    fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        let pages = self.locks.chunks_mut(Self::LOCKS_A_PAGE);
        let index = usize::try_from(page).unwrap_or(usize::MAX);
        for lock in pages.skip(index).take(1).flatten() {
            let held = reader.u8().ok_or(MalformedPage)?;
            let holder = u16::from_le_bytes(reader.array().ok_or(MalformedPage)?);
            lock.holder = (held == 1).then_some(holder);
            lock.tokens = reader.u32().ok_or(MalformedPage)?;
        }
        Ok(())
    }
}

impl Value for Command {
    const ENCODED_MAX: usize = 4;

    fn encode(&self, sink: &mut impl Sink) {
        let (kind, lock, client) = match *self {
            Self::Acquire { lock, client } => (0, lock, client),
            Self::Release { lock, client } => (1, lock, client),
        };
        sink.put(&[kind, lock]);
        sink.put(&client.to_le_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let [kind, lock] = reader.array()?;
        let client = u16::from_le_bytes(reader.array()?);
        match kind {
            0 => Some(Self::Acquire { lock, client }),
            1 => Some(Self::Release { lock, client }),
            _ => None,
        }
    }
}

impl Value for Answer {
    const ENCODED_MAX: usize = 5;

    fn encode(&self, sink: &mut impl Sink) {
        let (kind, number) = match *self {
            Self::Granted { token } => (0, token),
            Self::HeldBy { client } => (1, u32::from(client)),
            Self::Released => (2, 0),
            Self::Refused => (3, 0),
        };
        sink.put_u8(kind);
        sink.put_u32(number);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        match (reader.u8()?, reader.u32()?) {
            (0, token) => Some(Self::Granted { token }),
            (1, client) => Some(Self::HeldBy {
                client: u16::try_from(client).ok()?,
            }),
            (2, 0) => Some(Self::Released),
            (3, 0) => Some(Self::Refused),
            _ => None,
        }
    }
}

/// A workload in which each client acquires a lock, releases it once granted, and retries if it is not.
#[derive(Debug, Default)]
struct Contention {
    /// The clients that hold their locks, as far as they know.
    held: [bool; CLIENTS],
    /// The tokens of all grants of each lock.
    tokens: [Vec<u32>; LOCKS],
    refused: u32,
}

const CLIENTS: usize = 6;
const LOCKS: usize = 2;
/// Even, so that a client that was granted a lock by its last request but one has released it at the end.
const REQUESTS: u32 = 20;

impl Contention {
    /// Returns the lock of a client: even clients share the first one, odd ones the second.
    fn lock(client: u16) -> u8 {
        u8::from(!client.is_multiple_of(2))
    }
}

impl Workload<Locks<LOCKS>> for Contention {
    fn command(&mut self, client: u16, number: u32) -> Option<Command> {
        let lock = Self::lock(client);
        let holds = *self.held.get(usize::from(client))?;
        let command = if holds {
            Command::Release { lock, client }
        } else {
            Command::Acquire { lock, client }
        };
        (number <= REQUESTS).then_some(command)
    }

    fn check(&mut self, client: u16, _number: u32, answer: &Answer) -> bool {
        let lock = usize::from(Self::lock(client));
        let (Some(held), Some(tokens)) = (
            self.held.get_mut(usize::from(client)),
            self.tokens.get_mut(lock),
        ) else {
            return false;
        };
        match (*answer, *held) {
            // A token is given out once.
            (Answer::Granted { token }, false) if !tokens.contains(&token) => {
                tokens.push(token);
                *held = true;
                true
            }
            (Answer::HeldBy { client: holder }, false) => {
                self.refused += 1;
                holder != client
            }
            (Answer::Released, true) => {
                *held = false;
                true
            }
            _ => false,
        }
    }

    fn requests(&self, _client: u16) -> u64 {
        u64::from(REQUESTS)
    }
}

/// Runs five nodes with a message loss of 10 %, and kills the leader after a second.
fn run(run_seed: u64) -> Result<bool, Box<dyn core::error::Error>> {
    let mut scenario = Scenario::of(run_seed, 5);
    scenario.clients = u16::try_from(CLIENTS)?;
    scenario.link.loss_ppm = 100_000;
    let at = Instant::ZERO + Duration::from_secs(1);
    let target = Target::Leader;
    // There is room for at least one.
    let _ = scenario.kills.push(Kill { target, at });
    let mut cluster = Box::new(Simulation::<
        Calm<Locks<LOCKS>, Contention, 5, 256>,
        16,
        8,
        2,
    >::new(&scenario, Contention::default())?);
    let verdict = cluster.run(&mut ());
    let report = cluster.report();
    println!("{verdict:?} after {} of simulated time", report.at);
    println!(
        "{} of {} answers right, {} of {} nodes live, {} slots applied",
        report.right, report.expected, report.live, report.nodes, report.applied
    );
    let live = (0..report.nodes).filter_map(|number| cluster.node(synod::NodeId(number)));
    if let Some(node) = live.max_by_key(|node| node.applied()) {
        for (number, lock) in node.machine().locks.iter().enumerate() {
            println!("lock {number} was granted {} times", lock.tokens);
        }
    }
    Ok(verdict == Verdict::Done && report.right == report.expected)
}

fn main() -> ExitCode {
    match run(6) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_every_grant_a_new_token() {
        let mut locks = Locks::<1>::default();
        let acquire = |client| Command::Acquire { lock: 0, client };
        let release = |client| Command::Release { lock: 0, client };
        assert_eq!(locks.apply(&acquire(1)), Answer::Granted { token: 1 });
        assert_eq!(locks.apply(&acquire(2)), Answer::HeldBy { client: 1 });
        assert_eq!(locks.apply(&release(2)), Answer::Refused);
        assert_eq!(locks.apply(&release(1)), Answer::Released);
        assert_eq!(locks.apply(&acquire(2)), Answer::Granted { token: 2 });
        let unknown = Command::Acquire { lock: 1, client: 1 };
        assert_eq!(locks.apply(&unknown), Answer::Refused);
    }

    #[test]
    fn a_snapshot_carries_every_lock() {
        let mut locks = Locks::<40>::default();
        for lock in 0..40 {
            locks.apply(&Command::Acquire { lock, client: 9 });
        }
        let mut copy = Locks::<40>::default();
        for page in 0..locks.snapshot_pages() {
            let mut buffer = [0; SNAPSHOT_PAGE];
            let mut writer = Writer::new(&mut buffer);
            locks.write_page(page, &mut writer);
            assert!(!writer.overflowed());
            copy.read_page(page, &mut Reader::new(&buffer)).unwrap();
        }
        assert_eq!(copy, locks);
    }

    #[test]
    fn the_cluster_keeps_its_locks_despite_message_loss_and_a_leader_crash() {
        for run_seed in 0..20 {
            assert!(run(run_seed).unwrap(), "seed {run_seed}");
        }
    }
}
