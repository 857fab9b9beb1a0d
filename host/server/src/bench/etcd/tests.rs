//! Conversations with etcd, of frames that version 3.4 has sent, and with servers that mean no good.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const GET: Request<'static> = Request::Get { key: 7 };

/// What etcd begins with: its settings, and that it has seen ours.
const BEGIN: &str = "00000c040000000000 0005000040000003ffffffff 000000040100000000";
/// It lets the client send more, and asks how long a message takes.
const CREDIT_AND_PING: &str = "000004080000000000 0000001b 000008060000000000 02041010090e0707";
/// The first answer of a connection, to a `Range` that finds nothing.
const NOTHING: &str = "00000e010400000001 885f8b1d75d0620d263d4c4d6564 \
     00001f000000000001 000000001a0a180887d5edba8fd59dc10410c0c0caafc1ba96892e18022002 \
     000018010500000001 40889acac8b21234da8f013040899acac8b5254207317f00";
/// The answer to a `Put`, and one to a `Range` that finds a pair.
const PUT: &str = "000002010400000003 88c0 \
     00001f000000000003 000000001a0a180887d5edba8fd59dc10410c0c0caafc1ba96892e18032002 000002010500000003 bfbe";
const PAIR: &str = "000002010400000005 88c0 \
     000045000000000005 00000000400a180887d5edba8fd59dc10410c0c0caafc1ba96892e1803200212220a1462656e63683a763a3030\
     303030303030303030371003180320012a046f70656e2001 000002010500000005 bfbe";
/// A refusal.
const NO_KEY: &str =
    "000020010500000007 88c07f0001337f00972a49220b6772d9714ea5f4a190a5474a95d87ee690b27f";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A connection, and what it has sent.
#[derive(Default)]
struct Client {
    etcd: Etcd,
    out: Vec<u8>,
}

impl Client {
    /// Opens a connection.
    fn open() -> Self {
        let mut client = Self::default();
        assert_eq!(client.etcd.open(&mut client.out), 1);
        client
    }

    /// Opens a connection that etcd has answered.
    fn ready() -> Self {
        let mut client = Self::open();
        assert_eq!(client.hear(BEGIN), Ok(vec![]));
        assert_eq!(client.hear(NOTHING), Ok(vec![(0, Answer::Missing)]));
        client.out.clear();
        client
    }

    fn ask(&mut self, request: Request<'_>) {
        self.etcd.ask(request, &mut self.out);
    }

    fn hear(&mut self, hex: &str) -> Result<Vec<(usize, Answer)>, Garbled> {
        self.hear_bytes(&bytes(hex))
    }

    /// Takes what the server sends. Returns the answers, each with how many older requests wait.
    fn hear_bytes(&mut self, mut input: &[u8]) -> Result<Vec<(usize, Answer)>, Garbled> {
        let mut answers = Vec::new();
        while let Some(taken) = self.etcd.take(input, &mut self.out)? {
            assert!(taken.len > 0);
            input = &input[taken.len..];
            answers.extend(taken.answer.map(|answer| (taken.turn, answer)));
        }
        Ok(answers)
    }

    /// Returns the kinds, flags, streams and lengths of the frames that were sent, and forgets them.
    fn sent(&mut self) -> Vec<(u8, u8, u32, usize)> {
        let out = core::mem::take(&mut self.out);
        let mut rest = out.strip_prefix(PREFACE).unwrap_or(&out);
        let mut frames = Vec::new();
        while let Some((frame, len)) = Frame::parse(rest).unwrap() {
            let (kind, flags) = (frame.kind, frame.flags);
            frames.push((kind, flags, frame.stream, frame.payload.len()));
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
        frames
    }
}

/// Returns a frame without flags.
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push(kind, 0, stream, payload, &mut out);
    out
}

#[test]
fn a_connection_begins_with_a_read() {
    let mut client = Client::open();
    let begun = [
        (frame::SETTINGS, 0, 0, 12),
        (frame::WINDOW_UPDATE, 0, 0, 4),
        (frame::HEADERS, END_HEADERS, 1, 93),
        (frame::DATA, END_STREAM, 1, 27),
    ];
    assert!(client.out.starts_with(PREFACE));
    assert_eq!(client.sent(), begun);
    // Byte by byte: nothing is taken before it is complete.
    let mut input = Vec::new();
    let mut answers = Vec::new();
    for byte in bytes(&[BEGIN, CREDIT_AND_PING, NOTHING].concat()) {
        input.push(byte);
        if let Some(taken) = client.etcd.take(&input, &mut client.out).unwrap() {
            assert_eq!(taken.len, input.len());
            input.clear();
            answers.extend(taken.answer);
        }
    }
    assert_eq!(answers, [Answer::Missing]);
    let acknowledged = [(frame::SETTINGS, ACK, 0, 0), (frame::PING, ACK, 0, 8)];
    assert_eq!(client.sent(), acknowledged);
}

