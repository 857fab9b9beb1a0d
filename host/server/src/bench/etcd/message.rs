//! The messages of etcd's service for keys and values, in protocol buffers, each behind the five bytes of gRPC.

use super::super::dialect::Garbled;
use super::super::workload::push_key_text;

/// Tags of fields that have a length: of a request the key and the value, of the answer to a read the pairs that were found.
const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const PAIRS: u64 = 2 << 3 | 2;
/// What is in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Returns a `PutRequest`.
pub(super) fn put(key: u64, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0; PREFIX];
    push_key(key, &mut out);
    out.push(VALUE);
    push_varint(value.len(), &mut out);
    out.extend_from_slice(value);
    finish(out)
}

/// Returns a `RangeRequest` of one key. It is linearizable, as nothing is said of that.
pub(super) fn range(key: u64) -> Vec<u8> {
    let mut out = vec![0; PREFIX];
    push_key(key, &mut out);
    finish(out)
}

/// True if the answer to a `RangeRequest` holds a pair of a key and a value.
pub(super) fn has_pair(answer: &[u8]) -> Result<bool, Garbled> {
    let mut rest = Fields(message(answer)?);
    let mut has_pair = false;
    while !rest.0.is_empty() {
        has_pair |= rest.skip()? == PAIRS;
    }
    Ok(has_pair)
}

/// Returns the one message that an answer consists of, without its prefix.
pub(super) fn message(answer: &[u8]) -> Result<&[u8], Garbled> {
    let (prefix, message) = answer.split_first_chunk::<PREFIX>().ok_or(Garbled)?;
    let [compressed, len @ ..] = *prefix;
    let is_whole = usize::try_from(u32::from_be_bytes(len)) == Ok(message.len());
    // It was not said that any compression is understood.
    if compressed == 0 && is_whole {
        Ok(message)
    } else {
        Err(Garbled)
    }
}

fn push_key(key: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[KEY, 0]);
    push_key_text(*b"bench:v:", key, out);
    let len = out.len() - start - 2;
    if let Some(place) = out.get_mut(start + 1) {
        // All keys have 20 bytes.
        *place = u8::try_from(len).unwrap_or(0);
    }
}

fn push_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(0x80 | u8::try_from(value & 0x7f).unwrap_or(0));
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// Writes the length of the message into its prefix.
fn finish(mut out: Vec<u8>) -> Vec<u8> {
    let len = u32::try_from(out.len() - PREFIX).unwrap_or(0);
    if let Some([_, place @ ..]) = out.first_chunk_mut::<PREFIX>() {
        *place = len.to_be_bytes();
    }
    out
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// Takes a field. Returns its tag.
    fn skip(&mut self) -> Result<u64, Garbled> {
        let tag = self.varint()?;
        let len = match tag & 7 {
            0 => {
                self.varint()?;
                0
            }
            1 => 8,
            2 => usize::try_from(self.varint()?).map_err(|_| Garbled)?,
            5 => 4,
            _ => return Err(Garbled),
        };
        self.0 = self.0.get(len..).ok_or(Garbled)?;
        Ok(tag)
    }

    fn varint(&mut self) -> Result<u64, Garbled> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Garbled)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Garbled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_hold_a_key_and_a_value() {
        let key = b"\x0a\x14bench:v:000000000007";
        assert_eq!(range(7), [b"\0\0\0\0\x16", &key[..]].concat());
        let value = [b'x'; 200];
        let expected = [b"\0\0\0\0\xe1", &key[..], b"\x12\xc8\x01", &value].concat();
        assert_eq!(put(7, &value), expected);
    }

    #[test]
    fn an_answer_with_a_pair_is_told_from_one_without() {
        // A header of the answer, a pair, and a count.
        let pair = b"\0\0\0\0\x0b\x0a\x02\x18\x05\x12\x03\x0a\x01k\x20\x01";
        assert_eq!(has_pair(pair), Ok(true));
        assert_eq!(has_pair(b"\0\0\0\0\x04\x0a\x02\x18\x05"), Ok(false));
        assert_eq!(has_pair(b"\0\0\0\0\0"), Ok(false));
        let refused: [&[u8]; 7] = [
            b"\0\0\0\0",
            b"\x01\0\0\0\0",
            b"\0\0\0\0\x01",
            b"\0\0\0\0\x02\x12\x7f",
            b"\0\0\0\0\x01\x0b",
            b"\0\0\0\0\x01\x80",
            b"\0\0\0\0\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ];
        for answer in refused {
            assert_eq!(has_pair(answer), Err(Garbled), "{answer:?}");
        }
    }
}
