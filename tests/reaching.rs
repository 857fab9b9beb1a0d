//! Nodes that do not hear the leader, or that the leader does not hear, next to others that do: their clients are answered,
//! and they learn what is decided (rule L8).

use crate::cluster::{Cluster, Letter, TestNode, TestOutbox, WINDOW, millis};
use crate::load::Load;
use std::collections::BTreeSet;
use synod::machines::KvCommand;
use synod::{Ballot, Duration, Instant, Message, MessageKind, NodeId, Proposal, Timer};

/// What a client of a node may have to wait for an answer, where a leader is missed after 500 ms: for its node to miss the
/// leader, and some tries to reach it another way.
const PROMPT: Duration = Duration::from_secs(5);

/// A client at `node` is answered ten times, each time promptly, while others keep the leader at work; and the node is
/// never more than a window behind once it has found a way, unless that leads over many. Says the longest wait.
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
        // It has had to miss the leader first, and to fetch a snapshot if that took it more than a window.
        assert!(
            number < 3 || bound > PROMPT || behind <= u64::try_from(WINDOW).unwrap(),
            "{behind} slots behind, seed {}",
            c.seed()
        );
        client = c.registered(nonce);
        since = c.now();
        c.set(node, client.unwrap(), number + 1, i64::from(number));
    }
    assert_eq!(c.leader(), Some(leader), "nobody disturbs the leader");
    worst
}

/// A cluster of three in which a follower and the leader do not hear each other, or only one of them the other; and the
/// follower.
fn triangle(seed: u64, hears: bool, is_heard: bool) -> (Cluster, u16) {
    let mut c = Cluster::calm(3, seed);
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

#[test]
fn l8_a_client_of_a_node_that_is_cut_from_the_leader_is_answered_through_another() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let (mut c, node) = triangle(seed, false, false);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("both ways: {worst}");
}

#[test]
fn l8_a_node_that_hears_the_leader_and_is_not_heard_goes_another_way() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let (mut c, node) = triangle(seed, true, false);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("not heard: {worst}");
}

#[test]
fn l8_a_node_that_is_heard_by_the_leader_and_does_not_hear_it_asks_others() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let (mut c, node) = triangle(seed, false, true);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("does not hear: {worst}");
}

#[test]
fn l8_two_sides_meet_in_one_node_only() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let mut c = Cluster::calm(5, seed);
        let leader = c.leader().unwrap();
        let (near, far) = (c.follower(0), [c.follower(2), c.follower(3)]);
        c.cut(&[leader, near], &far);
        worst = worst.max(is_served(&mut c, far[0], PROMPT));
        worst = worst.max(is_served(&mut c, far[1], PROMPT));
    }
    println!("bridge: {worst}");
}

#[test]
fn l8_the_far_end_of_a_chain_is_served_over_two_others() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let mut c = Cluster::calm(5, seed);
        // With the leader in second place its neighbours are its quorum.
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
fn l8_a_learner_and_a_fenced_node_that_are_cut_from_the_leader_are_served() {
    let mut worst = Duration::ZERO;
    for seed in 0..100 {
        let mut c = Cluster::calm(3, seed);
        let (leader, node) = (c.leader().unwrap(), c.follower(0));
        if seed.is_multiple_of(2) {
            c.fence(node);
        } else {
            c.stop(node);
            c.learn(node);
            c.run_until("it has caught up", Cluster::is_calm);
        }
        c.cut(&[leader], &[node]);
        worst = worst.max(is_served(&mut c, node, PROMPT));
    }
    println!("no voter: {worst}");
}

