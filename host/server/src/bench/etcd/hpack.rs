//! Compressed headers of HTTP/2 (RFC 7541): written for the two requests that are made, and read whatever they are.

use super::super::dialect::Garbled;
use std::collections::VecDeque;

/// The size of the dynamic tables on both sides, in bytes as the standard counts them: its default.
pub(super) const TABLE: usize = 4_096;
/// What an entry of the dynamic table counts beside its bytes.
const ENTRY: usize = 32;
/// The number of entries of the static table.
const STATIC_LEN: usize = STATIC.len();

/// A method of etcd's service for keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Put,
    Range,
}

impl Method {
    fn path(self) -> &'static str {
        match self {
            Self::Put => "/etcdserverpb.KV/Put",
            Self::Range => "/etcdserverpb.KV/Range",
        }
    }
}

/// Writes the headers of requests. Those that were sent once on a connection are one byte from then on, as any client of
/// gRPC writes them.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    /// What the dynamic table of the server holds, the newest at the end. It never fills.
    sent: Vec<(&'static str, &'static str)>,
}

impl Encoder {
    /// Appends the headers of a request.
    pub(super) fn push(&mut self, method: Method, out: &mut Vec<u8>) {
        // Entries of the static table: `:method: POST` and `:scheme: http`.
        out.extend_from_slice(&[0x83, 0x86]);
        self.push_field((":path", method.path()), out);
        self.push_field((":authority", "etcd"), out);
        self.push_field(("content-type", "application/grpc"), out);
        self.push_field(("te", "trailers"), out);
    }

    fn push_field(&mut self, field: (&'static str, &'static str), out: &mut Vec<u8>) {
        let newer = self.sent.iter().rev().position(|sent| *sent == field);
        if let Some(newer) = newer {
            // At most a hundred entries are never reached, so that an index is always one byte.
            let index = u8::try_from(STATIC_LEN + 1 + newer).unwrap_or(u8::MAX);
            out.push(0x80 | index);
            return;
        }
        self.sent.push(field);
        // A literal that both sides keep, with a literal name.
        out.push(0x40);
        for text in [field.0, field.1] {
            // All are shorter than 127 bytes, so that a length is always one byte.
            out.push(u8::try_from(text.len()).unwrap_or(0));
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Reads the headers of answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    /// The dynamic table, the newest entry first.
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// The size of the entries, as the standard counts it.
    size: usize,
    /// What the server has lowered its table by.
    lowered: usize,
}

impl Decoder {
    /// Reads a whole block, and hands the name and the value of each field to `take`.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        mut take: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Garbled> {
        let mut rest = Bytes(block);
        while let Some(first) = rest.0.first().copied() {
            if first & 0x80 != 0 {
                let index = rest.integer(7)?;
                let (name, value) = self.entry(index)?;
                take(name, value);
            } else if first & 0xc0 == 0x40 {
                let (name, value) = self.literal(&mut rest, 6)?;
                take(&name, &value);
                self.insert(name, value);
            } else if first & 0xe0 == 0x20 {
                let size = rest.integer(5)?;
                self.lowered = TABLE.checked_sub(size).ok_or(Garbled)?;
                self.evict(0);
            } else {
                let (name, value) = self.literal(&mut rest, 4)?;
                take(&name, &value);
            }
        }
        Ok(())
    }

    fn literal(&self, rest: &mut Bytes<'_>, bits: u32) -> Result<(Vec<u8>, Vec<u8>), Garbled> {
        let name = match rest.integer(bits)? {
            0 => rest.string()?,
            index => self.entry(index)?.0.to_vec(),
        };
        Ok((name, rest.string()?))
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Garbled> {
        let index = index.checked_sub(1).ok_or(Garbled)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.entries.get(index - STATIC_LEN).ok_or(Garbled)?;
        Ok((name, value))
    }

    fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        let size = name.len() + value.len() + ENTRY;
        self.evict(size);
        // One that is larger than the table empties it, and is not kept.
        if size <= TABLE - self.lowered {
            self.size += size;
            self.entries.push_front((name, value));
        }
    }

    /// Makes room for an entry of this size.
    fn evict(&mut self, size: usize) {
        while self.size + size > TABLE - self.lowered {
            let Some((name, value)) = self.entries.pop_back() else {
                return;
            };
            self.size -= name.len() + value.len() + ENTRY;
        }
    }
}

/// What is left of a block.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Result<u8, Garbled> {
        let (first, rest) = self.0.split_first().ok_or(Garbled)?;
        self.0 = rest;
        Ok(*first)
    }

    /// Takes an integer that begins in so many bits of a byte.
    fn integer(&mut self, bits: u32) -> Result<usize, Garbled> {
        let mask = (1 << bits) - 1;
        let mut value = usize::from(self.byte()? & mask);
        if value < usize::from(mask) {
            return Ok(value);
        }
        // Three more bytes are two million: more than a block has.
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Garbled)
    }

    fn string(&mut self) -> Result<Vec<u8>, Garbled> {
        let is_huffman = self.0.first().ok_or(Garbled)? & 0x80 != 0;
        let len = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or(Garbled)?;
        self.0 = rest;
        if is_huffman {
            huffman(text)
        } else {
            Ok(text.to_vec())
        }
    }
}

