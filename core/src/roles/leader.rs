//! The leader: runs for election, wins a ballot, and then assigns a slot to each command.
//!
//! Source: Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, figure 7; extended by a window, by probes
//! before claims, and by a check that a quorum still answers.

mod audience;
mod election;
mod invariants;
mod reads;

pub(crate) use election::Adoption;
use election::Probe;
pub(crate) use reads::ReadIndex;
use reads::{Question, Round};

use super::commander::Commander;
use super::scout::Scout;
use crate::mutant::{Mistake, Mutant};
use crate::window::Window;
use crate::{Ballot, NODES_LEN, NodeId, NodeSet, Proposal, RequestKey, Slot};
use core::hash::{Hash, Hasher};
use heapless::{Deque, Vec};

/// The state of a node's election or leadership, and the proposals that wait for a slot.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Leader<C, const WINDOW: usize, const CLIENTS: usize> {
    /// What the node is doing about leadership.
    state: LeaderState<C, WINDOW>,
    /// Proposals for which the window has no slot yet, oldest first (rule L3). Empty unless this node leads. It may be
    /// lost at any time, as the replicas keep their requests (rule L4).
    waiting: Deque<Proposal<C>, CLIENTS>,
    /// The nodes that ask up to where the log is decided, in order to read. Empty unless this node leads.
    questions: Vec<Question, CLIENTS, u16>,
    /// The most proposals that have waited at once, for [`Marks`](crate::Marks).
    waiting_peak: usize,
    /// The most slots that have been in flight at once, for [`Marks`](crate::Marks).
    in_flight_peak: usize,
    /// Set by the node; without the feature `mutants` it has no size.
    pub(crate) mistake: Mistake,
}

/// Compares the state, the waiting proposals and the questions. The peaks are statistics.
impl<C: Eq, const WINDOW: usize, const CLIENTS: usize> PartialEq for Leader<C, WINDOW, CLIENTS> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
            && self.waiting == other.waiting
            && self.questions == other.questions
    }
}

impl<C: Eq, const WINDOW: usize, const CLIENTS: usize> Eq for Leader<C, WINDOW, CLIENTS> {}

impl<C: Hash, const WINDOW: usize, const CLIENTS: usize> Hash for Leader<C, WINDOW, CLIENTS> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.state.hash(state);
        self.waiting.len().hash(state);
        for proposal in &self.waiting {
            proposal.hash(state);
        }
        self.questions.hash(state);
    }
}

/// The state that exists only while the node probes, scouts or leads. The variants exclude each other and share their
/// memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum LeaderState<C, const WINDOW: usize> {
    /// Neither elected nor running: the node follows, or waits for its turn.
    Idle,
    /// Asks whether the others miss their leader as well (rule L7). Nothing is claimed, and nothing was written.
    Probing(Probe),
    /// Phase 1: has claimed a ballot and collects promises.
    Scouting(Scout<C, WINDOW>),
    /// Phase 2: has won its ballot and assigns slots.
    Leading(Leadership<C, WINDOW>),
}

/// Leadership under one ballot: the span in which this node leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Leadership<C, const WINDOW: usize> {
    /// The ballot that was won. It is the highest that this node has seen, or else the leadership ends (rule L4).
    ballot: Ballot,
    /// A commander for each slot in flight. The floor is the end of the decided prefix.
    commanders: Window<Commander<C>, WINDOW>,
    /// The slot of the next new command. Every slot between the decided prefix and this one has a commander, as a slot
    /// without one would stop the log for good (rule L1).
    next_slot: Slot,
    /// The slot up to which decisions have been announced to the followers.
    announced: Slot,
    /// The last slot that may be assigned: that of a change of the members, if one is in flight (rule V2).
    last_slot: Slot,
    /// The nodes that accepts, decisions and heartbeats are sent to: the other members, and the learners that have
    /// answered or asked lately.
    audience: NodeSet,
    /// The nodes that have answered since the last quorum check (rule L6).
    answering: NodeSet,
    /// By how many slots each node was behind when it last said so; the greatest number for a node that has not
    /// answered since the last quorum check but one (rule V8).
    lags: [u8; NODES_LEN],
    /// The round by which the leader makes certain that it still leads, for those who read (rule Q2).
    round: Round,
    /// The number of commanders that have no quorum yet: the slots in flight. Counted along, so that looking for work
    /// does not go through the window.
    unchosen: u32,
}

