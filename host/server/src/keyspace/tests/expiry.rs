//! Keys that expire, and the time that decides when.

use super::*;
use crate::op::{ExpireOnly, Unit};

/// `PTTL key`, so many milliseconds after the last tick.
fn left(subject: &Subject, key: &[u8], extra_ms: u64) -> i64 {
    let unit = Unit::Milliseconds;
    match subject.0.evaluate(&Op::TimeLeft { key, unit }, extra_ms) {
        Reply::Integer(left) => left,
        other => panic!("{other:?}"),
    }
}

fn expire(key: &[u8], expiry: Expiry, only: ExpireOnly) -> Op<'_> {
    Op::Expire { key, expiry, only }
}

/// Returns a subject whose leader of ballot 1 has told 2000 ms, of which 1000 count, and 50000 ms since 1970.
fn led() -> Subject {
    let mut subject = Subject::default();
    subject.tick(1, 0, 48_000);
    subject.tick(1, 1000, 49_000);
    subject.tick(1, 2000, 50_000);
    assert_eq!(subject.0.time().elapsed, 1000);
    subject
}

#[test]
fn a_key_lives_for_its_time_after_a_tick_that_is_later_for_certain() {
    let mut subject = led();
    subject.set_until(b"k", Expiry::In(100));
    assert_eq!(subject.0.next_tick(1), Some(NextTick::Now));
    let left_later = left(&subject, b"k", 70);
    assert_eq!(left_later, 100, "the whole time, as it has not begun");
    // This tick may have been on its way when the key was set.
    subject.tick(1, 2200, 50_200);
    assert_eq!(subject.0.next_tick(1), Some(NextTick::Now));
    assert_eq!(left(&subject, b"k", 70), 100);
    subject.tick(1, 2300, 50_300);
    let (elapsed, unix) = (Some(1400), None);
    let next = NextTick::At { elapsed, unix };
    assert_eq!(subject.0.next_tick(1), Some(next));
    assert_eq!(left(&subject, b"k", 0), 100);
    assert_eq!(left(&subject, b"k", 70), 30);
    let overdue = left(&subject, b"k", 200);
    assert_eq!(overdue, 0, "it is there until a tick says so");
    assert_eq!(subject.tick(1, 2399, 50_399), 0);
    assert_eq!(subject.tick(1, 2400, 50_400), 1);
    assert_eq!(left(&subject, b"k", 0), -2);
    assert_eq!(subject.0.next_tick(1), None);
    assert_eq!(subject.0.expired(), 1);
}

#[test]
fn time_between_two_leaders_does_not_count_and_late_ticks_change_nothing() {
    let mut subject = led();
    subject.set_until(b"k", Expiry::In(100));
    subject.tick(1, 2001, 0);
    subject.tick(1, 2002, 0);
    assert_eq!(left(&subject, b"k", 0), 100);
    // A leader of ballot 3 leads for an hour before its first tick.
    assert_eq!(subject.0.next_tick(3), Some(NextTick::Now));
    subject.tick(3, 3_600_000, 0);
    assert_eq!(left(&subject, b"k", 0), 100);
    // Ticks of earlier leaders, and two that were told before.
    for (ballot, since) in [(1, 9_000_000), (2, 9_000_000), (3, 3_600_000), (3, 5)] {
        subject.tick(ballot, since, 0);
        assert_eq!(left(&subject, b"k", 0), 100, "ballot {ballot}, {since} ms");
    }
    // The first tick may have been created before the last one of ballot 1.
    assert_eq!(subject.0.next_tick(3), Some(NextTick::Now));
    subject.tick(3, 3_600_030, 0);
    assert_eq!(left(&subject, b"k", 0), 100);
    let (elapsed, unix) = (Some(1102), None);
    let next = NextTick::At { elapsed, unix };
    assert_eq!(subject.0.next_tick(3), Some(next));
    subject.tick(3, 3_600_070, 0);
    assert_eq!(left(&subject, b"k", 0), 60);
    assert_eq!(subject.0.time().elapsed, 1042);
    assert_eq!(subject.tick(3, 3_600_130, 0), 1);
}

#[test]
fn the_time_of_a_key_does_not_begin_with_a_tick_that_may_be_older() {
    let mut subject = led();
    subject.tick(2, 0, 0);
    subject.set_until(b"k", Expiry::In(100));
    // Ticks of the leader before, as many as there may be.
    for since in 3000..3010 {
        subject.tick(1, since, 0);
    }
    subject.tick(2, 5000, 0);
    assert_eq!(left(&subject, b"k", 0), 100);
    assert_eq!(subject.0.next_tick(2), Some(NextTick::Now));
    // The first one of the next leader.
    subject.tick(3, 700, 0);
    assert_eq!(subject.0.next_tick(3), Some(NextTick::Now));
    subject.tick(3, 800, 0);
    assert_eq!(subject.tick(3, 899, 0), 0);
    assert_eq!(subject.tick(3, 900, 0), 1);
}

