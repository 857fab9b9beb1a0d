//! The member of a cluster that a board runs: its type, and with it the memory that it takes for ever. A host that is a
//! member, too, must have the same.

use synod::machines::Kv;
use synod::{Config, Duration, Node, NodeId, Outbox};

/// Slots that may be under way at once.
pub const WINDOW: usize = 8;
/// Clients that have a session.
pub const CLIENTS: usize = 4;
/// Entries that travel in one message.
pub const PAGE: usize = 2;

/// A member that replicates a machine.
pub type Of<M> = Node<M, WINDOW, CLIENTS, PAGE>;
/// Room for what one step of it wants done.
pub type Room<M> = Outbox<M, PAGE, { Of::<Machine>::OUTBOX_MIN }>;

/// What the program `node` replicates: eight keys, in commands of 16 bytes.
pub type Machine = Kv<8>;
/// A member that replicates that.
pub type Member = Of<Machine>;

/// The exit code of a board whose power failed.
pub const POWER_FAILED: u8 = 110;

/// The settings of a node in a cluster of so many, for a line on which a round trip takes up to 50 ms.
pub fn config(node: NodeId, size: u16) -> Config {
    Config::new(node, size).with_round_trip(Duration::from_millis(50))
}

/// The room does not depend on the machine.
const _: () = assert!(
    Of::<crate::relays::Relays>::OUTBOX_MIN == Member::OUTBOX_MIN,
    "one room for all"
);
