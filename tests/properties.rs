//! Property tests: the small data types against simple models of them, with the same generated cases in every run.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Bank, BankCommand, Key, Kv, KvCommand, KvReply, Opaque};
use synod::simulation::{Scheduler, SchedulerFull, SimEvent};
use synod::{
    Ballot, ClientId, Digest, Duration, Instant, NODES_MAX, NodeId, NodeSet, Proposal, Reader,
    RequestNumber, SNAPSHOT_PAGE, Sink, Slot, StateMachine, Value, Writer,
};

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(6),
        ..ProptestConfig::default()
    }
}

/// Generates numbers, with the extreme ones among them.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0u64..10,
        Just(u64::MAX),
        (u64::MAX - 9)..u64::MAX
    ]
}

/// Generates node numbers, some of them out of range.
fn node() -> impl Strategy<Value = u16> {
    prop_oneof![6 => 0..NODES_MAX, 1 => 60u16..70, 1 => any::<u16>()]
}

fn nodes() -> impl Strategy<Value = BTreeSet<u16>> {
    prop_oneof![vec(0u16..5, 0..5).boxed(), vec(0..NODES_MAX, 0..64).boxed()]
        .prop_map(|nodes| nodes.into_iter().collect())
}

fn set(nodes: &BTreeSet<u16>) -> NodeSet {
    nodes.iter().copied().map(NodeId).collect()
}

fn len(nodes: &BTreeSet<u16>) -> u32 {
    u32::try_from(nodes.len()).unwrap()
}

fn key() -> impl Strategy<Value = Key> {
    "[!-~]{1,7}".prop_map(|name| Key::new(&name).unwrap())
}

