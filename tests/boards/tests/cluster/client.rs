//! A client on the host: one thing at a time, and where nothing is heard the same again at another board.

use core::time::Duration;
use example_firmware::line::MTU;
use example_firmware::member::{self, PAGE};
use std::time::Instant;
use synod::wire::{CLIENT, Dropped, Frames};
use synod::{
    Ballot, ClientId, Envelope, Message, NodeId, Outcome, Proposal, RequestKey, RequestNumber,
    Slot, StateMachine,
};
use synod_boards::hub::End;

/// How long a board may be silent before another one is asked.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long an answer may take in all.
const WATCHDOG: Duration = Duration::from_mins(1);

/// A client of a cluster, and what the state must be.
pub(crate) struct Client<M: StateMachine> {
    end: End,
    frames: Frames<M, PAGE, MTU>,
    cluster: u32,
    boards: u16,
    at: u16,
    id: ClientId,
    asked: u32,
    slot: u64,
    expected: M,
}

impl<M: StateMachine> Client<M> {
    /// Opens a session in a cluster of which the first so many members are boards.
    pub(crate) fn register((end, size): (End, u16), boards: u16) -> Self {
        let cluster = member::Of::<M>::fingerprint_of(&member::config(NodeId(0), size));
        let mut client = Self {
            end,
            frames: Frames::new(cluster),
            cluster,
            boards,
            at: 0,
            id: ClientId(0),
            asked: 0,
            slot: 0,
            expected: M::default(),
        };
        let nonce = 0x5eed;
        match client.say(Proposal::Register { nonce }) {
            Outcome::Registered { client: id } => client.id = id,
            other => panic!("registered: {other:?}"),
        }
        client
    }

    /// The slot of the last command.
    pub(crate) fn slot(&self) -> u64 {
        self.slot
    }

    pub(crate) fn dropped(&self) -> Dropped {
        self.frames.dropped()
    }

    /// Asks until so many commands are applied.
    pub(crate) fn ask_until(&mut self, count: u32, command: fn(u32) -> M::Command) {
        while self.asked < count {
            self.ask(command);
        }
    }

    /// Has the next command applied: once, behind all before it.
    pub(crate) fn ask(&mut self, command: fn(u32) -> M::Command) {
        let command = command(self.asked);
        self.asked += 1;
        let said = self.say(Proposal::Request {
            client: self.id,
            number: RequestNumber(self.asked),
            command,
        });
        match said {
            Outcome::Applied { slot, output } => {
                assert!(slot.number() > self.slot, "a slot for each command");
                self.slot = slot.number();
                let expected = self.expected.apply(&command);
                assert_eq!(output, expected, "{command:?} is number {}", self.asked);
            }
            other => panic!("{command:?} is number {}: {other:?}", self.asked),
        }
    }

    fn say(&mut self, proposal: Proposal<M::Command>) -> Outcome<M::Output> {
        let key = proposal.key().unwrap();
        let began = now();
        while began.elapsed() < WATCHDOG {
            let envelope = Envelope {
                cluster: self.cluster,
                from: CLIENT,
                to: NodeId(self.at),
                message: Message::Request { proposal },
            };
            self.send(&envelope);
            if let Some(outcome) = self.hear(key) {
                return outcome;
            }
            self.at = (self.at + 1) % self.boards;
        }
        panic!("{proposal:?} was not answered");
    }

    fn send(&self, envelope: &Envelope<M, PAGE>) {
        let mut buffer = [0; MTU];
        let len = self.frames.encode(envelope, &mut buffer).unwrap();
        self.end.send(&buffer[..len]);
    }

    /// The answer; `None` where there is none, or the board is busy.
    fn hear(&mut self, key: RequestKey) -> Option<Outcome<M::Output>> {
        loop {
            let frame = self.end.receive(PATIENCE)?;
            let Ok(envelope) = self.frames.decode(&frame) else {
                continue;
            };
            match envelope.message {
                Message::Response {
                    key: of, outcome, ..
                } if of == key => {
                    return (outcome != Outcome::Busy).then_some(outcome);
                }
                // Of what was asked before, and asked twice.
                _ => {}
            }
        }
    }
}

/// What another cluster's nodes say: one with the same number and other members.
pub(crate) fn foreign_frames() -> Vec<Vec<u8>> {
    let cluster = member::Member::fingerprint_of(&member::config(NodeId(0), 5));
    let frames = Frames::<member::Machine, PAGE, MTU>::new(cluster);
    let (ballot, decided) = (Ballot::new(9, NodeId(2)), Slot::new(77));
    let said = [
        Message::Heartbeat {
            ballot,
            decided,
            chain: 0,
        },
        Message::Decision { ballot, decided },
        Message::Prepare {
            ballot,
            from: Slot::new(1),
        },
    ];
    let encode = |message: Message<member::Machine, PAGE>| {
        let mut buffer = [0; MTU];
        let envelope = Envelope {
            cluster,
            from: NodeId(2),
            to: NodeId(1),
            message,
        };
        let len = frames.encode(&envelope, &mut buffer).unwrap();
        buffer[..len].to_vec()
    };
    said.into_iter().map(encode).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a watchdog, on which no result depends"
)]
fn now() -> Instant {
    Instant::now()
}
