//! The log of a node: changes of its role, and its progress now and then. A line for each message would cost more
//! than the messages.

use synod::wire::Dropped;
use synod::{Event, Record, StateMachine, Tracer};

/// The number of slots between two progress lines.
const SLOTS_A_LINE: u64 = 64;

/// A tracer that logs the events of a node.
#[derive(Debug)]
pub struct Log;

impl Log {
    /// Logs the counts of dropped frames.
    pub fn dropped(&mut self, dropped: &Dropped) {
        let Dropped {
            damaged,
            version,
            foreign,
            malformed,
        } = *dropped;
        defmt::warn!(
            "dropped: damaged={=u32} version={=u32} foreign={=u32} malformed={=u32}",
            damaged,
            version,
            foreign,
            malformed,
        );
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Log {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        match record.event {
            Event::Adopted { ballot, .. } => defmt::info!("leads in round {=u64}", ballot.round()),
            Event::Accepting { leader } => defmt::info!("follows NODE_{=u16}", leader.0),
            Event::SteppedDown { ballot } => {
                defmt::info!("leads no more in round {=u64}", ballot.round());
            }
            Event::Preempted { by, .. } => {
                defmt::info!(
                    "gave way to NODE_{=u16} in round {=u64}",
                    by.leader().0,
                    by.round()
                );
            }
            // Nodes that have applied the same slots log the same chain; otherwise they received different decisions.
            Event::Applied { slot, chain, .. } if slot.number().is_multiple_of(SLOTS_A_LINE) => {
                defmt::info!(
                    "applied: slot={=u64} chain={=u64:016x}",
                    slot.number(),
                    chain
                );
            }
            Event::Installed { at, chain } => {
                defmt::info!(
                    "installed: slot={=u64} chain={=u64:016x}",
                    at.number(),
                    chain
                );
            }
            Event::Fenced => defmt::error!("does not vote any more: the flash failed"),
            Event::Halted { .. } => defmt::error!("halted: a rule was broken"),
            _ => {}
        }
    }
}
