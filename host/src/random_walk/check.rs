//! Checks of a random walk, and their violations.
//!
//! They overlap on purpose. A mistake shows first where it is made, as a vote that is lost or a
//! message that lies, and later as harm: two answers that contradict each other. Reports name the
//! first sign. With [`CheckSet::UserVisible`] only harm counts, which shows that the first signs
//! are no inventions of the checker.

use core::fmt;

/// A property that must hold in every walk.
///
/// A mistake mostly violates several in turn, from a vote up to an answer. The first one names the
/// walk in reports and in the table of the museum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// An acceptor reports and keeps what it has written: its promise increases, and no vote is lost, changed or left
    /// out.
    Memory,
    /// A ballot has at most one value for a slot.
    OneValue,
    /// A value accepted above a ballot under which a value was chosen is the same value.
    SafeProposal,
    /// A value that a leader takes for chosen was accepted by a quorum.
    Quorum,
    /// A value that a leader announces as decided is decided, and so is every vote under its ballot.
    Claim,
    /// A quorum never accepts two values for one slot, and only values accepted by a quorum are applied.
    Chosen,
    /// All nodes apply the same value in a slot.
    Agreement,
    /// Only values that a client requested are accepted.
    Validity,
    /// Slots are applied in order, and a node never goes back.
    Order,
    /// The effect of a slot, and the state after it, are those of the reference implementation.
    State,
    /// An answer to a client is that of the log, and not older than any answer known when the request was made.
    Answer,
    /// A state that a client reads without a slot of the log is not older than any answer known when the read was asked.
    Read,
    /// A node takes part only in the epoch that it is in, and only as a member of it. Nothing is accepted above a change
    /// that ends the epoch, and an epoch that was entered is not forgotten.
    Membership,
    /// No node halts because it saw a violation.
    Halt,
    /// Undamaged storage opens intact after losses of power, and has room.
    Storage,
    /// A step produces no more output than the outbox has room for.
    Bounds,
    /// After all faults have ended, the cluster comes to rest and serves a client.
    Liveness,
}

impl Check {
    /// Returns the name: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::OneValue => "one-value",
            Self::SafeProposal => "safe-proposal",
            Self::Quorum => "quorum",
            Self::Claim => "claim",
            Self::Chosen => "chosen",
            Self::Agreement => "agreement",
            Self::Validity => "validity",
            Self::Order => "order",
            Self::State => "state",
            Self::Answer => "answer",
            Self::Read => "read",
            Self::Membership => "membership",
            Self::Halt => "halt",
            Self::Storage => "storage",
            Self::Bounds => "bounds",
            Self::Liveness => "liveness",
        }
    }

    /// True if a user of the cluster would notice the violation, without a view of acceptors and leaders.
    pub const fn is_user_visible(self) -> bool {
        matches!(
            self,
            Self::Agreement
                | Self::Validity
                | Self::Order
                | Self::State
                | Self::Answer
                | Self::Read
                | Self::Halt
                | Self::Storage
                | Self::Liveness
        )
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Set of checks that end a walk.
///
/// ```
/// use synod_host::random_walk::{Check, CheckSet};
///
/// assert!(CheckSet::All.includes(Check::Memory));
/// assert!(!CheckSet::UserVisible.includes(Check::Memory), "no client sees an acceptor");
/// assert!(CheckSet::UserVisible.includes(Check::Agreement));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CheckSet {
    /// All checks, which reveal a mistake at its earliest sign.
    #[default]
    All,
    /// The checks for which [`Check::is_user_visible`] is true, which reveal the consequences of a mistake.
    UserVisible,
}

impl CheckSet {
    /// True if a check ends a walk.
    pub const fn includes(self, check: Check) -> bool {
        match self {
            Self::All => true,
            Self::UserVisible => check.is_user_visible(),
        }
    }
}

/// A failed check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check.
    pub check: Check,
    /// Description of the evidence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

impl CheckSet {
    /// Returns an error if a check of this set fails. The description is made only for a failure,
    /// since checks are made millions of times.
    pub(super) fn ensure(
        self,
        check: Check,
        holds: bool,
        what: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        if holds || !self.includes(check) {
            return Ok(());
        }
        let what = what();
        Err(Violation { check, what })
    }
}
