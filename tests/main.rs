//! Integration tests of the protocol: scripted clusters of real nodes, and simulated clusters with fault injection.
//!
//! A test that shows a rule of `core/RULES.md` has the rule's id as its prefix. No test sleeps or reads a clock, so
//! every failure repeats. The other test binaries of this package are `determinism`, `allocation` and `museum`.

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
mod disk_latency;
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
mod membership;
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
mod reads;
#[cfg(test)]
mod recovery_time;
#[cfg(test)]
mod replacements;
#[cfg(test)]
mod replication;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod snapshot_runs;
#[cfg(test)]
mod snapshot_transfer_under_load;
#[cfg(test)]
mod timers;
