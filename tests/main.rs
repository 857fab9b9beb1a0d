//! Integration tests of the protocol: scripted clusters of real nodes, and simulated ones with faults.
//!
//! Tests that show a rule are named after it. None of them sleeps or reads a clock; each failure repeats.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod admission;
#[cfg(test)]
mod capacity;
#[cfg(test)]
mod client_sessions;
#[cfg(test)]
mod disk_faults;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod downstream_crates;
#[cfg(test)]
mod duplicate_identity;
#[cfg(test)]
mod elections;
#[cfg(test)]
mod endurance;
#[cfg(test)]
mod fencing;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod fuzz_corpus;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod liveness;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod partial_partitions;
#[cfg(test)]
mod planned_faults;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random_schedules;
#[cfg(test)]
mod random_walks;
#[cfg(test)]
mod recovery_time;
#[cfg(test)]
mod replication;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod snapshot_transfer_under_load;
#[cfg(test)]
mod timers;
