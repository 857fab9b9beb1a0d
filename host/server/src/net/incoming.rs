//! A connection that another node has dialled, from which frames are read.

use super::hello::{HELLO_MAX, Hello};
use super::stream::Stream;
use crate::capacity::FRAME_MAX;
use crate::tls::Refusal;
use std::io::{ErrorKind, Read};
use synod::Instant;

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A connection from another node.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) stream: Stream,
    /// When it was accepted.
    pub(super) since: Instant,
    /// Who has dialled; `None` before it has said so.
    pub(super) hello: Option<Hello>,
    /// Bytes of frames that are not complete.
    bytes: Vec<u8>,
    /// True if there may be more to read.
    pub(super) is_readable: bool,
}

/// What reading has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything was read for the present.
    Dry,
    /// There is more.
    More,
    /// The connection is of no more use, perhaps because the other side was refused.
    Closed(Option<Refusal>),
}

impl Incoming {
    pub(super) fn new(stream: Stream, since: Instant) -> Self {
        Self {
            stream,
            since,
            hello: None,
            bytes: Vec::new(),
            is_readable: true,
        }
    }

    /// Reads once, and passes the complete frames on. The first one must be a hello that `greet` accepts.
    pub(super) fn read(
        &mut self,
        scratch: &mut Vec<u8>,
        mut greet: impl FnMut(&Stream, &Hello) -> Result<(), Option<Refusal>>,
        mut take: impl FnMut(&[u8]),
    ) -> Progress {
        scratch.resize(PIECE, 0);
        let count = match self.stream.read(scratch) {
            Ok(0) => return Progress::Closed(None),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_readable = false;
                return Progress::Dry;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Progress::More,
            Err(error) => return Progress::Closed(Refusal::of_io(&error)),
        };
        self.bytes
            .extend_from_slice(scratch.get(..count).unwrap_or_default());
        let mut rest = self.bytes.as_slice();
        while let Some((len, after)) = rest.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len));
            let is_greeted = self.hello.is_some();
            // Nothing longer is ever sent: this is no node, and what it says is not kept.
            if len > if is_greeted { FRAME_MAX } else { HELLO_MAX } {
                return Progress::Closed(None);
            }
            let Some((frame, after)) = after.split_at_checked(len) else {
                break;
            };
            if is_greeted {
                take(frame);
            } else {
                let Some(hello) = Hello::decode(frame) else {
                    return Progress::Closed(None);
                };
                if let Err(refusal) = greet(&self.stream, &hello) {
                    return Progress::Closed(refusal);
                }
                self.hello = Some(hello);
            }
            rest = after;
        }
        let done = self.bytes.len() - rest.len();
        self.bytes.drain(..done);
        Progress::More
    }
}
