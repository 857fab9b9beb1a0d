//! Random operations, on keyspaces and on the model.

use super::model::Model;
use super::*;
use crate::op::tests::{op, tick};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::hash::DefaultHasher;

fn hash(keyspace: &Keyspace) -> u64 {
    let mut hasher = DefaultHasher::new();
    keyspace.hash(&mut hasher);
    hasher.finish()
}

/// Operations on ten keys, some of which look like counters, with a tick after some.
fn ops() -> impl Strategy<Value = Vec<Op<'static>>> {
    const LONG: &[u8] = &[b'l'; 120];
    let keys: Vec<&'static [u8]> = vec![
        b"",
        b"k",
        b"k1",
        b"k2",
        b"a",
        b"b",
        b"c",
        b"n",
        LONG,
        &LONG[1..],
    ];
    let values: Vec<&'static [u8]> = vec![
        b"",
        b"v",
        b"1",
        b"-7",
        b"9223372036854775807",
        b"01",
        LONG,
        &[0xff; 256],
    ];
    let op = op(select(keys).boxed(), select(values).boxed());
    vec(prop_oneof![5 => op, 1 => tick().prop_map(Op::Tick)], 1..150)
}

proptest! {
    #[test]
    fn the_keyspace_does_what_the_model_does_and_survives_pages_in_the_middle(
        ops in ops(),
        middle in any::<proptest::sample::Index>(),
    ) {
        let middle = middle.index(ops.len());
        let (mut subject, mut model) = (Subject::default(), Model::default());
        let mut copy = None;
        for (number, op) in ops.iter().enumerate() {
            if number == middle {
                let written = pages(&subject.0);
                let again = restored(&written).unwrap();
                prop_assert_eq!(pages(&again), written);
                prop_assert_eq!(&again, &subject.0);
                copy = Some(Subject(again));
            }
            let mut batch = Batch::new(BatchId(1));
            if batch.push(op).is_err() {
                // Three long values are more than a batch holds.
                continue;
            }
            let before = (!op.is_write()).then(|| subject.0.clone());
            let reply = subject.run(op);
            if let Some(before) = before {
                prop_assert_eq!(&before, &subject.0, "{:?} only reads", op);
                prop_assert_eq!(&subject.0.evaluate(op, 0), &reply);
            }
            if let Some(copy) = &mut copy {
                prop_assert_eq!(&copy.run(op), &reply);
            }
            let reply = match op {
                // In an order that the model does not have.
                Op::Keys(_) => sorted(reply),
                _ => reply,
            };
            if !matches!(op, Op::Scan { .. }) {
                prop_assert_eq!(&model.run(op), &reply, "{:?}", op);
            }
            let all = sorted(subject.0.evaluate(&Op::Keys(b"*"), 0));
            prop_assert_eq!(all, keys(&model));
        }
        let copy = copy.unwrap();
        prop_assert_eq!(&copy.0, &subject.0);
        prop_assert_eq!(hash(&copy.0), hash(&subject.0));
        prop_assert_eq!(pages(&copy.0), pages(&subject.0));
        prop_assert_eq!(copy.0.bytes(), subject.0.bytes());
        prop_assert_eq!(copy.0.next_tick(3), subject.0.next_tick(3));
    }

    #[test]
    fn any_batch_of_operations_is_applied_with_a_reply_to_each(
        batches in vec(vec(crate::op::tests::any_op(), 1..6), 1..8),
    ) {
        let (mut one, mut other) = (Keyspace::default(), Keyspace::default());
        for (number, ops) in (0..).zip(batches) {
            let mut batch = Batch::new(BatchId(number));
            let pushed = ops.iter().filter(|op| batch.push(op).is_ok()).count();
            let summary = one.apply(&batch);
            prop_assert_eq!(summary, other.apply(&batch));
            prop_assert_eq!(usize::from(summary.count()), pushed);
            prop_assert_eq!(one.replies(BatchId(number)).unwrap().len(), pushed);
        }
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(restored(&pages(&one)), Ok(other));
    }
}

fn keys(model: &Model) -> Reply {
    Reply::Array(model.keys().into_iter().map(Reply::Bulk).collect())
}
