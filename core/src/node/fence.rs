//! Nodes that do not vote: fencing after a storage failure, and learners that have lost their storage.

use super::{Node, Phase};
use crate::config::{Config, ConfigError};
use crate::mutant::Mutant;
use crate::timer::Timer;
use crate::{AnyOutbox, Event, Halt, Instant, Role, Slot, StateMachine, Tracer, Write};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Fences the node after its storage has failed: a write is not durable and will not be. Call it with the outbox
    /// that holds that write, instead of emptying the outbox. After any storage error the next write may fail as well,
    /// so a fenced node stays fenced until it restarts.
    ///
    /// A fenced node (rule D1) neither votes nor leads, does not answer leaders, and writes nothing that other nodes
    /// would rely on. The writes and messages in the outbox are dropped, as if they had been lost on the way. The node
    /// goes on as a replica: it learns decisions, proposes the requests of its clients to the leader, answers them, and
    /// helps other nodes to catch up. Replies stay in the outbox, and may leave.
    ///
    /// # Why the applied state remains valid
    ///
    /// With two or more members, nothing is decided without another node. A leader counts its own vote before it is
    /// durable, but the votes of others for the same slot answer an accept, and so come in a later turn: by then its
    /// vote is durable, and every quorum rests on votes that are all durable. What a follower takes for decided was
    /// decided by others, without anything that this node has not sent yet. There are two exceptions: a node whose own
    /// promise or vote was a quorum alone may have applied slots that are written nowhere, and a founder whose founding
    /// is not durable would found the cluster once more. Both halt, so that nobody relies on their state, and their
    /// replies are dropped as well.
    ///
    /// How many members there are at present does not tell whether the first exception applies: a lone voter may have
    /// just applied the change that ended its epoch, and is then one of several members, with a vote for that change that
    /// is not durable. So the node notes that a quorum was its own, and forgets it when another member promises a ballot
    /// of this node: that promise answers a prepare, which left when everything before it was durable.
    pub fn fence<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) {
        if self.makes(Mutant::FenceIgnored) {
            return;
        }
        // The founding is a write of an earlier step of the same outbox, if the node has become active with it.
        let founds = |write: &Write<M::Command>| *write == Write::Installed(Slot::ZERO);
        let founder = self.config.node == self.config.founder;
        let founding = matches!(self.phase, Phase::Founding(_))
            || founder && outbox.writes().iter().any(founds);
        let alone = self.voting.is_alone || founding;
        if alone {
            outbox.clear();
        } else {
            outbox.drop_unsent();
        }
        if self.halt.is_some() || !self.voting.is_allowed {
            return;
        }
        debug_assert!(
            outbox.writes().is_empty() && outbox.messages().is_empty(),
            "what depends on a failed write has not left (D1)"
        );
        debug_assert!(
            !alone || outbox.replies().is_empty(),
            "what a quorum of one has answered may be written nowhere (D1)"
        );
        self.voting.is_allowed = false;
        let mut step = self.step(now, outbox, tracer);
        step.trace(Role::Node, Event::Fenced);
        if alone {
            self.halt(&mut step, Halt::StorageFailed);
        } else {
            if let Some(ballot) = self.leader.leading() {
                step.trace(Role::Leader, Event::SteppedDown { ballot });
                // Rule L8: it followed itself, and misses a leader from now on unless it hears one in time.
                let timeout = self.config.election_timeout;
                self.timers.arm_after(Timer::Election, &step.now, &timeout);
            }
            self.resign(&mut step);
            // Rule L8: an election of its own would have had it look for a leader, and has ended.
            self.watch_gap(&mut step);
            debug_assert!(self.leader.is_idle(), "a fenced node leads (D1)");
        }
        step.finish();
        self.invariants();
    }

    /// Creates a learner: a node that restarts under its number without everything that it had made durable, because
    /// its storage is lost or damaged.
    ///
    /// It must not vote again, as other nodes rely on promises and votes that it no longer knows (rule D2). It remains
    /// a learner until it restarts with intact storage: it fetches the state as a joining node does, and is then a
    /// replica like a fenced node ([`Node::fence`]). It founds no cluster, even under the founder's number, and does
    /// not count towards the quorum of a founding. Until it votes again, the cluster tolerates one failure less.
    ///
    /// `run_seed` is as for [`Node::found`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first check of the settings that fails.
    pub fn learn(config: Config, run_seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::joining(config, run_seed, now, false))
    }
}
