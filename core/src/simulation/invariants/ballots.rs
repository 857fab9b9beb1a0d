//! The votes of all nodes for each slot and ballot, and the value that they choose.
//!
//! Votes are kept as they were written and for ever, whatever their nodes forget: that a quorum has accepted a value is
//! a fact about the past. From them follows what is chosen, without any node that says so. A value that is proposed or
//! accepted is compared when it is new for its ballot, so that the checks of a slot cost one comparison for each ballot
//! and a bit for each vote.

use super::check_counts::Seen;
use super::epochs::Epochs;
use crate::simulation::capacities::{Capacity, Ring};
use crate::simulation::violation::{Rule, Violation};
use crate::{Ballot, Entry, Epoch, NodeId, NodeSet, Proposal, Slot};
use core::fmt::Debug;
use heapless::Vec;

/// How many ballots are kept for one slot. Rarely are there more than two: a leader's, and that of who took over. What
/// is dropped beyond that is counted as not checked, so that a run with many elections tells how much it shows.
const BALLOTS: usize = 6;

/// The votes of all nodes as they were written, for as many of the latest slots as `H` says.
///
/// A vote costs the look for its slot and its ballot, a comparison of two proposals, and a bit.
#[derive(Clone, Debug)]
pub(super) struct Ballots<C: Clone + Debug, H: Capacity> {
    /// The oldest slots make room for new ones, whether they are chosen or not.
    places: H::Ring<Place<C>>,
}

/// One slot.
#[derive(Clone, Debug)]
struct Place<C> {
    /// In the order in which they were seen, until one is forgotten: then the newest takes its place. No ballot is here
    /// twice.
    tried: Vec<Tried<C>, BALLOTS>,
    /// The lowest ballot under which a quorum has accepted, and what.
    chosen: Option<(Ballot, Proposal<C>)>,
    /// Whether a ballot was forgotten to make room for another. From then on "nobody has voted" and "nothing is chosen"
    /// are not known any more, only what is still there.
    forgot: bool,
}

/// A value under a ballot.
#[derive(Clone, Debug)]
struct Tried<C> {
    ballot: Ballot,
    proposal: Proposal<C>,
    /// Those whose vote was written; none as long as it was only proposed.
    voters: NodeSet,
}

/// Who says that a value stands in a slot under a ballot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a, C> {
    /// The node that proposes or accepts, under whose name a violation is reported.
    pub(super) node: NodeId,
    pub(super) slot: Slot,
    pub(super) ballot: Ballot,
    pub(super) proposal: &'a Proposal<C>,
}

impl<'a, C> Claim<'a, C> {
    /// That of a vote.
    pub(super) const fn of(node: NodeId, vote: &'a Entry<C>) -> Self {
        let Entry {
            slot,
            ballot,
            ref proposal,
        } = *vote;
        Self {
            node,
            slot,
            ballot,
            proposal,
        }
    }
}

/// What is known of what should be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// This.
    Is(T),
    /// That there is none.
    Not,
    /// Nothing any more: it was too long ago.
    Forgotten,
}

impl Known<()> {
    /// That something is so, or that it is not.
    pub(super) const fn of(is_so: bool) -> Self {
        if is_so { Self::Is(()) } else { Self::Not }
    }
}

impl<T> Known<T> {
    /// Whether what is known has a property. What is known not to be there has none.
    pub(super) fn has(self, property: impl FnOnce(T) -> bool) -> Known<()> {
        match self {
            Self::Is(known) => Known::of(property(known)),
            Self::Not => Known::Not,
            Self::Forgotten => Known::Forgotten,
        }
    }
}

