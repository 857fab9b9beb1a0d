//! Duties: what a node has done when it has handled a message.
//!
//! The other checks hold against a node what it says. Here it is held against a node what it leaves out: an answer that a
//! message calls for, a ballot or a mark that it tells, a leader that it shows. What is lost with a message is repeated, and
//! so a node that passes over a message it has received looks like one to which it never came; only its own step shows the
//! difference.
//!
//! What a node takes from a message depends on what it was before, so that is noted before the step: see [`Before`].

mod forwarding;
mod transfers;

use super::Invariants;
use crate::message::Entries;
use crate::roles::replica::SpareUse;
use crate::simulation::observer::Handled;
use crate::simulation::setting::Setting;
use crate::simulation::violation::{Rule, Violation};
pub(super) use transfers::Transfers;

use crate::{
    Ballot, Entry, Envelope, Epoch, Instant, Message, Node, NodeId, NodeSet, NodeState, Outgoing,
    Slot, StateMachine, Timer,
};

/// A node as it was before it handled a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    state: NodeState,
    /// Whether it could vote where it was a member.
    may_vote: bool,
    epoch: Epoch,
    members: NodeSet,
    highest: Ballot,
    promised: Ballot,
    leader: Option<NodeId>,
    leading: Option<Ballot>,
    /// The ballot of its claim, and that of its probe.
    claim: Option<Ballot>,
    probe: Option<Ballot>,
    applied: Slot,
    /// What the room for a snapshot was used for.
    spare: SpareUse,
    /// Whether it had the decision that it is asked for.
    keeps: bool,
}

impl Before {
    fn of<M: StateMachine, const W: usize, const C: usize, const P: usize>(
        node: &Node<M, W, C, P>,
        message: &Message<M, P>,
    ) -> Self {
        let status = node.status();
        Self {
            state: status.state,
            may_vote: node.is_voter(),
            epoch: node.epoch(),
            members: node.members(),
            highest: status.highest,
            promised: node.promised(),
            leader: status.leader,
            leading: node.leading(),
            claim: node.claimed(),
            probe: node.probed(),
            applied: status.applied,
            spare: node.spare(),
            keeps: matches!(message, Message::Learn { from } if node.decision(*from).is_some()),
        }
    }

    /// Whether it voted.
    const fn votes(&self) -> bool {
        matches!(self.state, NodeState::Voting | NodeState::Leading)
    }

    /// Whether a node takes this ballot for one that its sender may claim (rules A1, N1 and V1).
    fn takes(&self, from: NodeId, ballot: Ballot) -> bool {
        ballot.leader() == from && self.members.contains(from) && ballot.is_plausible(self.highest)
    }
}

/// Whether a message calls for something that shows in the node or in what it says. What becomes of the others shows in the
/// replies, or in what is repeated.
const fn calls_for_something<M: StateMachine, const P: usize>(message: &Message<M, P>) -> bool {
    !matches!(
        message,
        Message::HeartbeatReply { .. }
            | Message::Request { .. }
            | Message::Response { .. }
            | Message::Confirmed { .. }
            | Message::ReadIndexReply { .. }
    )
}

