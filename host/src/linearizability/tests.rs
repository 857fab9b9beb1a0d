//! Histories that are linearizable and histories that are not, some of them compared with the definition itself.

use super::*;
use synod::machines::{Bank, BankCommand, BankReply, Kv, KvCommand, KvReply};
use synod::{ClientId, Instant, NodeId, RequestNumber, Slot};

type Store = Kv<4>;
type Eyes<'a, M> = &'a mut dyn Observer<M, 8, 8, 2>;

/// Builds a history in the order of time.
struct Told<M: Objects>(History<M>);

impl<M: Objects> Told<M> {
    fn new() -> Self {
        Self(History::new(100))
    }

    fn key(client: u16, number: u32) -> RequestKey {
        let (client, number) = (ClientId(u64::from(client)), RequestNumber(number));
        RequestKey { client, number }
    }

    fn ask(mut self, client: u16, number: u32, command: M::Command) -> Self {
        let eyes: Eyes<'_, M> = &mut self.0;
        eyes.asked(&Asked {
            at: Instant::ZERO,
            client,
            node: NodeId(0),
            key: Self::key(client, number),
            command: Some(&command),
        });
        self
    }

    fn answer(self, client: u16, number: u32, output: M::Output) -> Self {
        let slot = Slot::FIRST;
        self.hear(client, number, &Outcome::Applied { slot, output })
    }

    fn hear(mut self, client: u16, number: u32, outcome: &Outcome<M::Output>) -> Self {
        let eyes: Eyes<'_, M> = &mut self.0;
        let key = Self::key(client, number);
        let at = Instant::ZERO;
        let answered = eyes.answered(&Answered {
            at,
            client,
            key,
            outcome,
        });
        assert_eq!(answered, Ok(()));
        self
    }

    fn wrong(&self) -> Option<(u16, u32)> {
        match self.0.check() {
            Err(Violation::NotLinearizable { client, number }) => Some((client, number.0)),
            other => {
                other.unwrap();
                None
            }
        }
    }
}

fn a() -> Key {
    Key::numbered(0)
}

fn set(value: i64) -> KvCommand {
    KvCommand::Set(a(), value)
}

fn get() -> KvCommand {
    KvCommand::Get(a())
}

fn value(value: i64) -> KvReply {
    KvReply::Value(value)
}

#[test]
fn overlapping_requests_may_be_in_any_order() {
    let told = || {
        Told::<Store>::new()
            .ask(1, 1, set(5))
            .ask(2, 1, set(6))
            .answer(1, 1, value(5))
            .answer(2, 1, value(6))
    };
    for seen in [5, 6] {
        let told = told().ask(3, 1, get()).answer(3, 1, value(seen));
        assert_eq!(told.wrong(), None);
    }
    let told = told().ask(3, 1, get()).answer(3, 1, value(7));
    assert_eq!(told.wrong(), Some((3, 1)));
}

#[test]
fn a_stale_read_is_detected() {
    let told = Told::<Store>::new()
        .ask(1, 1, set(5))
        .answer(1, 1, value(5))
        .ask(1, 2, set(6))
        .answer(1, 2, value(6))
        .ask(2, 1, get())
        .answer(2, 1, value(5));
    assert_eq!(told.wrong(), Some((2, 1)));
}

#[test]
fn two_reads_that_see_two_writes_in_different_orders_are_detected() {
    let told = Told::<Store>::new()
        .ask(1, 1, set(5))
        .ask(2, 1, set(6))
        .ask(3, 1, get())
        .answer(3, 1, value(5))
        .ask(3, 2, get())
        .answer(3, 2, value(6))
        .ask(4, 1, get())
        .answer(4, 1, value(5));
    assert_eq!(told.wrong(), Some((4, 1)), "the writes are still open");
}

#[test]
fn a_request_without_a_response_may_be_executed_or_not() {
    let open = || Told::<Store>::new().ask(1, 1, set(5));
    let none = open().ask(2, 1, get()).answer(2, 1, KvReply::None);
    assert_eq!(none.wrong(), None);
    let late = none.ask(2, 2, get()).answer(2, 2, value(5));
    assert_eq!(late.wrong(), None);
    let undone = late.ask(2, 3, get()).answer(2, 3, KvReply::None);
    assert_eq!(undone.wrong(), Some((2, 3)));
    let evicted = open().hear(1, 1, &Outcome::Evicted).ask(1, 2, get());
    assert_eq!(evicted.answer(1, 2, value(5)).wrong(), None);
}

#[test]
fn a_repeated_request_is_one_request() {
    let told = Told::<Store>::new()
        .ask(1, 1, set(5))
        .ask(2, 1, set(6))
        .answer(2, 1, value(6))
        .ask(1, 1, set(5))
        .answer(1, 1, value(5))
        .answer(1, 1, value(5))
        .ask(2, 2, get())
        .answer(2, 2, value(6));
    assert_eq!(told.wrong(), None, "the first try was done first");
    assert_eq!(told.0.check().unwrap().requests, 3);
}

