//! Log of a run: which records are shown, in which format, and where they are written.
//!
//! A log is a tracer. It sees every record of a run, keeps what later lines need to know of earlier
//! ones, and formats only those that its filter admits. The run waits while a line is formatted, so
//! that lines are appended to one buffer and are never strings of their own.

pub(crate) mod bytes;
mod colours;
mod context;
mod filter;
mod json;
mod output;
mod player;
pub(crate) mod text;
#[cfg(feature = "server")]
mod wall_time;

#[cfg(test)]
mod tests;

pub use context::{Annotations, MessageId, ProbeReason};
pub use filter::{Filter, Level, level};
pub use json::Json;
pub use output::Output;
pub use player::Player;
pub use text::{Text, style};

use crate::run::HostTracer;
use context::Context;
use std::io::{self, Write};
use synod::{Event, Record, StateMachine, Tracer, Way};

/// Format of a log.
#[derive(Debug)]
pub enum Format {
    /// Lines for people.
    Text(Text),
    /// JSON objects for programs.
    Json(Json),
}

/// A tracer that writes the records admitted by a filter.
///
/// After the first error of the output, which [`Log::error`] returns, nothing more is written.
///
/// ```
/// use synod_host::log::{Filter, Format, Log, Output, Text};
/// use synod_host::{Options, run};
///
/// let mut options = Options::new(6);
/// options.nodes = 3;
/// let mut output = Output::new(Vec::new());
/// let format = Format::Text(Text::plain());
/// run(&options, &mut Log::new(format, Filter::default(), &mut output))?;
/// let log = String::from_utf8(output.finish()?)?;
/// assert!(log.lines().all(|line| line.starts_with("NODE_")));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log<'a, W> {
    /// How a record is written.
    format: Format,
    /// Which records are written.
    filter: Filter,
    /// Where they are written. The caller flushes it after the run, as its summary follows in the
    /// same output.
    output: &'a mut Output<W>,
    /// What earlier records say about later ones. It sees all records, also those that are not
    /// written.
    context: Context,
}

impl Format {
    /// Appends a line about a node as a whole.
    #[cfg(feature = "server")]
    pub(crate) fn notice(
        &self,
        out: &mut Vec<u8>,
        at: (synod::Instant, synod::NodeId),
        (level, text): (Level, &dyn core::fmt::Display),
    ) {
        match self {
            Self::Text(format) => format.notice(out, at, text),
            Self::Json(format) => format.notice(out, at, (level, text)),
        }
    }

    /// Appends the line of a record of a real node, whose time is that of the wall clock.
    #[cfg(feature = "server")]
    pub(crate) fn line_of_real_node<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
    ) {
        match self {
            Self::Text(text) => text.line(out, record, &Annotations::default()),
            Self::Json(json) => json.line_of_real_node(out, record),
        }
    }

    /// Appends the line of a record and its annotations.
    pub(crate) fn line<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
        notes: &Annotations,
    ) {
        match self {
            Self::Text(text) => text.line(out, record, notes),
            Self::Json(json) => json.line(out, record, notes),
        }
    }
}

impl<'a, W: Write> Log<'a, W> {
    /// Returns a log with a filter, a format and an output.
    pub fn new(format: Format, filter: Filter, output: &'a mut Output<W>) -> Self {
        Self {
            format,
            filter,
            output,
            context: Context::default(),
        }
    }

    /// Returns the error that ended the output.
    #[inline]
    pub const fn error(&self) -> Option<&io::Error> {
        self.output.error()
    }
}

impl<W: Write> Log<'_, W> {
    /// Writes a record if the log shows only some slots. A node applies such a slot upon a message that says the slot
    /// is decided but may be about other slots. That message is written first.
    ///
    /// For this, the line of each received message is kept until the node applies a slot or
    /// receives another one.
    fn record_for_slots<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
        notes: &Annotations,
        is_asked_for: bool,
    ) {
        let Self {
            format,
            filter,
            output,
            context,
        } = self;
        let applies = context.applies(record);
        let applies = applies.is_some_and(|(first, last)| filter.admits_between(first, last));
        // In front of the line of the slot, as it is the cause.
        if applies && let Some(line) = context.received(record.node, record.at) {
            output.append(|out| out.extend_from_slice(&line));
        }
        if is_asked_for || applies {
            output.append(|out| format.line(out, record, notes));
            if matches!(record.event, Event::Received { .. }) {
                context.forget_received(record.node);
            }
        } else {
            context.keep_received(record, |out| format.line(out, record, notes));
        }
    }
}

impl<M: StateMachine, W: Write, const PAGE: usize> Tracer<M, PAGE> for Log<'_, W> {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        // Also for records that are not shown: the identity of a message is the number of those
        // before it.
        let notes = self.context.note(record);
        let is_asked_for = self.filter.admits(record);
        if !self.filter.slots.is_empty() && self.filter.admits_but_slots(record) {
            return self.record_for_slots(record, &notes, is_asked_for);
        }
        if is_asked_for {
            let format = &self.format;
            self.output.append(|out| format.line(out, record, &notes));
        }
    }

    #[inline]
    fn on_way(&mut self, way: Way) {
        self.context.on_way(way);
    }
}

impl<W: Write + Send> HostTracer for Log<'_, W> {}
