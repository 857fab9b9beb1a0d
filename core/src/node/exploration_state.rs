//! A node without its time and its chance, for those who walk through all that it can do.
//!
//! A checker that visits every state of a small cluster must know when two states are the same, and must decide itself
//! which timer fires. Nothing of this is used by a node at work, and nothing of it is linked where nobody checks.

use super::leader_contact::RELAY_REPEATS;
use super::{LastStep, Node};
use crate::random::{Purpose, stream};
use crate::timer::Timer;
use crate::{AnyOutbox, Instant, StateMachine, Tracer};
use core::hash::Hash;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// All that decides what this node will do, but not when: two nodes of the same settings whose essences are equal
    /// do and say the same from then on, whatever reaches them and whichever timer fires.
    ///
    /// Of the timers it has which are armed, but not for when; and of the patience of rule L5 whether the node may still have
    /// some, but not until when. The generator is left out, as [`Node::fire`] sets it anew; the counts behind the back-off
    /// (rule L5), as they decide nothing but its length; and the marks, which are statistics. [`Node::canonicalize`] makes two
    /// nodes that differ only in these one.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Config, Instant, Node, NodeId, Outbox, Timer};
    ///
    /// type Small = Node<Kv<4>, 8, 2, 2>;
    /// let found = |seed, at| Small::found(Config::new(NodeId(0), 1), seed, at);
    /// let (mut node, other) = (found(6, Instant::ZERO)?, found(7, Instant::from_micros(9))?);
    /// assert!(node.exploration_state() == other.exploration_state(), "only chance and time differ");
    /// assert_eq!(node.armed().collect::<Vec<_>>(), [Timer::Join]);
    /// let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
    /// node.fire(Timer::Join, 0, &mut outbox, &mut ());
    /// assert!(node.is_active() && node.exploration_state() != other.exploration_state());
    /// # Ok::<(), synod::ConfigError>(())
    /// ```
    pub fn exploration_state(&self) -> impl Eq + Hash {
        let roles = (
            &self.phase,
            &self.acceptor,
            &self.replica,
            &self.leader,
            &self.requesters,
        );
        let elections = (
            self.highest_seen,
            self.leader_hint,
            self.voter,
            self.contact,
        );
        let ways = (self.relay, self.bypass_leader);
        let learning = (self.repeats_that_count(), self.learn_until);
        let armed = Timer::ALL.map(|timer| self.timers.is_armed(timer));
        let waiting = (armed, self.may_be_patient());
        (roles, elections, ways, learning, self.halt, waiting)
    }

    /// Leaves nothing of a node but its settings, its [essence](Node::exploration_state) and its marks: when its timers fire, what it
    /// draws next and how often it has failed are as in every other node of the same essence.
    ///
    /// Whoever keeps one node for all that are equal in essence keeps a distilled one. Otherwise what follows depends on
    /// which of them came first.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Config, Instant, Node, NodeId};
    ///
    /// type Small = Node<Kv<4>, 8, 2, 2>;
    /// let join = |seed, at| Small::join(Config::new(NodeId(1), 3), seed, at);
    /// let (mut node, mut other) = (join(6, Instant::ZERO)?, join(7, Instant::from_micros(9))?);
    /// assert_ne!(format!("{node:?}"), format!("{other:?}"));
    /// (node.canonicalize(), other.canonicalize());
    /// assert_eq!(format!("{node:?}"), format!("{other:?}"));
    /// # Ok::<(), synod::ConfigError>(())
    /// ```
    pub fn canonicalize(&mut self) {
        self.rng = stream(0, Purpose::Node(self.config.node.0));
        self.timers.postpone_all();
        self.patience = if self.may_be_patient() {
            Instant::FAR_FUTURE
        } else {
            Instant::ZERO
        };
        self.learn_repeats = self.repeats_that_count();
        (self.heartbeats_in_row, self.failures) = (0, 0);
        self.last_step = LastStep::NONE;
    }

    /// Rule L5: whether another claim has ended one of this node's, and nothing says yet that its patience is over.
    fn may_be_patient(&self) -> bool {
        self.patience > Instant::ZERO
    }

    /// Questions for missing decisions that brought nothing, as far as the node counts them (rules R2 and L8).
    fn repeats_that_count(&self) -> u8 {
        match self.relay {
            Some(relay) if !relay.hears => self.learn_repeats.min(RELAY_REPEATS),
            _ => self.learn_repeats.min(1),
        }
    }

    /// The timers that are armed.
    pub fn armed(&self) -> impl Iterator<Item = Timer> {
        let armed = |timer: &Timer| self.timers.is_armed(*timer);
        Timer::ALL.into_iter().filter(armed)
    }

    /// Whether a timer is armed and has expired by then.
    pub fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.timers.is_expired(timer, now)
    }

    /// Lets one timer fire, and no other: what [`Node::handle_timeout`] does at an instant at which only this one has
    /// expired. Does nothing where it is not armed.
    ///
    /// What the node draws follows from `chance` alone, so that what comes of it follows from the essence, the timer and
    /// the chance. Chance also says whether patience (rule L5) lasts until a [`Timer::Scout`] fires: it does where `chance` is
    /// 0, and is over with every other one. All timers of the node count from [`Instant::ZERO`] from then on, and so must what
    /// else is handed to it.
    pub fn fire<T: Tracer<M, PAGE>>(
        &mut self,
        timer: Timer,
        chance: u64,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) {
        if !self.timers.is_armed(timer) {
            return;
        }
        self.rng = stream(chance, Purpose::Node(self.config.node.0));
        self.timers.make_only_due(timer);
        if timer == Timer::Scout && chance > 0 {
            self.patience = Instant::ZERO;
        }
        self.last_step = LastStep::NONE;
        self.handle_timeout(Instant::ZERO, outbox, tracer);
    }
}
