//! The server: one node of a cluster as a process, with sockets, a disk and a clock, which serves Redis clients.
//!
//! What the server replicates is a [`Keyspace`](keyspace): keys with short values that can expire, and the commands of Redis
//! on them. The protocol is that of the `synod` library, unchanged.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | the loop that joins the service with sockets, the disk and the clock |
//! | [`service`] | the owner of the node: what arrives becomes frames, replies and durable records |
//! | [`session`] | what a client's connection has said so far, and what it waits for |
//! | [`command`] | commands of clients, and what they mean |
//! | [`resp`] | the protocol of Redis: requests in, replies out |
//! | [`reply`] | replies to clients, independent of the version of the protocol that a client speaks |
//! | [`keyspace`] | the replicated state machine |
//! | [`batch`] | what one command of the log holds: operations of one or several clients |
//! | [`op`] | operations on the keyspace, as they are stored in the log |
//! | [`net`] | connections to the other nodes and to clients |
//! | [`tls`] | who is at the other end of a connection: certificates, and why a connection is refused |
//! | [`cluster_file`] | the file of a cluster: its number, its founding members and their addresses |
//! | [`capacity`] | the capacities of the node, from which all of its memory follows |
//! | [`record`] | records of what a node has made durable, said and applied |
//! | [`judge`](mod@judge) | the judge of such records |
//! | `metrics` | everything that a server counts about itself, for `INFO` and for Prometheus |
//! | [`backup`] | the state of a cluster in a file, and back into another cluster |
//! | [`admin`] | questions of an operator to a running server |
//! | [`bench`](mod@bench) | a benchmark of this server and of others |

pub mod admin;
pub mod backup;
pub mod batch;
pub mod bench;
pub mod capacity;
pub mod cluster_file;
pub mod command;
pub mod judge;
pub mod keyspace;
mod metrics;
pub mod net;
pub mod op;
pub mod record;
pub mod reply;
pub mod resp;
pub mod server;
pub mod service;
pub mod session;
mod start;
pub mod tls;
mod view;

pub use server::{Notices, Options, STACK, Server, ServerError, Severity};
pub use start::{Start, StartError};