#[test]
fn a_key_that_expires_at_a_time_since_1970_goes_with_the_first_tick_that_tells_it() {
    let mut subject = led();
    subject.set_until(b"k", Expiry::At(50_100));
    subject.set_until(b"later", Expiry::At(70_000));
    let (elapsed, unix) = (None, Some(50_100));
    let next = NextTick::At { elapsed, unix };
    assert_eq!(subject.0.next_tick(1), Some(next));
    assert_eq!(subject.0.next_tick(2), Some(next), "of any leader");
    assert_eq!(left(&subject, b"k", 30), 70);
    assert_eq!(subject.tick(1, 2500, 50_099), 0);
    // A clock that goes back makes no difference, nor does whose clock it is.
    assert_eq!(subject.tick(1, 2600, 40_000), 0);
    assert_eq!(left(&subject, b"k", 0), 1);
    assert_eq!(subject.tick(0, 0, 50_100), 1);
    assert_eq!(subject.0.keys(), 1);
}

#[test]
fn a_time_in_the_past_removes_the_key_at_once() {
    let mut subject = led();
    for expiry in [Expiry::At(0), Expiry::At(50_000), Expiry::In(0)] {
        subject.set(b"k", b"v");
        subject.set_until(b"k", expiry);
        assert_eq!(subject.get(b"k"), None, "SET, {expiry:?}");
        subject.set_until(b"k", expiry);
        assert_eq!(subject.get(b"k"), None, "SET of no key, {expiry:?}");
        subject.set(b"k", b"v");
        let expired = subject.run(&expire(b"k", expiry, ExpireOnly::Always));
        assert_eq!(
            (expired, subject.get(b"k")),
            (Reply::Integer(1), None),
            "EXPIRE, {expiry:?}"
        );
        subject.set(b"k", b"v");
        let value = subject.run(&Op::GetAndExpire { key: b"k", expiry });
        assert_eq!(
            (value, subject.get(b"k")),
            (bulk(b"v"), None),
            "GETEX, {expiry:?}"
        );
    }
    assert_eq!(
        subject.0.expired(),
        0,
        "they were removed, and did not expire"
    );
}

#[test]
fn set_makes_a_key_last_unless_it_keeps_the_time() {
    let mut subject = led();
    subject.set_until(b"k", Expiry::In(100));
    let keep = with(
        &set(b"k", b"w"),
        Condition::Always,
        Expiry::Keep,
        SetAnswer::Status,
    );
    subject.run(&keep);
    subject.run(&Op::Append {
        key: b"k",
        value: b"x",
    });
    assert_eq!(left(&subject, b"k", 0), 100);
    subject.set(b"n", b"1");
    subject.run(&expire(b"n", Expiry::In(60), ExpireOnly::Always));
    subject.run(&Op::Add { key: b"n", by: 1 });
    assert_eq!(left(&subject, b"n", 0), 60);
    subject.set(b"k", b"v");
    assert_eq!(left(&subject, b"k", 0), -1);
    subject.run(&keep);
    assert_eq!(left(&subject, b"k", 0), -1, "there was no time to keep");
    let refused = with(
        &set(b"n", b"3"),
        Condition::Absent,
        Expiry::Never,
        SetAnswer::Status,
    );
    assert_eq!(subject.run(&refused), Reply::Nil);
    assert_eq!(
        left(&subject, b"n", 0),
        60,
        "nothing of a refused SET is done"
    );
}

#[test]
fn getex_and_persist_change_the_time_alone() {
    let mut subject = led();
    subject.set(b"k", b"v");
    let get_and = |expiry| Op::GetAndExpire { key: b"k", expiry };
    assert_eq!(subject.run(&Op::Persist(b"k")), Reply::Integer(0));
    assert_eq!(subject.run(&get_and(Expiry::In(70))), bulk(b"v"));
    assert_eq!(left(&subject, b"k", 0), 70);
    assert_eq!(subject.run(&get_and(Expiry::Keep)), bulk(b"v"));
    assert_eq!(left(&subject, b"k", 0), 70);
    assert_eq!(subject.run(&get_and(Expiry::Never)), bulk(b"v"));
    assert_eq!(left(&subject, b"k", 0), -1);
    subject.run(&get_and(Expiry::At(50_070)));
    assert_eq!(subject.run(&Op::Persist(b"k")), Reply::Integer(1));
    assert_eq!(subject.run(&Op::Persist(b"k")), Reply::Integer(0));
    assert_eq!(subject.run(&Op::Persist(b"none")), Reply::Integer(0));
    assert_eq!(subject.0.expiring(), 0);
}

