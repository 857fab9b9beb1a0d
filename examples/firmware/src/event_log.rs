//! What a node logs: its turns of fate, and now and then how far it is. One line for each message would cost more than
//! the messages.

use synod::wire::Dropped;
use synod::{Event, Record, StateMachine, Tracer};

/// How many slots are between two lines about how far a node is.
const SLOTS_A_LINE: u64 = 64;

/// Logs what happens to a node.
#[derive(Debug)]
pub struct Log;

impl Log {
    /// A frame was dropped: how many were, of each kind.
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
            // Whoever has applied as far has the same chain: else they were told different things.
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
