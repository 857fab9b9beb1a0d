//! What a run took after its faults, and what it may take.

use crate::simulation::report::Bound;
use crate::simulation::scenario::Scenario;
use crate::{Duration, NodeId};

/// What a run has taken from when its faults were over until it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How long it was.
    pub lasted: Duration,
    /// How long whoever waited first then, or asked next, waited for the first answer of all; `None` where nobody was
    /// answered any more.
    pub first_answer: Option<Duration>,
    /// The longest that any request waited that was made after that first answer.
    pub longest_wait: Duration,
    /// Ballots that nodes claimed.
    pub claims: u64,
    /// Those of them that were claimed after the first answer.
    pub late_claims: u64,
    /// Messages that nodes sent to others.
    pub messages: u64,
    /// Slots that were applied by the node that was furthest.
    pub slots: u64,
    /// Answers that clients had, those to registrations and those of sessions that were given up included.
    pub answers: u64,
    /// Answers that clients read in the state of a node, which take no slot.
    pub reads: u64,
    /// Ballots that nodes claimed in the whole run.
    pub claims_in_all: u64,
    /// Messages that nodes sent in the whole run.
    pub messages_in_all: u64,
    /// Ballots that a node claimed sooner than half an election timeout after another one of its own (rule L5). Where clocks
    /// jump or disks are slow that says nothing.
    pub hasty_claims: u64,
    /// Times that a node asked who misses the leader, or said that it does, sooner than half an election timeout after it had
    /// promised another's claim, which may still win by then (rule L7); and times that it said so while its own claim was
    /// under way. This says nothing either where time is hidden.
    pub hasty_probes: u64,
    /// Ballots that a node claimed though too few of the others could be taken to miss their leader, as they had said that they
    /// hear that of the highest ballot of all (rule L7).
    pub denied_claims: u64,
    /// Questions of nodes for decisions, and for what was accepted, that did not begin at the slot after the last one that was
    /// applied there (rules R2 and S2).
    pub stray_questions: u64,
    /// Questions for pages or for decisions, and accepts, that a node has repeated sooner than its timers for them allow. This
    /// says nothing where time is hidden.
    pub hasty_repetitions: u64,
}

/// The most that a run may take once its faults are over. A round trip is the longest that there is, as it is or as nodes
/// take it to be, whichever is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Round trips until the first answer.
    pub first_answer: u64,
    /// Round trips that a request may wait after that.
    pub longest_wait: u64,
    /// Ballots claimed.
    pub claims: u64,
    /// Ballots claimed after the first answer.
    pub late_claims: u64,
    /// Ballots claimed too soon after one that came to nothing, in the whole run.
    pub hasty_claims: u64,
    /// Questions, and consents to those of others, too soon after a promise, in the whole run.
    pub hasty_probes: u64,
    /// Ballots claimed against the word of others, in the whole run.
    pub denied_claims: u64,
    /// Questions that began at the wrong slot, in the whole run.
    pub stray_questions: u64,
    /// Messages repeated too soon, in the whole run.
    pub hasty_repetitions: u64,
    /// Messages for each node and each unit of work: see [`Figures::work`].
    pub messages: u64,
    /// Slots beyond one for each answer.
    pub spare_slots: u64,
}

impl Budget {
    /// What a drawn run may take.
    ///
    /// Source: the most that any of the seeds from 0 to 20,000 took, and about half as much again. This prints it, with how
    /// it is distributed:
    ///
    /// ```sh
    /// cargo test --release -p synod-host --lib the_pace_of_runs_is_printed -- --ignored --nocapture
    /// ```
    pub const USUAL: Self = Self {
        first_answer: 70,
        longest_wait: 60,
        claims: 9,
        late_claims: 5,
        hasty_claims: 0,
        hasty_probes: 0,
        denied_claims: 0,
        stray_questions: 0,
        hasty_repetitions: 0,
        messages: 4,
        spare_slots: 60,
    };
}

impl Figures {
    /// What there was to do: an answer, and each span of a heartbeat, in which a leader tells that it lives.
    pub fn work(&self, heartbeat: Duration) -> u64 {
        let beats = self
            .lasted
            .as_micros()
            .checked_div(heartbeat.as_micros())
            .unwrap_or(0);
        // Who has just healed has more to say than that: elections, pages, what waited.
        let answers = self.answers.saturating_add(self.reads);
        answers.saturating_add(beats).saturating_add(20)
    }

    /// What of the budget was not enough for a run of this scenario, if anything.
    ///
    /// Of several that are exceeded, the one is told that clients notice first: answers, then claims, messages and
    /// slots.
    pub fn over(&self, budget: &Budget, scenario: &Scenario) -> Option<Bound> {
        let trip = scenario.trip();
        let heartbeat = scenario.config(NodeId(0)).heartbeat;
        let takes = |span: Duration, trips: u64| span > trip * trips;
        let messages = u64::from(scenario.nodes)
            .saturating_mul(budget.messages)
            .saturating_mul(self.work(heartbeat));
        if self
            .first_answer
            .is_some_and(|span| takes(span, budget.first_answer))
            || takes(self.longest_wait, budget.longest_wait)
        {
            Some(Bound::Answer)
        } else if self.claims > budget.claims
            || self.late_claims > budget.late_claims
            || self.hasty_claims > budget.hasty_claims
            || self.hasty_probes > budget.hasty_probes
            || self.denied_claims > budget.denied_claims
        {
            Some(Bound::Claims)
        } else if self.messages > messages
            || self.stray_questions > budget.stray_questions
            || self.hasty_repetitions > budget.hasty_repetitions
        {
            Some(Bound::Messages)
        } else if self.slots > self.answers.saturating_add(budget.spare_slots) {
            Some(Bound::Slots)
        } else {
            None
        }
    }
}
