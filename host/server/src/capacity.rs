//! Capacities of a server's node. All memory that the node takes follows from them.

use crate::keyspace::Keyspace;
use synod::wire::{Frames, len_max};
use synod::{Node, Outbox};

/// Slots in flight at once, and decisions that are kept for other nodes.
pub const WINDOW: usize = 256;
/// Open sessions, and requests outstanding at one node. Each node has [`LANES`] sessions, and every start of a node takes
/// new ones; the others are for clients with sessions of their own.
pub const CLIENTS: usize = 256;
/// Entries in one message.
pub const PAGE: usize = 4;
/// Batches that a node has in flight at once, each in a session of its own.
pub const LANES: usize = 4;
/// Requests in sessions of their own that clients may have outstanding at one node.
pub const ASKED_MAX: usize = 128;
/// The longest frame between nodes, in bytes.
pub const FRAME_MAX: usize = len_max::<Keyspace, PAGE>();

/// The node of a server.
pub type Member = Node<Keyspace, WINDOW, CLIENTS, PAGE>;
/// The outbox of a server. A turn gathers many steps, which are made durable with one sync.
pub type Room = Outbox<Keyspace, PAGE, { 2 * Member::OUTBOX_MIN }>;
/// Frames between the nodes of a cluster.
pub type PeerFrames = Frames<Keyspace, PAGE, FRAME_MAX>;

/// The greatest number of operations that wait to be proposed, or to be read, at one node. A client that asks for more is
/// told to ask later.
pub const WAITING_MAX: usize = 16_384;
/// The size of the log of a node, in bytes. It is allocated when the log is created, and holds four times the largest
/// snapshot and the records between two of them.
pub const LOG_CAPACITY: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use crate::batch::Batch;
    use crate::keyspace::{BYTES_MAX, KEYS_MAX};
    use crate::op::{KEY_MAX, VALUE_MAX};

    #[test]
    fn the_documents_name_the_bounds_as_they_are() {
        let guide = include_str!("../../../core/guide/server.md");
        let keys = format!("{},{:03}", KEYS_MAX / 1_000, KEYS_MAX % 1_000);
        for row in [
            format!("| a key | {KEY_MAX} bytes |"),
            format!("| a value | {VALUE_MAX} bytes |"),
            format!(
                "| the commands of a transaction, or one command with many keys | {} bytes, as they are encoded |",
                Batch::MAX
            ),
            format!("| keys | {keys} |"),
            format!("| bytes of all keys and values | {} MiB |", BYTES_MAX >> 20),
        ] {
            assert!(guide.contains(&row), "{row}");
        }
        let readme = include_str!("../../../README.md");
        let sentence = format!("at most {keys} keys with values of {VALUE_MAX} bytes");
        assert!(readme.contains(&sentence), "{sentence}");
    }
}
