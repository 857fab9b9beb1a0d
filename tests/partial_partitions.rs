//! Partial partitions: nodes that cannot exchange messages with the leader, but can reach others that do, serve their
//! clients and learn the decisions (rule L8).

use crate::harness::cluster::{Cluster, TestEnvelope, TestNode, TestOutbox, WINDOW, millis};
use crate::harness::load::Load;
use std::collections::BTreeSet;
use synod::machines::KvCommand;
use synod::{Ballot, Duration, Instant, Message, MessageKind, NodeId, Proposal, Timer};

/// The longest time that a client may wait, where a leader is suspected after 500 ms: enough for the node to suspect
/// the leader, and to try several other ways.
const PROMPT: Duration = Duration::from_secs(5);

/// Makes ten requests at `node` under load and asserts that each is answered within `bound`, and that the node, once
/// it has found a way, is never more than a window behind (unless `bound` is above [`PROMPT`], for ways through
/// several nodes). Returns the longest wait.
fn is_served(c: &mut Cluster, node: u16, bound: Duration) -> Duration {
    let leader = c.leader().unwrap();
    let mut load = Load::paced(c, leader, 1, millis(50));
    let nonce = c.register(node);
    let (mut worst, mut since) = (Duration::ZERO, c.now());
    let mut client = None;
    for number in 0..10 {
        loop {
            let answered = match client {
                None => c.registered(nonce).is_some(),
                Some(client) => c.applied_in(client, number).is_some(),
            };
            if answered {
                break;
            }
            load.run_for(c, millis(50));
            let waited = c.now().since(since);
            assert!(waited < bound, "NODE_{node}: no answer, seed {}", c.seed());
        }
        worst = worst.max(c.now().since(since));
        let behind = c.applied(leader).distance(c.applied(node));
        // The node must suspect the leader first, and fetch a snapshot if that took it more than a window.
        assert!(
            number < 3 || bound > PROMPT || behind <= u64::try_from(WINDOW).unwrap(),
            "{behind} slots behind, seed {}",
            c.seed()
        );
        client = c.registered(nonce);
        since = c.now();
        c.set(node, client.unwrap(), number + 1, i64::from(number));
    }
    assert_eq!(c.leader(), Some(leader), "no node disturbs the leader");
    worst
}

/// Returns a cluster of three in which a follower and the leader lose each other's messages, in one direction or in
/// both, and that follower.
fn triangle(seed: u64, hears: bool, is_heard: bool) -> (Cluster, u16) {
    let mut c = Cluster::settled(3, seed);
    let (leader, node) = (
        c.leader().unwrap(),
        c.follower(usize::try_from(seed % 2).unwrap()),
    );
    if !hears {
        c.cut_one_way(leader, node);
    }
    if !is_heard {
        c.cut_one_way(node, leader);
    }
    (c, node)
}

/// A node hears the leader, which does not hear its questions, and misses decisions: it asks a node that does.
#[test]
fn l8_a_replica_whose_questions_do_not_reach_the_leader_asks_the_others() {
    for seed in 0..20 {
        let mut c = Cluster::settled(5, seed);
        let (leader, node) = (c.leader().unwrap(), c.follower(0));
        let has_it = c.follower(1);
        c.isolate(node);
        c.decide(leader, 3);
        c.run_until("another one has all of it", |c| {
            c.applied(has_it) == c.applied(leader)
        });
        let goal = c.applied(leader);
        c.heal();
        c.drop_matching(move |envelope| {
            let asks = envelope.message.kind() == MessageKind::Learn && envelope.from.0 == node;
            asks && envelope.to.0 != has_it
        });
        let came = c.happens_within(PROMPT, |c| c.applied(node) >= goal);
        assert!(came, "seed {seed}: nobody but the leader was asked");
        assert_eq!(c.node(node).leader_hint(), Some(NodeId(leader)));
    }
}

