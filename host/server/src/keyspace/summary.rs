//! What is kept of the replies to a batch: a digest of all, and the first one if it is short.

use crate::reply::Reply;
use synod::{Digest, OUTPUT_MAX, Reader, Sink, Value};

/// The longest first reply that is kept, encoded.
const HEAD_MAX: usize = 65;

/// The statuses that operations reply.
const STATUSES: [&str; 3] = ["OK", "string", "none"];

/// The output of a batch, which all nodes compare, and which a client's session keeps for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Summary {
    /// The number of replies.
    count: u16,
    /// A digest of all replies, so that nodes whose replies differ notice it.
    digest: u32,
    /// The length of the first reply, or 0 if it is too long or there is none.
    len: u8,
    /// The first reply: its kind, and what it says; zeros behind it.
    head: [u8; HEAD_MAX],
}

/// The kinds of replies.
mod kind {
    pub(super) const STATUS: u8 = 0;
    pub(super) const INTEGER: u8 = 1;
    pub(super) const BULK: u8 = 2;
    pub(super) const NIL: u8 = 3;
    pub(super) const ERROR: u8 = 4;
    pub(super) const ARRAY: u8 = 5;
    pub(super) const MAP: u8 = 6;
}

impl Summary {
    /// Returns the summary of the replies to a batch.
    pub(super) fn of(replies: &[Reply]) -> Self {
        let mut digest = Digest::new();
        for reply in replies {
            fold(reply, &mut digest);
        }
        let (low, high) = (digest.value() & 0xffff_ffff, digest.value() >> 32);
        let mut summary = Self {
            count: u16::try_from(replies.len()).unwrap_or(u16::MAX),
            digest: u32::try_from(low ^ high).unwrap_or(0),
            len: 0,
            head: [0; HEAD_MAX],
        };
        if let Some(reply) = replies.first() {
            summary.keep(reply);
        }
        summary
    }

    /// Keeps the first reply, if it is short enough.
    fn keep(&mut self, reply: &Reply) {
        let integer;
        let (kind, bytes): (u8, &[u8]) = match reply {
            Reply::Status(text) => (kind::STATUS, text.as_bytes()),
            Reply::Integer(value) => {
                integer = value.to_le_bytes();
                (kind::INTEGER, &integer)
            }
            Reply::Bulk(bytes) => (kind::BULK, bytes),
            Reply::Nil => (kind::NIL, &[]),
            Reply::Error(text) => (kind::ERROR, text.as_bytes()),
            Reply::Array(_) | Reply::Map(_) => return,
        };
        let [first, rest @ ..] = &mut self.head;
        if let Some(room) = rest.get_mut(..bytes.len()) {
            *first = kind;
            room.copy_from_slice(bytes);
            self.len = u8::try_from(1 + bytes.len()).unwrap_or(0);
        }
    }

    /// Returns the number of replies.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Returns the first reply; `None` if there is none, or if it was too long to be kept: more than 64 bytes, or a
    /// list.
    pub fn first_reply(&self) -> Option<Reply> {
        let (kind, bytes) = self.head().split_first()?;
        match *kind {
            kind::STATUS => {
                let mut statuses = STATUSES.into_iter();
                let status = statuses.find(|status| status.as_bytes() == bytes)?;
                Some(Reply::Status(status))
            }
            kind::INTEGER => {
                let integer = bytes.try_into().ok()?;
                Some(Reply::Integer(i64::from_le_bytes(integer)))
            }
            kind::BULK => Some(Reply::Bulk(bytes.to_vec())),
            kind::NIL => bytes.is_empty().then_some(Reply::Nil),
            kind::ERROR => Some(Reply::Error(String::from_utf8(bytes.to_vec()).ok()?)),
            _ => None,
        }
    }

