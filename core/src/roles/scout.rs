//! The scout: wins a ballot by collecting the accepted entries of a quorum of acceptors, page by page.
//!
//! Source: Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, figure 6(b).

use crate::invariant::ensure;
use crate::mutant::{Mistake, Mutant};
use crate::{Ballot, Entry, NODES_LEN, NodeId, NodeSet, Proposal, Slot};

/// One attempt to win one ballot (phase 1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Scout<C, const WINDOW: usize> {
    /// The ballot that is claimed. Answers to any other ballot are stale (rule S5).
    ballot: Ballot,
    /// The first slot that acceptors are asked about: the one after everything that was applied here when the claim
    /// began. What is below is decided and known.
    from: Slot,
    /// The acceptors whose last page was taken (rule S2).
    complete: NodeSet,
    /// For each acceptor, the offset of its next page from slot `from`. With it, a lost page costs one page and not all
    /// of them.
    cursors: [u16; NODES_LEN],
    /// The highest low-water mark that an acceptor has reported, complete or not: even one page proves that its sender
    /// has applied that much (rule S6).
    low_water: Slot,
    /// The acceptor that has reported the low-water mark, and can send the state up to it.
    low_water_at: NodeId,
    /// For each slot, the accepted proposal with the highest ballot. The index is the slot's number modulo `WINDOW`.
    adopted: [Option<Entry<C>>; WINDOW],
    /// Repetitions of the prepare since the last page that was taken. A promise may have more pages than a scout has
    /// patience, so each page starts the count anew (rule S7).
    repeats: u8,
    /// Set by the leader role; without the feature `mutants` it has no size.
    pub(crate) mistake: Mistake,
}

/// The verdict of the scout on one page of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PromiseVerdict {
    /// This acceptor has more pages; the next one starts at this slot.
    More(Slot),
    /// Not the page that is expected from this acceptor: a duplicate.
    Repeated,
    /// The acceptor is complete; the quorum is not.
    Counted,
    /// A quorum is complete.
    Quorum,
}

impl<C: Copy + Eq, const WINDOW: usize> Scout<C, WINDOW> {
    /// Begins a claim of `ballot` for the slots from `from` on. Nobody has promised yet; the node's own acceptor is
    /// asked like the others, by a call.
    pub(crate) const fn new(ballot: Ballot, from: Slot) -> Self {
        Self {
            ballot,
            from,
            complete: NodeSet::EMPTY,
            cursors: [0; NODES_LEN],
            low_water: Slot::ZERO,
            low_water_at: ballot.leader(),
            adopted: [const { None }; WINDOW],
            repeats: 0,
            mistake: Mistake::NONE,
        }
    }

    /// Returns the ballot that is claimed.
    pub(crate) fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// Returns the first slot of an acceptor's next page.
    pub(crate) fn cursor(&self, acceptor: NodeId) -> Slot {
        let offset = self
            .cursors
            .get(usize::from(acceptor.0))
            .copied()
            .unwrap_or(0);
        self.from
            .checked_add(u64::from(offset))
            .unwrap_or(self.from)
    }

    /// Returns the highest low-water mark of the acceptors and the one that has reported it: everything up to that slot
    /// is decided, since that acceptor has applied it (rule S6).
    pub(crate) fn low_water(&self) -> (Slot, NodeId) {
        (self.low_water, self.low_water_at)
    }

