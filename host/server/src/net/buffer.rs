//! Frames that wait to be sent over one connection, with a bound.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

/// The most bytes that wait for one node.
const WAITING_MAX: usize = 4 << 20;

/// Frames, each with its length before it, in the order in which they are sent.
#[derive(Debug, Default)]
pub(super) struct FrameBuffer {
    bytes: Vec<u8>,
    /// How many of the bytes were sent.
    sent: usize,
    /// The lengths of the frames of which at least one byte was not sent, with their prefix.
    lens: VecDeque<usize>,
    /// How many bytes of the first of these were sent.
    partial: usize,
    /// The number of frames that were dropped because too many waited.
    dropped: u64,
}

impl FrameBuffer {
    /// Adds a frame. The oldest ones are dropped if there is no room: the newest tell most.
    pub(super) fn push(&mut self, frame: &[u8]) {
        let Ok(len) = u16::try_from(frame.len()) else {
            return;
        };
        if self.waiting() + frame.len() + 2 > WAITING_MAX {
            self.drop_oldest();
        }
        if self.sent >= WAITING_MAX {
            self.forget_sent();
        }
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(frame);
        self.lens.push_back(frame.len() + 2);
    }

    /// Returns the number of bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Returns how many frames were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Removes everything, for a new connection.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lens.clear();
        (self.sent, self.partial) = (0, 0);
    }

    /// Sends as much as the connection takes. Returns the number of bytes that were sent.
    ///
    /// # Errors
    ///
    /// An error of the connection, which is then of no more use.
    pub(super) fn send(&mut self, connection: &mut impl Write) -> io::Result<usize> {
        let before = self.sent;
        while let Some(rest) = self.bytes.get(self.sent..)
            && !rest.is_empty()
        {
            match connection.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match connection.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        let sent = self.sent - before;
        if self.sent == self.bytes.len() {
            self.clear();
        }
        Ok(sent)
    }

    fn advance(&mut self, count: usize) {
        self.sent += count;
        self.partial += count;
        while let Some(len) = self.lens.front()
            && *len <= self.partial
        {
            self.partial -= len;
            self.lens.pop_front();
        }
    }

    /// Drops the oldest frames of which nothing was sent, until a half of the room is free. All at once: what stays is
    /// moved.
    fn drop_oldest(&mut self) {
        let begun = usize::from(self.partial > 0);
        let rest = self.lens.front().filter(|_| self.partial > 0);
        let start = self.sent + rest.map_or(0, |len| len - self.partial);
        let mut end = start;
        while self.waiting() - (end - start) > WAITING_MAX / 2
            && let Some(len) = self.lens.remove(begun)
        {
            end += len;
            self.dropped += 1;
        }
        self.bytes.drain(start..end);
    }

    /// Gives up the memory of what was sent. A connection that is never idle would collect it.
    fn forget_sent(&mut self) {
        self.bytes.drain(..self.sent);
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that takes a few bytes at a time, and no more than a limit.
    struct Narrow {
        taken: Vec<u8>,
        limit: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(3).min(self.limit - self.taken.len());
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len));
            frames.push(rest[..len].to_vec());
            bytes = &rest[len..];
        }
        frames
    }

    #[test]
    fn a_frame_that_was_sent_in_part_is_finished_and_the_oldest_others_are_dropped() {
        let mut buffer = FrameBuffer::default();
        let mut narrow = Narrow {
            taken: Vec::new(),
            limit: 100,
        };
        for number in 0..5_000_u16 {
            let mut frame = vec![b'.'; 1_000];
            frame[..2].copy_from_slice(&number.to_le_bytes());
            buffer.push(&frame);
            if number == 0 {
                assert_eq!(buffer.send(&mut narrow).unwrap(), 100);
            }
        }
        assert!(buffer.waiting() <= WAITING_MAX);
        narrow.limit = usize::MAX;
        buffer.send(&mut narrow).unwrap();
        let arrived = frames(&narrow.taken);
        let number = |frame: &Vec<u8>| u16::from_le_bytes([frame[0], frame[1]]);
        assert_eq!(number(&arrived[0]), 0, "a part of it had been sent");
        let dropped = u16::try_from(buffer.dropped()).unwrap();
        assert!(dropped > 0);
        let rest: Vec<_> = arrived[1..].iter().map(number).collect();
        assert_eq!(rest, (dropped + 1..5_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_connection_that_always_has_something_to_send_does_not_collect_what_it_has_sent() {
        let mut buffer = FrameBuffer::default();
        let mut narrow = Narrow {
            taken: Vec::new(),
            limit: 0,
        };
        for _ in 0..6_000 {
            buffer.push(&[b'.'; 998]);
            buffer.push(&[b'.'; 998]);
            narrow.limit += 1_997;
            buffer.send(&mut narrow).unwrap();
        }
        assert!(buffer.waiting() > 0);
        assert!(
            buffer.bytes.len() <= 2 * WAITING_MAX,
            "{}",
            buffer.bytes.len()
        );
        assert!(frames(&narrow.taken[..1_000_000]).len() > 990);
    }
}
