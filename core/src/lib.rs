#![no_std]
#![forbid(unsafe_code)]
// Size and speed. On 64-bit targets, what the path of a command gains from is inlined. On 32-bit targets a call is
// smaller than a copy of the function, so nothing requests inlining, and functions with many callers are kept out of
// line. Hence the attributes that depend on `target_pointer_width`; CONTRIBUTING.md says what one must be worth.
//! Multi-Paxos for microcontrollers, with bit-for-bit reproducible runs.
//!
//! A [`Node`] holds the whole protocol in memory whose size is fixed at compile time: no heap, no panic that input can
//! reach, no unsafe code, no clock, sockets, disks or threads. Time is passed in as an argument; messages and durable
//! writes are returned as values in an [`Outbox`]; events are reported as typed values to a [`Tracer`]. The
//! [`simulation`] and a real link drive the same node.
//!
//! # Where to start
//!
//! - The [`guide`] explains a run, and how to link, replicate, store, test and measure: begin there.
//! - To **connect nodes** over a radio, a UART or sockets: [`Node`], for how to drive it, then [`Outbox`], for the
//!   contract of a driver.
//! - To **send requests from outside the cluster**: [`client`].
//! - To **replicate your own state**: [`StateMachine`].
//! - To **keep a node across a loss of power**: [`storage`].
//! - To **see it run**: [`simulation::Simulation`], or the program `synod` of the host package.
//! - To **know why it is correct**: [`rules`].
//!
//! # The roles
//!
//! A node takes on its roles over its life. A *Seed* founds a cluster and then joins it; an *Initializer* joins one,
//! new or old; from then on a node is *Acceptor*, *Replica* and *Leader* at once. When a node suspects its leader, its
//! own Leader starts a *Scout* to win a ballot and, once it leads, a *Commander* for each slot in flight. A *Requester*
//! represents one request of a client. Roles hold state and answer with verdicts; the node passes verdicts from one
//! role to another.
//!
//! # A cluster of three, by hand
//!
//! ```
//! use synod::machines::{Key, Kv, KvCommand, KvReply};
//! use synod::{Config, Envelope, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};
//!
//! type Member = Node<Kv<8>, 8, 4, 2>;
//! let now = Instant::ZERO;
//! let mut nodes = vec![Member::found(Config::new(NodeId(0), 3), 6, now)?];
//! for number in 1..3 {
//!     nodes.push(Member::join(Config::new(NodeId(number), 3), 6, now)?);
//! }
//! let mut outbox = Outbox::<_, 2, { Member::OUTBOX_MIN }>::new();
//! let mut wire: Vec<Envelope<_, 2>> = Vec::new();
//! let mut replies = Vec::new();
//! let mut asked = false;
//! for tick in 0..2_000 {
//!     let now = Instant::from_micros(tick * 1_000);
//!     for envelope in std::mem::take(&mut wire) {
//!         let node = &mut nodes[usize::from(envelope.to.0)];
//!         node.handle_message(now, &envelope, &mut outbox, &mut ());
//!         wire.extend(outbox.messages.iter().flat_map(|out| {
//!             out.to.iter().map(|to| node.envelope(to, out))
//!         }));
//!         replies.extend(outbox.replies.iter().copied());
//!         outbox.clear();
//!     }
//!     for node in &mut nodes {
//!         node.handle_timeout(now, &mut outbox, &mut ());
//!         if node.id() == NodeId(2) && node.is_active() && !asked {
//!             node.register(now, 77, &mut outbox, &mut ())?;
//!             asked = true;
//!         }
//!         wire.extend(outbox.messages.iter().flat_map(|out| {
//!             out.to.iter().map(|to| node.envelope(to, out))
//!         }));
//!         outbox.clear();
//!     }
//! }
//! assert!(matches!(replies[0].outcome, Outcome::Registered { .. }));
//! assert!(nodes.iter().all(|node| node.chain() == nodes[0].chain() && node.applied() == nodes[0].applied()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `defmt`: `defmt::Format` on every public type, for logs on a target. Off by default.
//! - `flash`: `storage::flash`, storage in NOR flash with the blocking traits of `embedded-storage`, and a simulated flash
//!   with losses of power. Off by default; adds the dependency `embedded-storage`.
//! - `mutants`: mistakes that can be activated in a node, to test that the checks catch them. Off by default; without it,
//!   no code of a mutant is compiled.

mod ballot;
mod capacity;
mod checksum;
pub mod client;
mod codec;
mod config;
mod digest;
mod display;
mod error;
pub mod fields;
#[cfg(any(doc, doctest))]
pub mod guide;
mod invariant;
mod machine;
pub mod machines;
mod membership;
mod message;
mod mutant;
mod node;
mod node_id;
mod outbox;
#[cfg(test)]
mod properties;
mod proposal;
mod ram;
mod random;
mod roles;
pub mod simulation;
mod status;
pub mod storage;
mod table;
mod tally;
mod ticks;
mod time;
mod timer;
mod trace;
mod window;
pub mod wire;

#[doc = include_str!("../RULES.md")]
pub mod rules {}

pub use ballot::{Ballot, Slot};
pub use capacity::outbox_min;
pub use codec::{MaybeFormat, Reader, Sink, Value, Writer};
pub use config::{Config, ConfigError, Timing};
pub use digest::Digest;
pub use error::{Conflict, Divergence, ReadError, ReconfigureError, RequestError, WithdrawError};
pub use machine::{MalformedPage, SNAPSHOT_PAGE, StateMachine};
pub use membership::{Change, ChangeError, Epoch};
pub use message::{Entries, Envelope, Message, MessageKind, Proposals, SnapshotId};
#[cfg(feature = "mutants")]
pub use mutant::{Mutant, UnknownMutant};
pub use node::{Durable, Marks, Node};
pub(crate) use node_id::NODES_LEN;
pub use node_id::{NODES_MAX, NodeId, NodeSet};
pub use outbox::{AnyOutbox, Outbox, Outgoing, Reply, Write};
pub use proposal::{ClientId, Entry, Outcome, Proposal, RequestKey, RequestNumber};
pub use ram::Ram;
pub use roles::sessions::OUTPUT_MAX;
pub use status::{NodeState, Status};
pub use tally::Tally;
pub use ticks::Ticks;
pub use time::{Duration, Instant};
pub use timer::Timer;
pub use trace::{Event, Halt, Queue, Reason, Record, Role, Tracer, Way};
