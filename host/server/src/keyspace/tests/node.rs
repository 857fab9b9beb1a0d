//! The keyspace in a node with a journal.

use super::*;
use synod::storage::{Journal, Memory, Opened};
use synod::{ClientId, Config, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};

type Member = Node<Keyspace, 8, 2, 2>;
type Disk = Memory<50_000>;

/// A node that is a cluster of its own.
struct Driver {
    journal: Journal<Disk>,
    node: Member,
    outbox: Outbox<Keyspace, 2, { Member::OUTBOX_MIN }>,
    now: Instant,
}

impl Driver {
    /// Starts the node of a disk, and waits until it leads and has applied everything.
    fn start(disk: Disk) -> Self {
        let config = Config::new(NodeId(0), 1);
        let (journal, node) = match Journal::open::<Keyspace, 8, 2>(disk, config).unwrap() {
            Opened::Empty(empty) => empty.provision(6, Instant::ZERO).unwrap(),
            Opened::Intact(intact) => intact.start(6, Instant::ZERO).unwrap(),
            Opened::Damaged(damaged) => panic!("{damaged:?}"),
        };
        let (outbox, now) = (Outbox::new(), Instant::ZERO);
        let mut driver = Self {
            journal,
            node,
            outbox,
            now,
        };
        while driver.node.leading().is_none() {
            let (node, outbox) = (&mut driver.node, &mut driver.outbox);
            driver.now = node.next_deadline().unwrap();
            node.handle_timeout(driver.now, outbox, &mut ());
            driver.settle();
        }
        driver
    }

    /// Stores what the node has to store; returns what it has replied.
    fn settle(&mut self) -> Vec<Outcome<Summary>> {
        let writes = &self.outbox.writes;
        self.journal
            .write(self.now, &mut self.node, writes)
            .unwrap();
        self.journal.sync().unwrap();
        let replies = self.outbox.replies.iter();
        let outcomes = replies.map(|reply| reply.outcome).collect();
        self.outbox.clear();
        outcomes
    }

    fn register(&mut self) -> ClientId {
        let (node, outbox) = (&mut self.node, &mut self.outbox);
        node.register(self.now, 77, outbox, &mut ()).unwrap();
        match self.settle()[..] {
            [Outcome::Registered { client }] => client,
            ref outcomes => panic!("{outcomes:?}"),
        }
    }

    /// Has a batch applied that has this number in the session of the client.
    fn request(&mut self, client: ClientId, number: u32, op: &Op<'_>) -> Summary {
        let mut batch = Batch::new(BatchId(number.into()));
        batch.push(op).unwrap();
        let (node, outbox) = (&mut self.node, &mut self.outbox);
        node.request(
            self.now,
            client,
            RequestNumber(number),
            batch,
            outbox,
            &mut (),
        )
        .unwrap();
        match self.settle()[..] {
            [Outcome::Applied { output, .. }] => output,
            ref outcomes => panic!("{outcomes:?}"),
        }
    }
}

#[test]
fn the_longest_key_and_value_are_decided_stored_and_there_after_a_restart() {
    let mut driver = Driver::start(Disk::new());
    let client = driver.register();
    let (key, value) = ([b'k'; KEY_MAX], [b'v'; VALUE_MAX]);
    let answer = SetAnswer::Status;
    let longest = with(&set(&key, &value), Condition::Always, Expiry::In(9), answer);
    assert_eq!(
        driver.request(client, 1, &longest).first_reply(),
        Some(Reply::OK)
    );
    let replies = driver.node.machine().replies(BatchId(1));
    assert_eq!(replies, Some(&[Reply::OK][..]));

    let mut number = 1;
    while driver.journal.checkpoints() == 0 {
        number += 1;
        let add = Op::Add { key: b"n", by: 1 };
        driver.request(client, number, &add);
    }
    let again = Driver::start(driver.journal.into_storage());
    assert!(again.node.machine() == driver.node.machine());
    let there = again.node.machine().evaluate(&Op::Get(&key), 0);
    assert_eq!(there, bulk(&value));
}

#[test]
fn a_request_that_is_repeated_is_answered_from_the_session() {
    let mut driver = Driver::start(Disk::new());
    let client = driver.register();
    let add = Op::Add { key: b"n", by: 1 };
    let first = driver.request(client, 1, &add);
    let second = driver.request(client, 1, &add);
    assert_eq!(second, first);
    assert_eq!(second.first_reply(), Some(Reply::Integer(1)));
}
