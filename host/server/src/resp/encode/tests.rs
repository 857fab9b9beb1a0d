use super::*;

fn text(reply: &Reply, protocol: Protocol) -> String {
    let mut out = Vec::new();
    encode(reply, protocol, &mut out);
    String::from_utf8(out).unwrap()
}

fn bulk(bytes: &[u8]) -> Reply {
    Reply::Bulk(bytes.to_vec())
}

#[test]
fn replies_are_encoded_for_each_version() {
    for (reply, resp2, resp3) in [
        (Reply::OK, "+OK\r\n", "+OK\r\n"),
        (
            Reply::Integer(i64::MIN),
            ":-9223372036854775808\r\n",
            ":-9223372036854775808\r\n",
        ),
        (bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
        (bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"),
        (Reply::Nil, "$-1\r\n", "_\r\n"),
        (Reply::Array(vec![]), "*0\r\n", "*0\r\n"),
        (
            Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![Reply::Nil])]),
            "*2\r\n:1\r\n*1\r\n$-1\r\n",
            "*2\r\n:1\r\n*1\r\n_\r\n",
        ),
        (
            Reply::Map(vec![(bulk(b"k"), Reply::Nil)]),
            "*2\r\n$1\r\nk\r\n$-1\r\n",
            "%1\r\n$1\r\nk\r\n_\r\n",
        ),
    ] {
        assert_eq!(text(&reply, Protocol::Resp2), resp2);
        assert_eq!(text(&reply, Protocol::Resp3), resp3);
    }
}

#[test]
fn an_error_cannot_end_its_line() {
    let reply = Reply::Error("ERR unknown command 'a\r\n+OK'".to_owned());
    assert_eq!(
        text(&reply, Protocol::Resp2),
        "-ERR unknown command 'a  +OK'\r\n"
    );
}
