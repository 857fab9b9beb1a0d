//! Checks of the messages and replies of nodes.
//!
//! A message says something about its sender's past, about the log, or both. The first is held against the memory of
//! the sender, the second against the votes of all nodes and the log that follows from them. Messages are looked at
//! when they leave, after the writes that they rest on.

use super::Invariants;
use super::ballots::{Claim, Known};
use super::memory::Memory;
use crate::simulation::event_loop::{Command, Output};
use crate::simulation::setting::Setting;
use crate::simulation::violation::{Rule, Violation};
use crate::{
    Ballot, Change, ChangeError, ClientId, Epoch, Message, NodeId, NodeSet, Outcome, Outgoing,
    Proposal, Reply, RequestNumber, Role, Slot,
};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Invariants<S, W, C, P> {
    /// A message leaves: whatever it says of the past is so, first of the past of its node, then of the log.
    pub(super) fn said(
        &mut self,
        node: NodeId,
        outgoing: &Outgoing<S::Machine, P>,
    ) -> Result<(), Violation> {
        self.facts.said(node, &outgoing.message)?;
        self.said_of_log(node, outgoing)
    }

    /// A message leaves: whatever it says of the log, and so of what other nodes have done, is so.
    fn said_of_log(
        &mut self,
        node: NodeId,
        outgoing: &Outgoing<S::Machine, P>,
    ) -> Result<(), Violation> {
        match &outgoing.message {
            Message::Heartbeat { decided, chain, .. } => self.chained(node, *decided, *chain),
            Message::Accept {
                ballot,
                first,
                proposals,
                ..
            } => self.proposed(node, *ballot, *first, proposals),
            Message::Decisions {
                first, proposals, ..
            } => self.decided(node, *first, proposals),
            // A replica that welcomes passes on what it has applied, and answers for no member.
            Message::Welcome { .. } if outgoing.role == Role::Seed => {
                self.founds(node, outgoing.to)
            }
            _ => Ok(()),
        }
    }

    /// A message leaves before the writes of its step are durable: it rests on earlier ones alone (rule D1). So the node
    /// has written its promise of the ballot, and what is decided up to the mark was chosen by votes that are durable.
    pub(super) fn said_early(
        &mut self,
        node: NodeId,
        message: &Message<S::Machine, P>,
    ) -> Result<(), Violation> {
        let (ballot, decided) = match message {
            Message::Accept {
                ballot, decided, ..
            }
            | Message::Decision { ballot, decided }
            | Message::Heartbeat {
                ballot, decided, ..
            } => (*ballot, *decided),
            _ => {
                self.facts.seen.check(Rule::UnwrittenPromise);
                let ballot = Ballot::NULL;
                return Err(Violation::UnwrittenPromise { node, ballot });
            }
        };
        let Some(memory) = self.facts.memories.get_mut(usize::from(node.0)) else {
            self.facts.seen.skip(Rule::UnwrittenPromise);
            return Ok(());
        };
        memory.claims(node, ballot, &mut self.facts.seen)?;
        if decided > Slot::ZERO {
            self.facts.seen.check(Rule::NotChosen);
            match self.facts.ballots.chosen(decided) {
                Known::Is(_) => {}
                Known::Not if !self.lost => {
                    let slot = decided;
                    return Err(Violation::NotChosen { node, slot });
                }
                _ => self.facts.seen.skip(Rule::NotChosen),
            }
        }
        match message {
            Message::Accept {
                first, proposals, ..
            } => self.proposed(node, ballot, *first, proposals),
            _ => Ok(()),
        }
    }

    /// A founder welcomes those with whom it founds: each of them has asked as one that votes (rule J1).
    /// Only the nodes that it welcomes when it founds are a quorum without a past; later ones are welcomed by replicas.
    fn founds(&mut self, node: NodeId, with: NodeSet) -> Result<(), Violation> {
        self.facts.seen.check(Rule::NotVoting);
        let joined = |member: NodeId| {
            let memory = self.facts.memories.get(usize::from(member.0));
            memory.is_none_or(Memory::has_joined)
        };
        if with.iter().all(joined) {
            Ok(())
        } else {
            Err(Violation::NotVoting { node })
        }
    }

    /// A leader proposes what may stand in its slots: what its ballot has there already, and what is chosen under a
    /// lower one (rules L2 and S4).
    fn proposed(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        first: Slot,
        proposals: &[Proposal<Command<S, W, C, P>>],
    ) -> Result<(), Violation> {
        for (slot, proposal) in numbered(first, proposals) {
            let claim = Claim {
                node,
                slot,
                ballot,
                proposal,
            };
            if self.facts.proposes(node, slot, ballot, proposal)? {
                self.asked_for(claim)?;
                if let Proposal::Reconfigure(change) = proposal
                    && change.epoch == ballot.epoch()
                {
                    self.is_heard(node, change.members)?;
                }
            }
        }
        Ok(())
    }

    /// A leader proposes members of which a quorum has told it how far they are (rule V8). What exactly they have told this
    /// leader is not followed, and whoever adopts a change relies on the leader that has proposed it; but who has never led
    /// nor answered a heartbeat has told nobody.
    fn is_heard(&mut self, leader: NodeId, members: NodeSet) -> Result<(), Violation> {
        self.facts.seen.check(Rule::HastyChange);
        let has_reported = |node: &NodeId| {
            let memory = self.facts.memories.get(usize::from(node.0));
            memory.is_some_and(Memory::has_reported)
        };
        let heard: NodeSet = members.iter().filter(has_reported).collect();
        if heard.is_quorum(members) {
            Ok(())
        } else {
            Err(Violation::HastyChange { node: leader })
        }
    }

    /// A leader tells the digest of the log up to where it says that it is decided, and not up to elsewhere.
    fn chained(&mut self, node: NodeId, decided: Slot, chain: u64) -> Result<(), Violation> {
        self.facts.seen.check(Rule::Disagreement);
        match self.log.chain(decided) {
            Known::Is(right) if right != chain && !self.lost => Err(Violation::Disagreement {
                node,
                slot: decided,
            }),
            Known::Is(_) => Ok(()),
            // The leader has applied more than the log is played, or something too old.
            _ => {
                self.facts.seen.skip(Rule::Disagreement);
                Ok(())
            }
        }
    }

    /// A replica passes on what is decided: all of that was chosen (rule C3).
    fn decided(
        &mut self,
        node: NodeId,
        first: Slot,
        proposals: &[Proposal<Command<S, W, C, P>>],
    ) -> Result<(), Violation> {
        for (slot, proposal) in numbered(first, proposals) {
            let chosen = self.unless_lost(self.log.decision(slot));
            let is_so = chosen.has(|chosen| chosen == proposal);
            self.facts
                .judge(is_so, Violation::NotChosen { node, slot })?;
        }
        Ok(())
    }

    /// A request is answered as the log answers it (rules X1 and X2).
    pub(super) fn replied(
        &mut self,
        node: NodeId,
        reply: &Reply<Output<S, W, C, P>>,
    ) -> Result<(), Violation> {
        let is_so = if reply.key.client == ClientId::OPERATOR {
            self.changed(reply)
        } else if reply.key.number == RequestNumber::READ {
            self.may_be_read(node, &reply.outcome)
        } else {
            self.log.gives(reply)
        };
        let is_so = self.unless_lost(is_so);
        let number = reply.key.number;
        self.facts
            .judge(is_so, Violation::WrongReply { node, number })
    }

    /// Whether a node may say this of a read: it has applied the log up to there. Whether that is far enough shows in what is
    /// read (rules Q2 to Q5).
    fn may_be_read(&self, node: NodeId, outcome: &Outcome<Output<S, W, C, P>>) -> Known<()> {
        match outcome {
            Outcome::Readable { applied } => {
                let memory = self.facts.memories.get(usize::from(node.0));
                Known::of(memory.is_some_and(|memory| *applied <= memory.applied))
            }
            Outcome::NotNow => Known::Is(()),
            _ => Known::Not,
        }
    }

    /// Whether the log gives this answer to a change of the members. It names no slot: whoever asks hears which epoch it is
    /// by now, or what is wrong with the change. That the leader has not taken it rests on what it has heard from others.
    ///
    /// One change ends an epoch, and its own answer is that it has; of all others it is that they came too late (rule V4).
    fn changed(&self, reply: &Reply<Output<S, W, C, P>>) -> Known<()> {
        let to_come = u16::try_from(reply.key.number.0).map_or(Epoch::LAST, Epoch);
        let ended = Epoch(to_come.0.saturating_sub(1));
        let (present, members) = (
            self.facts.epochs.present(),
            self.facts.epochs.members(to_come),
        );
        let fingerprint = |members| {
            Change {
                epoch: ended,
                members,
            }
            .fingerprint()
        };
        let is_this = |members| fingerprint(members) == reply.fingerprint;
        match &reply.outcome {
            Outcome::Reconfigured { epoch } if *epoch > present || *epoch != to_come => Known::Not,
            Outcome::Reconfigured { .. } => {
                members.map_or(Known::Forgotten, |members| Known::of(is_this(members)))
            }
            Outcome::Unchanged(ChangeError::Epoch { present: told }) => {
                // In a later epoch it is not known any more which change has led to this one.
                let has_led_here = *told == to_come && members.is_some_and(is_this);
                Known::of(*told <= present && *told != ended && !has_led_here)
            }
            Outcome::Unchanged(_) => Known::Is(()),
            _ => Known::Not,
        }
    }

    /// What the log does not have is not known to be wrong once the log could not be followed.
    fn unless_lost<T>(&self, known: Known<T>) -> Known<T> {
        match known {
            Known::Not if self.lost => Known::Forgotten,
            known => known,
        }
    }
}

/// The proposals of a message with their slots, which are consecutive. No slot follows the last of all (rule N1).
fn numbered<C>(
    first: Slot,
    proposals: &[Proposal<C>],
) -> impl Iterator<Item = (Slot, &Proposal<C>)> {
    (0..).zip(proposals).map_while(move |(offset, proposal)| {
        let slot = first.checked_add(offset)?;
        Some((slot, proposal))
    })
}
