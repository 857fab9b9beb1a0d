//! The type of the member that a board runs, which determines its memory. A member on a host must have the same type.

use synod::machines::Kv;
use synod::{Config, Duration, Node, NodeId, Outbox};

/// Slots in flight.
pub const WINDOW: usize = 8;
/// Clients with a session.
pub const CLIENTS: usize = 4;
/// Entries in one message.
pub const PAGE: usize = 2;

/// A member that replicates a state machine.
pub type Of<M> = Node<M, WINDOW, CLIENTS, PAGE>;
/// An outbox with room for one step.
pub type Room<M> = Outbox<M, PAGE, { Of::<Machine>::OUTBOX_MIN }>;

/// The state machine of the program `node`: eight keys, with commands of 16 bytes.
pub type Machine = Kv<8>;
/// The member of the program `node`.
pub type Member = Of<Machine>;

/// The exit code of a board whose power failed.
pub const POWER_FAILED: u8 = 110;

/// Returns the settings of a node for a serial line with round trips of up to 50 ms.
pub fn config(node: NodeId, size: u16) -> Config {
    Config::new(node, size).with_round_trip(Duration::from_millis(50))
}

/// The room does not depend on the state machine.
const _: () = assert!(
    Of::<crate::relays::Relays>::OUTBOX_MIN == Member::OUTBOX_MIN,
    "one room for all"
);
