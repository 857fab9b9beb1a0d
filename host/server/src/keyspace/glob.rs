//! Glob patterns, as Redis matches them.
//!
//! `*` is any number of bytes, `?` one byte, `[a-z]` one of a class, `[^a-z]` one of none, and `\` takes the next byte as it
//! is. Unlike Redis, which follows the signs of characters of its processor, ranges compare bytes as numbers from 0 to 255.

/// True if the pattern matches the whole text; `None` if that takes more than the `steps` that are left. A step compares
/// a byte of the text with a part of the pattern, and a class takes as many as it has bytes.
///
/// Only the last `*` is ever tried at another place, since what is between two of them is best taken as early as it can
/// be. So no pattern takes more steps than its length times that of the text.
pub(super) fn matches(pattern: &[u8], text: &[u8], steps: &mut usize) -> Option<bool> {
    if text.is_empty() {
        // As in Redis, where no other pattern matches the empty key.
        return Some(pattern.is_empty() || pattern == b"*");
    }
    let (mut pattern, mut text) = (pattern, text);
    let mut last_star = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            if rest.is_empty() {
                return Some(true);
            }
            pattern = rest;
            last_star = Some((rest, text));
            continue;
        }
        let [byte, rest @ ..] = text else {
            return Some(pattern.is_empty());
        };
        let (is_match, behind) = one(pattern, *byte);
        *steps = steps.checked_sub((pattern.len() - behind.len()).max(1))?;
        if is_match {
            (pattern, text) = (behind, rest);
            continue;
        }
        let Some((behind, [_, rest @ ..])) = last_star else {
            return Some(false);
        };
        last_star = Some((behind, rest));
        (pattern, text) = (behind, rest);
    }
}

/// Matches one byte with the beginning of a pattern that is no `*`; returns also the rest of the pattern.
fn one(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    match pattern {
        [] => (false, pattern),
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte, rest),
    }
}

/// Matches one byte with a class, whose `[` was read; returns also the rest of the pattern.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (mut pattern, is_negated) = match pattern {
        [b'^', rest @ ..] => (rest, true),
        _ => (pattern, false),
    };
    let mut is_in = false;
    let rest = loop {
        pattern = match pattern {
            // A class without an end ends with the pattern.
            [] => break pattern,
            [b'\\', literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => break rest,
            [one, b'-', other, rest @ ..] => {
                is_in |= (*one.min(other)..=*one.max(other)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                is_in |= *literal == byte;
                rest
            }
        };
    };
    (is_in != is_negated, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("**", "", false),
            ("*", "abc", true),
            ("**", "abc", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("*a*", "bab", true),
            ("*ab", "aab", true),
            ("*ab*cd", "abxabcdcd", true),
            ("*ab*cd", "abxabcdce", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("?", "", false),
            ("*?", "a", true),
            ("*??", "a", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            ("[a-]", "a", true),
            ("[a-]x", "a", true),
            ("[a-]x]", "x", true),
            ("[]", "]", false),
            ("[]a", "a", false),
            ("[^]", "a", true),
            ("[abc", "b", true),
            ("[abc", "d", false),
            ("[", "[", false),
            ("[^", "[", true),
            ("[\\]]", "]", true),
            ("[\\a-z]", "-", true),
            ("[a\\", "\\", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
            ("*\\", "a\\", true),
            ("*[", "a", false),
            ("A", "a", false),
        ] {
            let is_match = matches(pattern.as_bytes(), text.as_bytes(), &mut 99);
            assert_eq!(is_match, Some(expected), "{pattern:?} and {text:?}");
        }
    }

    #[test]
    fn a_pattern_takes_so_many_steps() {
        let steps = |pattern: &[u8], text: &[u8]| {
            let mut left = 1_000_000;
            matches(pattern, text, &mut left).unwrap();
            let taken = 1_000_000 - left;
            assert_eq!(matches(pattern, text, &mut { taken - 1 }), None);
            taken
        };
        assert_eq!(steps(b"abc*", b"abcd"), 3);
        assert_eq!(
            steps(b"*[a-z]", b"12a"),
            15,
            "a class of five bytes, thrice"
        );
        // One that tries all places of every star takes more than any machine can.
        let stars = b"*a".repeat(63);
        assert_eq!(steps(&[&stars[..], b"b"].concat(), &[b'a'; 128]), 193);
        let one_star = [&b"*"[..], &[b'a'; 63], b"b"].concat();
        assert_eq!(steps(&one_star, &[b'a'; 128]), 4223);
    }
}