    /// Merges the page that starts at slot `first`. The acceptor counts towards the quorum only with its last page
    /// (rule S2). Pages are taken in order, each once, so an acceptor whose last page was taken has sent all of them.
    ///
    /// The caller has checked that the page answers this ballot, that its votes are under lower ones, and that they are
    /// above its low-water mark.
    pub(crate) fn on_promise(
        &mut self,
        from: NodeId,
        first: Slot,
        low_water: Slot,
        entries: &[Entry<C>],
        last: bool,
        members: NodeSet,
    ) -> PromiseVerdict {
        // A duplicate, or an answer to a prepare that was repeated before its answer arrived.
        if self.complete.contains(from) || first != self.cursor(from) {
            return PromiseVerdict::Repeated;
        }
        if low_water > self.low_water {
            self.low_water = low_water;
            self.low_water_at = from;
        }
        for entry in entries {
            self.adopt(entry);
        }
        if !self.mistake.is(Mutant::PagesTimeOut) {
            self.repeats = 0;
        }
        let last = last || self.mistake.is(Mutant::PageCountedEarly);
        let next = entries.last().and_then(|entry| entry.slot.next());
        if let Some(next) = next.filter(|_| !last) {
            // A node that is 65,536 slots behind cannot become the leader: its cursor stays where it is, and the
            // election fails.
            if let (Ok(offset), Some(cursor)) = (
                u16::try_from(next.distance(self.from)),
                self.cursors.get_mut(usize::from(from.0)),
            ) {
                *cursor = offset;
            }
            return PromiseVerdict::More(next);
        }
        if self.mistake.is(Mutant::EarlyNoops) {
            self.fill_holes();
        }
        self.complete.insert(from);
        debug_assert!(
            self.mistake.is_any() || self.complete.minus(members).is_empty(),
            "only members count towards a quorum (S2)"
        );
        if self.complete.is_quorum(members) {
            PromiseVerdict::Quorum
        } else {
            PromiseVerdict::Counted
        }
    }

    /// Rule S4: of all proposals accepted for a slot, keeps the one with the highest ballot.
    fn adopt(&mut self, entry: &Entry<C>) {
        let size = crate::outbox::run_len(WINDOW);
        let index = usize::try_from(entry.slot.number() % size).unwrap_or(0);
        let Some(place) = self.adopted.get_mut(index) else {
            return;
        };
        let replaces = match place {
            None => true,
            // Of two slots with the same index, the lower one is a whole window back. The acceptor of the higher one
            // had applied the lower one, and has said so with its low-water mark.
            Some(known) if self.mistake.is(Mutant::FirstSeenAdopted) => entry.slot > known.slot,
            Some(known) => (entry.slot, entry.ballot) > (known.slot, known.ballot),
        };
        if replaces {
            *place = Some(*entry);
        }
    }

    /// The mutant [`Mutant::EarlyNoops`]: fills slots with no-ops for which nothing has been adopted yet.
    fn fill_holes(&mut self) {
        let (mut slot, last) = (self.from, self.last_adopted());
        while slot < last {
            if self.adopted(slot).is_none() {
                let (ballot, proposal) = (self.ballot, Proposal::Noop);
                self.adopt(&Entry {
                    slot,
                    ballot,
                    proposal,
                });
            }
            slot = slot.next().unwrap_or(last);
        }
    }

    /// Returns the entry that was adopted for a slot.
    pub(crate) fn adopted(&self, slot: Slot) -> Option<&Entry<C>> {
        let size = crate::outbox::run_len(WINDOW);
        let index = usize::try_from(slot.number() % size).unwrap_or(0);
        self.adopted
            .get(index)?
            .as_ref()
            .filter(|entry| entry.slot == slot)
    }

    /// Returns the last slot for which an entry was adopted, or [`Slot::ZERO`]. It may be below the low-water mark,
    /// which another acceptor may have reported since; such a slot is decided, and [`Leader::adopt`] leaves it alone.
    ///
    /// [`Leader::adopt`]: crate::roles::leader::Leader::adopt
    pub(crate) fn last_adopted(&self) -> Slot {
        self.adopted
            .iter()
            .flatten()
            .map(|entry| entry.slot)
            .max()
            .unwrap_or(Slot::ZERO)
    }

    /// True if a quorum of `members` has sent its last page. The election may still have to wait until everything up to
    /// the low-water mark is applied here (rule S6).
    pub(crate) fn is_complete(&self, members: NodeSet) -> bool {
        self.complete.is_quorum(members)
    }

