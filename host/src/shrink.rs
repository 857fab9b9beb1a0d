//! Shrinking: from a run that fails to the least that still fails in the same way, for a person to read.
//!
//! First the trial is made smaller as long as some seed still fails (fewer nodes, clients, requests, faults), as the run
//! that fails soonest is most of the way to the one that fails with least. Then what became of each message is written
//! down, and taken back piece by piece: delays that do not matter become the usual one, losses that do not matter do not
//! happen, and messages that do not matter are lost. Source of the piece by piece: Zeller and Hildebrandt, *Simplifying
//! and Isolating Failure-Inducing Input* (2002).

mod explanation;
mod messages;
mod trials;

pub use explanation::{Explanation, FactFilter};

use crate::case::{Case, run_here};
use crate::run::Finished;
use crate::signals;
use explanation::LineCount;
use synod::simulation::{Bound, ScenarioError, Trial, Verdict, Weather};

/// How small a failing run is; less is better, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Lines of its story.
    pub lines: u64,
    /// Planned faults.
    pub planned: usize,
    /// Messages that do not take the usual time.
    pub choices: usize,
    /// Requests of all clients.
    pub requests: u64,
}

/// What is left of a failing run.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The least that still fails, with a script.
    pub case: Case,
    /// What comes of it.
    pub finished: Finished,
    /// How it fails, as the run that it was shrunk from does.
    pub failure: &'static str,
    /// What it was shrunk from.
    pub before: Size,
    /// What is left.
    pub after: Size,
    /// How many runs that took.
    pub tries: u64,
}

/// How far a shrinking has come: how many runs it took so far, and what is left now.
pub type OnProgress<'a> = &'a mut (dyn FnMut(u64, Size) + Send);

/// Shrinks a failing run, with at most so many runs; `None` where it does not fail in the first place. The thread must have a
/// stack that is large enough: see [`in_thread`](crate::case::in_thread).
///
/// # Errors
///
/// [`ScenarioError`] where there was no run at all.
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
    if case.script.is_none() || case.trial.weather != Weather::CALM {
        shrinking.redraw(tries_max / 4);
        shrinking.trials(tries_max * 3 / 5);
    }
    if shrinking.liveness != Liveness::Slow {
        shrinking.messages();
    }
    let Shrinking {
        best, size, tries, ..
    } = shrinking;
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

/// Runs a case, and says how small it is.
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

/// What a failure has to do with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liveness {
    /// Nothing.
    Unharmed,
    /// The run was not done in time.
    Stuck,
    /// It took more than it may, once its faults were over. Every message that is lost by hand makes it slower, so that such a
    /// run is not taken apart message by message.
    Slow,
}

impl Liveness {
    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Done | Verdict::Violated(_) => Self::Unharmed,
            Verdict::Stalled(Bound::Time | Bound::Events | Bound::Idle) => Self::Stuck,
            Verdict::Stalled(_) => Self::Slow,
        }
    }
}

/// A shrinking on its way.
struct Shrinking<'a> {
    failure: &'static str,
    liveness: Liveness,
    /// Whether a majority was left in the run that is shrunk.
    fair: bool,
    best: Case,
    size: Size,
    tries: u64,
    tries_max: u64,
    on_progress: OnProgress<'a>,
}

impl Shrinking<'_> {
    /// Keeps a candidate if it fails in the same way and is smaller.
    fn offer(&mut self, candidate: Case) -> bool {
        // Whoever loses its majority is stuck for no fault of its own.
        if self.liveness != Liveness::Unharmed && self.fair && !keeps_majority(&candidate.trial) {
            return false;
        }
        self.tries += 1;
        (self.on_progress)(self.tries, self.size);
        match measure(&candidate) {
            Ok((size, finished))
                if finished.failure() == Some(self.failure) && size < self.size =>
            {
                self.best = candidate;
                self.size = size;
                true
            }
            _ => false,
        }
    }

    fn is_spent(&self) -> bool {
        self.tries >= self.tries_max || signals::is_stop_requested()
    }
}

/// Whether more than half of the nodes keep their votes.
fn keeps_majority(trial: &Trial) -> bool {
    let lost = trial.plan.iter().filter(|planned| planned.takes_a_vote());
    lost.count() * 2 < usize::from(trial.scenario.nodes)
}

/// Goes over `items` in pieces, from half of them down to single ones, and offers to take each piece away. `take` says
/// whether that was accepted.
fn piecewise<T: Clone>(items: &[T], mut take: impl FnMut(&[T]) -> bool) {
    let mut left = items.to_vec();
    // The last pieces first: what happened late matters least.
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

    /// Five nodes in a storm, of which three are killed: nobody is left to answer.
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
    fn a_stalled_run_shrinks_to_a_few_lines_that_stall_again() {
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
    fn a_run_that_does_not_fail_is_not_shrunk() {
        let (case, _) = parse("nodes = 3").unwrap();
        let shrunk = in_thread(|| shrink(&case, 10, &mut |_, _| ())).unwrap();
        assert!(shrunk.is_none());
    }

    #[test]
    fn piecewise_leaves_only_what_is_needed() {
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
