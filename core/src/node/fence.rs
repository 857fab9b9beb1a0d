//! Nodes that do not vote: one whose storage failed while it ran, and one that comes back without what it had stored.

use super::{Node, Phase};
use crate::config::{Config, ConfigError};
use crate::mutant::Mutant;
use crate::{AnyOutbox, Event, Halt, Instant, Role, Slot, StateMachine, Tracer, Write};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Tells the node that its storage has failed: something that it wanted written is not durable and will not be. To be
    /// called with the outbox that holds it, instead of emptying that; whatever an error of storage was about, the next
    /// write may fare no better, and there is no way back in this life.
    ///
    /// The node is fenced from then on (rule D1): it neither votes nor leads, answers no leader, and wants nothing
    /// written that anybody would rely on. What was in the outbox to be written or sent is gone, as if it had been lost on
    /// the way. It goes on as a replica: it learns what is decided, hands the requests of its clients to the leader,
    /// answers them, and helps others to catch up. Replies stay in the outbox, and may leave.
    ///
    /// # Why what it has applied stands
    ///
    /// With two members or more nothing is decided without somebody else. A leader counts its own vote before it is
    /// durable, but the vote was, by the time that the accept beside it left, and only an accept that left is answered: so
    /// whatever a quorum answered rests on votes that are all written. What a follower takes for decided others have
    /// decided without what it has not said yet. A node whose own vote is a quorum has applied what may be written nowhere,
    /// and a founder whose founding is not durable, be it that it was to be written just now, will found once more: those
    /// two halt, lest anybody goes on with what they have, and their replies are dropped as well.
    pub fn fence<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) {
        if self.makes(Mutant::FenceIgnored) {
            return;
        }
        let founds = |write: &Write<M::Command>| *write == Write::Installed(Slot::ZERO);
        let founder = self.config.node == self.config.founder;
        let founding = matches!(self.phase, Phase::Founding(_))
            || founder && outbox.writes().iter().any(founds);
        let alone = self.config.peers().is_empty() || founding;
        if alone {
            outbox.clear();
        } else {
            outbox.drop_unsent();
        }
        if self.halt.is_some() || !self.voter {
            return;
        }
        self.voter = false;
        let mut step = self.step(now, outbox, tracer);
        step.trace(Role::Node, Event::Fenced);
        if alone {
            self.halt(&mut step, Halt::StorageFailed);
        } else {
            if let Some(ballot) = self.leader.leading() {
                step.trace(Role::Leader, Event::SteppedDown { ballot });
            }
            self.resign(&mut step);
        }
        step.finish();
        self.invariants();
    }

    /// A node that comes back under its number without all that it had made durable, as its storage is gone or damaged.
    ///
    /// It must not vote again: others count on what it promised and accepted, and it does not know what that was (rule
    /// D2). So it is a learner for all of this life, however long that is: it fetches the state as one does that joins,
    /// and is a replica then as a fenced node is ([`Node::fence`]). It founds nothing, even under the founder's number, and
    /// does not count as one of those with whom a cluster is founded. As long as it has not returned to vote, one more of
    /// the members must be up than would be needed otherwise.
    ///
    /// `run_seed` is as for [`Node::found`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first relation of the settings that does not hold.
    pub fn learn(config: Config, run_seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::joining(config, run_seed, now, false))
    }
}
