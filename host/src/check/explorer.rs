//! Explorer: the actions that are possible in a small cluster, and their effects.
//!
//! An explorer is a function: from a state and an action it computes the next state, and changes
//! neither. So a search can expand states in any order and on any thread, and a schedule can be
//! performed again to print it or to shrink it. What it remembers between steps, its interners and
//! its coverage, saves memory and serves reports.
//!
//! A step has the order of a driver: the node handles its input, its writes become durable, its
//! messages are sent, its clients are answered. The ledger checks each of these as it happens.

mod actions;
mod clients;
mod crashes;

use super::coverage::{Coverage, SharedCoverage, Situation};
use super::initial_state::{self, ROOM, Restarted, StartError, sent};
use super::invariant::{Broken, Invariant};
use super::ledger::Facts;
use super::world::{Action, Interners, Member, PAGE, World};
use super::{Network, Scope, Tape};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use synod::storage::Journal;
use synod::{Envelope, Epoch, Instant, Message, NodeId, Outbox, Outcome, Outgoing, Tracer, Write};

/// The initial state of a scope, and the actions within its bounds.
///
/// Several threads may share one. It is never changed by a step, except for the counts of its
/// coverage and the contents of its interners, neither of which influences a later step.
///
/// ```
/// use synod_host::check::{Action, Explorer, Scope};
///
/// let explorer = Explorer::new(Scope::small())?;
/// let mut actions = Vec::new();
/// explorer.actions(explorer.start(), &mut actions);
/// let fires = |action: &&Action| matches!(action, Action::Fire { .. });
/// let election = actions.iter().find(fires).expect("a timer of the only claimant is armed");
/// let next = explorer.step(explorer.start(), election);
/// assert!(next.broken().is_none() && next != *explorer.start());
/// # Ok::<(), synod_host::check::StartError>(())
/// ```
#[derive(Debug)]
pub struct Explorer {
    scope: Scope,
    /// Mistake planted in every node, if any.
    #[cfg(feature = "mutants")]
    mutant: Option<synod::Mutant>,
    /// State in which every search and walk begins. Its nodes have already restarted once, so that
    /// it may violate an invariant itself.
    start: World,
    /// Highest round that may be claimed in the first epoch. Rounds grow without end if nodes compete, so that only
    /// this bound makes the number of states finite.
    round_max: u64,
    /// Last slot that may be used. Retries and no-ops may take more slots than there are requests.
    slot_max: u64,
    /// Parts that states have in common. A search of millions of states would not fit in memory
    /// without them.
    interners: Interners,
    coverage: SharedCoverage,
}

/// Tracers of a step. That of the caller is behind a pointer, so that nodes are compiled once for all callers.
type Traced<'a> = (Facts, &'a mut dyn Tracer<Tape, PAGE>);

/// Numbers of storage operations after which power may fail during a step, if every state is visited. A step writes an
/// opening record after a restart, a record or two, and a seal.
const TORN_AFTER: core::ops::RangeInclusive<u8> = 1..=3;

/// Liveness is checked in one of this many states. A check takes many more steps than an action,
/// and the choice by fingerprint depends on the state alone, so that repeating a search checks the
/// same ones.
const LIVENESS_CHECK_EVERY: u64 = 128;

impl Explorer {
    /// Returns the explorer of a scope.
    ///
    /// # Errors
    ///
    /// [`StartError`] if there is no initial state.
    pub fn new(scope: Scope) -> Result<Self, StartError> {
        let nodes = initial_state::start(&scope)?;
        Ok(Self::from(scope, nodes))
    }

    /// Returns the explorer of a scope with a mutant in every node, from the initial state of correct nodes.
    ///
    /// # Errors
    ///
    /// [`StartError`] if there is no initial state.
    #[cfg(feature = "mutants")]
    pub fn making(mutant: Option<synod::Mutant>, scope: Scope) -> Result<Self, StartError> {
        let mut nodes = initial_state::start(&scope)?;
        for restarted in &mut nodes {
            restarted.after.node.mutate(mutant);
        }
        let mut explorer = Self::from(scope, nodes);
        explorer.mutant = mutant;
        Ok(explorer)
    }

