//! The encoder of replies.

#[cfg(test)]
mod tests;

use super::Protocol;
use crate::reply::Reply;

/// Appends a reply to `out`, as a client reads it that speaks `protocol`.
pub fn encode(reply: &Reply, protocol: Protocol, out: &mut Vec<u8>) {
    match reply {
        Reply::Status(text) => line(b'+', text, out),
        Reply::Error(text) => line(b'-', text, out),
        Reply::Integer(value) => header(b':', *value, out),
        Reply::Bulk(bytes) => {
            header(b'$', bytes.len(), out);
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Nil => out.extend_from_slice(match protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        }),
        Reply::Array(items) => {
            header(b'*', items.len(), out);
            for item in items {
                encode(item, protocol, out);
            }
        }
        Reply::Map(pairs) => {
            match protocol {
                Protocol::Resp2 => header(b'*', 2 * pairs.len(), out),
                Protocol::Resp3 => header(b'%', pairs.len(), out),
            }
            for (key, value) in pairs {
                encode(key, protocol, out);
                encode(value, protocol, out);
            }
        }
    }
}

/// Appends a line of text. The end of a line within it would end the reply, and becomes a blank.
fn line(mark: u8, text: &str, out: &mut Vec<u8>) {
    out.push(mark);
    out.extend(text.bytes().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    }));
    out.extend_from_slice(b"\r\n");
}

/// Appends a mark and a number: an integer, or a length.
fn header(mark: u8, number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}
