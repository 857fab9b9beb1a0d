//! Tests of the encoding of operations, and operations drawn at random for other tests.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Bytes of any kind. They are leaked, which lets operations borrow them: a few kilobytes a test.
fn bytes(len_max: usize) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..=len_max).prop_map(|bytes| &*bytes.leak())
}

fn condition(value: BoxedStrategy<&'static [u8]>) -> impl Strategy<Value = Condition<'static>> {
    prop_oneof![
        4 => Just(Condition::Always),
        1 => Just(Condition::Absent),
        1 => Just(Condition::Present),
        2 => value.prop_map(Condition::Equals),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..3000_u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        3 => Just(Expiry::Never),
        1 => Just(Expiry::Keep),
        2 => time().prop_map(Expiry::In),
        2 => time().prop_map(Expiry::At),
    ]
}

/// A tick of one of a few leaders, some of which repeat themselves or are late.
pub(crate) fn tick() -> impl Strategy<Value = Tick> {
    let unix = prop_oneof![20 => 0..5000_u64, 1 => any::<u64>()];
    (0..4_u64, 0..3000_u64, unix).prop_map(|(ballot, since, unix)| Tick {
        ballot,
        since,
        unix,
    })
}

/// A valid operation that only reads.
fn read(key: BoxedStrategy<&'static [u8]>) -> BoxedStrategy<Op<'static>> {
    let keys = vec(key.clone(), 1..5).boxed();
    let unit = select(vec![Unit::Seconds, Unit::Milliseconds]);
    let pattern = prop_oneof![
        key.clone(),
        select(vec![&b"*"[..], b"k?", b"[a-k]*", b"*\\1"])
    ]
    .boxed();
    let cursor = prop_oneof![Just(0), 0..9_u64, any::<u64>()];
    let scan = (cursor, proptest::option::of(pattern.clone()), 0..20_u32);
    prop_oneof![
        key.clone().prop_map(Op::Get),
        keys.clone().prop_map(Op::GetMany),
        keys.prop_map(Op::Exists),
        key.clone().prop_map(Op::Length),
        key.clone().prop_map(Op::Type),
        (key, unit).prop_map(|(key, unit)| Op::TimeLeft { key, unit }),
        Just(Op::Size),
        pattern.prop_map(Op::Keys),
        scan.prop_map(|(cursor, pattern, count)| Op::Scan {
            cursor,
            pattern,
            count
        }),
    ]
    .boxed()
}

/// A valid operation on keys and with values from these strategies.
pub(crate) fn op(
    key: BoxedStrategy<&'static [u8]>,
    value: BoxedStrategy<&'static [u8]>,
) -> BoxedStrategy<Op<'static>> {
    let keys = vec(key.clone(), 1..5).boxed();
    let answers = select(vec![SetAnswer::Status, SetAnswer::Old, SetAnswer::Count]);
    let only = select(vec![
        ExpireOnly::Always,
        ExpireOnly::Never,
        ExpireOnly::Expiring,
        ExpireOnly::Later,
        ExpireOnly::Earlier,
    ]);
    let set = (
        key.clone(),
        value.clone(),
        condition(value.clone()),
        expiry(),
        answers,
    );
    let removals = prop_oneof![
        key.clone().prop_map(Op::Take),
        keys.prop_map(Op::Delete),
        (key.clone(), condition(value.clone()))
            .prop_map(|(key, condition)| Op::DeleteIf { key, condition }),
    ];
    let times = prop_oneof![
        (key.clone(), expiry()).prop_map(|(key, expiry)| Op::GetAndExpire { key, expiry }),
        (key.clone(), time(), only, any::<bool>()).prop_map(|(key, time, only, at)| {
            let expiry = if at {
                Expiry::At(time)
            } else {
                Expiry::In(time)
            };
            Op::Expire { key, expiry, only }
        }),
        key.clone().prop_map(Op::Persist),
        tick().prop_map(Op::Tick),
    ];
    let by = prop_oneof![8 => -20..20_i64, 1 => any::<i64>()];
    prop_oneof![
        3 => read(key.clone()),
        6 => set.prop_map(|(key, value, condition, expiry, answer)| Op::Set {
            key,
            value,
            condition,
            expiry,
            answer
        }),
        1 => vec((key.clone(), value.clone()), 1..5).prop_map(Op::SetMany),
        2 => removals,
        2 => (key.clone(), by).prop_map(|(key, by)| Op::Add { key, by }),
        1 => (key, value).prop_map(|(key, value)| Op::Append { key, value }),
        6 => times,
    ]
    .boxed()
}

/// A valid operation with keys and values of all lengths.
pub(crate) fn any_op() -> BoxedStrategy<Op<'static>> {
    op(bytes(KEY_MAX).boxed(), bytes(VALUE_MAX).boxed())
}

