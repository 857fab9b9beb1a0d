//! Liveness check: from any state, once all faults end, a cluster must come to rest and serve a client.
//!
//! Every message sent from now on arrives at once and in order; those in flight are lost. Timers fire in turns. Those
//! that repeat a message come first, and a node that follows a live leader never suspects it, as every timeout exceeds
//! a round trip. This models a synchronous network without clocks: if the cluster does not come to rest, it waits for a
//! timer that is not armed or for a message that no node sends.

use super::invariant::Invariant;
use super::world::{Action, Member, World};
use super::{Broken, Explorer};
use std::sync::Arc;
use synod::{ClientId, Epoch, Instant, NodeId, Proposal, RequestNumber, Role, Timer};

/// Greatest number of turns until the cluster is at rest. Each node may have to claim twice, after
/// others have failed. A cluster that is not at rest then never will be.
const TURNS: u64 = 40;
/// Greatest number of messages that may follow from one timer. More means that the nodes answer
/// each other without end, and violates [`Invariant::Progress`].
const DELIVERIES_MAX: usize = 2_000;
/// Timers that repeat a message. Any of them may fire at any time without harm; the other timers
/// change who leads, or drop a snapshot.
const REPEATING: [Timer; 8] = [
    Timer::Join,
    Timer::Scout,
    Timer::Commander,
    Timer::Heartbeat,
    Timer::Propose,
    Timer::Request,
    Timer::Learn,
    Timer::Read,
];
/// Number of the last request, which was not used before. A scope has at most 8 requests, with
/// numbers and commands below this one.
const LAST: RequestNumber = RequestNumber(1_000);

impl Explorer {
    /// Returns the violation if the cluster does not come to rest and serve a client from this state, and then again
    /// without its leader if a majority is left.
    pub fn check_liveness(&self, world: &World) -> Option<Broken> {
        if world.broken().is_some() {
            return None;
        }
        self.count_liveness_check();
        let mut world = world.clone();
        world.healing = true;
        // No power is lost from here on, and journals would only slow the steps down.
        world.drop_storage(self.interners());
        world.lose_in_flight();
        let mut check = LivenessCheck {
            explorer: self,
            world,
            dark: None,
            chance: 0,
        };
        // Steps of the check count towards nothing: see `healing` in [`Explorer::act`].
        check.check_liveness();
        check.world.broken().cloned()
    }
}

/// A check in progress, on a copy of the state that is dropped afterwards.
struct LivenessCheck<'a> {
    /// Performs the steps, with the same checks after each as in the exploration.
    explorer: &'a Explorer,
    /// The cluster; a violation in it ends the check.
    world: World,
    /// A node that has stopped for good.
    dark: Option<NodeId>,
    /// Random choice of the last timer. It is counted up, so that a node that asks peers in turn
    /// comes to each.
    chance: u64,
}

