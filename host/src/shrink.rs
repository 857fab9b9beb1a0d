//! Shrinking of a failing run to a counterexample that a person can read, and that fails in the same way.
//!
//! First the trial is reduced as long as some seed still fails: fewer nodes, clients, requests and faults. The seed
//! that fails soonest usually gives the smallest counterexample. Then the fate of each message is recorded, and
//! simplified piece by piece: delays that do not matter become the usual one, losses that do not matter are undone, and
//! messages that do not matter are lost. Source of the piecewise reduction: Zeller and Hildebrandt, *Simplifying and
//! Isolating Failure-Inducing Input* (2002).

mod explanation;
mod messages;
mod trials;

pub use explanation::{Explanation, FactFilter};

use crate::case::{Case, run_here};
use crate::run::Finished;
use crate::signals;
use explanation::LineCount;
use synod::simulation::{Bound, ScenarioError, Trial, Verdict, Weather};

/// Size of a failing run. Sizes are compared by their fields in this order.
///
/// A person reads lines, so that they count most. The other fields decide between runs that are
/// explained equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Lines of the explanation.
    pub lines: u64,
    /// Planned faults.
    pub planned: usize,
    /// Messages with other than the usual delay.
    pub choices: usize,
    /// Requests of all clients.
    pub requests: u64,
}

/// Result of shrinking.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest failing run, with a script.
    pub case: Case,
    /// Results of that run.
    pub finished: Finished,
    /// Kind of failure, the same as that of the original run.
    pub failure: &'static str,
    /// Size of the original run.
    pub before: Size,
    /// Size of the shrunk run.
    pub after: Size,
    /// Number of runs tried.
    pub tries: u64,
}

/// Callback for the number of runs tried so far and the current size.
pub type OnProgress<'a> = &'a mut (dyn FnMut(u64, Size) + Send);

/// Shrinks a failing run with at most `tries_max` runs; `None` if it does not fail. The thread must have a large enough
/// stack: see [`in_thread`](crate::case::in_thread).
///
/// A quarter of the runs is spent on unrelated small trials, which often fail at once; most of the
/// rest on smaller versions of this one; what is left on its messages.
///
/// # Errors
///
/// [`ScenarioError`] if the run could not start.
pub fn shrink(
    case: &Case,
    tries_max: u64,
    on_progress: OnProgress<'_>,
) -> Result<Option<Shrunk>, ScenarioError> {
    let (before, finished) = measure(case)?;
    let Some(failure) = finished.failure() else {
        return Ok(None);
    };
    let mut shrinking = Shrinking {
        failure,
        liveness: Liveness::of(finished.verdict),
        fair: keeps_majority(&case.trial),
        best: case.clone(),
        size: before,
        tries: 1,
        tries_max,
        on_progress,
    };
    // A script without weather was written by hand or shrunk before: there is nothing to draw anew.
    if case.script.is_none() || case.trial.weather != Weather::CALM {
        // First of all, because a small trial that fails makes most of what follows needless.
        shrinking.redraw(tries_max / 4);
        shrinking.trials(tries_max * 3 / 5);
    }
    // A run that is too slow gets slower by each message that is lost, and would shrink to a
    // network that carries nothing.
    if shrinking.liveness != Liveness::Slow {
        shrinking.messages();
    }
    let Shrinking {
        best, size, tries, ..
    } = shrinking;
    // Once more, as the results of candidates are not kept.
    let (_, finished) = measure(&best)?;
    Ok(Some(Shrunk {
        case: best,
        finished,
        failure,
        before,
        after: size,
        tries,
    }))
}

/// Runs a case and measures its size. The lines are counted, not formatted.
fn measure(case: &Case) -> Result<(Size, Finished), ScenarioError> {
    let mut lines = LineCount::default();
    let finished = run_here(case, &mut lines)?;
    let trial = &case.trial;
    let size = Size {
        lines: lines.count(),
        planned: trial.plan.len(),
        choices: case
            .script
            .as_ref()
            .map_or(0, |script| script.choices.len()),
        requests: u64::from(trial.requests) * u64::from(trial.scenario.clients),
    };
    Ok((size, finished))
}

/// Relation of a failure to liveness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liveness {
    /// A safety violation.
    Unharmed,
    /// The run did not finish within its bounds.
    Stuck,
    /// The run took more than its time budget after its faults were over. As each scripted loss slows a run down, such
    /// a failure is not reduced message by message.
    Slow,
}

impl Liveness {
    /// Returns the relation of a verdict. A run that is done is never shrunk.
    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Done | Verdict::Violated(_) => Self::Unharmed,
            Verdict::Stalled(Bound::Time | Bound::Events | Bound::Idle) => Self::Stuck,
            Verdict::Stalled(_) => Self::Slow,
        }
    }
}

