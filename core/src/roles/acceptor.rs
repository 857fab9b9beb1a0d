//! The acceptor: promises ballots, accepts proposals, and drops only votes that are applied on its node.
//!
//! Source: Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, figure 4; extended by paged promises and a
//! window.

use crate::invariant::ensure;
use crate::mutant::{Mistake, Mutant};
use crate::outbox::run_len;
use crate::window::Window;
use crate::{Ballot, Conflict, Entry, NodeId, Proposal, Slot};
use heapless::Vec;

/// The memory of the protocol: the highest promise, and the votes in the window above the low-water mark.
///
/// The promise and the ballot of each vote are separate variables (rule A3): a promise must not make an old vote look
/// new.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Acceptor<C, const WINDOW: usize> {
    /// The highest ballot that was promised, or accepted under. An answer that shows it leaves only when it is durable
    /// (rule D1), so what a restart restores is never below what others were told.
    promised: Ballot,
    /// The last vote for each slot above the low-water mark, which is the floor of the window. An earlier vote for the
    /// same slot is overwritten: a scout needs the one with the highest ballot only (rule S4).
    votes: Window<Vote<C>, WINDOW>,
    /// Set by the node; without the feature `mutants` it has no size.
    pub(crate) mistake: Mistake,
}

/// An accepted proposal and its ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Vote<C> {
    /// The ballot of the accept, never that of a promise made since (rule A3).
    pub(crate) ballot: Ballot,
    /// The value. With its ballot it is written before anybody is told of the vote.
    pub(crate) proposal: Proposal<C>,
}

/// The verdict of the acceptor on a prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrepareVerdict {
    /// The ballot is promised now and was not before, so the promise must be written.
    Promised,
    /// The ballot was promised before: the answer is repeated.
    Repeated,
    /// A higher ballot is promised.
    Refused,
}

/// The verdict of the acceptor on one proposal of an accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptVerdict<C> {
    /// Accepted now; must be written.
    Accepted,
    /// Accepted before under the same ballot; nothing to write.
    Repeated,
    /// A higher ballot is promised.
    Refused,
    /// The slot is at or below the low-water mark: decided, and applied here.
    Compacted,
    /// The slot is beyond the window.
    NoRoom,
    /// The same ballot has another value in this slot.
    Conflict(Conflict<C>),
}

impl<C: Copy + Eq, const WINDOW: usize> Acceptor<C, WINDOW> {
    /// Creates the acceptor of a node that has never been a member: it has promised nothing and may answer anybody. For
    /// a node that has been one, this would be amnesia (rule D2).
    pub(crate) const fn new() -> Self {
        Self {
            promised: Ballot::NULL,
            votes: Window::new(Slot::ZERO),
            mistake: Mistake::NONE,
        }
    }

    /// Returns the highest ballot that was promised. It never falls.
    pub(crate) fn promised(&self) -> Ballot {
        self.promised
    }

    /// Returns the low-water mark: everything up to this slot was applied on this node and is no longer reported (rule
    /// T2).
    pub(crate) fn low_water(&self) -> Slot {
        if self.mistake.is(Mutant::ForgetsUnapplied) {
            // This mutant does not know that it has dropped votes.
            return Slot::ZERO;
        }
        self.votes.floor()
    }

    /// Returns the vote for a slot.
    pub(crate) fn vote(&self, slot: Slot) -> Option<&Vote<C>> {
        self.votes.get(slot)
    }

    /// Returns the accepted entries above the low-water mark, in rising order of slots.
    pub(crate) fn votes(&self) -> impl Iterator<Item = Entry<C>> {
        self.votes.iter_from(Slot::ZERO).map(|(slot, vote)| Entry {
            slot,
            ballot: vote.ballot,
            proposal: vote.proposal,
        })
    }

