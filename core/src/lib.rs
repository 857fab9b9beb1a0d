#![no_std]
#![forbid(unsafe_code)]
//! lib

mod ballot;
mod codec;
mod config;
mod digest;
mod error;
mod machine;
pub mod machines;
mod message;
mod node;
mod node_id;
mod outbox;
mod proposal;
mod random;
mod roles;
pub mod simulation;
mod table;
mod tally;
mod time;
mod timer;
mod trace;
mod window;

pub use ballot::{Ballot, Slot};
pub use codec::{MaybeFormat, Reader, Sink, Value, Writer};
pub use config::{Config, ConfigError};
pub use digest::Digest;
pub use error::{Conflict, RequestError};
pub use machine::{MalformedPage, SNAPSHOT_PAGE, StateMachine};
pub use message::{Entries, Envelope, Message, MessageKind, Proposals, SnapshotId};
pub use node::{Marks, Node};
pub(crate) use node_id::NODES_LEN;
pub use node_id::{NODES_MAX, NodeId, NodeSet};
pub use outbox::{Outbox, Outgoing, Reply, Write};
pub use proposal::{ClientId, Entry, Outcome, Proposal, RequestKey, RequestNumber};
pub use roles::sessions::OUTPUT_MAX;
pub use tally::Tally;
pub use time::{Duration, Instant};
pub use trace::{Event, Fault, Queue, Reason, Record, Role, Tracer};
