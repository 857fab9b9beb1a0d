//! Frames of HTTP/2 (RFC 9113).

use super::super::dialect::Garbled;

/// What a connection of a client begins with, before its first frame.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest payload that both sides take, as neither has said that it takes more.
pub(super) const PAYLOAD_MAX: usize = 16_384;
const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Of settings and pings: they answer those of the other side.
pub(super) const ACK: u8 = 1;
/// Of data and headers: nothing more follows on the stream.
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes the frame at the front of `input`, and its length; `None` if it is not complete.
    pub(super) fn parse(input: &'a [u8]) -> Result<Option<(Self, usize)>, Garbled> {
        let Some((header, rest)) = input.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [high, middle, low, kind, flags, stream @ ..] = *header;
        let len = [0, high, middle, low];
        let len = usize::try_from(u32::from_be_bytes(len)).map_err(|_| Garbled)?;
        if len > PAYLOAD_MAX {
            return Err(Garbled);
        }
        let Some(payload) = rest.get(..len) else {
            return Ok(None);
        };
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        let frame = Self {
            kind,
            flags,
            stream,
            payload,
        };
        Ok(Some((frame, HEADER + len)))
    }

    /// Appends the frame, whose payload is at most [`PAYLOAD_MAX`] bytes long.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        let len = u32::try_from(self.payload.len()).unwrap_or(0);
        let [_, len @ ..] = len.to_be_bytes();
        out.extend_from_slice(&len);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(self.payload);
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Returns the payload of data or headers, without what fills it up or orders streams.
    pub(super) fn content(&self) -> Result<&'a [u8], Garbled> {
        let mut content = self.payload;
        if self.has(PADDED) {
            let (padding, rest) = content.split_first().ok_or(Garbled)?;
            let len = rest.len().checked_sub(usize::from(*padding));
            content = rest.get(..len.ok_or(Garbled)?).ok_or(Garbled)?;
        }
        if self.kind == HEADERS && self.has(PRIORITY) {
            content = content.get(5..).ok_or(Garbled)?;
        }
        Ok(content)
    }

    /// Returns a payload of one number.
    pub(super) fn number(&self) -> Result<u32, Garbled> {
        let bytes = self.payload.try_into().map_err(|_| Garbled)?;
        Ok(u32::from_be_bytes(bytes))
    }
}
