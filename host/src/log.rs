//! The log of a run: which records are shown, in which form, and where they go.

pub(crate) mod bytes;
mod colours;
mod context;
mod filter;
mod json;
mod output;
pub(crate) mod text;

#[cfg(test)]
mod tests;

pub use context::{Annotations, MessageId, ProbeReason};
pub use filter::{Filter, Level, level};
pub use json::Json;
pub use output::Output;
pub use text::{Text, style};

use context::Context;
use std::io::{self, Write};
use synod::{Event, Record, StateMachine, Tracer, Way};

/// What a record is turned into.
#[derive(Debug)]
pub enum Format {
    /// A line for people.
    Text(Text),
    /// A JSON object for programs.
    Json(Json),
}

/// Writes down the records that a filter admits.
///
/// After the first error of the output it writes nothing more, and [`Log::error`] says which error that was.
#[derive(Debug)]
pub struct Log<'a, W> {
    format: Format,
    filter: Filter,
    output: &'a mut Output<W>,
    context: Context,
}

impl Format {
    /// Appends the line of a record, with what is said of it besides.
    fn line<M: StateMachine, const PAGE: usize>(
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
    /// A log of what `filter` admits, in a form, to an output.
    pub fn new(format: Format, filter: Filter, output: &'a mut Output<W>) -> Self {
        Self {
            format,
            filter,
            output,
            context: Context::default(),
        }
    }

    /// The error that ended the output.
    #[inline]
    pub const fn error(&self) -> Option<&io::Error> {
        self.output.error()
    }
}

impl<W: Write> Log<'_, W> {
    /// Writes down a record where only some slots are asked for. A node applies such a slot when it hears that it is decided,
    /// which the message says that it has received, though it may be about other slots: that is written down first.
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
