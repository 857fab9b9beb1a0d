//! The exploration state of a node, for model checking: the node without its time and its randomness.
//!
//! A model checker that visits every state of a small cluster has to detect equal states, and has to choose itself
//! which timer fires. A node in operation uses nothing from this file, and no program links it unless it runs such a
//! checker.

use super::leader_contact::RELAY_REPEATS;
use super::{LastStep, Node};
use crate::random::{Purpose, stream};
use crate::timer::Timer;
use crate::{AnyOutbox, Instant, StateMachine, Tracer};
use core::hash::Hash;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Returns the exploration state: everything that decides what this node will do, except when. Two nodes with the
    /// same settings and equal exploration states behave the same from then on, for any sequence of messages and
    /// timers.
    ///
    /// It contains which timers are armed, but not their deadlines; and whether the patience of rule L5 may not be over
    /// yet, but not when it ends. It leaves out the random number generator, which [`Node::fire`] reseeds; the counters
    /// behind the back-off (rule L5), which decide only its length; and the marks, which are statistics.
    /// [`Node::canonicalize`] makes two nodes that differ only in these parts equal.
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
            &self.reader,
        );
        let elections = (
            self.highest_seen,
            self.leader_hint,
            self.voting,
            self.contact,
        );
        let ways = (self.relay, self.bypass_leader);
        let learning = (self.repeats_that_count(), self.learn_until);
        let armed = Timer::ALL.map(|timer| self.timers.is_armed(timer));
        let waiting = (armed, self.may_be_patient());
        (roles, elections, ways, learning, self.halt, waiting)
    }

    /// Resets all parts of the node that are not in its settings, its [exploration state](Node::exploration_state) or
    /// its marks: deadlines, the random number generator and the failure counters become those of every other node with
    /// an equal exploration state.
    ///
    /// A checker that keeps one node for a set of equal states keeps a canonical one. Otherwise its results depend on
    /// which of them was visited first.
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
        // The deadlines are at the end of time, so whatever comes next may come at any instant.
        self.last_step = LastStep::NONE;
    }

    /// Rule L5: true if a rival has ended an election of this node, and nothing shows yet that `patience` is over. A
    /// node that was never preempted has its patience at [`Instant::ZERO`].
    fn may_be_patient(&self) -> bool {
        self.patience > Instant::ZERO
    }

    /// Returns the number of requests for missing decisions that brought nothing, up to the limit at which the node
    /// stops counting (rules R2 and L8).
    fn repeats_that_count(&self) -> u8 {
        match self.relay {
            Some(relay) if !relay.hears => self.learn_repeats.min(RELAY_REPEATS),
            _ => self.learn_repeats.min(1),
        }
    }

    /// Returns the timers that are armed.
    pub fn armed(&self) -> impl Iterator<Item = Timer> {
        let armed = |timer: &Timer| self.timers.is_armed(*timer);
        Timer::ALL.into_iter().filter(armed)
    }

    /// True if a timer is armed and has expired at `now`.
    pub fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.timers.is_expired(timer, now)
    }

    /// Fires one timer and no other, as [`Node::handle_timeout`] does at an instant at which only this timer has
    /// expired. Does nothing if the timer is not armed.
    ///
    /// All random draws of the step follow from `chance`, so its outcome follows from the exploration state, the timer
    /// and `chance`. When [`Timer::Scout`] fires, patience (rule L5) still lasts if `chance` is 0, and is over for any
    /// other value. Afterwards all timers of the node count from [`Instant::ZERO`], so later inputs must use times from
    /// there on.
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
        debug_assert!(
            self.is_due(timer, Instant::ZERO),
            "exactly this timer fires"
        );
        if timer == Timer::Scout && chance > 0 {
            self.patience = Instant::ZERO;
        }
        self.last_step = LastStep::NONE;
        self.handle_timeout(Instant::ZERO, outbox, tracer);
    }
}
