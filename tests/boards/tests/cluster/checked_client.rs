//! A client on the host that keeps a model of the state and checks each answer against it.

use core::time::Duration;
use example_firmware::member::{self, PAGE};
use example_firmware::serial_line::MTU;
use synod::client::{Address, Applied};
use synod::wire::{Dropped, Frames};
use synod::{
    Ballot, Change, ChangeError, Envelope, Epoch, Message, NodeId, NodeSet, Slot, StateMachine,
    Status,
};
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
    /// A command that was withdrawn: the next answer settles whether it was applied (rule X4).
    withdrawn: Option<M::Command>,
}

impl<M: StateMachine> Client<M> {
    /// Returns the only client of a cluster of `size` nodes, of which the first `boards` are boards.
    pub(crate) fn of((bus, size): (&SerialBus, u16), boards: u16) -> Self {
        let (address, nonce) = (Address::LAST, 0x5eed);
        let end = bus.end(address.byte());
        Self {
            outside: HostClient::new((end, size), NodeSet::first(boards), address, nonce).unwrap(),
            asked: 0,
            slot: 0,
            expected: M::default(),
            withdrawn: None,
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
        if let Some(withdrawn) = self.withdrawn.take() {
            let mut applied = self.expected.clone();
            applied.apply(&withdrawn);
            if applied.clone().apply(&command) == output {
                self.expected = applied;
            }
        }
        let expected = self.expected.apply(&command);
        assert_eq!(output, expected, "{command:?} is number {}", self.asked);
    }
}

impl<M: StateMachine> Client<M> {
    /// Replaces the boards that are asked.
    pub(crate) fn set_members(&mut self, boards: &[u16]) {
        self.outside.set_members(set(boards)).unwrap();
    }

    /// Has a board that learns take the place of a member; `source` knows the present members.
    pub(crate) fn replace(&mut self, lost: u16, by: u16, source: u16) -> Change {
        let nodes = (NodeId(lost), NodeId(by));
        let replaced = self.outside.replace(nodes, NodeId(source), WATCHDOG);
        replaced.unwrap()
    }

    /// Asks for a change of the members.
    pub(crate) fn reconfigure(
        &mut self,
        epoch: u16,
        members: &[u16],
    ) -> Result<Epoch, ChangeError> {
        let change = Change {
            epoch: Epoch(epoch),
            members: set(members),
        };
        self.outside.reconfigure(change, WATCHDOG).unwrap()
    }

    /// Returns the status of a board as soon as it is as expected.
    pub(crate) fn status_once(&mut self, board: u16, is_it: impl Fn(&Status) -> bool) -> Status {
        let node = NodeId(board);
        let status = self
            .outside
            .status_when(node, "come so far", WATCHDOG, is_it);
        status.unwrap()
    }

    /// Asks for the next command where it may never be answered, and gives up soon.
    pub(crate) fn ask_in_vain(&mut self, command: fn(u32) -> M::Command) {
        let command = command(self.asked);
        self.asked += 1;
        if let Ok(Applied { slot, .. }) = self.outside.ask(command, PATIENCE) {
            self.slot = slot.number();
        } else {
            self.withdrawn = Some(command);
        }
    }
}

pub(crate) fn set(boards: &[u16]) -> NodeSet {
    boards.iter().copied().map(NodeId).collect()
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
