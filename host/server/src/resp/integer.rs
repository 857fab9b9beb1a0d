//! Integers as Redis reads them: in the headers of the protocol, where a command takes one, and in values that are
//! counted up.

/// Parses a signed integer of 64 bits. There is one spelling for each: no plus, no leading zero, no blank, no minus zero.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // Twenty bytes are a minus and the nineteen digits of the lowest integer; a longer text is out of range.
    if !canonical || text.len() > 20 {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// Parses an unsigned integer of 64 bits: digits, and nothing else.
pub(crate) fn unsigned(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_one_spelling() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1\n",
            "1.0",
            "1e3",
            "0x1",
            "९",
            "9223372036854775808",
            "-9223372036854775809",
            "111111111111111111111",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn an_unsigned_integer_is_digits() {
        assert_eq!(unsigned(b"0"), Some(0));
        assert_eq!(unsigned(b"007"), Some(7));
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "-1",
            "+1",
            " 1",
            "18446744073709551616",
            "111111111111111111111",
        ] {
            assert_eq!(unsigned(text.as_bytes()), None, "{text:?}");
        }
    }
}
