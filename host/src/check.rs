//! Every state that a small cluster can be in: real nodes, a network that may do anything, and a judge.
//!
//! A [`Scope`] says how small: how many nodes, requests, rounds and losses of power. An [`Explorer`] knows where such a
//! cluster begins, what can happen in each of its states, and what comes of that: a [`World`] after the other, each a few
//! real nodes ([`Member`]), the messages that may still come, and what the judge remembers. [`search`] visits all of them,
//! breadth first, by `stateright`; [`walks`] goes through a few of them at random, as deep as one likes, from a seed.
//!
//! # What is left out
//!
//! - **Time.** A timer that is armed may fire now or later, before or after every other one. So every order of timers is
//!   there that any clocks could produce, and jitter is of no account.
//! - **Loss, delay and order.** A message that was sent may come at any time, or never: nothing ever removes it, and so it
//!   may also come again. With [`Network::Once`] it comes at most once.
//! - **How a cluster is founded.** Each exploration starts from one that was founded by the rules, with plain settings; a
//!   client's session for each of the first two requests is open, and every node has just come back from a loss of
//!   power. So nobody leads, nothing is under way, and no old message is left.
//!
//! # Power, and the end of trouble
//!
//! Each node keeps a journal on storage of the least size, as on a board, for as long as power may still fail. It fails
//! between two steps, or after any of the first operations of the storage in one; the node that comes back is what its
//! storage makes of it, and nothing else. From some of the states, and from the end of each walk, the network heals:
//! everything arrives, timers fire in turns, and the cluster must come to rest, serve a client, and do so once more when
//! its leader has stopped.
//!
//! # What is judged
//!
//! After every step, and from outside alone: from what was written, sent, applied and answered. See [`Invariant`].

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
pub use world::{Action, Letter, Member, PAGE, World};
