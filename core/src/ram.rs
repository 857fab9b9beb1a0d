//! The memory of a node, known at compile time.
//!
//! A node has no heap, so that its memory is its size, and its size is a constant. Here it is taken apart, for a board
//! whose programmer wants to know which capacity to lower.

use crate::outbox::{Outgoing, Reply, Write};
use crate::roles::acceptor::Acceptor;
use crate::roles::leader::Leader;
use crate::roles::reader::Reader;
use crate::roles::replica::Replica;
use crate::roles::requester::Requester;
use crate::roles::snapshot::State;
use crate::table::Table;
use crate::{Node, Outbox, StateMachine};

/// The memory of one node in bytes, part by part, on the target of the compilation.
///
/// The protocol uses no other memory, except for the stack during a step. A driver adds its own: one buffer for an
/// incoming frame and one for an outgoing frame, of [`wire::len_max`](crate::wire::len_max) bytes each, and a
/// [`Journal`](crate::storage::Journal).
///
/// ```
/// use synod::machines::Opaque;
/// use synod::{Node, Outbox, Ram};
///
/// // Commands of 16 bytes, a window of 8 slots, 4 clients, 2 entries in a message.
/// const RAM: Ram = Ram::of::<Opaque, 8, 4, 2>();
/// const { assert!(RAM.total() <= 7_700, "the node does not fit into the memory that is left for it") };
/// assert_eq!(RAM.node(), size_of::<Node<Opaque, 8, 4, 2>>());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Ram {
    /// The votes: `WINDOW` commands.
    pub acceptor: usize,
    /// The log and the pending requests: `WINDOW` and `CLIENTS` commands.
    pub replica: usize,
    /// The state machine and the sessions, twice: the current state, and a snapshot that is sent or fetched.
    pub state: usize,
    /// Adopted entries or commanders, and waiting proposals: `WINDOW` and `CLIENTS` commands.
    pub leader: usize,
    /// The requests of this node's own clients: `CLIENTS` commands.
    pub requesters: usize,
    /// The reads of this node's own clients: `CLIENTS` numbers.
    pub reader: usize,
    /// Settings, timers, random number generator and the rest.
    pub rest: usize,
    /// An outbox with [`Node::OUTBOX_MIN`] of room.
    pub outbox: usize,
}

impl Ram {
    /// Returns the memory of a [`Node`] with these capacities, and of its outbox.
    pub const fn of<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >() -> Self {
        let () = Node::<M, WINDOW, CLIENTS, PAGE>::FITS;
        // The rest is what is left of the node when its large parts are subtracted.
        let node = size_of::<Node<M, WINDOW, CLIENTS, PAGE>>();
        let acceptor = size_of::<Acceptor<M::Command, WINDOW>>();
        let state = 2 * size_of::<State<M, CLIENTS>>();
        let replica = size_of::<Replica<M, WINDOW, CLIENTS>>() - state;
        let leader = size_of::<Leader<M::Command, WINDOW, CLIENTS>>();
        let requesters = size_of::<Table<Requester<M::Command>, CLIENTS>>();
        let reader = size_of::<Reader<CLIENTS>>();
        Self {
            acceptor,
            replica,
            state,
            leader,
            requesters,
            reader,
            rest: node - acceptor - state - replica - leader - requesters - reader,
            outbox: outbox::<M, PAGE>(Node::<M, WINDOW, CLIENTS, PAGE>::OUTBOX_MIN),
        }
    }

    /// Returns the size of the node without an outbox.
    pub const fn node(&self) -> usize {
        self.acceptor
            + self.replica
            + self.state
            + self.leader
            + self.requesters
            + self.reader
            + self.rest
    }

    /// Returns the size of the node and its outbox.
    pub const fn total(&self) -> usize {
        self.node() + self.outbox
    }
}

/// Returns the size of an outbox with this room, whose type cannot be named here.
const fn outbox<M: StateMachine, const PAGE: usize>(room: usize) -> usize {
    // An outbox with room for one more has one more place in each of its three queues.
    let place = size_of::<Write<M::Command>>()
        + size_of::<Outgoing<M, PAGE>>()
        + size_of::<Reply<M::Output>>();
    size_of::<Outbox<M, PAGE, 1>>() + (room - 1) * place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::{Bank, Kv, Opaque};

    #[test]
    fn the_parts_add_up_to_the_size_of_the_node() {
        fn check<
            M: StateMachine,
            const WINDOW: usize,
            const CLIENTS: usize,
            const PAGE: usize,
            const ROOM: usize,
        >() {
            let ram = Ram::of::<M, WINDOW, CLIENTS, PAGE>();
            assert_eq!(Node::<M, WINDOW, CLIENTS, PAGE>::OUTBOX_MIN, ROOM);
            assert_eq!(ram.outbox, size_of::<Outbox<M, PAGE, ROOM>>());
            assert_eq!(ram.node(), size_of::<Node<M, WINDOW, CLIENTS, PAGE>>());
            assert_eq!(ram.total(), ram.node() + ram.outbox);
            assert!(ram.rest < 512 && ram.state >= 2 * size_of::<M>());
        }
        check::<Opaque, 4, 2, 1, 14>();
        check::<Opaque, 8, 4, 2, 18>();
        check::<Kv<16>, 16, 8, 2, 30>();
        check::<Bank<3>, 32, 16, 4, 55>();
    }
}
