//! Forged histories: each mistake of a server is found.

use super::*;
use crate::model::Operation;
use crate::resp::Reply;

fn text(text: &str) -> String {
    text.to_owned()
}

fn got(value: &str) -> Reply {
    Reply::Text(text(value))
}

/// An operation of group 7 with its span; a reply without an end is unknown.
fn record(client: u64, span: (u64, u64), operation: Operation, reply: Reply) -> Record {
    Record {
        client,
        group: 7,
        operation,
        invoked: span.0,
        answered: Some((span.1, reply)),
    }
}

fn unknown(client: u64, invoked: u64, operation: Operation) -> Record {
    Record {
        answered: None,
        ..record(client, (invoked, 0), operation, Reply::Nil)
    }
}

/// Returns the reply that no order passes.
#[track_caller]
fn violation(records: &[Record]) -> Violation {
    let judgement = judge(records);
    assert_eq!(judgement.explained, 0, "{judgement:?}");
    let [violation] = &judgement.violations[..] else {
        panic!("one violation is expected: {judgement:?}");
    };
    violation.clone()
}

#[track_caller]
fn explained(records: &[Record]) {
    let judgement = judge(records);
    assert_eq!(judgement.violations, []);
    assert_eq!(usize::try_from(judgement.explained), Ok(records.len()));
}

#[test]
fn overlapping_operations_have_any_order_that_fits() {
    let set =
        |client, span, value| record(client, span, Operation::Set(0, text(value)), Reply::ok());
    explained(&[
        set(1, (0, 10), "a"),
        set(2, (1, 9), "b"),
        record(3, (2, 8), Operation::Get(0), got("a")),
        record(3, (11, 12), Operation::Get(0), got("b")),
    ]);
}

#[test]
fn a_lost_acknowledged_write_is_found_and_what_does_not_matter_is_left_out() {
    let set = record(1, (0, 10), Operation::Set(0, text("a")), Reply::ok());
    let idle = record(1, (11, 12), Operation::Get(1), Reply::Nil);
    let lost = record(2, (20, 30), Operation::Get(0), Reply::Nil);
    let later = record(2, (40, 50), Operation::Set(0, text("b")), Reply::ok());
    let violation = violation(&[set.clone(), idle, lost.clone(), later]);
    assert_eq!(violation.blocked, lost);
    assert_eq!(violation.records, [set, lost]);
}

#[test]
fn a_stale_read_is_found() {
    let records = [
        record(1, (0, 10), Operation::Set(0, text("a")), Reply::ok()),
        record(1, (11, 20), Operation::Set(0, text("b")), Reply::ok()),
        record(2, (21, 30), Operation::Get(0), got("a")),
    ];
    assert_eq!(violation(&records).blocked, records[2]);
    let mut overlapping = records;
    overlapping[2].invoked = 15;
    explained(&overlapping);
}

#[test]
fn a_request_of_unknown_outcome_may_take_effect_at_any_time_but_once() {
    let increment = unknown(1, 0, Operation::Increment(0));
    let seen = |span, value| record(2, span, Operation::Get(0), got(value));
    let absent = record(2, (1, 2), Operation::Get(0), Reply::Nil);
    explained(&[increment.clone(), absent.clone()]);
    explained(&[increment.clone(), absent.clone(), seen((100, 110), "1")]);
    let twice = [increment, absent, seen((100, 110), "2")];
    assert_eq!(violation(&twice).blocked, twice[2]);
}

#[test]
fn a_double_increment_is_found() {
    let records = [
        record(1, (0, 10), Operation::Increment(0), Reply::Integer(1)),
        record(2, (20, 30), Operation::Increment(0), Reply::Integer(3)),
    ];
    assert_eq!(violation(&records).blocked, records[1]);
}

#[test]
fn a_torn_transaction_is_found() {
    let both = Operation::Transaction(vec![
        Operation::Set(0, text("a")),
        Operation::Set(1, text("a")),
    ]);
    let done = Reply::List(vec![Reply::ok(), Reply::ok()]);
    let records = [
        record(1, (0, 100), both, done),
        record(
            2,
            (10, 20),
            Operation::GetAll(vec![0, 1]),
            Reply::List(vec![got("a"), Reply::Nil]),
        ),
    ];
    assert_eq!(violation(&records).blocked.client, 2);
}

#[test]
fn a_condition_that_held_twice_is_found() {
    let swap = |new: &str| Operation::SetIfEqual(0, text("a"), text(new));
    let records = [
        record(1, (0, 10), Operation::Set(0, text("a")), Reply::ok()),
        record(1, (20, 30), swap("b"), Reply::ok()),
        record(2, (20, 30), swap("c"), Reply::ok()),
    ];
    violation(&records);
    let mut refused = records;
    refused[1].answered = Some((30, Reply::Nil));
    explained(&refused);
}

#[test]
fn an_error_that_the_model_does_not_give_is_found() {
    let broken = Reply::Error(text("ERR what"));
    violation(&[record(1, (0, 10), Operation::Set(0, text("a")), broken)]);
}

#[test]
fn groups_are_judged_independently() {
    let wrong = record(1, (0, 10), Operation::Get(0), got("a"));
    let mut right = record(2, (0, 10), Operation::Get(0), Reply::Nil);
    right.group = 8;
    let judgement = judge(&[wrong, right]);
    assert_eq!((judgement.explained, judgement.violations.len()), (1, 1));
}

#[test]
fn a_lock_that_is_taken_twice_within_its_time_is_found() {
    let lock = |span, reply| Record {
        group: LOCKS,
        ..record(1, span, Operation::Lock(0, text("a"), 100), reply)
    };
    let first = lock((0, 10), Reply::ok());
    let refused = lock((20, 30), Reply::Nil);
    let early = lock((50_000, 60_000), Reply::ok());
    let late = lock((100_000, 110_000), Reply::ok());
    let judgement = judge(&[first.clone(), refused.clone(), late]);
    assert_eq!((judgement.locks, judgement.violations), (2, Vec::new()));
    // A request that was answered late may have waited for the lock of another one.
    let slow = lock((0, 200_000), Reply::ok());
    assert_eq!(judge(&[slow, early.clone()]).violations, []);
    let violation = violation(&[first.clone(), refused, early.clone()]);
    assert_eq!(violation.records, [first, early]);
}
