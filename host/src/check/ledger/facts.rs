//! What a step of a node tells the ledger: values applied, values chosen, and the situations that occurred.

use super::Asked;
use crate::check::Tape;
use crate::check::coverage::{Coverage, Situation};
use crate::check::world::PAGE;
use synod::{Ballot, Event, Message, Record, Slot, Tracer};

/// Facts of one step that the ledger needs.
#[derive(Debug, Default)]
pub(in crate::check) struct Facts {
    /// Applied slots in order, each with its value and the digest of the log up to it.
    pub(super) applied: Vec<(Slot, Asked, u64)>,
    /// Slots that the leader took for chosen, with its ballot and the value.
    pub(super) chosen: Vec<(Slot, Ballot, Asked)>,
    /// Situations that the trace tells of. The explorer adds those that only it can see.
    pub(in crate::check) coverage: Coverage,
}

impl Tracer<Tape, PAGE> for Facts {
    fn record(&mut self, record: &Record<'_, Tape, PAGE>) {
        match record.event {
            Event::Applied {
                slot,
                proposal,
                chain,
                ..
            } => {
                self.coverage.add(Situation::Applied, 1);
                self.applied.push((slot, *proposal, chain));
            }
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => self.chosen.push((slot, ballot, *proposal)),
            Event::Adopted {
                reproposed, noops, ..
            } => {
                self.coverage.add(Situation::Elected, 1);
                self.coverage.add(Situation::Reproposed, reproposed.into());
                self.coverage.add(Situation::Noop, noops.into());
            }
            Event::Preempted { .. } => self.coverage.add(Situation::Preempted, 1),
            Event::SteppedDown { .. } => self.coverage.add(Situation::SteppedDown, 1),
            Event::Installed { .. } => self.coverage.add(Situation::Installed, 1),
            Event::Reconfigured { .. } => self.coverage.add(Situation::Reconfigured, 1),
            Event::Received {
                message: Message::Superseded { .. },
                ..
            } => self.coverage.add(Situation::Superseded, 1),
            Event::Received {
                message: Message::Promise { last: false, .. },
                ..
            } => self.coverage.add(Situation::Paged, 1),
            _ => {}
        }
    }
}
