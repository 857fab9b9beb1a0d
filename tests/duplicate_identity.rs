//! Duplicate identity: two boards with one node id (rule N3), because a board was copied with its flash and the link
//! between the copies was cut.
//!
//! Boards 0, 1 and 2 are a cluster. Board 1 is copied; then {0, 1} and {the copy, 2} are partitioned, both halves
//! have a quorum, and both decide. This cannot be prevented, but it can be detected once the link is whole again: at
//! once on a shared link, where a board receives messages from its own id; and on addressed links, by a board that
//! has applied the log as far as a leader of the other half.

use crate::harness::cluster::{TestEnvelope, TestNode, TestOutbox};
use std::collections::VecDeque;
use synod::machines::{Key, KvCommand};
use synod::{ClientId, Config, Duration, Halt, Instant, NodeId, Outcome, Proposal, RequestNumber};

/// The positions on the line: board 0, board 1, its copy, and board 2.
const BOARD_0: usize = 0;
const COPY: usize = 2;
const BOARD_2: usize = 3;

/// Boards on a line whose message delay is one turn of 10 ms.
struct Line {
    now: Instant,
    boards: Vec<TestNode>,
    /// True if every board receives every message; otherwise only those for its own id.
    shared: bool,
    cut: bool,
    in_flight: VecDeque<(usize, TestEnvelope)>,
    answers: u32,
}

impl Line {
    /// Returns a cluster of three with an open session, and a copy of board 1.
    fn new(shared: bool) -> (Self, ClientId) {
        let config = |node| Config::new(NodeId(node), 3);
        let now = Instant::ZERO;
        let mut line = Self {
            now,
            boards: vec![
                TestNode::found(config(0), 1, now).unwrap(),
                TestNode::join(config(1), 1, now).unwrap(),
                TestNode::join(config(2), 1, now).unwrap(),
            ],
            shared,
            cut: false,
            in_flight: VecDeque::new(),
            answers: 0,
        };
        line.run(300);
        line.ask(BOARD_0, Proposal::Register { nonce: 7 });
        line.run(100);
        let client = ClientId(line.boards[BOARD_0].applied().number());
        assert_eq!(line.boards[1].applied(), line.boards[BOARD_0].applied());
        let copy = line.boards[1].clone();
        line.boards.insert(COPY, copy);
        line.cut = true;
        (line, client)
    }

    fn hears(&self, speaker: usize, listener: usize) -> bool {
        let same_half = (speaker < COPY) == (listener < COPY);
        speaker != listener && (same_half || !self.cut)
    }

    /// Runs for some turns: messages in flight are delivered and due timeouts handled.
    fn run(&mut self, turns: u32) {
        for _ in 0..turns {
            self.now = self.now + Duration::from_millis(10);
            for (speaker, envelope) in core::mem::take(&mut self.in_flight) {
                for listener in 0..self.boards.len() {
                    let meant = self.shared || self.boards[listener].id() == envelope.to;
                    if meant && self.hears(speaker, listener) {
                        self.step_node(listener, |now, board, outbox| {
                            board.handle_message(now, &envelope, outbox, &mut ());
                        });
                    }
                }
            }
            for board in 0..self.boards.len() {
                self.step_node(board, |now, board, outbox| {
                    board.handle_timeout(now, outbox, &mut ());
                });
            }
        }
    }

    fn step_node(&mut self, at: usize, step: impl FnOnce(Instant, &mut TestNode, &mut TestOutbox)) {
        let mut outbox = TestOutbox::new();
        let board = &mut self.boards[at];
        step(self.now, board, &mut outbox);
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                self.in_flight.push_back((at, board.envelope(to, outgoing)));
            }
        }
        for reply in &outbox.replies {
            assert!(!matches!(reply.outcome, Outcome::Reused | Outcome::Stale));
            self.answers += 1;
        }
    }

    fn ask(&mut self, board: usize, proposal: Proposal<KvCommand>) {
        self.step_node(board, |now, board, outbox| {
            board.ask(now, proposal, outbox, &mut ()).unwrap();
        });
    }

    /// Has some commands of a client applied at a board.
    fn decide(&mut self, board: usize, client: ClientId, values: core::ops::Range<u32>) {
        for value in values {
            let answers = self.answers;
            self.ask(
                board,
                Proposal::Request {
                    client,
                    number: RequestNumber(value),
                    command: KvCommand::Set(Key::numbered(0), i64::from(value)),
                },
            );
            self.run(300);
            assert_eq!(self.answers, answers + 1, "its half is a quorum");
        }
    }

    fn halted(&self, board: usize) -> Option<&Halt<KvCommand>> {
        self.boards[board].halted()
    }
}

#[test]
fn n3_on_a_shared_line_both_boards_of_one_id_halt() {
    let (mut line, client) = Line::new(true);
    line.decide(BOARD_0, client, 1..2);
    line.decide(BOARD_2, client, 2..3);
    assert_eq!(
        line.boards[BOARD_0].applied(),
        line.boards[BOARD_2].applied()
    );
    assert_ne!(line.boards[BOARD_0].chain(), line.boards[BOARD_2].chain());
    line.cut = false;
    line.run(100);
    // One of them may have received the other history first.
    let causes = [1, COPY].map(|board| line.halted(board).expect("neither votes any more"));
    assert!(causes.contains(&&Halt::DuplicateIdentity));
}

#[test]
fn n3_on_a_shared_line_a_copy_is_detected_before_anything_is_decided() {
    let (mut line, _) = Line::new(true);
    line.cut = false;
    line.run(100);
    for board in [1, COPY] {
        assert_eq!(line.halted(board), Some(&Halt::DuplicateIdentity));
    }
}

#[test]
fn n3_on_addressed_links_diverged_histories_are_detected() {
    // Equally far, further on one side, and further on the other.
    for (here, there) in [(1..2, 5..6), (1..3, 5..6), (1..2, 5..8)] {
        let (mut line, client) = Line::new(false);
        line.decide(BOARD_0, client, here);
        line.decide(BOARD_2, client, there);
        line.cut = false;
        line.run(100);
        // Each half continues past the slot that the other one had reached.
        for board in [BOARD_0, BOARD_2] {
            let command = KvCommand::Get(Key::numbered(0));
            for number in 20..24 {
                let number = RequestNumber(number);
                line.step_node(board, |now, board, outbox| {
                    // The board may have halted, which is the expected outcome.
                    let _ = board.request(now, client, number, command, outbox, &mut ());
                });
                line.run(100);
            }
        }
        let noticed = (0..line.boards.len()).any(|board| {
            matches!(
                line.halted(board),
                Some(Halt::Diverged(_) | Halt::Conflict(_))
            )
        });
        assert!(noticed, "no board noticed");
    }
}
