//! Records of real nodes: what each node has made durable, said and applied, for `synod judge`.
//!
//! A record is a text file of one node, one fact a line. It is written turn by turn, when the writes of a turn are durable,
//! so that it never tells of a vote that a loss of power could have taken back. Other nodes may know more: what is handed
//! to the writer is in the file a little later, and is missing if the process is killed before.
//!
//! | line | tells |
//! |---|---|
//! | `start 1 CLUSTER NODE PROCESS FOUNDERS VOTES` | the node starts; `1` is the version of the format |
//! | `held SLOT BALLOT VALUE` | a vote that it has found in its storage |
//! | `promised BALLOT` | it has written a promise |
//! | `voted SLOT BALLOT VALUE` | it has written a vote |
//! | `said KIND …` | a message has left it: what it says of ballots, slots and values |
//! | `applied SLOT VALUE CHAIN`, maybe with `again` | it has applied a slot; again, if the command had taken effect before |
//! | `fenced`, `halted CAUSE` | its storage has failed; it has halted |
//! | `at PROMISED FORGOTTEN APPLIED CHAIN EPOCH MEMBERS` | the turn, or the start, is over, and so far it is |
//! | `stop` | it has stopped in good order: nothing is missing |
//! | `incomplete FACTS` | so many facts were not recorded, as the disk was slow or full |
//!
//! A ballot is `EPOCH.ROUND.NODE`. A value is `-` (a no-op), `r` or `c` with a fingerprint (a session; a command with its
//! session and number), or `mEPOCH:MEMBERS` (a change of the members). Sets of nodes and fingerprints are hexadecimal.
//! There are no keys and no values, but a fingerprint confirms a guess.

mod fact;
mod file;
mod parse;
mod recorder;

pub use fact::{Fact, PAGE_MAX, Recorded, Started};
pub use file::{RecordError, RecordFile, Sink};
pub use parse::{Expected, parse};
pub use recorder::Recorder;
