//! The words of an inline command, with the quoting rules of Redis.
//!
//! Words are separated by blanks. Double quotes keep blanks and know the escapes `\n`, `\r`, `\t`, `\b`, `\a` and `\x41`;
//! any other byte after a backslash stands for itself. Single quotes know `\'` alone. A quote may begin within a word,
//! and a blank or the end of the line must follow the one that closes it.

use super::ProtocolError;
use core::ops::Range;

/// Splits a line into words. Their bytes are appended to `words`, and the ranges of these to `arguments`.
///
/// # Errors
///
/// [`ProtocolError::UnbalancedQuotes`].
pub(super) fn split(
    line: &[u8],
    words: &mut Vec<u8>,
    arguments: &mut Vec<Range<usize>>,
) -> Result<(), ProtocolError> {
    let mut rest = line;
    loop {
        while let [first, after @ ..] = rest
            && is_blank(*first)
        {
            rest = after;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let start = words.len();
        rest = word(rest, words)?;
        arguments.push(start..words.len());
    }
}

/// Takes one word from the front of `rest`, and returns what follows it.
fn word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', after @ ..] => return after_quote(double_quoted(after, words)?),
            [b'\'', after @ ..] => return after_quote(single_quoted(after, words)?),
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

/// Takes what is between double quotes, and returns what follows the closing one.
fn double_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (16 * hex(*high) + hex(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        words.push(byte);
        rest = after;
    }
}

/// Takes what is between single quotes, and returns what follows the closing one.
fn single_quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        words.push(byte);
        rest = after;
    }
}

/// Checks what follows a closing quote.
fn after_quote(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest {
        [first, ..] if !is_blank(*first) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

/// The blanks of C, of which the vertical tab and the form feed separate words only at their start, as in Redis.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Returns the value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

/// Returns the byte that a backslash and `escaped` stand for.
fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}
