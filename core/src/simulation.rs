//! A cluster in one value: nodes, a network, clients and a clock, all of them driven by a run seed.
//!
//! The simulation is allocation-free like the rest, so that it runs on a microcontroller, where the same seed gives the
//! same facts. It drives the very [`Node`](crate::Node) that a real network would.
//!
//! # How a run goes
//!
//! A [`Scenario`] says how large the cluster is and what its links are like. [`Simulation::start`] makes its nodes,
//! clients and planned faults; [`Simulation::step`] takes the earliest event from the [`Scheduler`] and hands it to a
//! node; what the node says goes through the [`Nemesis`], which loses and delays it, back into the scheduler. A run
//! ends when the clients have all of their answers and the nodes agree, when a rule is broken, or at a bound: see
//! [`Verdict`].
//!
//! # What is checked
//!
//! A simulation itself looks for nodes that halt, differ, or give wrong answers. [`Invariants`] checks each rule of the
//! protocol from outside of the nodes, [`Pace`] what a run costs after its faults, and any other [`Observer`] what it
//! likes. [`Swarm`] draws runs with faults from a seed, and each run has a [`Digest`](crate::Digest), so that a seed is
//! enough to have it again.

mod agreement;
mod capacities;
mod client;
mod clock;
mod contention;
mod disk;
mod disks;
mod dispatch;
mod event_loop;
mod fault;
mod fault_injection;
#[cfg(feature = "flash")]
mod flash;
mod group_commit;
mod invariants;
mod liveness;
mod membership;
mod nemesis;
mod network;
mod network_conditions;
mod node_storage;
mod observer;
mod pending_output;
mod plan;
mod repetitions;
mod report;
mod scenario;
mod scheduler;
mod setting;
mod setup;
mod swarm;
mod time_budget;
mod violation;
mod workload;

pub use capacities::{Capacity, Fixed, Room, Size};
pub use client::ClientResume;
pub use clock::SKEW_MAX;
pub use contention::Contention;
pub use disk::{Disk, DiskError};
pub use disks::{DiskFigures, Disks};
pub use event_loop::Simulation;
pub use fault::{Fault, FaultKind, FaultSet, PLAN_MAX, Planned, Weather};
#[cfg(feature = "flash")]
pub use flash::{FlashFault, SimulatedFlash};
pub use invariants::{Facts, Invariants, Known, Restored, Seen};
pub use nemesis::{Fate, Faults, InTransit, Nemesis};
pub use network::{Link, Network};
pub use node_storage::{
    Deferred, Durability, Failed, Immediate, NodeStart, Perfect, Refused, Stores,
};
pub use observer::{
    Answered, Asked, Handled, NodeProgress, Observer, StepBoundary, StepsTaken, WasRead,
};
pub use plan::Plan;
pub use report::{Bound, Mark, Report, Verdict};
pub use scenario::{CLIENTS_MAX, KILLS_MAX, Kill, Placement, Scenario, ScenarioError, Target};
pub use scheduler::{Scheduled, Scheduler, SchedulerFull, SimEvent};
pub use setting::{Calm, Faulty, Setting};
pub use swarm::{Capacities, Swarm, Trial};
pub use time_budget::{Budget, Figures, Pace};
pub use violation::{Rule, Violation};
pub use workload::{BankScript, KvScript, Workload};
