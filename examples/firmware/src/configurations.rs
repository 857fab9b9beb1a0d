//! Three configurations of a node for boards, from the smallest to the largest, whose costs `cargo budget` shows.
//! Copy the nearest one, change its numbers, and ask [`synod::Ram::of`] for its memory.

use synod::machines::{Key, Kv, KvCommand};
use synod::{MalformedPage, Node, Reader, Sink, StateMachine, Writer};

/// The rows of the table of `cargo budget`, in order.
pub const PARTS: [&str; 11] = [
    "acceptor",
    "replica",
    "state machine and sessions, twice",
    "leader",
    "requesters",
    "reader",
    "rest of the node",
    "outbox",
    "journal in flash",
    "frames, one in and one out",
    "all of it",
];

/// The names of the configurations.
pub const NAMES: [&str; 3] = ["sensor", "controller", "gateway"];

/// The smallest node: a few sensors agree on the latest valid reading. Each message fits into a CAN FD frame.
pub mod sensor {
    use super::{Latest, Node};

    /// Slots in flight: readings are rare.
    pub const WINDOW: usize = 4;
    /// Clients with a session: the board itself, and one with a cable.
    pub const CLIENTS: usize = 2;
    /// Entries in a message.
    pub const PAGE: usize = 1;
    /// The longest CAN FD frame, in bytes.
    pub const MTU: usize = 64;

    /// The state machine, with commands of 4 bytes.
    pub type Machine = Latest;
    /// The node.
    pub type Member = Node<Machine, WINDOW, CLIENTS, PAGE>;
}

/// A node beside other work on a small board: controllers that take over from each other, with their set points in a
/// few keys. It is the [`member`](crate::member) that the program `node` runs; each message fits into a frame of its
/// serial line.
pub mod controller {
    pub use crate::member::{CLIENTS, Machine, Member, PAGE, WINDOW};
    pub use crate::serial_line::MTU;
}

/// A node with many clients: a gateway with a client for each of its devices. Each message fits into an ESP-NOW
/// frame.
pub mod gateway {
    use super::{Kv, Node};

    /// Slots in flight: one for each client, so that none waits for another.
    pub const WINDOW: usize = 64;
    /// Clients with a session.
    pub const CLIENTS: usize = 64;
    /// Entries in a message.
    pub const PAGE: usize = 5;
    /// The longest ESP-NOW frame, in bytes.
    pub const MTU: usize = 250;

    /// The state machine: sixty-four keys, with commands of up to 16 bytes.
    pub type Machine = Kv<64>;
    /// The node.
    pub type Member = Node<Machine, WINDOW, CLIENTS, PAGE>;
}

const _: () = {
    use synod::wire::len_max;
    assert!(len_max::<Latest, { sensor::PAGE }>() <= sensor::MTU);
    assert!(len_max::<controller::Machine, { controller::PAGE }>() <= controller::MTU);
    assert!(len_max::<gateway::Machine, { gateway::PAGE }>() <= gateway::MTU);
};

/// A state machine whose clients can set a number of their choice.
pub trait Settable: StateMachine {
    /// Returns the command by which a client sets a number.
    fn set(client: u16, number: u32) -> Self::Command;
}

impl<const KEYS: usize> Settable for Kv<KEYS> {
    fn set(client: u16, number: u32) -> KvCommand {
        KvCommand::Set(Key::numbered(client.into()), number.into())
    }
}

impl Settable for Latest {
    fn set(_client: u16, number: u32) -> u32 {
        number
    }
}

/// A state machine of the last reading and the number of readings. The answer to a reading is its position in their
/// sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(target_os = "none", derive(defmt::Format))]
pub struct Latest {
    value: u32,
    count: u32,
}

impl StateMachine for Latest {
    type Command = u32;
    type Output = u32;

    /// The smallest allowed size, for frames of 64 bytes.
    const PAGE_BYTES: usize = 28;

    fn apply(&mut self, reading: &u32) -> u32 {
        self.value = *reading;
        self.count = self.count.wrapping_add(1);
        self.count
    }

    fn snapshot_pages(&self) -> u32 {
        u32::from(*self != Self::default())
    }

    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put_u32(self.value);
        writer.put_u32(self.count);
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.value = reader.u32().ok_or(MalformedPage)?;
        self.count = reader.u32().ok_or(MalformedPage)?;
        Ok(())
    }
}
