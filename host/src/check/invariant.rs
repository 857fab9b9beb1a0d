//! Invariants of the model checker: what must hold in every state of a cluster.
//!
//! Each is a statement about a cluster that a user or the protocol relies on, and none is about how
//! a node keeps it. The first that is violated ends an exploration. They are checked from the
//! earliest sign to the latest consequence: a node that forgets a vote violates `memory` long
//! before two values are chosen.

use core::fmt;

/// A property that must hold after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// A ballot has at most one value for a slot.
    OneValue,
    /// At most one value is chosen for a slot: no two quorums of one epoch accept different ones.
    Agreement,
    /// Above a ballot under which a value was chosen, no other value is accepted in the same epoch.
    Succession,
    /// A value that is applied, or announced as decided, was chosen in the epoch that has its slot; and the log is the same everywhere and never
    /// changes.
    Decision,
    /// Only values that a client requested are accepted, except no-ops.
    Validity,
    /// The promise of a node never decreases, and no ballot is claimed twice.
    Promise,
    /// The votes that an acceptor holds and reports are exactly those it has written, until it has applied their slots.
    Memory,
    /// A node votes, claims and leads only in epochs of which it is a member, and in none before it has applied the end of
    /// the one before. A leader proposes nothing above a change that ends its epoch.
    Membership,
    /// Nodes that have applied the same slots are in the same state.
    State,
    /// A request takes effect once, and its answers are those of that time.
    Once,
    /// A state that a client reads without a slot of the log is not older than what any client was told before the read was
    /// asked.
    Read,
    /// No node halts because it saw a violation.
    Halt,
    /// No assertion in a node fails; checked in builds with debug assertions.
    Assertion,
    /// Undamaged storage opens intact after losses of power, and has room.
    Storage,
    /// After all faults have ended, the cluster comes to rest and serves a client; also without its leader if a
    /// majority is left.
    Progress,
}

impl Invariant {
    /// All invariants, in the order of the variants.
    pub const ALL: [Self; 15] = [
        Self::OneValue,
        Self::Agreement,
        Self::Succession,
        Self::Decision,
        Self::Validity,
        Self::Promise,
        Self::Memory,
        Self::Membership,
        Self::State,
        Self::Once,
        Self::Read,
        Self::Halt,
        Self::Assertion,
        Self::Storage,
        Self::Progress,
    ];

    /// Returns the name: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneValue => "one_value",
            Self::Agreement => "agreement",
            Self::Succession => "succession",
            Self::Decision => "decision",
            Self::Validity => "validity",
            Self::Promise => "promise",
            Self::Memory => "memory",
            Self::Membership => "membership",
            Self::State => "state",
            Self::Once => "once",
            Self::Read => "read",
            Self::Halt => "halt",
            Self::Assertion => "assertion",
            Self::Storage => "storage",
            Self::Progress => "progress",
        }
    }
}

/// A violated invariant with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// The invariant.
    pub invariant: Invariant,
    /// Description of the evidence, in one line.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.what)
    }
}
