//! No key lives shorter than it was told, whichever leaders tick, and however late their ticks are decided.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens next. Times are in milliseconds.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes.
    Wait(u64),
    /// A leader is elected. Those before it may go on for a while without knowing.
    Elect,
    /// One of the leaders creates a tick, unless its last one is on its way.
    Create(usize),
    /// The tick of one of the leaders is decided.
    Decide(usize),
    /// A key is set that lives so long.
    Set(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..100_u64).prop_map(Step::Wait),
        1 => Just(Step::Elect),
        9 => (0..2_usize).prop_map(Step::Create),
        9 => (0..2_usize).prop_map(Step::Decide),
        6 => (1..200_u64).prop_map(Step::Set),
    ]
}

/// A leader, and when its tick was created that is on its way.
struct Leader {
    elected: u64,
    created: Option<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_key_lives_shorter_than_it_was_told(steps in vec(step(), 1..200)) {
        let (mut subject, mut now) = (Subject::default(), 0);
        let mut leaders: Vec<Leader> = Vec::new();
        // When each key that is there may expire.
        let mut keys = BTreeMap::new();
        for (number, step) in (0_u64..).zip(steps) {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Elect => leaders.push(Leader { elected: now, created: None }),
                Step::Create(back) => {
                    if let Some(leader) = leaders.iter_mut().rev().nth(back) {
                        leader.created = leader.created.or(Some(now));
                    }
                }
                Step::Decide(back) => {
                    let ballot = leaders.len().wrapping_sub(back);
                    let Some(leader) = leaders.iter_mut().rev().nth(back) else {
                        continue;
                    };
                    let Some(created) = leader.created.take() else {
                        continue;
                    };
                    let ballot = u64::try_from(ballot).unwrap();
                    subject.tick(ballot, created - leader.elected, 0);
                    keys.retain(|key: &[u8; 8], until| {
                        let is_there = subject.get(key).is_some();
                        assert!(is_there || *until <= created, "{} ms too early", *until - created);
                        is_there
                    });
                }
                Step::Set(ms) => {
                    let key = number.to_be_bytes();
                    subject.set_until(&key, Expiry::In(ms));
                    keys.insert(key, now + ms);
                }
            }
        }
        // A leader that does as it is told removes them all.
        let elected = now;
        leaders.push(Leader { elected, created: None });
        let ballot = u64::try_from(leaders.len()).unwrap();
        for _ in 0..200 {
            let wait = match subject.0.next_tick(ballot) {
                None => break,
                Some(NextTick::Now) => 1,
                Some(NextTick::At { elapsed, .. }) => elapsed.unwrap() - subject.0.time().elapsed,
            };
            now += wait;
            subject.tick(ballot, now - elected, 0);
        }
        prop_assert_eq!(subject.0.keys(), 0);
    }
}
