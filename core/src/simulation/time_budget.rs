//! The pace of a run after its last fault: how soon requests are answered again, and at what cost.
//!
//! A run that ends in time may still be a sick one: a node that claims again and again, a message that is repeated without
//! end, a timer that nobody arms. So what a run takes after its faults is held against a [`Budget`] that is drawn from what
//! runs usually take.

mod figures;

use super::observer::{Answered, Asked, Observer, StepsTaken, WasRead};
use super::repetitions::Repetitions;
use super::scenario::CLIENTS_MAX;
use super::violation::Violation;
use crate::{
    Ballot, Config, Duration, Epoch, Instant, Message, NODES_MAX, Node, NodeId, NodeSet, Outcome,
    Slot, StateMachine,
};
pub use figures::{Budget, Figures};
use heapless::HistoryBuf;

#[expect(clippy::as_conversions, reason = "u16 to usize, in a const")]
const NODES: usize = NODES_MAX as usize;

/// An [`Observer`] that takes the [`Figures`] of a run. It is told when the faults are over: see [`Pace::heal`].
///
/// ```
/// use synod::Instant;
/// use synod::machines::Kv;
/// use synod::simulation::{Budget, Calm, KvScript, Pace, Scenario, Simulation, Verdict};
///
/// let scenario = Scenario::of(6, 3);
/// let mut simulation = Simulation::<Calm<Kv<16>, KvScript, 3, 256>, 16, 16, 2>::new(&scenario, KvScript::new(11))?;
/// let mut pace = Pace::new();
/// pace.heal(Instant::ZERO); // nothing is planned to go wrong
/// assert_eq!(simulation.run_observed(&mut (), &mut pace), Verdict::Done);
/// assert_eq!(pace.figures().over(&Budget::USUAL, &scenario), None);
/// # Ok::<(), synod::simulation::ScenarioError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pace {
    /// When it was told that the faults are over; `None` before that.
    healed: Option<Instant>,
    /// The time of what it was told last.
    now: Instant,
    /// Since when each client waits, if it does.
    waiting: [Option<Instant>; CLIENTS_MAX],
    /// Since when somebody waited after the faults were over.
    waited: Option<Instant>,
    /// The ballot that each node claimed last, so that a prepare that is repeated counts once.
    claimed: [Ballot; NODES],
    /// The highest ballot that anybody has promised: one may be claimed by a node that lost power before it could say so.
    promised: Ballot,
    /// When each node last claimed one; [`Instant::FAR_FUTURE`] for never, as below.
    claimed_at: [Instant; NODES],
    /// When each node last promised another's claim.
    promised_at: [Instant; NODES],
    /// The epoch of that claim: in a later one the node is not bound by it (rule V1).
    promised_in: [Epoch; NODES],
    /// The ballot that each node claims, and when it last asked for promises; null once it leads.
    under_way: [(Ballot, Instant); NODES],
    /// Up to where each node had applied the log after its last steps.
    applied_by: [Slot; NODES],
    /// What each node asked about last, before it claims.
    probes: [Ballot; NODES],
    /// What nodes said to those who asked, the newest of it: an answer may be taken for one to a later question about the same
    /// ballot, which a node asks that has started again.
    said: HistoryBuf<Said, SAID>,
    /// What nodes have said that they may say again.
    repetitions: Repetitions,
    /// The furthest slot that a node has applied, and the one that it was when the faults were over.
    applied: Slot,
    applied_then: Slot,
    figures: Figures,
}

/// What a node said to one that asked who misses the leader.
#[derive(Clone, Copy, Debug)]
struct Said {
    by: NodeId,
    to: NodeSet,
    ballot: Ballot,
    granted: bool,
    /// The highest ballot that it had seen: a denial is in vain once the asker has heard of a higher one, which may come later
    /// than the denial was said.
    highest: Ballot,
}

