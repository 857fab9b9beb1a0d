//! What of a node must outlive a loss of power, and going on from it.

use super::{Node, Phase};
use crate::config::{Config, ConfigError};
use crate::random::{Purpose, mix, span_from, stream};
use crate::roles::acceptor::Acceptor;
use crate::roles::snapshot::State;
use crate::timer::{Timer, Timers};
use crate::{Ballot, ClientId, Entry, Instant, RequestNumber, Slot, StateMachine};

/// What of a node must outlive a loss of power: all that its acceptor has promised and accepted, and all that its
/// replica has applied, as they stand between two steps. Everything else it may forget.
///
/// [`Node::durable`] takes it, and [`Node::recover`] goes on from it. It is complete: a node that comes back with less has
/// forgotten what others rely on.
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
    pub(super) acceptor: Acceptor<M::Command, WINDOW>,
    pub(super) state: State<M, CLIENTS>,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Durable<M, WINDOW, CLIENTS> {
    pub(crate) fn restored(
        acceptor: Acceptor<M::Command, WINDOW>,
        state: State<M, CLIENTS>,
    ) -> Self {
        Self { acceptor, state }
    }

    /// Of a node that has no past.
    pub(crate) fn nothing() -> Self {
        Self::restored(Acceptor::new(), State::genesis())
    }

    /// The highest ballot that was promised.
    pub fn promised(&self) -> Ballot {
        self.acceptor.promised()
    }

    /// The last slot that was applied.
    pub fn applied(&self) -> Slot {
        self.state.applied
    }

    /// The state machine, as far as it was applied.
    pub fn machine(&self) -> &M {
        &self.state.machine
    }

    /// The number of the last request of a client that was applied, [`RequestNumber::REGISTRATION`] where only its
    /// registration was; `None` where it has no session.
    pub fn last_request(&self, client: ClientId) -> Option<RequestNumber> {
        self.state.sessions.last(client)
    }

    /// Every client that has a session, in the order in which they were opened, with the number of its last request that
    /// was applied, as [`Durable::last_request`] gives it.
    pub fn sessions(&self) -> impl Iterator<Item = (ClientId, RequestNumber)> {
        self.state.sessions.iter()
    }

    /// A digest of everything that was applied: see [`Node::chain`].
    pub fn chain(&self) -> u64 {
        self.state.chain
    }

    /// What was accepted in the slots above the low-water mark, in their order.
    pub fn votes(&self) -> impl Iterator<Item = Entry<M::Command>> {
        self.acceptor.votes()
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// What of this node must outlive a loss of power; `None` while it has not joined, as nobody relies on it then: such a
    /// node starts anew with [`Node::found`] or [`Node::join`]. `None`, too, of a node that does not vote: what it holds is
    /// not what its storage has, and it starts anew from that, or with [`Node::learn`].
    pub fn durable(&self) -> Option<Durable<M, WINDOW, CLIENTS>> {
        (self.voter && self.is_active()).then(|| Durable {
            acceptor: self.acceptor.clone(),
            state: self.replica.state().clone(),
        })
    }

    /// A node that goes on where it was when power failed: the same acceptor, with all that it ever revealed, and the same
    /// replica. It leads nothing, remembers no requests, and learns from the others what it has missed.
    ///
    /// Its next claim uses a round above every one that it used before: it promised its own claims, and the promise was
    /// written before they left (rule S1). `incarnation` counts its starts, so that its jitter is another one each time;
    /// `run_seed` is as for [`Node::found`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first relation of the settings that does not hold.
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

    /// As [`Node::recover`], of settings that are sound.
    pub(crate) fn recovered(
        config: Config,
        durable: Durable<M, WINDOW, CLIENTS>,
        run_seed: u64,
        incarnation: u32,
        now: Instant,
    ) -> Self {
        let seed = run_seed ^ mix(u64::from(incarnation));
        let mut rng = stream(seed, Purpose::Node(config.node.0));
        let timeout = config.election_timeout;
        let delay = span_from(&mut rng, timeout);
        let mut timers = Timers::new();
        timers.arm_after(Timer::Election, &now, &delay);
        Self::new(config, Phase::Active, (rng, timers), true, durable)
    }
}
