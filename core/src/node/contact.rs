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
pub(super) enum Contact {
    New,
    Following,
    Missing,
    Promised,
    Waiting,
}

impl Contact {
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
    pub(super) fn is_lost(&self) -> bool {
        let looks = match self.contact {
            Contact::New | Contact::Following | Contact::Promised => return false,
            Contact::Missing => !self.voter || self.relay.is_some(),
            Contact::Waiting => true,
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
    pub(super) fn on_told(&mut self, from: NodeId) {
        if self.is_lost() && self.relay.is_none() {
            self.relay = Some(Relay {
                node: from,
                hears: false,
            });
        }
    }

    /// Whom requests are handed to: the leader, or who is to pass them on.
    pub(super) fn handed_to(&self) -> Option<NodeId> {
        self.leader_hint.or(self.relay.map(|relay| relay.node))
    }

    /// Rule L8: whom requests are handed to that have waited. Every other time that is not the leader, as a leader that is
    /// heard need not hear; and anybody, where nobody better is known.
    pub(super) fn handed_again_to(&mut self) -> Option<NodeId> {
        let usual = self.handed_to();
        if usual == Some(self.config.node) {
            return usual;
        }
        let around = self.around;
        self.around = !around;
        let peers = self.config.peers();
        let others = usual.map_or(peers, |usual| peers.without(usual));
        let other = self.random_of(others);
        if around {
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
    /// A follower passes on to the owner of the highest ballot that it has seen, who has seen that ballot, and passes on
    /// itself only if it follows a higher one; so along a way that leads over followers ballots rise, and it ends. Over a
    /// relay it goes to a node that said no to a probe. Who says no has no relay: it follows, claims or waits for a claim,
    /// and forgets its relay when that begins. So each node of a ring of relays would have chosen its own after the one
    /// before it in the ring had, which none of them can. Nor does a follower close the ring: who has led under the ballot
    /// that it follows, and leads no more, has a relay only once both that relay and itself have seen a higher one.
    pub(super) fn passed_on_to(&self, from: NodeId) -> Option<NodeId> {
        let relay = self.relay.filter(|relay| relay.hears);
        let next = match self.contact {
            Contact::Following => self.leader_hint,
            _ => relay.map(|relay| relay.node),
        };
        next.filter(|next| *next != from && *next != self.config.node)
    }
}
