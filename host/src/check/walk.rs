//! Random walks through a scope, from a seed.
//!
//! A walk comes where no search does: to the tenth election, the second checkpoint, a log of many
//! windows. It sees a vanishing part of the states there, so that its choices matter. Uniform
//! choices would mostly deliver old messages and fire timers that change nothing. So a walk has
//! habits, drawn from its seed: how often it prefers a timer to a message, which timers it never
//! fires, which links it holds for a while, and whether power fails in the middle of steps.
//!
//! Drawing habits anew for each walk is swarm testing (Groce and others, 2012): what one walk never
//! does lets it come to states that all others leave too soon.

use super::search::{Bounds, End, Explored, Violation, Watch};
use super::{Action, Coverage, Explorer, Invariant, World};
use core::ops::RangeInclusive;
use std::collections::BTreeSet;
use synod::Timer;

/// Default number of steps of a walk. Long enough for a few elections and all requests of the large
/// scope.
const STEPS: usize = 150;
/// Number of steps for which links are held. A walk goes through several phases, with and without
/// held links.
const PHASE: usize = 20;
/// Percentage of deliveries that choose a message not delivered before, if there is one. Without
/// it, a walk on a network that repeats messages would spend most deliveries on old ones.
const FRESH: u64 = 80;
/// Percentage of steps in which a client reads, as long as one may, in a scope that has reads. They are spread over the
/// walk, as early ones come before any client was told of anything.
const READS: u64 = 4;

/// Walks through a scope once for each seed, until an invariant is violated, a bound is reached, or the watch stops it.
/// The schedule of a violation is shrunk.
///
/// `states` counts the steps of all walks, `unique` the fingerprints among them, and `depth` is the
/// length of the longest walk.
///
/// ```
/// use synod_host::check::{Bounds, End, Explorer, Scope, Watch, walks};
///
/// let explorer = Explorer::new(Scope::large())?;
/// let bounds = Bounds { depth: Some(50), states: u64::MAX };
/// let explored = walks(&explorer, 6..=8, bounds, &Watch::default());
/// assert_eq!((explored.end, explored.walks), (End::Walked, 3));
/// # Ok::<(), synod_host::check::StartError>(())
/// ```
pub fn walks(
    explorer: &Explorer,
    seeds: RangeInclusive<u64>,
    bounds: Bounds,
    watch: &Watch,
) -> Explored {
    let mut found = Explored {
        states: 0,
        unique: 0,
        depth: 0,
        end: End::Walked,
        applied: 0,
        walks: 0,
        coverage: Coverage::default(),
        violation: None,
    };
    // Fingerprints suffice here, as they are only counted.
    let mut known = BTreeSet::from([explorer.start().fingerprint()]);
    for seed in seeds {
        if watch.is_stopped() {
            found.end = End::Stopped;
            break;
        }
        if watch.states() >= bounds.states {
            found.end = End::States;
            break;
        }
        let mut walk = Walk::new(explorer, seed);
        found.walks += 1;
        walk.go(bounds.depth.unwrap_or(STEPS), |world| {
            found.states += 1;
            watch.see(world);
            known.insert(world.fingerprint());
        });
        let steps = u64::try_from(walk.schedule.len()).unwrap_or(u64::MAX);
        found.depth = found.depth.max(steps);
        if !watch.is_stopped() {
            explorer.record_liveness(&mut walk.world);
        }
        if let Some(broken) = walk.world.broken() {
            // The coverage is read before shrinking, which would add to it.
            found.coverage = explorer.coverage();
            let broken = broken.clone();
            let schedule = shrink(explorer, walk.schedule, broken.invariant);
            found.end = End::Violated;
            found.violation = Some(Violation {
                broken,
                schedule,
                seed: Some(seed),
            });
            break;
        }
    }
    if found.violation.is_none() {
        found.coverage = explorer.coverage();
    }
    found.applied = watch.applied();
    found.unique = u64::try_from(known.len()).unwrap_or(u64::MAX);
    found
}

/// A stream of random numbers from a seed: `SplitMix`, by Steele, Lea and Flood.
///
/// It is apart from the generators of the simulation, whose changes would otherwise change every
/// walk that a report names.
struct Dice(u64);

impl Dice {
    /// Returns the next number, uniform in 64 bits.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound, or 0 for a bound of 0. The remainder prefers small numbers
    /// by less than one part in 2³², as bounds here are small.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from((self.next() >> 16) % bound).unwrap_or(0)
    }

    /// True with a probability in percent.
    fn percent(&mut self, percent: u64) -> bool {
        (self.next() >> 16) % 100 < percent
    }
}