#[test]
fn conditions_of_expire() {
    use ExpireOnly::{Always, Earlier, Expiring, Later, Never};
    let mut subject = led();
    subject.set(b"k", b"v");
    for (ms, only, is_set) in [
        (100, Expiring, false),
        (100, Later, false),
        (100, Never, true),
        (50, Never, false),
        (50, Later, false),
        (100, Later, false),
        (101, Later, true),
        (101, Earlier, false),
        (90, Earlier, true),
        (95, Expiring, true),
        (300, Always, true),
    ] {
        let before = left(&subject, b"k", 0);
        let reply = subject.run(&expire(b"k", Expiry::In(ms), only));
        assert_eq!(reply, Reply::Integer(i64::from(is_set)), "{ms} {only:?}");
        let after = if is_set {
            i64::try_from(ms).unwrap()
        } else {
            before
        };
        assert_eq!(left(&subject, b"k", 0), after);
    }
    // A time since 1970 is compared by what is left until then.
    assert_eq!(
        subject.run(&expire(b"k", Expiry::At(50_301), Earlier)),
        Reply::Integer(0)
    );
    assert_eq!(
        subject.run(&expire(b"k", Expiry::At(50_301), Later)),
        Reply::Integer(1)
    );
    assert_eq!(
        subject.run(&expire(b"k", Expiry::In(301), Later)),
        Reply::Integer(0)
    );
    assert_eq!(
        subject.run(&expire(b"k", Expiry::At(1), Later)),
        Reply::Integer(0)
    );
    assert_eq!(
        subject.run(&expire(b"k", Expiry::At(1), Earlier)),
        Reply::Integer(1)
    );
    assert_eq!(subject.get(b"k"), None);
    assert_eq!(
        subject.run(&expire(b"k", Expiry::In(9), Always)),
        Reply::Integer(0)
    );
    subject.set(b"k", b"v");
    assert_eq!(
        subject.run(&expire(b"k", Expiry::In(9), Earlier)),
        Reply::Integer(1)
    );
}

#[test]
fn ttl_is_rounded_to_the_nearest_second() {
    let mut subject = led();
    let ttl = |subject: &Subject, key| {
        let unit = Unit::Seconds;
        subject.0.evaluate(&Op::TimeLeft { key, unit }, 0)
    };
    for (ms, seconds) in [(499, 0), (500, 1), (1499, 1), (1500, 2), (10_000, 10)] {
        subject.set_until(b"k", Expiry::In(ms));
        assert_eq!(ttl(&subject, b"k"), Reply::Integer(seconds), "{ms} ms");
    }
    subject.set(b"k", b"v");
    assert_eq!(ttl(&subject, b"k"), Reply::Integer(-1));
    assert_eq!(ttl(&subject, b"none"), Reply::Integer(-2));
}

#[test]
fn times_at_the_end_of_the_range_saturate() {
    let mut subject = led();
    subject.set_until(b"in", Expiry::In(u64::MAX));
    subject.set_until(b"at", Expiry::At(u64::MAX));
    subject.tick(1, 3000, 0);
    subject.tick(1, 4000, 0);
    assert_eq!(left(&subject, b"in", 0), i64::MAX);
    assert_eq!(left(&subject, b"at", 0), i64::MAX);
    assert_eq!(subject.tick(1, u64::MAX, u64::MAX - 1), 0);
    assert_eq!(subject.tick(1, u64::MAX, u64::MAX), 1);
    assert_eq!(subject.0.time().elapsed, u64::MAX - 1000);
    subject.tick(2, 0, 0);
    assert_eq!(subject.tick(2, 1, 0), 0);
    assert_eq!(subject.tick(2, 5000, 0), 1);
    subject.set_until(b"in", Expiry::In(1));
    assert_eq!(subject.tick(2, 5001, 0), 0);
    let removed = subject.tick(2, 5002, 0);
    assert_eq!(removed, 1, "no time is later than the last");
}

#[test]
fn a_tick_removes_everything_that_is_due() {
    let mut subject = led();
    for number in 0..1000_u64 {
        let key = number.to_be_bytes();
        subject.set_until(
            &key,
            match number % 3 {
                0 => Expiry::In(1 + number),
                1 => Expiry::At(50_001 + number),
                _ => Expiry::Never,
            },
        );
    }
    subject.tick(1, 2001, 50_000);
    subject.tick(1, 2002, 50_000);
    assert_eq!(subject.0.expiring(), 667);
    let removed = subject.tick(1, 2502, 50_500);
    assert_eq!(removed, 167 + 167);
    let removed = subject.tick(1, 4000, 60_000);
    assert_eq!(removed, 333);
    assert_eq!(
        (subject.0.keys(), subject.0.expiring(), subject.0.expired()),
        (333, 0, 667)
    );
}
