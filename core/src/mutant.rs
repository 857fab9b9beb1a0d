//! Mutants for mutation testing: typical mistakes in implementations of Multi-Paxos, each of which can be activated in
//! a node.
//!
//! Each mutant is one expression at the place that implements the rule which it breaks:
//! `self.mistake.is(Mutant::PromiseFalls)`. Without the cargo feature `mutants` that expression is `false` and a
//! [`Mistake`] has no size, so no part of a mutant is in an image.

#[cfg(feature = "mutants")]
use core::fmt;
#[cfg(feature = "mutants")]
use core::str::FromStr;

macro_rules! museum {
    ($($variant:ident $name:literal $rule:literal $summary:literal)*) => {
        /// A mistake that can be activated in a node: see [`Node::mutate`](crate::Node::mutate).
        ///
        /// There is one for each rule whose violation has been published, was found in a program, or is an easy mistake
        /// to make. Each is caught by the checks of this project; the command `synod museum` shows by which.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(
            not(feature = "mutants"),
            expect(unreachable_pub, reason = "public under the feature alone")
        )]
        #[non_exhaustive]
        pub enum Mutant {
            $(
                #[cfg_attr(feature = "mutants", doc = include_str!(concat!("../museum/", $name, ".md")))]
                $variant,
            )*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// All mutants, in the order of the roles that make the mistakes.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the id of the rule that it breaks, as in [`rules`](crate::rules).
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$variant => $rule,)* }
            }

            /// Returns a description in one line.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }
        }
    };
}

