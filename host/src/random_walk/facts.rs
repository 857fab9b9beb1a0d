//! Traced facts of one step that the checker needs.

use super::{Asked, Machine};
use synod::machines::KvReply;
use synod::{Ballot, Event, Outcome, Record, Slot, Tally, Tracer};

/// Facts of a step, and counts of all events so far.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) seen: Vec<Fact>,
    pub(super) tally: Tally,
}

/// A fact that no message contains.
pub(super) enum Fact {
    Chosen {
        slot: Slot,
        ballot: Ballot,
        proposal: Asked,
    },
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
            _ => {}
        }
    }
}
