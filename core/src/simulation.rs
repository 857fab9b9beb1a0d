//! A cluster in one value: nodes, a network, clients and a clock, all of them driven by a run seed.
//!
//! The simulation is allocation-free like the rest, so that it runs on a microcontroller, where the same seed gives the
//! same facts. It drives the very [`Node`](crate::Node) that a real network would.

mod carry;
mod check;
mod client;
mod clock;
mod conditions;
mod contest;
mod disk;
mod disks;
mod fault;
#[cfg(feature = "flash")]
mod flash;
mod held;
mod invariants;
mod keep;
mod liveness;
mod nemesis;
mod network;
mod observer;
mod pace;
mod plan;
mod report;
mod room;
mod scenario;
mod scheduler;
mod setting;
mod start;
mod stores;
mod strike;
mod swarm;
mod violation;
mod workload;
mod world;

pub use client::Past;
pub use clock::SKEW_MAX;
pub use contest::Contest;
pub use disk::{Disk, DiskError};
pub use disks::{DiskFigures, Disks};
pub use fault::{Fault, FaultKind, FaultSet, PLAN_MAX, Planned, Weather};
#[cfg(feature = "flash")]
pub use flash::{FlashFault, SimulatedFlash};
pub use invariants::{Invariants, Seen};
pub use nemesis::{Fate, Faults, Nemesis, Passing};
pub use network::{Link, Network};
pub use observer::{Answered, Asked, Observer, Seam, Stand, Taken};
pub use pace::{Budget, Figures, Pace};
pub use plan::Plan;
pub use report::{Bound, Mark, Report, Verdict};
pub use room::{Capacity, Fixed, Room, Size};
pub use scenario::{CLIENTS_MAX, KILLS_MAX, Kill, Placement, Scenario, ScenarioError, Target};
pub use scheduler::{Happening, Scheduled, Scheduler, SchedulerFull};
pub use setting::{Calm, Faulty, Setting};
pub use stores::{Birth, Deferred, Durability, Failed, Immediate, Perfect, Refused, Stores};
pub use swarm::{Capacities, Swarm, Trial};
pub use violation::{Rule, Violation};
pub use workload::{BankScript, KvScript, Workload};
pub use world::Simulation;