museum! {
    PromiseFalls "promise-falls" "A1"
        "an acceptor promises whatever it is asked for, even below its promise"
    PromiseIgnored "promise-ignored" "A2"
        "an acceptor accepts under any ballot, even below its promise"
    AcceptKeepsPromise "accept-keeps-promise" "A2"
        "an acceptor accepts under a higher ballot and does not promise it"
    OneBallotForBoth "one-ballot-for-both" "A3"
        "an acceptor has one ballot for its promise and for its votes"
    VoteOverwritten "vote-overwritten" "A4"
        "a leader gives a slot away twice, and an acceptor takes the second value for the first"
    ForgetsUnapplied "forgets-unapplied" "A5"
        "an acceptor whose window is full forgets its oldest vote, applied or not"
    StaleAdopted "stale-adopted" "S5"
        "a scout counts promises that answer one of its former ballots"
    FirstSeenAdopted "first-seen-adopted" "S4"
        "a scout adopts what it hears first for a slot, not what has the highest ballot"
    PageCountedEarly "page-counted-early" "S2"
        "a scout counts an acceptor with the first page of its promise"
    RoundReused "round-reused" "S1"
        "a node does not keep its own claim over a restart, and claims the same ballot again"
    LowWaterIgnored "low-water-ignored" "S6"
        "a leader proposes in slots that others have applied and forgotten"
    EarlyNoops "early-noops" "L1"
        "a scout fills holes with no-ops before a quorum has told everything"
    AdoptedIgnored "adopted-ignored" "L1"
        "a new leader starts with new commands, and not with what it adopted"
    HolesLeft "holes-left" "L1"
        "a new leader leaves holes in the log to whoever may fill them"
    SlotGivenTwice "slot-given-twice" "L2"
        "a new leader gives away a slot for which it has adopted something"
    QuorumTooSmall "quorum-too-small" "C2"
        "a commander takes half of the members, rounded down, for a quorum"
    StaleVotesCounted "stale-votes-counted" "C1"
        "a leader counts votes that answer one of its former ballots"
    VotersCountedTwice "voters-counted-twice" "C1"
        "a commander counts answers, and not who answered"
    OwnVoteImplied "own-vote-implied" "C4"
        "a leader counts its own vote without having its acceptor cast it"
    AnyVoteDecides "any-vote-decides" "C3"
        "a replica takes a vote for the decision under whatever ballot it was cast"
    OverruledGoesOn "overruled-goes-on" "C3"
        "a leader that learns that its slot was decided otherwise announces it as its own"
    GapsSkipped "gaps-skipped" "R2"
        "a replica applies the next decision that it has, over a gap"
    GapsNeverAsked "gaps-never-asked" "R2"
        "a replica that misses a decision waits for it and asks nobody"
    SessionSkipped "session-skipped" "X1"
        "a replica applies a request as often as it was decided"
    SessionFilledEarly "session-filled-early" "X1"
        "a replica fills the session when a request comes in, and not when it is applied"
    SessionsNotInSnapshot "sessions-not-in-snapshot" "X3"
        "a snapshot holds the state and not the sessions"
    LowWaterUntold "low-water-untold" "T2"
        "an acceptor does not tell up to where it has forgotten"
    SnapshotTorn "snapshot-torn" "T4"
        "a snapshot changes while it is sent, and nobody compares digests"
    SnapshotGoesBack "snapshot-goes-back" "T4"
        "a replica installs a snapshot that is older than its state"
    Amnesia "amnesia" "D2"
        "a node comes back from a restart with an empty acceptor"
    NewestVoteLost "newest-vote-lost" "D2"
        "a node comes back from a restart without the last vote that it cast"
    StartsEmpty "starts-empty" "D2"
        "a node that has lost its storage comes back as one that votes"
    SentBeforeSynced "sent-before-synced" "D1"
        "what a step says leaves the node before what it has written is durable"
    VoteSentEarly "vote-sent-early" "D1"
        "an acceptor answers an accept before its vote is durable"
    PrepareSentEarly "prepare-sent-early" "D1"
        "a node claims a ballot before its own promise of it is durable"
    FenceIgnored "fence-ignored" "D1"
        "a node whose storage has failed goes on as if it had not"
    StaleRead "stale-read" "Q1"
        "a leader answers reads from its own state, without the log"
    ReadUnconfirmed "read-unconfirmed" "Q2"
        "a leader tells a reader what it has decided, without asking whether it still leads"
    RoundOverlooked "round-overlooked" "Q2"
        "a leader counts what members have confirmed before the question came"
    ReadBeforeAdopted "read-before-adopted" "Q3"
        "a new leader answers readers before all that it adopted is decided"
    LaterReadsCovered "later-reads-covered" "Q4"
        "a node takes an answer for one to reads that came after the question"
    ReadBeforeApplied "read-before-applied" "Q5"
        "a node reads its state as soon as the leader has answered"
    ClaimsAtOnce "claims-at-once" "L5"
        "a node whose claim has failed claims again at once"
    DeniedProbeCounted "denied-probe-counted" "L7"
        "a node claims though it is told that a leader is heard"
    OldLeaderFollowed "old-leader-followed" "F1"
        "a node takes a heartbeat for that of its leader, under whatever ballot"
    PagesTimeOut "pages-time-out" "S7"
        "a scout gives up after so many repetitions, whatever came in between"
    VoteReplayed "vote-replayed" "D2"
        "a node that starts again takes its last vote for the decision, whatever another one passed on"
    TrimmedEarly "trimmed-early" "D1"
        "a journal drops what is before a checkpoint that is not durable yet"
    RotNeverTrimmed "rot-never-trimmed" "T5"
        "a journal never drops a record that cannot be read, nor what is behind it"
    PageMarkedLast "page-marked-last" "A6"
        "an acceptor says of each page of a promise that it is the last"
    RunCountedLonger "run-counted-longer" "C1"
        "a leader counts an accepted run for one slot more than it has"
    ClaimDropped "claim-dropped" "L5"
        "a node whose claim comes to nothing does not arm its timer for the next one"
    DecisionUnwritten "decision-unwritten" "D2"
        "a replica does not write down a decision that another one has passed on"
    VotesLeftOut "votes-left-out" "T1"
        "a checkpoint lacks the votes for the slots above its snapshot"
    FoundersCounted "founders-counted" "V1"
        "a leader counts quorums over the members at the founding, whoever votes by now"
    LeadershipOutlivesEpoch "leadership-outlives-epoch" "V3"
        "a leader goes on under its old ballot after the change that ends its epoch"
    ChangeOvertaken "change-overtaken" "V2"
        "a leader assigns slots above a change that ends the epoch"
    ChangeUncompared "change-uncompared" "V4"
        "a change takes effect in whichever epoch it is decided"
    NumberReused "number-reused" "V5"
        "a change may name a node that was removed before"
    RetiredVotes "retired-votes" "V5"
        "a node that was removed goes on voting"
    VotesInAnyEpoch "votes-in-any-epoch" "V6"
        "a node votes in an epoch of which it has not applied the beginning"
    EpochUnstored "epoch-unstored" "V6"
        "a node votes in a new epoch before its state is stored"
    ChangeUnchecked "change-unchecked" "V8"
        "a leader proposes a change whose members have not caught up"
    MembersNotInSnapshot "members-not-in-snapshot" "V1"
        "a snapshot carries the members at the founding"
}