    /// Returns the explorer of restarted nodes. The bounds count from what they know at the start:
    /// rounds from the highest promise, and slots from the last one with a vote.
    fn from(scope: Scope, nodes: Vec<Restarted>) -> Self {
        let rounds = nodes
            .iter()
            .map(|restarted| restarted.before.promised().round());
        // The promises before the restart: a node that has lost its promise must not widen the
        // bound.
        let round_max = rounds.max().unwrap_or(0) + u64::from(scope.rounds);
        let interners = Interners::default();
        let mut start = World::new(nodes, &interners);
        // Without losses of power no journal is ever read, and states that differ only in journals
        // are the same.
        if scope.crashes == 0 {
            start.drop_storage(&interners);
        }
        let slot_max = start.ledger.value.last_slot().number() + u64::from(scope.slots);
        Self {
            scope,
            #[cfg(feature = "mutants")]
            mutant: None,
            start,
            round_max,
            slot_max,
            interners,
            coverage: SharedCoverage::default(),
        }
    }

    /// Adds messages that no node has sent, as a broken node would.
    ///
    /// Tests use it to show that the invariants notice what a correct node never says.
    #[must_use]
    pub fn with_in_flight(
        mut self,
        forged: impl IntoIterator<Item = Envelope<Tape, PAGE>>,
    ) -> Self {
        for envelope in forged {
            self.start.post(envelope, &self.interners);
        }
        self
    }

    /// Returns the bounds.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the initial state.
    pub fn start(&self) -> &World {
        &self.start
    }

    /// Returns the coverage so far.
    pub fn coverage(&self) -> Coverage {
        self.coverage.coverage()
    }

    /// Returns the state after an action, with the result of the checks.
    #[must_use]
    pub fn step(&self, world: &World, action: &Action) -> World {
        self.traced(world, action, &mut ())
    }

    /// Like [`Explorer::step`], but also checks liveness in some states, selected by their fingerprints.
    pub(super) fn step_and_check_liveness(&self, world: &World, action: &Action) -> World {
        let mut next = self.step(world, action);
        if next.is_within() && next.fingerprint().is_multiple_of(LIVENESS_CHECK_EVERY) {
            self.record_liveness(&mut next);
        }
        next
    }

    /// Checks liveness in a state, and records a violation in it.
    pub(super) fn record_liveness(&self, world: &mut World) {
        if let Some(broken) = self.check_liveness(world) {
            world.broken = Some(Arc::new(broken));
        }
    }

    /// Like [`Explorer::step`], with a tracer.
    pub(super) fn traced(
        &self,
        world: &World,
        action: &Action,
        tracer: &mut dyn Tracer<Tape, PAGE>,
    ) -> World {
        let mut next = world.clone();
        self.take(&mut next, action, None, tracer);
        next
    }

    /// Performs an action. With `torn`, power fails after that many storage operations. The loss of
    /// power belongs to the step, not to the action, so that [`Action::Torn`] needs no second
    /// description of each.
    fn take(
        &self,
        next: &mut World,
        action: &Action,
        torn: Option<u8>,
        tracer: &mut dyn Tracer<Tape, PAGE>,
    ) {
        match action {
            Action::Deliver(message) => {
                // Before the step, so that a node may send the same message again in it.
                if self.scope.network == Network::Once {
                    next.forget(message);
                }
                let envelope = message.envelope();
                self.act(next, (envelope.to, torn), tracer, |node, outbox, facts| {
                    node.handle_message(Instant::ZERO, envelope, outbox, facts);
                });
            }
            Action::Fire {
                node,
                timer,
                chance,
            } => self.act(next, (*node, torn), tracer, |node, outbox, facts| {
                node.fire(*timer, *chance, outbox, facts);
            }),
            Action::Ask { node, request } => self.ask(next, (*node, torn), *request, tracer),
            Action::Read { node } => self.read(next, (*node, torn), tracer),
            Action::Change { node } => self.change(next, (*node, torn), tracer),
            Action::Crash { node } => self.crash(next, *node),
            Action::Torn { kept, step } => self.take(next, step, Some(*kept), tracer),
        }
    }

