//! Checker: looks for violations in the writes, messages and traces of nodes.
//!
//! Three sources are compared with each other: what a node hands out to be written, what it says to
//! others, and what its trace claims about the log. A vote counts once it is durable, because until
//! then a loss of power takes it back. What is chosen follows from durable votes alone, and is chosen in an epoch: a
//! majority of its members has voted.

mod membership;
mod messages;

use super::check::{Check, CheckSet, Violation};
use super::facts::Fact;
use super::ledger::Ledger;
use super::{Asked, Machine};
use std::collections::BTreeMap;
use synod::machines::KvCommand;
use synod::{Ballot, Entry, Epoch, Node, NodeId, NodeSet, Proposal, Slot, Write};

/// Writes of an acceptor: its promise and its last vote for each slot, with the last slot applied
/// by its node. The node is compared with it after every step, and must come back with it after a
/// loss of power.
#[derive(Clone, Default)]
struct Memory {
    /// Highest ballot promised or voted for. A vote implies the promise of its ballot.
    promised: Ballot,
    /// Epoch that the node has entered. What it promised and accepted in earlier ones is void.
    epoch: Epoch,
    /// Last vote of this epoch for each slot, including slots that the node has since forgotten.
    votes: BTreeMap<Slot, (Ballot, Asked)>,
    /// Last applied slot. It may decrease by a restart, as applied slots are not written one by
    /// one.
    applied: Slot,
}

impl Memory {
    /// Enters an epoch. Nothing is promised or accepted in earlier ones any more.
    fn enter(&mut self, epoch: Epoch) {
        if self.epoch < epoch {
            self.epoch = epoch;
            self.promised = self.promised.max(Ballot::of(epoch, 0, NodeId(0)));
            self.votes.retain(|_, (ballot, _)| ballot.epoch() >= epoch);
        }
    }
}

/// Value of a ballot in a slot, and the nodes that have accepted it.
struct Vote {
    proposal: Asked,
    /// Nodes whose vote is durable; none is ever removed.
    voters: NodeSet,
}

/// Everything observed so far, and what follows from it.
///
/// It shares no code with the nodes, and sees of them only what they write, send, trace and show.
pub(super) struct Checker {
    /// Checks that end the walk; violations of others are passed over.
    checks: CheckSet,
    /// Everything that each node has handed out to be written, durable or not.
    memories: Vec<Memory>,
    /// The durable part of `memories`. A loss of power takes `memories` back to it.
    durable: Vec<Memory>,
    /// Durable votes for each slot and ballot.
    ballots: BTreeMap<(Slot, Ballot), Vote>,
    /// First ballot of each epoch and slot under which a quorum has accepted, and the value. Above the end of its epoch it
    /// is void.
    chosen: BTreeMap<(Epoch, Slot), (Ballot, Asked)>,
    /// Last slot of each ballot for which a value was accepted, and the slot of a change that ends the epoch.
    ends: BTreeMap<Ballot, (Slot, Option<Slot>)>,
    /// Last slot that the leader of each ballot has announced as decided.
    claims: BTreeMap<Ballot, Slot>,
    /// The log as it must be, with the requests of clients and their answers.
    pub(super) ledger: Ledger,
}

impl Checker {
    /// Returns a checker that has seen nothing of `size` nodes, of which the first `founders` are the members of the first
    /// epoch. `sessions_max` is the number of sessions that the nodes keep.
    pub(super) fn new(checks: CheckSet, (size, founders): (u16, u16), sessions_max: usize) -> Self {
        Self {
            checks,
            memories: (0..size).map(|_| Memory::default()).collect(),
            durable: (0..size).map(|_| Memory::default()).collect(),
            ballots: BTreeMap::new(),
            chosen: BTreeMap::new(),
            ends: BTreeMap::new(),
            claims: BTreeMap::new(),
            ledger: Ledger::new(checks, NodeSet::first(founders), sessions_max),
        }
    }

