//! Network faults that are active: partitions, one-way and partial cuts, and clogged links.
//!
//! A condition is asked about a message when the message is sent and not when it arrives. So a partition does not stop
//! what is under way already, as on a real network, and the end of one releases nothing.

use super::fault::{Fault, PLAN_MAX};
use crate::{Duration, Instant, NodeId, NodeSet};
use heapless::Vec;

/// An active fault between two sets of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Between {
    /// Its index in the plan.
    index: u16,
    from: NodeSet,
    to: NodeSet,
    /// Whether it strikes messages from `to` to `from` as well.
    both: bool,
    /// When delayed messages are delivered; `None` where messages are lost.
    until: Option<Instant>,
}

/// The effect of planned faults on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkEffect {
    /// No effect.
    None,
    /// The message is lost.
    Drop,
    /// The message is delivered no earlier than after this time.
    Delay(Duration),
}

/// The active network faults.
#[derive(Clone, Debug, Default)]
pub(super) struct NetworkConditions {
    /// In the order in which they began. There are few at a time, so that asking all of them for each message is cheap.
    between: Vec<Between, PLAN_MAX>,
}

impl NetworkConditions {
    /// Begins a planned fault, which ends at `until`.
    pub(super) fn begin(&mut self, index: u16, fault: &Fault, until: Instant) {
        let Some((from, to, both)) = fault.between() else {
            return;
        };
        let until = matches!(fault, Fault::Clog { .. }).then_some(until);
        debug_assert!(
            self.between.iter().all(|between| between.index != index),
            "a fault begins twice"
        );
        let pushed = self.between.push(Between {
            index,
            from,
            to,
            both,
            until,
        });
        debug_assert!(
            pushed.is_ok(),
            "there is room: no more are under way than a plan has"
        );
    }

    /// Ends a planned fault.
    /// That of a clog has nothing left to release: each message was given its time when it was sent.
    pub(super) fn end(&mut self, index: u16) {
        self.between.retain(|between| between.index != index);
    }

    /// The effect of the active faults on a message that is sent now.
    pub(super) fn effect(&self, now: Instant, from: NodeId, to: NodeId) -> LinkEffect {
        // A cut is stronger than a clog, and of two clogs the one counts that ends later.
        let mut effect = LinkEffect::None;
        for between in &self.between {
            let forth = between.from.contains(from) && between.to.contains(to);
            let back = between.both && between.from.contains(to) && between.to.contains(from);
            if !forth && !back {
                continue;
            }
            let Some(until) = between.until else {
                return LinkEffect::Drop;
            };
            let wait = until.since(now);
            effect = match effect {
                LinkEffect::Delay(longer) if longer > wait => effect,
                _ => LinkEffect::Delay(wait),
            };
        }
        effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lose_and_clogs_hold_until_they_are_over() {
        let mut conditions = NetworkConditions::default();
        let (a, b) = (NodeId(0), NodeId(1));
        let (from, to) = (NodeSet::only(a), NodeSet::only(b));
        let at = Instant::from_micros;
        conditions.begin(4, &Fault::Clog { from, to }, at(90));
        assert_eq!(
            conditions.effect(at(20), a, b),
            LinkEffect::Delay(Duration::from_micros(70))
        );
        assert_eq!(conditions.effect(at(20), b, a), LinkEffect::None);
        conditions.begin(5, &Fault::OneWay { from, to }, at(50));
        assert_eq!(conditions.effect(at(20), a, b), LinkEffect::Drop);
        conditions.end(5);
        conditions.end(4);
        assert_eq!(conditions.effect(at(20), a, b), LinkEffect::None);
    }

    #[test]
    fn partitions_cut_both_ways_and_partial_ones_leave_a_bridge() {
        let mut conditions = NetworkConditions::default();
        let (a, b, bridge) = (NodeId(0), NodeId(1), NodeId(2));
        let passes = |conditions: &NetworkConditions, from, to| {
            conditions.effect(Instant::ZERO, from, to) == LinkEffect::None
        };
        let (one, other) = (NodeSet::only(a), NodeSet::only(b));
        conditions.begin(0, &Fault::Partial { one, other }, Instant::FAR_FUTURE);
        assert!(!passes(&conditions, a, b) && !passes(&conditions, b, a));
        assert!(passes(&conditions, a, bridge) && passes(&conditions, bridge, b));
        conditions.end(0);
        conditions.begin(1, &Fault::Partition(one), Instant::FAR_FUTURE);
        assert!(!passes(&conditions, a, bridge) && !passes(&conditions, b, a));
        assert!(passes(&conditions, b, bridge));
    }
}
