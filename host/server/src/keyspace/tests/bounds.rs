//! What is full says so and goes on.

use super::*;

fn oom() -> Reply {
    error("OOM command not allowed when used memory > 'maxmemory'.")
}

/// Returns a subject with all keys that it takes, of four bytes, with empty values.
fn full_of_keys() -> Subject {
    let mut subject = Subject::default();
    for number in 0..u32::try_from(KEYS_MAX).unwrap() {
        subject.set(&number.to_be_bytes(), b"");
    }
    subject
}

/// Returns a subject with as many bytes as it takes: keys of 128 bytes with values of 256.
fn full_of_bytes() -> Subject {
    let mut subject = Subject::default();
    let (mut key, value, mut number) = ([0; KEY_MAX], [b'v'; VALUE_MAX], 0_u32);
    while subject.0.bytes() + KEY_MAX + VALUE_MAX <= BYTES_MAX {
        key[..4].copy_from_slice(&number.to_be_bytes());
        subject.set(&key, &value);
        number += 1;
    }
    let rest = BYTES_MAX - subject.0.bytes();
    assert!((1..=VALUE_MAX).contains(&rest));
    subject.set(b"r", &value[1..rest]);
    assert_eq!(subject.0.bytes(), BYTES_MAX);
    subject
}

#[test]
fn a_keyspace_with_all_its_keys_takes_no_more_and_changes_those() {
    let mut subject = full_of_keys();
    let before = subject.0.clone();
    for op in [
        set(b"new", b""),
        with(
            &set(b"new", b""),
            Condition::Absent,
            Expiry::In(1),
            SetAnswer::Old,
        ),
        Op::Add { key: b"new", by: 1 },
        Op::Append {
            key: b"new",
            value: b"",
        },
        Op::SetMany(vec![(&[0; 4], b"changed"), (b"new", b"")]),
    ] {
        assert_eq!(subject.run(&op), oom(), "{op:?}");
        assert!(subject.0 == before, "nothing is changed: {op:?}");
    }
    let gone = with(
        &set(b"new", b""),
        Condition::Always,
        Expiry::At(0),
        SetAnswer::Status,
    );
    assert_eq!(
        subject.run(&gone),
        Reply::OK,
        "a key that expires at once needs no room"
    );
    subject.set(&[0; 4], b"changed");
    assert_eq!(
        subject.run(&Op::SetMany(vec![(&[0; 4], b"2"), (&[0, 0, 0, 1], b"3")])),
        Reply::OK
    );
    subject.run(&Op::Delete(vec![&[0, 0, 0, 9]]));
    subject.set(b"new", b"");
    assert_eq!(subject.run(&set(b"newer", b"")), oom());
    assert_eq!(subject.0.keys(), KEYS_MAX);
}

#[test]
fn a_keyspace_with_all_its_bytes_takes_no_more() {
    let mut subject = full_of_bytes();
    let before = subject.0.clone();
    let (key, long) = ([0; KEY_MAX], [b'w'; VALUE_MAX]);
    for op in [
        set(b"x", b""),
        Op::Append {
            key: b"r",
            value: b"+",
        },
        Op::SetMany(vec![(b"r", b""), (b"s", &long)]),
    ] {
        assert_eq!(subject.run(&op), oom(), "{op:?}");
        assert!(subject.0 == before, "nothing is changed: {op:?}");
    }
    subject.set(&key, &long);
    assert_eq!(
        subject.run(&Op::Append {
            key: b"r",
            value: b""
        }),
        { Reply::Integer(i64::try_from(subject.get(b"r").unwrap().len()).unwrap()) }
    );
    // One value becomes shorter, which makes room for another in the same command.
    let freed = subject.get(b"r").unwrap().len();
    let pairs: Vec<(&[u8], &[u8])> = vec![(b"a", &long[..freed - 1]), (b"r", b"")];
    assert_eq!(subject.run(&Op::SetMany(pairs)), Reply::OK);
    assert_eq!(subject.0.bytes(), BYTES_MAX);
    assert_eq!(
        subject.run(&Op::Add { key: b"r", by: 1 }),
        error("ERR value is not an integer or out of range")
    );
    subject.run(&Op::Delete(vec![b"a"]));
    subject.set(b"n", b"9");
    let rest = BYTES_MAX - subject.0.bytes();
    subject.set(b"r", &long[..rest]);
    assert_eq!(
        subject.run(&Op::Add { key: b"n", by: 1 }),
        oom(),
        "10 is longer than 9"
    );
    assert_eq!(
        subject.run(&Op::Add { key: b"n", by: -1 }),
        Reply::Integer(8)
    );
}

#[test]
fn the_largest_keyspace_survives_its_pages() {
    for subject in [full_of_keys(), full_of_bytes()] {
        let copy = restored(&pages(&subject.0)).unwrap();
        assert!(copy == subject.0);
        assert_eq!(
            (copy.keys(), copy.bytes()),
            (subject.0.keys(), subject.0.bytes())
        );
    }
}

#[test]
fn lists_of_keys_are_limited_in_a_batch() {
    let mut subject = full_of_keys();
    let mut batch = Batch::new(BatchId(1));
    // A key takes 16 steps, and its first byte one more.
    let lists = STEPS_MAX / (KEYS_MAX * 17);
    for _ in 0..=lists {
        batch.push(&Op::Keys(b"none")).unwrap();
    }
    batch.push(&Op::Size).unwrap();
    subject.0.apply(&batch);
    let mut replies = vec![bulks(&[]); lists];
    replies.push(error(
        "ERR the pattern takes too many steps for so many keys",
    ));
    replies.push(Reply::count(KEYS_MAX));
    assert_eq!(subject.0.replies(BatchId(1)), Some(&replies[..]));

    let too_long = error("ERR KEYS and SCAN reply too many keys for a transaction");
    let scan = |count| Op::Scan {
        cursor: 0,
        pattern: None,
        count,
    };
    for op in [Op::Keys(b"*"), scan(u32::MAX)] {
        assert_eq!(subject.run(&op), too_long);
        let Reply::Array(_) = subject.0.evaluate(&op, 0) else {
            panic!("outside of the log, a list has any length: {op:?}");
        };
    }
    let Reply::Array(_) = subject.run(&scan(1000)) else {
        panic!("a batch may have a part of the keys");
    };
}

#[test]
fn a_hostile_pattern_does_not_hold_up_a_node() {
    // A matcher that tries all places of every star would not come to an end.
    let mut subject = Subject::default();
    let key = [b'a'; KEY_MAX];
    subject.set(&key, b"");
    let pattern = [&b"*a".repeat(63)[..], b"*b"].concat();
    assert_eq!(subject.run(&Op::Keys(&pattern)), bulks(&[]));
    let pattern = [&b"*a".repeat(62)[..], b"*?*"].concat();
    assert_eq!(subject.run(&Op::Keys(&pattern)), bulks(&[&key]));

    let subject = full_of_bytes();
    let pattern = [&b"*"[..], &[0; 63], b"b"].concat();
    let refused = error("ERR the pattern takes too many steps for so many keys");
    assert_eq!(subject.0.evaluate(&Op::Keys(&pattern), 0), refused);
    let prefix = [&[0; KEY_MAX - 1][..], b"*"].concat();
    let found = subject.0.evaluate(&Op::Keys(&prefix), 0);
    assert_eq!(found, bulks(&[&[0; KEY_MAX]]));
}

#[test]
fn a_keyspace_takes_a_dozen_mebibytes_at_most() {
    assert!(Keyspace::memory_max() <= 12 << 20);
}
