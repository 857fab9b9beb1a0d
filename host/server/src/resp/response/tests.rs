use super::*;
use crate::reply::Reply;
use crate::resp::{Protocol, encode};
use proptest::collection::vec;
use proptest::prelude::*;

fn bulk(text: &str) -> Response {
    Response::Bulk(text.as_bytes().to_vec())
}

#[test]
fn replies_of_both_versions_are_parsed() {
    for (bytes, response) in [
        ("+OK\r\n", Response::Status("OK".to_owned())),
        ("-ERR no\r\n", Response::Error("ERR no".to_owned())),
        ("!6\r\nERR no\r\n", Response::Error("ERR no".to_owned())),
        (":-5\r\n", Response::Integer(-5)),
        ("$-1\r\n", Response::Nil),
        ("*-1\r\n", Response::Nil),
        ("_\r\n", Response::Nil),
        ("#t\r\n", Response::Boolean(true)),
        (",1.5\r\n", Response::Number("1.5".to_owned())),
        ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
        ("=8\r\ntxt:text\r\n", bulk("text")),
        (
            "*2\r\n$0\r\n\r\n*0\r\n",
            Response::Array(vec![bulk(""), Response::Array(vec![])]),
        ),
        ("~1\r\n:1\r\n", Response::Array(vec![Response::Integer(1)])),
        (">1\r\n:1\r\n", Response::Push(vec![Response::Integer(1)])),
        (
            "%1\r\n$1\r\nk\r\n:1\r\n",
            Response::Map(vec![(bulk("k"), Response::Integer(1))]),
        ),
    ] {
        let mut stream = bytes.as_bytes().to_vec();
        stream.extend_from_slice(b"+next");
        assert_eq!(
            parse(&stream),
            Ok(Some((response, bytes.len()))),
            "{bytes:?}"
        );
        for end in 0..bytes.len() {
            assert_eq!(
                parse(&bytes.as_bytes()[..end]),
                Ok(None),
                "{bytes:?} until {end}"
            );
        }
    }
}

#[test]
fn what_is_no_reply_is_refused() {
    for (bytes, error) in [
        ("?\r\n", ResponseError::Mark(b'?')),
        (":\r\n", ResponseError::Form),
        ("$-2\r\n", ResponseError::Form),
        ("$1\r\nab\r\n", ResponseError::Form),
        ("=3\r\ntxt\r\n", ResponseError::Form),
        ("%-1\r\n", ResponseError::Form),
        ("#x\r\n", ResponseError::Form),
        ("$67108865\r\n", ResponseError::Length),
        ("*1048577\r\n", ResponseError::Length),
    ] {
        assert_eq!(parse(bytes.as_bytes()), Err(error), "{bytes:?}");
    }
    let endless = vec![b'+'; LINE_MAX + 2];
    assert_eq!(parse(&endless), Err(ResponseError::Length));
}

#[test]
fn lists_nest_to_a_depth() {
    let nested = |depth| "*1\r\n".repeat(depth) + ":1\r\n";
    assert!(matches!(parse(nested(DEPTH_MAX).as_bytes()), Ok(Some(_))));
    for depth in [DEPTH_MAX + 1, 100_000] {
        assert_eq!(parse(nested(depth).as_bytes()), Err(ResponseError::Depth));
    }
}

/// Replies as a server makes them.
fn reply() -> impl Strategy<Value = Reply> {
    let leaf = prop_oneof![
        Just(Reply::OK),
        Just(Reply::Nil),
        any::<i64>().prop_map(Reply::Integer),
        vec(any::<u8>(), 0..20).prop_map(Reply::Bulk),
        "[A-Z]{3} [a-z '\r\n]{0,20}".prop_map(Reply::Error),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Reply::Array),
            vec((inner.clone(), inner), 0..4).prop_map(Reply::Map),
        ]
    })
}

/// What a client reads of a reply.
fn read(reply: &Reply, protocol: Protocol) -> Response {
    let list = |replies: &[Reply]| replies.iter().map(|item| read(item, protocol)).collect();
    match reply {
        Reply::Status(text) => Response::Status((*text).to_owned()),
        Reply::Integer(value) => Response::Integer(*value),
        Reply::Bulk(bytes) => Response::Bulk(bytes.clone()),
        Reply::Nil => Response::Nil,
        Reply::Error(text) => Response::Error(text.replace(['\r', '\n'], " ")),
        Reply::Array(items) => Response::Array(list(items)),
        Reply::Map(pairs) => match protocol {
            Protocol::Resp2 => Response::Array(
                pairs
                    .iter()
                    .flat_map(|(key, value)| [read(key, protocol), read(value, protocol)])
                    .collect(),
            ),
            Protocol::Resp3 => Response::Map(
                pairs
                    .iter()
                    .map(|(key, value)| (read(key, protocol), read(value, protocol)))
                    .collect(),
            ),
        },
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_read(reply in reply()) {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut out = Vec::new();
            encode(&reply, protocol, &mut out);
            prop_assert_eq!(parse(&out), Ok(Some((read(&reply, protocol), out.len()))));
            out.pop();
            prop_assert_eq!(parse(&out), Ok(None));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_parsed_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(Some((_, len))) = parse(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }

    #[test]
    fn bytes_of_the_grammar_are_parsed_or_refused(bytes in "[+\\-:$*%~>_#,!=0-9a-f\r\n]{0,80}") {
        if let Ok(Some((_, len))) = parse(bytes.as_bytes()) {
            prop_assert!(len <= bytes.len());
        }
    }
}