impl<C: Copy + Debug + Eq, H: Capacity> Ballots<C, H> {
    pub(super) fn new() -> Self {
        Self {
            places: Ring::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// A value is proposed: it must be the one that the ballot has, and the one that is chosen below the ballot. Says
    /// whether it is new.
    /// Called for each proposal of an accept that leaves its leader. That a value is new means that nobody has said yet
    /// who asked for it.
    pub(super) fn propose(
        &mut self,
        claim: Claim<'_, C>,
        epochs: &Epochs,
        seen: &mut Seen,
    ) -> Result<bool, Violation> {
        // Older than the history: a leader repeats itself to a node that is far behind.
        let Some(place) = self.places.admit(claim.slot) else {
            seen.skip(Rule::TwoValues);
            return Ok(false);
        };
        let place = place.get_or_insert_with(Place::new);
        let (_, is_new) = place.find(claim, epochs, seen)?;
        Ok(is_new)
    }

    /// A vote is written. Says whether its value is new.
    /// A quorum is more than half of the members of the ballot's epoch (rules C2 and V1), and each counts once (rule C1).
    /// The vote of a node that is no member is written, and never told to anybody.
    pub(super) fn vote(
        &mut self,
        claim: Claim<'_, C>,
        epochs: &Epochs,
        seen: &mut Seen,
    ) -> Result<bool, Violation> {
        let Some(place) = self.places.admit(claim.slot) else {
            seen.skip(Rule::TwoChosen);
            return Ok(false);
        };
        let place = place.get_or_insert_with(Place::new);
        let (index, is_new) = place.find(claim, epochs, seen)?;
        let Some(members) = epochs.members(claim.ballot.epoch()) else {
            seen.skip(Rule::TwoChosen);
            return Ok(is_new);
        };
        let Some(tried) = place.tried.get_mut(index) else {
            return Ok(is_new);
        };
        // A vote that was counted already, or for what is chosen already, can choose nothing.
        let chooses = tried.voters.insert(claim.node)
            && place
                .chosen
                .is_none_or(|(lowest, _)| claim.ballot != lowest)
            && tried.voters.is_quorum(members);
        if chooses {
            place.choose(claim, seen)?;
            debug_assert!(
                place.chosen.as_ref().is_some_and(|(lowest, _)| {
                    *lowest <= claim.ballot || lowest.epoch() > claim.ballot.epoch()
                }),
                "a value is chosen under a ballot, and not known to be"
            );
        }
        Ok(is_new)
    }

    /// What is chosen for a slot, and the lowest ballot under which it is.
    pub(super) fn chosen(&self, slot: Slot) -> Known<(Ballot, &Proposal<C>)> {
        // Below the floor a place may have been given to a later slot.
        if slot <= self.places.floor() {
            return Known::Forgotten;
        }
        match self.places.get(slot) {
            Some(Place {
                chosen: Some((ballot, proposal)),
                ..
            }) => Known::Is((*ballot, proposal)),
            // A quorum may have formed under a ballot that is not kept.
            Some(place) if place.forgot => Known::Forgotten,
            _ => Known::Not,
        }
    }

    /// Who has voted for a value in a slot, under each ballot of an epoch.
    pub(super) fn voters(
        &self,
        slot: Slot,
        epoch: Epoch,
        proposal: &Proposal<C>,
    ) -> impl Iterator<Item = NodeSet> {
        let tried = self.places.get(slot).into_iter();
        let tried = tried.flat_map(|place| &place.tried);
        let same =
            tried.filter(move |tried| tried.ballot.epoch() == epoch && tried.proposal == *proposal);
        same.map(|tried| tried.voters)
    }

    /// The highest ballot under which a node has voted for a slot.
    pub(super) fn voted(&self, slot: Slot, node: NodeId) -> Known<Ballot> {
        if slot <= self.places.floor() {
            return Known::Forgotten;
        }
        let Some(place) = self.places.get(slot) else {
            return Known::Not;
        };
        let voted = place
            .tried
            .iter()
            .filter(|tried| tried.voters.contains(node));
        match voted.map(|tried| tried.ballot).max() {
            Some(ballot) => Known::Is(ballot),
            None if place.forgot => Known::Forgotten,
            None => Known::Not,
        }
    }

    /// What stands in a slot under a ballot, and who has voted for it.
    pub(super) fn tried(&self, slot: Slot, ballot: Ballot) -> Known<(&Proposal<C>, NodeSet)> {
        if slot <= self.places.floor() {
            return Known::Forgotten;
        }
        let Some(place) = self.places.get(slot) else {
            return Known::Not;
        };
        match place
            .tried
            .iter()
            .rev()
            .find(|tried| tried.ballot == ballot)
        {
            Some(tried) => Known::Is((&tried.proposal, tried.voters)),
            None if place.forgot => Known::Forgotten,
            None => Known::Not,
        }
    }
}

impl<C: Copy + Eq> Place<C> {
    const fn new() -> Self {
        Self {
            tried: Vec::new(),
            chosen: None,
            forgot: false,
        }
    }

    /// The index of the ballot's value, and whether it is new.
    /// Looked for from the newest on, as nearly all claims are about the ballot of the present leader. A value that is
    /// new is checked against what is chosen (rule S4); one that is known was, when it came.
    fn find(
        &mut self,
        claim: Claim<'_, C>,
        epochs: &Epochs,
        seen: &mut Seen,
    ) -> Result<(usize, bool), Violation> {
        let Claim {
            node,
            slot,
            ballot,
            proposal,
        } = claim;
        let known = self.tried.iter().rposition(|tried| tried.ballot == ballot);
        if let Some(index) = known {
            seen.check(Rule::TwoValues);
            let same = self
                .tried
                .get(index)
                .is_some_and(|tried| tried.proposal == *proposal);
            return if same {
                Ok((index, false))
            } else {
                Err(Violation::TwoValues { node, slot, ballot })
            };
        }
        let epoch = ballot.epoch();
        if epochs.began(epoch).is_some_and(|began| slot <= began) {
            // The slot belongs to an earlier epoch, which has ended.
            return Err(Violation::UnsafeProposal { node, slot, ballot });
        }
        // Rule V3: what was chosen above the end of its epoch is void in the next one.
        self.chosen.take_if(|(lowest, _)| lowest.epoch() < epoch);
        if let Some((lowest, chosen)) = &self.chosen
            && *lowest <= ballot
        {
            seen.check(Rule::UnsafeProposal);
            if chosen != proposal {
                return Err(Violation::UnsafeProposal { node, slot, ballot });
            }
        }
        if self.tried.is_full() {
            self.forgot = true;
            seen.skip(Rule::TwoChosen);
            // The lowest is the least likely to be asked about, as promises tell the highest (rule S4).
            let lowest = (0..).zip(&self.tried).min_by_key(|(_, tried)| tried.ballot);
            if let Some((index, _)) = lowest {
                self.tried.swap_remove(index);
            }
        }
        let pushed = self.tried.push(Tried {
            ballot,
            proposal: *proposal,
            voters: NodeSet::EMPTY,
        });
        debug_assert!(pushed.is_ok(), "there was room, or room was made");
        debug_assert!(
            self.tried
                .iter()
                .filter(|tried| tried.ballot == ballot)
                .count()
                == 1,
            "votes under one ballot would be counted in two places (C1)"
        );
        Ok((self.tried.len() - 1, true))
    }

    /// A quorum has accepted: what is chosen already must be the same, and so must everything above the ballot. The
    /// latter was proposed before the votes were complete, when there was nothing yet to compare it with.
    #[cold]
    fn choose(&mut self, claim: Claim<'_, C>, seen: &mut Seen) -> Result<(), Violation> {
        let Claim {
            node,
            slot,
            ballot,
            proposal,
        } = claim;
        seen.check(Rule::TwoChosen);
        let epoch = ballot.epoch();
        if let Some((lowest, chosen)) = &mut self.chosen {
            // A vote that came too late for its epoch (rule V3).
            if lowest.epoch() > epoch {
                return Ok(());
            }
            if *chosen != *proposal {
                return Err(Violation::TwoChosen { node, slot, ballot });
            }
            *lowest = ballot.min(*lowest);
        } else {
            self.chosen = Some((ballot, *proposal));
        }
        let above = self
            .tried
            .iter()
            .filter(|tried| tried.ballot > ballot && tried.ballot.epoch() == epoch);
        match above
            .filter(|tried| tried.proposal != *proposal)
            .map(|tried| tried.ballot)
            .min()
        {
            Some(ballot) => Err(Violation::UnsafeProposal { node, slot, ballot }),
            None => Ok(()),
        }
    }
}
