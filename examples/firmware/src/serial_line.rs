//! Frames on a serial line, stuffed by COBS so that they contain no zero, and each followed by a zero. After lost
//! bytes, a receiver resynchronizes at the next zero.

use cobs::{DecodeResult, DecoderState};

/// The longest frame, in bytes.
pub const MTU: usize = 128;

/// The longest stuffed frame with its zero, in bytes.
const STUFFED_MAX: usize = cobs::max_encoding_length(MTU) + 1;

/// The received part of a frame.
#[derive(Debug)]
pub struct Line {
    state: DecoderState,
    frame: [u8; MTU],
    len: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            state: DecoderState::Idle,
            frame: [0; MTU],
            len: 0,
        }
    }
}

impl Line {
    /// Takes bytes until they complete a frame. A truncated or garbled frame is returned as well: its checksum
    /// detects that.
    pub fn receive(&mut self, mut next: impl FnMut() -> Option<u8>) -> Option<&[u8]> {
        loop {
            match self.state.feed(next()?) {
                Ok(DecodeResult::NoData) => {}
                Ok(DecodeResult::DataStart) => self.len = 0,
                Ok(DecodeResult::DataContinue(byte)) => {
                    if let Some(place) = self.frame.get_mut(self.len) {
                        *place = byte;
                        self.len += 1;
                    }
                }
                Ok(DecodeResult::DataComplete) | Err(_) => return self.frame.get(..self.len),
            }
        }
    }
}

/// Sends a frame of at most [`MTU`] bytes.
pub fn send(frame: &[u8], write: impl FnOnce(&[u8])) {
    let mut stuffed = [0; STUFFED_MAX];
    // The byte behind the encoded frame stays zero.
    if let Ok(len) = cobs::try_encode(frame, &mut stuffed) {
        write(stuffed.get(..=len).unwrap_or_default());
    }
}