    fn head(&self) -> &[u8] {
        self.head.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Folds a reply into a digest.
fn fold(reply: &Reply, digest: &mut Digest) {
    let mut fold_list = |kind, replies: &mut dyn Iterator<Item = &Reply>| {
        digest.put_u8(kind);
        let mut count = 0;
        for reply in replies {
            fold(reply, digest);
            count += 1;
        }
        digest.put_u64(count);
    };
    match reply {
        Reply::Array(replies) => return fold_list(kind::ARRAY, &mut replies.iter()),
        Reply::Map(pairs) => {
            let mut replies = pairs.iter().flat_map(|(key, value)| [key, value]);
            return fold_list(kind::MAP, &mut replies);
        }
        _ => {}
    }
    match reply {
        Reply::Status(text) => {
            digest.put_u8(kind::STATUS);
            digest.put(text.as_bytes());
        }
        Reply::Integer(value) => {
            digest.put_u8(kind::INTEGER);
            digest.put(&value.to_le_bytes());
        }
        Reply::Bulk(bytes) => {
            digest.put_u8(kind::BULK);
            digest.put(bytes);
        }
        Reply::Nil => digest.put_u8(kind::NIL),
        Reply::Error(text) => {
            digest.put_u8(kind::ERROR);
            digest.put(text.as_bytes());
        }
        Reply::Array(_) | Reply::Map(_) => {}
    }
}

const _: () = assert!(
    Summary::ENCODED_MAX <= OUTPUT_MAX,
    "a session with a summary fits in the pages of a snapshot"
);

impl Value for Summary {
    const ENCODED_MAX: usize = 2 + 4 + 1 + HEAD_MAX;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put(&self.count.to_le_bytes());
        sink.put_u32(self.digest);
        sink.put_u8(self.len);
        sink.put(self.head());
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let mut summary = Self {
            count: reader.array().map(u16::from_le_bytes)?,
            digest: reader.u32()?,
            len: reader.u8()?,
            head: [0; HEAD_MAX],
        };
        for byte in summary.head.get_mut(..usize::from(summary.len))? {
            *byte = reader.u8()?;
        }
        let is_whole = summary.len == 0 || summary.count > 0 && summary.first_reply().is_some();
        is_whole.then_some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::Writer;

    fn again(summary: &Summary) -> Option<Summary> {
        let mut buffer = [0; Summary::ENCODED_MAX];
        let mut writer = Writer::new(&mut buffer);
        summary.encode(&mut writer);
        assert!(!writer.overflowed());
        let len = writer.len();
        let mut reader = Reader::new(&buffer[..len]);
        Summary::decode(&mut reader).filter(|_| reader.is_empty())
    }

    #[test]
    fn a_short_first_reply_is_kept() {
        let text = "OOM command not allowed when used memory > 'maxmemory'.";
        for reply in [
            Reply::OK,
            Reply::Status("none"),
            Reply::Integer(i64::MIN),
            Reply::Nil,
            Reply::Bulk(vec![]),
            Reply::Bulk(vec![0xff; 64]),
            Reply::Error(text.to_owned()),
        ] {
            let summary = Summary::of(&[reply.clone(), Reply::Nil]);
            assert_eq!(summary.first_reply(), Some(reply));
            assert_eq!(summary.count(), 2);
            assert_eq!(again(&summary), Some(summary));
        }
    }

    #[test]
    fn a_long_first_reply_is_known_to_be_missing() {
        for replies in [
            vec![Reply::Bulk(vec![0; 65])],
            vec![Reply::Array(vec![]), Reply::Nil],
            vec![],
        ] {
            let summary = Summary::of(&replies);
            assert_eq!(summary.first_reply(), None);
            assert_eq!(usize::from(summary.count()), replies.len());
            assert_eq!(again(&summary), Some(summary));
        }
    }

    #[test]
    fn the_digest_depends_on_every_reply() {
        let list =
            |values: &[i64]| Reply::Array(values.iter().copied().map(Reply::Integer).collect());
        let all = [
            vec![],
            vec![Reply::OK],
            vec![Reply::OK, Reply::OK],
            vec![Reply::OK, Reply::Nil],
            vec![Reply::OK, Reply::Integer(1)],
            vec![Reply::OK, Reply::Bulk(b"1".to_vec())],
            vec![Reply::OK, Reply::Error("1".to_owned())],
            vec![Reply::OK, list(&[1, 2])],
            vec![Reply::OK, list(&[1]), Reply::Integer(2)],
            vec![
                Reply::OK,
                Reply::Map(vec![(Reply::Integer(1), Reply::Integer(2))]),
            ],
        ];
        let digests = all.iter().map(|replies| Summary::of(replies).digest);
        let distinct: std::collections::BTreeSet<_> = digests.collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_head_that_is_no_reply_is_refused() {
        let good = Summary::of(&[Reply::OK]);
        for damage in [
            |summary: &mut Summary| summary.head[0] = 9,
            |summary: &mut Summary| summary.head[1] = b'!',
            |summary: &mut Summary| summary.head[0] = kind::INTEGER,
            |summary: &mut Summary| summary.head[0] = kind::NIL,
            |summary: &mut Summary| summary.count = 0,
        ] {
            let mut bad = good;
            damage(&mut bad);
            assert_eq!(again(&bad), None);
        }
        let too_long = [&[1, 0, 0, 0, 0, 0, 66][..], &[0; 66]].concat();
        assert_eq!(Summary::decode(&mut Reader::new(&too_long)), None);
    }
}
