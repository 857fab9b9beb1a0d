//! RESP, the protocol between Redis and its clients, in its versions 2 and 3: requests that arrive, replies that leave, and
//! replies as a client reads them. Nothing here does input or output.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | the parser of requests |
//! | [`encode`](encode()) | the encoder of replies |
//! | [`response`] | the parser of replies, for benchmarks and tests |

mod encode;
mod integer;
pub mod request;
pub mod response;

pub use encode::encode;
pub(crate) use integer::{integer, unsigned};

/// The version of the protocol that a client speaks. A connection begins with [`Resp2`](Self::Resp2), and `HELLO` changes
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, which every client speaks.
    #[default]
    Resp2,
    /// RESP3, which has maps and one form of nil.
    Resp3,
}

impl Protocol {
    /// Returns the number of the version, as `HELLO` takes and shows it.
    pub fn version(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}
