//! Commands as Redis documents them.

use super::*;

/// `SET lock value` with options.
fn set_if<'a>(value: &'a [u8], condition: Condition<'a>, answer: SetAnswer) -> Op<'a> {
    with(&set(b"lock", value), condition, Expiry::Never, answer)
}

#[test]
fn set_and_its_conditions() {
    use Condition::{Absent, Always, Equals, Present};
    use SetAnswer::{Count, Old, Status};
    let mut subject = Subject::default();
    for (value, condition, answer, reply, after) in [
        (b"1", Present, Status, Reply::Nil, None),
        (b"1", Equals(b"1"), Status, Reply::Nil, None),
        (b"1", Equals(b""), Status, Reply::Nil, None),
        (b"1", Absent, Status, Reply::OK, Some(b"1")),
        (b"2", Absent, Status, Reply::Nil, Some(b"1")),
        (b"2", Absent, Old, bulk(b"1"), Some(b"1")),
        (b"2", Present, Status, Reply::OK, Some(b"2")),
        (b"3", Equals(b"1"), Status, Reply::Nil, Some(b"2")),
        (b"3", Equals(b"1"), Old, bulk(b"2"), Some(b"2")),
        (b"3", Equals(b"2"), Status, Reply::OK, Some(b"3")),
        (b"4", Equals(b"3"), Old, bulk(b"3"), Some(b"4")),
        (b"5", Always, Old, bulk(b"4"), Some(b"5")),
        (b"6", Absent, Count, Reply::Integer(0), Some(b"5")),
    ] {
        let replied = subject.run(&set_if(value, condition, answer));
        assert_eq!(replied, reply, "{value:?} {condition:?} {answer:?}");
        assert_eq!(subject.get(b"lock"), after.map(|value| value.to_vec()));
    }
}

#[test]
fn set_of_a_key_that_is_not_there() {
    let mut subject = Subject::default();
    for (answer, reply) in [
        (SetAnswer::Status, Reply::OK),
        (SetAnswer::Old, Reply::Nil),
        (SetAnswer::Count, Reply::Integer(1)),
    ] {
        let replied = subject.run(&set_if(b"1", Condition::Absent, answer));
        assert_eq!(
            (replied, subject.get(b"lock")),
            (reply, Some(b"1".to_vec()))
        );
        subject.run(&Op::Delete(vec![b"lock"]));
    }
}

#[test]
fn reads_of_keys_that_are_there_or_not() {
    let mut subject = Subject::default();
    subject.set(b"a", b"one");
    subject.set(b"", b"");
    let there: &[u8] = b"a";
    for (op, reply) in [
        (Op::Get(there), bulk(b"one")),
        (Op::Get(b"b"), Reply::Nil),
        (Op::Get(b""), bulk(b"")),
        (
            Op::GetMany(vec![there, b"b", there]),
            Reply::Array(vec![bulk(b"one"), Reply::Nil, bulk(b"one")]),
        ),
        (Op::Exists(vec![there, b"b", there, b""]), Reply::Integer(3)),
        (Op::Length(there), Reply::Integer(3)),
        (Op::Length(b"b"), Reply::Integer(0)),
        (Op::Type(there), Reply::Status("string")),
        (Op::Type(b"b"), Reply::Status("none")),
        (Op::Size, Reply::Integer(2)),
        (
            Op::GetAndExpire {
                key: there,
                expiry: Expiry::Keep,
            },
            bulk(b"one"),
        ),
    ] {
        assert_eq!(subject.0.evaluate(&op, 0), reply, "{op:?}");
        assert_eq!(subject.run(&op), reply, "the same in the log: {op:?}");
    }
}

#[test]
fn removals_tell_what_was_there() {
    let mut subject = Subject::default();
    for key in [b"a", b"b", b"c", b"d"] {
        subject.set(key, b"v");
    }
    assert_eq!(
        subject.run(&Op::Delete(vec![b"a", b"x", b"a", b"b"])),
        Reply::Integer(2)
    );
    assert_eq!(subject.run(&Op::Take(b"c")), bulk(b"v"));
    assert_eq!(subject.run(&Op::Take(b"c")), Reply::Nil);
    let delete_if = |condition| Op::DeleteIf {
        key: b"d",
        condition,
    };
    assert_eq!(
        subject.run(&delete_if(Condition::Equals(b"w"))),
        Reply::Integer(0)
    );
    assert_eq!(
        subject.run(&delete_if(Condition::Absent)),
        Reply::Integer(0)
    );
    assert_eq!(
        subject.run(&delete_if(Condition::Equals(b"v"))),
        Reply::Integer(1)
    );
    assert_eq!(
        subject.run(&delete_if(Condition::Equals(b"v"))),
        Reply::Integer(0)
    );
    subject.set(b"d", b"v");
    assert_eq!(
        subject.run(&delete_if(Condition::Always)),
        Reply::Integer(1)
    );
    assert_eq!(subject.0.keys(), 0);
    assert_eq!(subject.0.bytes(), 0);
}

