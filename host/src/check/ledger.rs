//! Ledger: the record of all requests, writes, messages, applications and answers, against which the invariants are
//! checked.
//!
//! It uses only the public view of a node, and shares no code with the nodes.
//!
//! Its contents are facts about the past that no later event can undo: a durable vote, a promise, a
//! claim, an applied slot, an answer. Each check compares a new fact with these, so that a
//! violation is found in the step that causes it, however late its consequences would show.
//!
//! A node is trusted in nothing. What it says, holds and applies is compared with what it wrote,
//! and what it wrote with what other nodes wrote.

use super::coverage::{Coverage, Situation};
use super::initial_state::ROOM;
use super::world::{Member, PAGE};
use super::{Broken, Invariant, Scope, Tape};
use crate::log::text;
use core::fmt;
use synod::{
    Ballot, ClientId, Entry, Epoch, Event, Message, NodeId, NodeSet, Outbox, Proposal, Record,
    RequestNumber, Slot, StateMachine, Tracer, Write,
};

/// A value of a slot, as clients request it. No-ops, which leaders propose, are values as well.
type Asked = Proposal<u32>;

/// Facts of one step that the ledger needs.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Applied slots in order, each with its value and the digest of the log up to it.
    applied: Vec<(Slot, Asked, u64)>,
    /// Slots that the leader took for chosen, with its ballot and the value.
    chosen: Vec<(Slot, Ballot, Asked)>,
    /// Situations that the trace tells of. The explorer adds those that only it can see.
    pub(super) coverage: Coverage,
}

impl Tracer<Tape, PAGE> for Facts {
    fn record(&mut self, record: &Record<'_, Tape, PAGE>) {
        match record.event {
            Event::Applied {
                slot,
                proposal,
                chain,
                ..
            } => {
                self.coverage.add(Situation::Applied, 1);
                self.applied.push((slot, *proposal, chain));
            }
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => self.chosen.push((slot, ballot, *proposal)),
            Event::Adopted {
                reproposed, noops, ..
            } => {
                self.coverage.add(Situation::Elected, 1);
                self.coverage.add(Situation::Reproposed, reproposed.into());
                self.coverage.add(Situation::Noop, noops.into());
            }
            Event::Preempted { .. } => self.coverage.add(Situation::Preempted, 1),
            Event::SteppedDown { .. } => self.coverage.add(Situation::SteppedDown, 1),
            Event::Installed { .. } => self.coverage.add(Situation::Installed, 1),
            Event::Reconfigured { .. } => self.coverage.add(Situation::Reconfigured, 1),
            Event::Received {
                message: Message::Superseded { .. },
                ..
            } => self.coverage.add(Situation::Superseded, 1),
            Event::Received {
                message: Message::Promise { last: false, .. },
                ..
            } => self.coverage.add(Situation::Paged, 1),
            _ => {}
        }
    }
}

/// Returns a violation of an invariant unless a condition holds.
///
/// It stands before the modules below, because a macro is known only after its definition.
macro_rules! must {
    ($condition:expr, $invariant:ident, $($what:tt)+) => {
        if !$condition {
            return Err(Broken { invariant: Invariant::$invariant, what: format!($($what)+) });
        }
    };
}

mod messages;
#[cfg(test)]
mod tests;

/// Nodes that have accepted a value for a slot under a ballot.
///
/// With the invariant [`Invariant::OneValue`] the slot and the ballot determine the value. A vote
/// for another value is therefore not added, but reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Poll {
    slot: Slot,
    ballot: Ballot,
    proposal: Asked,
    /// Nodes whose vote was durable at some time. A vote is never taken back, even if its node
    /// overwrites it under a higher ballot: that a value was chosen is a fact about the past.
    voters: NodeSet,
}

