//! Contact with a leader: whether a node hears one, and whom it turns to while it hears none.

use super::{Node, Step};
use crate::{NodeId, StateMachine, Tracer};

/// How often who told decisions is asked for more in vain, before others are asked.
pub(super) const RELAY_REPEATS: u8 = 3;

/// A node's contact with a leader: what its [election timer](crate::Timer::Election) is for, and what it answers to a
/// probe (rule L7).
///
/// | contact | begins when | at its end, the node | a probe is |
/// |---|---|---|---|
/// | `New` | the node becomes active, or comes back | probes | granted |
/// | `Following` | a leader is heard, or the node takes office | misses its leader | refused |
/// | `Missing` | a leader was silent for too long | probes: its turn to claim has come | granted |
/// | `Promised` | another's claim was promised | probes: the claimant had the time to win | refused |
/// | `Waiting` | an attempt of its own came to nothing | probes again (rule L5) | granted |
///
/// A node that is `Promised` refuses, since whoever claims has a quorum behind it that missed its leader: one more claim
/// could only preempt that one. It does so for no longer than its own timer runs, so that a claimant that has died keeps
/// nobody for long. That these five are not one flag matters: `Following` and `Promised` refuse for different reasons, and
/// only `Following` says that a leader can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LeaderContact {
    New,
    Following,
    Missing,
    Promised,
    Waiting,
}

impl LeaderContact {
    /// Rule L7: whether a node in this state that claims nothing itself would have another one claim.
    pub(super) const fn grants(self) -> bool {
        !matches!(self, Self::Following | Self::Promised)
    }
}

/// Somebody who knows more of the log than a node that hears no leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) node: NodeId,
    /// Whether it has said that it hears a leader; or else it has told decisions.
    pub(super) hears: bool,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Rule L8: whether this node has looked for a leader and hears none, so that nobody tells it what is decided. It asks,
    /// again and again.
    pub(super) fn is_without_leader(&self) -> bool {
        let looks = match self.contact {
            LeaderContact::New | LeaderContact::Following | LeaderContact::Promised => {
                return false;
            }
            LeaderContact::Missing => !self.voter || self.relay.is_some(),
            LeaderContact::Waiting => true,
        };
        looks && self.is_active() && (self.leader.is_idle() || self.leader.is_probing())
    }

    /// Rule L8: somebody hears a leader that this node does not hear. It passes on what waits here, and tells what is
    /// decided.
    pub(super) fn on_relay<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        node: NodeId,
    ) {
        let relay = Some(Relay { node, hears: true });
        if self.relay != relay {
            self.relay = relay;
            self.propose_pending(step, true);
            self.learn_from(step, node);
        }
    }

    /// Rule L8: somebody told decisions, or the state, to a node that hears no leader. It is asked again.
    pub(super) fn note_decision_source(&mut self, from: NodeId) {
        if self.is_without_leader() && self.relay.is_none() {
            self.relay = Some(Relay {
                node: from,
                hears: false,
            });
        }
    }

    /// Whom requests are handed to: the leader, or who is to pass them on.
    pub(super) fn proposal_target(&self) -> Option<NodeId> {
        self.leader_hint.or(self.relay.map(|relay| relay.node))
    }

    /// Rule L8: whom requests are handed to that have waited. Every other time that is not the leader, as a leader that is
    /// heard need not hear; and anybody, where nobody better is known.
    pub(super) fn retry_target(&mut self) -> Option<NodeId> {
        let usual = self.proposal_target();
        if usual == Some(self.config.node) {
            return usual;
        }
        let bypass_leader = self.bypass_leader;
        self.bypass_leader = !bypass_leader;
        let peers = self.config.peers();
        let others = usual.map_or(peers, |usual| peers.without(usual));
        let other = self.random_of(others);
        if bypass_leader {
            other.or(usual)
        } else {
            usual.or(other)
        }
    }

    /// Rule L8: whom a proposal is passed on to by a node that does not lead: the leader that it hears; or, if it hears
    /// none, who has said that it hears one. Not back to whom it came from.
    ///
    /// # Why nothing goes round and round
    ///
    /// **Followers.** A follower passes on to the owner of the highest ballot that it has seen. Whoever owns a ballot has
    /// promised it before anybody else saw it, and so follows none but higher ones. Along a way over followers ballots rise,
    /// whatever changes while something is on that way, as what a node has seen never falls.
    ///
    /// **Relays.** A node takes for its relay who says no to its probe, and keeps it until it follows, claims, waits for
    /// another's claim, or gives up a probe that nobody has denied. In the first three states, and in no other, it says no
    /// itself; and whichever of them begins ends its probe, or else keeps a no to that from making a relay. So from its probe
    /// on until its relay is gone a node says no to nobody. If relays closed a ring, each of its nodes would have said its no
    /// to the one before it, then probed, and then been told no by the one after it. Each no in the ring would be older than
    /// the next, and that cannot be.
    ///
    /// **Both.** Who owns the ballot that a follower follows, and follows nobody, may have a relay. It took none while its
    /// own was the highest ballot that it had seen, and a no counts only from who has seen one that is as high: so it is from
    /// a node that has seen a higher one than that follower. That node had no relay then, and whom it has chosen since had
    /// seen as much in turn. Where the relays lead to a follower again, it follows a higher ballot than the one before them.
    ///
    /// # Where something goes round for a while
    ///
    /// - A probe is known by its ballot, which changes nothing and is written nowhere. A node that has followed again since,
    ///   or started again, may probe with the same one; then a no to the first probe that was long under way is taken for one
    ///   to the second, and may close a ring. Nobody in it says no, so that it ends with the next probe of one of its nodes
    ///   that no such old answer reaches: that is granted by the others, or is answered by nobody and drops the relay. This is
    ///   a matter of two election timeouts and the repeats of a probe.
    /// - Who has lost its storage and only learns does not know what it had promised. It may follow a lower ballot than its
    ///   own as long as others follow that one, which they do for an election timeout.
    ///
    /// Even so one message stays one: who passes on sends no more than it got.
    pub(super) fn forward_target(&self, from: NodeId) -> Option<NodeId> {
        let relay = self.relay.filter(|relay| relay.hears);
        let next = match self.contact {
            LeaderContact::Following => self.leader_hint,
            _ => relay.map(|relay| relay.node),
        };
        next.filter(|next| *next != from && *next != self.config.node)
    }
}
