//! The roles. Each holds its own state and answers with a verdict; none knows its siblings, the network or the log.
//! [`Node`](crate::Node) carries verdicts from one to another.

pub(crate) mod acceptor;
pub(crate) mod commander;
pub(crate) mod initializer;
pub(crate) mod leader;
pub(crate) mod replica;
pub(crate) mod requester;
pub(crate) mod scout;
pub(crate) mod seed;
pub(crate) mod sessions;
pub(crate) mod snapshot;
