//! Logs in words: `defmt` frames, decoded with what the image says about them.

use crate::Failure;
use defmt_decoder::{DecodeError, StreamDecoder, Table};
use std::fs;
use std::path::Path;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `trace`, `debug`, `info`, `warn` or `error`; empty where a line has none.
    pub level: &'static str,
    /// What it says.
    pub text: String,
}

/// What an image says about its log.
#[derive(Debug)]
pub struct Dictionary(Table);

impl Dictionary {
    /// Reads it from an image.
    ///
    /// # Errors
    ///
    /// The image cannot be read, or logs nothing.
    pub fn of(image: &Path) -> Result<Self, Failure> {
        let name = image.display();
        let elf = fs::read(image)
            .map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
        let table = Table::parse(&elf)
            .map_err(|error| Failure::new(format!("{name} has another form of log: {error}")))?;
        let table = table.ok_or_else(|| Failure::new(format!("{name} logs nothing")))?;
        Ok(Self(table))
    }

    /// Decodes as bytes arrive.
    pub fn decoder(&self) -> Decoder<'_> {
        Decoder(self.0.new_stream_decoder())
    }

    /// Decodes a whole log.
    ///
    /// # Errors
    ///
    /// There is a frame that is malformed, or there is none at all.
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

/// Decodes as bytes arrive.
#[expect(missing_debug_implementations, reason = "what it holds has none")]
pub struct Decoder<'a>(Box<dyn StreamDecoder + Send + Sync + 'a>);

impl Decoder<'_> {
    /// Takes bytes, and hands over each line that they complete.
    ///
    /// # Errors
    ///
    /// A frame is malformed.
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