/// A proposal displayed as in the log of a run.
struct Named<'a>(&'a Asked);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        text::write_proposal(&mut out, self.0);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// A slot that some node has applied. The first node to apply it decides what the log is, and all
/// others are compared with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Decided {
    proposal: Asked,
    /// Digest of the log up to the slot; `None` if the node that applied it lost power in that step.
    chain: Option<u64>,
}

/// An epoch: its members, and the slot that ended the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reign {
    /// The epoch governs the slots above this one.
    after: Slot,
    members: NodeSet,
}

/// A request that took effect: its client, number, command and slot.
///
/// A request may be decided in several slots, and has its effect in the first of them.
struct Effect {
    client: ClientId,
    number: RequestNumber,
    command: u32,
    slot: Slot,
}

/// Everything that must be known about the past. It is a part of the world: states whose ledgers differ are different.
///
/// Every step clones and compares it. It stays small, because the scope bounds slots, ballots and
/// requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    /// Epochs that have begun, in order; a majority of the members of an epoch is a quorum of it. They follow from the log
    /// and the founding members.
    epochs: Vec<Reign>,
    /// End of the log in the initial state, and its digest there. No request is before it.
    base: (Slot, u64),
    /// Votes for every slot and ballot, sorted by both. Slots and ballots are bounded by the scope,
    /// so that a vector is enough.
    polls: Vec<Poll>,
    /// Applied slots after `base`, without gaps.
    log: Vec<Decided>,
    /// Highest ballot that each node has written, as a promise or with a vote, or the lower bound of the epoch that it has
    /// entered; by node.
    promised: Vec<Ballot>,
    /// Claimed ballots, each with the incarnation of its node. Sorted by ballot. A node that claims
    /// one ballot in two incarnations has forgotten the first claim, and could propose two values
    /// under it.
    claims: Vec<(Ballot, u8)>,
    /// Number of restarts of each node, by node.
    incarnations: Vec<u8>,
    /// Requests that clients have made, in the order in which they were made first.
    asked: Vec<Asked>,
    /// Answered requests whose clients wait for the answer before their next request.
    answered: Vec<Asked>,
}