    /// Performs a step of a node, makes its writes durable, sends its messages, and checks the invariants.
    ///
    /// The order is that of a driver: writes become durable before anything is sent. With `torn`,
    /// power fails among the writes, so that nothing is sent at all and the node restarts from what
    /// its storage holds.
    pub(super) fn act(
        &self,
        world: &mut World,
        (at, torn): (NodeId, Option<u8>),
        tracer: &mut dyn Tracer<Tape, PAGE>,
        step: impl FnOnce(&mut Member, &mut Outbox<Tape, PAGE, ROOM>, &mut Traced<'_>),
    ) {
        let Some(before) = world.stored(at) else {
            return;
        };
        // The ledger compares the node after the step with this copy.
        let before = before.node.clone();
        let Some(mut stored) = world.stored(at).cloned() else {
            return;
        };
        // Set before the step, and reached in `keep`: the step of the node itself does not touch
        // storage.
        if let (Some(kept), Some(journal)) = (torn, &mut stored.journal) {
            journal.storage_mut().cut_after(kept.into());
        }
        let mut outbox = Outbox::new();
        let mut facts: Traced<'_> = (Facts::default(), tracer);
        // After a failed assertion the node is inconsistent and not used any more.
        let taken = catch_unwind(AssertUnwindSafe(|| {
            step(&mut stored.node, &mut outbox, &mut facts);
            // Writes are inside the same guard as the step, because a journal has assertions, too.
            let checkpoints = stored.journal.as_ref().map(Journal::checkpoints);
            let kept = initial_state::keep(&mut stored, &outbox);
            (
                kept,
                checkpoints < stored.journal.as_ref().map(Journal::checkpoints),
            )
        }));
        let Ok((kept, checkpoint)) = taken else {
            let what = format!("an assertion in {at} does not hold");
            return Self::breaks(world, Invariant::Assertion, what);
        };
        // What waited for the sync is lost with the power, so that only the storage is left of the step, and what need not
        // wait.
        if torn.is_some() {
            if let Err(broken) = self.release_early(world, &stored.node, &outbox) {
                world.broken = Some(Arc::new(broken));
                return;
            }
            let storage = stored.journal.map(Journal::into_storage);
            return self.come_back(world, at, storage, Situation::Torn);
        }
        if let Err(what) = kept {
            return Self::breaks(world, Invariant::Storage, what);
        }
        // A check of liveness comes to nearly every situation, which says nothing about the
        // exploration.
        if !world.healing {
            self.cover(&facts.0, &outbox, checkpoint);
        }
        // Judged before the messages are in flight: a message that contradicts the writes of its
        // step is blamed on this step, and not on the one that receives it.
        self.judge(world, &before, &stored.node, &outbox, &facts.0);
        self.release(world, &stored.node, &outbox);
        world.put(stored, &self.interners);
    }

    /// Counts the situations of a step: those of its trace, and those that show in its output.
    fn cover(&self, facts: &Facts, outbox: &Outbox<Tape, PAGE, ROOM>, checkpoint: bool) {
        let mut coverage = facts.coverage;
        let learnt = |write: &&Write<u32>| matches!(write, Write::Decided { .. });
        let learnt = outbox.writes.iter().filter(learnt).count();
        // A node writes a decision only if it has learnt it otherwise than by its own vote.
        coverage.add(Situation::Learnt, u64::try_from(learnt).unwrap_or(u64::MAX));
        for reply in &outbox.replies {
            match reply.outcome {
                Outcome::Readable { .. } => coverage.add(Situation::Read, 1),
                Outcome::NotNow => {}
                _ => coverage.add(Situation::Answered, 1),
            }
        }
        coverage.add(Situation::Checkpoint, checkpoint.into());
        self.coverage.add(&coverage);
    }

    /// Checks the invariants after a step of a node, and records a violation in the state.
    fn judge(
        &self,
        world: &mut World,
        before: &Member,
        after: &Member,
        outbox: &Outbox<Tape, PAGE, ROOM>,
        facts: &Facts,
    ) {
        let mut ledger = world.ledger.value.clone();
        let judged = ledger.see(before, after, outbox, facts, &self.scope);
        world.broken = judged.err().map(Arc::new);
        // The flag is only ever set: a state outside is dropped, and nothing follows from it.
        world.outside |= ledger.last_slot().number() > self.slot_max;
        world.remember(ledger, &self.interners);
    }

    /// Puts the messages of a node in flight.
    fn release(&self, world: &mut World, node: &Member, outbox: &Outbox<Tape, PAGE, ROOM>) {
        for envelope in sent(node, outbox) {
            self.send(world, envelope);
        }
    }

    /// Puts those messages of a node in flight that leave before the writes of its step are durable, and checks them.
    fn release_early(
        &self,
        world: &mut World,
        node: &Member,
        outbox: &Outbox<Tape, PAGE, ROOM>,
    ) -> Result<(), Broken> {
        let mut ledger = world.ledger.value.clone();
        let leaves = |outgoing: &&Outgoing<Tape, PAGE>| node.leaves_early(outbox, outgoing);
        for outgoing in outbox.messages.iter().filter(leaves) {
            ledger.see_message(node, &outgoing.message)?;
            for to in outgoing.to.iter() {
                self.send(world, node.envelope(to, outgoing));
            }
        }
        world.remember(ledger, &self.interners);
        Ok(())
    }

    /// Puts a message in flight, unless all of its kind are lost in this scope: these would keep a cluster from coming to
    /// rest.
    fn send(&self, world: &mut World, envelope: Envelope<Tape, PAGE>) {
        // It marks the state even if the message is lost by the scope: a claim beyond the bounds
        // leads to nothing that the scope has.
        world.outside |= self.is_outside(&envelope);
        if world.healing || !self.scope.lost.contains(&envelope.message.kind()) {
            world.post(envelope, &self.interners);
        }
    }

    /// Records a violation as the end of this state: no action follows.
    fn breaks(world: &mut World, invariant: Invariant, what: String) {
        world.broken = Some(Arc::new(Broken { invariant, what }));
    }

    /// True if a message is a claim outside of the scope. Every higher ballot begins with such a
    /// claim, so that no other kind of message has to be compared.
    fn is_outside(&self, envelope: &Envelope<Tape, PAGE>) -> bool {
        match envelope.message {
            Message::Probe { ballot } | Message::Prepare { ballot, .. } => {
                // Rounds start anew in each epoch.
                let round_max = if ballot.epoch() == Epoch::FIRST {
                    self.round_max
                } else {
                    self.scope.rounds.into()
                };
                ballot.round() > round_max || envelope.from.0 >= self.scope.claimants
            }
            _ => false,
        }
    }

    /// Returns the interners of the parts that states share.
    pub(super) fn interners(&self) -> &Interners {
        &self.interners
    }

    /// Counts a check of liveness.
    pub(super) fn count_liveness_check(&self) {
        let mut coverage = Coverage::default();
        coverage.add(Situation::Healed, 1);
        self.coverage.add(&coverage);
    }
}

#[cfg(test)]
impl Explorer {
    /// Returns the state after a failed assertion in a node.
    pub(super) fn panicked(&self, at: NodeId) -> World {
        let mut world = self.start.clone();
        self.act(&mut world, (at, None), &mut (), |_, _, _| {
            panic!("what a test wants")
        });
        world
    }
}
