//! Minimal JSON writer: appends objects to a byte buffer, without a tree in memory.

use crate::log::bytes;
use core::fmt::{self, Write};

/// An object being written. [`Object::end`] closes it.
#[derive(Debug)]
#[must_use = "an object must be ended"]
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Begins an object at the end of a buffer.
    #[inline]
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Closes the object.
    #[inline]
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a key and returns the buffer for its value. Keys are literals of this program and never escaped.
    #[inline]
    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out
            .extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a number.
    #[inline]
    pub(crate) fn number(&mut self, key: &str, number: u64) {
        bytes::number(self.key(key), number);
    }

    /// Writes a size in memory.
    pub(crate) fn size(&mut self, key: &str, size: usize) {
        bytes::display(self.key(key), &size);
    }

    /// Writes sixteen hexadecimal digits, as a string because many JSON readers keep only 53 bits of a number.
    pub(crate) fn hex(&mut self, key: &str, word: u64) {
        let out = self.key(key);
        out.push(b'"');
        bytes::hex(out, word);
        out.push(b'"');
    }

    /// Writes a boolean.
    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.key(key)
            .extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// Writes a literal of this program, which needs no escapes.
    #[inline]
    pub(crate) fn word(&mut self, key: &str, word: &str) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }

    /// Writes a displayed value as a string.
    pub(crate) fn text(&mut self, key: &str, text: &impl fmt::Display) {
        string(self.key(key), format_args!("{text}"));
    }

    /// Writes a value in its debug format as a string.
    pub(crate) fn debug(&mut self, key: &str, value: &impl fmt::Debug) {
        string(self.key(key), format_args!("{value:?}"));
    }

    /// Begins a nested object.
    pub(crate) fn object(&mut self, key: &str) -> Object<'_> {
        Object::begin(self.key(key))
    }
}

/// Appends a list.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Appends a string with quotation marks and escapes.
pub(crate) fn string(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.push(b'"');
    // Writing to a byte buffer never fails.
    let _ = Escaped(out).write_fmt(text);
    out.push(b'"');
}

struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\t' => self.0.extend_from_slice(b"\\t"),
                0..0x20 => {
                    self.0.extend_from_slice(b"\\u00");
                    bytes::hex_byte(self.0, byte);
                }
                _ => self.0.push(byte),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_requires() {
        let mut out = Vec::new();
        string(&mut out, format_args!("a \"b\" \\ \n\t\u{1} é"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a \\\"b\\\" \\\\ \\n\\t\\u0001 é\""
        );
    }

    #[test]
    fn objects_can_be_nested() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.number("n", 7);
        let mut inner = object.object("inner");
        inner.flag("yes", true);
        inner.hex("digest", 0xff);
        inner.end();
        list(object.key("list"), [1, 2], |out, item| {
            bytes::number(out, item);
        });
        object.text("text", &"a\"b");
        object.object("empty").end();
        object.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"n\":7,\"inner\":{\"yes\":true,\"digest\":\"00000000000000ff\"},\"list\":[1,2],\
             \"text\":\"a\\\"b\",\"empty\":{}}"
        );
    }
}
