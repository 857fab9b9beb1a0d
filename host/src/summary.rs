//! The last words of a run: what came of it, how to repeat it, and what it took.

mod json;
mod text;

#[cfg(test)]
mod tests;

use crate::run::Finished;
use synod::MessageKind;
use synod::simulation::{Bound, Verdict};

/// Everything that a summary is made of.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// The seed of the run.
    pub run_seed: u64,
    /// The command that repeats it.
    pub command: &'a str,
    /// What came of it.
    pub finished: &'a Finished,
    /// Whether a second run had the same digest; `None` where there was none.
    pub verified: Option<bool>,
}

impl Summary<'_> {
    /// Appends the summary as lines for people; the last is `digest=` and sixteen hexadecimal digits.
    pub fn text(&self, out: &mut Vec<u8>) {
        text::write(self, out);
    }

    /// Appends the summary as one JSON object and a line feed.
    ///
    /// Its keys: `event` (`summary`), `outcome` (`done`, `violated`, `stalled` or `interrupted`), `reason` (where it is not done),
    /// `run_seed`, `command`, `nodes` (`started`, `live`, `joined`), `requests` (`answered`, `right`, `expected`, and `earlier` where some were answered in earlier runs
    /// on the same files), `slots`
    /// (`decided`, `agree`, `noops`, `installed`), `messages` (for each kind that occurred `sent`, `delivered`, `lost`),
    /// `ignored` (a count for each reason that occurred), `full` (a count for each queue that ever was), `elections`, `leaders` (a list: `node`, `round`, `from_us`,
    /// and where it did not lead to the end `to_us` and `ended`: `preempted`, `stepped_down`, `killed`, `fenced` or `halted`),
    /// `preempted`, `stepped_down`, `suspected`, `killed`, `halted`, `t_us`, `events`, `deliveries`, `writes`, `marks` (for each fixed
    /// structure `peak` and `capacity`), `verified` (where it was asked for) and `digest`.
    pub fn json(&self, out: &mut Vec<u8>) {
        json::write(self, out);
    }

    fn outcome(&self) -> (&'static str, Option<String>) {
        match &self.finished.verdict {
            Verdict::Done => ("done", None),
            Verdict::Violated(violation) => ("violated", Some(violation.to_string())),
            Verdict::Stalled(Bound::Stopped) => ("interrupted", Some(Bound::Stopped.to_string())),
            Verdict::Stalled(bound) => ("stalled", Some(bound.to_string())),
        }
    }

    /// The kinds of messages that occurred, with how many were sent, delivered and lost.
    fn traffic(&self) -> impl Iterator<Item = (MessageKind, [u64; 3])> {
        let tally = &self.finished.tally;
        MessageKind::ALL.into_iter().filter_map(|kind| {
            let counts = [tally.sent(kind), tally.delivered(kind), tally.lost(kind)];
            counts
                .iter()
                .any(|count| *count > 0)
                .then_some((kind, counts))
        })
    }
}
