//! The network of a server: connections to the other nodes, to clients and to those who ask for metrics, on one thread.
//!
//! Each node dials every other one and sends over the connection that it has dialled, so that no two nodes have to agree on
//! which of two connections stays. What cannot be sent is lost, as in any network that Paxos is made for.

mod buffer;
mod clients;
mod hello;
mod incoming;
mod outgoing;
mod peers;
mod refused;
mod scrapes;
mod stream;

pub use clients::{Clients, Limits};
pub use hello::Hello;
pub use peers::{Heard, Peers};
pub use scrapes::{Page, ScrapeCounts, Scrapes};
pub(crate) use stream::Stream;

use std::io::{self, ErrorKind};

/// True if an error of accepting concerns one connection alone, so that the next one can be accepted.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// True if connections wait that cannot be accepted for the present, such as for want of file descriptors.
fn is_accepted_later<T>(accepted: &io::Result<T>) -> bool {
    accepted
        .as_ref()
        .is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
}
