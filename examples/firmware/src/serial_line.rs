//! Frames on a serial line: stuffed (COBS), so that no byte of them is zero, and a zero behind each. Whoever comes in
//! later, or has lost bytes, finds the next frame behind the next zero.

use cobs::{DecodeResult, DecoderState};

/// The longest frame, in bytes.
pub const MTU: usize = 128;

/// The longest frame as it is on the line, with its zero.
const STUFFED_MAX: usize = cobs::max_encoding_length(MTU) + 1;

/// What has arrived of a frame.
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
    /// Takes the bytes that are there, until they are a frame. What is left of a frame that was cut or garbled is handed
    /// over as well, for a checksum to notice.
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

/// Sends a frame, which is no longer than [`MTU`].
pub fn send(frame: &[u8], write: impl FnOnce(&[u8])) {
    let mut stuffed = [0; STUFFED_MAX];
    // The byte behind it stays zero.
    if let Ok(len) = cobs::try_encode(frame, &mut stuffed) {
        write(stuffed.get(..=len).unwrap_or_default());
    }
}
