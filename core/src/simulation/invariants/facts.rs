//! Checks of what nodes have written, said and applied, whatever tells of it: a simulation, or the records of real nodes.
//!
//! Nothing here looks into a node, and nothing hangs on when something has happened, or on which of two nodes did
//! something first. A node's own facts come in their order; of different nodes, a vote comes before what rests on it.

use super::ballots::{Ballots, Claim, Known};
use super::check_counts::Seen;
use super::epochs::Epochs;
use super::memory::Memory;
use crate::outbox::run_len;
use crate::simulation::capacities::{Capacity, List, Nodes, Room};
use crate::simulation::observer::NodeProgress;
use crate::simulation::violation::{Rule, Violation};
use crate::{
    Ballot, Change, Entry, Epoch, Message, NodeId, NodeSet, Proposal, Slot, StateMachine, Write,
};

/// What a node has come back with after a crash.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// The node.
    pub node: NodeId,
    /// Whether it may vote; otherwise it comes back with nothing.
    pub is_voter: bool,
    /// How far it is. Its chain is not looked at.
    pub progress: NodeProgress,
    /// The founding members of its cluster.
    pub founders: NodeSet,
}

/// Checkers of facts: what the nodes of one cluster have written, said and applied.
///
/// They know the values of slots only as something to compare, so that a fingerprint does as well as a command.
/// [`Invariants`](super::Invariants) feeds them from a simulation, and adds what needs its nodes, clients and clocks.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{Facts, Fixed, Rule};
/// use synod::{Ballot, NodeId, Write};
///
/// let mut facts = Facts::<Kv<16>, Fixed<3, 16, 64>, 16>::new();
/// let node = NodeId(1);
/// facts.wrote(node, &Write::Promised(Ballot::new(2, NodeId(2))))?;
/// let broken = facts.wrote(node, &Write::Promised(Ballot::new(1, NodeId(0)))).unwrap_err();
/// assert_eq!(broken.rule(), Rule::BallotWentBack);
/// # Ok::<(), synod::simulation::Violation>(())
/// ```
#[derive(Clone, Debug)]
pub struct Facts<M: StateMachine, R: Room, const W: usize> {
    pub(super) ballots: Ballots<M::Command, R::History>,
    /// One for each node that the room has place for, whether it is in this run or not.
    pub(super) memories: Nodes<R, Memory<W>>,
    pub(super) epochs: Epochs,
    pub(super) seen: Seen,
}

impl<M: StateMachine, R: Room, const W: usize> Default for Facts<M, R, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: StateMachine, R: Room, const W: usize> Facts<M, R, W> {
    /// Nothing seen yet.
    pub fn new() -> Self {
        let mut memories: Nodes<R, Memory<W>> = List::new();
        while memories.push(Memory::new()).is_ok() {}
        debug_assert_eq!(
            memories.len(),
            <R as Room>::Nodes::MAX,
            "a node of the room is not watched"
        );
        Self {
            ballots: Ballots::new(),
            memories,
            epochs: Epochs::new(),
            seen: Seen::new(),
        }
    }

    /// Forgets everything, in place.
    pub fn reset(&mut self) {
        self.ballots.clear();
        for memory in self.memories.iter_mut() {
            *memory = Memory::new();
        }
        self.epochs.clear();
        self.seen = Seen::new();
    }

    /// How often each rule was checked, and how often it could not be.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// A node that was founded by `founders` is in an epoch: with the members that the log gives, or that others have told
    /// of before.
    ///
    /// # Errors
    ///
    /// [`Violation::Disagreement`].
    pub fn enters(
        &mut self,
        node: NodeId,
        founders: NodeSet,
        progress: &NodeProgress,
    ) -> Result<(), Violation> {
        let (epoch, members) = (progress.epoch, progress.members);
        if self.epochs.enter(founders, epoch, members) {
            return Ok(());
        }
        self.seen.check(Rule::Disagreement);
        let slot = progress.applied;
        Err(Violation::Disagreement { node, slot })
    }

