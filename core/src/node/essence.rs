//! A node without its time and its chance, for those who walk through all that it can do.
//!
//! A checker that visits every state of a small cluster must know when two states are the same, and must decide itself
//! which timer fires. Nothing of this is used by a node at work, and nothing of it is linked where nobody checks.

use super::contact::RELAY_REPEATS;
use super::{Latest, Node};
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
    /// Of the timers it has which are armed, but not for when. The generator is left out, as [`Node::fire`] sets it anew;
    /// the counts behind the back-off (rule L5), as they decide nothing but its length; and the marks, which are
    /// statistics.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Config, Instant, Node, NodeId, Outbox, Timer};
    ///
    /// type Small = Node<Kv<4>, 8, 2, 2>;
    /// let found = |seed, at| Small::found(Config::new(NodeId(0), 1), seed, at);
    /// let (mut node, other) = (found(6, Instant::ZERO)?, found(7, Instant::from_micros(9))?);
    /// assert!(node.essence() == other.essence(), "only chance and time differ");
    /// assert_eq!(node.armed().collect::<Vec<_>>(), [Timer::Join]);
    /// let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
    /// node.fire(Timer::Join, 0, &mut outbox, &mut ());
    /// assert!(node.is_active() && node.essence() != other.essence());
    /// # Ok::<(), synod::ConfigError>(())
    /// ```
    pub fn essence(&self) -> impl Eq + Hash {
        let roles = (
            &self.phase,
            &self.acceptor,
            &self.replica,
            &self.leader,
            &self.requesters,
        );
        let elections = (self.seen, self.leader_hint, self.voter, self.contact);
        let ways = (self.relay, self.around);
        let repeats = match self.relay {
            Some(_) => self.learn_repeats.min(RELAY_REPEATS),
            None => self.learn_repeats.min(1),
        };
        let learning = (repeats, self.learn_until);
        let armed = Timer::ALL.map(|timer| self.timers.is_armed(timer));
        (roles, elections, ways, learning, self.halt, armed)
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
    /// the chance. All its timers count from [`Instant::ZERO`] from then on, and so must what else is handed to it.
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
        self.timers.only(timer);
        self.latest = Latest::NONE;
        self.handle_timeout(Instant::ZERO, outbox, tracer);
    }
}
