use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// What a connection gets out of the bytes that it receives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Request(Vec<Vec<u8>>),
    Oversized(Oversize),
    Error(ProtocolError),
}

fn request(args: &[&str]) -> Found {
    Found::Request(args.iter().map(|arg| arg.as_bytes().to_vec()).collect())
}

/// A connection: its buffer and its parser.
#[derive(Default)]
struct Connection {
    buffer: Vec<u8>,
    buffered_max: usize,
    parser: Parser,
    found: Vec<Found>,
}

impl Connection {
    /// Receives bytes, unless the connection was closed.
    fn receive(&mut self, bytes: &[u8]) {
        if matches!(self.found.last(), Some(Found::Error(_))) {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        self.buffered_max = self.buffered_max.max(self.buffer.len());
        loop {
            let (found, consumed) = match self.parser.parse(&self.buffer) {
                Ok(Parsed::Incomplete { consumed }) => {
                    self.buffer.drain(..consumed);
                    return;
                }
                Ok(Parsed::Request { args, consumed }) => {
                    assert!(!args.is_empty());
                    let args = args.iter().map(|arg| arg.to_vec()).collect();
                    (Found::Request(args), consumed)
                }
                Ok(Parsed::Oversized { limit, consumed }) => (Found::Oversized(limit), consumed),
                Err(error) => {
                    self.found.push(Found::Error(error));
                    return;
                }
            };
            self.buffer.drain(..consumed);
            self.found.push(found);
        }
    }
}

/// Parses a stream that arrives in chunks of `chunk` bytes.
fn parse_in_chunks(stream: &[u8], chunk: usize) -> Connection {
    let mut connection = Connection::default();
    for bytes in stream.chunks(chunk) {
        connection.receive(bytes);
    }
    connection
}

/// Parses a stream that arrives at once, and one that arrives byte by byte.
fn parse(stream: impl AsRef<[u8]>) -> Vec<Found> {
    let stream = stream.as_ref();
    let whole = parse_in_chunks(stream, usize::MAX).found;
    assert_eq!(parse_in_chunks(stream, 1).found, whole);
    whole
}

fn array(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut stream = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        stream.extend(format!("${}\r\n", arg.len()).bytes());
        stream.extend_from_slice(arg);
        stream.extend_from_slice(b"\r\n");
    }
    stream
}

#[test]
fn requests_come_as_arrays_and_as_lines() {
    for (stream, expected) in [
        ("*1\r\n$4\r\nPING\r\n", vec![request(&["PING"])]),
        (
            "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
            vec![request(&["ECHO", ""])],
        ),
        ("*1\r\n$4\r\na\r\nb\r\n", vec![request(&["a\r\nb"])]),
        (
            "PING\r\nGET a\n",
            vec![request(&["PING"]), request(&["GET", "a"])],
        ),
        (
            "\r\n\n  \r\n*0\r\n*-1\r\n*-7\r\nPING\r\n",
            vec![request(&["PING"])],
        ),
        (
            "*1\r\n$4\r\nPINGxyGET a\r\n",
            vec![request(&["PING"]), request(&["GET", "a"])],
        ),
    ] {
        assert_eq!(parse(stream), expected, "{stream:?}");
    }
}

#[test]
fn an_incomplete_request_waits() {
    let stream = "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n";
    for end in 0..stream.len() {
        assert_eq!(parse(&stream[..end]), [], "{end}");
    }
}

