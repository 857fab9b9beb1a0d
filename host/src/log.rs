//! The log of a run: which records are shown, in which form, and where they go.

pub(crate) mod bytes;
mod filter;
mod json;
mod output;
mod paint;
pub(crate) mod text;

#[cfg(test)]
mod tests;

pub use filter::{Filter, Level, level};
pub use json::Json;
pub use output::Output;
pub use text::{Text, style};

use std::io::{self, Write};
use synod::{Record, StateMachine, Tracer};

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
}

impl<'a, W: Write> Log<'a, W> {
    /// A log of what `filter` admits, in a form, to an output.
    pub const fn new(format: Format, filter: Filter, output: &'a mut Output<W>) -> Self {
        Self {
            format,
            filter,
            output,
        }
    }

    /// The error that ended the output.
    #[inline]
    pub const fn error(&self) -> Option<&io::Error> {
        self.output.error()
    }
}

impl<M: StateMachine, W: Write, const PAGE: usize> Tracer<M, PAGE> for Log<'_, W> {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        if !self.filter.admits(record) {
            return;
        }
        self.output.append(|out| match &self.format {
            Format::Text(text) => text.line(out, record),
            Format::Json(json) => json.line(out, record),
        });
    }
}
