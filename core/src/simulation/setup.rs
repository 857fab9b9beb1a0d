//! The setup of a run: its nodes, clients, kills and planned faults are created in place.
//!
//! A simulation is a large value that is used again: a sweep runs a million seeds in the memory of one. So everything
//! is reset in place, and a test compares a simulation that was used before with a new one. A scenario is checked as a
//! whole first, so that a refusal leaves the run before it as it was.

use super::capacities::{Capacity, EventQueue, List, Ring, Room};
use super::client::Client;
use super::event_loop::{Counts, Member, Simulation};
use super::nemesis::Nemesis;
use super::network::Network;
use super::node_storage::{NodeStart, Perfect, Stores};
use super::plan::Plan;
use super::scenario::{Placement, Scenario, ScenarioError};
use super::scheduler::SimEvent;
use super::setting::Setting;
use crate::random::{Purpose, stream};
use crate::{AnyOutbox, Duration, Instant, Node, NodeId};
use rand_core::Rng;

impl<S, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P>
where
    S: Setting<W, C, P, Nemesis = Network, Stores = Perfect>,
{
    /// A simulation at the beginning of a run: node 0 founds the cluster and the others join it.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`]: what in the scenario there is no room for, or cannot be.
    pub fn new(scenario: &Scenario, workload: S::Workload) -> Result<Self, ScenarioError> {
        let mut simulation = Self::idle();
        simulation.start(scenario, workload)?;
        Ok(simulation)
    }

    /// Discards the present run, if any, and sets up another, on a network that only loses and delays.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`]: what in the scenario there is no room for, or cannot be. Nothing was changed then.
    pub fn start(
        &mut self,
        scenario: &Scenario,
        workload: S::Workload,
    ) -> Result<(), ScenarioError> {
        let network = Network::new(scenario.link, scenario.run_seed);
        self.start_against(scenario, workload, network)
    }
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    const CHECKED: () = {
        assert!(
            Node::<S::Machine, W, C, P>::OUTBOX_MIN <= Self::OUTBOX,
            "WINDOW or CLIENTS is too large for the outbox of the simulation's room"
        );
        assert!(
            Self::EVENTS > Self::NODES + C,
            "the room of a simulation must hold a wake for every node and a turn for every client among its events"
        );
    };

    /// A simulation without nodes, in which nothing happens until [`Simulation::start`]. To start it in its place, and to
    /// start one again for the next seed, spares copying a large value.
    pub fn idle() -> Self
    where
        S::Stores: Default,
    {
        Self::idle_on(S::Stores::default())
    }

    /// As [`Simulation::idle`], with storage that may hold the state of earlier runs.
    pub fn idle_on(stores: S::Stores) -> Self {
        let () = Self::CHECKED;
        Self {
            now: Instant::ZERO,
            scheduler: EventQueue::new(),
            nemesis: S::Nemesis::default(),
            members: List::new(),
            clients: List::new(),
            workload: None,
            outbox: AnyOutbox::new(),
            stores,
            pending: List::new(),
            kills: heapless::Vec::new(),
            ledger: Ring::new(),
            violation: None,
            busy_clients: 0,
            run_seed: 0,
            think: Duration::ZERO,
            patience: None,
            asks_joining: false,
            reads: false,
            retry: Duration::ZERO,
            gather: Duration::ZERO,
            time_max: Duration::ZERO,
            events_max: 0,
            counts: Counts::default(),
        }
    }

    /// Discards the present run, if any, and sets up another, against a nemesis.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`]: what in the scenario there is no room for, or cannot be. Nothing was changed then.
    pub fn start_against(
        &mut self,
        scenario: &Scenario,
        workload: S::Workload,
        nemesis: S::Nemesis,
    ) -> Result<(), ScenarioError> {
        // A turn of every client must find room; that a node has fewer sessions than there are clients costs some their own.
        let turns = Self::EVENTS.saturating_sub(Self::NODES + 1);
        scenario.validate(Self::NODES, turns.min(<S::Room as Room>::Clients::MAX))?;
        for planned in nemesis.plan().into_iter().flat_map(Plan::faults) {
            planned.validate(scenario.nodes)?;
        }
        self.now = Instant::ZERO;
        self.scheduler.clear();
        self.nemesis = nemesis;
        self.members.clear();
        self.clients.clear();
        self.workload = Some(workload);
        self.outbox.reset();
        // Before the nodes, which start from what the stores have.
        self.stores.begin(scenario);
        self.reset_pending(scenario.nodes.into(), scenario.early);
        self.kills.clone_from(&scenario.kills);
        self.ledger.clear();
        self.violation = None;
        self.busy_clients = scenario.clients;
        self.run_seed = scenario.run_seed;
        self.think = scenario.think;
        // Whoever has none at all would ask again in the same instant for ever.
        let least = Duration::from_millis(1);
        self.patience = scenario.patience.map(|patience| patience.max(least));
        self.asks_joining = scenario.asks_joining;
        self.reads = scenario.reads;
        // A client of a link that takes no time would ask again in the same instant for ever.
        self.retry = scenario.link.round_trip_max().max(Duration::from_millis(1));
        self.gather = scenario.gather;
        self.time_max = scenario.time_max;
        self.events_max = scenario.events_max;
        self.counts = Counts::default();
        debug_assert!(
            self.scheduler.queued() == 0 && self.members.is_empty() && self.clients.is_empty(),
            "a run depends on the one before it"
        );
        // Nodes, clients, kills and faults, in this order: it decides what happens first of what is planned for one instant.
        for number in 0..scenario.nodes {
            self.add_node(scenario, NodeId(number))?;
        }
        debug_assert_eq!(
            self.members.len(),
            usize::from(scenario.nodes),
            "a node is found by its number"
        );
        self.add_clients(scenario);
        debug_assert!(
            self.scheduler.queued() >= self.clients.len(),
            "a client without a turn would never ask"
        );
        for (index, kill) in (0..).zip(&scenario.kills) {
            let _ = self.scheduler.push(kill.at, SimEvent::Kill(index));
        }
        self.schedule_faults();
        Ok(())
    }

    fn schedule_faults(&mut self) {
        let Some(plan) = self.nemesis.plan_mut() else {
            return;
        };
        let mut open = 0;
        for (index, planned) in (0..).zip(plan.faults()) {
            // Where the scheduler has no room, the fault does not come.
            let begin = SimEvent::BeginFault(index);
            open += u16::from(self.scheduler.push(planned.at, begin).is_ok());
        }
        plan.open = open;
        debug_assert!(
            usize::from(open) <= plan.len(),
            "more faults are open than are planned"
        );
    }

    /// Adds a node. On a target the function has a stack frame of its own: the node lies in it for a moment, and the run needs
    /// the stack for other things.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn add_node(&mut self, scenario: &Scenario, node: NodeId) -> Result<(), ScenarioError> {
        let config = scenario.config(node);
        let is_absent = scenario.absent.contains(node);
        // Perfect storage has no part in a first start, so that its code is left out of it.
        let built = if Self::DEFERRED && !is_absent {
            let start = NodeStart {
                now: Instant::ZERO,
                config,
                run_seed: scenario.run_seed,
                incarnation: 0,
            };
            let built = self.stores.start(start, None);
            Ok(built.map_err(|_| ScenarioError::Refused(node))?)
        } else if config.node == config.founder && !is_absent {
            Node::found(config, scenario.run_seed, Instant::ZERO)
        } else {
            Node::join(config, scenario.run_seed, Instant::ZERO)
        };
        let member = built.map(|mut node| {
            // The one of the scenario, which without the feature `mutants` is none.
            node.set_mistake(scenario.mistake());
            Member {
                node,
                live: !is_absent,
                wake: Instant::FAR_FUTURE,
            }
        });
        // The settings of a scenario that was checked are sound, and there is room.
        let added = member.is_ok_and(|member| self.members.push(member).is_ok());
        debug_assert!(added, "a checked scenario has sound settings");
        if !added {
            return Err(ScenarioError::Nodes { max: 0 });
        }
        if !is_absent {
            self.schedule_wake(node);
        }
        Ok(())
    }

    /// Adds the clients. Their nonces are the first draws of the stream of the workload, one for each.
    ///
    /// Two clients with one nonce would share a session. Of 64 clients, the most there are, two draw the same 32 bits in
    /// one of two million runs.
    fn add_clients(&mut self, scenario: &Scenario) {
        let mut rng = stream(scenario.run_seed, Purpose::Workload);
        for index in 0..scenario.clients {
            let node = match scenario.placement {
                Placement::One(node) => node,
                Placement::Spread => NodeId(index.checked_rem(scenario.nodes).unwrap_or(0)),
            };
            // Room for them was checked.
            let _ = self
                .clients
                .push(Client::new(node, u64::from(rng.next_u32())));
            let _ = self.scheduler.push(Instant::ZERO, SimEvent::Client(index));
        }
        debug_assert_eq!(
            self.clients.len(),
            usize::from(self.busy_clients),
            "a client that is not there would never be done"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::machines::Kv;
    use crate::simulation::{Calm, KvScript, Size, Verdict};

    type Small = Simulation<Calm<Kv<16>, KvScript, 3, 256>, 16, 16, 2>;

    /// The same in less room.
    #[derive(Debug)]
    struct Scant;

    impl Setting<16, 16, 2> for Scant {
        type Machine = Kv<16>;
        type Workload = KvScript;
        type Nemesis = Network;
        type Stores = Perfect;
        type Room = Self;
    }

    impl Room for Scant {
        type Nodes = Size<3>;
        type Events = Size<256>;
        type Outbox = Size<46>;
        type Ledger = Size<16>;
        type Clients = Size<11>;
        type History = Size<16>;
    }

    fn run(simulation: &mut Small) -> Digest {
        let mut digest = Digest::new();
        assert_eq!(simulation.run(&mut digest), Verdict::Done);
        digest
    }

    #[test]
    fn a_simulation_that_is_started_again_runs_as_a_new_one() {
        let scenario = Scenario::of(6, 3);
        let mut simulation = Small::new(&Scenario::of(7, 2), KvScript::new(3)).unwrap();
        run(&mut simulation);
        simulation.start(&scenario, KvScript::new(11)).unwrap();
        let mut fresh = Small::new(&scenario, KvScript::new(11)).unwrap();
        assert_eq!(run(&mut simulation), run(&mut fresh));
        assert_eq!(simulation.report(), fresh.report());
    }

    #[test]
    fn less_room_gives_the_same_facts() {
        type Tight = Simulation<Scant, 16, 16, 2>;
        let scenario = Scenario::of(6, 3);
        let mut ample = Small::new(&scenario, KvScript::new(11)).unwrap();
        let (mut tight, mut digest) = (Tight::idle(), Digest::new());
        tight.start(&scenario, KvScript::new(11)).unwrap();
        assert_eq!(tight.run(&mut digest), Verdict::Done);
        assert_eq!(digest, run(&mut ample));
        let crowd = Scenario {
            clients: 12,
            ..scenario
        };
        let error = tight.start(&crowd, KvScript::new(11));
        assert_eq!(error, Err(ScenarioError::Clients { max: 11 }));
    }

    #[test]
    fn what_cannot_be_changes_nothing() {
        let mut simulation = Small::new(&Scenario::of(6, 3), KvScript::new(11)).unwrap();
        let error = simulation.start(&Scenario::of(6, 4), KvScript::new(1));
        assert_eq!(error, Err(ScenarioError::Nodes { max: 3 }));
        run(&mut simulation);
        assert_eq!(simulation.report().right, 121);
    }

    #[test]
    fn a_simulation_that_was_never_started_is_over() {
        assert!(matches!(Small::idle().run(&mut ()), Verdict::Stalled(_)));
    }
}
