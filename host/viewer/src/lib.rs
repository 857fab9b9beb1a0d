//! A run of a simulated cluster as one page that plays it.
//!
//! A [`Recorder`] takes down what happens in a run: each record of the trace, with the line of the log that it is, the
//! ways of messages, and what changes in the state of each node. [`Recorder::page`] makes one HTML file of that, which shows
//! messages and states together and needs neither a network nor another file.
//!
//! The facts are lines of JSON, compressed. Scripts and styles are in `assets/`: plain modules for a browser, which are
//! joined to one script when the page is written. What they are given are these lines only, wherever they come from.
//!
//! The text of a line is the caller's, as logs differ in what they add to a record; everything else is taken from the core,
//! so that this package needs neither the command line nor an operating system.

mod fact;
mod page;
mod recorder;
mod rules;
mod state;

pub use page::Head;
pub use recorder::Recorder;
pub use rules::{Rule, rules};
pub use state::NodeState;