impl LivenessCheck<'_> {
    /// Checks the whole cluster, and then the rest of it without its leader. Of two members no
    /// majority would be left.
    fn check_liveness(&mut self) {
        self.rests_and_serves(LAST);
        let leader = self.leader();
        let members = leader
            .and_then(|leader| self.world.node(leader))
            .map_or(0, |leader| leader.members().len());
        if members < 3 || self.world.broken().is_some() {
            return;
        }
        self.dark = leader;
        self.rests_and_serves(RequestNumber(LAST.0 + 1));
    }

    /// Records a lack of progress, unless the nodes have already violated another invariant, which
    /// is then the cause.
    fn fails(&mut self, what: String) {
        if self.world.broken.is_none() {
            let invariant = Invariant::Progress;
            self.world.broken = Some(Arc::new(Broken { invariant, what }));
        }
    }

    /// Returns the nodes that have not stopped.
    fn live(&self) -> Vec<NodeId> {
        let nodes = self.world.nodes().map(Member::id);
        nodes.filter(|node| Some(*node) != self.dark).collect()
    }

    /// Returns the leader with the highest ballot. A node with a lower one leads no longer, and has
    /// not heard of it yet.
    fn leader(&self) -> Option<NodeId> {
        let nodes = self.world.nodes();
        let live = nodes.filter(|node| Some(node.id()) != self.dark);
        let leading = live.filter_map(Member::leading).max()?;
        Some(leading.leader())
    }

    /// Returns the last epoch that a node has entered.
    fn epoch(&self) -> Epoch {
        let epochs = self.world.nodes().map(Member::epoch);
        epochs.max().unwrap_or_default()
    }

    /// Records a failure unless the cluster comes to rest, stays so, and serves a request of this
    /// number.
    fn rests_and_serves(&mut self, number: RequestNumber) {
        // A change that is under way ends a leadership, after which the cluster comes to rest once more.
        loop {
            let epoch = self.epoch();
            if !self.eventually(Self::is_at_rest) {
                let why = self.why_not_at_rest();
                let after = self.dark.map_or(String::new(), |dark| {
                    format!(" and {dark}, which led, has stopped")
                });
                return self.fails(format!(
                    "the faults have ended{after}, and the cluster does not come to rest: {why}"
                ));
            }
            if self.stays_at_rest() {
                break;
            }
            if self.epoch() == epoch {
                let why = self.why_not_at_rest();
                return self.fails(format!(
                    "the faults have ended, and a leader that all follow does not stay{}{why}",
                    if why.is_empty() { "" } else { ": " }
                ));
            }
        }
        // A node that does not lead, so that the request must be forwarded.
        let leader = self.leader();
        let mut live = self.live().into_iter();
        let Some(at) = live.find(|node| Some(*node) != leader).or(leader) else {
            return;
        };
        let client = ClientId(1);
        let command = number.0;
        let proposal = Proposal::Request {
            client,
            number,
            command,
        };
        // The request is noted like one of the scope, or the ledger would take it for an invention
        // of the nodes.
        let mut ledger = self.world.ledger.value.clone();
        ledger.ask(proposal);
        self.world.remember(ledger, self.explorer.interners());
        self.explorer.act(
            &mut self.world,
            (at, None),
            &mut (),
            |node, outbox, facts| {
                let _ = node.request(Instant::ZERO, client, number, command, outbox, facts);
            },
        );
        let served = |check: &Self| {
            let ledger = &check.world.ledger.value;
            ledger.is_decided(&proposal) && check.is_at_rest()
        };
        if !self.eventually(served) {
            let why = self.why_not_at_rest();
            self.fails(format!(
                "the faults have ended, and a client is not served at {at}: {why}"
            ));
        }
    }

    /// True if heartbeats keep the leader while nothing else happens. The timer of the quorum
    /// fires, too, at which a leader without answers would step down.
    fn stays_at_rest(&mut self) -> bool {
        let ballot = |check: &Self| check.world.nodes().filter_map(Member::leading).max();
        let before = ballot(self);
        // Three rounds of heartbeats, of which a leader that hears nobody would survive none.
        for _ in 0..3 {
            for timer in REPEATING {
                self.fire_all(timer);
            }
            self.fire_all(Timer::Quorum);
        }
        // The leader may have decided what was proposed before. A newcomer that it does not tell has to ask, and a member that
        // needs a snapshot waits until that of another one was dropped, which the rounds above do not bring about.
        if self.live().into_iter().any(|id| self.is_behind(id)) {
            self.eventually(Self::is_at_rest);
        }
        self.world.broken.is_some() || (ballot(self) == before && self.is_at_rest())
    }

    /// True if all nodes follow one leader, have applied the same slots, and have no pending request.
    fn is_at_rest(&self) -> bool {
        self.why_not_at_rest().is_empty()
    }

    /// Returns the reason why the cluster is not at rest. It is empty at rest, and otherwise a part
    /// of the sentence that is reported.
    fn why_not_at_rest(&self) -> String {
        // Asked in the order of cause: without a leader nothing else can be right.
        let Some(leader) = self.leader() else {
            return "no node leads".to_owned();
        };
        let applied = self.world.node(leader).map(Member::applied);
        for id in self.live() {
            let Some(node) = self.world.node(id) else {
                continue;
            };
            if node.leader_hint() != Some(leader) {
                return format!("{id} does not follow {leader}");
            }
            if Some(node.applied()) != applied {
                let end = applied.unwrap_or_default();
                return format!(
                    "{id} has applied slot {}, and {leader} slot {end}",
                    node.applied()
                );
            }
            if node.roles().any(|role| role == Role::Requester) {
                return format!("a client waits at {id}");
            }
            if node.is_reading() {
                return format!("a read waits at {id}");
            }
        }
        String::new()
    }

    /// Lets timers fire in turns until a condition holds. Also true after a violation, which its
    /// caller need not report again.
    ///
    /// A turn repeats messages four times before any node loses patience, since every timeout
    /// exceeds a round trip.
    fn eventually(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        self.deliver_all();
        for turn in 0..TURNS {
            for _ in 0..4 {
                if self.world.broken.is_some() || is_so(self) {
                    return true;
                }
                for timer in REPEATING {
                    self.fire_all(timer);
                }
            }
            self.fire_all(Timer::Quorum);
            self.fire_all(Timer::Transfer);
            self.suspect_leaders(turn);
        }
        self.world.broken.is_some() || is_so(self)
    }

    /// Fires a timer at each node in turn, with everything that follows from it.
    fn fire_all(&mut self, timer: Timer) {
        for node in self.live() {
            self.fire(node, timer);
        }
    }

    /// Fires the election timer of nodes that do not follow the leader. One after the other gets its turn to claim.
    fn suspect_leaders(&mut self, turn: u64) {
        let leader = self.leader();
        let lost: Vec<NodeId> = self
            .live()
            .into_iter()
            .filter(|id| {
                let hint = self.world.node(*id).and_then(Member::leader_hint);
                leader.is_none() || hint != leader || self.is_untold(*id)
            })
            .collect();
        // All of them notice before one claims; a node that has noticed claims at its next turn.
        // By turns, since a node that has to fail its first claim would otherwise be the only one
        // that ever claims.
        let claimant = usize::try_from(turn).unwrap_or(0) % lost.len().max(1);
        for (index, id) in lost.iter().enumerate() {
            if index != claimant
                && self
                    .world
                    .node(*id)
                    .is_some_and(|it| it.leader_hint().is_some())
            {
                self.fire(*id, Timer::Election);
            }
        }
        if let Some(id) = lost.get(claimant) {
            self.fire(*id, Timer::Election);
        }
    }

    /// True if a node is no member, follows the leader and is behind it after all messages were repeated: the leader
    /// sends heartbeats only to members and to those that have answered the last ones, and this node hears it no more.
    fn is_untold(&self, id: NodeId) -> bool {
        let leader = self.leader().and_then(|leader| self.world.node(leader));
        leader.is_some_and(|leader| !leader.members().contains(id)) && self.is_behind(id)
    }

    /// True if a node has applied less than the leader.
    fn is_behind(&self, id: NodeId) -> bool {
        let leader = self.leader().and_then(|leader| self.world.node(leader));
        let node = self.world.node(id);
        leader
            .zip(node)
            .is_some_and(|(leader, node)| node.applied() < leader.applied())
    }

    /// Fires a timer if it is armed, and delivers what follows. Without the check, timers would
    /// fire that no clock could bring about.
    fn fire(&mut self, node: NodeId, timer: Timer) {
        let armed = |it: &Member| it.armed().any(|armed| armed == timer);
        if self.world.broken.is_some() || !self.world.node(node).is_some_and(armed) {
            return;
        }
        // A fixed choice could ask the same silent peer for ever.
        self.chance += 1;
        let chances = self
            .world
            .node(node)
            .map_or(1, |node| Explorer::chances(timer, node));
        let chance = self.chance % chances;
        self.explorer.act(
            &mut self.world,
            (node, None),
            &mut (),
            |node, outbox, facts| {
                node.fire(timer, chance, outbox, facts);
            },
        );
        self.deliver_all();
    }

    /// Delivers all messages, and those that follow from them.
    fn deliver_all(&mut self) {
        for _ in 0..DELIVERIES_MAX {
            let Some(message) = self.world.in_flight().first().cloned() else {
                return;
            };
            if self.world.broken.is_some() {
                return;
            }
            self.world.forget(&message);
            // What the stopped node is sent is lost, and what it has sent before still arrives.
            if Some(message.envelope().to) == self.dark {
                continue;
            }
            self.world = self.explorer.step(&self.world, &Action::Deliver(message));
        }
        self.fails("the faults have ended, and the nodes do not stop sending".to_owned());
    }
}