#[test]
fn l8_a_node_cut_off_from_the_leader_serves_its_client_through_another_node() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let (mut c, node) = triangle(seed, false, false);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("both ways: {worst}");
}

#[test]
fn l8_a_node_whose_messages_do_not_reach_the_leader_uses_another_way() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let (mut c, node) = triangle(seed, true, false);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("not heard: {worst}");
}

#[test]
fn l8_a_node_that_receives_nothing_from_the_leader_learns_from_others() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let (mut c, node) = triangle(seed, false, true);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("does not hear: {worst}");
}

#[test]
fn l8_two_sides_connected_by_a_single_node_are_served() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let mut c = Cluster::settled(5, seed);
        let leader = c.leader().unwrap();
        let (near, far) = (c.follower(0), [c.follower(2), c.follower(3)]);
        c.cut(&[leader, near], &far);
        worst = worst.max(is_served(&mut c, far[0], PROMPT));
        worst = worst.max(is_served(&mut c, far[1], PROMPT));
    }
    println!("bridge: {worst}");
}

#[test]
fn l8_the_far_end_of_a_chain_is_served_through_two_nodes() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let mut c = Cluster::settled(5, seed);
        // With the leader in second place, its neighbours are its quorum.
        let leader = c.leader().unwrap();
        let [first, third, fourth, last] = [0, 1, 2, 3].map(|index| c.follower(index));
        c.cut(&[first, leader], &[fourth, last]);
        c.cut(&[first], &[third]);
        c.cut(&[third], &[last]);
        worst = worst.max(is_served(&mut c, fourth, PROMPT));
        worst = worst.max(is_served(&mut c, last, PROMPT * 2));
    }
    println!("chain: {worst}");
}

#[test]
fn l8_a_learner_and_a_fenced_node_cut_off_from_the_leader_are_served() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let mut c = Cluster::settled(3, seed);
        let (leader, node) = (c.leader().unwrap(), c.follower(0));
        if seed.is_multiple_of(2) {
            c.fence(node);
        } else {
            c.stop(node);
            c.start_as_learner(node);
            c.run_until("it has caught up", Cluster::is_settled);
        }
        c.cut(&[leader], &[node]);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("no voter: {worst}");
}

#[test]
fn l8_a_restarted_node_cut_off_from_the_leader_is_served() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let (mut c, node) = triangle(seed, false, false);
        c.stop(node);
        c.run_for(millis(1_000));
        c.restart(node);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("restarted: {worst}");
}

#[test]
fn l8_a_node_that_joins_without_reaching_the_founder_or_the_leader_is_served() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let mut c = Cluster::powered_off(5, seed);
        (0..4).for_each(|node| c.start(node));
        c.run_until("four follow one leader", Cluster::is_settled);
        let leader = c.leader().unwrap();
        c.cut(&[4], &[0, leader]);
        c.start(4);
        let nonce = c.register(4);
        let came = c.happens_within(PROMPT, |c| c.registered(nonce).is_some());
        assert!(came, "seed {seed}: not answered");
        c.run_until("it has joined", |c| c.node(4).is_active());
        worst = worst.max(is_served(&mut c, 4, PROMPT));
    }
    println!("joining: {worst}");
}

#[test]
fn l8_the_detour_ends_when_the_leader_is_reachable_again() {
    for seed in 0..20 {
        let (mut c, node) = triangle(seed, false, false);
        is_served(&mut c, node, PROMPT);
        c.heal();
        c.run_until("it follows", Cluster::is_settled);
        c.run_for(millis(500));
        let (leader, learns) = (c.leader(), c.trace.sent(node, MessageKind::Learn));
        c.run_for(millis(2_000));
        assert_eq!(
            c.trace.sent(node, MessageKind::Learn),
            learns,
            "seed {seed}"
        );
        assert_eq!(c.node(node).leader_hint(), leader.map(NodeId));
    }
}

