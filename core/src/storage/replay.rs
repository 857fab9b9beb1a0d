//! Replay: what a node must not forget, from the records of its last checkpoint on.

use super::Damage;
use super::record::{Begin, Record};
use crate::mutant::{Mistake, Mutant};
use crate::roles::acceptor::Acceptor;
use crate::roles::snapshot::{Installing, State};
use crate::window::Window;
use crate::{Durable, Entry, Proposal, Slot, StateMachine};

/// Rebuilds an acceptor and a state.
///
/// Which slots were applied is not written: an acceptor takes a vote for a slot only when the slot a window before it is
/// applied (rule A5), and a replica a decision. So a record for a slot says that all slots up to a window before it were
/// applied; and what was decided in them is what another replica passed on, where there is a record of that, or else what
/// was accepted last (rule C3: a vote decided it, and later votes for a decided slot are the same).
#[derive(Debug)]
pub(super) struct Replay<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    /// The number of the record with which the checkpoint begins.
    begin: u32,
    snapshot: Option<Installing<M, CLIENTS>>,
    acceptor: Acceptor<M::Command, WINDOW>,
    decided: Window<Proposal<M::Command>, WINDOW>,
    state: State<M, CLIENTS>,
    /// Whether the checkpoint's end has been read. What later ones repeat, of which none has an end, is left out.
    ended: bool,
    damage: Option<Damage>,
    pub(super) mistake: Mistake,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Replay<M, WINDOW, CLIENTS> {
    pub(super) fn new(at: u32, begin: &Begin) -> Self {
        let mut acceptor = Acceptor::new();
        acceptor.promise(begin.promised);
        Self {
            begin: at,
            snapshot: Some(Installing::new(begin.snapshot, begin.pages)),
            acceptor,
            decided: Window::new(Slot::ZERO),
            state: State::genesis(),
            ended: false,
            damage: None,
            mistake: Mistake::NONE,
        }
    }

    /// The record, if it is not older than the checkpoint.
    fn decode<'a>(&self, bytes: &'a [u8]) -> Option<(u32, Record<'a, M::Command>)> {
        let (number, record) = Record::decode(bytes)?;
        (number.wrapping_sub(self.begin) < 1 << 31).then_some((number, record))
    }

    /// Takes what belongs to the snapshot.
    pub(super) fn take_page(&mut self, bytes: &[u8]) {
        let Some((_, Record::Page(index, page))) = self.decode(bytes) else {
            return;
        };
        // Pages that come after the last one are those of a later checkpoint.
        if let Some(installing) = self.snapshot.as_mut().filter(|of| !of.is_complete())
            && (installing.next() != index || installing.take(page).is_err())
        {
            self.damage.get_or_insert(Damage::Snapshot);
        }
    }

    /// The snapshot is the state.
    pub(super) fn install(&mut self) -> Result<(), Damage> {
        let state = self.snapshot.take().and_then(|of| of.finish().ok());
        let Some(state) = state.filter(|_| self.damage.is_none()) else {
            return Err(Damage::Snapshot);
        };
        self.acceptor.forget(state.applied);
        self.decided.raise(state.applied);
        self.state = state;
        Ok(())
    }

    /// Takes what was written of votes and decisions.
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
            _ => Ok(()),
        };
        self.damage = taken.err();
    }

    fn accepted(&mut self, entry: &Entry<M::Command>) -> Result<(), Damage> {
        self.infer_applied(entry.slot)?;
        self.acceptor.promise(entry.ballot);
        self.acceptor.restore(entry, self.state.applied);
        Ok(())
    }

    fn decided(&mut self, slot: Slot, proposal: &Proposal<M::Command>) -> Result<(), Damage> {
        self.infer_applied(slot)?;
        if slot > self.state.applied
            && let Some(place) = self.decided.admit(slot, self.state.applied)
        {
            *place = Some(*proposal);
        }
        Ok(())
    }

    /// A record for a slot was written: so every slot up to a window before it had been applied by then, and is now.
    ///
    /// # Why those were applied
    ///
    /// Such a record is a vote, or a decision that was passed on, and had a place in the acceptor's or the replica's window
    /// when it was written. Both windows move up only over what is applied (rules A5, T1 and R2), so that a place for slot
    /// *s* says that *s* − `WINDOW` was. Of the copies at the beginning of a checkpoint that is true as well, as they are
    /// of slots within a window of its snapshot; they conclude nothing, and are read only up to that checkpoint's end.
    ///
    /// # Why this is what was applied
    ///
    /// Let *n* be such a slot that is above the snapshot. It was applied here in one of these ways, each of which had its
    /// record before the one that is read now, since what a step has written stands in the log in the order of the steps:
    ///
    /// - as decided by votes under a ballot *b*, of which this node's own was one, or is the one that a claim under *b* made
    ///   the decision (rules C3 and C4). Every later vote for *n* is under a ballot above *b* and, as what was chosen under
    ///   *b* is adopted by all of these (rules S2 and S4), for the same proposal. Whatever was accepted for *n* before may
    ///   be another proposal: so the last vote that was read counts, and no earlier one;
    /// - as passed on by another replica, while this node had no vote for it, or had one that lost. Then the decision was
    ///   written, and comes before the vote; a decision never changes (rule R1), so that votes behind it are the same;
    /// - within a snapshot that was installed. Then the checkpoint that was written at once has it, and *n* is not above
    ///   the snapshot that is replayed from.
    ///
    /// What was written of *n* is still there: a record is dropped only behind a checkpoint (rule T1), which either includes
    /// *n*, or begins with copies of the vote and of the decision. In memory both stay until *n* is applied. Where neither
    /// is found the log is not what a journal has written, and that is damage.
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
            self.state.apply(next, &proposal);
        }
        Ok(())
    }

    /// What the node must not forget.
    pub(super) fn finish(mut self) -> Result<Durable<M, WINDOW, CLIENTS>, Damage> {
        if let Some(damage) = self.damage {
            return Err(damage);
        }
        // Decisions that follow at once need not be asked for again.
        while let Some(next) = self.state.applied.next()
            && let Some(proposal) = self.decided.get(next).copied()
        {
            self.state.apply(next, &proposal);
        }
        Ok(Durable::restored(self.acceptor, self.state))
    }
}