    /// Returns the members to send the prepare to again (rule S7); `None` once it was repeated often enough without an
    /// answer.
    pub(crate) fn on_retransmit(&mut self, members: NodeSet, repeats_max: u8) -> Option<NodeSet> {
        self.repeats = self.repeats.saturating_add(1);
        (self.repeats <= repeats_max).then(|| members.minus(self.complete))
    }

    /// Returns those of `acceptors` whose next page starts at the same slot as that of the first one, and that slot.
    pub(crate) fn at_same_cursor(&self, acceptors: NodeSet) -> Option<(NodeSet, Slot)> {
        let cursor = self.cursor(acceptors.iter().next()?);
        let at_same_cursor = acceptors
            .iter()
            .filter(|acceptor| self.cursor(*acceptor) == cursor)
            .collect::<NodeSet>();
        debug_assert!(
            !at_same_cursor.is_empty(),
            "the caller's loop ends because each round takes an acceptor away"
        );
        Some((at_same_cursor, cursor))
    }

    /// Checks the invariants that hold between steps.
    pub(super) fn check_invariants(&self) -> Result<(), &'static str> {
        ensure(
            self.complete.contains(self.ballot.leader()),
            "claims a ballot without its own promise (S1)",
        )?;
        ensure(
            self.adopted
                .iter()
                .flatten()
                .all(|entry| self.adopted(entry.slot) == Some(entry)),
            "an adopted entry is not at the place of its slot (S4)",
        )?;
        ensure(
            self.adopted
                .iter()
                .flatten()
                .all(|entry| entry.ballot < self.ballot),
            "adopted a vote that is not below its own ballot (S4)",
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Proposal, RequestNumber};

    fn entry(slot: u64, round: u64, command: u32) -> Entry<u32> {
        let client = ClientId(1);
        Entry {
            slot: Slot::new(slot),
            ballot: Ballot::new(round, NodeId(0)),
            proposal: Proposal::Request {
                client,
                number: RequestNumber(1),
                command,
            },
        }
    }

    fn scout() -> Scout<u32, 4> {
        Scout::new(Ballot::new(9, NodeId(0)), Slot::FIRST)
    }

    const MEMBERS: NodeSet = NodeSet::first(3);

    #[test]
    fn s2_a_promise_counts_with_its_last_page_only() {
        let mut scout = scout();
        scout.on_promise(NodeId(0), Slot::FIRST, Slot::ZERO, &[], true, MEMBERS);
        let page = [entry(1, 1, 7)];
        let more = scout.on_promise(NodeId(1), Slot::FIRST, Slot::ZERO, &page, false, MEMBERS);
        assert_eq!(more, PromiseVerdict::More(Slot::new(2)));
        assert!(!scout.is_complete(MEMBERS));
        let next = Slot::new(2);
        let done = scout.on_promise(
            NodeId(1),
            next,
            Slot::ZERO,
            &[entry(2, 1, 8)],
            true,
            MEMBERS,
        );
        assert_eq!(done, PromiseVerdict::Quorum);
        assert_eq!(scout.last_adopted(), Slot::new(2));
    }

    #[test]
    fn s2_the_same_acceptor_counts_once() {
        let mut scout = scout();
        let again = |scout: &mut Scout<u32, 4>| {
            scout.on_promise(NodeId(2), Slot::FIRST, Slot::ZERO, &[], true, MEMBERS)
        };
        assert_eq!(again(&mut scout), PromiseVerdict::Counted);
        assert_eq!(again(&mut scout), PromiseVerdict::Repeated);
        assert!(!scout.is_complete(MEMBERS));
    }