impl<C, const WINDOW: usize> Leadership<C, WINDOW> {
    /// Returns the number of slots in flight, which is at most `WINDOW`.
    fn in_flight(&self) -> usize {
        usize::try_from(self.unchosen).unwrap_or(usize::MAX)
    }

    /// Rule L3: true if the next slot lies in the window above the decided prefix. Rule N1: the last slot of all is
    /// never assigned, so that every slot has a successor.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn has_slot(&self) -> bool {
        self.commanders.covers(self.next_slot)
            && self.next_slot.next().is_some()
            && self.next_slot <= self.last_slot
    }
}

impl<C, const WINDOW: usize> Leadership<C, WINDOW> {}

impl<C: Copy, const WINDOW: usize> Leadership<C, WINDOW> {
    /// Assigns the next slot to a proposal, if one is available. Nothing is changed if there is none: the slot after it
    /// is computed first, as the last slot of all is never assigned (rule N1).
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn start(&mut self, proposal: &Proposal<C>) -> Option<Slot> {
        let slot = self.next_slot;
        let next_slot = slot.next()?;
        if slot > self.last_slot || !self.commanders.put(slot, Commander::new(*proposal)) {
            return None;
        }
        self.unchosen += 1;
        self.next_slot = next_slot;
        Some(slot)
    }
}

/// The lag of a node that the leader has not heard of, or that is farther behind than a byte can say.
const NOT_HEARD: u8 = u8::MAX;

/// The verdict of the leader on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnqueueVerdict {
    /// It has a slot, or waits for one.
    Taken,
    /// It is a retry of one that waits or is in flight.
    Known,
    /// Too many wait; the replica that it came from proposes it again later.
    Full,
}

impl<C: Copy + Eq, const WINDOW: usize, const CLIENTS: usize> Leader<C, WINDOW, CLIENTS> {
    /// Creates the role of a node that is neither elected nor running.
    pub(crate) const fn new() -> Self {
        Self {
            state: LeaderState::Idle,
            waiting: Deque::new(),
            questions: Vec::new(),
            waiting_peak: 0,
            in_flight_peak: 0,
            mistake: Mistake::NONE,
        }
    }

    /// Returns the ballot that is probed, claimed, or won.
    pub(crate) fn ballot(&self) -> Option<Ballot> {
        match &self.state {
            LeaderState::Idle => None,
            LeaderState::Probing(probe) => Some(probe.ballot),
            LeaderState::Scouting(scout) => Some(scout.ballot()),
            LeaderState::Leading(leadership) => Some(leadership.ballot),
        }
    }

    /// Returns the ballot under which this node leads.
    pub(crate) fn leading(&self) -> Option<Ballot> {
        match &self.state {
            LeaderState::Leading(leadership) => Some(leadership.ballot),
            _ => None,
        }
    }