fn proposal() -> impl Strategy<Value = Proposal<KvCommand>> {
    let command = prop_oneof![
        key().prop_map(KvCommand::Get),
        (key(), any::<i64>()).prop_map(|(key, value)| KvCommand::Set(key, value)),
    ];
    prop_oneof![
        Just(Proposal::Noop),
        number().prop_map(|nonce| Proposal::Register { nonce }),
        (number(), any::<u32>(), command).prop_map(|(client, number, command)| {
            Proposal::Request {
                client: ClientId(client),
                number: RequestNumber(number),
                command,
            }
        }),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_node_set_behaves_as_a_set_of_small_numbers(a in nodes(), b in nodes(), node in node()) {
        let (left, right) = (set(&a), set(&b));
        let as_set = |set: NodeSet| set.iter().map(|node| node.0).collect::<BTreeSet<u16>>();
        prop_assert_eq!(as_set(left), a.clone());
        let order: Vec<u16> = left.iter().map(|node| node.0).collect();
        prop_assert!(order.is_sorted());
        prop_assert_eq!((left.len(), left.is_empty()), (len(&a), a.is_empty()));
        prop_assert_eq!(as_set(left.union(right)), &a | &b);
        prop_assert_eq!(as_set(left.minus(right)), &a - &b);
        prop_assert_eq!(left.contains(NodeId(node)), a.contains(&node));
        let fits = node < NODES_MAX;
        let only: BTreeSet<u16> = [node].into_iter().filter(|_| fits).collect();
        prop_assert_eq!(as_set(NodeSet::only(NodeId(node))), only.clone());
        prop_assert_eq!(as_set(left.without(NodeId(node))), &a - &only);
        let mut grown = left;
        prop_assert_eq!(grown.insert(NodeId(node)), fits && !a.contains(&node));
        prop_assert_eq!(as_set(grown), &a | &only);
        for index in 0..=len(&a) {
            let known = a.iter().nth(usize::try_from(index).unwrap());
            prop_assert_eq!(left.nth(index).map(|node| node.0), known.copied());
        }
        prop_assert_eq!(as_set(NodeSet::first(node)), (0..node.min(NODES_MAX)).collect());
        prop_assert!(a.iter().all(|node| left.bits() >> node & 1 == 1));
        prop_assert_eq!(left.bits().count_ones(), len(&a));
        let names: Vec<String> = a.iter().map(|node| format!("NODE_{node}")).collect();
        prop_assert_eq!(left.to_string(), format!("[{}]", names.join(", ")));
    }

    #[test]
    fn c2_a_quorum_is_more_than_half_of_the_members(votes in nodes(), members in nodes()) {
        let inside = len(&(&votes & &members));
        prop_assert_eq!(set(&votes).is_quorum(set(&members)), 2 * inside > len(&members));
    }

    #[test]
    fn c2_two_quorums_share_a_node(a in nodes(), b in nodes(), members in nodes()) {
        if set(&a).is_quorum(set(&members)) && set(&b).is_quorum(set(&members)) {
            prop_assert!(!(&(&a & &b) & &members).is_empty());
        }
    }

    #[test]
    fn ballots_are_ordered_by_round_and_then_leader(
        rounds in (0..=Ballot::ROUND_MAX, 0..=Ballot::ROUND_MAX, any::<bool>()),
        leaders in any::<(u16, u16)>(),
    ) {
        let (one, other, same) = rounds;
        let other = if same { one } else { other };
        let (a, b) = (Ballot::new(one, NodeId(leaders.0)), Ballot::new(other, NodeId(leaders.1)));
        prop_assert_eq!((a.round(), a.leader()), (one, NodeId(leaders.0)));
        prop_assert_eq!(a.cmp(&b), (one, leaders.0).cmp(&(other, leaders.1)));
        prop_assert_eq!(a.bits(), one << 16 | u64::from(leaders.0));
        prop_assert_eq!(a.to_string(), format!("({one}, NODE_{})", leaders.0));
        let next = Ballot::succeeding(a, NodeId(leaders.1));
        prop_assert_eq!(next.map(|next| (next.round(), next.leader())),
            (one < Ballot::ROUND_MAX).then(|| (one + 1, NodeId(leaders.1))));
        prop_assert!(next.is_none_or(|next| next > a));
        prop_assert_eq!(a.is_plausible(b), one >= 1 && one <= other + Ballot::ROUND_JUMP_MAX);
    }

    #[test]
    fn slot_arithmetic_is_checked(a in number(), b in number()) {
        let (one, other) = (Slot::new(a), Slot::new(b));
        prop_assert_eq!(one.next().map(Slot::number), a.checked_add(1));
        prop_assert_eq!(one.checked_add(b).map(Slot::number), a.checked_add(b));
        prop_assert_eq!(one.back(b).number(), a.saturating_sub(b));
        prop_assert_eq!(one.distance(other), a.saturating_sub(b));
        prop_assert_eq!(one.cmp(&other), a.cmp(&b));
        prop_assert_eq!(one.to_string(), a.to_string());
    }

    #[test]
    fn time_saturates_and_never_wraps(a in number(), b in number()) {
        let wide = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        let (one, other) = (Duration::from_micros(a), Duration::from_micros(b));
        let (x, y) = (u128::from(a), u128::from(b));
        prop_assert_eq!(one.saturating_add(other).as_micros(), wide(x + y));
        prop_assert_eq!(one.saturating_sub(other).as_micros(), a.saturating_sub(b));
        prop_assert_eq!((one * b).as_micros(), wide(x * y));
        prop_assert_eq!((one / b).as_micros(), x.checked_div(y).map_or(u64::MAX, wide));
        prop_assert_eq!(Duration::from_millis(a).as_micros(), wide(x * 1_000));
        prop_assert_eq!(Duration::from_secs(a).as_micros(), wide(x * 1_000_000));
        let at = Instant::from_micros(a);
        prop_assert_eq!((at + other).as_micros(), wide(x + y));
        prop_assert_eq!(at.since(Instant::from_micros(b)), one.saturating_sub(other));
    }

    #[test]
    fn a_duration_is_printed_exactly(micros in prop_oneof![0u64..3_000_000, number()]) {
        let text = Duration::from_micros(micros).to_string();
        let (number, unit) = match text.strip_suffix("us") {
            Some(number) => (number, 0),
            None => match text.strip_suffix("ms") {
                Some(number) => (number, 3),
                None => (text.strip_suffix('s').unwrap(), 6),
            },
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        prop_assert!(!part.ends_with('0') && part.len() <= unit);
        let read: u64 = format!("{whole}{part:0<unit$}").parse().unwrap();
        prop_assert_eq!(read, micros);
    }

    #[test]
    fn integers_are_written_little_endian_and_completely_or_not_at_all(
        words in vec((0u8..4, any::<u64>()), 0..12),
        size in 0usize..48,
    ) {
        let mut buffer = vec![0; size];
        let mut writer = Writer::new(&mut buffer);
        let (mut expected, mut overflowed) = (Vec::new(), false);
        for (kind, word) in &words {
            let bytes = word.to_le_bytes();
            let bytes = match kind {
                0 => {
                    writer.put_u8(bytes[0]);
                    &bytes[..1]
                }
                1 => {
                    writer.put_u32(u32::try_from(word & 0xffff_ffff).unwrap());
                    &bytes[..4]
                }
                2 => {
                    writer.put_u64(*word);
                    &bytes[..8]
                }
                _ => {
                    writer.put(&bytes[..3]);
                    &bytes[..3]
                }
            };
            overflowed |= expected.len() + bytes.len() > size;
            if !overflowed {
                expected.extend_from_slice(bytes);
            }
            prop_assert_eq!((writer.len(), writer.overflowed()), (expected.len(), overflowed));
            prop_assert_eq!(writer.is_empty(), expected.is_empty());
            prop_assert_eq!(writer.room(), size - expected.len());
        }
        prop_assert_eq!(&buffer[..expected.len()], &expected[..]);
        let mut reader = Reader::new(&expected);
        for (kind, word) in words {
            let (mask, read) = match kind {
                0 => (0xff, reader.u8().map(u64::from)),
                1 => (0xffff_ffff, reader.u32().map(u64::from)),
                2 => (u64::MAX, reader.u64()),
                _ => (0xff_ffff, reader.array().map(|[a, b, c]| u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]))),
            };
            let Some(read) = read else {
                prop_assert!(overflowed);
                break;
            };
            prop_assert_eq!(read, word & mask);
        }
    }

    #[test]
    fn an_encoded_proposal_decodes_to_itself(proposal in proposal(), extra in any::<u8>()) {
        let mut buffer = [extra; Proposal::<KvCommand>::ENCODED_MAX + 1];
        let mut writer = Writer::new(&mut buffer);
        proposal.encode(&mut writer);
        let len = writer.len();
        prop_assert!(len < buffer.len());
        let mut reader = Reader::new(&buffer);
        prop_assert_eq!(Proposal::decode(&mut reader), Some(proposal));
        prop_assert_eq!(reader.is_empty(), false);
        for short in 0..len {
            prop_assert_eq!(Proposal::<KvCommand>::decode(&mut Reader::new(&buffer[..short])), None);
        }
    }

    /// An independent implementation of the documented algorithm.
    #[test]
    fn a_digest_matches_its_documented_algorithm(parts in vec(vec(any::<u8>(), 0..20), 0..6)) {
        let fold = |state: u64, word: u64| {
            let state = (state ^ word).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            state ^ (state >> 32)
        };
        let (mut digest, mut state) = (Digest::new(), 0x9E37_79B9_7F4A_7C15);
        for part in &parts {
            digest.put(part);
            state = fold(state, u64::try_from(part.len()).unwrap());
            for chunk in part.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                state = fold(state, u64::from_le_bytes(word));
            }
            prop_assert_eq!(digest.value(), state);
            digest = Digest::resume(digest.value());
        }
    }

    #[test]
    fn a_scheduler_behaves_as_a_map_from_time_and_sequence_to_events(
        deeds in vec(prop_oneof![3 => (0u64..5).prop_map(Some), 2 => Just(None)], 0..80)
    ) {
        let mut scheduler = Scheduler::<Opaque, 2, 8>::new();
        let (mut map, mut sequence, mut peak) = (BTreeMap::new(), 0, 0);
        for deed in deeds {
            if let Some(at) = deed {
                let at = Instant::from_micros(at);
                sequence += 1;
                let pushed = scheduler.push(at, SimEvent::Client(sequence));
                if map.len() < 8 {
                    prop_assert_eq!(pushed, Ok(()));
                    map.insert((at, sequence), sequence);
                } else {
                    prop_assert_eq!(pushed, Err(SchedulerFull));
                }
                peak = peak.max(map.len());
            } else {
                let popped = scheduler.pop().map(|next| match next.event {
                    SimEvent::Client(client) => (next.at, client),
                    _ => (next.at, 0),
                });
                let known = map.pop_first().map(|((at, _), client)| (at, client));
                prop_assert_eq!(popped, known);
            }
            prop_assert_eq!(scheduler.peak(), peak);
        }
    }

    #[test]
    fn a_key_value_store_behaves_as_a_bounded_map(deeds in vec((0u32..7, any::<Option<i64>>()), 0..40)) {
        let (mut store, mut map) = (Kv::<4>::default(), BTreeMap::new());
        for (key, value) in deeds {
            let key = Key::numbered(key);
            let (command, expected) = match value {
                None => (
                    KvCommand::Get(key),
                    map.get(&key).map_or(KvReply::None, |value| KvReply::Value(*value)),
                ),
                Some(value) if map.contains_key(&key) || map.len() < 4 => {
                    map.insert(key, value);
                    (KvCommand::Set(key, value), KvReply::Value(value))
                }
                Some(value) => (KvCommand::Set(key, value), KvReply::Full),
            };
            prop_assert_eq!(store.apply(&command), expected);
            prop_assert!(store.iter().eq(map.iter().map(|(key, value)| (*key, *value))));
        }
    }

    #[test]
    fn a_bank_restored_from_its_pages_is_equal(
        deposits in vec((0u32..50, any::<u64>()), 0..60)
    ) {
        let mut bank = Bank::<40>::default();
        for (account, amount) in deposits {
            bank.apply(&BankCommand::Deposit(Key::numbered(account), amount));
        }
        let mut copy = Bank::<40>::default();
        for page in 0..bank.snapshot_pages() {
            let mut buffer = [0; SNAPSHOT_PAGE];
            let mut writer = Writer::new(&mut buffer);
            bank.write_page(page, &mut writer);
            prop_assert!(!writer.overflowed());
            let len = writer.len();
            prop_assert_eq!(copy.read_page(page, &mut Reader::new(&buffer[..len])), Ok(()));
        }
        prop_assert_eq!(copy, bank);
    }
}