/// A walk in progress. Its results depend on the scope and the seed alone, even if walks share an explorer.
struct Walk<'a> {
    explorer: &'a Explorer,
    dice: Dice,
    world: World,
    /// Actions performed so far, from the initial state on.
    schedule: Vec<Action>,
    /// Messages delivered so far. By their hashes: a collision makes a message seem old, which does
    /// no harm.
    come: BTreeSet<u64>,
    /// Percentage of steps other than deliveries, which differs from walk to walk.
    haste: u64,
    /// Timers that never fire in this walk. Their absence leads to states that they would soon
    /// leave. A bit for each, in the order of [`Timer::ALL`].
    quiet: u64,
    /// Links on which nothing is delivered for a while, as a bit for each pair of nodes. Drawn anew
    /// at the beginning of each phase; a quarter of the links, or in half of the phases none.
    held: u64,
    /// Percentage of steps during which power fails, as long as it may.
    torn: u64,
    /// Actions possible in the current state; a field, so that its memory is used again.
    actions: Vec<Action>,
}

impl<'a> Walk<'a> {
    /// Returns a walk at the initial state, with its habits drawn from the seed.
    fn new(explorer: &'a Explorer, seed: u64) -> Self {
        let mut dice = Dice(seed);
        // From 2 to 41 in a hundred: a walk of timers alone elects again and again and decides
        // nothing.
        let haste = 2 + dice.next() % 40;
        // Half of the walks have all timers, the others half of them.
        let quiet = if dice.percent(50) { 0 } else { dice.next() };
        // A power loss in more steps would use up those of the scope before the log has grown.
        let torn = if dice.percent(50) { 0 } else { 3 };
        Self {
            explorer,
            dice,
            world: explorer.start().clone(),
            schedule: Vec::new(),
            come: BTreeSet::new(),
            haste,
            quiet,
            held: 0,
            torn,
            actions: Vec::new(),
        }
    }

    /// Performs up to `steps` actions, and passes the state after each to `see`.
    fn go(&mut self, steps: usize, mut see: impl FnMut(&World)) {
        for _ in 0..steps {
            if !self.step() {
                return;
            }
            see(&self.world);
        }
    }

    /// Performs an action within the scope that changes something. Returns false if there is none.
    fn step(&mut self) -> bool {
        self.actions.clear();
        self.explorer.actions(&self.world, &mut self.actions);
        if self.schedule.len().is_multiple_of(PHASE) {
            let (one, other) = (self.dice.next(), self.dice.next());
            self.held = if self.dice.percent(50) {
                0
            } else {
                // Each bit is set with a probability of a quarter.
                one & other
            };
        }
        if self.explorer.scope().reads > 0 {
            self.choose_between_reads_and_others();
        }
        let (quiet, held) = (self.quiet, self.held);
        // If nothing else is possible, quiet timers and held links are disregarded, so that the
        // walk does not end early.
        if self.actions.iter().any(|action| may(action, quiet, held)) {
            self.actions.retain(|action| may(action, quiet, held));
        }
        // An action may lead outside of the scope or change nothing. It is then dropped, and
        // another one is chosen.
        while let Some(index) = self.pick() {
            let action = self.actions.swap_remove(index);
            let action = self.maybe_torn(action);
            let next = self.explorer.step(&self.world, &action);
            // A step that changes nothing would count towards the length of the walk, and be the
            // first to be shrunk away.
            if next.is_within() && (next.broken().is_some() || next != self.world) {
                if let Action::Deliver(message) = action.step() {
                    self.come.insert(message.hash());
                }
                self.schedule.push(action);
                debug_assert!(
                    self.come.len() <= self.schedule.len(),
                    "each delivery is an action"
                );
                self.world = next;
                return true;
            }
        }
        false
    }

    /// Leaves either the reads or all other actions to choose from, unless there are none.
    fn choose_between_reads_and_others(&mut self) {
        let reads = self.dice.percent(READS);
        let is_chosen = |action: &Action| matches!(action, Action::Read { .. }) == reads;
        if self.actions.iter().any(is_chosen) {
            self.actions.retain(is_chosen);
        }
    }

    /// Sometimes lets power fail during the step.
    fn maybe_torn(&mut self, action: Action) -> Action {
        let torn = !matches!(action, Action::Crash { .. }) && self.dice.percent(self.torn);
        if !torn || !self.explorer.may_crash(&self.world) {
            return action;
        }
        // Half of the time power fails during the writes that most steps have, otherwise during a checkpoint.
        let most = if self.dice.percent(50) { 4 } else { 16 };
        let kept = u8::try_from(self.dice.below(most)).unwrap_or(0);
        let step = Box::new(action);
        Action::Torn { kept, step }
    }