impl Ledger {
    /// Returns the ledger of the initial state.
    pub(super) fn new<'a>(nodes: impl Iterator<Item = &'a Member>) -> Self {
        let nodes: Vec<&Member> = nodes.collect();
        let base = nodes.first();
        let founding = Reign {
            after: Slot::ZERO,
            members: base.map_or(NodeSet::EMPTY, |node| node.config().members),
        };
        let mut ledger = Self {
            epochs: vec![founding],
            base: base.map_or((Slot::ZERO, 0), |node| (node.applied(), node.chain())),
            polls: Vec::new(),
            log: Vec::new(),
            promised: nodes.iter().map(|node| node.promised()).collect(),
            claims: Vec::new(),
            incarnations: nodes.iter().map(|_| 0).collect(),
            asked: Vec::new(),
            answered: Vec::new(),
        };
        for node in nodes {
            for entry in node.votes() {
                ledger.poll(node.id(), &entry);
            }
        }
        ledger
    }

    /// Records a request of a client.
    pub(super) fn ask(&mut self, proposal: Asked) {
        if !self.asked.contains(&proposal) {
            self.asked.push(proposal);
        }
    }

    /// True if a client has the answer that it waits for. Other answers are not recorded: see
    /// `note_answer`.
    pub(super) fn is_answered(&self, proposal: &Asked) -> bool {
        self.answered.contains(proposal)
    }

    /// True if a request was decided and applied by some node.
    pub(super) fn is_decided(&self, proposal: &Asked) -> bool {
        self.log.iter().any(|decided| decided.proposal == *proposal)
    }

    /// Returns the number of slots applied since the initial state.
    pub(super) fn applied(&self) -> u64 {
        u64::try_from(self.log.len()).unwrap_or(u64::MAX)
    }

    /// Returns the last slot for which a value was accepted. The scope bounds it, not the applied
    /// slots, as votes for a slot come first.
    pub(super) fn last_slot(&self) -> Slot {
        let slots = self.polls.iter().map(|poll| poll.slot);
        // Of a ledger without polls it is the end of the initial log.
        slots.max().unwrap_or(Slot::ZERO).max(self.base.0)
    }

    /// Checks a node after a restart: it must have all votes that it had written for slots that it has not applied. If
    /// power failed during a step, it may also have some of the writes of that step.
    pub(super) fn restart(&mut self, after: &Member, torn: bool) -> Result<(), Broken> {
        let node = after.id();
        // From here on every claim of the node must be a new one.
        if let Some(count) = self.incarnations.get_mut(usize::from(node.0)) {
            *count = count.saturating_add(1);
        }
        // What became durable before the cut is not known to the explorer, and is read off the
        // node. Lower ballots come first, because a vote under a lower one would violate the
        // promise of a higher one.
        if torn {
            let mut votes: Vec<_> = after.votes().collect();
            votes.retain(|vote| !self.has_voted(node, vote));
            votes.sort_by_key(|vote| vote.ballot);
            for vote in votes {
                self.see_accepted(node, &vote)?;
            }
            self.see_applied_unseen(after.applied());
            self.see_entered(after);
            let promised = self.promised(node).map(|promised| *promised);
            if promised.is_some_and(|promised| promised < after.promised()) {
                self.see_promised(node, after.promised())?;
            }
        }
        // Otherwise all members could forget the change and keep what they have promised after it.
        let written = self
            .promised(node)
            .map_or(Epoch::FIRST, |promised| promised.epoch());
        must!(
            after.epoch() >= written,
            Membership,
            "{node} comes back in epoch {}, and had entered epoch {written}",
            after.epoch()
        );
        let from = after.low_water().next().unwrap_or(Slot::FIRST);
        let held: Vec<_> = after.votes().collect();
        // All votes that it holds, as if it reported them in one page: the same comparison as that
        // of a promise.
        self.see_page(after, from, true, &held)?;
        self.see_state(after)
    }

    /// Notes the epoch that a node has entered. It promises nothing in earlier ones any more.
    fn see_entered(&mut self, node: &Member) {
        let floor = Ballot::of(node.epoch(), 0, NodeId(0));
        if let Some(promised) = self.promised(node.id()) {
            *promised = floor.max(*promised);
        }
    }

    /// True if a vote was durable at some time.
    fn has_voted(&self, node: NodeId, vote: &Entry<u32>) -> bool {
        let mut polls = self.polls.iter();
        polls.any(|poll| {
            (poll.slot, poll.ballot, poll.proposal) == (vote.slot, vote.ballot, vote.proposal)
                && poll.voters.contains(node)
        })
    }

    /// Checks a step of a node.
    ///
    /// The order matters. Writes come first, because what a leader takes for chosen may rest on its
    /// own vote of the same step; messages and answers come last, because they report what was
    /// written and applied.
    pub(super) fn see(
        &mut self,
        before: &Member,
        after: &Member,
        outbox: &Outbox<Tape, PAGE, ROOM>,
        facts: &Facts,
        scope: &Scope,
    ) -> Result<(), Broken> {
        let node = after.id();
        for write in &outbox.writes {
            match write {
                Write::Promised(ballot) => {
                    Self::see_epoch(after, *ballot)?;
                    self.see_promised(node, *ballot)?;
                }
                Write::Accepted(entry) => {
                    Self::see_epoch(after, entry.ballot)?;
                    self.see_accepted(node, entry)?;
                }
                Write::Decided { .. } | Write::Installed(_) => {}
            }
        }
        for (slot, ballot, proposal) in &facts.chosen {
            let poll = self
                .polls
                .iter()
                .find(|poll| (poll.slot, poll.ballot) == (*slot, *ballot));
            let chosen =
                poll.is_some_and(|poll| poll.proposal == *proposal && self.is_quorum(poll));
            must!(
                chosen,
                Decision,
                "{node} announces slot {slot} as chosen under {ballot}, but no quorum has accepted it"
            );
        }
        for (slot, proposal, chain) in &facts.applied {
            self.see_applied(node, *slot, proposal, *chain)?;
        }
        self.see_entered(after);
        // After the applied slots, as the state of the machine is compared with the log up to them.
        self.see_node(before, after)?;
        for outgoing in &outbox.messages {
            Self::see_not_ended(before, &outgoing.message)?;
            self.see_message(after, &outgoing.message)?;
        }
        for reply in &outbox.replies {
            self.see_reply(node, reply)?;
            self.note_answer(reply, scope);
        }
        Ok(())
    }

    /// True if a majority of the members of the ballot's epoch voted for the value, and it is therefore chosen in that
    /// epoch. A node that is no member writes votes as well, which count for nothing.
    fn is_quorum(&self, poll: &Poll) -> bool {
        let members = self.members_of(poll.ballot.epoch());
        2 * poll.voters.intersection(members).len() > members.len()
    }

    /// True if a value was chosen in the epoch that has its slot. What is chosen in an earlier epoch is void, as the slot is
    /// above the change that has ended that epoch.
    fn is_decided_by(&self, poll: &Poll) -> bool {
        self.is_quorum(poll) && self.epoch_of(poll.slot) == poll.ballot.epoch()
    }

    /// Returns the members of an epoch; none if it has not begun.
    fn members_of(&self, epoch: Epoch) -> NodeSet {
        let reign = self.epochs.get(usize::from(epoch.0));
        reign.map_or(NodeSet::EMPTY, |reign| reign.members)
    }

    /// Returns the epoch whose members decide a slot, as far as the log is known.
    fn epoch_of(&self, slot: Slot) -> Epoch {
        self.epoch_where(|after| after < slot)
    }

    /// Returns the epoch of a node that has applied the log up to a slot.
    fn epoch_after(&self, applied: Slot) -> Epoch {
        self.epoch_where(|after| after <= applied)
    }

    /// Returns the last epoch that follows a slot for which the condition holds.
    fn epoch_where(&self, holds: impl Fn(Slot) -> bool) -> Epoch {
        let begun = self.epochs.iter().filter(|reign| holds(reign.after));
        Epoch(u16::try_from(begun.count().saturating_sub(1)).unwrap_or(u16::MAX))
    }

    /// True if a vote is void in an epoch: an earlier epoch than that of its ballot has ended below its slot, or it is of an
    /// earlier epoch that has.
    fn is_void_in(&self, epoch: Epoch, poll: &Poll) -> bool {
        let next = poll.ballot.epoch().next();
        let ended = next.filter(|next| *next <= epoch);
        let reign = ended.and_then(|next| self.epochs.get(usize::from(next.0)));
        reign.is_some_and(|reign| poll.slot > reign.after)
    }

    /// True if a proposal, decided in an epoch, ends it.
    fn ends(&self, epoch: Epoch, proposal: &Asked) -> bool {
        let Proposal::Reconfigure(change) = proposal else {
            return false;
        };
        let ever = self
            .epochs
            .iter()
            .take(usize::from(epoch.0).saturating_add(1))
            .fold(NodeSet::EMPTY, |ever, reign| ever.union(reign.members));
        let removed = ever.minus(self.members_of(epoch));
        change.epoch == epoch
            && !change.members.is_empty()
            && removed.intersection(change.members).is_empty()
    }

    /// Appends a slot to the log. The epoch ends if it is a change that takes effect.
    fn decide(&mut self, slot: Slot, proposal: Asked, chain: Option<u64>) {
        let epoch = self.epoch_of(slot);
        if let Proposal::Reconfigure(change) = proposal
            && self.ends(epoch, &proposal)
        {
            self.epochs.push(Reign {
                after: slot,
                members: change.members,
            });
        }
        self.log.push(Decided { proposal, chain });
    }

    /// Checks the epoch of a written ballot: a node promises and accepts nothing in an epoch that it has not entered.
    fn see_epoch(node: &Member, ballot: Ballot) -> Result<(), Broken> {
        must!(
            ballot.epoch() <= node.epoch(),
            Membership,
            "{} writes {ballot}, and is in epoch {}",
            node.id(),
            node.epoch()
        );
        Ok(())
    }

    /// Returns the highest ballot that a node has written; `None` if there is no such node.
    fn promised(&mut self, node: NodeId) -> Option<&mut Ballot> {
        self.promised.get_mut(usize::from(node.0))
    }

    /// Checks a written promise. An equal one would be a write without need, which the acceptor is
    /// not to make.
    fn see_promised(&mut self, node: NodeId, ballot: Ballot) -> Result<(), Broken> {
        let Some(promised) = self.promised(node) else {
            return Ok(());
        };
        must!(
            *promised < ballot,
            Promise,
            "{node} promises {ballot} after {promised}"
        );
        *promised = ballot;
        Ok(())
    }

    /// Checks a written vote: against the promise of its node, the requests of clients, and all
    /// other votes for the slot.
    fn see_accepted(&mut self, node: NodeId, entry: &Entry<u32>) -> Result<(), Broken> {
        let Entry {
            slot,
            ballot,
            proposal,
        } = *entry;
        if let Some(promised) = self.promised(node) {
            must!(
                *promised <= ballot,
                Promise,
                "{node} accepts under {ballot} after it has promised {promised}"
            );
            *promised = ballot;
        }
        let asked = proposal == Proposal::Noop || self.asked.contains(&proposal);
        must!(
            asked,
            Validity,
            "{node} accepts {}, which no client requested",
            Named(&proposal)
        );
        let known = self.poll(node, entry);
        must!(
            known == proposal,
            OneValue,
            "slot {slot} under {ballot}: {node} accepts {}, and another has accepted {}",
            Named(&proposal),
            Named(&known)
        );
        self.see_place(node, entry)?;
        // Every pair of ballots is compared anew, as this vote may complete a quorum under the
        // lower ballot after others have voted under the higher one.
        for chosen in self
            .polls
            .iter()
            .filter(|poll| poll.slot == slot && self.is_quorum(poll))
        {
            for later in self
                .polls
                .iter()
                .filter(|poll| poll.slot == slot && poll.ballot > chosen.ballot)
                .filter(|poll| poll.ballot.epoch() == chosen.ballot.epoch())
            {
                let same = later.proposal == chosen.proposal;
                let (was, is) = (Named(&chosen.proposal), Named(&later.proposal));
                must!(
                    same || !self.is_quorum(later),
                    Agreement,
                    "slot {slot}: {was} is chosen under {}, and {is} under {}",
                    chosen.ballot,
                    later.ballot
                );
                must!(
                    same,
                    Succession,
                    "slot {slot}: {was} is chosen under {}, and {is} is accepted under {}",
                    chosen.ballot,
                    later.ballot
                );
            }
        }
        Ok(())
    }

    /// Checks the slot of a vote against the epochs: the slot is above the end of the epoch before that of the ballot, and
    /// the leader has given no slot to anything above a change that ends the epoch.
    fn see_place(&self, node: NodeId, entry: &Entry<u32>) -> Result<(), Broken> {
        let Entry { slot, ballot, .. } = *entry;
        let epoch = ballot.epoch();
        let reign = self.epochs.get(usize::from(epoch.0));
        must!(
            reign.is_none_or(|reign| reign.after < slot),
            Membership,
            "{node} accepts slot {slot} under {ballot}, and an earlier epoch has decided it"
        );
        let mut polls = self.polls.iter().filter(|poll| poll.ballot == ballot);
        let end = polls.find(|poll| self.ends(epoch, &poll.proposal));
        let last = self.polls.iter().filter(|poll| poll.ballot == ballot);
        let last = last.map(|poll| poll.slot).max();
        if let (Some(end), Some(last)) = (end.map(|poll| poll.slot), last) {
            must!(
                last <= end,
                Membership,
                "the leader of {ballot} proposes a change in slot {end}, which ends the epoch, and another value in slot {last}"
            );
        }
        Ok(())
    }

    /// Records a vote, and returns the value of the first vote for this slot under this ballot.
    fn poll(&mut self, node: NodeId, entry: &Entry<u32>) -> Asked {
        let Entry {
            slot,
            ballot,
            proposal,
        } = *entry;
        debug_assert!(
            self.polls
                .is_sorted_by(|one, next| (one.slot, one.ballot) < (next.slot, next.ballot)),
            "one poll for each slot and ballot, in order"
        );
        let key = |poll: &Poll| (poll.slot, poll.ballot);
        // The first poll of a slot and ballot fixes the value, and later ones are compared with it.
        let index = self
            .polls
            .partition_point(|poll| key(poll) < (slot, ballot));
        match self.polls.get_mut(index) {
            Some(poll) if key(poll) == (slot, ballot) => {
                // A vote for another value is not counted, so that the violation does not give rise
                // to others.
                if poll.proposal == proposal {
                    poll.voters.insert(node);
                }
                poll.proposal
            }
            _ => {
                let voters = NodeSet::only(node);
                self.polls.insert(
                    index,
                    Poll {
                        slot,
                        ballot,
                        proposal,
                        voters,
                    },
                );
                proposal
            }
        }
    }

    /// Checks an applied slot. Slots are applied in order, and a value only after a quorum has
    /// voted for it under one ballot.
    fn see_applied(
        &mut self,
        node: NodeId,
        slot: Slot,
        proposal: &Asked,
        chain: u64,
    ) -> Result<(), Broken> {
        let mut polls = self.polls.iter();
        let chosen = polls.any(|poll| {
            poll.slot == slot && poll.proposal == *proposal && self.is_decided_by(poll)
        });
        must!(
            chosen,
            Decision,
            "{node} applies {} in slot {slot}, and no quorum has accepted it",
            Named(proposal)
        );
        let next = self.end();
        must!(
            slot <= next,
            Decision,
            "{node} applies slot {slot} before slot {next}"
        );
        // A slot below was applied by another node before, and is compared only.
        if slot == next {
            self.decide(slot, *proposal, Some(chain));
        }
        if let Some(decided) = self.decided_mut(slot) {
            let known = decided.proposal;
            // Filled in by the first node whose trace survives, if the one that applied the slot
            // first lost its power.
            decided.chain.get_or_insert(chain);
            must!(
                known == *proposal,
                Decision,
                "{node} applies {} in slot {slot}, where another has applied {}",
                Named(proposal),
                Named(&known)
            );
        }
        Ok(())
    }

    /// Returns the first slot that no node has applied.
    fn end(&self) -> Slot {
        let applied = self.applied();
        Slot::new(
            self.base
                .0
                .number()
                .saturating_add(applied)
                .saturating_add(1),
        )
    }

    /// Returns the index of a slot in the log.
    fn place(&self, slot: Slot) -> Option<usize> {
        let above = slot.number().checked_sub(self.base.0.number())?;
        usize::try_from(above.checked_sub(1)?).ok()
    }

    /// Returns an applied slot; `None` for those of the initial state, and for those that no node
    /// has applied.
    fn decided_mut(&mut self, slot: Slot) -> Option<&mut Decided> {
        let place = self.place(slot)?;
        self.log.get_mut(place)
    }

    /// Records the slots that a node applied in a step in which its power failed: those that a
    /// quorum had accepted by then. The trace of that step is lost with the node, but its effects
    /// are durable.
    fn see_applied_unseen(&mut self, applied: Slot) {
        // A node may have applied several slots in the step, up to a gap.
        while self.end() <= applied {
            let next = self.end();
            let mut polls = self.polls.iter();
            let chosen = polls.find(|poll| poll.slot == next && self.is_decided_by(poll));
            let Some(proposal) = chosen.map(|poll| poll.proposal) else {
                return;
            };
            self.decide(next, proposal, None);
        }
    }

    /// Checks the public view of a node after a step. A restart may undo applied slots, so that
    /// only two states without one between them are compared with each other.
    fn see_node(&mut self, before: &Member, after: &Member) -> Result<(), Broken> {
        let (node, was, now) = (after.id(), before.applied(), after.applied());
        must!(
            was <= now,
            Decision,
            "{node} had applied slot {was}, and now slot {now}"
        );
        self.see_state(after)
    }

    /// Checks the public view of a node. It holds what it has written, no more and no less, and its
    /// machine is in the state that the log gives.
    fn see_state(&mut self, after: &Member) -> Result<(), Broken> {
        let node = after.id();
        if let Some(halt) = after.halted() {
            must!(false, Halt, "{node} halts: {halt:?}");
        }
        let now = after.promised();
        // Two invariants, since one says that a promise was lost, and the other one that it was
        // never written.
        let was = self.promised(node).map_or(now, |promised| *promised);
        must!(
            was <= now,
            Promise,
            "{node} had promised {was}, and now {now}"
        );
        must!(
            was == now,
            Memory,
            "{node} holds the promise of {now}, and has written that of {was}"
        );
        for vote in after.votes() {
            must!(
                self.has_voted(node, &vote),
                Memory,
                "{node} holds a vote for slot {} under {} that it has not written",
                vote.slot,
                vote.ballot
            );
        }
        let now = after.applied();
        let epoch = self.epoch_after(now);
        must!(
            (after.epoch(), after.members()) == (epoch, self.members_of(epoch)),
            State,
            "{node} has applied slot {now}, and is in epoch {} of {}, not in epoch {epoch} of {}",
            after.epoch(),
            after.members(),
            self.members_of(epoch)
        );
        let low_water = after.low_water();
        must!(
            low_water <= now,
            Memory,
            "{node} has forgotten slot {low_water}, and applied slot {now}"
        );
        // A node that lost power in a step may be the first at this slot whose digest is seen.
        let same = if now == self.base.0 {
            self.base.1 == after.chain()
        } else {
            let decided = self.decided_mut(now);
            decided
                .is_some_and(|decided| *decided.chain.get_or_insert(after.chain()) == after.chain())
        };
        must!(
            same,
            State,
            "{node} has applied slot {now}, and something else than others"
        );
        // Clients made no request before the initial state, so that the machine starts empty.
        let mut tape = Tape::default();
        for effect in self.effects().filter(|effect| effect.slot <= now) {
            tape.apply(&effect.command);
        }
        must!(
            *after.machine() == tape,
            Once,
            "{node} has at slot {now} {:?}, and should have {tape:?}",
            after.machine()
        );
        Ok(())
    }

    /// Returns the requests that take effect: the first of each client and number. A number that is
    /// not above the last one of its client is a repetition, and has no effect.
    fn effects(&self) -> impl Iterator<Item = Effect> {
        let slots = (1..).map(|above| Slot::new(self.base.0.number().saturating_add(above)));
        let mut done: Vec<(ClientId, RequestNumber)> = Vec::new();
        slots.zip(&self.log).filter_map(move |(slot, decided)| {
            let Proposal::Request {
                client,
                number,
                command,
            } = decided.proposal
            else {
                return None;
            };
            if done
                .iter()
                .any(|(other, last)| *other == client && *last >= number)
            {
                return None;
            }
            done.push((client, number));
            Some(Effect {
                client,
                number,
                command,
                slot,
            })
        })
    }
}
