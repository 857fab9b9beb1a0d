//! Restart scenarios: one node whose votes are superseded, and which loses power at every operation of its storage.
//!
//! The other nodes are simulated by messages. What the node has revealed is compared with what its storage restores,
//! whenever power might have failed.
//!
//! Random runs seldom come to these restarts, as they take three things at once: a vote that loses, a decision that
//! another node tells, and a loss of power before the window has moved past both. Here the messages are written down,
//! and power is lost at every operation of storage. Each moment is opened as if nothing after it had happened.

extern crate std;

use super::record::{JOURNAL_RECORD_MAX, Record};
use super::{Journal, JournalError, Opened, Storage};
use crate::machines::Opaque;
use crate::{
    Ballot, Config, Entry, Envelope, Event, Instant, Message, Node, NodeId, Outbox, Proposal, Slot,
    Tracer, Write,
};
use std::collections::BTreeMap;
use std::vec::Vec;

// So small that a few slots move the window past all that a scenario has written.
const WINDOW: usize = 4;
const CLIENTS: usize = 2;
type Small = Node<Opaque, WINDOW, CLIENTS, 1>;
type Text = Message<Opaque, 1>;
type Asked = Proposal<[u8; 16]>;

/// Storage that records its contents after each operation, and whose power can be cut.
#[derive(Clone, Debug)]
struct Watched {
    /// What is durable. There is nothing else: a sync loses nothing here.
    records: Vec<Vec<u8>>,
    /// The contents after each operation since the list was cleared.
    moments: Vec<Vec<Vec<u8>>>,
    /// Whether moments are kept. Runs of hundreds of writes would fill the memory with them.
    remembers: bool,
    capacity: usize,
    /// Operations until power fails.
    power: Option<usize>,
}

/// The errors of such storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Full,
    /// The power is gone. The operation was not done, and none after it is.
    Dark,
}

impl Watched {
    const fn new(capacity: usize) -> Self {
        Self {
            records: Vec::new(),
            moments: Vec::new(),
            remembers: true,
            capacity,
            power: None,
        }
    }

    /// Storage as a loss of power has left it.
    fn of(records: &[Vec<u8>], capacity: usize) -> Self {
        Self {
            records: records.to_vec(),
            ..Self::new(capacity)
        }
    }

    fn remember(&mut self) {
        if self.remembers {
            self.moments.push(self.records.clone());
        }
    }

