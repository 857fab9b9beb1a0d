//! `SCAN`: every key that is there all the time is found.

use super::*;
use crate::op::tests::tick;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Returns the next cursor and the keys.
fn scan(
    keyspace: &Keyspace,
    cursor: u64,
    pattern: Option<&[u8]>,
    count: u32,
) -> (u64, Vec<Vec<u8>>) {
    let op = Op::Scan {
        cursor,
        pattern,
        count,
    };
    let Reply::Array(parts) = keyspace.evaluate(&op, 0) else {
        panic!()
    };
    let [Reply::Bulk(cursor), Reply::Array(keys)] = &parts[..] else {
        panic!()
    };
    let keys = keys.iter().map(|key| match key {
        Reply::Bulk(key) => key.clone(),
        other => panic!("{other:?}"),
    });
    let cursor = String::from_utf8(cursor.clone()).unwrap();
    (cursor.parse().unwrap(), keys.collect())
}

#[test]
fn a_scan_of_a_quiet_keyspace_finds_every_key_once() {
    let mut subject = Subject::default();
    assert_eq!(scan(&subject.0, 0, None, 10), (0, vec![]));
    for number in 0..25_u8 {
        subject.set(&[b'k', number], b"");
    }
    let (mut cursor, mut found, mut calls) = (0, Vec::new(), 0);
    loop {
        let (next, keys) = scan(&subject.0, cursor, None, 10);
        found.extend(keys);
        (cursor, calls) = (next, calls + 1);
        if cursor == 0 {
            break;
        }
    }
    found.sort();
    let all: Vec<_> = (0..25_u8).map(|number| vec![b'k', number]).collect();
    assert_eq!((found, calls), (all, 3));
}

#[test]
fn count_and_pattern_and_strange_cursors() {
    let mut subject = Subject::default();
    for key in [b"a1", b"a2", b"b1"] {
        subject.set(key, b"");
    }
    let (next, keys) = scan(&subject.0, 0, Some(b"a*"), 2);
    assert_eq!(
        (next, keys),
        (1, vec![b"a2".to_vec()]),
        "two were looked at"
    );
    assert_eq!(
        scan(&subject.0, 1, Some(b"a*"), 0),
        (0, vec![b"a1".to_vec()]),
        "at least one is"
    );
    assert_eq!(
        scan(&subject.0, u64::MAX, None, 1),
        (2, vec![b"b1".to_vec()])
    );
    assert_eq!(scan(&subject.0, 0, Some(b"*"), u32::MAX).1.len(), 3);
}

proptest! {
    #[test]
    fn a_key_that_is_there_all_the_time_is_found_whatever_happens_to_others(
        keys in 1..40_u8,
        stays in vec(any::<bool>(), 60),
        counts in vec(1..7_u32, 60),
        changes in vec(vec((0..60_u8, any::<bool>()), 0..6), 60),
        ticks in vec(tick(), 60),
    ) {
        let mut subject = Subject::default();
        for key in 0..keys {
            let expiry = if key % 3 == 0 && !stays[usize::from(key)] { Expiry::In(100) } else { Expiry::Never };
            subject.set_until(&[key], expiry);
        }
        let stays = |key: u8| key < keys && stays[usize::from(key)];
        let (mut cursor, mut found) = (0, BTreeSet::new());
        for ((count, changes), tick) in counts.into_iter().zip(changes).zip(ticks) {
            let (next, keys) = scan(&subject.0, cursor, None, count);
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                break;
            }
            for (key, is_set) in changes {
                if is_set {
                    subject.set_until(&[key], if stays(key) { Expiry::Never } else { Expiry::In(9) });
                } else if !stays(key) {
                    subject.run(&Op::Delete(vec![&[key]]));
                }
            }
            subject.run(&Op::Tick(tick));
        }
        prop_assert_eq!(cursor, 0, "a scan ends, although keys are added");
        for key in (0..keys).filter(|key| stays(*key)) {
            prop_assert!(found.contains(&vec![key]), "key {}", key);
        }
    }
}