    #[test]
    fn s7_a_lost_page_costs_one_page() {
        let mut scout = scout();
        scout.on_promise(
            NodeId(1),
            Slot::FIRST,
            Slot::ZERO,
            &[entry(1, 1, 7)],
            false,
            MEMBERS,
        );
        assert_eq!(scout.cursor(NodeId(1)), Slot::new(2));
        let missing = scout.on_retransmit(MEMBERS, 9).unwrap();
        let (first, from) = scout.at_same_cursor(missing).unwrap();
        assert_eq!((first, from), (MEMBERS.without(NodeId(1)), Slot::FIRST));
        let (second, from) = scout.at_same_cursor(missing.minus(first)).unwrap();
        assert_eq!((second, from), (NodeSet::only(NodeId(1)), Slot::new(2)));
        let stale = scout.on_promise(NodeId(1), Slot::FIRST, Slot::ZERO, &[], true, MEMBERS);
        assert_eq!(stale, PromiseVerdict::Repeated, "the last page is another");
    }

    #[test]
    fn s4_the_highest_ballot_wins_whatever_the_order() {
        for order in [[1, 5, 3], [5, 3, 1], [3, 1, 5]] {
            let mut scout = scout();
            for (node, round) in (0..).zip(order) {
                let command = u32::try_from(round).unwrap();
                scout.on_promise(
                    NodeId(node),
                    Slot::FIRST,
                    Slot::ZERO,
                    &[entry(2, round, command)],
                    true,
                    MEMBERS,
                );
            }
            assert_eq!(scout.adopted(Slot::new(2)), Some(&entry(2, 5, 5)));
        }
    }

    #[test]
    fn s6_the_highest_low_water_mark_is_kept_with_its_owner() {
        let mut scout = scout();
        scout.on_promise(NodeId(1), Slot::FIRST, Slot::new(7), &[], true, MEMBERS);
        scout.on_promise(
            NodeId(2),
            Slot::FIRST,
            Slot::new(3),
            &[entry(5, 1, 7)],
            true,
            MEMBERS,
        );
        assert_eq!(scout.low_water(), (Slot::new(7), NodeId(1)));
    }

    #[test]
    fn a_slot_of_the_next_round_of_the_ring_displaces_a_decided_one() {
        let mut scout = scout();
        scout.on_promise(
            NodeId(1),
            Slot::FIRST,
            Slot::ZERO,
            &[entry(2, 8, 7)],
            true,
            MEMBERS,
        );
        scout.on_promise(
            NodeId(2),
            Slot::FIRST,
            Slot::new(2),
            &[entry(6, 1, 8)],
            true,
            MEMBERS,
        );
        assert_eq!(scout.adopted(Slot::new(6)), Some(&entry(6, 1, 8)));
        assert_eq!(scout.adopted(Slot::new(2)), None);
    }

    #[test]
    fn s7_a_promise_may_have_more_pages_than_a_scout_asks_again() {
        const PAGES: u64 = 12;
        let mut scout = Scout::<u32, 16>::new(Ballot::new(9, NodeId(0)), Slot::FIRST);
        scout.on_promise(NodeId(0), Slot::FIRST, Slot::ZERO, &[], true, MEMBERS);
        for page in 1..=PAGES {
            let missing = scout.on_retransmit(MEMBERS, 5);
            assert!(missing.is_some(), "page {page} was lost once, as all were");
            let (first, entries) = (Slot::new(page), [entry(page, 1, 7)]);
            let last = page == PAGES;
            let promised = scout.on_promise(NodeId(1), first, Slot::ZERO, &entries, last, MEMBERS);
            assert_eq!(promised == PromiseVerdict::Quorum, last, "page {page}");
        }
        assert_eq!(scout.last_adopted(), Slot::new(PAGES));
    }

    #[test]
    fn s7_only_the_missing_are_asked_again_and_not_for_ever() {
        let mut scout = scout();
        scout.on_promise(NodeId(0), Slot::FIRST, Slot::ZERO, &[], true, MEMBERS);
        assert_eq!(
            scout.on_retransmit(MEMBERS, 2),
            Some(MEMBERS.without(NodeId(0)))
        );
        assert!(scout.on_retransmit(MEMBERS, 2).is_some());
        assert_eq!(scout.on_retransmit(MEMBERS, 2), None);
    }
}
