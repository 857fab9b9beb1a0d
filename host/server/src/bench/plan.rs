//! What a benchmark does.

use crate::tls::Trust;
use core::net::SocketAddr;
use core::time::Duration;

/// All that decides what a benchmark does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The servers. The clients are spread over them.
    pub addresses: Vec<SocketAddr>,
    /// Whom to trust if they speak TLS; `None` for plain text.
    pub trust: Option<Trust>,
    /// The number of clients, each with a connection.
    pub clients: usize,
    /// The number of requests that a client may have under way.
    pub depth: usize,
    /// When requests are due.
    pub pace: Pace,
    /// How much is measured.
    pub length: Length,
    /// How long requests are made before they are measured.
    pub warm_up: Duration,
    /// What is asked for.
    pub operation: Operation,
    /// The number of keys.
    pub keys: u64,
    /// The length of values, in bytes.
    pub value_bytes: usize,
    /// How long a client waits for an answer before it gives up its connection.
    pub timeout: Duration,
}

/// When requests are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As soon as a client is free: each sends when it has its answer.
    Closed,
    /// At a fixed rate, whether or not a client is free.
    Open {
        /// The number of requests a second, of all clients together; at least 1.
        per_second: u64,
    },
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The requests that are due in so much time.
    Time(Duration),
    /// So many requests.
    Requests(u64),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Values are set, of random keys.
    Set,
    /// Random keys are read.
    Get,
    /// Random counters are counted up.
    Incr,
    /// Values of random keys are read and set.
    Mix {
        /// The share of reads, in millionths.
        reads_ppm: u32,
    },
    /// Values of all keys are set, one after the other.
    Fill,
}

impl Operation {
    /// Returns the name of the operation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Get => "get",
            Self::Incr => "incr",
            Self::Mix { .. } => "mix",
            Self::Fill => "fill",
        }
    }
}

impl Plan {
    /// Returns what sets all keys once, if the benchmark reads.
    #[must_use]
    pub fn fill(&self) -> Option<Self> {
        let reads = matches!(self.operation, Operation::Get | Operation::Mix { .. });
        reads.then(|| Self {
            pace: Pace::Closed,
            length: Length::Requests(self.keys),
            warm_up: Duration::ZERO,
            operation: Operation::Fill,
            ..self.clone()
        })
    }
}
