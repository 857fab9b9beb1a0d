//! The election of a leader: the probe, the scout, and the adoption of accepted proposals.

use super::{Leader, LeaderState, Leadership, NOT_HEARD, Round};
use crate::invariant::ensure;
use crate::membership::Membership;
use crate::mutant::Mutant;
use crate::roles::commander::Commander;
use crate::roles::scout::Scout;
use crate::window::Window;
use crate::{Ballot, NODES_LEN, NodeId, NodeSet, Proposal, Slot};

/// The result of an election that was won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Adoption {
    /// Slots for which a member of the quorum has accepted something, which is proposed again under the new ballot.
    pub(crate) reproposed: u32,
    /// Slots between those for which nobody of the quorum has accepted anything, so nothing was chosen there.
    pub(crate) noops: u32,
    /// The first slot for a new command.
    pub(crate) next_slot: Slot,
}

/// Rule L7: a probe, which asks the other nodes before a ballot is claimed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Probe {
    /// The ballot that would be claimed. It only identifies the probe: the claim takes a higher one if a higher one is
    /// heard of meanwhile, and an unused number is free for the next probe.
    pub(super) ballot: Ballot,
    /// The nodes that would promise a claim, this one among them.
    granted: NodeSet,
    /// True if another node hears a leader.
    denied: bool,
    /// Repetitions so far. Unlike those of a scout they are not counted anew by an answer, since each answer is whole.
    repeats: u8,
}

impl Probe {
    /// Checks the invariants that hold between steps.
    pub(super) fn check_invariants(&self, members: NodeSet) -> Result<(), &'static str> {
        ensure(
            self.granted.contains(self.ballot.leader()),
            "a node that probes misses its leader itself (L7)",
        )?;
        ensure(
            !self.granted.is_quorum(members),
            "a quorum has granted the probe, and nothing is claimed (L7)",
        )
    }
}

impl<C: Copy + Eq, const WINDOW: usize, const CLIENTS: usize> Leader<C, WINDOW, CLIENTS> {
    /// Returns the scout, while a claim is under way.
    pub(crate) fn scout(&self) -> Option<&Scout<C, WINDOW>> {
        match &self.state {
            LeaderState::Scouting(scout) => Some(scout),
            _ => None,
        }
    }

    /// As [`Leader::scout`], to give it a page of a promise or to count a repetition.
    pub(crate) fn scout_mut(&mut self) -> Option<&mut Scout<C, WINDOW>> {
        match &mut self.state {
            LeaderState::Scouting(scout) => Some(scout),
            _ => None,
        }
    }

    /// Begins a probe. The node counts its own grant afterwards, like any other: in a cluster of one that is a quorum.
    pub(crate) fn begin_probe(&mut self, ballot: Ballot) {
        debug_assert!(
            self.is_idle(),
            "a probe begins only where no election is under way"
        );
        self.state = LeaderState::Probing(Probe {
            ballot,
            granted: NodeSet::EMPTY,
            denied: false,
            repeats: 0,
        });
    }

    /// Counts a granted probe. Returns true if a quorum suspects its leader.
    pub(crate) fn on_granted(&mut self, from: NodeId, members: NodeSet) -> bool {
        match &mut self.state {
            LeaderState::Probing(probe) => {
                probe.granted.insert(from);
                probe.granted.is_quorum(members)
            }
            _ => false,
        }
    }

    /// Notes that a node has denied the probe, because it hears a leader.
    pub(crate) fn on_denied(&mut self) {
        if let LeaderState::Probing(probe) = &mut self.state {
            probe.denied = true;
        }
    }