#[cfg(feature = "mutants")]
impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(feature = "mutants")]
/// No mutant has this name. [`Mutant::ALL`] lists all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownMutant;

#[cfg(feature = "mutants")]
impl fmt::Display for UnknownMutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no mutant has this name")
    }
}

#[cfg(feature = "mutants")]
impl core::error::Error for UnknownMutant {}

#[cfg(feature = "mutants")]
impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(name: &str) -> Result<Self, UnknownMutant> {
        let named = |mutant: &&Self| mutant.name() == name;
        Self::ALL.iter().find(named).copied().ok_or(UnknownMutant)
    }
}

/// The mutant that is active in a part of a node, if any. Without the feature it has no size, and none is ever active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Mistake {
    #[cfg(feature = "mutants")]
    mutant: Option<Mutant>,
}

#[cfg(feature = "mutants")]
impl Mistake {
    /// No mutant is active.
    pub(crate) const NONE: Self = Self { mutant: None };

    /// Returns the mistake of a mutant, or none.
    pub(crate) const fn of(mutant: Option<Mutant>) -> Self {
        Self { mutant }
    }

    pub(crate) const fn mutant(self) -> Option<Mutant> {
        self.mutant
    }

    /// True if `mutant` is active.
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// True if any mutant is active.
    pub(crate) const fn is_any(self) -> bool {
        self.mutant.is_some()
    }
}

#[cfg(not(feature = "mutants"))]
const _: () = assert!(
    size_of::<Mistake>() == 0,
    "without the feature no part of a mutant is in a node"
);
#[cfg(not(feature = "mutants"))]
const _: () = assert!(
    size_of::<Count>() == 0,
    "without the feature nothing is counted for a mutant"
);

#[cfg(not(feature = "mutants"))]
impl Mistake {
    pub(crate) const NONE: Self = Self {};

    /// Always false: no mutant is active without the feature.
    pub(crate) const fn is(self, _mutant: Mutant) -> bool {
        let Self {} = self;
        false
    }

    /// Always false: no mutant is active without the feature.
    pub(crate) const fn is_any(self) -> bool {
        let Self {} = self;
        false
    }
}

/// A counter that only mutants use. Without the feature it has no size, and stays 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Count {
    #[cfg(feature = "mutants")]
    value: u32,
}

impl Count {
    /// Nothing was counted.
    pub(crate) const ZERO: Self = Self {
        #[cfg(feature = "mutants")]
        value: 0,
    };

    pub(crate) const fn add_one(&mut self) {
        #[cfg(feature = "mutants")]
        {
            self.value += 1;
        }
        let _ = self;
    }

    pub(crate) const fn value(self) -> u32 {
        #[cfg(feature = "mutants")]
        return self.value;
        #[cfg(not(feature = "mutants"))]
        {
            let Self {} = self;
            0
        }
    }
}
