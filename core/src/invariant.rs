//! Invariants as sentences: what is checked between two steps of a node returns the first one that does not hold.

/// Returns the sentence that says what is wrong, unless the invariant holds.
pub(crate) const fn ensure(holds: bool, broken: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(broken) }
}
