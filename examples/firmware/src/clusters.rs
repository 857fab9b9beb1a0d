//! The simulated clusters whose digests a host and the boards compare.
