//! The tracer of a page: it gives each record to a recorder, with its line of the plain log.

use super::context::Context;
use super::text::Text;
use crate::run::{HostTracer, WINDOW};
use crate::summary::Summary;
use synod::{Record, StateMachine, Tracer, Way};
use synod_viewer::{Head, Recorder};

/// Records a run, and makes a page of it.
///
/// ```
/// use synod_host::log::Player;
/// use synod_host::summary::Summary;
/// use synod_host::{Options, run};
///
/// let mut options = Options::new(6);
/// options.nodes = 3;
/// let mut player = Player::new();
/// let finished = run(&options, &mut player)?;
/// let command = options.command();
/// let summary = Summary { run_seed: 6, command: &command, finished: &finished, verified: None };
/// assert!(player.page(&summary).starts_with("<!doctype html>"));
/// # Ok::<(), synod_host::run::RunError>(())
/// ```
#[derive(Debug)]
pub struct Player {
    text: Text,
    context: Context,
    /// The line of the present record.
    line: Vec<u8>,
    recorder: Recorder,
}

impl Default for Player {
    fn default() -> Self {
        Self::new()
    }
}

impl Player {
    /// Returns a tracer that has seen nothing.
    pub fn new() -> Self {
        Self {
            text: Text::plain(),
            context: Context::default(),
            line: Vec::new(),
            recorder: Recorder::new(),
        }
    }

    /// Returns the page of a run that has ended with this summary.
    pub fn page(&self, summary: &Summary<'_>) -> String {
        let (outcome, reason) = summary.outcome();
        let mut text = Vec::new();
        summary.text(&mut text);
        self.recorder.page(&Head {
            command: summary.command.to_owned(),
            seed: summary.run_seed,
            nodes: summary.finished.report.nodes,
            window: WINDOW,
            outcome: outcome.to_owned(),
            reason,
            summary: String::from_utf8_lossy(&text).into_owned(),
        })
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Player {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let notes = self.context.note(record);
        self.line.clear();
        self.text.line(&mut self.line, record, &notes);
        let line = String::from_utf8_lossy(&self.line);
        self.recorder.record(record, line.trim_end());
    }

    fn on_way(&mut self, way: Way) {
        self.context.on_way(way);
        self.recorder.on_way(way);
    }
}

impl HostTracer for Player {
    fn recorder(&mut self) -> Option<&mut Recorder> {
        Some(&mut self.recorder)
    }
}
