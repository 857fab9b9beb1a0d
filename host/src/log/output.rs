//! Buffered output of lines, written in large pieces.

use std::io::{self, Write};

/// Number of bytes that are gathered before they are written, so that the log of a usual run takes a
/// few system calls.
const GATHERED: usize = 128 * 1024;
/// Room for the longest line beyond that, so that the buffer does not grow.
const LINE_MAX: usize = 8 * 1024;

/// Gathers lines and writes them in pieces of about 128 KiB; [`Output::flush`] writes the rest.
///
/// Nothing is gathered or written after the first error, because a log with a gap would mislead.
#[derive(Debug)]
pub struct Output<W> {
    /// Where the pieces are written.
    sink: W,
    /// Whole lines that are not written yet, fewer than [`GATHERED`] bytes between calls.
    buffer: Vec<u8>,
    /// First error of the sink.
    error: Option<io::Error>,
}

impl<W: Write> Output<W> {
    /// Returns an output to `sink`, which need not be buffered.
    pub fn new(sink: W) -> Self {
        Self {
            sink,
            buffer: Vec::with_capacity(GATHERED + LINE_MAX),
            error: None,
        }
    }

    /// Calls `write` to append whole lines.
    #[inline]
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.error.is_some() {
            return;
        }
        write(&mut self.buffer);
        if self.buffer.len() >= GATHERED {
            self.flush();
        }
        debug_assert!(
            self.buffer.len() < GATHERED,
            "a whole piece is written at once"
        );
    }

    /// Writes the gathered lines. After an error they are dropped.
    pub fn flush(&mut self) {
        if self.error.is_none() {
            let written = self.sink.write_all(&self.buffer);
            self.error = written.and_then(|()| self.sink.flush()).err();
        }
        self.buffer.clear();
    }

    /// Returns the error that ended the output.
    #[inline]
    pub const fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Writes the rest and closes the output.
    ///
    /// # Errors
    ///
    /// The first error of the sink. Lines appended after the last complete piece are lost.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush();
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.sink),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that accepts a few pieces and then fails.
    struct Pipe {
        pieces: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.pieces == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.pieces -= 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_large_pieces() {
        let mut output = Output::new(Vec::new());
        output.append(|out| out.extend_from_slice(b"one\n"));
        assert!(output.sink.is_empty(), "one line is not worth a write");
        output.append(|out| out.resize(GATHERED, b'.'));
        assert_eq!(output.sink.len(), GATHERED);
        output.append(|out| out.extend_from_slice(b"last\n"));
        assert!(output.finish().unwrap().ends_with(b".last\n"));
    }

    #[test]
    fn the_first_error_ends_the_output() {
        let mut output = Output::new(Pipe { pieces: 1 });
        output.append(|out| out.resize(GATHERED, b'.'));
        assert!(output.error().is_none());
        output.append(|out| out.resize(GATHERED, b'.'));
        assert!(output.error().is_some());
        output.append(|_| panic!("nothing is formatted for a closed pipe"));
        let error = output.finish().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