#[test]
fn money_from_nowhere_is_detected() {
    let deposit = |amount| BankCommand::Deposit(a(), amount);
    let told = Told::<Bank<4>>::new()
        .ask(1, 1, deposit(10))
        .ask(2, 1, BankCommand::Withdraw(a(), 4))
        .answer(1, 1, BankReply::Balance(10))
        .answer(2, 1, BankReply::Refused(0));
    assert_eq!(told.wrong(), None, "the withdrawal came first");
    let told = told
        .ask(2, 2, BankCommand::Balance(a()))
        .answer(2, 2, BankReply::Balance(6));
    assert_eq!(told.wrong(), Some((2, 2)));
}

#[test]
fn keys_are_independent() {
    let other = Key::numbered(1);
    let told = Told::<Store>::new()
        .ask(1, 1, set(5))
        .answer(1, 1, value(5))
        .ask(2, 1, KvCommand::Get(other))
        .answer(2, 1, KvReply::None);
    assert_eq!(told.wrong(), None);
}

#[test]
fn requests_beyond_the_limits_are_counted_as_unchecked() {
    let mut told = Told::<Store>(History::new(2));
    for number in 1..=3 {
        told = told.ask(1, number, set(5)).answer(1, number, value(7));
    }
    let other = KvCommand::Get(Key::numbered(1));
    told.0.requests_max = 3;
    let told = told.ask(2, 1, other).answer(2, 1, KvReply::None);
    let (requests, unchecked) = (1, 3);
    assert_eq!(
        told.0.check(),
        Ok(Checked {
            requests,
            unchecked
        })
    );
    let mut overlapping = Told::<Store>::new();
    for client in 1..=20 {
        overlapping = overlapping.ask(client, 1, set(i64::from(client)));
    }
    let hopeless = overlapping.ask(30, 1, get()).answer(30, 1, value(99));
    let unchecked = hopeless.0.check_within(10_000).unwrap().unchecked;
    assert_eq!(unchecked, 21, "too many orders to try");
}

/// Tries every order of every choice of requests: the definition itself.
fn by_the_book(history: &History<Store>) -> bool {
    fn goes_on(requests: &[Request<Store>], done: &mut Vec<usize>, state: Option<i64>) -> bool {
        let open = |index: &usize| !done.contains(index);
        let left: Vec<usize> = (0..requests.len()).filter(open).collect();
        if left.iter().all(|index| requests[*index].answered.is_none()) {
            return true;
        }
        let ended = |index: &usize| requests[*index].answered.map(|(at, _)| at);
        let first_end = left.iter().filter_map(ended).min();
        for index in left {
            let request = &requests[index];
            if first_end.is_some_and(|end| end < request.asked) {
                continue;
            }
            let output = request.answered.as_ref().map(|(_, output)| output);
            if let Some(after) = Store::step(&state, &request.command, output) {
                done.push(index);
                let found = goes_on(requests, done, after);
                done.pop();
                if found {
                    return true;
                }
            }
        }
        false
    }
    goes_on(&history.requests, &mut Vec::new(), None)
}

/// Uses histories of three clients on one key with random responses, some linearizable and some not.
#[test]
fn the_search_agrees_with_the_definition_on_small_histories() {
    let mut seed = 6_u64;
    let mut below = |bound: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    let mut right = 0;
    for _ in 0..4_000 {
        let mut told = Told::<Store>::new();
        let mut waiting: [Option<(u32, KvCommand)>; 3] = [None; 3];
        let mut number = 0;
        for _ in 0..4 + below(9) {
            let client = u16::try_from(below(3)).unwrap();
            let place = &mut waiting[usize::from(client)];
            if let Some((number, command)) = place.take() {
                let drawn = i64::try_from(below(3)).unwrap();
                let output = match command {
                    KvCommand::Set(_, written) => value(written),
                    KvCommand::Get(_) if drawn == 0 => KvReply::None,
                    KvCommand::Get(_) => value(drawn),
                };
                // Sometimes a client gives up.
                if below(6) > 0 {
                    told = told.answer(client, number, output);
                }
            } else {
                number += 1;
                let command = match below(3) {
                    0 => get(),
                    written => set(i64::try_from(written).unwrap()),
                };
                *place = Some((number, command));
                told = told.ask(client, number, command);
            }
        }
        let expected = by_the_book(&told.0);
        assert_eq!(told.wrong().is_none(), expected, "{:?}", told.0);
        right += u32::from(expected);
    }
    assert!((500..3_500).contains(&right), "{right} of 4,000 can be");
}
