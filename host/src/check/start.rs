//! The state that every exploration begins in: a cluster that was founded by the rules and has just lost its power.

use super::world::{CLIENTS, Member, PAGE};
use core::fmt;
use std::collections::VecDeque;
use synod::{Config, ConfigError, Envelope, Instant, NodeId, Outbox, Timer};

use super::Tape;

/// Room for one step.
pub(super) const ROOM: usize = Member::OUTBOX_MIN;
/// Far more messages than it takes.
const MESSAGES_MAX: usize = 10_000;

/// Why there is nothing to explore.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// No node is built from such settings.
    Config(ConfigError),
    /// The cluster was not founded, although every message arrived.
    NotFounded,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "nothing was explored: {error}"),
            Self::NotFounded => f.write_str(
                "nothing was explored: the cluster was not founded, although every message arrived",
            ),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// A node before and after it lost its power.
pub(super) struct Restarted {
    pub(super) before: Member,
    pub(super) after: Member,
}

/// Founds a cluster of so many nodes, opens a session for each client, lets all apply that, and takes the power away.
pub(super) fn start(size: u16) -> Result<Vec<Restarted>, StartError> {
    let mut calm = Calm::new(size)?;
    calm.fire(Timer::Join);
    calm.fire_at(0, Timer::Election);
    for nonce in 1..=u64::try_from(CLIENTS).unwrap_or(u64::MAX) {
        calm.act(0, |node, outbox| {
            // A node that leads and is asked nothing else takes it.
            let _ = node.register(Instant::ZERO, nonce, outbox, &mut ());
        });
    }
    calm.fire_at(0, Timer::Heartbeat);
    let applied = calm
        .nodes
        .iter()
        .all(|node| node.applied().number() == u64::try_from(CLIENTS).unwrap_or(0));
    if !applied {
        return Err(StartError::NotFounded);
    }
    let recovered = calm.nodes.into_iter().map(|before| {
        let durable = before.durable().ok_or(StartError::NotFounded)?;
        let after = Member::recover(before.config().clone(), durable, 0, 1, Instant::ZERO)?;
        Ok(Restarted { before, after })
    });
    recovered.collect()
}

/// Some nodes in a network that delivers everything at once, in the order in which it was sent.
struct Calm {
    nodes: Vec<Member>,
    letters: VecDeque<Envelope<Tape, PAGE>>,
}

impl Calm {
    fn new(size: u16) -> Result<Self, StartError> {
        let node = |number| {
            let config = Config::new(NodeId(number), size);
            if number == 0 {
                Member::found(config, 0, Instant::ZERO)
            } else {
                Member::join(config, 0, Instant::ZERO)
            }
        };
        let nodes = (0..size).map(node).collect::<Result<_, _>>()?;
        Ok(Self {
            nodes,
            letters: VecDeque::new(),
        })
    }

    /// Lets a node take a step, and then delivers all that is under way.
    fn act(&mut self, number: u16, step: impl FnOnce(&mut Member, &mut Outbox<Tape, PAGE, ROOM>)) {
        let mut outbox = Outbox::new();
        if let Some(node) = self.nodes.get_mut(usize::from(number)) {
            step(node, &mut outbox);
            self.letters.extend(sent(node, &outbox));
        }
        for _ in 0..MESSAGES_MAX {
            let Some(letter) = self.letters.pop_front() else {
                return;
            };
            if let Some(node) = self.nodes.get_mut(usize::from(letter.to.0)) {
                outbox.clear();
                node.handle_message(Instant::ZERO, &letter, &mut outbox, &mut ());
                self.letters.extend(sent(node, &outbox));
            }
        }
    }

    fn fire_at(&mut self, number: u16, timer: Timer) {
        self.act(number, |node, outbox| node.fire(timer, 0, outbox, &mut ()));
    }

    /// Lets a timer fire at every node, from the last to the first, so that those who join have asked before the founder
    /// looks who is there.
    fn fire(&mut self, timer: Timer) {
        for number in (0..u16::try_from(self.nodes.len()).unwrap_or(u16::MAX)).rev() {
            self.fire_at(number, timer);
        }
    }
}

/// What a node sends, letter by letter.
pub(super) fn sent<'a>(
    node: &'a Member,
    outbox: &'a Outbox<Tape, PAGE, ROOM>,
) -> impl Iterator<Item = Envelope<Tape, PAGE>> + 'a {
    let messages = outbox.messages.iter();
    messages.flat_map(|outgoing| outgoing.to.iter().map(|to| node.envelope(to, outgoing)))
}
