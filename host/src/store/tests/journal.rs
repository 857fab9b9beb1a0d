//! A node whose journal is a file: it restarts as it was, or not at all.

use super::*;
use synod::machines::{Key, Kv, KvCommand};
use synod::storage::{Journal, Opened};
use synod::{Config, Durable, Instant, Node, Outbox, Outcome, RequestNumber, StateMachine};

const WINDOW: usize = 8;
const CLIENTS: usize = 2;
type Alone = Node<Kv<4>, WINDOW, CLIENTS, 2>;
type Words = Outbox<Kv<4>, 2, { Alone::OUTBOX_MIN }>;

fn config() -> Config {
    Config::new(NodeId(0), 1)
}

fn open(storage: FileStorage) -> Opened<FileStorage, Kv<4>, WINDOW, CLIENTS> {
    Journal::open(storage, config()).unwrap()
}

/// Returns the durable state of a node with intact storage.
fn remembered(storage: FileStorage) -> Durable<Kv<4>, WINDOW, CLIENTS> {
    match open(storage) {
        Opened::Intact(intact) => intact.durable().unwrap().clone(),
        Opened::Empty(_) => panic!("as if it had never voted"),
        Opened::Damaged(damaged) => panic!("{}", damaged.damage()),
    }
}

/// Makes the writes of a step durable, and returns the answer to a client.
fn release(
    journal: &mut Journal<FileStorage>,
    now: Instant,
    node: &mut Alone,
    outbox: &mut Words,
) -> Option<Outcome<<Kv<4> as StateMachine>::Output>> {
    journal.write(now, node, &outbox.writes).unwrap();
    journal.sync().unwrap();
    let answer = outbox.replies.first().map(|reply| reply.outcome);
    outbox.clear();
    answer
}

/// Runs a cluster of one node until it has applied some commands, and returns a copy of its store made while it was
/// open.
fn killed_after(commands: u32) -> (Vec<u8>, Alone) {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let Opened::Empty(empty) = open(on(memory.clone()).unwrap()) else {
        panic!("a new store is empty");
    };
    let (mut journal, mut node): (_, Alone) = empty.provision(6, Instant::ZERO).unwrap();
    let mut outbox = Words::new();
    let mut now = Instant::ZERO;
    while node.leading().is_none() {
        now = node.next_deadline().unwrap();
        node.handle_timeout(now, &mut outbox, &mut ());
        release(&mut journal, now, &mut node, &mut outbox);
    }
    let _ = node.register(now, 77, &mut outbox, &mut ());
    let Some(Outcome::Registered { client }) = release(&mut journal, now, &mut node, &mut outbox)
    else {
        panic!("a node alone decides at once");
    };
    for number in 1..=commands {
        let command = KvCommand::Set(Key::numbered(number % 4), number.into());
        let _ = node.request(
            now,
            client,
            RequestNumber(number),
            command,
            &mut outbox,
            &mut (),
        );
        let answer = release(&mut journal, now, &mut node, &mut outbox);
        assert!(
            matches!(answer, Some(Outcome::Applied { .. })),
            "{answer:?}"
        );
    }
    assert!(journal.checkpoints() > 1, "it was trimmed");
    (memory.bytes(), node)
}

#[test]
fn d2_a_node_restarts_from_its_file_and_never_from_changed_bytes() {
    let (bytes, node) = killed_after(1_000);
    let durable = remembered(opened(&bytes).unwrap());
    assert_eq!(durable.promised(), node.promised());
    assert!(node.votes().count() > 0 && node.votes().eq(durable.votes()));

    let (mut refused, mut taken) = (0, 0);
    for place in (0..bytes.len()).step_by(199) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        match opened(&changed) {
            Ok(storage) => {
                let again = remembered(storage);
                assert_eq!(again.promised(), durable.promised(), "byte {place}");
                assert!(again.votes().eq(durable.votes()), "byte {place}");
                taken += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        refused > 10 && taken > 10,
        "{refused} refused, {taken} taken"
    );
}
