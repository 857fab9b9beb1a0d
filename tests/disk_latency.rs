//! The latency of a decision on disks that take time: a leader sends its accepts while it writes its own votes, so that
//! a decision waits for one disk.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use synod::machines::{Key, Kv, KvCommand};
use synod::{
    ClientId, Config, Duration, Envelope, Instant, Node, NodeId, Outbox, Outcome, RequestNumber,
};

type Member = Node<Kv<4>, 16, 4, 2>;
type Sent = Envelope<Kv<4>, 2>;
type Room = Outbox<Kv<4>, 2, { Member::OUTBOX_MIN }>;

/// What a message takes from one node to another.
const NETWORK: Duration = Duration::from_millis(7);
/// What a sync takes.
const DISK: Duration = Duration::from_millis(10);
const COMMANDS: u32 = 99;

/// A node, and the driver around it.
struct Driven {
    node: Member,
    outbox: Room,
    inbox: VecDeque<Sent>,
    /// When the writes in the outbox are durable; the node takes no input before.
    synced_at: Option<Instant>,
}

/// Three nodes, each with a disk.
struct Cluster {
    now: Instant,
    nodes: Vec<Driven>,
    /// Whether messages that need not wait for the writes beside them leave at once.
    early: bool,
    under_way: BinaryHeap<Reverse<(Instant, usize)>>,
    messages: Vec<Sent>,
    answered: Option<Outcome<synod::machines::KvReply>>,
}

impl Cluster {
    fn new(early: bool) -> Self {
        let now = Instant::ZERO;
        let round_trip = NETWORK.saturating_add(DISK) * 2;
        let driven = |number| {
            let config = Config::new(NodeId(number), 3).with_round_trip(round_trip);
            let node = if number == 0 {
                Member::found(config, 6, now)
            } else {
                Member::join(config, 6, now)
            };
            Driven {
                node: node.unwrap(),
                outbox: Room::new(),
                inbox: VecDeque::new(),
                synced_at: None,
            }
        };
        Self {
            now,
            nodes: (0..3).map(driven).collect(),
            early,
            under_way: BinaryHeap::new(),
            messages: Vec::new(),
            answered: None,
        }
    }

    /// Advances to the next event, and handles everything that is due then.
    fn advance(&mut self) {
        let arrival = self.under_way.peek().map(|Reverse((at, _))| *at);
        let of_nodes = self
            .nodes
            .iter()
            .filter_map(|driven| match driven.synced_at {
                Some(at) => Some(at),
                None => driven.node.next_deadline(),
            });
        self.now = of_nodes.chain(arrival).min().unwrap().max(self.now);
        while let Some(Reverse((at, number))) = self.under_way.peek().copied()
            && at <= self.now
        {
            self.under_way.pop();
            let sent = self.messages[number].clone();
            self.nodes[usize::from(sent.to.0)].inbox.push_back(sent);
        }
        for number in 0..self.nodes.len() {
            self.drive(number);
        }
    }

    /// Runs the driver of a node until it waits for its disk or for input.
    fn drive(&mut self, number: usize) {
        loop {
            let now = self.now;
            if self.nodes[number].synced_at.is_some_and(|at| at > now) {
                return;
            }
            if self.nodes[number].synced_at.take().is_some() {
                self.end_turn(number, !self.early);
            }
            let driven = &mut self.nodes[number];
            let is_due = |at: Instant| at <= now;
            if driven.node.next_deadline().is_some_and(is_due) {
                driven.node.handle_timeout(now, &mut driven.outbox, &mut ());
            } else if let Some(envelope) = driven.inbox.pop_front() {
                let outbox = &mut driven.outbox;
                driven.node.handle_message(now, &envelope, outbox, &mut ());
            } else {
                return;
            }
            self.begin_turn(number);
        }
    }

    /// Handles the output of a step: its writes begin, if there are any.
    fn begin_turn(&mut self, number: usize) {
        if self.nodes[number].outbox.writes.is_empty() {
            return self.end_turn(number, true);
        }
        if self.early {
            self.send(number, |driven| driven.outbox.early().cloned().collect());
        }
        self.nodes[number].synced_at = Some(self.now + DISK);
    }