/// Decodes a string bit by bit. The code is canonical: codes of one length follow each other in the order of their symbols,
/// and the lengths say all.
fn huffman(text: &[u8]) -> Result<Vec<u8>, Garbled> {
    let mut out = Vec::with_capacity(text.len() * 8 / 5);
    // The bits since the last symbol, their number, and the first code of that length.
    let (mut code, mut len, mut first) = (0_usize, 0_u8, 0_usize);
    for bit in text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1))
    {
        code = code << 1 | usize::from(bit);
        first <<= 1;
        len += 1;
        let of_len = || {
            (0..=u8::MAX)
                .zip(LENGTHS)
                .filter(|(_, length)| *length == len)
        };
        let count = if len < LENGTH_MIN {
            0
        } else {
            of_len().count()
        };
        if code < first + count {
            let (symbol, _) = of_len().nth(code - first).ok_or(Garbled)?;
            out.push(symbol);
            (code, len, first) = (0, 0, 0);
        } else if len == LENGTH_MAX {
            // The end of the string, which is never written.
            return Err(Garbled);
        } else {
            first += count;
        }
    }
    // The last byte is filled with ones.
    let is_filled = len < 8 && code + 1 == 1 << len;
    if is_filled { Ok(out) } else { Err(Garbled) }
}

const LENGTH_MIN: u8 = 5;
const LENGTH_MAX: u8 = 30;

/// The lengths of the codes of all bytes (RFC 7541, appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The static table (RFC 7541, appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    fn decoded(decoder: &mut Decoder, hex: &str) -> Result<String, Garbled> {
        let mut text = String::new();
        decoder.decode(&bytes(hex), |name, value| {
            for part in [name, b"=", value, b";"] {
                text.push_str(&String::from_utf8_lossy(part));
            }
        })?;
        Ok(text)
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // Appendix C.4: requests with Huffman codes, on one connection.
        let mut decoder = Decoder::default();
        let first = decoded(&mut decoder, "828684418cf1e3c2e5f23a6ba0ab90f4ff");
        let expected = ":method=GET;:scheme=http;:path=/;:authority=www.example.com;";
        assert_eq!(first.as_deref(), Ok(expected));
        let second = decoded(&mut decoder, "828684be5886a8eb10649cbf");
        assert_eq!(second, Ok(format!("{expected}cache-control=no-cache;")));
        let third = decoded(
            &mut decoder,
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        );
        assert!(third.unwrap().ends_with("custom-key=custom-value;"));
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn the_dynamic_table_forgets_its_oldest_entries() {
        let mut decoder = Decoder::default();
        decoded(&mut decoder, "400161016240016301643f1f").unwrap();
        // Lowered to 62 bytes, which is room for none of 34 and another.
        assert_eq!(decoder.entries.len(), 1);
        assert_eq!(decoded(&mut decoder, "be"), Ok("c=d;".to_owned()));
        assert_eq!(decoded(&mut decoder, "bf"), Err(Garbled));
        // An entry larger than the table empties it.
        let long = format!("400141{:02x}{}", 40, "61".repeat(40));
        let long = long.replacen("400141", "4001 41", 1);
        assert!(decoded(&mut decoder, &long).is_ok());
        assert_eq!((decoder.entries.len(), decoder.size), (0, 0));
    }

    #[test]
    fn what_is_cut_off_or_out_of_bounds_is_refused() {
        let refused = [
            "80",
            "ff",
            "ffff ffff ff",
            "7f",
            "4085 25a8",
            "00 0561",
            "be",
            "3fe2 1f", // an index, a length, a table
            "00 0161 81 00",
            "00 0161 84 ffff ffff", // a filling of zeros, the end of the string
        ];
        for hex in refused {
            let result = decoded(&mut Decoder::default(), hex);
            assert_eq!(result, Err(Garbled), "{hex}");
        }
    }

    #[test]
    fn headers_of_requests_are_single_bytes_once_they_were_sent() {
        let mut encoder = Encoder::default();
        let mut decoder = Decoder::default();
        let mut lens = Vec::new();
        for method in [Method::Range, Method::Put, Method::Range, Method::Put] {
            let mut block = Vec::new();
            encoder.push(method, &mut block);
            let mut text = String::new();
            let take = |name: &[u8], value: &[u8]| {
                for part in [name, b"=", value, b";"] {
                    text.push_str(&String::from_utf8_lossy(part));
                }
            };
            decoder.decode(&block, take).unwrap();
            let path = method.path();
            let expected = format!(
                ":method=POST;:scheme=http;:path={path};:authority=etcd;content-type=application/grpc;te=trailers;"
            );
            assert_eq!(text, expected);
            lens.push(block.len());
        }
        assert_eq!(lens[2..], [6, 6]);
    }
}
