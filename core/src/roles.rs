//! The protocol roles. Each role holds its own state and answers each input with a verdict; it knows neither the other
//! roles, nor the network, nor the log. [`Node`](crate::Node) passes verdicts from one role to another.

pub(crate) mod acceptor;
pub(crate) mod commander;
pub(crate) mod initializer;
pub(crate) mod leader;
pub(crate) mod reader;
pub(crate) mod replica;
pub(crate) mod requester;
pub(crate) mod scout;
pub(crate) mod seed;
pub(crate) mod sessions;
pub(crate) mod snapshot;
