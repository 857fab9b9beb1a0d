//! The network of a server: connections to the other nodes and to clients, on one thread.
//!
//! Each node dials every other one and sends over the connection that it has dialled, so that no two nodes have to agree on
//! which of two connections stays. What cannot be sent is lost, as in any network that Paxos is made for.

mod buffer;
mod clients;
mod hello;
mod incoming;
mod outgoing;
mod peers;

pub use clients::{Clients, Limits};
pub use hello::Hello;
pub use peers::{Heard, Peers};
