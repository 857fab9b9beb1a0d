//! Failure detection: whether this node hears a leader, and which node it sends proposals to while it hears none.

use super::{Node, Step};
use crate::{NodeId, StateMachine, Tracer};

/// How often a relay that is only known to have decisions is asked in vain before other nodes are asked.
pub(super) const RELAY_REPEATS: u8 = 3;

/// The contact of a node with a leader. It decides what the [election timer](crate::Timer::Election) is for, and how a
/// probe is answered (rule L7).
///
/// | contact | begins when | when the timer fires, the node | a probe is |
/// |---|---|---|---|
/// | `New` | the node becomes active, or restarts | sends a probe | granted |
/// | `Following` | a leader is heard, or the node becomes the leader | suspects its leader | denied |
/// | `Missing` | the leader was silent for too long | sends a probe: its turn to claim has come | granted |
/// | `Promised` | the ballot of another node was promised | sends a probe: that node had the time to win | denied |
/// | `Waiting` | an election of its own has failed, and no other ballot was promised meanwhile | sends a probe again (rule L5) | granted |
/// | `Succeeding` | the node has led the epoch that has just ended | claims at once, without a probe (rule V9) | denied |
///
/// A node that is `Promised` denies probes, because the candidate has a quorum behind it that suspects the leader: one
/// more claim could only preempt that candidate. This lasts no longer than the node's own timer, so a candidate that
/// has died does not block others for long. The six variants cannot be replaced by a flag: `Following` and `Promised`
/// deny for different reasons, and only `Following` means that a leader can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LeaderContact {
    /// Nothing was heard of a leader yet.
    New,
    /// A leader is heard, or this node is the leader.
    Following,
    /// The leader was silent for too long.
    Missing,
    /// Another node was promised its ballot, and has not taken the lead yet.
    Promised,
    /// An election or a leadership of this node has ended without a leader that is heard.
    Waiting,
    /// This node has led the epoch that has just ended, and claims the first ballot of the next one.
    Succeeding,
}

impl LeaderContact {
    /// Rule L7: true if a node with this contact, and without a claim of its own, grants a probe.
    pub(super) const fn grants(self) -> bool {
        !matches!(self, Self::Following | Self::Promised | Self::Succeeding)
    }
}

/// A node that has more of the log than this node, which hears no leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    /// The node, never this one.
    pub(super) node: NodeId,
    /// True if the relay has said that it hears a leader; false if it has only sent decisions.
    pub(super) hears: bool,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Rule L8: true if this node has looked for a leader and hears none, so that nobody announces decisions to it.
    /// Such a node requests decisions again and again.
    pub(super) fn is_without_leader(&self) -> bool {
        let looks = match self.contact {
            // A leader may be about to be heard; to ask others now would be in vain most of the time.
            LeaderContact::New
            | LeaderContact::Following
            | LeaderContact::Promised
            | LeaderContact::Succeeding => return false,
            // A voter has its probe to come, and learns from the answers whether anybody hears a leader.
            LeaderContact::Missing => !self.is_voting() || self.relay.is_some(),
            LeaderContact::Waiting => true,
        };
        looks && self.is_active() && (self.leader.is_idle() || self.leader.is_probing())
    }

    /// Rule L8: handles the news that `node` hears a leader which this node does not hear. From now on, that node
    /// forwards the pending requests and sends decisions.
    pub(super) fn on_relay<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        node: NodeId,
    ) {
        debug_assert!(
            self.mistake.is_any() || self.leader_hint.is_none(),
            "looks for a way around a leader that it hears (L8)"
        );
        let relay = Some(Relay { node, hears: true });
        // Once for each relay: each repetition of the probe is denied again.
        if self.relay != relay {
            self.relay = relay;
            self.propose_pending(step, true);
            self.learn_from(step, node);
        }
    }

    /// Rule L8: notes the sender of decisions, or of a snapshot, as the next node to ask while no leader is heard.
    pub(super) fn note_decision_source(&mut self, from: NodeId) {
        if self.is_without_leader() && self.relay.is_none() {
            self.relay = Some(Relay {
                node: from,
                hears: false,
            });
        }
    }

    /// Returns the node that requests are proposed to: the leader, or else the relay; `None` if they have to wait.
    pub(super) fn proposal_target(&self) -> Option<NodeId> {
        self.leader_hint.or(self.relay.map(|relay| relay.node))
    }

    /// Rule L8: returns the node that requests which have waited are proposed to. Every other time it is not the
    /// leader, since a leader that is heard need not hear this node; and any node if nothing better is known.
    pub(super) fn retry_target(&mut self) -> Option<NodeId> {
        let usual = self.proposal_target();
        if usual == Some(self.config.node) {
            return usual;
        }
        let bypass_leader = self.bypass_leader;
        self.bypass_leader = !bypass_leader;
        let peers = self.peers();
        let others = usual.map_or(peers, |usual| peers.without(usual));
        let other = self.random_of(others);
        if bypass_leader {
            other.or(usual)
        } else {
            usual.or(other)
        }
    }

    /// Rule L8: returns the node that a proposal is forwarded to if this node does not lead: the leader that it hears;
    /// or, if it hears none, a relay that hears one. A proposal is never returned to its sender.
    ///
    /// # Why proposals do not circulate
    ///
    /// **Followers.** A follower forwards to the owner of the highest ballot that it has seen. The owner of a ballot
    /// has promised it before any other node saw it, so it follows only higher ballots. Along a path of followers
    /// ballots therefore rise, whatever changes while a message is on that path, since the highest ballot that a node
    /// has seen never falls.
    ///
    /// **Relays.** A node chooses as its relay a node that denies its probe, and keeps it until it follows, claims,
    /// waits for the claim of another node, or gives up a probe that nobody has denied. It denies probes itself in the
    /// first three states only; and each of them, when it begins, ends the probe or keeps a denial from choosing a
    /// relay. So between its probe and the loss of its relay a node denies no probe. If relays formed a ring, each node
    /// in it would have denied the probe of its predecessor, then probed, and then been denied by its successor. Each
    /// denial in the ring would be older than the next, which is impossible.
    ///
    /// **Both.** The owner of the ballot that a follower follows may itself follow nobody and have a relay. It chose
    /// none while its own ballot was the highest that it had seen, and a denial counts only if it comes from a node
    /// that has seen a ballot at least as high: so the relay has seen a higher ballot than that follower. The relay had
    /// no relay at that time, and any that it has chosen since has seen as much in turn. Where the relays lead to a
    /// follower again, that one follows a higher ballot than the first.
    ///
    /// # Where a proposal may circulate for a while
    ///
    /// - A probe is identified by its ballot, which changes nothing and is written nowhere. A node that has followed a
    ///   leader since, or restarted, may probe with the same ballot. A late denial of the first probe is then taken for
    ///   one of the second, and may close a ring. No node of that ring denies probes, so it ends with the next probe of
    ///   one of its nodes that receives no such late answer: the other nodes grant it, or nobody answers and the relay
    ///   is dropped. This takes about two election timeouts and the repeats of a probe.
    /// - A learner that has lost its storage does not know what it had promised. It may follow a ballot below its own
    ///   for as long as others follow that ballot, which is one election timeout.
    ///
    /// Even then the number of messages does not grow: a node sends no more copies than it has received.
    pub(super) fn forward_target(&self, from: NodeId) -> Option<NodeId> {
        let relay = self.relay.filter(|relay| relay.hears);
        let next = match self.contact {
            LeaderContact::Following => self.leader_hint,
            _ => relay.map(|relay| relay.node),
        };
        next.filter(|next| *next != from && *next != self.config.node)
    }
}