#[test]
fn answers_are_told_apart_in_whatever_order_they_come() {
    let mut client = Client::ready();
    client.ask(Request::Set {
        key: 7,
        value: b"open",
    });
    client.ask(GET);
    client.ask(Request::Set { key: 7, value: b"" });
    client.ask(GET);
    let message = "etcdserver: key is not provided (status 3 of gRPC)".to_owned();
    assert_eq!(client.hear(PAIR), Ok(vec![(1, Answer::Done)]));
    assert_eq!(client.hear(PUT), Ok(vec![(0, Answer::Done)]));
    assert_eq!(client.hear(NO_KEY), Ok(vec![(0, Answer::Refused(message))]));
    // The last one is given up by the server; of one that has ended, nothing is told any more.
    let given_up = frame(frame::RST_STREAM, 9, &[0, 0, 0, 7]);
    let reason = "etcd has given up the request (code 7)".to_owned();
    assert_eq!(
        client.hear_bytes(&given_up),
        Ok(vec![(0, Answer::Refused(reason))])
    );
    assert_eq!(client.hear_bytes(&given_up), Ok(vec![]));
}

#[test]
fn a_message_is_sent_as_far_as_the_windows_allow_it() {
    let mut client = Client::ready();
    client.etcd.window = 20_000;
    client.ask(Request::Set {
        key: 1,
        value: &vec![b'x'; 30_000],
    });
    client.ask(GET);
    let full = [
        (frame::HEADERS, END_HEADERS, 3, 33),
        (frame::DATA, 0, 3, 16_384),
        (frame::DATA, 0, 3, 3_616),
        (frame::HEADERS, END_HEADERS, 5, 6),
    ];
    assert_eq!(client.sent(), full);
    // Credit for a stream is of no use without credit for the connection, and the other way round.
    let credit = |stream, bytes: u32| frame(frame::WINDOW_UPDATE, stream, &bytes.to_be_bytes());
    client.hear_bytes(&credit(3, 100)).unwrap();
    assert_eq!(client.sent(), []);
    client.etcd.streams[0].window = 10_000;
    client.hear_bytes(&credit(0, 20_000)).unwrap();
    assert_eq!(client.sent(), [(frame::DATA, 0, 3, 10_000)]);
    client.hear_bytes(&credit(3, 100)).unwrap();
    let rest = [
        (frame::DATA, END_STREAM, 3, 31),
        (frame::DATA, END_STREAM, 5, 27),
    ];
    assert_eq!(client.sent(), rest);
}

#[test]
fn a_request_that_is_refused_before_it_was_sent_holds_up_no_other() {
    let mut client = Client::ready();
    client.etcd.window = 0;
    client.ask(GET);
    client.ask(GET);
    client
        .hear_bytes(&frame(frame::RST_STREAM, 3, &[0, 0, 0, 7]))
        .unwrap();
    client.sent();
    client
        .hear_bytes(&frame(frame::WINDOW_UPDATE, 0, &[0, 0, 1, 0]))
        .unwrap();
    assert_eq!(client.sent(), [(frame::DATA, END_STREAM, 5, 27)]);
    assert_eq!(client.etcd.unsent, 0);
}

#[test]
fn a_new_window_for_streams_counts_for_those_that_are_open() {
    let mut client = Client::ready();
    let window = |bytes: u32| {
        frame(
            frame::SETTINGS,
            0,
            &[&[0, 4], &bytes.to_be_bytes()[..]].concat(),
        )
    };
    client.hear_bytes(&window(10)).unwrap();
    client.ask(GET);
    assert_eq!(client.sent().last(), Some(&(frame::DATA, 0, 3, 10)));
    client.hear_bytes(&window(4)).unwrap();
    assert_eq!(client.sent(), [(frame::SETTINGS, ACK, 0, 0)]);
    client.hear_bytes(&window(27)).unwrap();
    let rest = [
        (frame::SETTINGS, ACK, 0, 0),
        (frame::DATA, END_STREAM, 3, 17),
    ];
    assert_eq!(client.sent(), rest);
}

#[test]
fn the_server_may_always_send_more() {
    let mut client = Client::ready();
    let piece = frame(frame::DATA, 1, &[0; PAYLOAD_MAX]);
    for _ in 1..1_024 {
        client.hear_bytes(&piece).unwrap();
    }
    // 31 bytes of the first answer are in it.
    let credit = [(frame::WINDOW_UPDATE, 0, 0, 4)];
    assert_eq!(client.sent(), []);
    client.hear_bytes(&piece).unwrap();
    assert_eq!(client.sent(), credit);
}