/// What a node has done with a message: the node after it, and what it wants said.
struct Done<'a, M: StateMachine, const W: usize, const C: usize, const P: usize> {
    now: Instant,
    before: Before,
    node: &'a Node<M, W, C, P>,
    from: NodeId,
    /// What this step has added.
    added: &'a [Outgoing<M, P>],
    /// What waits in all: an answer may have been merged with one of an earlier step.
    waiting: &'a [Outgoing<M, P>],
    transfers: Transfers,
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Invariants<S, W, C, P> {
    /// A node is about to handle a message.
    pub(super) fn note_before(
        &mut self,
        node: &Node<S::Machine, W, C, P>,
        envelope: &Envelope<S::Machine, P>,
    ) {
        // A node with a mutant has to be caught by what comes of it.
        let is_judged = calls_for_something(&envelope.message) && !node.mistake().is_any();
        self.before = is_judged.then(|| Before::of(node, &envelope.message));
        self.note_timers(node);
    }

    /// A node has handled a message, and done what that calls for.
    pub(super) fn has_done(
        &mut self,
        handled: &Handled<'_, S::Machine, W, C, P>,
    ) -> Result<(), Violation> {
        let Handled {
            now,
            node,
            envelope,
            waiting,
            added,
        } = *handled;
        let before = self.before.take();
        let memory = self.facts.memories.get_mut(usize::from(node.id().0));
        let (Some(before), Some(memory)) = (before, memory) else {
            return Ok(());
        };
        if node.halted().is_some() {
            return Ok(());
        }
        let done = Done {
            now,
            before,
            node,
            from: envelope.from,
            added: waiting.get(added..).unwrap_or_default(),
            waiting,
            transfers: memory.transfers,
        };
        let message = &envelope.message;
        memory.transfers = done.transfers_after(message);
        self.facts.seen.check(Rule::Neglected);
        if !done.suffices(message) {
            let (node, message) = (node.id(), message.kind());
            return Err(Violation::Neglected { node, message });
        }
        Ok(())
    }
}

