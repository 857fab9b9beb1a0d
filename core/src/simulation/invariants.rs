//! Checkers of the protocol's invariants, which observe every step of a simulated cluster.
//!
//! What is checked follows from what nodes write, say, answer and apply, and from what clients ask: never from how a node
//! does it, but for the invariants that a node states itself. What is compared with what is kept for a bounded number of
//! slots; what is older is counted as not checked.

mod ballots;
mod check_counts;
mod duties;
mod epochs;
mod facts;
mod log;
mod memory;
mod requests;
mod sayings;
mod spans;
mod spoken_messages;
#[cfg(test)]
mod tests;

use super::capacities::Room;
use super::event_loop::{Command, Output};
use super::observer::{Answered, Asked, Handled, NodeProgress, Observer, StepBoundary, StepsTaken};
use super::setting::Setting;
use super::violation::{Rule, Violation};
use crate::timer::Timers;
use crate::{
    Change, Envelope, Instant, Marks, Message, Node, NodeId, Outcome, Outgoing, Proposal,
    RequestNumber, Slot, StateMachine, Write,
};
use ballots::Claim;
pub use ballots::Known;
pub use check_counts::Seen;
use duties::Before;
pub use facts::{Facts, Restored};
use heapless::Vec;
use log::Log;
use requests::Requests;

/// Whether a message is a promise, or a page of one.
const fn is_promise<M: StateMachine, const PAGE: usize>(outgoing: &Outgoing<M, PAGE>) -> bool {
    matches!(outgoing.message, Message::Promise { .. })
}

/// Every how many slots the state of a node is compared with that of the log. A comparison costs as much as the state
/// is large. A state that has gone wrong stays so, and is found a few slots later, or at the end by
/// [`Invariants::ended`].
const STATE_EVERY: u64 = 8;

/// How many changes of the members are remembered. A run has a few, each of which may be asked for in several epochs.
const CHANGES: usize = 64;

