//! The test harness: a scripted cluster of real nodes, invariant checks after each of its steps, and sources of load
//! and faults.

pub(crate) mod cluster;
pub(crate) mod invariant_checks;
pub(crate) mod load;
pub(crate) mod random_faults;
pub(crate) mod trace;