impl<M: StateMachine, const W: usize, const C: usize, const P: usize> Done<'_, M, W, C, P> {
    /// Rule V9: a leader whose own voters have chosen the end of its epoch has told the members of both epochs. Where it learns
    /// of that end from others, it may have stepped down before.
    fn has_told_end(&self) -> bool {
        let Before {
            leading,
            epoch,
            members,
            applied,
            ..
        } = self.before;
        let Some(led) = leading.filter(|_| self.node.epoch() > epoch) else {
            return true;
        };
        let mut rest = members.union(self.node.members()).without(self.node.id());
        for Outgoing { to, message, .. } in self.waiting {
            if let Message::Decision { ballot, decided }
            | Message::Accept {
                ballot, decided, ..
            } = message
                && *ballot == led
                && *decided > applied
            {
                rest = rest.minus(*to);
            }
        }
        rest.is_empty()
    }

    /// Whether a node has done what a message calls for.
    fn suffices(&self, message: &Message<M, P>) -> bool {
        if let Message::Welcome { snapshot, page, .. } = message {
            return self.has_taken_page(*snapshot, *page) && self.has_asked_again(message);
        }
        if self.before.state == NodeState::Joining {
            return true;
        }
        if let Some(ballot) = message.claimed()
            && ballot.epoch() != self.before.epoch
        {
            return self.is_of_other_epoch(ballot);
        }
        match message {
            Message::Probe { ballot } => self.has_answered_probe(*ballot),
            Message::ProbeReply {
                ballot, highest, ..
            } => self.before.probe != Some(*ballot) || self.has_seen(*highest),
            Message::Prepare { ballot, from } => self.has_answered_prepare(*ballot, *from),
            Message::Promise {
                ballot,
                promised,
                low_water,
                last,
                entries,
                ..
            } => self.has_merged((*ballot, *promised), *low_water, (entries, *last)),
            Message::Accept {
                ballot,
                first,
                decided,
                proposals,
            } => self.has_accepted(*ballot, (*first, proposals.len()), *decided),
            Message::Accepted {
                ballot,
                promised,
                low_water,
                ..
            } => self.has_counted((*ballot, *promised), *low_water) && self.has_told_end(),
            Message::Decision { ballot, decided } => {
                !self.before.takes(self.from, *ballot)
                    || self.knows(*decided) && self.follows(*ballot)
            }
            Message::Heartbeat {
                ballot, decided, ..
            } => self.has_answered_heartbeat(*ballot, *decided),
            Message::Confirm { ballot, round } => self.has_confirmed(*ballot, *round),
            Message::Superseded { ballot, applied } => {
                let (epoch, me) = (self.before.epoch, self.node.id());
                ballot.epoch() != epoch || ballot.leader() != me || self.knows(*applied)
            }
            Message::Learn { from } => self.has_taught(*from),
            Message::Decisions { first, applied, .. } => {
                *first == Slot::ZERO || self.knows(*applied)
            }
            Message::Join { snapshot: None, .. } => self.has_welcomed(),
            Message::Propose { proposal, retry } => self.has_passed_on(proposal, *retry),
            Message::ReadIndex { nonce, reader } => self.has_passed_on_question(*nonce, *reader),
            // See `calls_for_something`; pages are looked at above.
            Message::Welcome { .. }
            | Message::Join { .. }
            | Message::HeartbeatReply { .. }
            | Message::Request { .. }
            | Message::Response { .. }
            | Message::Confirmed { .. }
            | Message::ReadIndexReply { .. } => true,
        }
    }

    /// The messages of this step to the sender of what it handles.
    fn answers(&self) -> impl Iterator<Item = &Message<M, P>> {
        let to = NodeSet::only(self.from);
        let answers = self.added.iter().filter(move |added| added.to == to);
        answers.map(|added| &added.message)
    }

    /// Whether a node knows that the log is decided up to a slot.
    fn knows(&self, decided: Slot) -> bool {
        self.node.known_decided() >= decided
    }

    /// Whether a node has noted a ballot that it was told of, if that is one that it believes (rules S1 and N1).
    fn has_seen(&self, ballot: Ballot) -> bool {
        let Before {
            members, highest, ..
        } = self.before;
        !members.contains(self.from)
            || !ballot.is_plausible(highest)
            || self.node.status().highest >= ballot
    }

    /// Whether a node follows the leader of a ballot from this moment on, if it is the highest that it has seen (rules F1 and
    /// F2). It follows nobody in an epoch that it has just entered.
    fn follows(&self, ballot: Ballot) -> bool {
        let Before { highest, epoch, .. } = self.before;
        let timeout = self.node.config().election_timeout;
        ballot < highest
            || self.node.epoch() != epoch
            || self.node.leader_hint() == Some(self.from)
                && self.node.timers().deadline(Timer::Election) == Some(self.now + timeout)
    }

    /// A claim or a leader's message of another epoch: of an earlier one, its sender is told; of a later one, this node knows
    /// that it misses the end of its own (rules V6 and V7).
    fn is_of_other_epoch(&self, ballot: Ballot) -> bool {
        let Before { epoch, applied, .. } = self.before;
        if ballot.leader() != self.from {
            return true;
        }
        if ballot.epoch() > epoch {
            return applied.next().is_none_or(|end| self.knows(end));
        }
        let tells = |answer: &Message<M, P>| matches!(answer, Message::Superseded { ballot: of, applied: told } if *of == ballot && *told == applied);
        self.answers().any(tells)
    }

    /// Rule L7: a voter answers a probe, and tells the highest ballot that it has seen.
    fn has_answered_probe(&self, ballot: Ballot) -> bool {
        let (votes, highest) = (self.before.votes(), self.before.highest);
        let answers = |answer: &Message<M, P>| matches!(answer, Message::ProbeReply { ballot: of, highest: told, .. } if *of == ballot && *told == highest);
        !votes || !self.before.takes(self.from, ballot) || self.answers().any(answers)
    }

    /// Rules A1 and S7: an acceptor answers each prepare, with a page from the slot that is asked for.
    fn has_answered_prepare(&self, ballot: Ballot, slot: Slot) -> bool {
        let promised = self.before.promised.max(ballot);
        let answers = |answer: &Message<M, P>| matches!(answer, Message::Promise { ballot: of, promised: told, from, .. } if *of == ballot && *told == promised && *from == slot);
        !self.before.votes() || !self.before.takes(self.from, ballot) || self.answers().any(answers)
    }

    /// Whether a refusal was taken in: with its ballot; or, if it is of a later epoch, as the news that this one has ended.
    fn has_heard_refusal(&self, promised: Ballot) -> bool {
        let Before { epoch, applied, .. } = self.before;
        if promised.epoch() > epoch {
            applied.next().is_none_or(|end| self.knows(end))
        } else {
            self.has_seen(promised)
        }
    }

    /// Rules S2, S5 and S6: a promise of a present claim is merged, and the next page is asked for from where it ends.
    fn has_merged(
        &self,
        (ballot, promised): (Ballot, Ballot),
        low_water: Slot,
        (entries, last): (&Entries<M, P>, bool),
    ) -> bool {
        let Before { claim, members, .. } = self.before;
        if claim != Some(ballot) || !members.contains(self.from) {
            return true;
        }
        if promised > ballot {
            return self.has_heard_refusal(promised);
        }
        let is_whole = |entry: &Entry<M::Command>| entry.ballot < ballot && entry.slot > low_water;
        let ends = entries.last().and_then(|entry| entry.slot.next());
        if promised < ballot || !entries.iter().all(is_whole) || (ends.is_none() && !last) {
            return true;
        }
        let goes_on = |answer: &Message<M, P>| match answer {
            Message::Prepare { ballot: of, from } if *of == ballot => Some(*from) == ends && !last,
            _ => true,
        };
        self.knows(low_water) && self.answers().all(goes_on)
    }

    /// Rules A2, C3 and F1: an accept shows who leads and how far the log is decided, and is answered with all that was voted
    /// for of it, now or before.
    fn has_accepted(&self, ballot: Ballot, (first, len): (Slot, usize), decided: Slot) -> bool {
        let Before {
            epoch, promised, ..
        } = self.before;
        if !self.before.takes(self.from, ballot) || len == 0 || decided >= first {
            return true;
        }
        if !self.knows(decided) || !self.follows(ballot) {
            return false;
        }
        if !self.before.votes() || !self.node.is_voting() || self.node.epoch() != epoch {
            return true;
        }
        let is_told = |slot: Slot| self.node.voted_under(slot) == Some(ballot);
        let run = (0..crate::outbox::run_len(len))
            .map_while(|offset| first.checked_add(offset).filter(|slot| is_told(*slot)))
            .count();
        if run == 0 || ballot < promised {
            let answers = |answer: &Message<M, P>| matches!(answer, Message::Accepted { ballot: of, .. } if *of == ballot);
            return self.answers().any(answers);
        }
        let to = NodeSet::only(self.from);
        let end = first.checked_add(crate::outbox::run_len(run));
        let tells = |waiting: &Outgoing<M, P>| {
            matches!(&waiting.message, Message::Accepted { ballot: of, first: start, count, .. }
                if waiting.to == to && *of == ballot && *start <= first
                    && start.checked_add(u64::from(*count)) >= end)
        };
        self.waiting.iter().any(tells)
    }

    /// Rules S5 and T2: an answer to an accept of the present leadership may be a refusal, and tells how far its sender is.
    fn has_counted(&self, (ballot, promised): (Ballot, Ballot), low_water: Slot) -> bool {
        let Before {
            leading, members, ..
        } = self.before;
        if leading != Some(ballot) || !members.contains(self.from) {
            return true;
        }
        if promised > ballot {
            return self.has_heard_refusal(promised);
        }
        promised < ballot || self.knows(low_water)
    }

    /// Rules F1, L6 and V8: a heartbeat of the highest ballot is answered with how far the log is applied.
    fn has_answered_heartbeat(&self, ballot: Ballot, decided: Slot) -> bool {
        let Before {
            may_vote,
            highest,
            applied,
            ..
        } = self.before;
        if !self.before.takes(self.from, ballot) || ballot < highest {
            return true;
        }
        let answers = |answer: &Message<M, P>| matches!(answer, Message::HeartbeatReply { ballot: of, applied: told } if *of == ballot && *told == applied);
        self.knows(decided) && self.follows(ballot) && (!may_vote || self.answers().any(answers))
    }

    /// Rule Q2: a voter confirms the highest ballot that it has seen, and no lower one.
    fn has_confirmed(&self, ballot: Ballot, round: u32) -> bool {
        if !self.before.takes(self.from, ballot) {
            return true;
        }
        let answers = |answer: &Message<M, P>| matches!(answer, Message::Confirmed { ballot: of, round: told } if *of == ballot && *told == round);
        let confirms = self.answers().any(answers);
        let is_due = ballot >= self.before.highest && self.before.votes();
        confirms == is_due && self.follows(ballot)
    }
}
