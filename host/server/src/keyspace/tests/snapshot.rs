//! Pages of a snapshot: what they hold, and what is refused.

use super::*;
use proptest::prelude::*;

/// Returns a keyspace with keys of all kinds of deadlines, and entries that cross the ends of pages.
fn various() -> Keyspace {
    let mut subject = Subject::default();
    subject.tick(7, 10, 1000);
    subject.set_until(b"elapsed", Expiry::In(500));
    subject.tick(7, 20, 2000);
    subject.tick(7, 30, 3000);
    subject.set_until(b"waiting", Expiry::In(600));
    subject.tick(7, 40, 4000);
    subject.set_until(b"new", Expiry::In(700));
    subject.set_until(b"unix", Expiry::At(9000));
    subject.set(b"", b"");
    subject.set(&[b'k'; KEY_MAX], &[b'v'; VALUE_MAX]);
    subject.set(b"last", b"value");
    subject.0
}

#[test]
fn a_restored_keyspace_is_equal_and_goes_on_the_same() {
    let mut original = Subject(various());
    let written = pages(&original.0);
    assert_eq!(
        u32::try_from(written.len()),
        Ok(original.0.snapshot_pages())
    );
    assert!(
        written
            .iter()
            .rev()
            .skip(1)
            .all(|page| page.len() == synod::SNAPSHOT_PAGE)
    );
    let mut copy = Subject(restored(&written).unwrap());
    assert_eq!(copy.0, original.0);
    assert_eq!(copy.0.next_tick(7), original.0.next_tick(7));
    for since in [50, 60, 300, 600, 900] {
        assert_eq!(
            copy.tick(7, since, since * 100),
            original.tick(7, since, since * 100)
        );
        assert_eq!(copy.0, original.0);
        assert_eq!(pages(&copy.0), pages(&original.0));
    }
    assert_eq!(copy.0.expired(), 4);
}

#[test]
fn an_empty_keyspace_has_one_page() {
    let keyspace = Keyspace::default();
    assert_eq!(keyspace.snapshot_pages(), 1);
    assert_eq!(restored(&pages(&keyspace)), Ok(keyspace));
}

#[test]
fn a_page_that_is_out_of_order_or_too_long_is_refused() {
    let written = pages(&various());
    let mut reversed = written.clone();
    reversed.swap(1, 2);
    let mut missing = written.clone();
    missing.remove(1);
    let mut repeated = written.clone();
    repeated.insert(1, written[1].clone());
    let mut shorter = written.clone();
    shorter[1].pop();
    let mut longer = written.clone();
    longer[1].push(0);
    let begins_late = written[1..].to_vec();
    for bad in [reversed, missing, repeated, shorter, longer, begins_late] {
        assert!(restored(&bad).is_err());
    }
    let mut keyspace = various();
    let again = keyspace.read_page(0, &mut Reader::new(&written[0]));
    assert_eq!(again, Err(MalformedPage), "into a state that is not new");
}

/// Returns the first page of a keyspace at a time with these bytes as its entries.
fn first_page(elapsed: u64, unix: u64, entries: &[u8]) -> Vec<u8> {
    let words = [elapsed, 1, 1, unix, 0].map(u64::to_le_bytes).concat();
    [&words, &[1][..], entries].concat()
}

#[test]
fn an_entry_that_no_log_gives_is_refused() {
    let at = |kind: u8, time: u64| [&[1, 1, 0, kind][..], &time.to_le_bytes(), b"kv"].concat();
    let good = [&[1, 1, 0, 0][..], b"kv"].concat();
    for entries in [good.clone(), at(1, 1), at(2, 1), at(3, 501), at(4, 901)] {
        let keyspace = restored(&[first_page(500, 900, &entries)]).unwrap();
        assert_eq!(Subject(keyspace).get(b"k"), Some(b"v".to_vec()));
    }
    for (entries, why) in [
        ([good.clone(), good].concat(), "a key twice"),
        (vec![129, 0, 0, 0], "a key that is too long"),
        (vec![1, 1, 1, 0], "a value that is too long"),
        (at(5, 9000), "an unknown deadline"),
        (at(1, 0), "a time that is over"),
        (at(2, 0), "a time that is over"),
        (at(3, 500), "a deadline that has passed"),
        (at(4, 900), "a deadline that has passed"),
    ] {
        let read = restored(&[first_page(500, 900, &entries)]);
        assert_eq!(read, Err(MalformedPage), "{why}");
    }
    for header in [vec![0; 40], [&[0; 40][..], &[2]].concat()] {
        assert_eq!(restored(&[header]), Err(MalformedPage));
    }
}

#[test]
fn more_entries_than_there_is_room_for_are_refused() {
    let mut bytes = first_page(0, 0, &[]);
    for number in 0..=u32::try_from(KEYS_MAX).unwrap() {
        bytes.extend([4, 0, 0, 0]);
        bytes.extend(number.to_le_bytes());
    }
    let all: Vec<_> = bytes
        .chunks(synod::SNAPSHOT_PAGE)
        .map(<[u8]>::to_vec)
        .collect();
    assert_eq!(restored(&all), Err(MalformedPage));
    let (last_entry, others) = (8, bytes.len() - 8);
    assert_eq!(bytes.len(), others + last_entry);
    let fewer: Vec<_> = bytes[..others]
        .chunks(synod::SNAPSHOT_PAGE)
        .map(<[u8]>::to_vec)
        .collect();
    assert_eq!(restored(&fewer).unwrap().keys(), KEYS_MAX);
}

proptest! {
    #[test]
    fn damaged_pages_never_panic_and_give_a_keyspace_that_works_or_none(
        damage in proptest::collection::vec((0..10_usize, 0..90_usize, any::<u8>()), 1..6),
        since in 0..2000_u64,
    ) {
        let mut written = pages(&various());
        for (page, byte, value) in damage {
            let count = written.len();
            let page = &mut written[page % count];
            let len = page.len();
            page[byte % len] = value;
        }
        if let Ok(keyspace) = restored(&written) {
            let mut subject = Subject(keyspace);
            subject.tick(u64::MAX, 0, 0);
            subject.set_until(b"more", Expiry::In(5));
            subject.tick(u64::MAX, since, since);
            subject.run(&Op::Delete(vec![b"last", b"", b"unix", b"new"]));
            // What was missing at the end of damaged pages is no part of the snapshot.
            subject.0.state.partial.clear();
            let copy = restored(&pages(&subject.0)).unwrap();
            prop_assert!(copy == subject.0);
        }
    }
}