/// How many answers are remembered: those to some forty questions in a cluster of seven. A consent that is forgotten by
/// the time of the claim would count as a denial.
const SAID: usize = 256;

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    /// An observer for one run.
    pub const fn new() -> Self {
        Self {
            healed: None,
            now: Instant::ZERO,
            waiting: [None; CLIENTS_MAX],
            waited: None,
            claimed: [Ballot::NULL; NODES],
            promised: Ballot::NULL,
            claimed_at: [Instant::FAR_FUTURE; NODES],
            promised_at: [Instant::FAR_FUTURE; NODES],
            promised_in: [Epoch::FIRST; NODES],
            under_way: [(Ballot::NULL, Instant::ZERO); NODES],
            applied_by: [Slot::ZERO; NODES],
            probes: [Ballot::NULL; NODES],
            said: HistoryBuf::new(),
            repetitions: Repetitions::new(),
            applied: Slot::ZERO,
            applied_then: Slot::ZERO,
            figures: Figures {
                lasted: Duration::ZERO,
                first_answer: None,
                longest_wait: Duration::ZERO,
                claims: 0,
                late_claims: 0,
                messages: 0,
                slots: 0,
                answers: 0,
                reads: 0,
                claims_in_all: 0,
                messages_in_all: 0,
                hasty_claims: 0,
                hasty_probes: 0,
                denied_claims: 0,
                stray_questions: 0,
                hasty_repetitions: 0,
            },
        }
    }

    /// All faults are over.
    ///
    /// Only the caller knows when that is: when the weather has ended, the plan is over, and nothing late is under way.
    pub fn heal(&mut self, now: Instant) {
        self.healed = Some(now);
        self.now = now;
        self.applied_then = self.applied;
        // Whoever waits by now waits from now on: how long it has waited before is the faults' doing.
        self.waited = self.waiting.iter().any(Option::is_some).then_some(now);
    }

    /// Whether it was told that all faults are over.
    pub const fn is_healed(&self) -> bool {
        self.healed.is_some()
    }

    /// A node asks who misses the leader.
    ///
    /// A probe that is repeated asks about the same ballot, and counts once.
    fn probe(&mut self, node: NodeId, ballot: Ballot, config: &Config) {
        if let Some(probe) = self.probes.get_mut(usize::from(node.0))
            && *probe != ballot
        {
            *probe = ballot;
            self.figures.hasty_probes +=
                u64::from(self.has_just_promised(node, ballot.epoch(), config));
        }
    }

    /// Whether a node has promised another's claim of the same epoch less than half an election timeout ago.
    fn has_just_promised(&self, node: NodeId, epoch: Epoch, config: &Config) -> bool {
        let promised_in = self.promised_in.get(usize::from(node.0));
        if promised_in != Some(&epoch) {
            return false;
        }
        self.since(&self.promised_at, node)
            .is_some_and(|since| since < config.election_timeout / 2)
    }

    /// How long ago something was at a node, if it was at all.
    fn since(&self, times: &[Instant; NODES], node: NodeId) -> Option<Duration> {
        let at = times.get(usize::from(node.0)).copied();
        let at = at.filter(|at| *at < Instant::FAR_FUTURE)?;
        Some(self.now.since(at))
    }

    /// A node that has seen no higher ballot than this one grants a probe; too soon, if it has just promised another's claim,
    /// or claims that ballot itself (rule L7).
    fn consent(&mut self, node: NodeId, highest: Ballot, config: &Config) {
        let is_hasty = self.has_just_promised(node, highest.epoch(), config)
            || self.claims(node, highest, config);
        self.figures.hasty_probes += u64::from(is_hasty);
    }

    /// Whether a node has just asked for promises of this ballot. It goes on with that until it leads, hears of a higher
    /// ballot, or has waited in vain for longer than it takes to ask again.
    fn claims(&self, node: NodeId, ballot: Ballot, config: &Config) -> bool {
        let under_way = self.under_way.get(usize::from(node.0));
        under_way.is_some_and(|(claimed, asked)| {
            let is_new = self.now.since(*asked) < config.prepare_retransmit / 2;
            *claimed == ballot && ballot > Ballot::NULL && is_new
        })
    }

    /// A node asks for promises of a ballot, or leads and has no claim under way.
    fn set_under_way(&mut self, node: NodeId, ballot: Ballot) {
        if let Some(under_way) = self.under_way.get_mut(usize::from(node.0)) {
            *under_way = (ballot, self.now);
        }
    }

    /// A node that has applied so much by now asks for what follows, in one of its last steps.
    fn question(&mut self, node: NodeId, from: Slot, applied: Slot) {
        // As of its steps before these: which of several steps asked is not known.
        let before = self.applied_by.get(usize::from(node.0)).copied();
        let before = before.unwrap_or(Slot::ZERO);
        self.figures.stray_questions += u64::from(from <= before || from.back(1) > applied);
    }

    /// A node has applied so much.
    fn set_applied(&mut self, node: NodeId, applied: Slot) {
        if let Some(by) = self.applied_by.get_mut(usize::from(node.0)) {
            *by = applied;
        }
    }

    /// A node promises a claim, at this time or later: until its driver sends the promise, or while the node is paused, its
    /// own clock has gone on.
    fn promise(&mut self, node: NodeId, epoch: Epoch, when: Instant) {
        let index = usize::from(node.0);
        if let (Some(at), Some(promised_in)) = (
            self.promised_at.get_mut(index),
            self.promised_in.get_mut(index),
        ) {
            (*at, *promised_in) = (when, epoch);
        }
    }

    /// Who may have been taken to miss the leader by a node that asked about a ballot, itself included.
    fn consents(&self, node: NodeId, ballot: Ballot) -> NodeSet {
        let mut consents = NodeSet::only(node);
        for said in self.said.as_slice() {
            // A denial tells of the leader of a ballot. Where a higher one is promised somewhere, the asker may have heard of that
            // and may rightly take no notice of the denial (rule L7); whether it has, cannot be seen from here.
            let counts = said.granted || self.promised > said.highest;
            if counts && said.ballot == ballot && said.to.contains(node) {
                consents.insert(said.by);
            }
        }
        consents
    }

    /// A node claims a ballot, or asks for more of what it was promised. Returns whether it is the former. By its members, where
    /// they are known, it is told whether enough of them consented.
    fn claim(&mut self, node: NodeId, ballot: Ballot, by: (&Config, Option<NodeSet>)) -> bool {
        let (config, members) = by;
        let index = usize::from(node.0);
        let asked = self.probes.get(index).copied().unwrap_or(Ballot::NULL);
        // Before the claim counts as promised: whoever claims promises its own ballot, which is no news from others.
        let consents = self.consents(node, asked);
        let (Some(claimed), Some(at)) =
            (self.claimed.get_mut(index), self.claimed_at.get_mut(index))
        else {
            return false;
        };
        // A repeated prepare, or one of an earlier attempt that leaves late.
        if *claimed >= ballot {
            return false;
        }
        let since = core::mem::replace(at, self.now);
        // The first claim of an epoch needs no consent, and comes at once: the leader that has ended the epoch before makes
        // it (rule V9).
        let succeeds = ballot.epoch() > Epoch::FIRST && ballot.round() == 1;
        let is_hasty = since < Instant::FAR_FUTURE
            && self.now.since(since) < config.election_timeout / 2
            && !succeeds;
        *claimed = ballot;
        // A claim that it had promised before cannot win any more, as this one is above it.
        if let Some(promised_at) = self.promised_at.get_mut(index) {
            *promised_at = Instant::FAR_FUTURE;
        }
        // The first answer is one after the faults, so that a late claim is always one that is counted as such.
        let figures = &mut self.figures;
        figures.hasty_claims += u64::from(is_hasty);
        let is_denied = members.is_some_and(|members| !consents.is_quorum(members));
        figures.denied_claims += u64::from(is_denied && !succeeds);
        figures.claims_in_all += 1;
        figures.claims += u64::from(self.healed.is_some());
        figures.late_claims += u64::from(figures.first_answer.is_some());
        debug_assert!(
            figures.late_claims <= figures.claims && figures.claims <= figures.claims_in_all,
            "each of these is a part of the next"
        );
        true
    }

    /// A client was answered, or was told that its session is gone.
    fn take_answer(&mut self, client: u16, at: Instant, is_answer: bool) {
        let waiting = self.waiting.get_mut(usize::from(client));
        // Taken in any case: what was answered before the faults were over is not waited for after that.
        let since = waiting.and_then(Option::take);
        if !self.is_healed() {
            return;
        }
        // A client whose session was given up was told so, at the cost of a slot, and has not what it wanted.
        if !is_answer {
            return;
        }
        if self.figures.first_answer.is_none() {
            self.figures.first_answer = self.waited.map(|since| at.since(since));
            // What others wait for since then is part of the same trouble.
            for waiting in self.waiting.iter_mut().flatten() {
                *waiting = at;
            }
        } else if let Some(since) = since {
            debug_assert!(since <= at, "a client waits before it has asked");
            let wait = at.since(since);
            self.figures.longest_wait = self.figures.longest_wait.max(wait);
        }
    }

    /// What the run has taken: of what counts from when its faults were over, nothing where they never were.
    pub fn figures(&self) -> Figures {
        let Some(healed) = self.healed else {
            return self.figures;
        };
        debug_assert!(
            self.now >= healed && self.applied >= self.applied_then,
            "something happened before the faults were over that counts after it"
        );
        Figures {
            lasted: self.now.since(healed),
            slots: self.applied.distance(self.applied_then),
            ..self.figures
        }
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for Pace
{
    fn stepped(
        &mut self,
        taken: &StepsTaken<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        self.now = taken.at;
        self.applied = self.applied.max(taken.progress.applied);
        let is_healed = self.is_healed();
        for outgoing in taken.messages {
            let copies = u64::from(outgoing.to.len());
            self.figures.messages_in_all += copies;
            if is_healed {
                self.figures.messages += copies;
            }
            debug_assert!(
                self.figures.messages <= self.figures.messages_in_all,
                "a part is more than the whole"
            );
            self.figures.hasty_repetitions += self.repetitions.say(taken, outgoing);
            let me = taken.node.id();
            match &outgoing.message {
                Message::Prepare { ballot, from } => {
                    // Of a claim that leaves when its epoch has ended, the members are not known any more.
                    let is_present = ballot.epoch() == taken.node.epoch();
                    let members = is_present.then(|| taken.node.members());
                    if self.claim(me, *ballot, (taken.node.config(), members)) {
                        self.question(me, *from, taken.progress.applied);
                    }
                    self.set_under_way(me, *ballot);
                }
                Message::Heartbeat { .. } => self.set_under_way(me, Ballot::NULL),
                Message::Learn { from } => self.question(me, *from, taken.progress.applied),
                Message::Probe { ballot } => self.probe(me, *ballot, taken.node.config()),
                // With any other ballot it is a refusal.
                Message::Promise {
                    ballot, promised, ..
                } if ballot == promised => self.promise(me, ballot.epoch(), taken.since),
                Message::ProbeReply {
                    ballot,
                    granted,
                    highest,
                } => {
                    if *granted {
                        self.consent(me, *highest, taken.node.config());
                    }
                    self.said.write(Said {
                        by: me,
                        to: outgoing.to,
                        ballot: *ballot,
                        granted: *granted,
                        highest: *highest,
                    });
                }
                _ => {}
            }
        }
        // Last, as who claims has promised its own ballot, and that is not what it had heard.
        self.promised = self.promised.max(taken.progress.promised);
        self.set_applied(taken.node.id(), taken.progress.applied);
        Ok(())
    }

    fn recovered(
        &mut self,
        _at: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        self.promised = self.promised.max(node.promised());
        self.set_applied(node.id(), node.applied());
        self.set_under_way(node.id(), Ballot::NULL);
        self.repetitions.forget(node.id());
        // It no longer knows when it promised.
        if let Some(at) = self.promised_at.get_mut(usize::from(node.id().0)) {
            *at = Instant::FAR_FUTURE;
        }
        Ok(())
    }

    fn asked(&mut self, asked: &Asked<'_, M::Command>) {
        if let Some(waiting) = self.waiting.get_mut(usize::from(asked.client)) {
            waiting.get_or_insert(asked.at);
        }
        if self.is_healed() {
            self.waited.get_or_insert(asked.at);
        }
    }

    fn answered(&mut self, answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        let is_answer = !matches!(answered.outcome, Outcome::Evicted);
        if self.is_healed() {
            // Registrations count as well: they take a slot and messages like any other request.
            self.figures.answers += 1;
        }
        self.take_answer(answered.client, answered.at, is_answer);
        Ok(())
    }

    fn was_read(&mut self, read: &WasRead<'_, M::Output>) {
        if self.is_healed() {
            self.figures.reads += 1;
        }
        self.take_answer(read.client, read.at, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::Kv;
    use crate::simulation::NodeProgress;
    use crate::simulation::report::Bound;
    use crate::simulation::scenario::Scenario;
    use crate::{Outgoing, Role};

    #[test]
    fn l7_a_claim_needs_a_quorum_of_those_who_were_asked_about_its_ballot() {
        let (me, config) = (NodeId(0), Config::new(NodeId(0), 5));
        let mut ballot = Ballot::NULL;
        let mut next = || {
            ballot = Ballot::succeeding(ballot, NodeId(0)).unwrap();
            ballot
        };
        let [heard, higher, asked, later] = [next(), next(), next(), next()];
        let say = |pace: &mut Pace, by: u16, ballot, granted| {
            pace.said.write(Said {
                by: NodeId(by),
                to: NodeSet::only(me),
                ballot,
                granted,
                highest: heard,
            });
        };
        let denied = |pace: &Pace| {
            let mut pace = pace.clone();
            pace.claim(me, later, (&config, Some(config.members)));
            pace.figures.denied_claims
        };
        let mut pace = Pace::new();
        pace.probe(me, asked, &config);
        say(&mut pace, 1, asked, true);
        say(&mut pace, 1, asked, true);
        say(&mut pace, 2, asked, false);
        say(&mut pace, 3, later, true);
        pace.promised = heard;
        assert_eq!(denied(&pace), 1, "two of five");
        pace.promised = higher;
        assert_eq!(denied(&pace), 0, "a denial is in vain");
        pace.promised = heard;
        // It asks about something else, starts again, and asks about the same once more: a late answer counts.
        pace.probe(me, later, &config);
        say(&mut pace, 4, asked, true);
        assert_eq!(denied(&pace), 1, "two of five about the other one");
        pace.probe(me, asked, &config);
        assert_eq!(denied(&pace), 0, "three of five");
    }

    type Small = Node<Kv<4>, 8, 4, 2>;

    const OTHER: NodeId = NodeId(2);

    /// What a node says, so many tenths of an election timeout after the beginning.
    fn says(pace: &mut Pace, node: &Small, tenths: u64, message: Message<Kv<4>, 2>) -> u64 {
        let messages = [Outgoing {
            role: Role::Node,
            to: NodeSet::only(OTHER),
            message,
        }];
        let stepped = pace.stepped(&StepsTaken {
            at: Instant::ZERO + node.config().election_timeout * tenths / 10,
            since: Instant::ZERO + node.config().election_timeout * tenths / 10,
            node,
            progress: NodeProgress::of(node),
            boundaries: &[],
            writes: &[],
            messages: &messages,
            replies: &[],
        });
        assert_eq!(stepped, Ok(()));
        pace.figures().hasty_probes
    }

    fn consent(granted: bool) -> Message<Kv<4>, 2> {
        Message::ProbeReply {
            ballot: Ballot::new(3, OTHER),
            granted,
            highest: Ballot::NULL,
        }
    }

    fn promise(promised: Ballot) -> Message<Kv<4>, 2> {
        Message::Promise {
            ballot: Ballot::new(2, OTHER),
            promised,
            from: Slot::FIRST,
            low_water: Slot::ZERO,
            last: true,
            entries: crate::message::Entries::<Kv<4>, 2>::new(),
        }
    }

    #[test]
    fn l7_who_has_just_promised_a_claim_and_is_for_another_is_counted() {
        let node = Small::join(Config::new(NodeId(1), 3), 6, Instant::ZERO).unwrap();
        let (given, refused) = (
            promise(Ballot::new(2, OTHER)),
            promise(Ballot::new(9, OTHER)),
        );
        let probe = |round| Message::Probe {
            ballot: Ballot::new(round, NodeId(1)),
        };
        let mut pace = Pace::new();
        assert_eq!(says(&mut pace, &node, 0, consent(true)), 0, "no promise");
        assert_eq!(says(&mut pace, &node, 1, refused), 0);
        assert_eq!(says(&mut pace, &node, 2, consent(true)), 0, "it refused");
        assert_eq!(says(&mut pace, &node, 3, given.clone()), 0);
        assert_eq!(says(&mut pace, &node, 4, consent(false)), 0);
        assert_eq!(says(&mut pace, &node, 5, consent(true)), 1, "too soon");
        assert_eq!(says(&mut pace, &node, 8, consent(true)), 1, "in time");
        // Who asks itself too soon, but not again and again about the same.
        assert_eq!(says(&mut pace, &node, 10, given.clone()), 1);
        assert_eq!(says(&mut pace, &node, 12, probe(3)), 2);
        assert_eq!(says(&mut pace, &node, 13, probe(3)), 2);
        assert_eq!(says(&mut pace, &node, 14, consent(true)), 3, "and grants");
        assert_eq!(says(&mut pace, &node, 200, given), 3);
        // A restart forgets the promise.
        let recovered = pace.recovered(Instant::ZERO, &node);
        assert_eq!(recovered, Ok(()));
        assert_eq!(says(&mut pace, &node, 201, consent(true)), 3);
        let (budget, scenario) = (Budget::USUAL, Scenario::of(6, 3));
        let over = |hasty_probes| {
            let figures = Figures {
                hasty_probes,
                ..Figures::default()
            };
            figures.over(&budget, &scenario)
        };
        assert_eq!((over(0), over(1)), (None, Some(Bound::Claims)));
    }

    #[test]
    fn l7_who_grants_a_probe_while_its_own_claim_is_under_way_is_counted() {
        let node = Small::join(Config::new(NodeId(1), 3), 6, Instant::ZERO).unwrap();
        let mine = Ballot::new(4, NodeId(1));
        let prepare = Message::Prepare {
            ballot: mine,
            from: Slot::FIRST,
        };
        let grants = |highest| Message::ProbeReply {
            ballot: Ballot::new(5, OTHER),
            granted: true,
            highest,
        };
        let heartbeat = Message::Heartbeat {
            ballot: mine,
            decided: Slot::ZERO,
            chain: 0,
        };
        let mut pace = Pace::new();
        assert_eq!(says(&mut pace, &node, 0, prepare.clone()), 0);
        assert_eq!(says(&mut pace, &node, 0, consent(false)), 0, "it denies");
        let preempted = grants(Ballot::new(5, OTHER));
        assert_eq!(says(&mut pace, &node, 0, preempted), 0, "it has lost");
        assert_eq!(says(&mut pace, &node, 0, grants(mine)), 1);
        assert_eq!(says(&mut pace, &node, 9, grants(mine)), 1, "it gave up");
        assert_eq!(says(&mut pace, &node, 9, prepare), 1);
        assert_eq!(says(&mut pace, &node, 9, heartbeat), 1, "it leads");
        assert_eq!(says(&mut pace, &node, 9, grants(mine)), 1);
    }

    #[test]
    fn r2_a_question_that_begins_at_another_slot_than_the_next_one_is_counted() {
        let mut pace = Pace::new();
        let me = NodeId(1);
        let slot = Slot::new;
        let strays = |pace: &Pace| pace.figures().stray_questions;
        pace.question(me, slot(1), slot(0));
        pace.set_applied(me, slot(4));
        pace.question(me, slot(5), slot(4));
        // Of several steps, the node may have asked in any.
        pace.question(me, slot(5), slot(6));
        pace.question(me, slot(7), slot(6));
        assert_eq!(strays(&pace), 0);
        pace.question(me, slot(4), slot(4));
        assert_eq!(strays(&pace), 1, "for what it has");
        pace.question(me, slot(6), slot(4));
        assert_eq!(strays(&pace), 2, "for what it cannot apply");
        let (budget, scenario) = (Budget::USUAL, Scenario::of(6, 3));
        let figures = pace.figures();
        assert_eq!(figures.over(&budget, &scenario), Some(Bound::Messages));
    }
}