#[test]
fn words_are_quoted_as_in_redis() {
    for (line, words) in [
        ("  set\ta \x0b b ", vec!["set", "a", "b"]),
        (r#"set "a b" 'c d'"#, vec!["set", "a b", "c d"]),
        (r#"set "" ''"#, vec!["set", "", ""]),
        (r#"set a"b c" d'e f'"#, vec!["set", "ab c", "de f"]),
        (r#"set "\x41\x4a\x6A\xzz""#, vec!["set", "AJjxzz"]),
        (
            r#"set "\n\r\t\b\a\\\"\q""#,
            vec!["set", "\n\r\t\x08\x07\\\"q"],
        ),
        (r"set 'it\'s \n'", vec!["set", r"it's \n"]),
        (r"set a\nb", vec!["set", r"a\nb"]),
        ("a\x0bb\x0c", vec!["a\x0bb\x0c"]),
    ] {
        assert_eq!(parse(format!("{line}\r\n")), [request(&words)], "{line:?}");
    }
    for line in [
        "\"",
        "'",
        "\"a",
        "'a",
        "\"a\"b",
        "'a'b",
        "\"a\"\"b\"",
        "a \"\\",
        "a \"\\\"",
    ] {
        let unbalanced = Found::Error(ProtocolError::UnbalancedQuotes);
        assert_eq!(parse(format!("{line}\r\n")), [unbalanced], "{line:?}");
    }
}

#[test]
fn a_request_that_is_malformed_ends_the_connection() {
    use ProtocolError::*;
    let endless = "1".repeat(HEADER_MAX);
    for (stream, error) in [
        ("*\r\n", InvalidCount),
        ("*x\r\n", InvalidCount),
        ("*1x\r\n", InvalidCount),
        ("*+1\r\n", InvalidCount),
        ("*1025\r\n", InvalidCount),
        ("*2147483648\r\n", InvalidCount),
        ("*99999999999999999999\r\n", InvalidCount),
        ("*1\r\n$\r\n", InvalidLength),
        ("*1\r\n$-1\r\n", InvalidLength),
        ("*1\r\n$01\r\n", InvalidLength),
        ("*1\r\n$536870913\r\n", InvalidLength),
        ("*1\r\n$1048577\r\n", TooLong),
        ("*1\r\nPING\r\n", ExpectedLength(b'P')),
        ("*1\r\n:1\r\n", ExpectedLength(b':')),
        ("*2\r\n$1\r\nabcd\r\n", ExpectedLength(b'd')),
        (&format!("*{endless}"), CountTooLong),
        (&format!("*1\r\n${endless}"), LengthTooLong),
        ("POST / HTTP/1.1\r\n", Http),
        ("GET /\r\nHost: example.org\r\n", Http),
    ] {
        assert_eq!(
            parse(stream).last(),
            Some(&Found::Error(error)),
            "{stream:?}"
        );
    }
}

#[test]
fn the_greatest_request_is_taken_and_a_greater_one_is_dropped() {
    let next = b"PING\r\n";
    let then_ping = |found| vec![found, request(&["PING"])];

    let arg = "x".repeat(ARGUMENT_MAX);
    let args = ["SET", "key", &arg];
    assert_eq!(
        parse([array(&args), next.to_vec()].concat()),
        then_ping(request(&args))
    );
    let line = format!("SET key {arg}\r\nPING\r\n");
    assert_eq!(parse(line), then_ping(request(&args)));

    let long = "x".repeat(ARGUMENT_MAX + 1);
    let stream = [array(&["SET", &long, "value"]), next.to_vec()].concat();
    assert_eq!(
        parse(stream),
        then_ping(Found::Oversized(Oversize::Argument))
    );
    let line = format!("SET key {long}\r\nPING\r\n");
    assert_eq!(parse(line), then_ping(Found::Oversized(Oversize::Argument)));

    let many = vec!["x"; ARGUMENTS_MAX];
    assert_eq!(
        parse([array(&many), next.to_vec()].concat()),
        then_ping(request(&many))
    );
    let line = format!("{} y\r\nPING\r\n", many.join(" "));
    assert_eq!(
        parse(line),
        then_ping(Found::Oversized(Oversize::Arguments))
    );

    let full = vec![arg.as_str(); 65];
    let stream = [array(&full), next.to_vec()].concat();
    assert_eq!(
        parse(stream),
        then_ping(Found::Oversized(Oversize::Request))
    );
}

#[test]
fn a_request_has_the_whole_limit_whatever_came_before() {
    let args = ["SET", "key", &"x".repeat(ARGUMENT_MAX)];
    let found = parse(array(&args).repeat(2 * REQUEST_MAX / ARGUMENT_MAX));
    assert!(found.iter().all(|found| *found == request(&args)));
}

#[test]
fn the_first_limit_that_was_exceeded_is_named() {
    let long = "x".repeat(ARGUMENT_MAX + 1);
    let mut args = vec![&long[..ARGUMENT_MAX]; 100];
    args[1] = &long;
    let oversized = Found::Oversized(Oversize::Argument);
    assert_eq!(parse(array(&args)), [oversized]);
}

#[test]
fn what_is_dropped_has_a_limit() {
    // The two headers and the end of the argument's line take sixteen bytes.
    let longest = DROPPED_MAX - 16;
    assert_eq!(parse(format!("*1\r\n${longest}\r\n")), []);
    let too_long = Found::Error(ProtocolError::TooLong);
    assert_eq!(parse(format!("*1\r\n${}\r\n", longest + 1)), [too_long]);
}

#[test]
fn no_byte_of_a_line_is_searched_twice() {
    let mut connection = Connection::default();
    for searched in 1..100 {
        connection.receive(b"x");
        assert_eq!(connection.parser.state, State::Line { searched });
    }
}

#[test]
fn a_dropped_request_is_not_buffered() {
    let long = "x".repeat(DROPPED_MAX - 100);
    let connection = parse_in_chunks(&array(&["SET", "key", &long]), 1_000);
    assert_eq!(connection.found, [Found::Oversized(Oversize::Argument)]);
    assert_eq!(connection.buffered_max, 1_000);

    let stream = array(&vec!["x".repeat(ARGUMENT_MAX); 600]);
    let connection = parse_in_chunks(&stream, 1_000);
    assert_eq!(connection.found, [Found::Oversized(Oversize::Request)]);
    assert!(connection.buffered_max <= REQUEST_MAX + 1_000);
}

#[test]
fn an_idle_connection_takes_little_room() {
    let line = format!("{}\r\n", "x ".repeat(REQUEST_MAX / 2 - 1));
    let stream = [array(&["x"; ARGUMENTS_MAX]), line.into_bytes()].concat();
    let connection = parse_in_chunks(&stream, 1_000);
    assert_eq!(
        connection.found.last(),
        Some(&Found::Oversized(Oversize::Arguments))
    );
    let Parser {
        arguments, words, ..
    } = connection.parser;
    let kept = (arguments.capacity(), words.capacity());
    assert!(kept.0 <= KEPT_MAX.0 && kept.1 <= KEPT_MAX.1, "{kept:?}");
}

#[test]
fn a_line_without_end_is_refused_at_its_limit() {
    let line = "x".repeat(REQUEST_MAX);
    assert_eq!(parse(&line), []);
    assert_eq!(
        parse(line + "x"),
        [Found::Error(ProtocolError::LineTooLong)]
    );
}

#[test]
fn errors_have_the_words_of_redis() {
    for (error, text) in [
        (
            ProtocolError::InvalidLength,
            "ERR Protocol error: invalid bulk length",
        ),
        (
            ProtocolError::ExpectedLength(b'x'),
            "ERR Protocol error: expected '$', got 'x'",
        ),
        (
            ProtocolError::TooLong,
            "ERR Protocol error: request is longer than 1048576 bytes",
        ),
    ] {
        assert_eq!(error.reply(), crate::reply::Reply::Error(text.to_owned()));
    }
    let reply = crate::reply::Reply::Error("ERR argument is longer than 1024 bytes".to_owned());
    assert_eq!(Oversize::Argument.reply(), reply);
}

/// Pieces of streams, most of which are requests.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let arg = prop_oneof![
        9 => vec(any::<u8>(), 0..12),
        1 => vec(any::<u8>(), ARGUMENT_MAX - 1..ARGUMENT_MAX + 3),
    ];
    prop_oneof![
        8 => vec(arg, 0..5).prop_map(|args| array(&args)),
        4 => "[a-z \"'\\\\]{0,12}\r?\n".prop_map(String::into_bytes),
        1 => "[*$][0-9-]{0,4}\r\n".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_requests(
        pieces in vec(piece(), 0..8),
        cuts in vec(1_usize..40, 1..60),
    ) {
        let stream = pieces.concat();
        let whole = parse_in_chunks(&stream, usize::MAX).found;
        prop_assert_eq!(&parse_in_chunks(&stream, 1).found, &whole);

        let mut connection = Connection::default();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (bytes, after) = rest.split_at((*cut).min(rest.len()));
            connection.receive(bytes);
            rest = after;
        }
        prop_assert_eq!(connection.found, whole);
    }

    #[test]
    fn arrays_are_parsed_as_they_were_sent(requests in vec(vec(vec(any::<u8>(), 0..40), 1..6), 0..6)) {
        let stream: Vec<_> = requests.iter().flat_map(|args| array(args)).collect();
        let expected: Vec<_> = requests.into_iter().map(Found::Request).collect();
        prop_assert_eq!(parse(stream), expected);
    }

    #[test]
    fn bytes_of_any_kind_are_parsed_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        parse(bytes);
    }
}
