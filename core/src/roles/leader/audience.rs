//! The audience of a leader: the nodes that it tells what it proposes, which of them answer, and how far each has caught up.

use super::{Leader, LeaderState, NOT_HEARD};
use crate::mutant::Mutant;
use crate::{ChangeError, NodeId, NodeSet, Slot};

impl<C: Copy + Eq, const WINDOW: usize, const CLIENTS: usize> Leader<C, WINDOW, CLIENTS> {
    /// Returns the nodes that a leader sends accepts, decisions and heartbeats to; none if this node does not lead.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn audience(&self) -> NodeSet {
        match &self.state {
            LeaderState::Leading(leadership) => leadership.audience,
            _ => NodeSet::EMPTY,
        }
    }

    /// Notes that a node has answered under the current ballot.
    pub(crate) fn on_answer(&mut self, from: NodeId) {
        if let LeaderState::Leading(leadership) = &mut self.state {
            leadership.answering.insert(from);
        }
    }

    /// Notes how far a node has applied the log, which may be a learner.
    pub(crate) fn on_applied(&mut self, from: NodeId, applied: Slot) {
        if let LeaderState::Leading(leadership) = &mut self.state
            && let Some(lag) = leadership.lags.get_mut(usize::from(from.0))
        {
            let behind = leadership.commanders.floor().distance(applied);
            *lag = u8::try_from(behind).unwrap_or(NOT_HEARD);
        }
    }

    /// Notes that a learner asks for what is decided: from now on it is told.
    pub(crate) fn on_learner(&mut self, from: NodeId) {
        if let LeaderState::Leading(leadership) = &mut self.state {
            leadership.audience.insert(from);
            leadership.answering.insert(from);
        }
    }

    /// Rule V8: checks that a majority of the new members have caught up to within a window, or 254 slots if it is larger.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Behind`], with the one that is farthest behind.
    pub(crate) fn check_caught_up(&self, members: NodeSet) -> Result<(), ChangeError> {
        let LeaderState::Leading(leadership) = &self.state else {
            return Ok(());
        };
        let me = leadership.ballot.leader();
        let lag = |node: NodeId| match leadership.lags.get(usize::from(node.0)) {
            _ if node == me => 0,
            Some(lag) => *lag,
            None => NOT_HEARD,
        };
        let is_near = |node: &NodeId| lag(*node) < NOT_HEARD && usize::from(lag(*node)) <= WINDOW;
        let near: NodeSet = members.iter().filter(is_near).collect();
        if near.is_quorum(members) || self.mistake.is(Mutant::ChangeUnchecked) {
            return Ok(());
        }
        let farthest = members.iter().max_by_key(|node| lag(*node));
        let node = farthest.unwrap_or(me);
        let by = match lag(node) {
            NOT_HEARD => u16::MAX,
            lag => u16::from(lag),
        };
        Err(ChangeError::Behind { node, by })
    }

    /// Rule L6: returns true if a quorum, including the leader, has answered since the last check, and begins a new
    /// count.
    pub(crate) fn count_quorum(&mut self, members: NodeSet) -> bool {
        match &mut self.state {
            LeaderState::Leading(leadership) => {
                let mut answering = core::mem::take(&mut leadership.answering);
                // A learner that has not answered is not told any more, until it asks again. What a silent node has
                // said of itself may be long out of date.
                let me = leadership.ballot.leader();
                leadership.audience = leadership
                    .audience
                    .intersection(answering)
                    .union(members.without(me));
                for (node, lag) in (0..).zip(&mut leadership.lags) {
                    if !answering.contains(NodeId(node)) {
                        *lag = NOT_HEARD;
                    }
                }
                // The leader sends itself no heartbeat. In a cluster of one it is the quorum.
                answering.insert(leadership.ballot.leader());
                answering.is_quorum(members)
            }
            // There is no leadership that could end.
            _ => true,
        }
    }
}
