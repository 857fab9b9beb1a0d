//! Event counters of a run, computed from its records alone: no allocation, no access to any node.
//!
//! It counts what is traced and nothing else, so that the counts of a run on a board are those of the same run on a
//! host. Tallies of several runs can be added up.

use crate::simulation::FaultKind;
use crate::{
    Event, Message, MessageKind, NodeId, Outcome, Queue, Reason, Record, StateMachine, Tracer,
};
use core::ops::AddAssign;

const KINDS: usize = MessageKind::ALL.len();
const REASONS: usize = Reason::ALL.len();
const QUEUES: usize = Queue::ALL.len();
const FAULTS: usize = FaultKind::ALL.len();

/// A [`Tracer`] that counts events.
///
/// Messages from a node to itself never enter the network, and are counted neither as sent nor as delivered. So in a
/// run that has become quiet, every message that was sent has been delivered or lost, or its recipient was dead.
///
/// ```
/// use synod::machines::Opaque;
/// use synod::{Event, Instant, NodeId, Record, Role, Tally, Tracer};
///
/// let mut tally = Tally::new();
/// let event: Event<'_, Opaque, 2> = Event::Suspected { leader: NodeId(0) };
/// tally.record(&Record { at: Instant::ZERO, node: NodeId(1), role: Role::Leader, event });
/// assert_eq!(tally.suspected, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// By kind of message, for each recipient but the sender.
    sent: [u64; KINDS],
    /// By kind of message, from other nodes.
    delivered: [u64; KINDS],
    /// By kind of message.
    lost: [u64; KINDS],
    /// By reason, from the node itself as well.
    ignored: [u64; REASONS],
    /// By queue.
    full: [u64; QUEUES],
    /// All records.
    pub records: u64,
    /// Elections that were won: a leader adopted the accepted entries of a quorum.
    #[doc(alias = "elections")]
    pub adopted: u64,
    /// Proposals that new leaders proposed again because a former leader may have.
    pub reproposed: u64,
    /// No-ops with which new leaders filled holes.
    pub noops: u64,
    /// Scouts and leaders that a higher ballot ended.
    pub preempted: u64,
    /// Leaders that stepped down because no quorum answered.
    pub stepped_down: u64,
    /// Times that a node suspected its leader.
    pub suspected: u64,
    /// Times that a leader saw a proposal chosen; two leaders may see it for one slot.
    pub chosen: u64,
    /// Slots applied, summed over the nodes.
    pub applied: u64,
    /// Snapshots installed, summed over the nodes.
    pub installed: u64,
    /// Epochs that began with a change of the members, summed over the nodes.
    pub reconfigured: u64,
    /// Nodes that halted.
    pub halted: u64,
    /// Nodes that were fenced because their storage failed.
    pub fenced: u64,
    /// Nodes that were killed from outside.
    pub killed: u64,
    /// Nodes that restarted after a crash.
    pub restarted: u64,
    /// Pages of promises that were not the last: the accepted entries did not fit into one.
    pub paged: u64,
    /// Replies that a session was evicted.
    pub evicted: u64,
    /// How often each kind of fault struck, except losses.
    faults: [u64; FAULTS],
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    /// Creates counters that are all zero.
    pub const fn new() -> Self {
        Self {
            sent: [0; KINDS],
            delivered: [0; KINDS],
            lost: [0; KINDS],
            ignored: [0; REASONS],
            full: [0; QUEUES],
            records: 0,
            adopted: 0,
            reproposed: 0,
            noops: 0,
            preempted: 0,
            stepped_down: 0,
            suspected: 0,
            chosen: 0,
            applied: 0,
            installed: 0,
            reconfigured: 0,
            halted: 0,
            fenced: 0,
            killed: 0,
            restarted: 0,
            paged: 0,
            evicted: 0,
            faults: [0; FAULTS],
        }
    }

    /// Returns the messages of a kind that were sent to other nodes: a broadcast to four nodes counts as four.
    pub fn sent(&self, kind: MessageKind) -> u64 {
        at(&self.sent, kind.index())
    }

    /// Returns the messages of a kind that arrived from other nodes.
    pub fn delivered(&self, kind: MessageKind) -> u64 {
        at(&self.delivered, kind.index())
    }

    /// Returns the messages of a kind that the network lost.
    pub fn lost(&self, kind: MessageKind) -> u64 {
        at(&self.lost, kind.index())
    }

    /// Returns the messages that were received and ignored for a reason, including those from the node itself.
    pub fn ignored(&self, reason: Reason) -> u64 {
        at(&self.ignored, reason.index())
    }

    /// Returns how often an item did not fit into a queue.
    pub fn full(&self, queue: Queue) -> u64 {
        at(&self.full, queue.index())
    }

    /// Returns how often a kind of fault struck; for losses, all lost messages.
    pub fn faults(&self, kind: FaultKind) -> u64 {
        match kind {
            FaultKind::Loss => self.lost_total(),
            _ => at(&self.faults, kind.index()),
        }
    }

    /// Returns the messages of all kinds that were sent to other nodes.
    pub fn sent_total(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Returns the messages of all kinds that arrived from other nodes.
    pub fn delivered_total(&self) -> u64 {
        self.delivered.iter().sum()
    }

    /// Returns the messages of all kinds that the network lost.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Counts an event of a node.
    fn event<M: StateMachine, const PAGE: usize>(
        &mut self,
        node: NodeId,
        event: &Event<'_, M, PAGE>,
    ) {
        match event {
            Event::Sent { to, message } => {
                let others = u64::from(to.without(node).len());
                add(&mut self.sent, message.kind().index(), others);
                let is_paged = matches!(message, Message::Promise { last: false, ballot, promised, .. } if ballot == promised);
                self.paged += u64::from(is_paged);
            }
            Event::Received { from, message } => {
                let arrived = u64::from(*from != node);
                add(&mut self.delivered, message.kind().index(), arrived);
                let outcome = match message {
                    Message::Response { outcome, .. } => Some(outcome),
                    _ => None,
                };
                self.evicted += u64::from(matches!(outcome, Some(Outcome::Evicted)));
            }
            Event::Lost { message, .. } => add(&mut self.lost, message.kind().index(), 1),
            Event::Ignored { reason, .. } => add(&mut self.ignored, reason.index(), 1),
            Event::Full { queue } => add(&mut self.full, queue.index(), 1),
            Event::Adopted {
                reproposed, noops, ..
            } => {
                self.adopted += 1;
                self.reproposed += u64::from(*reproposed);
                self.noops += u64::from(*noops);
            }
            Event::Preempted { .. } => self.preempted += 1,
            Event::SteppedDown { .. } => self.stepped_down += 1,
            Event::Suspected { .. } => self.suspected += 1,
            Event::Chosen { .. } => self.chosen += 1,
            Event::Applied { .. } => self.applied += 1,
            Event::Installed { .. } => self.installed += 1,
            Event::Reconfigured { .. } => self.reconfigured += 1,
            Event::Halted { .. } => self.halted += 1,
            Event::Fenced => self.fenced += 1,
            Event::Killed => self.killed += 1,
            Event::Restarted => self.restarted += 1,
            Event::Duplicated { .. } => add(&mut self.faults, FaultKind::Duplicate.index(), 1),
            // A clog is counted once, when it begins.
            Event::Delayed { cause, .. } if *cause == FaultKind::Clog => {}
            Event::Delayed { cause, .. } => add(&mut self.faults, cause.index(), 1),
            Event::FaultBegan { planned } => add(&mut self.faults, planned.kind().index(), 1),
            Event::FaultEnded { .. }
            | Event::Started
            | Event::Stopped
            | Event::Exhausted
            | Event::BackedOff { .. }
            | Event::Accepting { .. } => {}
        }
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Tally {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.records += 1;
        self.event(record.node, &record.event);
    }
}

impl AddAssign<&Self> for Tally {
    /// Adds the counts of another run.
    ///
    /// Peaks and maxima are not among the counts, so that all of them are added.
    fn add_assign(&mut self, other: &Self) {
        let pairs = [
            (&mut self.sent[..], &other.sent[..]),
            (&mut self.delivered[..], &other.delivered[..]),
            (&mut self.lost[..], &other.lost[..]),
            (&mut self.ignored[..], &other.ignored[..]),
            (&mut self.full[..], &other.full[..]),
            (&mut self.faults[..], &other.faults[..]),
        ];
        for (counts, others) in pairs {
            debug_assert_eq!(
                counts.len(),
                others.len(),
                "a count of the other run is left out"
            );
            for (count, more) in counts.iter_mut().zip(others) {
                *count += more;
            }
        }
        self.records += other.records;
        self.adopted += other.adopted;
        self.reproposed += other.reproposed;
        self.noops += other.noops;
        self.preempted += other.preempted;
        self.stepped_down += other.stepped_down;
        self.suspected += other.suspected;
        self.chosen += other.chosen;
        self.applied += other.applied;
        self.installed += other.installed;
        self.reconfigured += other.reconfigured;
        self.halted += other.halted;
        self.fenced += other.fenced;
        self.killed += other.killed;
        self.restarted += other.restarted;
        self.paged += other.paged;
        self.evicted += other.evicted;
    }
}

/// Returns one of several counts.
fn at(counts: &[u64], index: usize) -> u64 {
    debug_assert!(index < counts.len(), "a count is read that nothing adds to");
    counts.get(index).copied().unwrap_or(0)
}

/// Adds to one of several counts. Each is as long as the list that its indices come from, so that none is out of range.
fn add(counts: &mut [u64], index: usize, more: u64) {
    debug_assert!(index < counts.len(), "an event is not counted");
    if let Some(count) = counts.get_mut(index) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::Opaque;
    use crate::{Ballot, Instant, NodeSet, Proposal, Role, Slot};

    fn tally_of(events: &[(u16, Event<'_, Opaque, 2>)]) -> Tally {
        let mut tally = Tally::new();
        for (node, event) in events {
            tally.record(&Record {
                at: Instant::ZERO,
                node: NodeId(*node),
                role: Role::Node,
                event: *event,
            });
        }
        tally
    }

    #[test]
    fn messages_inside_a_node_are_not_counted_as_traffic() {
        let message = Message::Learn { from: Slot::FIRST };
        let tally = tally_of(&[
            (
                0,
                Event::Sent {
                    to: NodeSet::first(5),
                    message: &message,
                },
            ),
            (
                0,
                Event::Received {
                    from: NodeId(0),
                    message: &message,
                },
            ),
            (
                1,
                Event::Received {
                    from: NodeId(0),
                    message: &message,
                },
            ),
            (
                0,
                Event::Lost {
                    to: NodeId(2),
                    message: &message,
                },
            ),
        ]);
        let kind = MessageKind::Learn;
        assert_eq!(
            (tally.sent(kind), tally.delivered(kind), tally.lost(kind)),
            (4, 1, 1)
        );
        assert_eq!(
            (
                tally.sent_total(),
                tally.delivered_total(),
                tally.lost_total()
            ),
            (4, 1, 1)
        );
        assert_eq!(tally.sent(MessageKind::Join), 0);
        assert_eq!(tally.records, 4);
    }

    #[test]
    fn facts_of_elections_are_counted() {
        let ballot = Ballot::new(1, NodeId(0));
        let tally = tally_of(&[
            (
                0,
                Event::Adopted {
                    ballot,
                    reproposed: 2,
                    noops: 3,
                    next_slot: Slot::new(9),
                },
            ),
            (0, Event::Preempted { ballot, by: ballot }),
            (0, Event::SteppedDown { ballot }),
            (1, Event::Suspected { leader: NodeId(0) }),
        ]);
        assert_eq!((tally.adopted, tally.reproposed, tally.noops), (1, 2, 3));
        assert_eq!(
            (tally.preempted, tally.stepped_down, tally.suspected),
            (1, 1, 1)
        );
    }

    #[test]
    fn facts_of_the_log_are_counted() {
        let noop = Proposal::Noop;
        let tally = tally_of(&[
            (
                1,
                Event::Chosen {
                    slot: Slot::FIRST,
                    ballot: Ballot::new(1, NodeId(0)),
                    proposal: &noop,
                },
            ),
            (
                1,
                Event::Applied {
                    slot: Slot::FIRST,
                    proposal: &noop,
                    outcome: None,
                    chain: 7,
                },
            ),
            (
                2,
                Event::Installed {
                    at: Slot::FIRST,
                    chain: 7,
                },
            ),
        ]);
        assert_eq!((tally.chosen, tally.applied, tally.installed), (1, 1, 1));
    }

    #[test]
    fn what_nodes_cannot_do_is_counted_by_its_reason() {
        let tally = tally_of(&[
            (
                2,
                Event::Ignored {
                    from: NodeId(0),
                    kind: MessageKind::Join,
                    reason: Reason::LeaderAlive,
                },
            ),
            (
                2,
                Event::Full {
                    queue: Queue::Scheduler,
                },
            ),
            (2, Event::Killed),
        ]);
        assert_eq!(tally.ignored(Reason::LeaderAlive), 1);
        assert_eq!(tally.full(Queue::Scheduler), 1);
        assert_eq!((tally.killed, tally.halted), (1, 0));
    }

    #[test]
    fn tallies_add_up() {
        let ignored = Event::Ignored {
            from: NodeId(0),
            kind: MessageKind::Join,
            reason: Reason::LeaderAlive,
        };
        let adopted = Event::Adopted {
            ballot: Ballot::new(1, NodeId(0)),
            reproposed: 2,
            noops: 3,
            next_slot: Slot::new(9),
        };
        let tally = tally_of(&[(0, adopted), (2, ignored)]);
        let mut twice = tally.clone();
        twice += &tally;
        assert_eq!((twice.records, twice.noops), (4, 6));
        assert_eq!(twice.ignored(Reason::LeaderAlive), 2);
    }

    #[test]
    fn a_page_that_another_follows_and_a_lost_session_are_counted() {
        let ballot = Ballot::new(1, NodeId(0));
        let page = |promised, last| Message::Promise {
            ballot,
            promised,
            from: Slot::FIRST,
            low_water: Slot::ZERO,
            last,
            entries: crate::Entries::<Opaque, 2>::new(),
        };
        let refused = Ballot::new(2, NodeId(1));
        let pages = [
            page(ballot, false),
            page(ballot, true),
            page(refused, false),
        ];
        let to = NodeSet::only(NodeId(0));
        let sent = pages
            .each_ref()
            .map(|message| (1, Event::Sent { to, message }));
        assert_eq!(tally_of(&sent).paged, 1);
        let key = Proposal::<()>::Register { nonce: 7 }.key().unwrap();
        let answers = [Outcome::Evicted, Outcome::Stale].map(|outcome| Message::Response {
            key,
            fingerprint: 0,
            outcome,
        });
        let from = NodeId(1);
        let heard = answers
            .each_ref()
            .map(|message| (0, Event::Received { from, message }));
        let tally = tally_of(&heard);
        assert_eq!(tally.evicted, 1);
        let mut twice = tally.clone();
        twice += &tally;
        assert_eq!(twice.evicted, 2);
    }

    #[test]
    fn every_reason_and_queue_has_a_count_of_its_own() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index, "{reason:?}");
        }
        for (index, queue) in Queue::ALL.iter().enumerate() {
            assert_eq!(queue.index(), index, "{queue:?}");
        }
    }
}