/// State of a shrinking in progress.
///
/// The size only ever becomes smaller, except once: when random fates are replaced by a script.
struct Shrinking<'a> {
    /// Kind of failure, which every smaller run must have.
    failure: &'static str,
    /// Whether the failure is a lack of progress, for which some reductions mean nothing.
    liveness: Liveness,
    /// Whether a majority was left in the original run.
    fair: bool,
    /// Smallest failing run so far.
    best: Case,
    /// Its size.
    size: Size,
    /// Number of runs so far, with the original one.
    tries: u64,
    /// Greatest number of runs.
    tries_max: u64,
    /// Called before each run.
    on_progress: OnProgress<'a>,
}

impl Shrinking<'_> {
    /// Adopts a candidate if it fails in the same way and is smaller.
    fn offer(&mut self, candidate: Case) -> bool {
        // A cluster without a majority stalls legitimately.
        if self.liveness != Liveness::Unharmed && self.fair && !keeps_majority(&candidate.trial) {
            return false;
        }
        self.tries += 1;
        (self.on_progress)(self.tries, self.size);
        match measure(&candidate) {
            Ok((size, finished))
                if finished.failure() == Some(self.failure) && size < self.size =>
            {
                debug_assert!(size < self.size, "a run is replaced by a smaller one");
                self.best = candidate;
                self.size = size;
                true
            }
            _ => false,
        }
    }

    /// True if no further run is to be tried: the bound is reached, or a signal has arrived. The
    /// best run so far is then the result.
    fn is_spent(&self) -> bool {
        self.tries >= self.tries_max || signals::is_stop_requested()
    }
}

/// True if more than half of the nodes keep their votes. A planned fault that takes a vote is one
/// after which its node never votes again.
fn keeps_majority(trial: &Trial) -> bool {
    let lost = trial.plan.iter().filter(|planned| planned.takes_a_vote());
    lost.count() * 2 < usize::from(trial.scenario.nodes)
}

/// Tries to remove pieces of `items`, from halves down to single ones. `take` returns true if the
/// removal was accepted. Each accepted removal shortens what the next pieces are taken from.
fn piecewise<T: Clone>(items: &[T], mut take: impl FnMut(&[T]) -> bool) {
    let mut left = items.to_vec();
    // The last pieces come first, because late events matter least.
    left.reverse();
    let mut size = left.len().div_ceil(2);
    while size > 0 && !left.is_empty() {
        let mut at = 0;
        while at < left.len() {
            let end = (at + size).min(left.len());
            if left.get(at..end).is_some_and(&mut take) {
                left.drain(at..end);
            } else {
                at = end;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{in_thread, parse};

    /// Five nodes with heavy message faults, three of which crash, so that no majority can answer.
    const STALLED: &str = r#"
        seed = 4
        nodes = 5
        clients = 4
        requests = 100
        machine = "bank"
        think = "100ms"
        until = "20s"
        weather = { loss = "20%", duplicate = "10%", spike = "3%", spike-max = "2s", storm = "2s", calm = "1s", until = "10s" }
        [[fault]]
        kind = "partition"
        side = [0, 3]
        at = "1s"
        lasts = "2s"
        [[fault]]
        kind = "crash"
        node = "leader"
        at = "1s"
        [[fault]]
        kind = "crash"
        node = 1
        at = "4s"
        [[fault]]
        kind = "crash"
        node = 3
        at = "6s"
    "#;

    #[test]
    fn a_stalled_run_shrinks_to_a_short_run_that_stalls() {
        let (case, _) = parse(STALLED).unwrap();
        let least = in_thread(|| shrink(&case, 1_000, &mut |_, _| ()));
        let shrunk = least.unwrap().unwrap();
        assert_eq!(shrunk.failure, "stalled");
        assert!(shrunk.before.lines > 200, "{:?}", shrunk.before);
        assert!(shrunk.after.lines < 40, "{:?}", shrunk.after);
        assert_eq!(shrunk.after.planned, 1);
        let (size, finished) = in_thread(|| measure(&shrunk.case)).unwrap();
        assert_eq!(
            (size, finished.digest),
            (shrunk.after, shrunk.finished.digest)
        );
    }

    #[test]
    fn a_run_that_succeeds_is_not_shrunk() {
        let (case, _) = parse("nodes = 3").unwrap();
        let shrunk = in_thread(|| shrink(&case, 10, &mut |_, _| ())).unwrap();
        assert!(shrunk.is_none());
    }

    #[test]
    fn piecewise_removal_leaves_only_the_needed_items() {
        let items: Vec<u32> = (0..100).collect();
        let mut left = items.clone();
        let mut asked = 0;
        piecewise(&items, |piece| {
            asked += 1;
            let free = !piece.contains(&17) && !piece.contains(&63);
            if free {
                left.retain(|item| !piece.contains(item));
            }
            free
        });
        assert_eq!(left, [17, 63]);
        assert!(asked < 60, "{asked}");
    }
}
