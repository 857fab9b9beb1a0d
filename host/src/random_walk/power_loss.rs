//! Lifecycle of the nodes of a walk: start, loss of power, restart, and permanent stop.
//!
//! Storage of a walk never decays, and fails only with the power: the record that is being written
//! then is torn, and nothing after it is there. So a node that does not come back with everything
//! that it made durable has made a mistake. Damage is the subject of the sweeps, whose disks rot.

use super::check::{Check, Violation};
use super::walk::Walk;
use super::{Conditions, Machine};
use crate::power_cut::PowerCutStorage;
use synod::storage::{Journal, Opened};
use synod::{Instant, Node, NodeId};

/// Greatest number of pages of a snapshot: a header, two for the sessions, one for the keys.
const PAGES: u32 = 4;

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Walk<'_, WINDOW, CLIENTS, PAGE> {
    /// Starts a node that never ran.
    pub(super) fn start(&mut self, number: u16) -> Result<(), Violation> {
        // The clocks of the nodes are not synchronized.
        let now = Instant::from_micros(self.random.below(5_000_000));
        // A node without power has storage, and is restored instead.
        let never = |member: &super::walk::Member<WINDOW, CLIENTS, PAGE>| {
            member.node.is_none() && member.storage.is_none()
        };
        if !self.member(number).is_some_and(|member| never(member)) {
            return Ok(());
        }
        let checkpoint = Journal::<PowerCutStorage>::checkpoint_max::<Machine, WINDOW>(PAGES);
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        self.switch_on(
            (number, now),
            PowerCutStorage::new(checkpoint.saturating_mul(room)),
        )
    }

    /// Cuts the power of a node: now, so that its pending output is lost, or during its next write.
    /// The latter waits for a step that writes something, so that power fails in the midst of it.
    pub(super) fn crash(&mut self, number: u16) {
        if self.power_random.percent(50) {
            return self.lose_power(number, None);
        }
        // During the writes of a step, or during a checkpoint.
        let most = if self.power_random.percent(50) { 5 } else { 24 };
        let after = u32::try_from(self.power_random.below(most)).unwrap_or(0);
        if let Some(member) = self.member(number) {
            member.cut = Some(after);
        }
    }

    /// Cuts the power of a node: now, or `after` that many storage operations of its pending writes.
    pub(super) fn lose_power(&mut self, number: u16, after: Option<u32>) {
        let Some(member) = self.members.get_mut(usize::from(number)) else {
            return;
        };
        let (Some(mut node), Some(mut journal)) = (member.node.take(), member.journal.take())
        else {
            return;
        };
        member.cut = None;
        let outbox = core::mem::take(&mut member.outbox);
        if let Some(after) = after {
            journal.storage_mut().cut_after(after);
            // Whether the writes failed or power was lost right after them, nothing of the step is sent but what need not
            // wait for them.
            for outgoing in &outbox.messages {
                if node.leaves_early(&outbox, outgoing) {
                    let envelopes = outgoing.to.iter().map(|to| node.envelope(to, outgoing));
                    self.in_flight.extend(envelopes);
                }
            }
            let _ = journal
                .write(member.clock, &mut node, &outbox.writes)
                .and_then(|()| journal.sync());
            member.torn = outbox.writes.iter().copied().collect();
            self.power.torn += 1;
        } else {
            self.power.lost += 1;
        }
        member.storage = Some(journal.into_storage().with_power());
        self.checker.see_crash(number);
    }

    /// Restores the power of a node. Its clock begins anew, as a node has none that runs without
    /// power.
    pub(super) fn recover(&mut self, number: u16) -> Result<(), Violation> {
        let now = Instant::from_micros(self.random.below(5_000_000));
        match self.member(number).and_then(|member| member.storage.take()) {
            Some(storage) => self.switch_on((number, now), storage),
            None => Ok(()),
        }
    }

    /// Restarts a node from its storage.
    ///
    /// Storage is never damaged in a walk. So it may only be intact, or be empty if nothing that
    /// was written to it became durable.
    fn switch_on(
        &mut self,
        (number, now): (u16, Instant),
        storage: PowerCutStorage,
    ) -> Result<(), Violation> {
        let config = self.config(number);
        let (conditions, seed) = (self.conditions, self.seed);
        let checks = self.conditions.checks;
        let fails = |what: String| {
            checks.ensure(Check::Storage, false, || {
                format!("the storage of NODE_{number}, which nothing has damaged: {what}")
            })
        };
        let started = match Journal::open::<Machine, WINDOW, CLIENTS>(storage, config) {
            Ok(Opened::Intact(intact)) => intact.start(seed, now),
            Ok(Opened::Empty(empty)) => {
                let known = self.checker.has_promised(number);
                checks.ensure(Check::Storage, !known, || {
                    format!("the storage of NODE_{number} opens as if it were new")
                })?;
                empty.provision(seed, now)
            }
            Ok(Opened::Damaged(damaged)) => return fails(damaged.damage().to_string()),
            Err(error) => return fails(format!("{error:?}")),
        };
        let (journal, node): (_, Node<Machine, WINDOW, CLIENTS, PAGE>) = match started {
            Ok(started) => started,
            Err(error) => return fails(format!("{error:?}")),
        };
        let Some(member) = self.members.get_mut(usize::from(number)) else {
            return Ok(());
        };
        let torn = core::mem::take(&mut member.torn);
        member.clock = now;
        member.journal = Some(journal);
        let node = member.node.insert(prepared(conditions, node));
        self.checker.see_recovered(node, &torn)
    }

    /// Stops a node for good, if a quorum of nodes that have joined keeps running. Otherwise the
    /// cluster could not come to rest at the end, which would prove nothing.
    pub(super) fn stop(&mut self) {
        let gone = self.random.number(self.size);
        let goes_on = self.can_do_without(NodeId(gone));
        if let Some(member) = self.member(gone).filter(|member| member.node.is_some())
            && goes_on
        {
            member.stopped = true;
        }
    }
}

/// Plants the mutant of the conditions in a new node.
#[cfg(feature = "mutants")]
fn prepared<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    conditions: &Conditions,
    mut node: Node<Machine, WINDOW, CLIENTS, PAGE>,
) -> Node<Machine, WINDOW, CLIENTS, PAGE> {
    node.mutate(conditions.mutant);
    node
}

/// Returns the node unchanged, as there are no mutants.
#[cfg(not(feature = "mutants"))]
fn prepared<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    _conditions: &Conditions,
    node: Node<Machine, WINDOW, CLIENTS, PAGE>,
) -> Node<Machine, WINDOW, CLIENTS, PAGE> {
    node
}
