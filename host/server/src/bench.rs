//! A benchmark of servers: clients on one thread that make requests, count what becomes of them, and time the answers.
//!
//! Latency counts from the time at which a request was due. In a closed loop that is when its client makes it; in an open
//! loop it is the time of the schedule, whether or not a client was free by then, so that a server that stops for a while is
//! charged for all requests that had to wait (and not only for those that were under way: *coordinated omission*).
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | what a benchmark does |
//! | [`schedule`] | when requests are due, and which of them are measured |
//! | [`workload`] | what is asked for |
//! | [`dialect`] | the protocol that is spoken: RESP, or another |
//! | [`etcd`] | the protocol of etcd |
//! | [`tally`] | what became of the requests |
//! | [`report`] | figures, as tables and as JSON |
//! | [`engine`] | the loop that joins these with sockets and the clock |

mod alarm;
mod connection;
pub mod dialect;
pub mod engine;
pub mod etcd;
pub mod plan;
pub mod report;
pub mod schedule;
pub mod tally;
pub mod workload;

pub use dialect::{Dialect, Resp};
pub use engine::{BenchError, Progress, Watch, run};
pub use etcd::Etcd;
pub use plan::{Length, Operation, Pace, Plan};
pub use report::{Comparison, Summary};