    /// True if no election is under way and the node does not lead.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, LeaderState::Idle)
    }

    /// True if the node asks others before it claims. It may then still follow a leader, as nothing is claimed.
    pub(crate) fn is_probing(&self) -> bool {
        matches!(self.state, LeaderState::Probing(_))
    }

    /// Ends any election or leadership. Waiting proposals are dropped: the replica that each came from keeps its
    /// request and proposes it to the next leader (rule L4).
    pub(crate) fn resign(&mut self) {
        self.state = LeaderState::Idle;
        self.waiting.clear();
        self.questions.clear();
    }

    /// Queues a proposal until a slot is available. A `retry` is first looked up among the proposals that are waiting
    /// or in flight. It does no harm if a proposal gets two slots, as it is applied only once.
    pub(crate) fn enqueue(&mut self, proposal: &Proposal<C>, retry: bool) -> EnqueueVerdict {
        if retry && proposal.key().is_some_and(|key| self.has_proposal(key)) {
            return EnqueueVerdict::Known;
        }
        match self.waiting.push_back(*proposal) {
            Ok(()) => {
                self.waiting_peak = self.waiting_peak.max(self.waiting.len());
                EnqueueVerdict::Taken
            }
            Err(_) => EnqueueVerdict::Full,
        }
    }

    /// True if a proposal with this key waits or has a slot above the decided prefix. It goes through both, which only
    /// retries pay for. Below the prefix, the session knows the request (rule X1).
    pub(crate) fn has_proposal(&self, key: RequestKey) -> bool {
        let waits = self
            .waiting
            .iter()
            .any(|proposal| proposal.key() == Some(key));
        let LeaderState::Leading(leadership) = &self.state else {
            return waits;
        };
        waits
            || leadership
                .commanders
                .iter_from(Slot::ZERO)
                .any(|(_, commander)| commander.proposal.key() == Some(key))
    }

    /// Returns the number of proposals that wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the most proposals that have waited for a slot at once.
    pub(crate) fn waiting_peak(&self) -> usize {
        self.waiting_peak
    }

    /// Returns the most slots that have been in flight at once.
    pub(crate) fn in_flight_peak(&self) -> usize {
        self.in_flight_peak
    }

    /// Rule L3: true if a proposal waits and the next slot is available.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn can_start(&self) -> bool {
        let LeaderState::Leading(leadership) = &self.state else {
            return false;
        };
        !self.waiting.is_empty() && leadership.has_slot()
    }

    /// Assigns the next slot to the first waiting proposal, if there is one and the slot is available.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn start_next(&mut self) -> Option<(Slot, Proposal<C>)> {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return None;
        };
        let proposal = *self.waiting.front()?;
        debug_assert!(
            self.mistake.is_any() || leadership.commanders.get(leadership.next_slot).is_none(),
            "assigns a slot twice (L2)"
        );
        // Taken from the queue only when it has its slot.
        let slot = leadership.start(&proposal)?;
        self.waiting.pop_front();
        self.in_flight_peak = self.in_flight_peak.max(leadership.in_flight());
        debug_assert!(
            self.mistake.is_any() || self.in_flight_peak <= WINDOW,
            "more slots are in flight than the window has (L3)"
        );
        Some((slot, proposal))
    }

    /// Assigns the next slot to a new proposal at once, if no other proposal waits and the slot is available. A
    /// proposal that comes later must not overtake those that wait, or a busy client could keep another one waiting for
    /// ever.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn start(&mut self, proposal: &Proposal<C>) -> Option<Slot> {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return None;
        };
        if !self.waiting.is_empty() {
            return None;
        }
        debug_assert!(
            self.mistake.is_any() || leadership.commanders.get(leadership.next_slot).is_none(),
            "assigns a slot twice (L2)"
        );
        let slot = leadership.start(proposal)?;
        // Counts as waiting, though for no time.
        self.waiting_peak = self.waiting_peak.max(1);
        self.in_flight_peak = self.in_flight_peak.max(leadership.in_flight());
        debug_assert!(
            self.mistake.is_any() || self.in_flight_peak <= WINDOW,
            "more slots are in flight than the window has (L3)"
        );
        Some(slot)
    }

    /// True if there may be something to apply, to start or to announce.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn has_work(&self) -> bool {
        let LeaderState::Leading(leadership) = &self.state else {
            return false;
        };
        !self.waiting.is_empty()
            || leadership.commanders.floor() > leadership.announced
            || self.next_chosen().is_some()
    }

    /// Counts a vote for a slot. Returns true if the slot is chosen by it. The caller has checked that the vote is for
    /// the current ballot (rule C1).
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn on_accepted(&mut self, from: NodeId, slot: Slot, members: NodeSet) -> bool {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return false;
        };
        let Some(commander) = leadership.commanders.get_mut(slot) else {
            return false;
        };
        let chosen =
            commander.on_accepted(from, members) || commander.miscounts(self.mistake, members);
        if chosen {
            debug_assert!(
                leadership.unchosen > 0,
                "more slots are chosen than are in flight"
            );
            leadership.unchosen -= 1;
        }
        chosen
    }

    /// Returns the commander of a slot above the decided prefix, if one was assigned.
    pub(crate) fn commander(&self, slot: Slot) -> Option<&Commander<C>> {
        match &self.state {
            LeaderState::Leading(leadership) => leadership.commanders.get(slot),
            _ => None,
        }
    }

    /// Returns the first slot after the decided prefix, if it is chosen.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn next_chosen(&self) -> Option<(Slot, &Proposal<C>)> {
        let LeaderState::Leading(leadership) = &self.state else {
            return None;
        };
        let slot = leadership.commanders.floor().next()?;
        let commander = leadership.commanders.get(slot)?;
        commander.is_chosen().then_some((slot, &commander.proposal))
    }

    /// True if the decision for `slot` shows that this leadership has been superseded: another proposal is in flight
    /// there, or none, so a higher ballot has decided the slot. The proposal that this leader's voters accepted is then
    /// not the decision, and must not be announced as one (rule C3).
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn is_overruled(&self, slot: Slot, decision: &Proposal<C>) -> bool {
        if self.mistake.is(Mutant::OverruledGoesOn) {
            return false;
        }
        match &self.state {
            LeaderState::Leading(leadership) => {
                leadership.commanders.get(slot).is_none_or(|commander| {
                    !commander.is_chosen() && !commander.proposal.same_as(decision)
                })
            }
            _ => false,
        }
    }

    /// As `is_overruled`, for all slots of a snapshot, whose decisions are not known. If the snapshot includes a slot
    /// that this leader has not seen decided, another one may have decided it.
    pub(crate) fn is_overtaken(&self, at: Slot) -> bool {
        if self.mistake.is(Mutant::OverruledGoesOn) {
            return false;
        }
        match &self.state {
            LeaderState::Leading(leadership) => at > leadership.commanders.floor(),
            _ => false,
        }
    }

    /// Removes the commanders of the slots up to `applied`, which are decided. The node calls it after each slot that
    /// its replica applies, and after a snapshot.
    ///
    /// A commander that has no quorum of its own may be removed: the replica has learned the decision from elsewhere,
    /// and it is the same proposal, as the leader steps down otherwise (rule C3). Its slot is no longer in flight.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn advance(&mut self, applied: Slot) {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return;
        };
        debug_assert!(
            self.mistake.is_any() || leadership.commanders.floor() <= applied,
            "the decided prefix never gets shorter"
        );
        while leadership.commanders.floor() < applied {
            let Some(place) = leadership.commanders.release_next() else {
                return;
            };
            if place.take().is_some_and(|commander| !commander.is_chosen()) {
                leadership.unchosen -= 1;
            }
        }
        debug_assert!(
            self.mistake.is_any() || leadership.commanders.floor() == applied,
            "the decided prefix of a leader ends where its replica has applied (R2)"
        );
        // Slots that were assigned elsewhere are behind: new commands go after them (rule L2).
        if leadership.next_slot <= applied {
            leadership.next_slot = applied.next().unwrap_or(leadership.next_slot);
        }
    }

    /// Returns the end of the decided prefix.
    pub(crate) fn decided(&self) -> Slot {
        match &self.state {
            LeaderState::Leading(leadership) => leadership.commanders.floor(),
            _ => Slot::ZERO,
        }
    }

    /// Returns the end of the decided prefix if it has not been announced yet, and marks it as announced.
    pub(crate) fn announce(&mut self) -> Option<Slot> {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return None;
        };
        let decided = leadership.commanders.floor();
        if decided <= leadership.announced {
            return None;
        }
        debug_assert!(
            self.mistake.is_any() || decided < leadership.next_slot,
            "announces a slot that was never assigned (L2)"
        );
        leadership.announced = decided;
        Some(decided)
    }

    /// Returns the number of slots in flight.
    pub(crate) fn in_flight(&self) -> usize {
        match &self.state {
            LeaderState::Leading(leadership) => leadership.in_flight(),
            _ => 0,
        }
    }

    /// Returns the proposal of a slot in flight and the members that have not accepted it, if the accept is to be sent
    /// again.
    pub(crate) fn retransmit(
        &mut self,
        slot: Slot,
        members: NodeSet,
    ) -> Option<(Proposal<C>, NodeSet)> {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return None;
        };
        let commander = leadership.commanders.get_mut(slot)?;
        let missing = commander.on_retransmit(members);
        (!missing.is_empty()).then_some((commander.proposal, missing))
    }

    /// True if the active mutant assigns slots that have a commander already.
    fn reuses_slots(&self) -> bool {
        self.mistake.is(Mutant::SlotGivenTwice) || self.mistake.is(Mutant::VoteOverwritten)
    }

    /// These two mutants assign the first slot in flight to the next command.
    pub(crate) fn reuse_slots(&mut self) {
        if self.reuses_slots()
            && let LeaderState::Leading(leadership) = &mut self.state
        {
            leadership.next_slot = leadership
                .commanders
                .floor()
                .next()
                .unwrap_or(leadership.next_slot);
        }
    }

    /// Returns the first and the last slot that has a commander; the last one is before the first if there is none.
    pub(crate) fn slots_in_flight(&self) -> Option<(Slot, Slot)> {
        match &self.state {
            LeaderState::Leading(leadership) if self.reuses_slots() => {
                let first = leadership.commanders.floor().next()?;
                Some((first, first.checked_add(crate::outbox::run_len(WINDOW))?))
            }
            LeaderState::Leading(leadership) => Some((
                leadership.commanders.floor().next()?,
                leadership.next_slot.back(1),
            )),
            _ => None,
        }
    }

    /// Rule V2: assigns no slot after that of a change which ends the epoch.
    #[cold]
    #[inline(never)]
    pub(crate) fn end_at(&mut self, slot: Slot) {
        if let LeaderState::Leading(leadership) = &mut self.state
            && !self.mistake.is(Mutant::ChangeOvertaken)
        {
            leadership.last_slot = slot;
        }
    }

    /// Rule S6: true if a scout has its quorum, and nothing keeps it from leading any more.
    pub(crate) fn could_lead(&self, applied: Slot, members: NodeSet) -> bool {
        self.scout()
            .is_some_and(|scout| scout.is_complete(members) && scout.low_water().0 <= applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Membership;
    use crate::{ClientId, Entry, RequestNumber};

    pub(super) type Small = Leader<u32, 4, 3>;

    const MEMBERS: NodeSet = NodeSet::first(3);

    pub(super) fn asks(command: u32) -> Proposal<u32> {
        Proposal::Request {
            client: ClientId(1),
            number: RequestNumber(command),
            command,
        }
    }

    pub(super) fn entry(slot: u64, command: u32) -> Entry<u32> {
        Entry {
            slot: Slot::new(slot),
            ballot: Ballot::new(1, NodeId(1)),
            proposal: asks(command),
        }
    }

    /// A leader whose scout has found `entries` on node 1.
    pub(super) fn leading(applied: u64, entries: &[Entry<u32>]) -> (Small, Adoption) {
        let mut leader = Small::new();
        let from = Slot::new(applied + 1);
        leader.begin_scout(Ballot::new(2, NodeId(0)), from);
        let scout = leader.scout_mut().unwrap();
        scout.on_promise(NodeId(1), from, Slot::ZERO, entries, true, MEMBERS);
        scout.on_promise(NodeId(0), from, Slot::ZERO, &[], true, MEMBERS);
        let adoption = leader
            .adopt(Slot::new(applied), &Membership::founding(NodeSet::first(3)))
            .unwrap();
        (leader, adoption)
    }

    #[test]
    fn l1_adopted_values_are_proposed_again_and_holes_become_noops() {
        let (leader, adoption) = leading(0, &[entry(1, 7), entry(3, 9)]);
        assert_eq!(
            adoption,
            Adoption {
                reproposed: 2,
                noops: 1,
                next_slot: Slot::new(4)
            }
        );
        assert_eq!(leader.commander(Slot::new(1)).unwrap().proposal, asks(7));
        assert_eq!(
            leader.commander(Slot::new(2)).unwrap().proposal,
            Proposal::Noop
        );
        assert_eq!(leader.commander(Slot::new(3)).unwrap().proposal, asks(9));
    }

    #[test]
    fn l1_applied_slots_are_not_proposed_again() {
        let (leader, adoption) = leading(2, &[entry(1, 7), entry(3, 9)]);
        assert_eq!(
            adoption,
            Adoption {
                reproposed: 1,
                noops: 0,
                next_slot: Slot::new(4)
            }
        );
        assert!(leader.commander(Slot::new(2)).is_none());
    }

    #[test]
    fn l3_no_slot_beyond_the_window_is_given_away() {
        let (mut leader, _) = leading(0, &[entry(3, 9)]);
        assert_eq!(leader.enqueue(&asks(1), false), EnqueueVerdict::Taken);
        assert_eq!(leader.enqueue(&asks(2), false), EnqueueVerdict::Taken);
        assert_eq!(leader.start_next(), Some((Slot::new(4), asks(1))));
        assert_eq!(
            leader.start_next(),
            None,
            "slot 5 waits until slot 1 is decided"
        );
        leader.on_accepted(NodeId(0), Slot::FIRST, MEMBERS);
        assert!(leader.on_accepted(NodeId(2), Slot::FIRST, MEMBERS));
        assert_eq!(leader.next_chosen(), Some((Slot::FIRST, &Proposal::Noop)));
        leader.advance(Slot::FIRST);
        assert_eq!(leader.start_next(), Some((Slot::new(5), asks(2))));
    }

    #[test]
    fn l3_a_waiting_proposal_can_start_in_every_slot_of_the_window() {
        let (mut leader, _) = leading(0, &[]);
        for number in 1..=4 {
            assert!(!leader.can_start(), "nothing waits");
            leader.enqueue(&asks(number), false);
            assert!(leader.can_start(), "slot {number} is in the window");
            leader.start_next();
        }
        leader.enqueue(&asks(5), false);
        assert!(!leader.can_start(), "slot 5 is not");
    }

    #[test]
    fn a_full_queue_is_reported_and_a_retry_is_recognised() {
        let (mut leader, _) = leading(0, &[]);
        leader.enqueue(&asks(1), false);
        leader.start_next();
        assert_eq!(
            leader.enqueue(&asks(1), true),
            EnqueueVerdict::Known,
            "it is being driven"
        );
        for command in 2..=4 {
            assert_eq!(leader.enqueue(&asks(command), true), EnqueueVerdict::Taken);
        }
        assert_eq!(
            leader.enqueue(&asks(2), true),
            EnqueueVerdict::Known,
            "it is waiting"
        );
        assert_eq!(leader.enqueue(&asks(5), false), EnqueueVerdict::Full);
    }

    #[test]
    fn n1_the_last_slot_is_never_given_away() {
        let end = u64::MAX - 1;
        let (mut leader, _) = leading(end - 1, &[]);
        leader.enqueue(&asks(1), false);
        leader.enqueue(&asks(2), false);
        assert_eq!(leader.start_next(), Some((Slot::new(end), asks(1))));
        assert_eq!(leader.start_next(), None);
    }

    #[test]
    fn l2_no_slot_is_given_away_twice() {
        let (mut leader, adoption) = leading(0, &[entry(1, 7)]);
        let mut last = adoption.next_slot.back(1);
        for command in 1..=12 {
            leader.enqueue(&asks(command), false);
            if let Some((slot, _)) = leader.start_next() {
                assert!(slot > last, "{slot} after {last}");
                last = slot;
            }
            // Others may have applied more than this leader has seen chosen.
            leader.advance(Slot::new(u64::from(command)));
        }
        assert!(last > Slot::new(8));
    }

    #[test]
    fn l3_a_new_proposal_starts_at_once_and_never_before_those_that_wait() {
        let (mut leader, _) = leading(0, &[]);
        assert!(!leader.has_work(), "nothing has happened yet");
        assert_eq!(leader.start(&asks(1)), Some(Slot::FIRST));
        assert!(!leader.has_work(), "it is under way");
        leader.enqueue(&asks(2), false);
        assert!(leader.has_work());
        assert_eq!(leader.start(&asks(3)), None, "another one waits");
        assert_eq!(leader.start_next(), Some((Slot::new(2), asks(2))));
        assert_eq!(leader.start(&asks(3)), Some(Slot::new(3)));
        assert_eq!((leader.waiting_peak(), leader.in_flight_peak()), (1, 3));
    }

    #[test]
    fn c3_a_decided_prefix_is_announced_once() {
        let (mut leader, _) = leading(0, &[]);
        assert_eq!(leader.announce(), None, "nothing is decided");
        leader.advance(Slot::new(2));
        assert!(leader.has_work() && leader.decided() == Slot::new(2));
        assert_eq!(leader.announce(), Some(Slot::new(2)));
        assert!(!leader.has_work() && leader.announce().is_none());
    }

    #[test]
    fn c3_only_another_value_overrules_a_leader() {
        let (mut leader, _) = leading(0, &[entry(1, 7), entry(2, 9)]);
        let overrules =
            |leader: &Small, slot, command| leader.is_overruled(Slot::new(slot), &asks(command));
        assert!(!overrules(&leader, 1, 7), "others count faster");
        assert!(overrules(&leader, 1, 8));
        assert!(
            overrules(&leader, 3, 7),
            "a slot that it has not given away"
        );
        leader.on_accepted(NodeId(0), Slot::FIRST, MEMBERS);
        leader.on_accepted(NodeId(1), Slot::FIRST, MEMBERS);
        assert!(!overrules(&leader, 1, 7));
        let snapshot = |leader: &Small, at| leader.is_overtaken(Slot::new(at));
        assert!(!snapshot(&leader, 0), "it begins there");
        assert!(snapshot(&leader, 1));
        leader.resign();
        assert!(!overrules(&leader, 1, 8) && !snapshot(&leader, 1));
    }

    #[test]
    fn slots_decided_elsewhere_are_no_longer_in_flight() {
        let (mut leader, _) = leading(0, &[entry(1, 7), entry(2, 9), entry(3, 8)]);
        leader.on_accepted(NodeId(0), Slot::FIRST, MEMBERS);
        leader.on_accepted(NodeId(1), Slot::FIRST, MEMBERS);
        assert_eq!(leader.in_flight(), 2);
        leader.advance(Slot::new(2));
        assert_eq!(leader.in_flight(), 1, "slot 3");
        leader.advance(Slot::new(3));
        assert_eq!(leader.in_flight(), 0);
    }

    #[test]
    fn l4_a_leader_that_resigns_drives_nothing() {
        let (mut leader, _) = leading(0, &[entry(1, 7)]);
        leader.enqueue(&asks(1), false);
        leader.resign();
        assert!(leader.is_idle() && leader.waiting() == 0 && leader.ballot().is_none());
        assert!(!leader.on_accepted(NodeId(1), Slot::FIRST, MEMBERS));
    }

    #[test]
    fn l6_a_leader_counts_the_members_that_answer() {
        let (mut leader, _) = leading(0, &[]);
        leader.on_answer(NodeId(2));
        assert!(leader.count_quorum(MEMBERS), "itself and one other");
        assert!(!leader.count_quorum(MEMBERS), "nobody since");
    }
}