fn encoded(op: &Op<'_>) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = synod::Writer::new(&mut buffer);
    op.encode(&mut writer);
    assert!(!writer.overflowed());
    let len = writer.len();
    buffer[..len].to_vec()
}

fn is_refused(bytes: &[u8]) -> bool {
    Op::decode(&mut &*bytes).is_none()
}

proptest! {
    #[test]
    fn an_operation_is_read_as_it_was_written_and_what_follows_it_is_left(
        op in any_op(),
        more in vec(any::<u8>(), 0..9),
    ) {
        let mut bytes = encoded(&op);
        prop_assert!(op.is_valid());
        prop_assert_eq!(op.encoded_len(), bytes.len());
        for len in 0..bytes.len() {
            prop_assert!(is_refused(&bytes[..len]), "{} of {} bytes", len, bytes.len());
        }
        bytes.extend(&more);
        let mut rest = &*bytes;
        prop_assert_eq!(Op::decode(&mut rest), Some(op));
        prop_assert_eq!(rest, &*more);
    }

    #[test]
    fn bytes_of_any_kind_are_an_operation_with_this_one_encoding_or_none(
        kind in 0..25_u8,
        mut bytes in vec(prop_oneof![0..4_u8, any::<u8>()], 1..300),
    ) {
        bytes[0] = kind;
        let mut rest = &*bytes;
        if let Some(op) = Op::decode(&mut rest) {
            prop_assert!(op.is_valid());
            prop_assert_eq!(encoded(&op), &bytes[..bytes.len() - rest.len()]);
        }
    }
}

#[test]
fn keys_and_values_have_their_maximum_length_and_no_more() {
    let (key, value) = ([b'k'; KEY_MAX + 1], [b'v'; VALUE_MAX + 1]);
    let set = |key, value, compared| Op::Set {
        key,
        value,
        condition: Condition::Equals(compared),
        expiry: Expiry::In(1),
        answer: SetAnswer::Status,
    };
    let (longest_key, longest_value) = (&key[1..], &value[1..]);
    let longest = set(longest_key, longest_value, longest_value);
    assert!(longest.is_valid() && !is_refused(&encoded(&longest)));
    for too_long in [
        Op::Get(&key),
        Op::Keys(&key),
        Op::Delete(vec![b"k", &key]),
        Op::Append {
            key: b"k",
            value: &value,
        },
        Op::SetMany(vec![(b"k", b"v"), (b"k", &value)]),
        Op::Scan {
            cursor: 0,
            pattern: Some(&key),
            count: 10,
        },
        set(&key, b"", b""),
        set(b"", &value, b""),
        set(b"", b"", &value),
        Op::Get(&[b'k'; 300]),
        Op::Append {
            key: b"k",
            value: &[0; 3000],
        },
    ] {
        assert!(!too_long.is_valid(), "{too_long:?}");
        assert!(is_refused(&encoded(&too_long)), "{too_long:?}");
    }
}

#[test]
fn a_list_without_items_is_refused_and_one_with_less_than_it_claims() {
    for op in [
        Op::GetMany(vec![]),
        Op::Exists(vec![]),
        Op::Delete(vec![]),
        Op::SetMany(vec![]),
    ] {
        assert!(!op.is_valid(), "{op:?}");
        assert!(is_refused(&encoded(&op)), "{op:?}");
    }
    let mut keys = encoded(&Op::Delete(vec![b"a", b"b"]));
    keys[1] = 3;
    assert!(is_refused(&keys));
}

#[test]
fn a_time_to_expire_at_is_never_and_keep_for_no_expire() {
    for expiry in [Expiry::Never, Expiry::Keep] {
        let expire = Op::Expire {
            key: b"k",
            expiry,
            only: ExpireOnly::Always,
        };
        assert!(!expire.is_valid());
        assert!(is_refused(&encoded(&expire)));
    }
}

#[test]
fn reads_are_told_from_writes() {
    assert!(!Op::Get(b"k").is_write());
    assert!(!Op::Size.is_write());
    let get_and = |expiry| Op::GetAndExpire { key: b"k", expiry };
    assert!(!get_and(Expiry::Keep).is_write(), "GETEX without options");
    assert!(get_and(Expiry::Never).is_write(), "GETEX with PERSIST");
    assert!(Op::Take(b"k").is_write());
    assert!(Op::Delete(vec![b"k"]).is_write());
}
