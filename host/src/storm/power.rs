//! Nodes that are switched on, stopped for good, or lose their power and get it back.

use super::check::Violation;
use super::walk::Walk;
use super::{Conditions, Machine};
use synod::{Config, Instant, Node, NodeId};

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Walk<'_, WINDOW, CLIENTS, PAGE> {
    /// Starts a node that never ran.
    pub(super) fn start(&mut self, number: u16) {
        let config = Config::new(NodeId(number), self.size);
        let (conditions, seed) = (self.conditions, self.seed);
        // Clocks that were never set alike.
        let now = Instant::from_micros(self.dice.below(5_000_000));
        if let Some(seat) = self.seat(number)
            && seat.node.is_none()
            && seat.durable.is_none()
        {
            let node = if number == 0 {
                Node::found(config, seed, now)
            } else {
                Node::join(config, seed, now)
            };
            seat.clock = now;
            seat.node = node.ok().map(|node| prepared(conditions, node));
        }
    }

    /// Power fails at a node: what it had not sent is lost, and all that is not durable.
    pub(super) fn crash(&mut self, number: u16) {
        if let Some(seat) = self.seat(number)
            && let Some(durable) = seat.node.as_ref().and_then(Node::durable)
        {
            seat.durable = Some(durable);
            seat.node = None;
            seat.outbox.clear();
        }
    }

    /// Power comes back.
    pub(super) fn recover(&mut self, number: u16) -> Result<(), Violation> {
        let config = Config::new(NodeId(number), self.size);
        let (conditions, seed) = (self.conditions, self.seed);
        let now = Instant::from_micros(self.dice.below(5_000_000));
        let Some(seat) = self.seats.get_mut(usize::from(number)) else {
            return Ok(());
        };
        let Some(durable) = seat.durable.take() else {
            return Ok(());
        };
        seat.incarnation += 1;
        seat.clock = now;
        let node = Node::recover(config, durable, seed, seat.incarnation, now);
        seat.node = node.ok().map(|node| prepared(conditions, node));
        match &seat.node {
            Some(node) => self.judge.see_recovered(node),
            None => Ok(()),
        }
    }

    /// Stops a node for good, if a quorum of nodes that have joined goes on.
    pub(super) fn stop(&mut self) {
        let gone = self.dice.number(self.size);
        let joined =
            |number: &u16| *number != gone && self.node(*number).is_some_and(Node::is_active);
        let rest = (0..self.size).filter(joined).count();
        let quorum = self.judge.quorum();
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
