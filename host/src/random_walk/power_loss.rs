//! Nodes that are switched on, stopped for good, or lose their power and get it back.

use super::check::{Check, Violation};
use super::walk::Walk;
use super::{Conditions, Machine};
use crate::power_cut::PowerCutStorage;
use synod::storage::{Journal, Opened};
use synod::{Config, Instant, Node, NodeId};

/// The pages of a snapshot at most: a header, two for the sessions, one for the keys.
const PAGES: u32 = 4;

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Walk<'_, WINDOW, CLIENTS, PAGE> {
    /// Starts a node that never ran.
    pub(super) fn start(&mut self, number: u16) -> Result<(), Violation> {
        // Clocks that were never set alike.
        let now = Instant::from_micros(self.random.below(5_000_000));
        let never = |seat: &super::walk::Seat<WINDOW, CLIENTS, PAGE>| {
            seat.node.is_none() && seat.storage.is_none()
        };
        if !self.seat(number).is_some_and(|seat| never(seat)) {
            return Ok(());
        }
        let checkpoint = Journal::<PowerCutStorage>::checkpoint_max::<Machine, WINDOW>(PAGES);
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        self.switch_on(
            (number, now),
            PowerCutStorage::new(checkpoint.saturating_mul(room)),
        )
    }

    /// Power fails at a node: now, so that all that waits in its outbox is lost, or the next time that it writes something.
    pub(super) fn crash(&mut self, number: u16) {
        if self.power_random.percent(50) {
            return self.lose_power(number, None);
        }
        // Somewhere in what a step writes, or somewhere in a checkpoint.
        let most = if self.power_random.percent(50) { 5 } else { 24 };
        let after = u32::try_from(self.power_random.below(most)).unwrap_or(0);
        if let Some(seat) = self.seat(number) {
            seat.cut = Some(after);
        }
    }

    /// Power fails at a node: `after` so many operations of its storage, where it is writing.
    pub(super) fn lose_power(&mut self, number: u16, after: Option<u32>) {
        let Some(seat) = self.seats.get_mut(usize::from(number)) else {
            return;
        };
        let (Some(mut node), Some(mut journal)) = (seat.node.take(), seat.journal.take()) else {
            return;
        };
        seat.cut = None;
        let outbox = core::mem::take(&mut seat.outbox);
        if let Some(after) = after {
            journal.storage_mut().cut_after(after);
            // It comes to an error, or power fails just behind it: nobody hears of it either way.
            let _ = journal
                .write(seat.clock, &mut node, &outbox.writes)
                .and_then(|()| journal.sync());
            seat.torn = outbox.writes.iter().copied().collect();
            self.power.torn += 1;
        } else {
            self.power.lost += 1;
        }
        seat.storage = Some(journal.into_storage().with_power());
        self.checker.see_crash(number);
    }

    /// Power comes back.
    pub(super) fn recover(&mut self, number: u16) -> Result<(), Violation> {
        let now = Instant::from_micros(self.random.below(5_000_000));
        match self.seat(number).and_then(|seat| seat.storage.take()) {
            Some(storage) => self.switch_on((number, now), storage),
            None => Ok(()),
        }
    }

    /// A node is what its storage makes of it.
    fn switch_on(
        &mut self,
        (number, now): (u16, Instant),
        storage: PowerCutStorage,
    ) -> Result<(), Violation> {
        let config = Config::new(NodeId(number), self.size);
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
        let Some(seat) = self.seats.get_mut(usize::from(number)) else {
            return Ok(());
        };
        let torn = core::mem::take(&mut seat.torn);
        seat.clock = now;
        seat.journal = Some(journal);
        let node = seat.node.insert(prepared(conditions, node));
        self.checker.see_recovered(node, &torn)
    }

    /// Stops a node for good, if a quorum of nodes that have joined goes on.
    pub(super) fn stop(&mut self) {
        let gone = self.random.number(self.size);
        let joined =
            |number: &u16| *number != gone && self.node(*number).is_some_and(Node::is_active);
        let rest = (0..self.size).filter(joined).count();
        let quorum = self.checker.quorum();
        if let Some(seat) = self.seat(gone).filter(|seat| seat.node.is_some())
            && rest >= quorum
        {
            seat.stopped = true;
        }
    }
}

/// A node that was just made, as the conditions have it.
#[cfg(feature = "mutants")]
fn prepared<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    conditions: &Conditions,
    mut node: Node<Machine, WINDOW, CLIENTS, PAGE>,
) -> Node<Machine, WINDOW, CLIENTS, PAGE> {
    node.mutate(conditions.mutant);
    node
}

/// A node that was just made, as the conditions have it.
#[cfg(not(feature = "mutants"))]
fn prepared<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    _conditions: &Conditions,
    node: Node<Machine, WINDOW, CLIENTS, PAGE>,
) -> Node<Machine, WINDOW, CLIENTS, PAGE> {
    node
}
