//! Tests of the judge: records of simulated runs are in order, and what is forged in them is found.

use super::{Judgement, judge};
use crate::record::Recorder;
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::OnceLock;
use std::thread;
use synod::machines::Kv;
use synod::simulation::{
    Disks, FaultSet, Faults, Fixed, KvScript, Observer, Scenario, Setting, Simulation, StepsTaken,
    Swarm, Trial, Verdict, Violation,
};
use synod::{Instant, Node, NodeId, Record, Tracer};

mod forgeries;

type Machine = Kv<16>;

/// Nodes on disks, with every kind of fault.
struct OnDisks;

impl Setting<16, 16, 2> for OnDisks {
    type Machine = Machine;
    type Workload = KvScript;
    type Nemesis = Faults;
    type Stores = Disks<7, { 64 << 10 }>;
    type Room = Fixed<7, 1024>;
}

type World = Simulation<OnDisks, 16, 16, 2>;

/// A recorder for each node of a simulation.
#[derive(Clone, Default)]
struct Recorders(Rc<RefCell<BTreeMap<NodeId, Recorder<Vec<u8>>>>>);

impl Recorders {
    fn with(&self, node: NodeId, act: impl FnOnce(&mut Recorder<Vec<u8>>)) {
        let mut recorders = self.0.borrow_mut();
        let new = || Recorder::new(Vec::new());
        act(recorders.entry(node).or_insert_with(new));
    }

    fn records(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let recorders = self.0.borrow();
        let record = |(node, recorder): (&NodeId, &Recorder<Vec<u8>>)| {
            let path = PathBuf::from(format!("{}.record", node.0));
            (path, recorder.sink().clone())
        };
        recorders.iter().map(record).collect()
    }
}

impl Tracer<Machine, 2> for Recorders {
    fn record(&mut self, record: &Record<'_, Machine, 2>) {
        self.with(record.node, |recorder| recorder.record(record));
    }
}

impl Observer<Machine, 16, 16, 2> for Recorders {
    fn stepped(&mut self, taken: &StepsTaken<'_, Machine, 16, 16, 2>) -> Result<(), Violation> {
        self.with(taken.node.id(), |recorder| recorder.stepped(taken));
        Ok(())
    }

    fn recovered(
        &mut self,
        _at: Instant,
        node: &Node<Machine, 16, 16, 2>,
    ) -> Result<(), Violation> {
        self.with(node.id(), |recorder| {
            // What was not handed over yet is gone with the process.
            *recorder = Recorder::new(recorder.sink().clone());
            recorder.started(node, 6);
        });
        Ok(())
    }
}

/// Runs a trial, and returns the records of its nodes. Those that run at the end are stopped, if `in_order`.
fn recorded(trial: &Trial, in_order: bool) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut world = Box::new(World::idle());
    let faults = Faults::new(&trial.scenario, trial.weather, &trial.plan);
    let script = KvScript::new(trial.requests);
    world
        .start_against(&trial.scenario, script, faults)
        .unwrap();
    let recorders = Recorders::default();
    for node in world.nodes() {
        recorders.with(node.id(), |recorder| recorder.started(node, 6));
    }
    let verdict = world.run_observed(&mut recorders.clone(), &mut recorders.clone());
    assert!(
        !matches!(verdict, Verdict::Violated(_)),
        "{verdict:?} in {trial:?}"
    );
    if in_order {
        for node in world.nodes() {
            recorders.with(node.id(), Recorder::stopped);
        }
    }
    recorders.records()
}

fn judged(records: &BTreeMap<PathBuf, Vec<u8>>) -> Judgement {
    let paths: Vec<_> = records.keys().cloned().collect();
    let open = |path: &PathBuf| Ok(Cursor::new(records[path].clone()));
    judge::<_, 16>(&paths, open).unwrap_or_else(|error| panic!("{error}"))
}

fn with_stack<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size(crate::STACK);
    thread.spawn(act).unwrap().join().unwrap()
}

#[test]
fn the_records_of_simulated_runs_with_every_fault_are_in_order() {
    with_stack(|| {
        let swarm = Swarm {
            faults: FaultSet::ALL,
            nodes: None,
        };
        let (mut decided, mut unproven, mut cut) = (0, 0, 0);
        for seed in 0..40 {
            let mut trial = swarm.draw(seed);
            trial.requests = trial.requests.min(12);
            trial.scenario.clients = trial.scenario.clients.min(8);
            let records = recorded(&trial, seed % 2 == 0);
            let judgement = judged(&records);
            assert_eq!(judgement.finding, None, "seed {seed}");
            decided += judgement.decided;
            unproven += judgement.unproven;
            cut += judgement.nodes.iter().map(|node| node.cut).sum::<u64>();
        }
        assert!(decided > 1_000, "{decided}");
        assert!(unproven < decided / 4, "{unproven} of {decided}");
        assert!(cut > 20, "{cut} lives were cut");
    });
}

/// Records of a quiet run of three nodes, which stop in good order.
fn good() -> &'static BTreeMap<PathBuf, Vec<u8>> {
    static GOOD: OnceLock<BTreeMap<PathBuf, Vec<u8>>> = OnceLock::new();
    GOOD.get_or_init(|| {
        with_stack(|| {
            let swarm = Swarm {
                faults: FaultSet::NONE,
                nodes: Some(3),
            };
            let mut trial = swarm.draw(6);
            trial.scenario = Scenario::of(6, 3);
            trial.requests = 6;
            recorded(&trial, true)
        })
    })
}
