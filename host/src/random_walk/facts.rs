//! The facts of one step that the judge wants to see, out of all that a node traces.

use super::{Asked, Machine};
use synod::machines::KvReply;
use synod::{Ballot, Event, Outcome, Record, Slot, Tally, Tracer};

/// What a step did, and what happened so far in all.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) seen: Vec<Fact>,
    pub(super) tally: Tally,
}

/// Something that a node did and that no message says.
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
