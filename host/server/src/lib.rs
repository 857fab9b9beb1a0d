//! The server: one node of a cluster as a process, with sockets, a disk and a clock, which serves Redis clients.
//!
//! What the server replicates is a [`Keyspace`](keyspace): keys with short values that can expire, and the commands of Redis
//! on them. The protocol is that of the `synod` library, unchanged.
//!
//! | module | holds |
//! |---|---|
//! | [`command`] | commands of clients, and what they mean |
//! | [`batch`] | what one command of the log holds: operations of one or several clients |
//! | [`keyspace`] | the replicated state machine |
//! | [`op`] | operations on the keyspace, as they are stored in the log |
//! | [`reply`] | replies to clients, independent of the version of the protocol that a client speaks |
//! | [`resp`] | the protocol of Redis: requests in, replies out |

pub mod batch;
pub mod command;
pub mod keyspace;
pub mod op;
pub mod reply;
pub mod resp;
