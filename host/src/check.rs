//! Model checking: visits every state of a small cluster of real nodes, on a network that may do anything.
//!
//! A [`Scope`] bounds the cluster: the numbers of nodes, requests, rounds and losses of power. An [`Explorer`] knows
//! the initial state, the actions that are possible in each state, and their effects. A state is a [`World`]: a few
//! real nodes ([`Member`]), the messages in flight, and the ledger of past events. [`search`] visits all states breadth
//! first; [`walks`] makes random walks of any depth from a seed.
//!
//! # Abstractions
//!
//! - **Time.** An armed timer may fire now or later, before or after every other one. This covers every order of timers
//!   that any clocks could produce, so jitter has no effect.
//! - **Loss, delay and order.** A message that was sent may arrive at any time or never. Nothing removes it, so it may
//!   also arrive again. With [`Network::Once`] it arrives at most once.
//! - **Founding.** Each exploration starts from a cluster founded by the rules with default settings. A client's
//!   session for each of the first two requests is open, and every node has just restarted after a loss of power. So no
//!   node leads, no message is in flight, and none is left over.
//! - **Members.** A scope may have newcomers, which have joined as learners before the start, and an operator, who asks
//!   founding nodes for one change of the members. Rounds are bounded in each epoch.
//! - **Reads.** A scope may have reads without a slot of the log, which clients ask at any node and at any time.
//!
//! # Power loss and liveness
//!
//! Each node keeps a journal on storage of the smallest size, as on a board, as long as power may still fail. Power
//! fails between two steps, or after any of the first storage operations of a step; the node then restarts from its
//! storage. From some of the states, and from the end of each walk, all faults end: every message arrives, timers fire
//! in turns, and the cluster must come to rest, serve a client, and do so again after its leader has stopped.
//!
//! # Checks
//!
//! After every step, the invariants are checked from the outside: by what was written, sent, applied and answered. See
//! [`Invariant`].

mod coverage;
mod explorer;
mod initial_state;
mod interning;
mod invariant;
mod ledger;
mod liveness;
mod machine;
mod schedule;
mod scope;
mod search;
mod walk;
mod world;

#[cfg(test)]
mod tests;

pub use coverage::{Coverage, Situation};
pub use explorer::Explorer;
pub use initial_state::StartError;
pub use invariant::{Broken, Invariant};
pub use machine::Tape;
pub use schedule::{Line, schedule};
pub use scope::{Network, Scope};
pub use search::{Bounds, End, Explored, Violation, Watch, search};
pub use walk::walks;
pub use world::{Action, InFlight, Member, PAGE, World};