#[test]
fn counters_begin_at_0_and_never_wrap_around() {
    let mut subject = Subject::default();
    let add = |by| Op::Add { key: b"n", by };
    assert_eq!(subject.run(&add(5)), Reply::Integer(5));
    assert_eq!(subject.run(&add(-7)), Reply::Integer(-2));
    assert_eq!(subject.get(b"n"), Some(b"-2".to_vec()));
    assert_eq!(subject.run(&add(i64::MAX)), Reply::Integer(i64::MAX - 2));
    let overflow = error("ERR increment or decrement would overflow");
    assert_eq!(subject.run(&add(3)), overflow);
    subject.set(b"n", b"-9223372036854775808");
    assert_eq!(subject.run(&add(-1)), overflow);
    assert_eq!(subject.get(b"n"), Some(b"-9223372036854775808".to_vec()));
    for text in ["", "01", "+1", " 1", "-0", "1.5", "9223372036854775808"] {
        subject.set(b"n", text.as_bytes());
        let reply = error("ERR value is not an integer or out of range");
        assert_eq!(subject.run(&add(1)), reply, "{text:?}");
        assert_eq!(subject.get(b"n"), Some(text.as_bytes().to_vec()));
    }
}

#[test]
fn append_creates_and_extends_up_to_the_limit() {
    let mut subject = Subject::default();
    let append = |value| Op::Append { key: b"s", value };
    assert_eq!(subject.run(&append(b"")), Reply::Integer(0));
    assert_eq!(subject.get(b"s"), Some(vec![]), "an empty value is a value");
    assert_eq!(subject.run(&append(b"ab")), Reply::Integer(2));
    assert_eq!(subject.run(&append(&[b'c'; 254])), Reply::Integer(256));
    let too_long = error("ERR string exceeds maximum allowed size (256 bytes)");
    assert_eq!(subject.run(&append(b"d")), too_long);
    assert_eq!(subject.get(b"s").unwrap().len(), 256);
    assert_eq!(subject.run(&append(b"")), Reply::Integer(256));
}

#[test]
fn mset_sets_all_pairs_and_the_last_value_of_a_key_counts() {
    let mut subject = Subject::default();
    subject.set(b"a", b"long value");
    subject.set_until(b"b", Expiry::In(10));
    let pairs: Vec<(&[u8], &[u8])> = vec![(b"b", b"1"), (b"a", b"2"), (b"c", b"3"), (b"b", b"4")];
    assert_eq!(subject.run(&Op::SetMany(pairs)), Reply::OK);
    let values = subject.0.evaluate(&Op::GetMany(vec![b"a", b"b", b"c"]), 0);
    assert_eq!(values, bulks(&[b"2", b"4", b"3"]));
    assert_eq!(subject.0.expiring(), 0, "MSET makes keys last");
    assert_eq!(subject.0.bytes(), 6);
}

#[test]
fn keys_match_the_pattern() {
    let mut subject = Subject::default();
    for key in ["valve:3", "valve:12", "pump", "valve:1", ""] {
        subject.set(key.as_bytes(), b"v");
    }
    let keys = |pattern: &str| sorted(subject.0.evaluate(&Op::Keys(pattern.as_bytes()), 0));
    assert_eq!(keys("valve:?"), bulks(&[b"valve:1", b"valve:3"]));
    assert_eq!(
        keys("*"),
        bulks(&[b"", b"pump", b"valve:1", b"valve:12", b"valve:3"])
    );
    assert_eq!(keys("[^v]*"), bulks(&[b"pump"]));
    assert_eq!(keys("none"), bulks(&[]));
}

#[test]
fn a_batch_is_applied_in_its_order_and_an_error_stops_nothing() {
    let mut subject = Subject::default();
    let mut batch = Batch::new(BatchId(9));
    for op in [
        set(b"a", b"x"),
        Op::Add { key: b"a", by: 1 },
        Op::Append {
            key: b"a",
            value: b"y",
        },
        Op::Get(b"a"),
    ] {
        batch.push(&op).unwrap();
    }
    let summary = subject.0.apply(&batch);
    assert_eq!(summary.count(), 4);
    assert_eq!(summary.first_reply(), Some(Reply::OK));
    let replies = [
        Reply::OK,
        Reply::not_an_integer(),
        Reply::Integer(2),
        bulk(b"xy"),
    ];
    assert_eq!(subject.0.replies(BatchId(9)), Some(&replies[..]));
    assert_eq!(subject.0.replies(BatchId(8)), None);
}

#[test]
fn replies_are_no_part_of_the_state() {
    let mut subject = Subject::default();
    subject.set(b"a", b"x");
    let copy = subject.0.clone();
    assert_eq!(copy, subject.0);
    assert_eq!(copy.replies(BatchId(1)), None);
    let mut other = Subject::default();
    other.run(&Op::Get(b"a"));
    other.set(b"a", b"x");
    assert_eq!(other.0, subject.0);
}

#[test]
fn what_is_printed_has_no_key_and_no_value() {
    let mut subject = Subject::default();
    subject.set(b"secret", b"hidden");
    let printed = format!("{:?}", subject.0);
    assert!(printed.contains("keys: 1, bytes: 12"), "{printed}");
    assert!(!printed.contains("secret") && !printed.contains("hidden"));
}
