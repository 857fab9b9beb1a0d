//! What can happen in a small cluster, and what comes of it.

use super::invariant::{Broken, Invariant};
use super::judge::Facts;
use super::start::{self, ROOM, Restarted, StartError, sent};
use super::world::{Action, Member, Memos, PAGE, World};
use super::{Network, Scope, Tape};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use synod::{
    ClientId, Envelope, Instant, Message, NodeId, Outbox, Proposal, RequestNumber, Timer, Tracer,
};

/// Knows where a scope begins and what can happen within it.
#[derive(Debug)]
pub struct Explorer {
    scope: Scope,
    /// The mistake that every node makes, if they make one.
    #[cfg(feature = "mutants")]
    mutant: Option<synod::Mutant>,
    start: World,
    /// The highest round that may be claimed.
    round_max: u64,
    /// The last slot that may be used.
    slot_max: u64,
    memos: Memos,
}

impl Explorer {
    /// Explores a scope.
    ///
    /// # Errors
    ///
    /// [`StartError`]: there is nothing to explore.
    pub fn new(scope: Scope) -> Result<Self, StartError> {
        let nodes = start::start(scope.nodes)?;
        Ok(Self::from(scope, nodes))
    }

    /// Explores a scope with nodes that make a mistake, from the state that honest ones have founded.
    ///
    /// # Errors
    ///
    /// [`StartError`]: there is nothing to explore.
    #[cfg(feature = "mutants")]
    pub fn making(mutant: Option<synod::Mutant>, scope: Scope) -> Result<Self, StartError> {
        let mut nodes = start::start(scope.nodes)?;
        for node in &mut nodes {
            node.after.mutate(mutant);
        }
        let mut explorer = Self::from(scope, nodes);
        explorer.mutant = mutant;
        Ok(explorer)
    }

    fn from(scope: Scope, nodes: Vec<Restarted>) -> Self {
        let rounds = nodes.iter().map(|node| node.before.promised().round());
        let round_max = rounds.max().unwrap_or(0) + u64::from(scope.rounds);
        let memos = Memos::default();
        let start = World::new(nodes, &memos);
        let slot_max = start.ledger.value.last_slot().number() + u64::from(scope.slots);
        Self {
            scope,
            #[cfg(feature = "mutants")]
            mutant: None,
            start,
            round_max,
            slot_max,
            memos,
        }
    }

    /// Puts messages in the network that no node has sent: what a broken one would say.
    #[must_use]
    pub fn with_letters(mut self, forged: impl IntoIterator<Item = Envelope<Tape, PAGE>>) -> Self {
        for envelope in forged {
            self.start.post(envelope, &self.memos);
        }
        self
    }

    /// The bounds.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The first state.
    pub fn start(&self) -> &World {
        &self.start
    }

