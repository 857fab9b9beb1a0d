//! Replay: rebuilds the durable part of a node from the records of its last checkpoint on.

use super::Damage;
use super::record::{Begin, Record};
use crate::mutant::{Mistake, Mutant};
use crate::roles::acceptor::Acceptor;
use crate::roles::snapshot::{Installing, State};
use crate::window::Window;
use crate::{Ballot, Durable, Entry, NodeSet, Proposal, Slot, StateMachine};

/// Rebuilds an acceptor and a replicated state.
///
/// The applied slot is not written. An acceptor takes a vote for a slot only when the slot one window before it is
/// applied (rule A5), and so does a replica with a decision. So a record for a slot implies that all slots up to one
/// window before it were applied. The decision of such a slot is the one that another replica sent, if there is a
/// record of it, or else the proposal that was accepted last (rule C3: a vote decided it, and later votes for a decided
/// slot are for the same proposal).
#[derive(Debug)]
pub(super) struct Replay<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    /// The number of the checkpoint's first record.
    begin: u32,
    /// The pages that were read; `None` once they are installed.
    snapshot: Option<Installing<M, CLIENTS>>,
    /// With the votes that were read so far, a later one of a slot in the place of an earlier one.
    acceptor: Acceptor<M::Command, WINDOW>,
    /// Decisions that other nodes have sent, for slots that may not be applied yet.
    decided: Window<Proposal<M::Command>, WINDOW>,
    state: State<M, CLIENTS>,
    /// True if the end of the checkpoint was read. Copies of votes and decisions after that belong to later
    /// checkpoints, none of which is complete, and are ignored.
    ended: bool,
    /// The first damage that was found, after which nothing more is taken.
    damage: Option<Damage>,
    pub(super) mistake: Mistake,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Replay<M, WINDOW, CLIENTS> {
    /// Begins to replay the checkpoint whose first record has this number, for a cluster that was founded by `members`.
    pub(super) fn new(at: u32, begin: &Begin, members: NodeSet) -> Self {
        // The votes and the promise before the checkpoint are gone with their records, and are repeated at its beginning.
        let mut acceptor = Acceptor::new();
        acceptor.promise(begin.promised);
        Self {
            begin: at,
            snapshot: Some(Installing::new(begin.snapshot, begin.pages)),
            acceptor,
            decided: Window::new(Slot::ZERO),
            state: State::genesis(members),
            ended: false,
            damage: None,
            mistake: Mistake::NONE,
        }
    }

    /// Returns the record, if it is not older than the checkpoint.
    fn decode<'a>(&self, bytes: &'a [u8]) -> Option<(u32, Record<'a, M::Command>)> {
        let (number, record) = Record::decode(bytes)?;
        (number.wrapping_sub(self.begin) < 1 << 31).then_some((number, record))
    }

    /// Takes a page of the snapshot.
    pub(super) fn take_page(&mut self, bytes: &[u8]) {
        let Some((_, Record::Page(index, page))) = self.decode(bytes) else {
            return;
        };
        // Pages after the last one belong to a later checkpoint.
        if let Some(installing) = self.snapshot.as_mut().filter(|of| !of.is_complete())
            && (installing.next() != index || installing.take(page).is_err())
        {
            self.damage.get_or_insert(Damage::Snapshot);
        }
    }

    /// Installs the snapshot as the state.
    pub(super) fn install(&mut self) -> Result<(), Damage> {
        let state = self.snapshot.take().and_then(|of| of.finish().ok());
        let Some(state) = state.filter(|_| self.damage.is_none()) else {
            return Err(Damage::Snapshot);
        };
        self.acceptor.forget(state.applied);
        self.decided.raise(state.applied);
        debug_assert!(
            self.acceptor.low_water() >= state.applied || self.acceptor.mistake.is_any(),
            "votes up to the snapshot are not needed (T1)"
        );
        self.state = state;
        self.begin_epoch();
        Ok(())
    }

    /// Takes a record of a vote or a decision.
    pub(super) fn take_record(&mut self, bytes: &[u8]) {
        if self.damage.is_some() {
            return;
        }
        let taken = match self.decode(bytes) {
            Some((_, Record::Promised(ballot))) => {
                self.acceptor.promise(ballot);
                Ok(())
            }
            Some((_, Record::Accepted(entry))) => self.accepted(&entry),
            Some((_, Record::Decided(slot, proposal))) => self.decided(slot, &proposal),
            Some((_, Record::AcceptedAhead(entry))) if !self.ended => self.accepted(&entry),
            Some((_, Record::DecidedAhead(slot, proposal))) if !self.ended => {
                self.decided(slot, &proposal)
            }
            Some((_, Record::End(begin))) => {
                self.ended |= begin == self.begin;
                Ok(())
            }
            // Pages are taken in another pass, and the rest says nothing of votes. A record that cannot be read was torn, or the
            // survey would have missed its number.
            _ => Ok(()),
        };
        self.damage = taken.err();
    }

    /// Takes a vote, which raises the promise (rule A2). The copy of one may be under a ballot below the promise, which stays.
    fn accepted(&mut self, entry: &Entry<M::Command>) -> Result<(), Damage> {
        self.infer_applied(entry.slot)?;
        self.acceptor.promise(entry.ballot);
        self.acceptor.restore(entry, self.state.applied);
        Ok(())
    }

    /// Takes a decision that another node had sent. One for a slot of the snapshot is not needed any more.
    fn decided(&mut self, slot: Slot, proposal: &Proposal<M::Command>) -> Result<(), Damage> {
        self.infer_applied(slot)?;
        if slot > self.state.applied
            && let Some(place) = self.decided.admit(slot, self.state.applied)
        {
            *place = Some(*proposal);
        }
        Ok(())
    }

    /// Applies every slot up to one window before `slot`, for which a record was written: all of them had been applied
    /// by then.
    ///
    /// # Why those slots were applied
    ///
    /// Such a record is a vote, or a decision from another replica, and had a place in the acceptor's or the replica's
    /// window when it was written. Both windows move up only over applied slots (rules A5, T1 and R2), so a place for
    /// slot *s* implies that *s* − `WINDOW` was applied. This also holds for the copies at the beginning of a
    /// checkpoint, since their slots are within one window of its snapshot; they imply nothing new, and are read only
    /// up to the end of that checkpoint.
    ///
    /// # Why this is the decision that was applied
    ///
    /// Let *n* be such a slot above the snapshot. It was applied here in one of the following ways. Each of them wrote
    /// its record before the one that is read now, since records are in the order of the steps:
    ///
    /// - It was decided by votes under a ballot *b*, and this node's own vote was one of them, or a leader's
    ///   announcement under *b* made it the decision (rules C3 and C4). Every later vote for *n* is under a ballot
    ///   above *b* and for the same proposal, since all of those leaders adopt what was chosen under *b* (rules S2 and
    ///   S4). An earlier vote for *n* may be for another proposal: so the last vote that was read counts.
    /// - It was received from another replica, while this node had no vote for it, or a vote that was superseded. Then
    ///   the decision was written, and precedes any later vote; a decision never changes (rule R1), so later votes are
    ///   for the same proposal.
    /// - It was part of a snapshot that was installed. Then the checkpoint that was written at once contains it, and
    ///   *n* is not above the snapshot from which the replay starts.
    ///
    /// The record for *n* is still there: records are dropped only after a checkpoint (rule T1), which either includes
    /// *n*, or begins with copies of the vote and the decision, both of which stay in memory until *n* is applied. If
    /// neither is found, the log was not written by a journal in this way, and is damaged.
    fn infer_applied(&mut self, slot: Slot) -> Result<(), Damage> {
        let applied = slot.back(crate::outbox::run_len(WINDOW));
        while self.state.applied < applied {
            let next = self.state.applied.next().unwrap_or(applied);
            let vote = self.acceptor.vote(next).map(|vote| vote.proposal);
            let passed_on = self.decided.get(next).copied();
            let known = if self.mistake.is(Mutant::VoteReplayed) {
                vote.or(passed_on)
            } else {
                passed_on.or(vote)
            };
            let Some(proposal) = known else {
                return Err(Damage::Hole { slot: next });
            };
            self.apply(next, &proposal);
        }
        debug_assert!(
            self.state.applied >= applied,
            "all slots up to a window before this one are applied"
        );
        Ok(())
    }

    /// Returns the durable part of the node.
    pub(super) fn finish(mut self) -> Result<Durable<M, WINDOW, CLIENTS>, Damage> {
        if let Some(damage) = self.damage {
            return Err(damage);
        }
        // Decisions that follow without a gap need not be requested again.
        while let Some(next) = self.state.applied.next()
            && let Some(proposal) = self.decided.get(next).copied()
        {
            self.apply(next, &proposal);
        }
        // Rule V6: a node votes in an epoch only when it has applied the end of the one before, which was stored before.
        if self.acceptor.promised().epoch() > self.state.membership.epoch {
            let slot = self.state.applied.next().unwrap_or(self.state.applied);
            return Err(Damage::Hole { slot });
        }
        Ok(Durable::restored(self.acceptor, self.state))
    }

    /// Applies the next slot. If an epoch begins after it, no earlier vote is kept (rule V3).
    fn apply(&mut self, slot: Slot, proposal: &Proposal<M::Command>) {
        let before = self.state.membership.epoch;
        self.state.apply(slot, proposal);
        if self.state.membership.epoch > before {
            self.begin_epoch();
        }
    }

    /// Begins the epoch of the state for the acceptor.
    fn begin_epoch(&mut self) {
        let floor = Ballot::floor(self.state.membership.epoch);
        self.acceptor.begin_epoch(floor);
    }
}