/// The nodes of a settled cluster without a clock: a test fires the timers and delivers the messages.
struct ManualCluster {
    nodes: Vec<TestNode>,
    /// The ballot of the leader.
    leading: Ballot,
}

impl ManualCluster {
    fn new(size: u16) -> Self {
        let c = Cluster::settled(size, 6);
        let leader = c.leader().unwrap();
        // The leader is the last node.
        let others: Vec<u16> = (0..size).filter(|node| *node != leader).collect();
        let order = others.into_iter().chain([leader]);
        let nodes = order.map(|node| {
            let mut node = c.node(node).clone();
            node.canonicalize();
            node
        });
        let leading = c.node(leader).leading().unwrap();
        let nodes = nodes.collect();
        Self { nodes, leading }
    }

    fn id(&self, index: usize) -> NodeId {
        self.nodes[index].id()
    }

    fn envelopes(node: &TestNode, outbox: &TestOutbox) -> Vec<TestEnvelope> {
        let messages = outbox.messages.iter();
        let envelopes = messages.flat_map(|said| said.to.iter().map(|to| node.envelope(to, said)));
        envelopes.collect()
    }

    /// Fires a timer of a node and returns the messages that it sends.
    fn fire(&mut self, index: usize, timer: Timer) -> Vec<TestEnvelope> {
        let (node, mut outbox) = (&mut self.nodes[index], TestOutbox::new());
        node.fire(timer, 0, &mut outbox, &mut ());
        Self::envelopes(node, &outbox)
    }

    /// Delivers a message and returns the messages that its recipient sends.
    fn deliver(&mut self, envelope: &TestEnvelope) -> Vec<TestEnvelope> {
        let at = self.nodes.iter().position(|node| node.id() == envelope.to);
        let (node, mut outbox) = (&mut self.nodes[at.unwrap()], TestOutbox::new());
        node.handle_message(Instant::ZERO, envelope, &mut outbox, &mut ());
        Self::envelopes(node, &outbox)
    }

    /// Delivers a heartbeat of the leader to a node.
    fn deliver_heartbeat(&mut self, index: usize) {
        let (from, to) = (self.leading.leader(), self.id(index));
        let beats = self.fire(self.nodes.len() - 1, Timer::Heartbeat);
        let beat = beats
            .into_iter()
            .find(|envelope| envelope.to == to)
            .unwrap();
        assert_eq!(beat.from, from);
        self.deliver(&beat);
        assert_eq!(self.nodes[index].leader_hint(), Some(from));
    }

    /// Makes a node suspect its leader and probe, delivers the probe to another node, and returns the reply undelivered.
    fn probe(&mut self, index: usize, asked: usize) -> TestEnvelope {
        self.fire(index, Timer::Election);
        let probes = self.fire(index, Timer::Election);
        let to = self.id(asked);
        let probe = probes
            .into_iter()
            .find(|envelope| envelope.to == to)
            .unwrap();
        let answers = self.deliver(&probe);
        assert_eq!(answers.len(), 1);
        answers[0].clone()
    }

    /// Delivers a proposal to a node and returns the node to which it forwards it, if any.
    fn forwards_to(&mut self, from: NodeId, index: usize) -> Option<NodeId> {
        let proposal = Proposal::<KvCommand>::Register { nonce: 77 };
        let message = Message::Propose {
            proposal,
            retry: false,
        };
        let envelope = TestEnvelope {
            cluster: self.nodes[index].fingerprint(),
            from,
            to: self.id(index),
            message,
        };
        let said = self.deliver(&envelope);
        assert!(said.len() <= 1, "a message is never multiplied");
        said.first().map(|envelope| envelope.to)
    }
}

/// True if a reply to a probe refuses it.
fn is_refusal(envelope: &TestEnvelope) -> bool {
    matches!(envelope.message, Message::ProbeReply { granted: false, .. })
}

