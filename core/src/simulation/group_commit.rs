//! Group commit: the output of a node waits until the writes that it rests on are durable.
//!
//! A real driver does not wait for the disk after each step. It writes the output of a step, begins a sync, and lets
//! the node go on; what the node says meanwhile is gathered and written by the next sync. The simulation does the same,
//! with the latency of the disk: at most one sync of a node is under way, and what it covers leaves when it is done.
//!
//! ```text
//! steps of the node      a   b c     d
//! syncs of its driver    [ a ][ b c ][ d ]
//! output leaves              a      b c  d
//! ```

use super::capacities::{EventQueue, List, Room, RoomOutbox};
use super::event_loop::{Simulation, Stamped};
use super::node_storage::{Failed, Stores};
use super::observer::{NodeProgress, Observer};
use super::pending_output::PendingOutput;
use super::scheduler::SimEvent;
use super::setting::Setting;
use super::violation::Violation;
use crate::mutant::Mutant;
use crate::{AnyOutbox, Duration, Halt, Instant, Node, NodeId, Tracer};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// `None` where writes are durable at once: then no output ever waits.
    fn pending_of(
        &self,
        node: NodeId,
    ) -> Option<&PendingOutput<<S::Room as Room>::Outbox, S::Machine, P>> {
        self.pending.get(usize::from(node.0))
    }

    pub(super) fn pending_of_mut(
        &mut self,
        node: NodeId,
    ) -> Option<&mut PendingOutput<<S::Room as Room>::Outbox, S::Machine, P>> {
        self.pending.get_mut(usize::from(node.0))
    }

    /// The number of writes of a node that are not durable yet; zero where storage takes no time.
    pub fn unsynced(&self, node: NodeId) -> usize {
        let len = |covered| {
            let pending = self.pending_of(node)?;
            Some(pending.batch(covered).outbox.writes().len())
        };
        [true, false].into_iter().filter_map(len).sum()
    }

    /// When a node takes input again, if its driver has sent early messages and waits for the sync.
    pub(super) fn waits_for_sync_until(&self, node: NodeId) -> Option<Instant> {
        let pending = self.pending_of(node)?;
        (pending.sends_early && pending.is_syncing()).then_some(pending.until)
    }

    /// Whether there is room for the output of one more step of a node, whatever that step does. Without it a node ignores
    /// what it receives (rule N4), so that a driver has no use for gathering more.
    pub(super) fn has_room(&self, node: NodeId) -> bool {
        let least = Node::<S::Machine, W, C, P>::OUTBOX_MIN;
        self.pending_of(node)
            .is_some_and(|pending| pending.batch(false).outbox.room() >= least)
    }

    /// The output of a node that steps are added to, or that the latest sync covers.
    /// Steps are added to one batch while a sync covers the other: `covered` says which of the two is meant.
    pub(super) fn outbox_of(
        &self,
        node: NodeId,
        covered: bool,
    ) -> Option<&RoomOutbox<S::Room, S::Machine, P>> {
        if Self::DEFERRED {
            Some(&self.pending_of(node)?.batch(covered).outbox)
        } else {
            Some(&self.outbox)
        }
    }

    /// Clears output that was dispatched.
    pub(super) fn clear_dispatched(&mut self, node: NodeId, covered: bool) {
        if !Self::DEFERRED {
            self.outbox.clear();
        } else if let Some(pending) = self.pending_of_mut(node) {
            pending.batch_mut(covered).clear();
        }
    }

    /// Prepares for a number of nodes, none of which has pending output.
    pub(super) fn reset_pending(&mut self, nodes: usize, sends_early: bool) {
        if !Self::DEFERRED {
            return;
        }
        // All that there are: an earlier run may have had more nodes.
        for pending in self.pending.iter_mut() {
            pending.reset();
        }
        // What no run has needed yet is not touched: it is large.
        while self.pending.len() < nodes && self.pending.push(PendingOutput::new()).is_ok() {}
        for pending in self.pending.iter_mut() {
            pending.sends_early = sends_early;
        }
    }

    /// The high-water mark of all outboxes.
    pub(super) fn outbox_peak(&self) -> usize {
        let pending = self.pending.iter().map(PendingOutput::peak);
        pending.fold(self.outbox.peak(), usize::max)
    }

    /// Handles the output of a step: it waits for the current sync, or its writes begin.
    pub(super) fn persist<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let member = self.members.get(usize::from(node.0));
        let Some(member) = member.filter(|member| member.live) else {
            return;
        };
        let halted = member.node.halted();
        match halted.map(|cause| matches!(cause, Halt::StorageFailed)) {
            // It halts because its own vote is a quorum (rule D1). Nothing that such a node has applied was ever said, so
            // that no rule is broken: it is down until it starts again.
            Some(true) => {
                if let Some(pending) = self.pending_of_mut(node) {
                    pending.discard();
                }
            }
            Some(false) => self.violation = Some(Violation::Halted { node }),
            // `synced` writes what is gathered by then.
            None if self.pending_of(node).is_some_and(PendingOutput::is_syncing) => {}
            None if self.gathers(node) => {}
            None => self.commit(node, tracer, observer),
        }
    }

    /// Whether the driver of a node gathers one more step: only as long as the next is sure to find room, and for a bounded
    /// time from the first.
    fn gathers(&mut self, node: NodeId) -> bool {
        if self.gather == Duration::ZERO {
            return false;
        }
        let (at, has_room) = (self.now + self.gather, self.has_room(node));
        let Some(pending) = self.pending_of_mut(node) else {
            return false;
        };
        if !has_room {
            // The event that would have ended it is stale from now on.
            pending.end_gathering();
            return false;
        }
        if !pending.is_gathering {
            if pending.batch(false).outbox.is_empty() {
                return false;
            }
            pending.gather(at);
            // There is room: messages leave some for a sync of every node, and no node gathers and syncs at once.
            let _ = self.scheduler.push(at, SimEvent::Synced(node));
        }
        true
    }

    /// Compares the prefix that a node had applied after the dispatched steps with that of other nodes. What it has
    /// applied since then may still be lost.
    pub(super) fn check_dispatched(&mut self, node: NodeId, covered: bool) {
        if let Some(progress) = self
            .pending_of(node)
            .map(|pending| pending.batch(covered).progress)
        {
            self.check_prefix(node, progress.applied, progress.chain);
        }
    }

    /// Writes all output that is gathered. Called when no sync of the node is under way.
    fn commit<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let (index, local) = (usize::from(node.0), self.local_time(node));
        let (Some(member), Some(pending)) =
            (self.members.get_mut(index), self.pending.get_mut(index))
        else {
            return;
        };
        debug_assert!(
            !pending.is_syncing(),
            "a write begins before the sync of the one before is done"
        );
        let batch = pending.batch_mut(false);
        // As of now: when the sync is done, the node may have gone on.
        batch.progress = NodeProgress::of(&member.node);
        if !member.node.is_voter() {
            // Nobody relies on what it would write, and it has no storage for it.
            batch.outbox.clear_writes();
            batch.boundaries.clear();
            return self.dispatch(node, false, tracer, observer);
        }
        let writes = batch.outbox.writes();
        self.counts.writes += crate::outbox::run_len(writes.len());
        match self.stores.write(local, &mut member.node, writes) {
            Ok(Duration::ZERO) => self.dispatch(node, false, tracer, observer),
            Ok(wait) => {
                let at = self.now + wait;
                // Without a boundary it is one step.
                self.counts.grouped += u64::from(!batch.boundaries.is_empty());
                pending.begin_sync(at);
                // There is room: messages leave some for a sync of every node.
                let _ = self.scheduler.push(at, SimEvent::Synced(node));
                if member.node.makes(Mutant::SentBeforeSynced) {
                    self.dispatch(node, true, tracer, observer);
                } else if pending.sends_early {
                    self.dispatch_early(node, tracer, observer);
                }
            }
            // Which schedules the next wake where there is to be one.
            Err(failed) => return self.failed(node, failed, tracer, observer),
        }
        // A snapshot that is written has a timer.
        self.schedule_wake(node);
    }

    /// Completes a sync, unless it is stale: the output that it covers is dispatched, and what was gathered meanwhile is
    /// written.
    pub(super) fn synced<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let now = self.now;
        let Some(pending) = self
            .pending_of_mut(node)
            .filter(|pending| pending.until == now)
        else {
            return;
        };
        // One event stands for both: which of them it ends, the state of the pending output says.
        if pending.end_gathering() {
            self.counts.gathered += u64::from(!pending.batch(false).boundaries.is_empty());
            self.commit(node, tracer, observer);
            return self.schedule_wake(node);
        }
        debug_assert!(
            pending.is_syncing(),
            "a sync ends that is not going on, and what has left is covered again"
        );
        if let Err(failed) = self.stores.synced(node) {
            // The node is told while the sync is still under way, so that what it covers is dropped as well.
            return self.failed(node, failed, tracer, observer);
        }
        if let Some(pending) = self.pending_of_mut(node) {
            pending.until = Instant::FAR_FUTURE;
        }
        self.dispatch(node, true, tracer, observer);
        let gathered = self.outbox_of(node, false);
        // The output of a run that has broken a rule goes nowhere any more.
        if gathered.is_some_and(|outbox| !outbox.is_empty()) && self.violation.is_none() {
            self.commit(node, tracer, observer);
        }
        // Where it had no room for a step there is some now.
        self.schedule_wake(node);
    }

    /// Handles the failure of a write or a sync. Without power the node is down; without storage it is fenced (rule
    /// D1), and what it may still say as a replica is dispatched.
    fn failed<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        failed: Failed,
        tracer: &mut T,
        observer: &mut O,
    ) {
        self.violation = self.violation.or(self.stores.broken());
        if failed == Failed::Power {
            self.mark_storage_down(node);
            self.cut_power(node, tracer);
            return self.end_torn(node);
        }
        let (index, at, local) = (usize::from(node.0), self.now, self.local_time(node));
        let (Some(member), Some(pending)) =
            (self.members.get_mut(index), self.pending.get_mut(index))
        else {
            return;
        };
        let mut tracer = Stamped { at, tracer };
        if pending.is_syncing() {
            pending.until = Instant::FAR_FUTURE;
            let covered = pending.batch_mut(true);
            member.node.fence(local, &mut covered.outbox, &mut tracer);
            covered.clear();
        }
        let batch = pending.batch_mut(false);
        member.node.fence(local, &mut batch.outbox, &mut tracer);
        if member.node.halted().is_some() {
            return pending.discard();
        }
        debug_assert!(
            !member.node.is_voter() || member.node.mistake().is_any(),
            "a node votes whose storage has failed (D1)"
        );
        // They are lost; what is left says nothing that rests on them.
        batch.outbox.clear_writes();
        batch.boundaries.clear();
        batch.progress = NodeProgress::of(&member.node);
        self.dispatch(node, false, tracer.tracer, observer);
        self.schedule_wake(node);
    }
}