    /// True if a node has denied the probe.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(&self.state, LeaderState::Probing(probe) if probe.denied)
    }

    /// Returns the members that have not answered the probe; `None` once it was repeated often enough, or if a node has
    /// denied it.
    pub(crate) fn on_probe_retransmit(
        &mut self,
        members: NodeSet,
        repeats_max: u8,
    ) -> Option<NodeSet> {
        match &mut self.state {
            LeaderState::Probing(probe) => {
                probe.repeats = probe.repeats.saturating_add(1);
                let goes_on = probe.repeats <= repeats_max && !probe.denied;
                goes_on.then(|| members.minus(probe.granted))
            }
            _ => None,
        }
    }

    /// Begins a claim of `ballot` for the slots from `from` on; a probe that led to it is over.
    pub(crate) fn begin_scout(&mut self, ballot: Ballot, from: Slot) {
        debug_assert!(self.leading().is_none(), "a leader claims no other ballot");
        debug_assert!(
            self.ballot().is_none_or(|probed| probed <= ballot),
            "claims a lower ballot than it has probed"
        );
        debug_assert!(
            self.waiting.is_empty(),
            "proposals wait although nobody leads here (L4)"
        );
        let mut scout = Scout::new(ballot, from);
        scout.mistake = self.mistake;
        self.state = LeaderState::Scouting(scout);
    }

    /// Rule L1: becomes the leader, with a commander for every slot up to the last adopted one; a slot for which
    /// nothing was accepted gets a no-op. Must only be called when the scout has its quorum and everything up to its
    /// low-water mark is applied here (rules S2 and S6).
    ///
    /// Rule V2: nothing is driven above an adopted change that ends the epoch. What others have accepted there is void.
    pub(crate) fn adopt(&mut self, applied: Slot, membership: &Membership) -> Option<Adoption> {
        let LeaderState::Scouting(scout) = &self.state else {
            return None;
        };
        // An active mutant skips this check, so that the checkers outside have to catch it.
        debug_assert!(
            self.mistake.is_any() || scout.low_water().0 <= applied,
            "would propose under the low-water mark (S6)"
        );
        let ballot = scout.ballot();
        let mut last = scout.last_adopted().max(applied);
        if self.mistake.is(Mutant::AdoptedIgnored) {
            last = applied;
        }
        let mut commanders = Window::new(applied);
        let (mut reproposed, mut noops, mut unchosen) = (0, 0, 0);
        let (mut slot, mut last_slot) = (applied, Slot::new(u64::MAX));
        while slot < last {
            slot = slot.next()?;
            let adopted = scout.adopted(slot).map(|entry| entry.proposal);
            if self.mistake.is(Mutant::HolesLeft) && adopted.is_none() {
                continue;
            }
            reproposed += u32::from(adopted.is_some());
            noops += u32::from(adopted.is_none());
            let proposal = adopted.unwrap_or(Proposal::Noop);
            let placed = commanders.put(slot, Commander::new(proposal));
            // An election fails if an acceptor reports a slot that no leader could have used: one that is more than a
            // window above what is applied here, although the low-water marks of the quorum are not above that.
            if !placed && !self.mistake.is_any() {
                return None;
            }
            unchosen += 1;
            if membership.is_ended_by(&proposal) && !self.mistake.is(Mutant::ChangeOvertaken) {
                last = slot;
                last_slot = slot;
            }
        }
        let next_slot = last.next()?;
        debug_assert!(
            self.mistake.is_any()
                || next_slot.distance(applied) == u64::from(reproposed + noops) + 1,
            "every slot up to the last adopted one has a commander (L1)"
        );
        // Up to here the followers learn from the first heartbeat; only what is decided from now on is announced.
        let announced = applied;
        self.state = LeaderState::Leading(Leadership {
            ballot,
            commanders,
            next_slot,
            announced,
            last_slot,
            audience: first_audience(membership, ballot.leader()),
            answering: NodeSet::EMPTY,
            lags: [NOT_HEARD; NODES_LEN],
            round: Round::after(next_slot.back(1)),
            unchosen,
        });
        self.in_flight_peak = self.in_flight_peak.max(self.in_flight());
        debug_assert!(
            self.mistake.is_any() || self.in_flight_peak <= WINDOW,
            "adopted more slots than the window has (L3)"
        );
        Some(Adoption {
            reproposed,
            noops,
            next_slot,
        })
    }
}

/// Rule V9: returns the nodes that a new leader tells what it does: the other members, and the nodes that were removed,
/// until they do not answer any more.
fn first_audience(membership: &Membership, leader: NodeId) -> NodeSet {
    let told = membership.members.union(membership.removed());
    told.without(leader)
}
