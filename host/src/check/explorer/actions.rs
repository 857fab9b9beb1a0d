//! The actions that the explorer may take in a world: which there are, and how often a rare one may come.

use super::clients::proposal_of;
use super::{Explorer, TORN_AFTER};
use crate::check::Scope;
use crate::check::world::{Action, Member, World};
use synod::{NodeId, Timer};

impl Explorer {
    /// True if power may still fail.
    ///
    /// After the last loss the journals are dropped (see [`World::drop_storage`]), so that no node
    /// could restart.
    pub(in crate::check) fn may_crash(&self, world: &World) -> bool {
        world.used.crashes < self.scope.crashes
    }

    /// Returns all actions in a state, including a loss of power after each of the first storage operations of a step.
    ///
    /// The number of actions is about four times that of [`Explorer::actions`]. Walks use the
    /// latter, and let power fail in some of their steps instead.
    pub fn all_actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.actions(world, actions);
        if !self.may_crash(world) {
            return;
        }
        // Only the actions that are there by now: a loss of power during a loss of power is not a
        // step of its own.
        let steps = actions.len();
        for index in 0..steps {
            let step = match actions.get(index) {
                // Nothing is written when power fails between two steps.
                Some(Action::Crash { .. }) | None => continue,
                Some(step) => Box::new(step.clone()),
            };
            actions.extend(TORN_AFTER.map(|kept| Action::Torn {
                kept,
                step: step.clone(),
            }));
        }
    }

    /// Returns the actions in a state, in an order that depends on its history. There are none after a violation.
    pub fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        actions.extend(world.in_flight().iter().cloned().map(Action::Deliver));
        for node in world.nodes() {
            // Timers outside of the scope stay armed and never fire, as if their time had not come
            // yet.
            let may_fire = |timer: &Timer| self.scope.timers.contains(timer);
            for timer in node.armed().filter(may_fire) {
                let chances = Self::chances(timer, node);
                let node = node.id();
                let fire = |chance| Action::Fire {
                    node,
                    timer,
                    chance,
                };
                actions.extend((0..chances).map(fire));
            }
        }
        for request in 0..self.scope.requests {
            if !self.may_ask(world, request) {
                continue;
            }
            if request < world.used.requests {
                // A repetition goes to any node, as that of a client that has lost patience. A
                // first request goes to the client's own.
                actions.extend(self.everywhere().map(|node| Action::Ask { node, request }));
            } else {
                let node = self.scope.home(request);
                actions.push(Action::Ask { node, request });
            }
        }
        if self.may_read(world) {
            actions.extend(self.everywhere().map(|node| Action::Read { node }));
        }
        if self.may_change(world) {
            let founders = (0..self.scope.founders()).map(NodeId);
            actions.extend(founders.map(|node| Action::Change { node }));
        }
        if self.may_crash(world) {
            actions.extend(self.everywhere().map(|node| Action::Crash { node }));
        }
    }

    /// Returns the identities of all nodes, in order.
    fn everywhere(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.scope.nodes).map(NodeId)
    }

    /// Returns the number of random choices that make a difference. If the node draws a peer to ask or to hand something
    /// to, that is enough to draw each; a scout has 2, as its probe may be answered before or after it lost patience.
    ///
    /// The numbers are multiples of those of the peers, and the same for 3 and 4 peers; tests
    /// beside this module find every peer drawn by some choice.
    pub(in crate::check) fn chances(timer: Timer, node: &Member) -> u64 {
        let peers = node.members().without(node.id()).len();
        match (timer, peers) {
            (Timer::Scout, 1..) => 2,
            (Timer::Learn | Timer::Join | Timer::Propose | Timer::Read, 2) => 4,
            (Timer::Learn | Timer::Join | Timer::Propose | Timer::Read, 3..) => 12,
            _ => 1,
        }
    }

    /// True if a client may still read.
    fn may_read(&self, world: &World) -> bool {
        world.ledger.value.may_read(&self.scope)
    }

    /// True if the change of the members may still be asked for.
    fn may_change(&self, world: &World) -> bool {
        world.used.changes < self.scope.changes
    }

    /// Requests are made in order; each client waits for its answer before its next request.
    fn may_ask(&self, world: &World, request: u8) -> bool {
        if request < world.used.requests {
            return world.used.retries < self.scope.retries;
        }
        let before = request.checked_sub(Scope::CLIENTS).map(proposal_of);
        let ledger = &world.ledger.value;
        request == world.used.requests && before.is_none_or(|before| ledger.is_answered(&before))
    }

    /// True if an action that was possible in one state is possible in another one, too.
    ///
    /// The replay of a schedule from which actions were removed skips with it those that depended
    /// on them.
    pub fn can(&self, world: &World, action: &Action) -> bool {
        if world.broken.is_some() {
            return false;
        }
        match action {
            Action::Deliver(message) => world.in_flight().contains(message),
            Action::Fire { node, timer, .. } => world
                .node(*node)
                .is_some_and(|node| node.armed().any(|armed| armed == *timer)),
            Action::Ask { request, .. } => self.may_ask(world, *request),
            Action::Read { .. } => self.may_read(world),
            Action::Change { .. } => self.may_change(world),
            Action::Crash { .. } => self.may_crash(world),
            Action::Torn { step, .. } => self.may_crash(world) && self.can(world, step),
        }
    }
}
