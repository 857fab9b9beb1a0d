//! Integers in values, with the syntax of Redis.

/// Returns the integer that a value is; `None` if it is none.
///
/// An integer has one way to be written: no sign but `-`, no zero in front, no space, and no `-0`.
pub(super) fn parse(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let is_integer = match digits {
        [b'0'] => value == digits,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = core::str::from_utf8(value).ok().filter(|_| is_integer)?;
    // Fails if it is out of range.
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_one_way_to_be_written() {
        for integer in [0, 1, -1, 10, 909, i64::MAX, i64::MIN] {
            assert_eq!(parse(integer.to_string().as_bytes()), Some(integer));
        }
        for text in [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "--1",
            "one",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
