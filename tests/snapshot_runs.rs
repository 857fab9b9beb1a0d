//! Snapshot transfer in runs of pages: how long a large state takes over a long link, and over one that loses pages.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use synod::{
    Config, Duration, Envelope, Instant, MalformedPage, Message, Node, NodeId, Outbox, Reader,
    SNAPSHOT_PAGE, Sink, StateMachine, Writer,
};

/// A mebibyte of state.
const BYTES: usize = 1 << 20;

/// A machine whose state is a mebibyte in pages of full length. The bytes of a page are its index, again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Large {
    /// The pages that were read from a snapshot; a state that was not transferred has none.
    read: u32,
}

impl StateMachine for Large {
    type Command = ();
    type Output = ();

    fn apply(&mut self, (): &()) {}

    fn snapshot_pages(&self) -> u32 {
        u32::try_from(BYTES.div_ceil(SNAPSHOT_PAGE)).unwrap()
    }

    fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        for _ in 0..SNAPSHOT_PAGE / 4 {
            writer.put_u32(page);
        }
        writer.put(&[0; SNAPSHOT_PAGE % 4]);
    }

    fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        let is_next = reader.u32() == Some(page) && page == self.read;
        self.read += 1;
        while reader.u8().is_some() {}
        is_next.then_some(()).ok_or(MalformedPage)
    }
}

type Member = Node<Large, 256, 2, 2>;
type Sent = Envelope<Large, 2>;
type Room = Outbox<Large, 2, { Member::OUTBOX_MIN }>;

/// The link between two nodes: every message takes `delay`, and one of `loses_one_in` pages is lost.
struct Link {
    delay: Duration,
    loses_one_in: Option<u64>,
    /// Messages under way, by the time of their arrival and the order in which they were sent.
    under_way: BinaryHeap<Reverse<(Instant, u64)>>,
    messages: Vec<Sent>,
    pages: u64,
}

impl Link {
    fn new(delay: Duration) -> Self {
        Self {
            delay,
            loses_one_in: None,
            under_way: BinaryHeap::new(),
            messages: Vec::new(),
            pages: 0,
        }
    }

    fn send(&mut self, now: Instant, sent: Sent) {
        if let Message::Welcome { .. } = sent.message {
            self.pages += 1;
            // The generator is Knuth's for 64 bits (The Art of Computer Programming, section 3.3.4).
            let drawn = self.pages.wrapping_mul(6_364_136_223_846_793_005) >> 32;
            if self
                .loses_one_in
                .is_some_and(|one_in| drawn.is_multiple_of(one_in))
            {
                return;
            }
        }
        let number = u64::try_from(self.messages.len()).unwrap();
        self.under_way.push(Reverse((now + self.delay, number)));
        self.messages.push(sent);
    }
}

/// Lets a second node join a cluster that the first one has founded, and returns how long that takes.
fn time_to_join(link: &mut Link) -> Duration {
    let config = |node| Config::new(NodeId(node), 2).with_round_trip(link.delay * 2);
    let mut now = Instant::ZERO;
    let mut nodes = vec![
        Member::found(config(0), 6, now).unwrap(),
        Member::join(config(1), 6, now).unwrap(),
    ];
    let mut outbox = Room::new();
    while !nodes.iter().all(Member::is_active) {
        let arrival = link.under_way.peek().map(|Reverse((at, _))| *at);
        let timers = nodes.iter().filter_map(Member::next_deadline).min();
        now = [arrival, timers].into_iter().flatten().min().unwrap();
        for node in &mut nodes {
            node.handle_timeout(now, &mut outbox, &mut ());
            pass_on(now, node, &mut outbox, link);
        }
        while let Some(Reverse((at, number))) = link.under_way.peek().copied()
            && at <= now
        {
            link.under_way.pop();
            let envelope = link.messages[usize::try_from(number).unwrap()].clone();
            let node = &mut nodes[usize::from(envelope.to.0)];
            node.handle_message(now, &envelope, &mut outbox, &mut ());
            pass_on(now, node, &mut outbox, link);
        }
        assert!(now < Instant::ZERO + Duration::from_secs(3_600), "it ends");
    }
    assert_eq!(nodes[1].machine().read, nodes[1].machine().snapshot_pages());
    now.since(Instant::ZERO)
}

/// Sends what a step of a node has put in its outbox.
fn pass_on(now: Instant, node: &Member, outbox: &mut Room, link: &mut Link) {
    for outgoing in &outbox.messages {
        for to in outgoing.to.iter() {
            link.send(now, node.envelope(to, outgoing));
        }
    }
    outbox.clear();
}

const THIRTY: Duration = Duration::from_millis(30);

/// Returns the number of pages: those of the machine, and one for the rest of the state.
fn pages() -> u64 {
    u64::from(Large::default().snapshot_pages()) + 1
}

/// Returns how long the pages take when each of them is requested alone: a round trip for each.
fn one_by_one() -> Duration {
    THIRTY * (2 * pages())
}

#[test]
fn t4_a_mebibyte_of_state_crosses_a_link_of_30_ms_in_runs() {
    let mut link = Link::new(THIRTY);
    let time = time_to_join(&mut link);
    let (each, runs) = (one_by_one().as_micros(), time.as_micros());
    let [each, runs] =
        [each, runs].map(|micros| format!("{}.{:03}", micros / 1_000_000, micros / 1_000 % 1_000));
    println!("a snapshot of 1 MiB over a link of 30 ms: {each} s page by page, {runs} s in runs");
    assert!(time * 20 <= one_by_one(), "{time:?}");
    assert_eq!(link.pages, pages(), "no page is sent twice");
    synod_figures::assert_shown("snapshot-pages", &each);
    synod_figures::assert_shown("snapshot-runs", &runs);
}

#[test]
fn t4_lost_pages_are_requested_again_without_waiting_for_a_timer() {
    for (one_in, faster) in [(1_000, 20), (100, 10), (20, 6)] {
        let mut link = Link::new(THIRTY);
        link.loses_one_in = Some(one_in);
        let time = time_to_join(&mut link);
        assert!(time * faster < one_by_one(), "one in {one_in}: {time:?}");
    }
}
