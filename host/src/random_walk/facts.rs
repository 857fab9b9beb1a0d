//! Traced facts of one step that the checker needs.
//!
//! They are the only thing that the checker learns from inside of a node. Everything else it takes
//! from writes and messages, which other nodes see as well.

use super::{Asked, Machine};
use synod::machines::KvReply;
use synod::{Ballot, Event, Message, Outcome, Record, Slot, Tally, Tracer};

/// Facts of a step, and counts of all events so far.
#[derive(Default)]
pub(super) struct Facts {
    /// Facts of the current step, in order; cleared before each step.
    pub(super) seen: Vec<Fact>,
    /// Counts of all steps so far.
    pub(super) tally: Tally,
    /// Number of times that a node has heard that its epoch had ended.
    pub(super) superseded: u64,
}

/// A fact that no message contains.
///
/// Both are claims of a node about the log, which the checker compares with the votes.
pub(super) enum Fact {
    /// A leader takes a value for chosen.
    Chosen {
        slot: Slot,
        ballot: Ballot,
        proposal: Asked,
    },
    /// A node applies a slot, with this outcome for the client; `chain` is the digest of its log up
    /// to there.
    Applied {
        slot: Slot,
        proposal: Asked,
        outcome: Option<Outcome<KvReply>>,
        chain: u64,
    },
}

impl<const PAGE: usize> Tracer<Machine, PAGE> for Facts {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        self.tally.record(record);
        match record.event {
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => self.seen.push(Fact::Chosen {
                slot,
                ballot,
                proposal: *proposal,
            }),
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => self.seen.push(Fact::Applied {
                slot,
                proposal: *proposal,
                outcome: outcome.copied(),
                chain,
            }),
            Event::Received {
                message: Message::Superseded { .. },
                ..
            } => self.superseded += 1,
            _ => {}
        }
    }
}
