//! Summary of a run: its outcome, the command that repeats it, and its cost.
//!
//! Both formats have the same contents. The text is for the end of a log on a terminal; the JSON
//! object is the last line of a JSON log, or the only one.

mod json;
mod text;

#[cfg(test)]
mod tests;

use crate::run::Finished;
use synod::MessageKind;
use synod::simulation::{Bound, Verdict};

/// Contents of a summary.
///
/// ```
/// use synod_host::summary::Summary;
/// use synod_host::{Options, run};
///
/// let mut options = Options::new(6);
/// options.nodes = 3;
/// let (command, finished) = (options.command(), run(&options, &mut ())?);
/// let summary = Summary { run_seed: 6, command: &command, finished: &finished, verified: None };
/// let mut text = Vec::new();
/// summary.text(&mut text);
/// assert!(text.starts_with(b"outcome     done\n"));
/// # Ok::<(), synod_host::run::RunError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// Seed of the run.
    pub run_seed: u64,
    /// Command that repeats it.
    pub command: &'a str,
    /// Results of the run.
    pub finished: &'a Finished,
    /// Whether a second run had the same digest; `None` without a second run.
    pub verified: Option<bool>,
}

impl Summary<'_> {
    /// Appends the summary as lines for people. The last line is `digest=` and sixteen hexadecimal digits.
    pub fn text(&self, out: &mut Vec<u8>) {
        text::write(self, out);
    }

    /// Appends the summary as one JSON object and a line feed.
    ///
    /// Its keys: `event` (`summary`), `outcome` (`done`, `violated`, `stalled` or `interrupted`), `reason` (unless
    /// done), `run_seed`, `command`, `nodes` (`started`, `live`, `joined`), `requests` (`answered`, `right`,
    /// `expected`, and `earlier` if some were answered in earlier runs on the same files), `slots` (`decided`, `agree`,
    /// `noops`, `installed`), `messages` (for each kind that occurred `sent`, `delivered`, `lost`), `ignored` (a count
    /// for each reason that occurred), `full` (a count for each queue that was ever full), `elections`, `leaders` (a
    /// list: `node`, `epoch` unless it is the first, `round`, `from_us`, and unless the node led to the end `to_us` and
    /// `ended`: `preempted`, `stepped_down`, `epoch_ended`, `killed`, `fenced` or `halted`), and unless all nodes were members throughout
    /// `members` (at the end: `epoch`, `nodes`, `retired`) and `epochs` (a list of those that began: `epoch`, `from_us`,
    /// `members`), `replaced` (a list, if there were any: `node`, `by`, `votes`), `preempted`, `stepped_down`, `suspected`, `killed`, `halted`,
    /// `t_us`, `events`, `deliveries`, `writes`, `marks` (for each fixed capacity `peak` and `capacity`), `verified`
    /// (if requested) and `digest`.
    pub fn json(&self, out: &mut Vec<u8>) {
        json::write(self, out);
    }

    /// Returns the outcome as a word and, unless the run is done, its reason. A run that a signal
    /// stopped is no stall: nothing is wrong with it, and its exit code is that of the signal.
    pub(crate) fn outcome(&self) -> (&'static str, Option<String>) {
        match &self.finished.verdict {
            Verdict::Done => ("done", None),
            Verdict::Violated(violation) => ("violated", Some(violation.to_string())),
            Verdict::Stalled(Bound::Stopped) => ("interrupted", Some(Bound::Stopped.to_string())),
            Verdict::Stalled(bound) => ("stalled", Some(bound.to_string())),
        }
    }

    /// Returns each kind of message that occurred, with the numbers sent, delivered and lost. Kinds
    /// that did not occur would fill most of the table of a short run.
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
