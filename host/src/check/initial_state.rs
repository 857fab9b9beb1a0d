//! Initial state of every exploration: a cluster founded by the rules that has just restarted after a loss of power.
//!
//! Exploring the founding itself would take the whole depth of a search before anything interesting
//! happens, and random walks of [`crate::random_walk`] begin with it. So the cluster is founded
//! here by the rules, without any choice, and its nodes then lose their power. That gives one
//! initial state for each number of nodes: nobody leads, nothing is under way, and every node has a
//! checkpoint to come back from.

use super::world::{CLIENTS, Member, PAGE, StoredNode, WINDOW};
use crate::power_cut::{PowerCutError, PowerCutStorage};
use core::fmt;
use std::collections::VecDeque;
use synod::storage::{Journal, Opened};
use synod::{Config, ConfigError, Envelope, Instant, NodeId, Outbox, Timer, Write};

use super::{Scope, Tape};

/// Capacity of an outbox: one step.
pub(super) const ROOM: usize = Member::OUTBOX_MIN;
/// Bound on the number of messages, far more than the founding takes. Without it, a mistake that
/// makes nodes answer each other for ever would hang the program before its first report.
const MESSAGES_MAX: usize = 10_000;

/// Reason why there is no initial state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The settings of the nodes are invalid.
    Config(ConfigError),
    /// The cluster was not founded, although every message arrived.
    NotFounded,
    /// A node did not restart from its storage.
    NotRecovered(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "nothing was explored: {error}"),
            Self::NotFounded => f.write_str(
                "nothing was explored: the cluster was not founded, although every message arrived",
            ),
            Self::NotRecovered(what) => write!(f, "nothing was explored: {what}"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// A node before and after its loss of power. The ledger starts from the node before it, so that
/// anything which the restart lost is a violation.
pub(super) struct Restarted {
    pub(super) before: Member,
    pub(super) after: StoredNode,
}

/// Number of pages of a snapshot: a header, the sessions and the tape.
const PAGES: u32 = 3;

/// Returns storage of the smallest size for a journal: four checkpoints. With less, a journal
/// refuses to open; with more, checkpoints would be too rare to be cut in a few steps.
fn storage() -> PowerCutStorage {
    let checkpoint = Journal::<PowerCutStorage>::checkpoint_max::<Tape, WINDOW>(PAGES);
    PowerCutStorage::new(4 * checkpoint)
}

/// Restarts a node from its storage.
///
/// Only storage that is intact and knows of a joined node is accepted. Everything else is a
/// violation, as nothing but losses of power has happened to it.
pub(super) fn recover(config: &Config, storage: PowerCutStorage) -> Result<StoredNode, String> {
    let node = config.node;
    let opened = Journal::open::<Tape, WINDOW, CLIENTS>(storage.with_power(), config.clone());
    match opened {
        Ok(Opened::Intact(intact)) if intact.durable().is_some() => {
            match intact.start(0, Instant::ZERO) {
                Ok((journal, node)) => Ok(StoredNode {
                    node,
                    journal: Some(journal),
                }),
                Err(error) => Err(format!("{node} does not start: {error:?}")),
            }
        }
        Ok(Opened::Intact(_)) => Err(format!("{node} does not know that it had joined")),
        Ok(Opened::Empty(_)) => Err(format!("the storage of {node} opens as if it were new")),
        Ok(Opened::Damaged(damaged)) => Err(format!(
            "the storage of {node}, which nothing has damaged, is damaged: {}",
            damaged.damage()
        )),
        Err(error) => Err(format!("the storage of {node} does not open: {error:?}")),
    }
}

/// Makes the writes of a step durable. Does nothing once the journals were dropped.
pub(super) fn keep(
    stored: &mut StoredNode,
    outbox: &Outbox<Tape, PAGE, ROOM>,
) -> Result<(), String> {
    let Some(journal) = &mut stored.journal else {
        return Ok(());
    };
    let written = journal.write(Instant::ZERO, &mut stored.node, &outbox.writes);
    let kept = written.and_then(|()| journal.sync());
    kept.map_err(|error| {
        let node = stored.node.id();
        let trouble: synod::storage::JournalError<PowerCutError> = error;
        format!("{node} cannot write, and its storage is in order: {trouble:?}")
    })
}

/// Number of attempts of a newcomer to join. The first one reaches a node that is active, and the others are for those
/// that are drawn at random.
const JOINS: u64 = 8;

/// Founds a cluster, opens a session for each client, lets the newcomers join, waits until all nodes have applied that,
/// and cuts the power.
pub(super) fn start(scope: &Scope) -> Result<Vec<Restarted>, StartError> {
    // Node 0 founds the cluster, and its first election makes it the leader.
    let mut calm = Calm::new(scope.nodes, scope.founders())?;
    // Once is enough: no message is lost.
    calm.fire(Timer::Join);
    calm.fire_at(0, Timer::Election);
    for nonce in 1..=u64::try_from(CLIENTS).unwrap_or(u64::MAX) {
        calm.act(0, |node, outbox| {
            // A leader without other work accepts the registration.
            let _ = node.register(Instant::ZERO, nonce, outbox, &mut ());
        });
    }
    // Followers learn from the heartbeat that the last registration is decided.
    calm.fire_at(0, Timer::Heartbeat);
    // Newcomers come last, and the snapshot of the founding is dropped before, so that they are sent the whole state.
    if scope.newcomers > 0 {
        calm.fire(Timer::Transfer);
    }
    for newcomer in scope.founders()..scope.nodes {
        calm.join(newcomer);
    }
    let applied = calm
        .nodes
        .iter()
        .all(|stored| stored.node.applied().number() == u64::try_from(CLIENTS).unwrap_or(0));
    if !applied {
        return Err(StartError::NotFounded);
    }
    let recovered = calm.nodes.into_iter().map(|mut stored| {
        // A checkpoint keeps the applied slots through the loss of power.
        let mut outbox = Outbox::new();
        let installed = outbox.writes.push(Write::Installed(stored.node.applied()));
        debug_assert!(installed.is_ok(), "it is the first");
        keep(&mut stored, &outbox).map_err(StartError::NotRecovered)?;
        let storage = stored.journal.map(Journal::into_storage);
        // Only a node that was never started has none.
        let storage = storage.ok_or(StartError::NotFounded)?;
        // The node as it was is kept for the ledger: whatever it knew and its storage does not is
        // found by comparison.
        let before = stored.node;
        let after = recover(before.config(), storage).map_err(StartError::NotRecovered)?;
        Ok(Restarted { before, after })
    });
    recovered.collect()
}

/// Nodes on a network that delivers every message at once, in the order of sending.
///
/// It exists only until the founding is over. Nothing is lost or reordered, so that equal sizes
/// give equal initial states.
struct Calm {
    nodes: Vec<StoredNode>,
    in_flight: VecDeque<Envelope<Tape, PAGE>>,
}

impl Calm {
    /// Returns nodes on new storage, none of which has joined.
    fn new(size: u16, founders: u16) -> Result<Self, StartError> {
        let node = |number| {
            let config = Config::new(NodeId(number), founders);
            config.validate()?;
            let opened = Journal::open::<Tape, WINDOW, CLIENTS>(storage(), config);
            let Ok(Opened::Empty(empty)) = opened else {
                return Err(StartError::NotFounded);
            };
            let provisioned = empty.provision(0, Instant::ZERO);
            let (journal, node) = provisioned.map_err(|_| StartError::NotFounded)?;
            Ok(StoredNode {
                node,
                journal: Some(journal),
            })
        };
        let nodes = (0..size).map(node).collect::<Result<_, _>>()?;
        Ok(Self {
            nodes,
            in_flight: VecDeque::new(),
        })
    }

    /// Performs a step of a node, and then delivers all messages in flight.
    fn act(&mut self, number: u16, step: impl FnOnce(&mut Member, &mut Outbox<Tape, PAGE, ROOM>)) {
        let mut outbox = Outbox::new();
        if let Some(stored) = self.nodes.get_mut(usize::from(number)) {
            step(&mut stored.node, &mut outbox);
            self.release(number, &outbox);
        }
        // Correct nodes never reach the bound.
        for _ in 0..MESSAGES_MAX {
            let Some(message) = self.in_flight.pop_front() else {
                return;
            };
            if let Some(stored) = self.nodes.get_mut(usize::from(message.to.0)) {
                outbox.clear();
                stored
                    .node
                    .handle_message(Instant::ZERO, &message, &mut outbox, &mut ());
                self.release(message.to.0, &outbox);
            }
        }
    }

    /// Makes the writes of a step durable, and sends its messages.
    fn release(&mut self, number: u16, outbox: &Outbox<Tape, PAGE, ROOM>) {
        if let Some(stored) = self.nodes.get_mut(usize::from(number)) {
            // Without durable writes nothing is sent, and the founding fails.
            if keep(stored, outbox).is_ok() {
                self.in_flight.extend(sent(&stored.node, outbox));
            }
        }
    }

    /// Lets a newcomer ask until it has joined. It may ask a node that does not answer first.
    fn join(&mut self, number: u16) {
        for chance in 0..JOINS {
            let node = self.nodes.get(usize::from(number));
            if node.is_none_or(|stored| stored.node.is_active()) {
                return;
            }
            self.act(number, |node, outbox| {
                node.fire(Timer::Join, chance, outbox, &mut ());
            });
        }
    }

    /// Fires a timer at one node. The random choice 0 is as good as any other, since every message
    /// arrives.
    fn fire_at(&mut self, number: u16, timer: Timer) {
        self.act(number, |node, outbox| node.fire(timer, 0, outbox, &mut ()));
    }

    /// Fires a timer at every node, from the last to the first, so that joining nodes have asked before the founder
    /// counts them.
    fn fire(&mut self, timer: Timer) {
        for number in (0..u16::try_from(self.nodes.len()).unwrap_or(u16::MAX)).rev() {
            self.fire_at(number, timer);
        }
    }
}

/// Returns the envelopes of the messages that a node sends. One that is for several nodes becomes
/// an envelope for each, as each may arrive or be lost on its own.
pub(super) fn sent<'a>(
    node: &'a Member,
    outbox: &'a Outbox<Tape, PAGE, ROOM>,
) -> impl Iterator<Item = Envelope<Tape, PAGE>> + 'a {
    let messages = outbox.messages.iter();
    messages.flat_map(|outgoing| outgoing.to.iter().map(|to| node.envelope(to, outgoing)))
}