    /// How far a node has applied the log and given up its votes, after its steps and before their writes are looked at.
    /// Gives back how far it had applied before; `None` if it is not watched.
    ///
    /// # Errors
    ///
    /// [`Violation::PrefixWentBack`] or [`Violation::ForgotUnapplied`].
    pub fn advances(
        &mut self,
        node: NodeId,
        progress: &NodeProgress,
        is_voter: bool,
    ) -> Result<Option<Slot>, Violation> {
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            self.seen.skip(Rule::PrefixWentBack);
            return Ok(None);
        };
        let before = memory.advance(node, progress, is_voter, &mut self.seen)?;
        Ok(Some(before))
    }

    /// A write of a node became durable: its promise does not go back, and its vote is one that may be cast. Says whether
    /// it brings a value that is new in its slot under its ballot.
    ///
    /// # Errors
    ///
    /// The rule that the write breaks.
    pub fn wrote(&mut self, node: NodeId, write: &Write<M::Command>) -> Result<bool, Violation> {
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            self.seen.skip(Rule::BallotWentBack);
            return Ok(false);
        };
        match write {
            Write::Promised(ballot) => {
                memory.write(node, *ballot, &mut self.seen)?;
                Ok(false)
            }
            Write::Accepted(entry) => {
                memory.write(node, entry.ballot, &mut self.seen)?;
                memory.vote(entry.slot, entry.ballot, &mut self.seen);
                let claim = Claim::of(node, entry);
                self.ballots.vote(claim, &self.epochs, &mut self.seen)
            }
            // What is decided is known here from the votes.
            Write::Decided { .. } | Write::Installed(_) => Ok(false),
        }
    }

    /// Whether the promise that a voter holds is the one that it has written.
    ///
    /// # Errors
    ///
    /// [`Violation::UnwrittenPromise`] or [`Violation::BallotWentBack`].
    pub fn holds(&mut self, node: NodeId, promised: Ballot) -> Result<(), Violation> {
        match self.memories.get(usize::from(node.0)) {
            Some(memory) => memory.holds(node, promised, &mut self.seen),
            None => Ok(()),
        }
    }

    /// A value is proposed under a ballot. Says whether it is new there.
    ///
    /// # Errors
    ///
    /// [`Violation::TwoValues`] or [`Violation::UnsafeProposal`].
    pub fn proposes(
        &mut self,
        node: NodeId,
        slot: Slot,
        ballot: Ballot,
        proposal: &Proposal<M::Command>,
    ) -> Result<bool, Violation> {
        let claim = Claim {
            node,
            slot,
            ballot,
            proposal,
        };
        self.ballots.propose(claim, &self.epochs, &mut self.seen)
    }

    /// A message leaves: whatever it says of its node's past is so. The values that it proposes are for
    /// [`Facts::proposes`].
    ///
    /// # Errors
    ///
    /// The rule that the message breaks.
    pub fn said<const P: usize>(
        &mut self,
        node: NodeId,
        message: &Message<M, P>,
    ) -> Result<(), Violation> {
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            self.seen.skip(Rule::UnwrittenPromise);
            return Ok(());
        };
        memory.said(node, message, &self.ballots, &mut self.seen)?;
        match message {
            Message::Accepted {
                ballot,
                first,
                count,
                ..
            } => self.accepted(node, *ballot, *first, *count),
            _ => Ok(()),
        }
    }

    /// An acceptor tells its votes for consecutive slots: each of them is written (rule C4).
    fn accepted(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        first: Slot,
        count: u32,
    ) -> Result<(), Violation> {
        // No node has more votes than its window.
        let count = u64::from(count).min(run_len(W));
        for slot in (0..count).filter_map(|offset| first.checked_add(offset)) {
            let tried = self.ballots.tried(slot, ballot);
            let voted = tried.has(|(_, voters)| voters.contains(node));
            self.judge(voted, Violation::UnwrittenVote { node, slot, ballot })?;
        }
        Ok(())
    }

    /// A message of a voter leaves, in the order in which it was said: what it names its node has seen, and claims nothing
    /// under that. What it has named so far matters only for what it claims next (rule S1). So this is asked about each
    /// message in its turn, before [`Facts::said`] counts it as a claim.
    ///
    /// # Errors
    ///
    /// [`Violation::ClaimTooLow`].
    pub fn names<const P: usize>(
        &mut self,
        node: NodeId,
        message: &Message<M, P>,
    ) -> Result<(), Violation> {
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            return Ok(());
        };
        match message {
            Message::Prepare { ballot, .. } => {
                return memory.prepares(node, *ballot, &mut self.seen);
            }
            Message::Promise { promised, .. } | Message::Accepted { promised, .. } => {
                memory.names(node, *promised);
            }
            Message::ProbeReply {
                highest: ballot, ..
            } => memory.names(node, *ballot),
            Message::Accept { .. } | Message::Heartbeat { .. } => memory.reports(),
            Message::HeartbeatReply { ballot, .. } => {
                memory.reports();
                memory.names(node, *ballot);
            }
            // By any other page a node that has no snapshot yet says that it does not vote (rule J1).
            Message::Join { page: 0, .. } => memory.joins(),
            _ => {}
        }
        Ok(())
    }

    /// A node that does not vote speaks: not as an acceptor, nor as one that leads or claims to (rules D1 and D2).
    ///
    /// # Errors
    ///
    /// [`Violation::NotVoting`].
    pub fn speaks<const P: usize>(
        &mut self,
        node: NodeId,
        message: &Message<M, P>,
    ) -> Result<(), Violation> {
        self.seen.check(Rule::NotVoting);
        match message {
            Message::Probe { .. }
            | Message::ProbeReply { .. }
            | Message::Prepare { .. }
            | Message::Promise { .. }
            | Message::Accept { .. }
            | Message::Accepted { .. }
            | Message::Decision { .. }
            | Message::Heartbeat { .. }
            | Message::Confirm { .. }
            | Message::Confirmed { .. }
            | Message::ReadIndexReply { .. }
            | Message::HeartbeatReply { .. } => Err(Violation::NotVoting { node }),
            Message::Join { .. }
            | Message::Welcome { .. }
            | Message::Propose { .. }
            | Message::Learn { .. }
            | Message::Decisions { .. }
            | Message::Request { .. }
            | Message::Superseded { .. }
            | Message::ReadIndex { .. }
            | Message::Response { .. } => Ok(()),
        }
    }

    /// A node that may vote speaks: under ballots of epochs in which it is a member (rules V1 and V5), and no vote before it
    /// has come to the epoch (rule V6).
    ///
    /// # Errors
    ///
    /// [`Violation::NotVoting`].
    pub fn belongs<const P: usize>(
        &mut self,
        node: NodeId,
        message: &Message<M, P>,
    ) -> Result<(), Violation> {
        let Some(ballot) = message.ballot_of_member() else {
            return Ok(());
        };
        self.seen.check(Rule::NotVoting);
        let epoch = ballot.epoch();
        let entered = self.memories.get(usize::from(node.0));
        let is_ahead = entered.is_some_and(|memory| memory.epoch() < epoch);
        if is_ahead || !self.epochs.is_member(epoch, node) {
            return Err(Violation::NotVoting { node });
        }
        Ok(())
    }

    /// A node has come back after a crash: with its promise, and with every vote above its low-water mark, or with a later
    /// one. What it still holds is for [`Facts::survived`].
    ///
    /// # Errors
    ///
    /// [`Violation::Forgotten`], [`Violation::ForgotUnapplied`] or [`Violation::Disagreement`].
    pub fn recovered(
        &mut self,
        restored: &Restored,
        votes: impl IntoIterator<Item = (Slot, Ballot)>,
    ) -> Result<(), Violation> {
        let Restored {
            node,
            founders,
            progress,
            ..
        } = *restored;
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            self.seen.skip(Rule::Forgotten);
            return Ok(());
        };
        self.epochs
            .enter(founders, progress.epoch, progress.members);
        memory.recovered(restored, votes, &self.ballots, &mut self.seen)
    }

    /// What a voter that has come back still holds of what it has made durable and has never said, as it was killed before
    /// it could: from now on it is as if it had been said. Says whether it is a value that is new in its slot.
    ///
    /// Without this a quorum that such votes complete would be taken for none, and what follows from it for a violation.
    ///
    /// # Errors
    ///
    /// The rule that the vote breaks.
    pub fn survived(&mut self, node: NodeId, vote: &Entry<M::Command>) -> Result<bool, Violation> {
        // Voted for already, or too old to say.
        let known = self.ballots.tried(vote.slot, vote.ballot);
        if matches!(known, Known::Is((_, voters)) if voters.contains(node))
            || known == Known::Forgotten
        {
            return Ok(false);
        }
        let claim = Claim::of(node, vote);
        self.ballots.vote(claim, &self.epochs, &mut self.seen)
    }

    /// Somebody has applied a slot that belongs to an epoch: what was chosen there. What was chosen in another epoch is
    /// void (rule V3).
    ///
    /// # Errors
    ///
    /// [`Violation::NotChosen`].
    pub fn chosen(
        &mut self,
        node: NodeId,
        slot: Slot,
        epoch: Epoch,
    ) -> Result<Known<Proposal<M::Command>>, Violation> {
        self.seen.check(Rule::NotChosen);
        match self.ballots.chosen(slot) {
            Known::Is((ballot, proposal)) if ballot.epoch() == epoch => Ok(Known::Is(*proposal)),
            Known::Is(_) | Known::Not => Err(Violation::NotChosen { node, slot }),
            Known::Forgotten => Ok(Known::Forgotten),
        }
    }

    /// The epoch in which a quorum is known to have accepted something for a slot.
    pub fn chosen_in(&self, slot: Slot) -> Known<Epoch> {
        match self.ballots.chosen(slot) {
            Known::Is((ballot, _)) => Known::Is(ballot.epoch()),
            Known::Not => Known::Not,
            Known::Forgotten => Known::Forgotten,
        }
    }

    /// Whether a value may have been chosen for a slot in an epoch, if each of these nodes may have cast votes that nobody
    /// has told of.
    pub fn may_be_chosen(
        &self,
        slot: Slot,
        epoch: Epoch,
        proposal: &Proposal<M::Command>,
        untold: NodeSet,
    ) -> bool {
        let Some(members) = self.epochs.members(epoch) else {
            return true;
        };
        let mut voters = self.ballots.voters(slot, epoch, proposal);
        untold.is_quorum(members) || voters.any(|told| told.union(untold).is_quorum(members))
    }

    /// The members of an epoch, if it is known.
    pub fn members(&self, epoch: Epoch) -> Option<NodeSet> {
        self.epochs.members(epoch)
    }

    /// A change of the members is decided for a slot. It takes effect, or it does not (rule V4).
    pub fn changes(&mut self, slot: Slot, change: &Change) {
        // What came of it is told by the epochs that nodes enter.
        let _ = self.epochs.play(slot, change);
    }

    /// Counts a check of the rule that a violation breaks, and returns the violation if what was said is not so. If nothing
    /// is known about it any more, the rule is counted as not checked.
    ///
    /// # Errors
    ///
    /// The violation.
    pub fn judge(&mut self, is_so: Known<()>, violation: Violation) -> Result<(), Violation> {
        self.seen.check(violation.rule());
        match is_so {
            Known::Is(()) => Ok(()),
            Known::Not => Err(violation),
            Known::Forgotten => {
                self.seen.skip(violation.rule());
                Ok(())
            }
        }
    }
}