    /// Each operation spends one unit of power, as long as the power is limited.
    fn spend(&mut self) -> Result<(), Trouble> {
        match &mut self.power {
            Some(0) => Err(Trouble::Dark),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Storage for Watched {
    type Error = Trouble;
    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;
    const OVERHEAD: usize = 2;

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn read(&mut self, visit: impl FnMut(&[u8])) -> Result<(), Trouble> {
        self.records.iter().map(Vec::as_slice).for_each(visit);
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Trouble> {
        self.spend()?;
        let taken = |record: &Vec<u8>| record.len() + 2;
        let used: usize = self.records.iter().map(taken).sum();
        if used + record.len() + 2 > self.capacity {
            return Err(Trouble::Full);
        }
        self.records.push(record.to_vec());
        self.remember();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Trouble> {
        self.spend()
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Trouble> {
        self.spend()?;
        // Each record that goes is a moment, as a trim may be cut between any two.
        while self.records.first().is_some_and(|record| is_stale(record)) {
            self.records.remove(0);
            self.remember();
        }
        Ok(())
    }
}

/// The chain digests of the prefixes that the node has applied.
#[derive(Clone, Default)]
struct Chains(BTreeMap<Slot, u64>);

impl Tracer<Opaque, 1> for Chains {
    fn record(&mut self, record: &crate::Record<'_, Opaque, 1>) {
        if let Event::Applied { slot, chain, .. } = record.event {
            let known = *self.0.entry(slot).or_insert(chain);
            assert_eq!(known, chain, "slot {slot} is applied as something else");
        }
    }
}

/// What other nodes have heard from the node.
#[derive(Clone, Default)]
struct Revealed {
    promised: Ballot,
    votes: BTreeMap<Slot, Entry<[u8; 16]>>,
}

/// A node with its storage.
#[derive(Clone)]
struct Bench {
    node: Small,
    journal: Journal<Watched>,
    chains: Chains,
    revealed: Revealed,
    capacity: usize,
    /// How many possible power losses were checked.
    looked: usize,
}

const ME: NodeId = NodeId(1);

fn config() -> Config {
    Config::new(ME, 3)
}

fn slot(number: u64) -> Slot {
    Slot::new(number)
}

/// Returns a ballot of another node.
fn ballot(round: u64, node: u16) -> Ballot {
    Ballot::new(round, NodeId(node))
}

/// Returns a proposal that differs for each nonce.
fn asks(nonce: u64) -> Asked {
    Proposal::Register { nonce }
}

/// An accept for one slot.
fn accept(ballot: Ballot, first: u64, decided: u64, proposal: Asked) -> Text {
    Message::Accept {
        ballot,
        first: slot(first),
        decided: slot(decided),
        proposals: [proposal].into_iter().collect(),
    }
}

/// The answer of another node for one slot.
fn decisions(first: u64, proposal: Asked) -> Text {
    Message::Decisions {
        first: slot(first),
        applied: slot(first),
        proposals: [proposal].into_iter().collect(),
    }
}

fn opened(records: &[Vec<u8>], capacity: usize) -> Opened<Watched, Opaque, WINDOW, CLIENTS> {
    Journal::open(Watched::of(records, capacity), config()).unwrap()
}

/// Returns the smallest storage for such a node: a header, the sessions of two clients, a sum.
fn least() -> usize {
    4 * Journal::<Watched>::checkpoint_max::<Opaque, WINDOW>(3)
}

impl Bench {
    /// Creates a node that has joined, in the initial state.
    fn new(capacity: usize) -> Self {
        let Ok(Opened::Empty(empty)) =
            Journal::open::<Opaque, WINDOW, CLIENTS>(Watched::new(capacity), config())
        else {
            panic!("new storage is empty");
        };
        let (journal, node) = empty.provision(7, Instant::ZERO).unwrap();
        let mut bench = Self {
            node,
            journal,
            chains: Chains::default(),
            revealed: Revealed::default(),
            capacity,
            looked: 0,
        };
        let mut founder = Small::found(Config::new(NodeId(0), 3), 7, Instant::ZERO).unwrap();
        let mut outbox = Outbox::<Opaque, 1, 64>::new();
        let letter = Envelope {
            cluster: Small::fingerprint_of(&config()),
            from: ME,
            to: NodeId(0),
            message: Message::Join {
                snapshot: None,
                page: 0,
                count: 1,
            },
        };
        // More often than the founding takes.
        for _ in 0..9 {
            founder.handle_message(Instant::ZERO, &letter, &mut outbox, &mut ());
            founder.handle_timeout(Instant::ZERO, &mut outbox, &mut ());
        }
        // Page by page, as the node asks for the next one.
        while let Some(welcome) = outbox.messages.first().map(|first| first.message.clone()) {
            outbox.clear();
            let asked = bench.hear(0, welcome);
            let Some(message) = asked.into_iter().next() else {
                break;
            };
            let letter = Envelope { message, ..letter };
            founder.handle_message(Instant::ZERO, &letter, &mut outbox, &mut ());
        }
        assert!(bench.node.is_active(), "it has joined");
        bench
    }

    /// Handles a message. The writes of the node are durable before it sends anything, and power might fail at every
    /// operation of that. Returns the messages that it sends.
    fn hear(&mut self, from: u16, message: Text) -> Vec<Text> {
        let letter = Envelope {
            cluster: Small::fingerprint_of(&config()),
            from: NodeId(from),
            to: ME,
            message,
        };
        let mut outbox = Outbox::<Opaque, 1, 64>::new();
        self.node
            .handle_message(Instant::ZERO, &letter, &mut outbox, &mut self.chains);
        assert!(self.node.halted().is_none());
        self.keep(&outbox.writes);
        outbox
            .messages
            .iter()
            .map(|outgoing| outgoing.message.clone())
            .collect()
    }

    fn write(&mut self, writes: &[Write<[u8; 16]>]) -> Result<(), JournalError<Trouble>> {
        self.journal.write(Instant::ZERO, &mut self.node, writes)?;
        self.journal.sync()
    }

    /// Makes the writes of a step durable, with a possible power loss at each operation.
    fn keep(&mut self, writes: &[Write<[u8; 16]>]) {
        self.journal.storage_mut().moments.clear();
        self.write(writes).unwrap();
        let moments = core::mem::take(&mut self.journal.storage_mut().moments);
        // Before the step counts as revealed: nothing of it has left by then.
        for moment in &moments {
            self.look(moment);
        }
        for write in writes {
            match write {
                Write::Promised(ballot) => self.revealed.promised = *ballot,
                Write::Accepted(entry) => {
                    self.revealed.promised = entry.ballot;
                    self.revealed.votes.insert(entry.slot, *entry);
                }
                _ => {}
            }
        }
        let now = self.journal.storage().records.clone();
        self.look(&now);
    }

    /// Asserts that a power loss at this moment would leave everything that the node has revealed.
    fn look(&mut self, moment: &[Vec<u8>]) {
        let Opened::Intact(intact) = opened(moment, self.capacity) else {
            panic!("nothing has damaged it");
        };
        // A node that has not joined, on which nobody relies.
        let Some(durable) = intact.durable() else {
            assert_eq!(self.revealed.promised, Ballot::NULL);
            return;
        };
        self.looked += 1;
        assert!(durable.promised() >= self.revealed.promised);
        let applied = durable.applied();
        // Storage must not be ahead of its node.
        assert!(applied <= self.node.applied());
        if applied > Slot::ZERO {
            // What was applied is what the node has applied there, and not the vote that lost.
            assert_eq!(self.chains.0.get(&applied), Some(&durable.chain()));
        }
        for vote in self.revealed.votes.values() {
            let held = durable.votes().find(|held| held.slot == vote.slot);
            let kept = held.is_some_and(|held| held == *vote || held.ballot > vote.ballot);
            assert!(kept || vote.slot <= applied, "{vote:?} is forgotten");
        }
    }

    /// Power fails, and the node restarts.
    fn restart(&mut self) {
        let Opened::Intact(intact) = opened(&self.journal.storage().records, self.capacity) else {
            panic!("nothing has damaged it");
        };
        (self.journal, self.node) = intact.start(7, Instant::ZERO).unwrap();
    }

    /// Counts the records of some kind in the storage.
    fn count(&self, is_it: impl Fn(&Record<'_, [u8; 16]>) -> bool) -> usize {
        let records = self.journal.storage().records.iter();
        let records = records.filter_map(|record| Record::<[u8; 16]>::decode(record));
        records.filter(|(_, record)| is_it(record)).count()
    }

    /// The node promises a ballot; returns its writes.
    fn promise(&mut self) -> [Write<[u8; 16]>; 1] {
        let round = self.node.promised().round() + 1;
        let prepare = Message::Prepare {
            ballot: ballot(round, 0),
            from: self.node.applied().next().unwrap(),
        };
        let letter = Envelope {
            cluster: Small::fingerprint_of(&config()),
            from: NodeId(0),
            to: ME,
            message: prepare,
        };
        let mut outbox = Outbox::<Opaque, 1, 64>::new();
        self.node
            .handle_message(Instant::ZERO, &letter, &mut outbox, &mut ());
        [outbox.writes[0]]
    }

    /// Lets the node promise one ballot after another until the storage satisfies a condition.
    fn promise_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if is_so(self) {
                return;
            }
            let write = self.promise();
            self.keep(&write);
        }
        panic!("it never comes to that");
    }
}

/// The messages of a scenario, step by step: the votes for slots 1 and 3 are superseded, and other nodes send the
/// decisions.
fn a_vote_that_loses() -> Vec<(u16, Text)> {
    let (first, second) = (ballot(3, 0), ballot(5, 2));
    let mut messages = std::vec![
        (0, accept(first, 1, 0, asks(10))),
        (0, accept(first, 2, 0, asks(20))),
        (0, accept(first, 3, 0, asks(30))),
        // Other nodes have decided 11 and 31 under a ballot that never arrived here.
        (2, decisions(1, asks(11))),
        (2, decisions(3, asks(31))),
        // Slot 2 has the proposal that the node voted for, but under another ballot.
        (2, decisions(2, asks(20))),
    ];
    // The log continues until the window has moved past all of them.
    for number in 4..=9 {
        messages.push((2, accept(second, number, number - 1, asks(10 * number))));
    }
    messages.push((
        2,
        Message::Decision {
            ballot: second,
            decided: slot(9),
        },
    ));
    messages
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a node that lives for so long takes an interpreter hours"
)]
fn d2_a_vote_that_lost_is_not_taken_for_the_decision_whenever_power_fails() {
    let messages = a_vote_that_loses();
    let mut whole = Bench::new(20_000);
    for (from, message) in messages.clone() {
        whole.hear(from, message);
    }
    assert_eq!(whole.node.applied(), slot(9));
    assert!(whole.looked > 30, "{}", whole.looked);
    // Power fails once after each step; the messages lost by that are sent again.
    // All that arrived before the cut arrives once more, as others repeat themselves.
    for cut in 0..messages.len() {
        let mut bench = Bench::new(20_000);
        for (index, (from, message)) in messages.iter().cloned().enumerate() {
            bench.hear(from, message);
            if index == cut {
                bench.restart();
                for (from, message) in messages.iter().take(index + 1).cloned() {
                    bench.hear(from, message);
                }
            }
        }
        assert_eq!(bench.node.applied(), slot(9), "cut after step {cut}");
        assert_eq!(
            bench.node.chain(),
            whole.node.chain(),
            "cut after step {cut}"
        );
    }
}

#[test]
fn d2_a_checkpoint_contains_the_decisions_above_a_gap() {
    let mut bench = Bench::new(least());
    let first = ballot(3, 0);
    for (number, nonce) in [(1, 10), (2, 20), (3, 30)] {
        bench.hear(0, accept(first, number, 0, asks(nonce)));
    }
    // Slot 1 is decided, slot 3 with another proposal than the node voted for; slot 2 is missing.
    bench.hear(2, decisions(1, asks(10)));
    bench.hear(2, decisions(3, asks(31)));
    assert_eq!(bench.node.applied(), slot(1));
    let before = bench.journal.checkpoints();
    bench.promise_until(|bench| bench.journal.checkpoints() > before);
    let ahead = |record: &Record<'_, [u8; 16]>| matches!(record, Record::DecidedAhead(at, _) if *at == slot(3));
    assert_eq!(bench.count(ahead), 1);
    let lost = |record: &Record<'_, [u8; 16]>| matches!(record, Record::AcceptedAhead(_));
    assert_eq!(bench.count(lost), 2, "the votes for slots 2 and 3");
    // The gap closes, and the window moves past all of it: replay has to know the decision of slot 3.
    let second = ballot(bench.node.promised().round() + 1, 2);
    bench.hear(2, decisions(2, asks(20)));
    assert_eq!(bench.node.applied(), slot(3));
    for number in 4..=8 {
        bench.hear(2, accept(second, number, number - 1, asks(10 * number)));
    }
    bench.restart();
    assert!(bench.node.applied() >= slot(4));
    for number in bench.node.applied().number() + 1..=7 {
        bench.hear(2, decisions(number, asks(10 * number)));
    }
    assert_eq!(bench.node.applied(), slot(7));
}

/// Returns the slots and ballots of the votes, and the slots of the decisions, that the storage has copies of.
fn copies(bench: &Bench) -> (Vec<(Slot, Ballot)>, Vec<Slot>) {
    let (mut votes, mut decisions) = (Vec::new(), Vec::new());
    for record in &bench.journal.storage().records {
        match Record::<[u8; 16]>::decode(record) {
            Some((_, Record::AcceptedAhead(vote))) => votes.push((vote.slot, vote.ballot)),
            Some((_, Record::DecidedAhead(slot, _))) => decisions.push(slot),
            _ => {}
        }
    }
    (votes, decisions)
}

/// All of it, and not only the first or the last: in a checkpoint that is written page by page, and in the next one.
#[test]
fn d2_a_checkpoint_contains_every_vote_and_decision_above_a_gap() {
    let mut bench = Bench::new(least());
    let first = ballot(3, 0);
    bench.hear(0, accept(first, 1, 0, asks(10)));
    bench.hear(2, decisions(1, asks(10)));
    for number in 2..=5 {
        bench.hear(0, accept(first, number, 0, asks(10 * number)));
    }
    // Slot 2 is missing, and what follows was decided otherwise than this node has voted.
    for number in 3..=5 {
        bench.hear(2, decisions(number, asks(10 * number + 1)));
    }
    assert_eq!(bench.node.applied(), slot(1));
    for _ in 0..2 {
        let before = bench.journal.checkpoints();
        bench.promise_until(|bench| bench.journal.checkpoints() > before);
        let (votes, decided) = copies(&bench);
        assert_eq!(votes, [2, 3, 4, 5].map(|number| (slot(number), first)));
        assert_eq!(decided, [3, 4, 5].map(slot));
    }
    // The gap closes, and the window moves past all of it.
    let second = ballot(bench.node.promised().round() + 1, 2);
    bench.hear(2, decisions(2, asks(20)));
    assert_eq!(bench.node.applied(), slot(5));
    for number in 6..=9 {
        bench.hear(2, accept(second, number, number - 1, asks(10 * number)));
    }
    bench.restart();
    assert!(bench.node.applied() >= slot(5));
    assert_eq!(bench.node.promised(), second);
}

/// Lets a node with the smallest storage write promises, and cuts its power once in each checkpoint, after `cut`
/// operations of it. Returns how many checkpoints were completed, and how often power has failed.
fn through_losses(cut: usize) -> (u32, u32) {
    let mut bench = Bench::new(least());
    bench.journal.storage_mut().moments.clear();
    let (mut completed, mut failed, mut fails) = (0, 0, true);
    for _ in 0..500 {
        let write = bench.promise();
        bench.journal.storage_mut().remembers = false;
        // If the next write begins a checkpoint, as a copy shows, power fails in it.
        let mut ahead = bench.clone();
        ahead.write(&write).unwrap();
        // Found out on the copy, since nothing announces a checkpoint.
        let due = ahead.journal.checkpoints() > bench.journal.checkpoints();
        if !due || !fails {
            fails |= due;
            completed += u32::from(due);
            bench = ahead;
            continue;
        }
        fails = false;
        bench.journal.storage_mut().power = Some(cut);
        let written = bench.write(&write);
        bench.journal.storage_mut().power = None;
        failed += 1;
        match written {
            Ok(()) | Err(JournalError::Storage(Trouble::Dark)) => bench.restart(),
            Err(error) => panic!("cut after {cut}, {failed} times: {error:?}"),
        }
    }
    (completed, failed)
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a node that lives for so long takes an interpreter hours"
)]
fn t1_storage_of_the_least_size_outlasts_a_loss_of_power_in_each_checkpoint() {
    for cut in [0, 1, 2, 5, 8, 11] {
        let (completed, failed) = through_losses(cut);
        assert!(completed > 2 && failed > 2, "{completed}, {failed}");
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a node that lives for so long takes an interpreter hours"
)]
fn d3_a_stale_record_that_rotted_is_dropped_with_all_that_is_stale() {
    let mut bench = Bench::new(3 * least());
    let before = bench.journal.checkpoints();
    // One operation before the end of the checkpoint nothing is dropped yet.
    bench.promise_until(|bench| {
        bench.journal.checkpoints() == before
            && bench.count(|record| matches!(record, Record::Begin(_))) == 2
    });
    let begun = bench.journal.clone();
    bench.promise_until(|bench| bench.journal.checkpoints() > before);
    // The same log with its end, but as if power had failed before anything was dropped.
    let mut records = begun.storage().records.clone();
    let rest = &bench.journal.storage().records;
    let kept = rest
        .iter()
        .filter(|record| !records.contains(record))
        .cloned()
        .collect::<Vec<_>>();
    records.extend(kept);
    for rotted in 0..3 {
        let mut records = records.clone();
        records[rotted][6] ^= 4;
        let Opened::Intact(intact) = opened(&records, bench.capacity) else {
            panic!("what rotted is not needed");
        };
        let (mut journal, mut node) = intact.start::<1>(7, Instant::ZERO).unwrap();
        let round = node.promised().round() + 1;
        let write = [Write::Promised(ballot(round, 0))];
        journal.write(Instant::ZERO, &mut node, &write).unwrap();
        journal.sync().unwrap();
        let first = journal.storage().records.first().unwrap();
        let first = Record::<[u8; 16]>::decode(first);
        assert!(
            matches!(first, Some((_, Record::Begin(_)))),
            "record {rotted} rotted, and the log begins with {first:?}"
        );
    }
}

/// A record between the first and the last one of a checkpoint may belong to another step, and nothing else says that it is
/// missing.
#[test]
fn d3_a_gap_anywhere_in_a_checkpoint_is_damage() {
    let mut bench = Bench::new(3 * least());
    bench.hear(0, accept(ballot(3, 0), 1, 0, asks(10)));
    bench.hear(0, accept(ballot(3, 0), 2, 0, asks(20)));
    bench.hear(2, decisions(2, asks(20)));
    let before = bench.journal.checkpoints();
    bench.promise_until(|bench| bench.journal.checkpoints() > before);
    let records = bench.journal.storage().records.clone();
    let kinds = records.iter().map(|record| {
        let (_, record) = Record::<[u8; 16]>::decode(record).unwrap();
        (
            matches!(record, Record::AcceptedAhead(_) | Record::DecidedAhead(..)),
            matches!(record, Record::Promised(_)),
        )
    });
    let (copies, promises): (Vec<bool>, Vec<bool>) = kinds.unzip();
    let count = |of: &[bool]| of.iter().filter(|is| **is).count();
    assert!(
        count(&copies) == 3 && count(&promises) > 1,
        "{copies:?} {promises:?}"
    );
    for nth in 1..records.len() - 1 {
        let mut missing = records.clone();
        missing.remove(nth);
        let opened = opened(&missing, bench.capacity);
        assert!(matches!(opened, Opened::Damaged(_)), "record {nth}");
    }
}

/// The journal begins a checkpoint by how full it takes its storage to be. It counts anew after each start, so that a
/// record that it has left out cannot hide behind an earlier peak.
#[test]
fn t5_a_journal_counts_every_record_that_its_storage_has() {
    let mut bench = Bench::new(3 * least());
    let mut starts = 0;
    while starts < 3 {
        let write = bench.promise();
        let Bench { node, journal, .. } = &mut bench;
        journal.write(Instant::ZERO, node, &write).unwrap();
        let records = journal.storage().records.iter();
        let full: usize = records.map(|record| record.len() + Watched::OVERHEAD).sum();
        assert!(journal.peak() >= full, "{} of {full}", journal.peak());
        journal.sync().unwrap();
        if bench.journal.checkpoints() > 0 {
            bench.restart();
            starts += 1;
        }
    }
}

#[test]
fn t4_a_snapshot_that_is_pinned_for_storage_is_given_up_when_nothing_more_is_written() {
    let mut bench = Bench::new(3 * least());
    let begun = |bench: &Bench| bench.count(|record| matches!(record, Record::Begin(_)));
    bench.promise_until(|bench| begun(bench) == 2);
    // No page was written yet: to pin it begins the transfer.
    let late = Instant::ZERO + bench.node.config().transfer_timeout;
    let mut outbox = Outbox::<Opaque, 1, 64>::new();
    let Bench { node, journal, .. } = &mut bench;
    node.handle_timeout(late, &mut outbox, &mut ());
    assert!(journal.is_checkpointing());
    let round = node.promised().round() + 1;
    let write = [Write::Promised(ballot(round, 0))];
    journal.write(late, node, &write).unwrap();
    assert_eq!(begun(&bench), 3, "it starts over");
}

#[test]
fn d1_what_a_node_has_read_and_nobody_has_synced_is_synced_before_it_says_anything() {
    let mut bench = Bench::new(least());
    let write = bench.promise();
    let Bench { node, journal, .. } = &mut bench;
    journal.write(Instant::ZERO, node, &write).unwrap();
    bench.restart();
    assert!(!bench.journal.is_synced(), "the promise has no seal");
    let seals = |bench: &Bench| bench.count(|record| matches!(record, Record::Seal));
    let before = seals(&bench);
    bench.write(&[]).unwrap();
    assert!(bench.journal.is_synced());
    assert_eq!(seals(&bench), before + 1);
}