#[test]
fn a_block_of_headers_may_be_split() {
    let mut client = Client::ready();
    client.ask(GET);
    let [mut first, mut last] = [Vec::new(), Vec::new()];
    // Filled up with two bytes, and with an order of streams.
    push(
        frame::HEADERS,
        END_STREAM | 8 | 32,
        3,
        b"\x02\0\0\0\0\0\x88\xc0\0\0",
        &mut first,
    );
    push(frame::CONTINUATION, END_HEADERS, 3, b"\xbf\xbe", &mut last);
    assert_eq!(client.hear_bytes(&first), Ok(vec![]));
    let mut other = client.etcd.clone();
    let ping = frame(frame::PING, 0, &[0; 8]);
    assert_eq!(other.take(&ping, &mut Vec::new()), Err(Garbled));
    // Well, but there was no message.
    assert_eq!(client.hear_bytes(&last), Err(Garbled));
}

#[test]
fn what_no_server_may_send_is_garbled() {
    let opening = [
        b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        b"-ERR unknown command 'PRI'\r\n".to_vec(),
        frame(frame::PING, 0, &[0; 8]),
        bytes("000000040100000000"),
    ];
    for input in opening {
        assert_eq!(Client::open().hear_bytes(&input), Err(Garbled), "{input:?}");
    }
    let later = [
        frame(frame::DATA, 2, &[]),
        frame(frame::DATA, 5, &[]),
        frame(frame::RST_STREAM, 3, &[0; 3]),
        frame(frame::SETTINGS, 0, &[0; 5]),
        frame(frame::SETTINGS, 0, &[0, 4, 0x80, 0, 0, 0]),
        frame(frame::SETTINGS, 0, &[0, 1, 0, 0, 0x0f, 0xff]),
        frame(frame::WINDOW_UPDATE, 0, &[0x7f, 0xff, 0xff, 0xff]),
        frame(frame::PUSH_PROMISE, 3, &[0; 4]),
        frame(frame::CONTINUATION, 3, &[]),
        bytes("000001000800000003 01"),
        bytes("000002012000000003 0000"),
        bytes("000000000100000003"),
        bytes("004001000000000003"),
    ];
    for input in later {
        let mut client = Client::ready();
        client.ask(GET);
        assert_eq!(client.hear_bytes(&input), Err(Garbled), "{input:?}");
    }
}

#[test]
fn what_would_fill_up_the_memory_is_garbled() {
    let is_ended = |input: &[u8], times| {
        let mut client = Client::ready();
        client.ask(GET);
        let mut inputs = (0..times).map(|_| client.hear_bytes(input));
        inputs.any(|result| result == Err(Garbled))
    };
    let ping = frame(frame::PING, 0, &[0; 8]);
    assert!(!is_ended(&ping, REPLIES_MAX));
    assert!(is_ended(&ping, REPLIES_MAX + 1));
    let data = frame(frame::DATA, 3, &[0; PAYLOAD_MAX]);
    assert!(!is_ended(&data, 256));
    assert!(is_ended(&data, 257));

    let mut client = Client::ready();
    let mut block = frame(frame::HEADERS, 1, &[0x88; 10_000]);
    assert_eq!(client.hear_bytes(&block), Ok(vec![]));
    block[3] = frame::CONTINUATION;
    assert_eq!(client.hear_bytes(&block), Err(Garbled));
}

fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = 0..11_u8;
    let payload = prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(prop_oneof![Just(0_u8), 0x80..=0xff_u8], 4..=8)
    ];
    (kind, any::<u8>(), 0..8_u32, payload).prop_map(|(kind, flags, stream, payload)| {
        let mut out = Vec::new();
        push(kind, flags, stream, &payload, &mut out);
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_frames_confuse_a_client(frames in vec(some_frame(), 0..12), asks in 0..4) {
        let mut client = Client::ready();
        for _ in 0..asks {
            client.ask(GET);
        }
        for frame in frames {
            let waiting = client.etcd.streams.len();
            let Ok(answers) = client.hear_bytes(&frame) else {
                break;
            };
            prop_assert!(answers.iter().all(|(turn, _)| *turn < waiting));
            prop_assert_eq!(client.etcd.streams.len(), waiting - answers.len());
            prop_assert!(client.etcd.unsent <= client.etcd.streams.len());
        }
    }

    #[test]
    fn no_change_of_a_conversation_confuses_a_client(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut conversation = bytes(&[BEGIN, CREDIT_AND_PING, NOTHING, PUT, PAIR, NO_KEY].concat());
        *at.get_mut(&mut conversation) = byte;
        let mut client = Client::open();
        for _ in 0..3 {
            client.ask(GET);
        }
        let _ = client.hear_bytes(&conversation);
    }
}
