//! A cluster in one value: nodes, a network, clients and a clock, all of them driven by a run seed.
//!
//! The simulation is allocation-free like the rest, so that it runs on a microcontroller, where the same seed gives the
//! same facts. It drives the very [`Node`](crate::Node) that a real network would.

mod check;
mod client;
mod network;
mod report;
mod scenario;
mod scheduler;
mod start;
mod workload;
mod world;

pub use network::Link;
pub use report::{Bound, Mark, Report, Verdict, Violation};
pub use scenario::{CLIENTS_MAX, KILLS_MAX, Kill, Placement, Scenario, ScenarioError, Target};
pub use scheduler::{Happening, Scheduled, Scheduler, SchedulerFull};
pub use workload::{BankScript, KvScript, Workload};
pub use world::Simulation;