    /// Chooses an action: mostly a delivery, and mostly of a message not delivered before.
    fn pick(&mut self) -> Option<usize> {
        let len = self.actions.len();
        let is_letter = |action: &Action| matches!(action, Action::Deliver(_));
        let in_flight = self
            .actions
            .iter()
            .filter(|action| is_letter(action))
            .count();
        let message = in_flight == len || (in_flight > 0 && !self.dice.percent(self.haste));
        let fresh = message && self.dice.percent(FRESH);
        let start = self.dice.below(len);
        let fits = |index: &usize| match self.actions.get(*index) {
            Some(Action::Deliver(arrival)) => {
                message && !(fresh && self.come.contains(&arrival.hash()))
            }
            action => action.is_some() && !message,
        };
        // From a random place on and around, so that each fitting action has a chance without a
        // second list.
        let all = || (start..len).chain(0..start);
        all().find(fits).or_else(|| all().next())
    }
}

/// True if an action is allowed while some timers are quiet and some links are held. Only the first
/// 8 nodes have links of their own in the bits, which is more than a scope has.
fn may(action: &Action, quiet: u64, held: u64) -> bool {
    match action {
        Action::Deliver(message) => {
            let (from, to) = (message.envelope().from.0, message.envelope().to.0);
            // Eight links for each of eight senders: one word has a bit for each pair.
            held >> ((from % 8) * 8 + to % 8) & 1 == 0
        }
        Action::Fire { timer, .. } => {
            let place = Timer::ALL.iter().position(|other| other == timer);
            // A cluster without elections does nothing.
            *timer == Timer::Election || quiet >> place.unwrap_or(0) & 1 == 0
        }
        Action::Ask { .. } | Action::Read { .. } | Action::Change { .. } | Action::Crash { .. } => {
            true
        }
        Action::Torn { step, .. } => may(step, quiet, held),
    }
}

/// Removes actions that the violation at the end of a schedule does not need, as long as the same invariant is
/// violated.
///
/// This is delta debugging (Zeller and Hildebrandt, 2002) with complements only: pieces of half the
/// length are left out first, then smaller ones, until no single action can be left out.
fn shrink(explorer: &Explorer, schedule: Vec<Action>, invariant: Invariant) -> Vec<Action> {
    let mut shortest = schedule;
    let mut piece = shortest.len() / 2;
    while piece > 0 {
        let mut start = 0;
        let before = shortest.len();
        while start < shortest.len() {
            // The complement of the piece: what is left out is tried as a whole.
            let rest = shortest
                .iter()
                .take(start)
                .chain(shortest.iter().skip(start + piece));
            let rest: Vec<Action> = rest.cloned().collect();
            debug_assert!(rest.len() < shortest.len(), "each trial is shorter");
            match replay(explorer, &rest) {
                Some((shorter, broken))
                    if broken == invariant && shorter.len() < shortest.len() =>
                {
                    shortest = shorter;
                }
                _ => start += piece,
            }
        }
        // Small pieces may become removable only after others.
        if piece > 1 || shortest.len() == before {
            piece /= 2;
        }
    }
    shortest
}

/// Performs the actions of a schedule that are possible, until an invariant is violated by them or by the liveness
/// check after them. Returns the actions performed and the invariant.
///
/// Actions that became impossible are skipped, because others that they depended on were removed.
fn replay(explorer: &Explorer, schedule: &[Action]) -> Option<(Vec<Action>, Invariant)> {
    let mut world = explorer.start().clone();
    let mut taken = Vec::new();
    for action in schedule {
        if !explorer.can(&world, action) {
            continue;
        }
        let next = explorer.step(&world, action);
        if !next.is_within() {
            continue;
        }
        taken.push(action.clone());
        if let Some(broken) = next.broken() {
            return Some((taken, broken.invariant));
        }
        world = next;
    }
    explorer.record_liveness(&mut world);
    let broken = world.broken()?.invariant;
    Some((taken, broken))
}

/// Returns the actions of a walk, the fingerprint of each state on it, and the violation at its end.
#[cfg(test)]
pub(super) fn trace(
    explorer: &Explorer,
    seed: u64,
) -> (Vec<Action>, Vec<u64>, Option<super::Broken>) {
    let mut walk = Walk::new(explorer, seed);
    let mut states = Vec::new();
    walk.go(STEPS, |world| states.push(world.fingerprint()));
    explorer.record_liveness(&mut walk.world);
    let broken = walk.world.broken().cloned();
    (walk.schedule, states, broken)
}
