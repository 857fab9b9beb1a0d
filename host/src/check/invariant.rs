//! What must hold in every state.

use core::fmt;

/// What must hold after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// One ballot has one value for a slot.
    OneValue,
    /// One value is chosen for a slot: no two quorums accept two.
    Agreement,
    /// Above a ballot under which a value was chosen, nothing else is accepted.
    Succession,
    /// What is applied, or said to be chosen, was chosen; and the log is the same everywhere and for ever.
    Decision,
    /// Nothing is accepted that nobody asked for, no-ops apart.
    Validity,
    /// What a node has promised never falls, and no claim is made twice.
    Promise,
    /// What an acceptor holds and reports is what it has written; all of it, until it is applied there.
    Memory,
    /// Nodes that have applied as far are in the same state.
    State,
    /// A request takes effect once, and its answer is the one of that time.
    Once,
    /// No node finds proof of a broken rule, and halts.
    Halt,
    /// No assertion in a node fails; seen in builds with debug assertions.
    Assertion,
    /// Storage that nothing but losses of power happened to opens whole, and has room.
    Storage,
    /// Once the network has healed, the cluster comes to rest and serves a client; also without its leader, where a majority
    /// is left.
    Progress,
}

impl Invariant {
    /// Every one, in the order of the variants.
    pub const ALL: [Self; 13] = [
        Self::OneValue,
        Self::Agreement,
        Self::Succession,
        Self::Decision,
        Self::Validity,
        Self::Promise,
        Self::Memory,
        Self::State,
        Self::Once,
        Self::Halt,
        Self::Assertion,
        Self::Storage,
        Self::Progress,
    ];

    /// Its name: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneValue => "one_value",
            Self::Agreement => "agreement",
            Self::Succession => "succession",
            Self::Decision => "decision",
            Self::Validity => "validity",
            Self::Promise => "promise",
            Self::Memory => "memory",
            Self::State => "state",
            Self::Once => "once",
            Self::Halt => "halt",
            Self::Assertion => "assertion",
            Self::Storage => "storage",
            Self::Progress => "progress",
        }
    }
}

/// An invariant that does not hold, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// What happened, in one line.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.what)
    }
}