    /// Returns the writes of a node.
    fn memory(&self, node: u16) -> Option<&Memory> {
        self.memories.get(usize::from(node))
    }

    /// True if a node has a durable promise or vote.
    pub(super) fn has_promised(&self, node: u16) -> bool {
        self.memory(node)
            .is_some_and(|memory| memory.promised > Ballot::NULL)
    }

    /// Returns the last slot that a node has applied, as of its last step.
    fn applied(&self, node: u16) -> Slot {
        self.memory(node)
            .map_or(Slot::ZERO, |memory| memory.applied)
    }

    /// Checks a pending write of a node in an epoch, which the node is held to from then on.
    pub(super) fn see_write(
        &mut self,
        (node, epoch): (u16, Epoch),
        write: &Write<KvCommand>,
    ) -> Result<(), Violation> {
        let checks = self.checks;
        self.see_epoch((node, epoch), write)?;
        let Some(memory) = self.memories.get_mut(usize::from(node)) else {
            return Ok(());
        };
        match write {
            Write::Promised(ballot) => {
                checks.ensure(Check::Memory, memory.promised < *ballot, || {
                    format!(
                        "NODE_{node} promised {}, and then {ballot}",
                        memory.promised
                    )
                })?;
                memory.promised = *ballot;
                Ok(())
            }
            Write::Accepted(entry) => {
                checks.ensure(Check::Memory, memory.promised <= entry.ballot, || {
                    format!(
                        "NODE_{node} promised {}, and accepted {entry:?}",
                        memory.promised
                    )
                })?;
                // A vote implies a promise of its ballot (rule A2).
                memory.promised = entry.ballot;
                let vote = (entry.ballot, entry.proposal);
                memory.votes.insert(entry.slot, vote);
                Ok(())
            }
            Write::Decided { .. } | Write::Installed(_) => Ok(()),
        }
    }

    /// Records that all pending writes of a node are durable. Only now its votes count.
    pub(super) fn see_kept(
        &mut self,
        node: u16,
        writes: &[Write<KvCommand>],
    ) -> Result<(), Violation> {
        // All pending writes become durable at once, so that the whole memory is copied.
        let places = (
            self.memories.get(usize::from(node)),
            self.durable.get_mut(usize::from(node)),
        );
        if let (Some(memory), Some(durable)) = places {
            *durable = memory.clone();
        }
        for write in writes {
            if let Write::Accepted(entry) = write {
                self.see_vote(node, entry)?;
            }
        }
        Ok(())
    }

    /// Records a loss of power, which loses writes that are not durable.
    pub(super) fn see_crash(&mut self, node: u16) {
        let places = (
            self.memories.get_mut(usize::from(node)),
            self.durable.get(usize::from(node)),
        );
        if let (Some(memory), Some(durable)) = places {
            *memory = durable.clone();
        }
        self.ledger.lose_reads(node);
    }

    /// Checks a durable vote against all others for its slot, and against what is chosen and
    /// announced.
    fn see_vote(&mut self, node: u16, entry: &Entry<KvCommand>) -> Result<(), Violation> {
        let checks = self.checks;
        let (slot, ballot, proposal) = (entry.slot, entry.ballot, entry.proposal);
        checks.ensure(Check::Validity, self.ledger.is_asked(&proposal), || {
            format!("no client requested {proposal:?}")
        })?;
        let vote = self.ballots.entry((slot, ballot)).or_insert_with(|| Vote {
            proposal,
            voters: NodeSet::EMPTY,
        });
        checks.ensure(Check::OneValue, vote.proposal == proposal, || {
            format!(
                "slot {slot} under {ballot}: {:?} and {proposal:?}",
                vote.proposal
            )
        })?;
        vote.voters.insert(NodeId(node));
        let epoch = ballot.epoch();
        let is_chosen = self.ledger.epochs.is_quorum(epoch, vote.voters);
        self.see_place(node, entry)?;
        if let Some((under, chosen)) = self.chosen.get(&(epoch, slot)) {
            // A vote under a lower ballot may come late, with a value that was not chosen.
            let safe = ballot <= *under || *chosen == proposal;
            checks.ensure(Check::SafeProposal, safe, || {
                format!(
                    "slot {slot}: {chosen:?} was chosen under {under}; NODE_{node} accepts {proposal:?} under {ballot}"
                )
            })?;
        }
        if is_chosen {
            self.see_quorum(slot, ballot, &proposal)?;
        }
        if self.claims.get(&ballot).is_some_and(|told| slot <= *told) {
            let decided = self.ledger.decision(slot) == Some(&proposal);
            checks.ensure(Check::Claim, decided, || {
                format!("slot {slot} was said to be decided under {ballot}; NODE_{node} accepts {proposal:?}")
            })?;
        }
        Ok(())
    }

