//! The protocol of Redis as a client speaks it: commands, and replies in its second version.

use serde::Serialize;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A short status, such as `OK`.
    Status(String),
    /// An error.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A value.
    Text(String),
    /// No value.
    Nil,
    /// A list of replies.
    List(Vec<Reply>),
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Reply {
    /// Returns the reply of a command that has nothing else to say.
    pub fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    /// True if both say the same. The texts of errors are not compared.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Error(_), Self::Error(_)) => true,
            (Self::List(ours), Self::List(theirs)) => {
                ours.len() == theirs.len()
                    && ours
                        .iter()
                        .zip(theirs)
                        .all(|(one, other)| one.agrees(other))
            }
            (one, other) => one == other,
        }
    }
}

/// Appends a command as an array of strings.
pub fn encode<W: AsRef<str>>(words: &[W], out: &mut Vec<u8>) {
    out.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
}

/// Parses the reply at the front of `bytes`. Returns it with its length, or `None` if it is not complete.
///
/// # Errors
///
/// [`Malformed`]: what the server says is no reply.
pub fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let mut rest = bytes;
    match take(&mut rest) {
        Ok(reply) => Ok(Some((reply, bytes.len() - rest.len()))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Malformed) => Err(Malformed),
    }
}

/// Why there is no reply.
enum Stop {
    Incomplete,
    Malformed,
}

fn take(rest: &mut &[u8]) -> Result<Reply, Stop> {
    let line = take_line(rest)?;
    let (mark, text) = line.split_at_checked(1).ok_or(Stop::Malformed)?;
    let number = || text.parse::<i64>().map_err(|_| Stop::Malformed);
    Ok(match mark {
        "+" => Reply::Status(text.to_owned()),
        "-" => Reply::Error(text.to_owned()),
        ":" => Reply::Integer(number()?),
        "$" => match usize::try_from(number()?) {
            Ok(len) => {
                let string = rest.get(..len).ok_or(Stop::Incomplete)?;
                let string = core::str::from_utf8(string).map_err(|_| Stop::Malformed)?;
                *rest = rest.get(len + 2..).ok_or(Stop::Incomplete)?;
                Reply::Text(string.to_owned())
            }
            Err(_) => Reply::Nil,
        },
        "*" => match usize::try_from(number()?) {
            Ok(len) => Reply::List((0..len).map(|_| take(rest)).collect::<Result<_, _>>()?),
            Err(_) => Reply::Nil,
        },
        _ => return Err(Stop::Malformed),
    })
}

/// Takes a line, without its end.
fn take_line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, Stop> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n");
    let (line, after) = end
        .and_then(|end| rest.split_at_checked(end))
        .ok_or(Stop::Incomplete)?;
    *rest = after.get(2..).ok_or(Stop::Incomplete)?;
    core::str::from_utf8(line).map_err(|_| Stop::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_parsed_once_it_is_complete() {
        let bytes = b"*4\r\n+OK\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n-ERR no\r\n";
        let list = [
            Reply::ok(),
            Reply::Integer(-7),
            Reply::Text("a\r\n".to_owned()),
            Reply::Nil,
        ];
        for len in 0..bytes.len() - 9 {
            assert_eq!(parse(&bytes[..len]), Ok(None), "{len}");
        }
        assert_eq!(
            parse(bytes),
            Ok(Some((Reply::List(list.into()), bytes.len() - 9)))
        );
        assert_eq!(parse(b"HTTP/1.1 400\r\n"), Err(Malformed));
    }
}