#[test]
fn l8_relays_chosen_by_replies_to_current_probes_form_no_ring() {
    let mut c = ManualCluster::new(5);
    let ids = [0, 1, 2].map(|index| c.id(index));
    // Each refuses while it still follows, and only then suspects the leader itself.
    for (node, next) in [(0, 1), (1, 2)] {
        let refusal = c.probe(node, next);
        assert!(is_refusal(&refusal));
        c.deliver(&refusal);
    }
    let answer = c.probe(2, 0);
    assert!(
        !is_refusal(&answer),
        "a node that has a relay refuses no probe"
    );
    c.deliver(&answer);
    assert_eq!(c.forwards_to(ids[2], 0), Some(ids[1]));
    assert_eq!(c.forwards_to(ids[0], 1), Some(ids[2]));
    assert_eq!(
        c.forwards_to(ids[1], 2),
        None,
        "the last node does not forward"
    );
}

/// The schedule behind the exception at `passed_on_to`: a refusal of an earlier probe with the same ballot.
fn ring() -> ManualCluster {
    let mut c = ManualCluster::new(5);
    let late = c.probe(0, 1);
    c.deliver_heartbeat(0);
    for (node, next) in [(1, 2), (2, 0)] {
        let refusal = c.probe(node, next);
        assert!(is_refusal(&refusal));
        c.deliver(&refusal);
    }
    let now = c.probe(0, 1);
    assert!(is_refusal(&late) && !is_refusal(&now));
    c.deliver(&late);
    let ids = [0, 1, 2].map(|index| c.id(index));
    assert_eq!(c.forwards_to(ids[2], 0), Some(ids[1]));
    assert_eq!(c.forwards_to(ids[0], 1), Some(ids[2]));
    assert_eq!(
        c.forwards_to(ids[1], 2),
        Some(ids[0]),
        "the relays form a ring"
    );
    c
}

#[test]
fn l8_a_ring_of_relays_closed_by_an_old_reply_ends_with_the_next_probe() {
    for is_answered in [true, false] {
        let mut c = ring();
        let (one, before) = (c.id(0), c.id(2));
        // Refused, the node abandons the probe and waits; it still has its relay.
        c.fire(0, Timer::Scout);
        assert_eq!(c.forwards_to(before, 0), Some(c.id(1)));
        let probes = c.fire(0, Timer::Election);
        if is_answered {
            let ring = [c.id(1), before];
            for probe in probes.iter().filter(|probe| ring.contains(&probe.to)) {
                let answers = c.deliver(probe);
                assert!(!is_refusal(&answers[0]), "no node in the ring refuses");
                c.deliver(&answers[0]);
            }
        } else {
            // The probe and five repeats.
            (0..6).for_each(|_| drop(c.fire(0, Timer::Scout)));
        }
        assert_eq!(c.forwards_to(before, 0), None, "{one} forwards no more");
    }
}

#[test]
fn l8_undecidable_requests_cause_no_message_storm() {
    for seed in 0..20 {
        let mut c = Cluster::settled(5, seed);
        let away: Vec<u16> = (0..2).map(|index| c.follower(index)).collect();
        let others: Vec<u16> = (0..5).filter(|node| !away.contains(node)).collect();
        c.cut(&away, &others);
        c.register(away[0]);
        c.register(away[1]);
        c.run_for(Duration::from_secs(5));
        let sent = |c: &Cluster| -> usize {
            let kinds: BTreeSet<_> = MessageKind::ALL.into_iter().collect();
            let of = |node: &u16| {
                kinds
                    .iter()
                    .map(|kind| c.trace.sent(*node, *kind))
                    .sum::<usize>()
            };
            away.iter().map(of).sum()
        };
        let before = sent(&c);
        c.run_for(Duration::from_secs(20));
        let each_second = (sent(&c) - before) / 40;
        assert!(
            each_second <= 15,
            "seed {seed}: {each_second} a second and node"
        );
    }
}