    /// Sends what waits for the writes, and the rest unless that has left.
    fn end_turn(&mut self, number: usize, with_early: bool) {
        if with_early {
            self.send(number, |driven| driven.outbox.early().cloned().collect());
        }
        self.send(number, |driven| driven.outbox.late().cloned().collect());
        let driven = &mut self.nodes[number];
        let outcome = driven.outbox.replies.first().map(|reply| reply.outcome);
        self.answered = self.answered.take().or(outcome);
        driven.outbox.clear();
    }

    fn send(&mut self, number: usize, part: impl Fn(&Driven) -> Vec<synod::Outgoing<Kv<4>, 2>>) {
        let driven = &self.nodes[number];
        for outgoing in part(driven) {
            for to in outgoing.to.iter() {
                let envelope = driven.node.envelope(to, &outgoing);
                let number = self.messages.len();
                self.under_way.push(Reverse((self.now + NETWORK, number)));
                self.messages.push(envelope);
            }
        }
    }

    /// Asks the leader for something, waits for the answer, and returns it with the time that it took.
    fn ask(
        &mut self,
        leader: usize,
        ask: impl FnOnce(Instant, &mut Member, &mut Room),
    ) -> (Outcome<synod::machines::KvReply>, Duration) {
        while self.nodes[leader].synced_at.is_some() {
            self.advance();
        }
        let (began, driven) = (self.now, &mut self.nodes[leader]);
        ask(began, &mut driven.node, &mut driven.outbox);
        self.begin_turn(leader);
        self.answered = None;
        while self.answered.is_none() {
            self.advance();
        }
        (self.answered.take().unwrap(), self.now.since(began))
    }
}

/// Returns the median time from a request at the leader to its answer.
fn median(early: bool) -> Duration {
    let mut cluster = Cluster::new(early);
    let leads = |driven: &Driven| driven.node.leading().is_some();
    while !cluster.nodes.iter().any(leads) {
        cluster.advance();
    }
    let leader = cluster.nodes.iter().position(leads).unwrap();
    let (outcome, _) = cluster.ask(leader, |now, node, outbox| {
        node.register(now, 77, outbox, &mut ()).unwrap();
    });
    let Outcome::Registered {
        client: ClientId(client),
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    let mut times: Vec<_> = (1..=COMMANDS)
        .map(|number| {
            let (outcome, time) = cluster.ask(leader, |now, node, outbox| {
                let set = KvCommand::Set(Key::numbered(0), number.into());
                let number = RequestNumber(number);
                node.request(now, ClientId(client), number, set, outbox, &mut ())
                    .unwrap();
            });
            assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
            time
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn d1_a_decision_takes_one_disk_latency_and_not_two() {
    let [before, after] = [false, true].map(median);
    let millis = [before, after].map(|time| (time.as_micros() / 1_000).to_string());
    println!(
        "with a disk of 10 ms and a network of 7 ms one way, a decision takes {} ms if every message waits for the disk, and {} ms if accepts do not",
        millis[0], millis[1]
    );
    assert_eq!(before, DISK.saturating_add(NETWORK) * 2);
    assert_eq!(after, DISK.saturating_add(NETWORK * 2));
    synod_figures::assert_shown("latency-waiting", &millis[0]);
    synod_figures::assert_shown("latency-early", &millis[1]);
}

/// Without it, a client is told what is stored nowhere: `synod sweep --seeds 102` finds that in the simulation.
#[test]
fn d1_a_reply_may_leave_early_unless_the_vote_beside_it_was_a_quorum_alone() {
    let (mut now, mut outbox) = (Instant::ZERO, Room::new());
    let mut node = Member::found(Config::new(NodeId(0), 1), 6, now).unwrap();
    while node.leading().is_none() {
        now = node.next_deadline().unwrap();
        node.handle_timeout(now, &mut outbox, &mut ());
        outbox.clear();
    }
    node.register(now, 77, &mut outbox, &mut ()).unwrap();
    assert_eq!((outbox.writes.len(), outbox.replies.len()), (1, 1));
    assert!(outbox.early_replies().is_empty() && outbox.early().next().is_none());
    outbox.clear();
    // The same once more takes no vote: it was decided in an earlier turn, and that is durable.
    node.register(now, 77, &mut outbox, &mut ()).unwrap();
    assert!(outbox.writes.is_empty());
    assert_eq!(outbox.early_replies(), &outbox.replies[..]);
}
