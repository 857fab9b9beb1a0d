//! Determinism: whole simulated runs give the same events and digests in every build. The tests are a binary of their
//! own so that they can be compiled for release as well, without the rest.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod simulation;
