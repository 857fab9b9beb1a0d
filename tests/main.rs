//! Integration tests of the protocol: scripted clusters of real nodes, and simulated ones with faults.
//!
//! Tests that show a rule are named after it. None of them sleeps or reads a clock; each failure repeats.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod load;
#[cfg(test)]
mod log;
#[cfg(test)]
mod oracle;

#[cfg(test)]
mod capacity;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod deciding;
#[cfg(test)]
mod disks;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod electing;
#[cfg(test)]
mod endurance;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fencing;
#[cfg(test)]
mod fetching;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod linked;
#[cfg(test)]
mod liveness;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random_walk;
#[cfg(test)]
mod reaching;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod timers;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod twins;
