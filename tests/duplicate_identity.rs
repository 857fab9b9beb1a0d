//! Two boards of one number (rule N3): a board was copied with its flash, and the line between the copies was cut.
//!
//! Boards 0, 1 and 2 are a cluster. Board 1 is copied; then {0, 1} and {the copy, 2} cannot hear each other, both halves have
//! a quorum, and both decide. That cannot be prevented. It can be noticed once the line is whole again: at once where
//! everybody hears everything, as a board then hears its own number from elsewhere; and where messages go to their addresses
//! alone, by whoever has applied the log as far as a leader of the other half.

use crate::harness::cluster::{Letter, TestNode, TestOutbox};
use std::collections::VecDeque;
use synod::machines::{Key, KvCommand};
use synod::{ClientId, Config, Duration, Halt, Instant, NodeId, Outcome, Proposal, RequestNumber};

/// The places on the line: board 0, board 1, its copy, and board 2.
const BOARD_0: usize = 0;
const COPY: usize = 2;
const BOARD_2: usize = 3;

/// Boards on a line on which a message takes one turn of 10 ms.
struct Line {
    now: Instant,
    boards: Vec<TestNode>,
    /// Whether every board hears every message, or those for its number alone.
    shared: bool,
    cut: bool,
    under_way: VecDeque<(usize, Letter)>,
    answers: u32,
}

impl Line {
    /// A cluster of three that has opened a session, and a copy of board 1.
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
            under_way: VecDeque::new(),
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

    /// So many turns: what is under way arrives, and what is due is done.
    fn run(&mut self, turns: u32) {
        for _ in 0..turns {
            self.now = self.now + Duration::from_millis(10);
            for (speaker, envelope) in core::mem::take(&mut self.under_way) {
                for listener in 0..self.boards.len() {
                    let meant = self.shared || self.boards[listener].id() == envelope.to;
                    if meant && self.hears(speaker, listener) {
                        self.act(listener, |now, board, outbox| {
                            board.handle_message(now, &envelope, outbox, &mut ());
                        });
                    }
                }
            }
            for board in 0..self.boards.len() {
                self.act(board, |now, board, outbox| {
                    board.handle_timeout(now, outbox, &mut ());
                });
            }
        }
    }

    fn act(&mut self, at: usize, step: impl FnOnce(Instant, &mut TestNode, &mut TestOutbox)) {
        let mut outbox = TestOutbox::new();
        let board = &mut self.boards[at];
        step(self.now, board, &mut outbox);
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                self.under_way.push_back((at, board.envelope(to, outgoing)));
            }
        }
        for reply in &outbox.replies {
            assert!(!matches!(reply.outcome, Outcome::Reused | Outcome::Stale));
            self.answers += 1;
        }
    }

    fn ask(&mut self, board: usize, proposal: Proposal<KvCommand>) {
        self.act(board, |now, board, outbox| {
            board.ask(now, proposal, outbox, &mut ()).unwrap();
        });
    }

    /// A client of this board has so many commands applied.
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
fn n3_on_a_shared_line_both_boards_of_one_number_halt() {
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
    // One of them may have heard of the other history first.
    let causes = [1, COPY].map(|board| line.halted(board).expect("neither votes any more"));
    assert!(causes.contains(&&Halt::DuplicateIdentity));
}

#[test]
fn n3_on_a_shared_line_a_copy_is_noticed_before_anything_is_decided() {
    let (mut line, _) = Line::new(true);
    line.cut = false;
    line.run(100);
    for board in [1, COPY] {
        assert_eq!(line.halted(board), Some(&Halt::DuplicateIdentity));
    }
}

#[test]
fn n3_where_messages_go_to_their_addresses_alone_two_histories_are_noticed() {
    // As far as each other; further on one side; and further on the other.
    for (here, there) in [(1..2, 5..6), (1..3, 5..6), (1..2, 5..8)] {
        let (mut line, client) = Line::new(false);
        line.decide(BOARD_0, client, here);
        line.decide(BOARD_2, client, there);
        line.cut = false;
        line.run(100);
        // Each half goes on, and comes to where the other one was.
        for board in [BOARD_0, BOARD_2] {
            let command = KvCommand::Get(Key::numbered(0));
            for number in 20..24 {
                let number = RequestNumber(number);
                line.act(board, |now, board, outbox| {
                    // It may have halted, which is what is asked for.
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
        assert!(noticed, "nobody noticed");
    }
}
