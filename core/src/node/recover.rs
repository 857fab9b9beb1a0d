//! Recovery: the durable part of a node, and the restart from it.

use super::{Node, Phase};
use crate::config::{Config, ConfigError};
use crate::random::{Purpose, mix, span_from, stream};
use crate::roles::acceptor::Acceptor;
use crate::roles::snapshot::State;
use crate::timer::{Timer, Timers};
use crate::{Ballot, ClientId, Entry, Epoch, Instant, NodeSet, RequestNumber, Slot, StateMachine};

/// The part of a node that must survive a loss of power: everything that its acceptor has promised and accepted, and
/// everything that its replica has applied, as of a point between two steps. All other state is volatile.
///
/// [`Node::durable`] extracts it, and [`Node::recover`] restarts a node from it. All of it is needed: a node that
/// restarts with less has forgotten something that other nodes rely on.
///
/// ```
/// use synod::machines::Kv;
/// use synod::{Config, Instant, Node, NodeId, Outbox};
///
/// type Small = Node<Kv<4>, 8, 2, 2>;
/// let config = Config::new(NodeId(0), 1);
/// let mut node = Small::found(config.clone(), 6, Instant::ZERO)?;
/// assert!(node.durable().is_none(), "it has not joined, and nobody relies on it");
/// let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
/// while node.leading().is_none() {
///     let now = node.next_deadline().unwrap();
///     node.handle_timeout(now, &mut outbox, &mut ());
///     outbox.clear();
/// }
/// let durable = node.durable().unwrap();
/// let again = Small::recover(config, durable, 6, 1, Instant::ZERO)?;
/// assert_eq!((again.promised(), again.leading()), (node.promised(), None));
/// # Ok::<(), synod::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable<M: StateMachine, const WINDOW: usize = 16, const CLIENTS: usize = 8> {
    /// Everything that was promised and accepted (rule D2).
    pub(super) acceptor: Acceptor<M::Command, WINDOW>,
    /// Everything that was applied, at least up to the acceptor's low-water mark (rule T1).
    pub(super) state: State<M, CLIENTS>,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Durable<M, WINDOW, CLIENTS> {
    /// Joins the two parts that a replay of storage has rebuilt.
    pub(crate) fn restored(
        acceptor: Acceptor<M::Command, WINDOW>,
        state: State<M, CLIENTS>,
    ) -> Self {
        Self { acceptor, state }
    }

    /// The durable part of a node that has never been a member.
    pub(crate) fn nothing(members: NodeSet) -> Self {
        Self::restored(Acceptor::new(), State::genesis(members))
    }

    /// Returns the highest ballot that was promised.
    pub fn promised(&self) -> Ballot {
        self.acceptor.promised()
    }

    /// Returns the last slot that was applied.
    pub fn applied(&self) -> Slot {
        self.state.applied
    }

    /// Returns the epoch after that slot.
    pub fn epoch(&self) -> Epoch {
        self.state.membership.epoch
    }

    /// Returns the members of that epoch.
    pub fn members(&self) -> NodeSet {
        self.state.membership.members
    }

    /// Returns the state machine after that slot.
    pub fn machine(&self) -> &M {
        &self.state.machine
    }

    /// Returns the number of the last applied request of a client, or [`RequestNumber::REGISTRATION`] if only its
    /// registration was applied; `None` if the client has no session.
    pub fn last_request(&self, client: ClientId) -> Option<RequestNumber> {
        self.state.sessions.last(client)
    }

    /// Returns every client with a session, in the order of registration, with the number of its last applied request
    /// as returned by [`Durable::last_request`].
    pub fn sessions(&self) -> impl Iterator<Item = (ClientId, RequestNumber)> {
        self.state.sessions.iter()
    }

    /// Returns a digest of everything that was applied: see [`Node::chain`].
    pub fn chain(&self) -> u64 {
        self.state.chain
    }

    /// Returns the accepted entries above the low-water mark, in rising order of slots.
    pub fn votes(&self) -> impl Iterator<Item = Entry<M::Command>> {
        self.acceptor.votes()
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Returns the durable part of this node. `None` if the node has not joined: nobody relies on it yet, and it starts
    /// over with [`Node::found`] or [`Node::join`]. `None` also for a node that does not vote: its memory differs from
    /// its storage, so it restarts from the storage, or with [`Node::learn`].
    pub fn durable(&self) -> Option<Durable<M, WINDOW, CLIENTS>> {
        debug_assert!(
            self.mistake.is_any() || self.acceptor.low_water() <= self.replica.applied(),
            "votes were dropped for slots that the state does not include (T1)"
        );
        (self.voting.is_allowed && self.is_active()).then(|| {
            let mut acceptor = self.acceptor.clone();
            // A node that halts because it has applied a change which it should not have does not enter the epoch. What it
            // stores is whole all the same: a promise of the epoch that the state has reached (V6).
            if self.is_in_new_epoch() {
                acceptor.begin_epoch(Ballot::floor(self.epoch()));
            }
            Durable {
                acceptor,
                state: self.replica.state().clone(),
            }
        })
    }

    /// Restarts a node from its durable part, with the same acceptor and the same replica as before the loss of power.
    /// It leads nothing, has forgotten the requests of its clients, and catches up from other nodes.
    ///
    /// Its next claim uses a round above every round that it used before: it promised its own claims, and each promise
    /// was written before the claim left (rule S1). `incarnation` is the number of this start, and makes its jitter
    /// differ from that of earlier starts; `run_seed` is as for [`Node::found`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first check of the settings that fails.
    pub fn recover(
        config: Config,
        durable: Durable<M, WINDOW, CLIENTS>,
        run_seed: u64,
        incarnation: u32,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::recovered(config, durable, run_seed, incarnation, now))
    }

    /// Restarts a node from validated settings; see [`Node::recover`].
    pub(crate) fn recovered(
        config: Config,
        durable: Durable<M, WINDOW, CLIENTS>,
        run_seed: u64,
        incarnation: u32,
        now: Instant,
    ) -> Self {
        // Without the incarnation, nodes that fail together soon after each start would draw the same delays each time.
        let seed = run_seed ^ mix(u64::from(incarnation));
        let mut rng = stream(seed, Purpose::Node(config.node.0));
        let timeout = config.election_timeout;
        let delay = span_from(&mut rng, timeout);
        let mut timers = Timers::new();
        timers.arm_after(Timer::Election, &now, &delay);
        Self::new(config, Phase::Active, (rng, timers), true, durable)
    }
}
