//! A decoder of `defmt` logs into text, with the string table of the image.

use crate::Failure;
use defmt_decoder::{DecodeError, StreamDecoder, Table};
use std::fs;
use std::path::Path;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `trace`, `debug`, `info`, `warn` or `error`; empty for a line without a level.
    pub level: &'static str,
    /// The text.
    pub text: String,
}

/// The string table of an image.
#[derive(Debug)]
pub struct Dictionary(Table);

impl Dictionary {
    /// Reads the string table of an image.
    ///
    /// # Errors
    ///
    /// Returns an error if the image cannot be read, or does not log.
    pub fn of(image: &Path) -> Result<Self, Failure> {
        let name = image.display();
        let elf = fs::read(image)
            .map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
        let table = Table::parse(&elf).map_err(|error| {
            Failure::new(format!("{name} has an unsupported log format: {error}"))
        })?;
        let table = table.ok_or_else(|| Failure::new(format!("{name} logs nothing")))?;
        Ok(Self(table))
    }

    /// Returns a decoder for a stream of bytes.
    pub fn decoder(&self) -> Decoder<'_> {
        Decoder(self.0.new_stream_decoder())
    }

    /// Decodes a whole log.
    ///
    /// # Errors
    ///
    /// Returns an error if a frame is malformed, or the log is empty.
    pub fn decode(&self, log: &[u8]) -> Result<Vec<Line>, Failure> {
        let mut decoder = self.decoder();
        let mut lines = Vec::new();
        decoder.receive(log, |line| lines.push(line))?;
        if lines.is_empty() {
            return Err(Failure::new("the log is empty"));
        }
        Ok(lines)
    }
}

/// A decoder for a stream of bytes.
#[expect(missing_debug_implementations, reason = "what it holds has none")]
pub struct Decoder<'a>(Box<dyn StreamDecoder + Send + Sync + 'a>);

impl Decoder<'_> {
    /// Decodes more bytes, and passes each completed line to `each`.
    ///
    /// # Errors
    ///
    /// Returns an error if a frame is malformed.
    pub fn receive(&mut self, bytes: &[u8], mut each: impl FnMut(Line)) -> Result<(), Failure> {
        self.0.received(bytes);
        loop {
            match self.0.decode() {
                Ok(frame) => each(Line {
                    level: frame.level().map_or("", |level| level.as_str()),
                    text: frame.display_message().to_string(),
                }),
                Err(DecodeError::UnexpectedEof) => return Ok(()),
                Err(DecodeError::Malformed) => {
                    return Err(Failure::new("the log has a malformed frame"));
                }
            }
        }
    }
}
