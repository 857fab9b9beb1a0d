//! The log of a node: changes of its role, and its progress now and then. A line for each message would cost more
//! than the messages.

use synod::client::{Question, QuestionEnvelope};
use synod::wire::Dropped;
use synod::{Event, Node, NodeSet, Outcome, Proposal, Record, Reply, StateMachine, Tracer};

/// The number of slots between two progress lines.
const SLOTS_A_LINE: u64 = 64;

/// A tracer that logs the events of a node.
#[derive(Debug, Default)]
pub struct Log {
    /// The furthest standing that was seen; `None` before the first.
    standing: Option<Standing>,
}

/// What a node is in its cluster, in the order in which it comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Learner,
    Member,
    Retired,
    /// Retired, and of no more use to the members.
    Dispensable,
}

/// The numbers of nodes, each after a space.
struct Numbers(NodeSet);

impl defmt::Format for Numbers {
    fn format(&self, f: defmt::Formatter<'_>) {
        for node in self.0.iter() {
            defmt::write!(f, " {=u16}", node.0);
        }
    }
}

impl Log {
    /// Logs what the node has become: a learner, a member, or retired. To be called after each step.
    pub fn standing<M: StateMachine, const W: usize, const C: usize, const P: usize>(
        &mut self,
        node: &Node<M, W, C, P>,
    ) {
        let standing = if node.may_leave() {
            Standing::Dispensable
        } else if node.is_retired() {
            Standing::Retired
        } else if node.is_member() {
            Standing::Member
        } else {
            Standing::Learner
        };
        let before = self.standing;
        if Some(standing) <= before {
            return;
        }
        self.standing = Some(standing);
        let (number, epoch) = (node.id().0, node.epoch().0);
        match standing {
            Standing::Learner => {
                defmt::info!("learns until NODE_{=u16} is made a member", number);
            }
            // A member that starts is none from here on.
            Standing::Member if before.is_none() => {}
            Standing::Member => defmt::info!("is a member from epoch {=u16} on", epoch),
            Standing::Retired => retired(number),
            Standing::Dispensable => {
                if before != Some(Standing::Retired) {
                    retired(number);
                }
                defmt::info!("can be switched off: others lead in epoch {=u16}", epoch);
            }
        }
    }

    /// Logs that a client asks for other members.
    pub fn asked<C>(&mut self, asked: &QuestionEnvelope<C>) {
        if let Question::Request {
            proposal: Proposal::Reconfigure(change),
        } = &asked.question
        {
            defmt::info!(
                "CLIENT_{=u8} asks to end epoch {=u16} with the members{}",
                asked.from.byte(),
                change.epoch.0,
                Numbers(change.members)
            );
        }
    }

    /// Logs why the members were not changed, if a reply says so.
    pub fn answered<O>(&mut self, reply: &Reply<O>) {
        if let Outcome::Unchanged(error) = &reply.outcome {
            defmt::warn!("the members were not changed: {=str}", error.name());
        }
    }

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

fn retired(number: u16) {
    defmt::warn!(
        "is retired: NODE_{=u16} was removed, and its number is never used again",
        number
    );
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
            Event::Reconfigured { epoch, members } => {
                defmt::info!(
                    "epoch {=u16} begins with the members{}",
                    epoch.0,
                    Numbers(members)
                );
            }
            Event::Fenced => defmt::error!("does not vote any more: the flash failed"),
            Event::Halted { .. } => defmt::error!("halted: a rule was broken"),
            _ => {}
        }
    }
}