    /// Rule A1: promises a ballot that is not below the current promise. An equal ballot gets the same answer again.
    pub(crate) fn on_prepare(&mut self, ballot: Ballot) -> PrepareVerdict {
        if ballot < self.promised && !self.mistake.is(Mutant::PromiseFalls) {
            return PrepareVerdict::Refused;
        }
        if ballot == self.promised {
            return PrepareVerdict::Repeated;
        }
        if self.mistake.is(Mutant::OneBallotForBoth) {
            for vote in self.votes.values_mut() {
                vote.ballot = self.promised;
            }
        }
        debug_assert!(
            self.mistake.is_any() || ballot > self.promised,
            "a promise never falls (A1)"
        );
        debug_assert!(
            self.mistake.is_any()
                || self
                    .votes
                    .iter_from(Slot::ZERO)
                    .all(|(_, vote)| vote.ballot < ballot),
            "has a vote under a ballot that is promised only now (A2)"
        );
        self.promised = ballot;
        PrepareVerdict::Promised
    }

    /// Returns one page of accepted entries from slot `from` on, and whether it is the last page.
    ///
    /// Rule A6: once a ballot is promised, the votes under lower ballots do not change, so pages can be produced one by
    /// one without any state for their receiver.
    pub(crate) fn page<const PAGE: usize>(&self, from: Slot) -> (Vec<Entry<C>, PAGE, u8>, bool) {
        let mut page = Vec::new();
        for (slot, vote) in self.votes.iter_from(from) {
            let entry = Entry {
                slot,
                ballot: vote.ballot,
                proposal: vote.proposal,
            };
            debug_assert!(
                self.mistake.is_any() || entry.ballot <= self.promised,
                "reports a vote above the promise (A2)"
            );
            debug_assert!(
                self.mistake.is_any() || slot > self.low_water(),
                "reports a vote that the low-water mark covers (T2)"
            );
            // The page is full, and there is at least this entry more: the page is not the last one. A page that is
            // filled by the very last entry comes out of the loop, so no empty page follows it.
            if page.push(entry).is_err() {
                return (page, self.mistake.is(Mutant::PageMarkedLast));
            }
        }
        (page, true)
    }

