//! A client on the host that keeps a model of the state and checks each answer against it.

use core::time::Duration;
use example_firmware::member::{self, PAGE};
use example_firmware::serial_line::MTU;
use synod::client::{Address, Applied};
use synod::wire::{Dropped, Frames};
use synod::{Ballot, Envelope, Message, NodeId, Slot, StateMachine};
use synod_boards::host_client::HostClient;
use synod_boards::serial_bus::SerialBus;

/// The time limit for an answer.
const WATCHDOG: Duration = Duration::from_mins(1);
/// The time after which an answer is not waited for any more where there may be none.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client of a cluster with a model of the state.
pub(crate) struct Client<M: StateMachine> {
    outside: HostClient<M>,
    asked: u32,
    slot: u64,
    expected: M,
}

impl<M: StateMachine> Client<M> {
    /// Returns the only client of a cluster of `size` nodes, of which the first `boards` are boards.
    pub(crate) fn of((bus, size): (&SerialBus, u16), boards: u16) -> Self {
        let (address, nonce) = (Address::LAST, 0x5eed);
        let end = bus.end(address.byte());
        Self {
            outside: HostClient::new((end, size), boards, address, nonce).unwrap(),
            asked: 0,
            slot: 0,
            expected: M::default(),
        }
    }

    /// Returns the slot of the last command.
    pub(crate) fn slot(&self) -> u64 {
        self.slot
    }

    pub(crate) fn dropped(&self) -> Dropped {
        self.outside.dropped()
    }

    /// Sends commands until `count` of them are applied.
    pub(crate) fn ask_until(&mut self, count: u32, command: fn(u32) -> M::Command) {
        while self.asked < count {
            self.ask(command);
        }
    }

    /// Has the next command applied exactly once, after all before it.
    pub(crate) fn ask(&mut self, command: fn(u32) -> M::Command) {
        let command = command(self.asked);
        self.asked += 1;
        let Applied { slot, output } = self.outside.ask(command, WATCHDOG).unwrap();
        assert!(slot.number() > self.slot, "a slot for each command");
        self.slot = slot.number();
        let expected = self.expected.apply(&command);
        assert_eq!(output, expected, "{command:?} is number {}", self.asked);
    }

    /// Asks for the next command where it may never be answered, and gives up soon. From then on the state is not known.
    pub(crate) fn ask_in_vain(&mut self, command: fn(u32) -> M::Command) {
        let command = command(self.asked);
        self.asked += 1;
        if let Ok(Applied { slot, .. }) = self.outside.ask(command, PATIENCE) {
            self.slot = slot.number();
        }
    }
}

/// Returns frames of another cluster with the same number and other members.
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
