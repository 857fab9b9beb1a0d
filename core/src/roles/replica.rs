//! The replica: stores decisions, applies them in order, and answers requests from what it has applied.
//!
//! Source: Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, figure 1; here the leader assigns slots, and a
//! replica that is behind fetches pages of decisions or of a snapshot.

mod page_run;
mod transfer;

use transfer::Spare;
pub(crate) use transfer::{Page, SpareUse, Wanted, WelcomeVerdict};

use super::snapshot::State;
use crate::invariant::ensure;
use crate::membership::Membership;
use crate::mutant::{Mistake, Mutant};
use crate::table::{Numbered, Table};
use crate::window::Window;
use crate::{
    Ballot, ClientId, Conflict, Divergence, NodeId, Outcome, Proposal, Reply, RequestKey,
    RequestNumber, Slot, StateMachine,
};
use heapless::Vec;

/// The replicated state, the decisions around the end of the applied prefix, and the pending requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Replica<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    /// What follows from the slots that were applied: the machine, the sessions, and how far that is (rule R4).
    state: State<M, CLIENTS>,
    /// Decisions that wait for a gap to close, and below them as many applied ones as there is room for, which are kept
    /// for nodes that are behind.
    log: Window<Proposal<M::Command>, WINDOW>,
    /// Requests that this node's requesters, or those of other nodes, have brought and that are not applied yet. They
    /// are kept until then, whoever leads (rule R3).
    pending: Table<Pending<M::Command>, CLIENTS>,
    /// The one other state that a node has room for: a snapshot that it sends or fetches (rule T5).
    spare: Spare<M, CLIENTS>,
    /// The ballot under which a prefix was announced as decided, and the last slot of that prefix. A vote of this node
    /// for one of its slots is the decision if it was cast under that ballot (rule C3).
    decided_under: (Ballot, Slot),
    /// The last slot that is known to be decided, whether its decision is known or not. Not raised by what is applied
    /// here, so it may be behind that.
    decided: Slot,
    /// A slot and the chain digest that a leader has announced for it; compared when that slot is applied.
    expected_chain: (Slot, u64),
    /// Set by the node; without the feature `mutants` it has no size.
    mistake: Mistake,
}

/// A pending request: received here and not applied yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Pending<C> {
    /// What is proposed to each leader, until it is applied.
    proposal: Proposal<C>,
    /// [`Proposal::key`] of it.
    key: RequestKey,
    /// [`Proposal::fingerprint`] of the request, which with the key identifies it (rule X1).
    fingerprint: u32,
    /// The node that waits for the answer: the one that has asked last, as a client may have gone to another node.
    waiter: NodeId,
    /// True if it was proposed to a leader since the retransmission timer last fired.
    fresh: bool,
}

impl<C> Numbered for Pending<C> {
    fn number(&self) -> u64 {
        self.key.client.0
    }
}

/// A slot that was applied.
#[derive(Clone, Debug)]
pub(crate) struct Applied<'a, C, O> {
    /// The slot, which is now the last one that is applied.
    pub(crate) slot: Slot,
    /// Its decision, in the log of the replica.
    pub(crate) proposal: &'a Proposal<C>,
    /// The digest of everything up to this slot.
    pub(crate) chain: u64,
    /// The answer to whoever has requested it; `None` for a no-op, which nobody has.
    pub(crate) outcome: Option<Outcome<O>>,
    /// [`Proposal::fingerprint`] of the applied proposal.
    pub(crate) fingerprint: u32,
    /// True if a leader has announced another history.
    pub(crate) diverged: bool,
}

