//! What is looked for, and what was found.

use core::fmt;

/// Something that must hold in every walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// An acceptor says and keeps what it has written: its promise rises, and no vote is forgotten, changed or left out.
    Memory,
    /// Under one ballot a slot has one value.
    OneValue,
    /// What is accepted above a ballot under which something was chosen is the same thing.
    SafeProposal,
    /// What a leader takes for chosen a quorum has accepted.
    Quorum,
    /// What a leader says to be decided is that, and so is every vote under its ballot.
    Claim,
    /// A quorum never accepts two things for one slot, and only what a quorum has accepted is applied.
    Chosen,
    /// All nodes apply the same in a slot.
    Agreement,
    /// What is accepted somebody has asked for.
    Validity,
    /// Slots are applied one after the other, and a node never goes back.
    Order,
    /// What a slot did, and what the state is after it, is what the log says in the simplest reading.
    State,
    /// A client is answered what the log says, by what is no older than what anybody knew when it asked.
    Answer,
    /// No node halts: it would have seen a rule broken.
    Halt,
    /// Storage that nothing but losses of power happened to opens whole, and has room.
    Storage,
    /// A step says no more than there is room for.
    Bounds,
    /// When the network has healed, the cluster comes to rest and serves a client.
    Liveness,
}

impl Check {
    /// Its name.
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
            Self::Halt => "halt",
            Self::Storage => "storage",
            Self::Bounds => "bounds",
            Self::Liveness => "liveness",
        }
    }

    /// Whether whoever uses the cluster would notice, without a look at what acceptors and leaders do.
    pub const fn is_user_visible(self) -> bool {
        matches!(
            self,
            Self::Agreement
                | Self::Validity
                | Self::Order
                | Self::State
                | Self::Answer
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

/// Which checks end a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CheckSet {
    /// All of them: the earliest sign of a mistake.
    #[default]
    All,
    /// Only those of which [`Check::is_user_visible`] is true: what the mistake leads to.
    UserVisible,
}

impl CheckSet {
    /// Whether a check ends a walk.
    pub const fn includes(self, check: Check) -> bool {
        match self {
            Self::All => true,
            Self::UserVisible => check.is_user_visible(),
        }
    }
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub check: Check,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

impl CheckSet {
    /// Goes on if the check holds, or is not minded.
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