    /// Checks a value that a quorum has accepted under one ballot.
    fn see_quorum(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        proposal: &Asked,
    ) -> Result<(), Violation> {
        let checks = self.checks;
        let place = (ballot.epoch(), slot);
        let (under, first) = *self.chosen.entry(place).or_insert((ballot, *proposal));
        checks.ensure(Check::Chosen, first == *proposal, || {
            format!("slot {slot}: {first:?} was chosen under {under}, {proposal:?} under {ballot}")
        })?;
        // Votes under higher ballots may have been cast before this quorum was complete.
        // The keys are sorted by slot and then by ballot, and ballots by their epoch.
        let later = self.ballots.range((slot, ballot)..);
        let is_here = |(of, above): &(Slot, Ballot)| (above.epoch(), *of) == place;
        for ((_, above), vote) in later.take_while(|(key, _)| is_here(key)) {
            checks.ensure(Check::SafeProposal, vote.proposal == *proposal, || {
                format!(
                    "slot {slot}: {proposal:?} was chosen under {ballot}; {:?} was accepted under {above}",
                    vote.proposal
                )
            })?;
        }
        Ok(())
    }

    /// Checks a traced fact of a node.
    pub(super) fn see_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        let checks = self.checks;
        match fact {
            Fact::Chosen {
                slot,
                ballot,
                proposal,
            } => {
                // A leader that counts a vote that is not durable yet takes a value for chosen too
                // early.
                let epoch = ballot.epoch();
                let vote = self.ballots.get(&(*slot, *ballot));
                let voters = vote.map_or(NodeSet::EMPTY, |vote| vote.voters);
                let is_quorum = self.ledger.epochs.is_quorum(epoch, voters);
                checks.ensure(Check::Quorum, is_quorum, || {
                    format!(
                        "slot {slot}: taken for chosen under {ballot} with the votes of {voters}"
                    )
                })?;
                let chosen = self.chosen.get(&(epoch, *slot)).map(|(_, chosen)| chosen);
                checks.ensure(Check::Quorum, chosen == Some(proposal), || {
                    format!("slot {slot}: {proposal:?} taken for chosen, and not {chosen:?}")
                })
            }
            Fact::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => {
                // What an earlier epoch has chosen there is void.
                let epoch = self.ledger.epochs.of_slot(*slot);
                let chosen = self.chosen.get(&(epoch, *slot)).map(|(_, chosen)| chosen);
                checks.ensure(Check::Chosen, chosen == Some(proposal), || {
                    format!("slot {slot}: {proposal:?} was applied, and {chosen:?} chosen")
                })?;
                self.ledger.see_applied(*slot, proposal, *outcome, *chain)
            }
        }
    }

    /// Checks the public view of a node after a step.
    pub(super) fn see_node<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        node: &Node<Machine, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        let (checks, number, applied) = (self.checks, node.id().0, node.applied());
        checks.ensure(Check::Halt, node.halted().is_none(), || {
            format!("NODE_{number}: {:?}", node.halted())
        })?;
        let Some(memory) = self.memories.get_mut(usize::from(number)) else {
            return Ok(());
        };
        memory.enter(node.epoch());
        checks.ensure(Check::Memory, node.promised() == memory.promised, || {
            format!(
                "NODE_{number} holds {} for its promise, and wrote {}",
                node.promised(),
                memory.promised
            )
        })?;
        checks.ensure(Check::Order, memory.applied <= applied, || {
            format!(
                "NODE_{number} went back from slot {} to {applied}",
                memory.applied
            )
        })?;
        memory.applied = applied;
        self.ledger.see_state(node)
    }

    /// Checks a node after a restart: it must have all durable writes, and may have some of those during which power
    /// failed.
    pub(super) fn see_recovered<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        node: &Node<Machine, WINDOW, CLIENTS, PAGE>,
        torn: &[Write<KvCommand>],
    ) -> Result<(), Violation> {
        let number = node.id().0;
        self.see_torn(node, torn)?;
        let Some(memory) = self.memories.get_mut(usize::from(number)) else {
            return Ok(());
        };
        // Otherwise all members could forget the change and keep what they have promised after it.
        self.checks
            .ensure(Check::Membership, memory.epoch <= node.epoch(), || {
                format!(
                    "NODE_{number} comes back in epoch {}, and had entered epoch {}",
                    node.epoch(),
                    memory.epoch
                )
            })?;
        // Applied slots are not written one by one.
        memory.applied = node.applied();
        let kept = node
            .votes()
            .map(|entry| (entry.slot, (entry.ballot, entry.proposal)));
        let above = node.low_water().next().unwrap_or(Slot::FIRST);
        let wrote = memory
            .votes
            .range(above..)
            .map(|(slot, vote)| (*slot, *vote));
        self.checks.ensure(Check::Memory, kept.eq(wrote), || {
            format!("NODE_{number} came back without votes that it had written")
        })?;
        self.see_node(node)
    }

    /// Finds the part of the last writes that became durable although power failed during them.
    ///
    /// A vote is there if the node holds it, and a promise if the node holds it or a higher one.
    /// Only what the memory lacks is then recorded, in the order of the step.
    fn see_torn<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        node: &Node<Machine, WINDOW, CLIENTS, PAGE>,
        torn: &[Write<KvCommand>],
    ) -> Result<(), Violation> {
        let number = node.id().0;
        let mut there = Vec::new();
        for write in torn {
            let is_there = match write {
                Write::Accepted(entry) => node.votes().any(|vote| vote == *entry),
                Write::Promised(ballot) => node.promised() >= *ballot,
                Write::Decided { .. } | Write::Installed(_) => false,
            };
            // A checkpoint that contains the effect of a vote need not contain the vote.
            if is_there
                && self.memory(number).is_some_and(|memory| match write {
                    Write::Promised(ballot) => memory.promised < *ballot,
                    _ => true,
                })
            {
                self.see_write((number, node.epoch()), write)?;
                there.push(*write);
            }
        }
        // But it contains the promise implied by such a vote.
        let promised = node.promised();
        let wrote = |write: &Write<KvCommand>| match write {
            Write::Promised(ballot) => *ballot == promised,
            Write::Accepted(entry) => entry.ballot == promised,
            Write::Decided { .. } | Write::Installed(_) => false,
        };
        let known = self.memory(number).map(|memory| memory.promised);
        if known < Some(promised) && torn.iter().any(wrote) {
            self.see_write((number, node.epoch()), &Write::Promised(promised))?;
        }
        // An epoch is there if the node has come back in it, without the votes of the one before.
        if let Some(memory) = self.memories.get_mut(usize::from(number)) {
            memory.enter(node.epoch());
        }
        self.see_kept(number, &there)
    }

    /// Records a request of a client.
    pub(super) fn see_asked(&mut self, proposal: &Proposal<KvCommand>) {
        self.ledger.see_asked(proposal);
    }
}