/// An [`Observer`] that checks the rules of the protocol: of the [`Rule`]s, all but those that a simulation and its storage
/// look at themselves and [`Rule::NotLinearizable`].
///
/// Its parameters are those of the simulation. It keeps, for as many of the latest slots as the [history](Room::History) of
/// the room says, what stands there under which ballot and who has voted for it, and what the log gives; of each node what it
/// has written; and what the clients have asked for. What it finds no place for is counted by [`Seen::unchecked`].
///
/// Fixed as it is, it is a large value, like the simulation: [`Invariants::reset`] makes it ready for the next run in its
/// place.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{Calm, Invariants, KvScript, Rule, Scenario, Simulation, Verdict};
///
/// type Plain = Calm<Kv<16>, KvScript, 3, 256>;
///
/// let mut invariants = Invariants::<Plain, 16, 16, 2>::new();
/// let mut simulation = Simulation::<Plain, 16, 16, 2>::idle();
/// simulation.start(&Scenario::of(6, 3), KvScript::new(11))?;
/// assert_eq!(simulation.run_observed(&mut (), &mut invariants), Verdict::Done);
/// assert_eq!(invariants.ended(simulation.nodes()), Ok(()));
/// assert!(invariants.seen().checked(Rule::TwoChosen) >= 121);
/// assert_eq!(invariants.seen().unchecked_total(), 0);
/// # Ok::<(), synod::simulation::ScenarioError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Invariants<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> {
    facts: Facts<S::Machine, S::Room, W>,
    requests: Requests,
    log: Log<S::Machine, <S::Room as Room>::History, C>,
    /// The changes of the members that were asked for; the latest ones, if there are too many.
    changes: Vec<Change, CHANGES>,
    /// Whether the log could not be followed, so that nothing can be compared with it any more: the history is too
    /// short for a slot that somebody has applied, or nobody can know what led to it. Every check that needs the log is
    /// counted as skipped from then on.
    lost: bool,
    /// The node that is about to handle a message, as it is until then.
    before: Option<Before>,
    /// The timers of a node that is about to take a step, until then.
    timers: Option<Timers>,
    /// The steps so far before which a node was seen, after some of which its timers are looked at.
    spans: u32,
    /// The messages so far, of which some are written as frames.
    messages: u32,
    /// The observed steps so far, after some of which a node is asked for what it believes.
    steps: u32,
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Default
    for Invariants<S, W, C, P>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Invariants<S, W, C, P> {
    /// Nothing seen yet: an observer for one run.
    pub fn new() -> Self {
        Self {
            facts: Facts::new(),
            requests: Requests::new(),
            log: Log::new(),
            changes: Vec::new(),
            lost: false,
            before: None,
            timers: None,
            spans: 0,
            messages: 0,
            steps: 0,
        }
    }

    /// Forgets everything, in place, for the next run.
    pub fn reset(&mut self) {
        self.facts.reset();
        self.requests.clear();
        self.log.clear();
        self.changes.clear();
        self.lost = false;
        (self.before, self.timers) = (None, None);
        (self.messages, self.steps, self.spans) = (0, 0, 0);
    }

    /// How often each rule was checked, and how often it could not be.
    pub const fn seen(&self) -> &Seen {
        self.facts.seen()
    }

    /// Compares the nodes with the log once more when a run is over, and asks each whether its own invariants hold.
    ///
    /// # Errors
    ///
    /// The rule that is broken by what a node has come to.
    pub fn ended<'a>(
        &mut self,
        nodes: impl IntoIterator<Item = &'a Node<S::Machine, W, C, P>>,
    ) -> Result<(), Violation>
    where
        S::Machine: 'a,
    {
        for node in nodes {
            self.state(node)?;
            self.is_whole(node)?;
        }
        Ok(())
    }

    /// A value stands in a slot for the first time: somebody asked for it.
    /// Asked about once for each value of a slot and ballot, as a digest of its command is needed for the answer. A
    /// no-op is what leaders fill holes with, and nobody asks for it (rule L1).
    fn asked_for(&mut self, claim: Claim<'_, Command<S, W, C, P>>) -> Result<(), Violation> {
        let Claim {
            node,
            slot,
            ballot,
            proposal,
        } = claim;
        let is_known = match proposal {
            Proposal::Noop => return Ok(()),
            Proposal::Reconfigure(change) if self.changes.contains(change) => Known::Is(()),
            Proposal::Reconfigure(_) if self.changes.is_full() => Known::Forgotten,
            Proposal::Reconfigure(_) => Known::Not,
            _ => self.requests.knows(proposal),
        };
        self.facts
            .judge(is_known, Violation::Invented { node, slot, ballot })
    }

    /// A write of a node became durable, and its value is one that somebody has asked for.
    fn wrote(&mut self, node: NodeId, write: &Write<Command<S, W, C, P>>) -> Result<(), Violation> {
        match write {
            Write::Accepted(vote) if self.facts.wrote(node, write)? => {
                self.asked_for(Claim::of(node, vote))
            }
            Write::Accepted(_) => Ok(()),
            _ => self.facts.wrote(node, write).map(drop),
        }
    }

    /// What several steps want written, and what they promise: each promise tells what was accepted by then, and not what
    /// is accepted after it.
    fn wrote_and_promised(
        &mut self,
        taken: &StepsTaken<'_, S::Machine, W, C, P>,
    ) -> Result<(), Violation> {
        let id = taken.node.id();
        let end = StepBoundary {
            writes: taken.writes.len(),
            messages: taken.messages.len(),
        };
        // Each step's writes before its promises, as they rest on them. All other messages are looked at after all of
        // the writes, because an accept that waits may have taken in slots of a later step.
        let mut from = StepBoundary::default();
        for to in taken.boundaries.iter().copied().chain([end]) {
            debug_assert!(
                from.writes <= to.writes && from.messages <= to.messages,
                "output was taken out of a batch, and its boundaries were not"
            );
            let writes = taken.writes.get(from.writes..to.writes);
            for write in writes.into_iter().flatten() {
                self.wrote(id, write)?;
            }
            let messages = taken.messages.get(from.messages..to.messages);
            for outgoing in messages.into_iter().flatten() {
                if is_promise(outgoing) {
                    self.said(id, outgoing)?;
                }
            }
            from = to;
        }
        Ok(())
    }

    /// What a voter holds that has started again counts, and is what somebody has asked for.
    fn survived(&mut self, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        for vote in node.votes() {
            if self.facts.survived(node.id(), &vote)? {
                self.asked_for(Claim::of(node.id(), &vote))?;
            }
        }
        Ok(())
    }

    /// Everything that a node has applied in its steps was chosen, and nothing else.
    /// The log is played by whoever comes to a slot first, from the votes and not from what that node says of it.
    fn applied(
        &mut self,
        node: &Node<S::Machine, W, C, P>,
        progress: &NodeProgress,
        before: Slot,
    ) -> Result<(), Violation> {
        let (id, applied) = (node.id(), progress.applied);
        while !self.lost && self.log.applied() < applied {
            let Some(slot) = self.log.applied().next() else {
                break;
            };
            match self.facts.chosen(id, slot, self.facts.epochs.present())? {
                Known::Is(proposal) => self.log.play(slot, &proposal, &mut self.facts.epochs),
                Known::Not | Known::Forgotten => self.lost = true,
            }
        }
        debug_assert!(
            self.lost || self.log.applied() >= applied || self.log.applied().next().is_none(),
            "the log is neither played as far as a node is nor given up"
        );
        match self.log.chain(applied) {
            Known::Is(chain) if !self.lost => {
                self.facts.seen.check(Rule::Disagreement);
                if chain != progress.chain {
                    return Err(self.differs(node, applied, before));
                }
            }
            _ => self.facts.seen.skip(Rule::Disagreement),
        }
        // A jump is that of a snapshot.
        if applied.number().is_multiple_of(STATE_EVERY) || applied.distance(before) > 1 {
            return self.state(node);
        }
        Ok(())
    }

    /// Where a node that has applied something else differs first; or that it has made something else of the same.
    /// Called once at most, as it ends the run: so it may walk through all slots since the last step of the node.
    #[cold]
    fn differs(&self, node: &Node<S::Machine, W, C, P>, applied: Slot, before: Slot) -> Violation {
        let id = node.id();
        let (mut next, mut same) = (before.next(), true);
        while let Some(slot) = next.filter(|slot| *slot <= applied) {
            match (self.log.decision(slot), node.decision(slot)) {
                (Known::Is(chosen), Some(taken)) if chosen == taken => {}
                (Known::Is(_), Some(_)) => return Violation::NotChosen { node: id, slot },
                // One of the two is not kept any more, so that the cause stays open.
                _ => same = false,
            }
            next = slot.next();
        }
        let (node, slot) = (id, applied);
        if same && applied > before {
            Violation::WrongState { node, slot }
        } else {
            Violation::Disagreement { node, slot }
        }
    }

    /// A node is in an epoch: with the members that the log gives, or that others have told of before.
    fn enters(
        &mut self,
        node: &Node<S::Machine, W, C, P>,
        progress: &NodeProgress,
    ) -> Result<(), Violation> {
        // A node that has not joined knows of no epoch.
        if !node.is_active() {
            return Ok(());
        }
        let founders = node.config().members;
        self.facts.enters(node.id(), founders, progress)
    }

    /// A node that is as far as the log has the state that the log gives.
    /// One that is behind is compared when it has caught up, since the log keeps no older states.
    fn state(&mut self, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        if self.lost {
            self.facts.seen.skip(Rule::WrongState);
        } else if node.applied() == self.log.applied() {
            self.facts.seen.check(Rule::WrongState);
            if node.machine() != self.log.machine() || node.chain() != self.log.chain_now() {
                return Err(Violation::WrongState {
                    node: node.id(),
                    slot: node.applied(),
                });
            }
            return self.would_answer(node);
        }
        Ok(())
    }

    /// What a node would answer without applying anything, to what clients rarely ask: the last request of a session once
    /// more, another command under its number, an older request, and a new one (rule X1). The sessions take turns.
    fn would_answer(&mut self, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        let turn = node.applied().number() / STATE_EVERY;
        // A node with a mutant has to be caught by what it says.
        let last = self.log.last_request(turn);
        let Some((proposal, outcome)) = last.filter(|_| !node.mistake().is_any()) else {
            return Ok(());
        };
        let Proposal::Request {
            client,
            number,
            command,
        } = *proposal
        else {
            return Ok(());
        };
        self.facts.seen.check(Rule::WrongReply);
        let numbered = |number| Proposal::Request {
            client,
            number: RequestNumber(number),
            command,
        };
        let known = proposal.fingerprint();
        let is_so = node.look_up(proposal, known) == Some(*outcome)
            && node.look_up(proposal, !known) == Some(Outcome::Reused)
            && node
                .look_up(&numbered(number.0.saturating_add(1)), known)
                .is_none()
            && (number.0 < 2
                || node.look_up(&numbered(number.0 - 1), known) == Some(Outcome::Stale));
        if is_so {
            Ok(())
        } else {
            Err(Violation::WrongReply {
                node: node.id(),
                number,
            })
        }
    }

    /// The marks of a node never go beyond its capacities (rule T5). They are its own word, so this finds mistakes in
    /// the marks as well.
    fn room(&mut self, node: NodeId, marks: &Marks) -> Result<(), Violation> {
        self.facts.seen.check(Rule::Overfull);
        let windows = marks.window.max(marks.votes);
        let tables = marks.waiting.max(marks.pending);
        let tables = tables.max(marks.requesters).max(marks.sessions);
        if windows > W || tables > C {
            return Err(Violation::Overfull { node });
        }
        Ok(())
    }
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize>
    Observer<S::Machine, W, C, P> for Invariants<S, W, C, P>
{
    fn stepped(&mut self, taken: &StepsTaken<'_, S::Machine, W, C, P>) -> Result<(), Violation> {
        let (node, progress) = (taken.node, &taken.progress);
        let id = node.id();
        self.enters(node, progress)?;
        // In this order: messages are about what is applied and written by then, and answers about what the log gives.
        let Some(before) = self.facts.advances(id, progress, node.is_voter())? else {
            return Ok(());
        };
        // Of one step, everything was written before anything was said. Of several, promises need to be told apart.
        let is_one = taken.boundaries.is_empty();
        debug_assert!(
            taken.boundaries.len() <= taken.writes.len() + taken.messages.len(),
            "a step was counted that has written and said nothing"
        );
        if is_one {
            for write in taken.writes {
                self.wrote(id, write)?;
            }
        } else {
            self.wrote_and_promised(taken)?;
        }
        // What an acceptor holds that does not vote was never said to anybody.
        if node.is_voter() {
            self.facts.holds(id, progress.promised)?;
        }
        if progress.applied > before {
            self.applied(node, progress, before)?;
        }
        for outgoing in taken.messages {
            if node.is_voter() {
                self.facts.names(id, &outgoing.message)?;
                self.facts.belongs(id, &outgoing.message)?;
            } else {
                self.facts.speaks(id, &outgoing.message)?;
            }
            if is_one || !is_promise(outgoing) {
                self.said(id, outgoing)?;
            }
            self.framed(node, outgoing)?;
        }
        for reply in taken.replies {
            self.replied(id, reply)?;
        }
        self.steps = self.steps.wrapping_add(1);
        self.beliefs(node)?;
        self.whole(node)?;
        self.room(id, &node.marks())
    }

    fn arrives(&mut self, node: &Node<S::Machine, W, C, P>, envelope: &Envelope<S::Machine, P>) {
        self.note_before(node, envelope);
    }

    fn handled(&mut self, handled: &Handled<'_, S::Machine, W, C, P>) -> Result<(), Violation> {
        self.has_done(handled)?;
        self.has_armed(handled.node, handled.now)
    }

    fn fires(&mut self, node: &Node<S::Machine, W, C, P>) {
        self.note_timers(node);
    }

    fn fired(&mut self, now: Instant, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        self.has_armed(node, now)
    }

    fn left_early(
        &mut self,
        node: &Node<S::Machine, W, C, P>,
        outgoing: &Outgoing<S::Machine, P>,
    ) -> Result<(), Violation> {
        self.said_early(node.id(), &outgoing.message)
    }

    fn recovered(
        &mut self,
        _at: Instant,
        node: &Node<S::Machine, W, C, P>,
    ) -> Result<(), Violation> {
        let Some(memory) = self.facts.memories.get(usize::from(node.id().0)) else {
            self.facts.seen.skip(Rule::Forgotten);
            return Ok(());
        };
        let before = memory.applied;
        let restored = Restored {
            node: node.id(),
            is_voter: node.is_voter(),
            progress: NodeProgress::of(node),
            founders: node.config().members,
        };
        let votes = node.votes().map(|vote| (vote.slot, vote.ballot));
        self.facts.recovered(&restored, votes)?;
        if node.is_voter() {
            self.survived(node)?;
        }
        if node.applied() > before {
            // The members when it was cast, which that very slot may have changed.
            let members = self.facts.epochs.members(self.facts.epochs.present());
            let decides_alone = members.is_some_and(|members| members.len() == 1);
            if decides_alone && self.facts.ballots.chosen(node.applied()) == Known::Not {
                // Whose own vote is a quorum may have applied it in the very step in which it was cast. Of that step a
                // checkpoint may have survived, and nobody knows what led to it.
                self.lost = true;
            }
            // Its last steps were over when power failed, and what they wrote survived. They were never dispatched, so that no
            // observer was told of them.
            self.applied(node, &NodeProgress::of(node), before)?;
        }
        self.state(node)
    }

    fn asked(&mut self, asked: &Asked<'_, Command<S, W, C, P>>) {
        self.requests.ask(asked.client, asked.key, asked.command);
    }

    fn asked_change(&mut self, change: &Change) {
        if !self.changes.contains(change) {
            // One that finds no room is not known, and counts as not checked.
            let _ = self.changes.push(*change);
        }
    }

    fn answered(&mut self, answered: &Answered<'_, Output<S, W, C, P>>) -> Result<(), Violation> {
        match answered.outcome {
            Outcome::Applied { slot, .. } => {
                let (client, key) = (answered.client, answered.key);
                self.requests
                    .answered(client, key, *slot, &mut self.facts.seen)
            }
            // Nothing took effect, so there is no slot that could be too early.
            _ => Ok(()),
        }
    }
}
