//! Memory sizes of messages, nodes and queues, held against their budgets.

use synod::machines::{Bank, Kv, Opaque};
use synod::simulation::Scheduled;
use synod::{Message, Node, StateMachine};

/// The limit for a node in bytes beside its state machine, of which it holds two: the current one, and one for a
/// snapshot in transfer.
const NODE_MAX: usize = 5 << 10;

const _: () = {
    assert!(size_of::<Message<Opaque, 2>>() <= 144);
    let machines = 2 * size_of::<Opaque>();
    assert!(size_of::<Node<Opaque, 16, 8, 2>>() <= NODE_MAX + machines);
};

fn row<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    machine: &str,
) -> usize {
    let node = size_of::<Node<M, WINDOW, CLIENTS, PAGE>>();
    println!(
        "{machine:<9} {WINDOW:>6} {CLIENTS:>7} {PAGE:>4} {:>8} {node:>7} {:>7} {:>9}",
        size_of::<M>(),
        size_of::<Message<M, PAGE>>(),
        size_of::<Scheduled<M, PAGE>>(),
    );
    node
}

#[test]
fn n4_an_outbox_has_room_for_the_larger_of_its_messages_and_its_writes() {
    let said = [
        Node::<Opaque, 16, 8, 2>::OUTBOX_MIN,
        Node::<Opaque, 4, 2, 4>::OUTBOX_MIN,
        Node::<Opaque, 8, 1, 1>::OUTBOX_MIN,
    ];
    assert_eq!(said, [8 + 2 * 8 + 6, 4 + 2 + 4 + 3, 8 + 2 + 6]);
    assert_eq!(Node::<Opaque, 64, 2, 32>::OUTBOX_MIN, 64 + 2 + 32 + 3);
}

#[test]
fn a_node_stays_within_its_memory_budget() {
    println!("machine   WINDOW CLIENTS PAGE  machine    node message scheduled");
    row::<Opaque, 4, 2, 1>("Opaque");
    row::<Opaque, 8, 4, 2>("Opaque");
    let small = row::<Opaque, 16, 8, 2>("Opaque");
    let large = row::<Opaque, 64, 64, 32>("Opaque");
    row::<Kv<16>, 16, 8, 2>("Kv<16>");
    row::<Kv<64>, 64, 64, 2>("Kv<64>");
    row::<Bank<16>, 16, 8, 2>("Bank<16>");
    assert!(small <= NODE_MAX + 2 * size_of::<Opaque>());
    assert!(small < large);
}

#[test]
fn t5_memory_does_not_depend_on_the_number_of_nodes() {
    // Sets of nodes are bits: no table of peers grows with the cluster.
    let node = |size| {
        Node::<Opaque, 16, 8, 2>::found(
            synod::Config::new(synod::NodeId(0), size),
            6,
            synod::Instant::ZERO,
        )
    };
    assert_eq!(
        size_of_val(&node(1).unwrap()),
        size_of_val(&node(64).unwrap())
    );
}