    /// Rules A2, A4 and A5: accepts a proposal unless a higher ballot is promised, and promises its ballot as well.
    ///
    /// To make room for the slot, only votes for slots up to `applied` are dropped; this node's replica has applied
    /// those.
    ///
    /// The order of the checks matters. A refused accept must not make room, since its slot may be far ahead, and votes
    /// would be dropped for a ballot that lost. A slot below the floor has no place that could be looked at.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "the body of the loop over a run, and of the one that drives"
        ),
        inline(always)
    )]
    pub(crate) fn on_accept(
        &mut self,
        ballot: Ballot,
        slot: Slot,
        proposal: &Proposal<C>,
        applied: Slot,
    ) -> AcceptVerdict<C> {
        if ballot < self.promised && !self.mistake.is(Mutant::PromiseIgnored) {
            return AcceptVerdict::Refused;
        }
        let forgets = self.mistake.is(Mutant::ForgetsUnapplied);
        let applied = if forgets { slot } else { applied };
        if slot <= self.votes.floor() {
            return AcceptVerdict::Compacted;
        }
        let Some(place) = self.votes.admit(slot, applied) else {
            return AcceptVerdict::NoRoom;
        };
        if let Some(vote) = place
            && vote.ballot == ballot
        {
            debug_assert!(
                self.mistake.is_any() || self.promised == ballot,
                "has a vote under this ballot and no promise of it (A2)"
            );
            if vote.proposal.same_as(proposal) {
                return AcceptVerdict::Repeated;
            }
            let (known, new) = (vote.proposal, *proposal);
            if self.mistake.is(Mutant::VoteOverwritten) {
                vote.proposal = new;
                return AcceptVerdict::Accepted;
            }
            return AcceptVerdict::Conflict(Conflict { slot, known, new });
        }
        debug_assert!(
            self.mistake.is_any() || place.is_none_or(|vote| vote.ballot < ballot),
            "a vote gives way only to one with a higher ballot (A2)"
        );
        let proposal = *proposal;
        *place = Some(Vote { ballot, proposal });
        debug_assert!(
            self.votes.covers(slot),
            "a vote has a place in the window (A5)"
        );
        if self.mistake.is(Mutant::AcceptKeepsPromise) {
            return AcceptVerdict::Accepted;
        }
        debug_assert!(
            self.mistake.is_any() || ballot >= self.promised,
            "accepts below the promise (A2)"
        );
        self.promised = ballot;
        AcceptVerdict::Accepted
    }

    /// Restores a promise from storage. Records may repeat an earlier promise: a checkpoint begins with the one that
    /// was valid when it was begun, and the votes that follow it are older.
    pub(crate) fn promise(&mut self, ballot: Ballot) {
        self.promised = self.promised.max(ballot);
    }

    /// Restores a vote from storage, after its promise. A vote at or below the floor is left out, since the state that
    /// was restored includes its slot. So is one that the window has no room for: it cannot have been cast, as its cast
    /// would have required the slot one window before it to be applied.
    pub(crate) fn restore(&mut self, entry: &Entry<C>, applied: Slot) {
        debug_assert!(
            entry.ballot <= self.promised,
            "a vote is restored after its promise (A2)"
        );
        if entry.slot > self.votes.floor()
            && let Some(place) = self.votes.admit(entry.slot, applied)
        {
            *place = Some(Vote {
                ballot: entry.ballot,
                proposal: entry.proposal,
            });
        }
    }

    /// Rule V3: begins an epoch, of which all ballots are above `floor`. No ballot of an earlier epoch is promised any more,
    /// and no vote under one is kept: it is for a slot that is applied, or void. Which of the two, a node that has installed
    /// a snapshot cannot tell. Nobody will ask: who claims a ballot of this epoch has applied the end of the one before.
    ///
    /// Nothing is written for it: the floor follows from the state, which is stored whenever an epoch begins.
    pub(crate) fn begin_epoch(&mut self, floor: Ballot) {
        self.promise(floor);
        self.votes.retain(|vote| vote.ballot >= floor);
    }

    /// Drops the votes up to a slot that is included in the stored state.
    pub(crate) fn forget(&mut self, applied: Slot) {
        self.votes.raise(applied);
        debug_assert!(
            self.votes.floor() >= applied,
            "keeps votes that the stored state includes"
        );
    }

    /// The mutant [`Mutant::RoundReused`]: after a restart, forgets a promise of the node's own ballot and the votes
    /// under it. Promises to other nodes are kept.
    pub(crate) fn forget_claim(&mut self, me: NodeId) {
        let claimed = self.promised;
        if claimed.leader() == me {
            self.promised = Ballot::new(claimed.round().saturating_sub(1), NodeId(u16::MAX));
            self.votes.retain(|vote| vote.ballot != claimed);
        }
    }

    /// The mutant [`Mutant::NewestVoteLost`]: after a restart, forgets the vote for the highest slot.
    pub(crate) fn forget_newest(&mut self) {
        if let Some(newest) = self.votes().last() {
            self.votes.take(newest.slot);
        }
    }

    /// Checks the invariants that hold between steps.
    pub(crate) fn check_invariants(&self, applied: Slot) -> Result<(), &'static str> {
        ensure(
            self.votes.floor() <= applied,
            "dropped votes that are not applied here (T1)",
        )?;
        ensure(
            self.votes
                .iter_from(Slot::ZERO)
                .all(|(_, vote)| vote.ballot <= self.promised),
            "accepted above the promise (A2)",
        )?;
        ensure(
            self.votes
                .iter_from(Slot::ZERO)
                .all(|(_, vote)| vote.ballot > Ballot::NULL),
            "voted under the null ballot, which nobody owns (N1)",
        )?;
        ensure(
            run_len(self.votes.occupied()) <= run_len(WINDOW),
            "more votes than the window has places (T5)",
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, NodeId, RequestNumber};

    type Small = Acceptor<u32, 4>;

    fn ballot(round: u64, node: u16) -> Ballot {
        Ballot::new(round, NodeId(node))
    }

    fn asks(command: u32) -> Proposal<u32> {
        Proposal::Request {
            client: ClientId(1),
            number: RequestNumber(1),
            command,
        }
    }

    fn accept(acceptor: &mut Small, ballot: Ballot, slot: u64, command: u32) -> AcceptVerdict<u32> {
        acceptor.on_accept(ballot, Slot::new(slot), &asks(command), Slot::ZERO)
    }

    #[test]
    fn a1_a_lower_ballot_is_refused_and_an_equal_one_answered_again() {
        let mut acceptor = Small::new();
        assert_eq!(acceptor.on_prepare(ballot(2, 0)), PrepareVerdict::Promised);
        assert_eq!(acceptor.on_prepare(ballot(2, 0)), PrepareVerdict::Repeated);
        assert_eq!(acceptor.on_prepare(ballot(1, 9)), PrepareVerdict::Refused);
        assert_eq!(acceptor.promised(), ballot(2, 0));
    }

    #[test]
    fn a2_an_accept_raises_the_promise() {
        let mut acceptor = Small::new();
        assert_eq!(
            accept(&mut acceptor, ballot(3, 1), 1, 7),
            AcceptVerdict::Accepted
        );
        assert_eq!(acceptor.on_prepare(ballot(2, 0)), PrepareVerdict::Refused);
        assert_eq!(
            accept(&mut acceptor, ballot(2, 2), 2, 8),
            AcceptVerdict::Refused
        );
        assert_eq!(acceptor.vote(Slot::new(2)), None);
    }

    #[test]
    fn a3_a_promise_leaves_the_ballot_of_a_vote_alone() {
        let mut acceptor = Small::new();
        accept(&mut acceptor, ballot(1, 0), 1, 7);
        acceptor.on_prepare(ballot(5, 1));
        let (page, last) = acceptor.page::<2>(Slot::FIRST);
        assert!(last);
        assert_eq!(page[0].ballot, ballot(1, 0));
    }

    #[test]
    fn a4_the_same_ballot_never_gets_a_second_value() {
        let mut acceptor = Small::new();
        accept(&mut acceptor, ballot(1, 0), 1, 7);
        assert_eq!(
            accept(&mut acceptor, ballot(1, 0), 1, 7),
            AcceptVerdict::Repeated
        );
        let conflict = Conflict {
            slot: Slot::FIRST,
            known: asks(7),
            new: asks(8),
        };
        assert_eq!(
            accept(&mut acceptor, ballot(1, 0), 1, 8),
            AcceptVerdict::Conflict(conflict)
        );
        assert_eq!(acceptor.vote(Slot::FIRST).unwrap().proposal, asks(7));
        assert_eq!(
            accept(&mut acceptor, ballot(2, 0), 1, 8),
            AcceptVerdict::Accepted,
            "a higher ballot may"
        );
    }

    #[test]
    fn a5_a_full_window_drops_only_applied_votes() {
        let mut acceptor = Small::new();
        for slot in 1..=4 {
            assert_eq!(
                accept(&mut acceptor, ballot(1, 0), slot, 7),
                AcceptVerdict::Accepted
            );
        }
        assert_eq!(
            accept(&mut acceptor, ballot(1, 0), 5, 7),
            AcceptVerdict::NoRoom
        );
        assert!(acceptor.vote(Slot::FIRST).is_some(), "nothing was evicted");
        let verdict = acceptor.on_accept(ballot(1, 0), Slot::new(5), &asks(7), Slot::new(1));
        assert_eq!(verdict, AcceptVerdict::Accepted);
        assert_eq!(acceptor.low_water(), Slot::new(1));
        assert_eq!(
            accept(&mut acceptor, ballot(1, 0), 1, 7),
            AcceptVerdict::Compacted
        );
    }

    #[test]
    fn a_refused_accept_makes_no_room() {
        let mut acceptor = Small::new();
        for slot in 1..=4 {
            accept(&mut acceptor, ballot(1, 0), slot, 7);
        }
        acceptor.on_prepare(ballot(2, 0));
        let verdict = acceptor.on_accept(ballot(1, 0), Slot::new(6), &asks(7), Slot::new(4));
        assert_eq!(
            (verdict, acceptor.low_water()),
            (AcceptVerdict::Refused, Slot::ZERO)
        );
    }

    #[test]
    fn a6_pages_name_their_successor_and_the_last_says_so() {
        let mut acceptor = Small::new();
        for slot in [1, 2, 4] {
            accept(&mut acceptor, ballot(1, 0), slot, 7);
        }
        let (first, last) = acceptor.page::<2>(Slot::FIRST);
        assert_eq!((first.len(), last), (2, false));
        let (second, last) = acceptor.page::<2>(Slot::new(3));
        assert_eq!(
            (second[0].slot, second.len(), last),
            (Slot::new(4), 1, true)
        );
        let (none, last) = acceptor.page::<2>(Slot::new(5));
        assert_eq!((none.len(), last), (0, true));
    }
}
