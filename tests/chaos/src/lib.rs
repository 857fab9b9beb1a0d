//! Campaigns against real nodes: processes of `synod node`, clients, and faults that are drawn from a seed. What clients
//! were told is held to linearizability.
//!
//! A campaign follows from its seed as far as its plan goes. Processes, sockets and disks take their own time, so that a
//! repetition strikes in the same order and may still take another course.

#![cfg(unix)]

pub mod campaign;
pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod connection;
pub mod history;
pub mod model;
pub mod nodes;
mod peace;
pub mod plan;
pub mod program;
pub mod proxy;
pub mod random;
pub mod report;
pub mod resp;
pub mod strikes;
pub mod workload;
