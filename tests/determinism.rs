//! Whole simulated runs, held to what they were: the same facts in every build.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod simulation;