    /// What can happen in a state, in an order that follows from how it came about. Nothing does once a rule was broken.
    pub fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        actions.extend(world.letters().iter().cloned().map(Action::Deliver));
        for node in world.nodes() {
            let may_fire = |timer: &Timer| self.scope.timers.contains(timer);
            for timer in node.armed().filter(may_fire) {
                let node = node.id();
                let fire = |chance| Action::Fire {
                    node,
                    timer,
                    chance,
                };
                actions.extend((0..self.chances(timer)).map(fire));
            }
        }
        for request in 0..self.scope.requests {
            if !self.may_ask(world, request) {
                continue;
            }
            if request < world.used.requests {
                actions.extend(self.everywhere().map(|node| Action::Ask { node, request }));
            } else {
                let node = self.scope.home(request);
                actions.push(Action::Ask { node, request });
            }
        }
        if world.used.crashes < self.scope.crashes {
            actions.extend(self.everywhere().map(|node| Action::Crash { node }));
        }
    }

    fn everywhere(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.scope.nodes).map(NodeId)
    }

    /// Among how many chances it makes a difference: where a node draws which of its peers it asks, so many that each of
    /// them comes up.
    pub(super) fn chances(&self, timer: Timer) -> u64 {
        match (timer, self.scope.nodes) {
            (Timer::Learn | Timer::Join, 3) => 4,
            (Timer::Learn | Timer::Join, 4..) => 12,
            _ => 1,
        }
    }

    /// Requests are made one after the other; each client waits for its answer before it asks for something else.
    fn may_ask(&self, world: &World, request: u8) -> bool {
        if request < world.used.requests {
            return world.used.retries < self.scope.retries;
        }
        let before = request.checked_sub(Scope::CLIENTS).map(proposal_of);
        let ledger = &world.ledger.value;
        request == world.used.requests && before.is_none_or(|before| ledger.is_answered(&before))
    }

    /// Whether an action that was possible in one state is so in another one, too.
    pub fn can(&self, world: &World, action: &Action) -> bool {
        if world.broken.is_some() {
            return false;
        }
        match action {
            Action::Deliver(letter) => world.letters().contains(letter),
            Action::Fire { node, timer, .. } => world
                .node(*node)
                .is_some_and(|node| node.armed().any(|armed| armed == *timer)),
            Action::Ask { request, .. } => self.may_ask(world, *request),
            Action::Crash { .. } => world.used.crashes < self.scope.crashes,
        }
    }

    /// What comes of an action, and what the judge says to it.
    #[must_use]
    pub fn step(&self, world: &World, action: &Action) -> World {
        self.traced(world, action, &mut ())
    }

    /// The same, for somebody who wants to see how.
    pub(super) fn traced<T: Tracer<Tape, PAGE>>(
        &self,
        world: &World,
        action: &Action,
        tracer: &mut T,
    ) -> World {
        let mut next = world.clone();
        match action {
            Action::Deliver(letter) => {
                if self.scope.network == Network::Once {
                    next.forget(letter);
                }
                let envelope = letter.envelope();
                self.act(&mut next, envelope.to, tracer, |node, outbox, facts| {
                    node.handle_message(Instant::ZERO, envelope, outbox, facts);
                });
            }
            Action::Fire {
                node,
                timer,
                chance,
            } => self.act(&mut next, *node, tracer, |node, outbox, facts| {
                node.fire(*timer, *chance, outbox, facts);
            }),
            Action::Ask { node, request } => self.ask(&mut next, *node, *request, tracer),
            Action::Crash { node } => self.crash(&mut next, *node),
        }
        next
    }

    fn ask<T: Tracer<Tape, PAGE>>(
        &self,
        world: &mut World,
        at: NodeId,
        request: u8,
        tracer: &mut T,
    ) {
        let proposal = proposal_of(request);
        if request < world.used.requests {
            world.used.retries = world.used.retries.saturating_add(1);
        } else {
            world.used.requests = world.used.requests.saturating_add(1);
            let mut ledger = world.ledger.value.clone();
            ledger.ask(proposal);
            world.remember(ledger, &self.memos);
        }
        if let Proposal::Request {
            client,
            number,
            command,
        } = proposal
        {
            self.act(world, at, tracer, |node, outbox, facts| {
                // A node at which it is outstanding already refuses it, and nothing happens.
                let _ = node.request(Instant::ZERO, client, number, command, outbox, facts);
            });
        }
    }

    /// Lets a node take a step, sends what it says, and judges it.
    fn act<T: Tracer<Tape, PAGE>>(
        &self,
        world: &mut World,
        at: NodeId,
        tracer: &mut T,
        step: impl FnOnce(&mut Member, &mut Outbox<Tape, PAGE, ROOM>, &mut (Facts, &mut T)),
    ) {
        let Some(before) = world.node(at) else {
            return;
        };
        let mut node = before.clone();
        let mut outbox = Outbox::new();
        let mut facts = (Facts::default(), tracer);
        // Where an assertion fails, the node is left half-way and looked at no more.
        let taken = catch_unwind(AssertUnwindSafe(|| {
            step(&mut node, &mut outbox, &mut facts);
        }));
        if taken.is_err() {
            let what = format!("an assertion in {at} does not hold");
            let invariant = Invariant::Assertion;
            world.broken = Some(Arc::new(Broken { invariant, what }));
            return;
        }
        let mut ledger = world.ledger.value.clone();
        let judged = ledger.see(before, &node, &outbox, &facts.0, &self.scope);
        world.broken = judged.err().map(Arc::new);
        world.outside |= ledger.last_slot().number() > self.slot_max;
        world.remember(ledger, &self.memos);
        for envelope in sent(&node, &outbox) {
            world.outside |= self.is_outside(&envelope);
            if !self.scope.lost.contains(&envelope.message.kind()) {
                world.post(envelope, &self.memos);
            }
        }
        world.put(node, &self.memos);
    }

    /// Whether a message is a claim that the scope does not have.
    fn is_outside(&self, envelope: &Envelope<Tape, PAGE>) -> bool {
        match envelope.message {
            Message::Probe { ballot } | Message::Prepare { ballot, .. } => {
                ballot.round() > self.round_max || envelope.from.0 >= self.scope.claimants
            }
            _ => false,
        }
    }

    fn crash(&self, world: &mut World, at: NodeId) {
        world.used.crashes = world.used.crashes.saturating_add(1);
        let Some(before) = world.node(at) else {
            return;
        };
        let Some(durable) = before.durable() else {
            return;
        };
        let incarnation = u32::from(world.used.crashes) + 1;
        // Settings that were good before still are.
        let config = before.config().clone();
        let Ok(node) = Member::recover(config, durable, 0, incarnation, Instant::ZERO) else {
            return;
        };
        #[cfg(feature = "mutants")]
        let node = {
            let mut node = node;
            node.mutate(self.mutant);
            node
        };
        let mut ledger = world.ledger.value.clone();
        let judged = ledger.restart(before, &node);
        world.broken = judged.err().map(Arc::new);
        world.remember(ledger, &self.memos);
        world.put(node, &self.memos);
    }
}

#[cfg(test)]
impl Explorer {
    /// What comes of a step in which an assertion of a node fails.
    pub(super) fn panicked(&self, at: NodeId) -> World {
        let mut world = self.start.clone();
        self.act(&mut world, at, &mut (), |_, _, _| {
            panic!("what a test wants")
        });
        world
    }
}

/// What a request asks for: each something else.
fn proposal_of(request: u8) -> Proposal<u32> {
    Proposal::Request {
        client: ClientId(1 + u64::from(request % Scope::CLIENTS)),
        number: RequestNumber(1 + u32::from(request / Scope::CLIENTS)),
        command: u32::from(request),
    }
}