#[test]
fn l8_a_node_that_comes_back_and_finds_the_leader_cut_off_from_it_is_served() {
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
fn l8_a_node_that_joins_without_reaching_founder_or_leader_is_served() {
    let mut worst = Duration::ZERO;
    for seed in 0..50 {
        let mut c = Cluster::dark(5, seed);
        (0..4).for_each(|node| c.start(node));
        c.run_until("four follow one leader", Cluster::is_calm);
        let leader = c.leader().unwrap();
        c.cut(&[4], &[0, leader]);
        c.start(4);
        let nonce = c.register(4);
        let came = c.comes_true(PROMPT, |c| c.registered(nonce).is_some());
        assert!(came, "seed {seed}: not answered");
        c.run_until("it has joined", |c| c.node(4).is_active());
        worst = worst.max(is_served(&mut c, 4, PROMPT));
    }
    println!("joining: {worst}");
}

#[test]
fn l8_the_other_way_ends_when_the_leader_is_heard_again() {
    for seed in 0..20 {
        let (mut c, node) = triangle(seed, false, false);
        is_served(&mut c, node, PROMPT);
        c.heal();
        c.run_until("it follows", Cluster::is_calm);
        c.run_for(millis(500));
        let (leader, learns) = (c.leader(), c.log.sent(node, MessageKind::Learn));
        c.run_for(millis(2_000));
        assert_eq!(c.log.sent(node, MessageKind::Learn), learns, "seed {seed}");
        assert_eq!(c.node(node).leader_hint(), leader.map(NodeId));
    }
}

/// The nodes of a calm cluster without a clock: timers fire, and messages come, when a test says so.
struct Timeless {
    nodes: Vec<TestNode>,
    /// Who leads, and under which ballot.
    reign: Ballot,
}

impl Timeless {
    fn new(size: u16) -> Self {
        let c = Cluster::calm(size, 6);
        let leader = c.leader().unwrap();
        // The leader is the last one.
        let others: Vec<u16> = (0..size).filter(|node| *node != leader).collect();
        let order = others.into_iter().chain([leader]);
        let nodes = order.map(|node| {
            let mut node = c.node(node).clone();
            node.canonicalize();
            node
        });
        let reign = c.node(leader).leading().unwrap();
        let nodes = nodes.collect();
        Self { nodes, reign }
    }

    fn id(&self, index: usize) -> NodeId {
        self.nodes[index].id()
    }

    fn letters(node: &TestNode, outbox: &TestOutbox) -> Vec<Letter> {
        let messages = outbox.messages.iter();
        let letters = messages.flat_map(|said| said.to.iter().map(|to| node.envelope(to, said)));
        letters.collect()
    }

    /// A timer fires; what is said is on its way.
    fn fire(&mut self, index: usize, timer: Timer) -> Vec<Letter> {
        let (node, mut outbox) = (&mut self.nodes[index], TestOutbox::new());
        node.fire(timer, 0, &mut outbox, &mut ());
        Self::letters(node, &outbox)
    }

    /// A letter arrives; what is said to it is on its way.
    fn arrive(&mut self, letter: &Letter) -> Vec<Letter> {
        let at = self.nodes.iter().position(|node| node.id() == letter.to);
        let (node, mut outbox) = (&mut self.nodes[at.unwrap()], TestOutbox::new());
        node.handle_message(Instant::ZERO, letter, &mut outbox, &mut ());
        Self::letters(node, &outbox)
    }

    /// A node hears its leader.
    fn hears(&mut self, index: usize) {
        let (from, to) = (self.reign.leader(), self.id(index));
        let beats = self.fire(self.nodes.len() - 1, Timer::Heartbeat);
        let beat = beats.into_iter().find(|letter| letter.to == to).unwrap();
        assert_eq!(beat.from, from);
        self.arrive(&beat);
        assert_eq!(self.nodes[index].leader_hint(), Some(from));
    }

    /// A node misses its leader and probes; says what another one answers, which is still on its way.
    fn probes(&mut self, index: usize, asked: usize) -> Letter {
        self.fire(index, Timer::Election);
        let probes = self.fire(index, Timer::Election);
        let to = self.id(asked);
        let probe = probes.into_iter().find(|letter| letter.to == to).unwrap();
        let answers = self.arrive(&probe);
        assert_eq!(answers.len(), 1);
        answers[0].clone()
    }

    /// A node passes on what it is handed; or to whom.
    fn passes_on(&mut self, from: NodeId, index: usize) -> Option<NodeId> {
        let proposal = Proposal::<KvCommand>::Register { nonce: 77 };
        let message = Message::Propose {
            proposal,
            retry: false,
        };
        let letter = Letter {
            cluster: self.nodes[index].fingerprint(),
            from,
            to: self.id(index),
            message,
        };
        let said = self.arrive(&letter);
        assert!(said.len() <= 1, "one message stays one");
        said.first().map(|letter| letter.to)
    }
}

/// Whether an answer to a probe is a no.
fn is_no(letter: &Letter) -> bool {
    matches!(letter.message, Message::ProbeReply { granted: false, .. })
}

#[test]
fn l8_relays_that_are_chosen_by_answers_of_their_time_make_no_ring() {
    let mut c = Timeless::new(5);
    let ids = [0, 1, 2].map(|index| c.id(index));
    // Each says no while it still follows, and only then misses the leader itself.
    for (node, next) in [(0, 1), (1, 2)] {
        let no = c.probes(node, next);
        assert!(is_no(&no));
        c.arrive(&no);
    }
    let answer = c.probes(2, 0);
    assert!(!is_no(&answer), "who has a relay says no to nobody");
    c.arrive(&answer);
    assert_eq!(c.passes_on(ids[2], 0), Some(ids[1]));
    assert_eq!(c.passes_on(ids[0], 1), Some(ids[2]));
    assert_eq!(c.passes_on(ids[1], 2), None, "it is the end of the way");
}

/// The schedule behind the exception at `passed_on_to`: a no to a former probe of the same ballot.
fn ring() -> Timeless {
    let mut c = Timeless::new(5);
    let late = c.probes(0, 1);
    c.hears(0);
    for (node, next) in [(1, 2), (2, 0)] {
        let no = c.probes(node, next);
        assert!(is_no(&no));
        c.arrive(&no);
    }
    let now = c.probes(0, 1);
    assert!(is_no(&late) && !is_no(&now));
    c.arrive(&late);
    let ids = [0, 1, 2].map(|index| c.id(index));
    assert_eq!(c.passes_on(ids[2], 0), Some(ids[1]));
    assert_eq!(c.passes_on(ids[0], 1), Some(ids[2]));
    assert_eq!(c.passes_on(ids[1], 2), Some(ids[0]), "it goes round");
    c
}

#[test]
fn l8_a_ring_that_an_old_answer_closes_ends_with_the_next_probe() {
    for is_answered in [true, false] {
        let mut c = ring();
        let (one, before) = (c.id(0), c.id(2));
        // Denied, it gives the probe up and waits; it still has its relay.
        c.fire(0, Timer::Scout);
        assert_eq!(c.passes_on(before, 0), Some(c.id(1)));
        let probes = c.fire(0, Timer::Election);
        if is_answered {
            let ring = [c.id(1), before];
            for probe in probes.iter().filter(|probe| ring.contains(&probe.to)) {
                let answers = c.arrive(probe);
                assert!(!is_no(&answers[0]), "nobody in the ring says no");
                c.arrive(&answers[0]);
            }
        } else {
            // Its probe and five repeats.
            (0..6).for_each(|_| drop(c.fire(0, Timer::Scout)));
        }
        assert_eq!(c.passes_on(before, 0), None, "{one} passes on no more");
    }
}

#[test]
fn l8_what_nobody_can_decide_makes_no_storm() {
    for seed in 0..20 {
        let mut c = Cluster::calm(5, seed);
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
                    .map(|kind| c.log.sent(*node, *kind))
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