/// The verdict of the replica on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestVerdict<O> {
    /// It was applied before, or can never be; this is the answer.
    Answered(Outcome<O>),
    /// It waits for its decision and is to be proposed to the leader.
    Pending,
    /// It was pending before.
    Known,
    /// There is no room for it.
    Full,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Replica<M, WINDOW, CLIENTS> {
    /// Creates a replica from its replicated state; everything else is empty.
    pub(crate) fn new(state: State<M, CLIENTS>) -> Self {
        Self {
            log: Window::new(state.applied),
            pending: Table::new(),
            spare: Spare::Empty,
            decided_under: (Ballot::NULL, Slot::ZERO),
            decided: state.applied,
            expected_chain: (Slot::ZERO, 0),
            mistake: Mistake::NONE,
            state,
        }
    }

    /// Activates a mutant.
    pub(crate) fn set_mistake(&mut self, mistake: Mistake) {
        self.mistake = mistake;
        self.state.sessions.mistake = mistake;
        self.state.membership.mistake = mistake;
    }

    /// The answer that [`Mutant::StaleRead`] gives to a command that does not change the state.
    pub(crate) fn read(&self, proposal: &Proposal<M::Command>) -> Option<Outcome<M::Output>> {
        let Proposal::Request { command, .. } = proposal else {
            return None;
        };
        let mut machine = self.state.machine.clone();
        let output = machine.apply(command);
        let slot = self.state.applied;
        (machine == self.state.machine).then_some(Outcome::Applied { slot, output })
    }

    /// The slot that [`Mutant::GapsSkipped`] applies next.
    fn next_over_gaps(&self) -> Option<Slot> {
        let mut decided = self.log.iter_from(self.state.applied.next()?);
        decided.next().map(|(slot, _)| slot)
    }

    /// Returns the replicated state.
    pub(crate) fn state(&self) -> &State<M, CLIENTS> {
        &self.state
    }

    /// Returns the last slot that was applied. It never falls while the node runs (rule T4).
    pub(crate) fn applied(&self) -> Slot {
        self.state.applied
    }

    /// Returns the digest of everything up to that slot.
    pub(crate) fn chain(&self) -> u64 {
        self.state.chain
    }

    /// Returns the members of the present epoch, as of that slot.
    pub(crate) fn membership(&self) -> &Membership {
        &self.state.membership
    }

    /// Returns the state machine after that slot.
    pub(crate) fn machine(&self) -> &M {
        &self.state.machine
    }

    /// Returns the number of open sessions. It never falls, as a session is evicted only for another one (rule X2).
    pub(crate) fn sessions(&self) -> usize {
        self.state.sessions.len()
    }

    /// Returns the number of requests that wait for their decision.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns the most requests that were pending at once.
    pub(crate) fn pending_peak(&self) -> usize {
        self.pending.peak()
    }

    /// Rule R1: stores a decision, which never changes. Returns true if it is new.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn decide(
        &mut self,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) -> Result<bool, Conflict<M::Command>> {
        // Only decisions that are applied make room. One that is further ahead is dropped, and requested again later.
        let Some(place) = self.log.admit(slot, self.state.applied) else {
            return Ok(false);
        };
        match place {
            Some(known) if !known.same_as(proposal) => Err(Conflict {
                slot,
                known: *known,
                new: *proposal,
            }),
            Some(_) => Ok(false),
            // Applied, and dropped since.
            None if slot <= self.state.applied => Ok(false),
            None => {
                *place = Some(*proposal);
                Ok(true)
            }
        }
    }

    /// True if the decision of the next slot is known.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn is_ready(&self) -> bool {
        let next = if self.mistake.is(Mutant::GapsSkipped) {
            self.next_over_gaps()
        } else {
            self.state.applied.next()
        };
        next.is_some_and(|next| self.log.get(next).is_some())
    }

    /// Rule R2: applies the next slot if its decision is known.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "the step of the loop that applies, which keeps what comes of it in registers"
        ),
        inline(always)
    )]
    pub(crate) fn apply_next(&mut self) -> Option<Applied<'_, M::Command, M::Output>> {
        let slot = if self.mistake.is(Mutant::GapsSkipped) {
            self.next_over_gaps()?
        } else {
            self.state.applied.next()?
        };
        let proposal = self.log.get(slot)?;
        let (outcome, fingerprint) = self.state.apply(slot, proposal);
        debug_assert!(
            self.state.applied == slot,
            "the applied slot and the state change together (R4)"
        );
        Some(Applied {
            slot,
            proposal,
            chain: self.state.chain,
            outcome,
            fingerprint,
            diverged: self.has_diverged(),
        })
    }

    /// Rule C3: notes that a prefix is decided, as announced by the leader with this ballot.
    ///
    /// The longest prefix is kept; of two that are equally long, the one under the higher ballot. An announcement by an
    /// older leader is as true as any, but this node's votes under that ballot may have been replaced since by those
    /// under the newer one.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn on_decided_under(&mut self, ballot: Ballot, decided: Slot) {
        if decided > self.decided_under.1
            || (decided == self.decided_under.1 && ballot > self.decided_under.0)
        {
            self.decided_under = (ballot, decided);
        }
        self.on_decided(decided);
        debug_assert!(
            self.decided_under.1 <= self.decided,
            "an announced prefix is not known as decided (C3)"
        );
    }

    /// Rule N3: notes the chain digest at the end of a prefix, as announced by a leader. Of two slots that are not
    /// applied yet the lower one is kept, since it is certain to be reached.
    pub(crate) fn on_chain(&mut self, slot: Slot, chain: u64) {
        if slot >= self.state.applied && self.expected_chain.0 <= self.state.applied {
            self.expected_chain = (slot, chain);
        }
    }

    /// True if the history that was applied here differs from the one that a leader has announced.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn has_diverged(&self) -> bool {
        self.expected_chain.0 == self.state.applied && self.expected_chain.1 != self.state.chain
    }

    /// Returns the two histories, if [`Replica::has_diverged`].
    pub(crate) fn divergence(&self) -> Divergence {
        debug_assert!(
            self.has_diverged(),
            "reports equal histories as different ones (N3)"
        );
        let ((slot, told), known) = (self.expected_chain, self.state.chain);
        Divergence { slot, known, told }
    }

    /// Notes that a node has applied a prefix, which is therefore decided.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn on_decided(&mut self, decided: Slot) {
        self.decided = self.decided.max(decided);
    }

    /// Returns the next slot to apply if it is known to be decided, and the ballot under which a vote for it is the
    /// decision.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn next_decided(&self) -> Option<(Slot, Ballot)> {
        let next = self.state.applied.next()?;
        let (ballot, last) = self.decided_under;
        (next <= last).then_some((next, ballot))
    }

    /// Returns the last slot that is known to be decided.
    pub(crate) fn known_decided(&self) -> Slot {
        self.decided.max(self.state.applied)
    }

    /// True if decisions are missing here that another node has.
    pub(crate) fn is_behind(&self) -> bool {
        self.decided > self.state.applied
    }

    /// Returns the answer to a request that was applied before, or can never be.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn look_up(
        &self,
        proposal: &Proposal<M::Command>,
        fingerprint: u32,
    ) -> Option<Outcome<M::Output>> {
        self.state.look_up((proposal, fingerprint))
    }

    /// Rule X1: removes the pending request that has been answered, and returns the node that waits for it. A pending
    /// request with the same key and another command is not affected.
    pub(crate) fn on_answer(&mut self, key: RequestKey, fingerprint: u32) -> Option<NodeId> {
        let index = self.find(key.client, Some((key.number, fingerprint)))?;
        let waiter = self.pending.at(index)?.waiter;
        self.pending.remove(index);
        debug_assert!(
            self.find(key.client, Some((key.number, fingerprint)))
                .is_none(),
            "one request was pending twice (X1)"
        );
        Some(waiter)
    }

    /// True if a request of the client is pending here.
    pub(crate) fn is_asked_by(&self, client: ClientId) -> bool {
        self.find(client, None).is_some()
    }

    /// Returns the index of the pending request of a client with this number and fingerprint; or of any request of that
    /// client.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn find(&self, client: ClientId, request: Option<(RequestNumber, u32)>) -> Option<usize> {
        self.pending.find(client.0, |pending| {
            let is = |request| (pending.key.number, pending.fingerprint) == request;
            pending.key.client == client && request.is_none_or(is)
        })
    }

    /// Handles a request of a client, with its fingerprint, whose answer goes to `waiter`.
    ///
    /// The session is asked first: a request that was applied must not become pending, since nothing would be applied
    /// for it that could answer it. Then the pending ones: the same request again only changes who waits for it.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "called in one place, which keeps what comes of it in registers"
        ),
        inline(always)
    )]
    pub(crate) fn on_request(
        &mut self,
        proposal: &Proposal<M::Command>,
        fingerprint: u32,
        waiter: NodeId,
    ) -> RequestVerdict<M::Output> {
        let Some(key) = proposal.key() else {
            return RequestVerdict::Known;
        };
        if let Some(outcome) = self.look_up(proposal, fingerprint) {
            self.on_answer(key, fingerprint);
            return RequestVerdict::Answered(outcome);
        }
        let known = self.find(key.client, Some((key.number, fingerprint)));
        if let Some(pending) = known.and_then(|index| self.pending.at_mut(index)) {
            pending.waiter = waiter;
            return RequestVerdict::Known;
        }
        let pending = Pending {
            proposal: *proposal,
            key,
            fingerprint,
            waiter,
            fresh: true,
        };
        if self.pending.insert(pending) {
            if self.mistake.is(Mutant::SessionFilledEarly) {
                self.state.sessions.fill_early(key);
            }
            RequestVerdict::Pending
        } else {
            RequestVerdict::Full
        }
    }

    /// Returns the requests to be proposed to the leader: all pending ones, or those that have waited since the
    /// retransmission timer last fired.
    ///
    /// Proposed to a new leader they are fresh, as if they had just arrived; repeated by the timer they are not, and
    /// are repeated again when it fires next.
    pub(crate) fn take_proposals(&mut self, all: bool) -> Vec<Proposal<M::Command>, CLIENTS> {
        let mut proposals = Vec::new();
        for pending in self.pending.iter_mut() {
            if (!core::mem::take(&mut pending.fresh) || all)
                && proposals.push(pending.proposal).is_err()
            {
                break;
            }
            pending.fresh = all;
        }
        debug_assert!(
            !all || proposals.len() == self.pending.len(),
            "a new leader is not told of every pending request (R3)"
        );
        proposals
    }

    /// Removes and returns a pending request that can be answered although its own decision was not applied here: a
    /// snapshot has skipped it (rule R3), or another command was applied under its number or a later one (rule X1).
    #[inline(never)]
    pub(crate) fn next_answered(&mut self) -> Option<(NodeId, Reply<M::Output>)> {
        let state = &self.state;
        let (index, outcome) = self.pending.iter().find_map(|(index, pending)| {
            let request = (&pending.proposal, pending.fingerprint);
            Some((index, state.look_up(request)?))
        })?;
        let pending = self.pending.at(index)?;
        let (waiter, reply) = (
            pending.waiter,
            Reply {
                key: pending.key,
                fingerprint: pending.fingerprint,
                outcome,
            },
        );
        self.pending.remove(index);
        Some((waiter, reply))
    }

    /// Returns the decision for a slot, if it is applied and still kept.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn decision(&self, slot: Slot) -> Option<&Proposal<M::Command>> {
        if slot > self.state.applied {
            None
        } else {
            self.log.get(slot)
        }
    }

    /// Returns the decisions received from other nodes for slots that are not applied yet.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = (Slot, &Proposal<M::Command>)> {
        let next = self.state.applied.next().unwrap_or(self.state.applied);
        self.log.iter_from(next)
    }

    /// True if this node waits for an answer to a pending request that `is_asked` does not know (rule X4).
    pub(crate) fn waits_in_vain(
        &self,
        me: NodeId,
        is_asked: impl Fn(RequestKey, u32) -> bool,
    ) -> bool {
        let waits = |pending: &Pending<M::Command>| pending.waiter == me;
        self.pending
            .iter()
            .any(|(_, pending)| waits(pending) && !is_asked(pending.key, pending.fingerprint))
    }

    /// Checks what holds of the requests as long as other nodes tell the truth about the log.
    pub(crate) fn check_requests(&self) -> Result<(), &'static str> {
        let is_found = |(index, pending): (usize, &Pending<M::Command>)| {
            let request = (pending.key.number, pending.fingerprint);
            self.find(pending.key.client, Some(request)) == Some(index)
        };
        ensure(
            self.pending.iter().all(is_found),
            "a request is pending twice, or is not found (X1)",
        )?;
        // Whoever has lost its session is told when its request gets a slot.
        let is_new = |pending: &Pending<M::Command>| {
            let outcome = self.look_up(&pending.proposal, pending.fingerprint);
            outcome.is_none_or(|outcome| matches!(outcome, Outcome::Evicted))
        };
        ensure(
            self.pending.iter().all(|(_, pending)| is_new(pending)),
            "a request that can be answered is pending (X1)",
        )
    }

    /// Checks the invariants that hold between steps.
    pub(crate) fn check_invariants(&self) -> Result<(), &'static str> {
        ensure(
            self.log.floor() <= self.state.applied,
            "dropped a decision before applying it (R2)",
        )?;
        let next = self.state.applied.next();
        ensure(
            next.is_none_or(|next| self.log.get(next).is_none()),
            "a decision that could be applied was not",
        )?;
        ensure(
            self.decided_under.1 <= self.decided,
            "an announced decision is not known as decided (C3)",
        )?;
        ensure(!self.has_diverged(), "a divergence halts the node (N3)")?;
        ensure(
            self.pending
                .iter()
                .all(|(_, pending)| pending.proposal.key() == Some(pending.key)),
            "a pending request has the key of its proposal",
        )?;
        ensure(
            self.ahead().all(|(slot, _)| slot <= self.decided),
            "has a decision that it does not know to be one (R2)",
        )?;
        self.pending.check_invariants()?;
        self.state.sessions.check_invariants(self.state.applied)?;
        self.check_transfer_invariants()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeSet;
    use crate::machines::{Key, Kv, KvCommand, KvReply};
    use crate::{ClientId, RequestNumber};

    pub(crate) type Small = Replica<Kv<4>, 4, 2>;

    const HERE: NodeId = NodeId(0);

    pub(crate) fn set(client: u64, number: u32, value: i64) -> Proposal<KvCommand> {
        let command = KvCommand::Set(Key::numbered(0), value);
        Proposal::Request {
            client: ClientId(client),
            number: RequestNumber(number),
            command,
        }
    }

    /// Creates a replica that has applied a registration in slot 1.
    pub(crate) fn replica() -> Small {
        let mut replica = Small::new(State::genesis(NodeSet::first(3)));
        decide(&mut replica, 1, &Proposal::Register { nonce: 77 });
        replica
    }

    fn ask(
        replica: &mut Small,
        proposal: &Proposal<KvCommand>,
        waiter: NodeId,
    ) -> RequestVerdict<KvReply> {
        replica.on_request(proposal, proposal.fingerprint(), waiter)
    }

    /// Decides a slot and applies what is ready; returns how many slots were applied.
    pub(crate) fn decide(replica: &mut Small, slot: u64, proposal: &Proposal<KvCommand>) -> usize {
        replica.decide(Slot::new(slot), proposal).unwrap();
        core::iter::from_fn(|| replica.apply_next().map(|_| ())).count()
    }

    #[test]
    fn r1_a_decision_never_changes() {
        let mut replica = replica();
        let conflict = Conflict {
            slot: Slot::FIRST,
            known: Proposal::Register { nonce: 77 },
            new: Proposal::Noop,
        };
        assert_eq!(replica.decide(Slot::FIRST, &Proposal::Noop), Err(conflict));
        assert_eq!(
            replica.decide(Slot::FIRST, &Proposal::Register { nonce: 77 }),
            Ok(false)
        );
    }

    #[test]
    fn r2_a_gap_blocks_the_decisions_after_it() {
        let mut replica = replica();
        assert_eq!(decide(&mut replica, 3, &set(1, 2, 30)), 0);
        assert_eq!(replica.applied(), Slot::new(1));
        assert_eq!(decide(&mut replica, 2, &set(1, 1, 20)), 2);
        assert_eq!(replica.machine().get(Key::numbered(0)), Some(30));
    }

    #[test]
    fn r3_a_request_waits_until_its_own_decision() {
        let mut replica = replica();
        let mine = set(1, 1, 20);
        assert_eq!(ask(&mut replica, &mine, HERE), RequestVerdict::Pending);
        assert_eq!(decide(&mut replica, 2, &Proposal::Noop), 1);
        assert_eq!(
            replica.take_proposals(true).as_slice(),
            &[mine],
            "its slot went to another"
        );
        replica.decide(Slot::new(3), &mine).unwrap();
        let fingerprint = replica.apply_next().unwrap().fingerprint;
        let waiter = replica.on_answer(mine.key().unwrap(), fingerprint);
        assert_eq!(waiter, Some(HERE));
        assert_eq!(replica.pending(), 0);
    }

    #[test]
    fn x1_a_command_is_not_given_the_answer_of_another_one_under_its_number() {
        let mut replica = replica();
        let (mine, other) = (set(1, 7, 99), set(1, 7, 7));
        assert_eq!(ask(&mut replica, &mine, HERE), RequestVerdict::Pending);
        replica.decide(Slot::new(2), &other).unwrap();
        let fingerprint = replica.apply_next().unwrap().fingerprint;
        let key = other.key().unwrap();
        let waiter = replica.on_answer(key, fingerprint);
        assert_eq!(waiter, None, "it is not what waits here");
        assert!(replica.is_asked_by(key.client));
        let (waiter, reply) = replica.next_answered().unwrap();
        assert_eq!((waiter, reply.outcome), (HERE, Outcome::Reused));
        assert_eq!(reply.fingerprint, mine.fingerprint());
        assert_eq!(replica.pending(), 0);
        assert!(replica.next_answered().is_none());
    }

    #[test]
    fn x1_two_commands_under_one_number_wait_apart() {
        let mut replica = replica();
        let (there, mine, other) = (NodeId(1), set(1, 7, 99), set(1, 7, 7));
        assert_eq!(ask(&mut replica, &mine, HERE), RequestVerdict::Pending);
        assert_eq!(ask(&mut replica, &other, there), RequestVerdict::Pending);
        assert_eq!(ask(&mut replica, &mine, HERE), RequestVerdict::Known);
        let key = mine.key().unwrap();
        assert_eq!(replica.on_answer(key, set(1, 7, 5).fingerprint()), None);
        assert_eq!(replica.on_answer(key, other.fingerprint()), Some(there));
        assert_eq!(replica.on_answer(key, mine.fingerprint()), Some(HERE));
    }

    #[test]
    fn x1_a_retry_of_an_answered_request_is_answered_at_once() {
        let mut replica = replica();
        decide(&mut replica, 2, &set(1, 1, 20));
        let answer = Outcome::Applied {
            slot: Slot::new(2),
            output: KvReply::Value(20),
        };
        assert_eq!(
            ask(&mut replica, &set(1, 1, 20), HERE),
            RequestVerdict::Answered(answer)
        );
        assert_eq!(
            ask(&mut replica, &set(1, 1, 21), HERE),
            RequestVerdict::Answered(Outcome::Reused)
        );
    }

    #[test]
    fn a_full_table_of_pending_requests_says_so() {
        let mut replica = replica();
        for client in 0..2 {
            let register = Proposal::Register { nonce: client };
            assert_eq!(ask(&mut replica, &register, HERE), RequestVerdict::Pending);
            assert_eq!(ask(&mut replica, &register, HERE), RequestVerdict::Known);
        }
        assert_eq!(
            ask(&mut replica, &set(1, 1, 20), HERE),
            RequestVerdict::Full
        );
    }

    #[test]
    fn requests_are_handed_over_again_only_after_they_have_waited() {
        let mut replica = replica();
        ask(&mut replica, &set(1, 1, 20), HERE);
        assert!(
            replica.take_proposals(false).is_empty(),
            "handed over only just now"
        );
        assert_eq!(replica.take_proposals(false).len(), 1);
    }

    #[test]
    fn decisions_beyond_the_window_are_left_for_later() {
        let mut replica = replica();
        assert_eq!(replica.decide(Slot::new(6), &Proposal::Noop), Ok(false));
        assert_eq!(replica.decide(Slot::new(5), &Proposal::Noop), Ok(true));
        assert!(
            replica.decision(Slot::new(5)).is_none(),
            "not applied yet, so not to be passed on"
        );
        assert!(
            replica.decision(Slot::FIRST).is_none(),
            "its place was needed, and it is applied"
        );
    }

    #[test]
    fn c3_a_claim_is_only_about_the_ballot_that_made_it() {
        let mut replica = replica();
        let (old, new) = (Ballot::new(1, NodeId(0)), Ballot::new(2, NodeId(1)));
        replica.on_decided_under(old, Slot::new(3));
        replica.on_decided_under(new, Slot::new(2));
        assert_eq!(replica.next_decided(), Some((Slot::new(2), old)));
        replica.on_decided_under(new, Slot::new(3));
        assert_eq!(replica.next_decided(), Some((Slot::new(2), new)));
        replica.on_decided_under(old, Slot::new(3));
        assert_eq!(
            replica.next_decided(),
            Some((Slot::new(2), new)),
            "of two that reach as far, the newer one"
        );
        assert!(replica.is_behind());
    }

    #[test]
    fn r2_a_replica_continues_after_a_restart() {
        let mut replica = replica();
        for slot in 2..=9 {
            decide(
                &mut replica,
                slot,
                &set(1, u32::try_from(slot).unwrap(), 20),
            );
        }
        let mut again = Small::new(replica.state().clone());
        assert_eq!(again.applied(), Slot::new(9));
        assert_eq!(again.chain(), replica.chain());
        assert!(!again.is_behind() && again.pending() == 0);
        assert!(again.decision(Slot::new(9)).is_none(), "it is in the state");
        assert_eq!(again.decide(Slot::new(9), &Proposal::Noop), Ok(false));
        for part in [&mut replica, &mut again] {
            assert_eq!(decide(part, 10, &set(1, 10, 30)), 1);
        }
        assert_eq!(again.state(), replica.state());
    }
}
