//! Changes of the members: what an operator asks a cluster for through a client.

use super::{Client, ClientError, Wanted};
use crate::{Change, ChangeError, Epoch, Instant, NodeId, NodeSet, Outcome, StateMachine};

impl<M: StateMachine> Client<M> {
    /// Requests a change of the members (rule V4). [`Client::poll_changed`] returns the result.
    ///
    /// The epoch and the members to begin with are in the [`Status`](crate::Status) of any node. A change takes effect
    /// at most once, also if several operators ask for it, and needs no session. It is driven like a request of
    /// [`Client::request`], and withdrawn like one; the node that is asked need not be a member.
    ///
    /// # Errors
    ///
    /// [`ClientError::Outstanding`] or [`ClientError::NotTaken`]: nothing was requested.
    pub fn reconfigure(&mut self, now: Instant, change: Change) -> Result<(), ClientError> {
        self.check_idle()?;
        self.begin(now, Wanted::Change(change));
        Ok(())
    }

    /// Returns the result of a change of the members, once: the epoch that it has begun, or why the members were not
    /// changed. After [`ChangeError::Behind`], request it again when the nodes have caught up.
    pub fn poll_changed(&mut self) -> Option<Result<Epoch, ChangeError>> {
        self.changed.take()
    }

    /// Replaces the nodes that may be asked, after a change of the members. The session goes on, and so does an
    /// outstanding request.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoMembers`]: the nodes stay the same.
    pub fn set_members(&mut self, members: NodeSet) -> Result<(), ClientError> {
        let first = members.iter().next().ok_or(ClientError::NoMembers)?;
        self.members = members;
        self.leader = self.leader.filter(|leader| members.contains(*leader));
        if !members.contains(self.target) {
            self.target = self.leader.unwrap_or(first);
        }
        self.invariants();
        Ok(())
    }

    /// Handles the outcome of a change of the members.
    pub(super) fn on_change_outcome(
        &mut self,
        now: Instant,
        from: NodeId,
        outcome: Outcome<M::Output>,
    ) {
        let result = match outcome {
            Outcome::Reconfigured { epoch } => Ok(epoch),
            Outcome::Unchanged(error) => Err(error),
            Outcome::Busy if from == self.target => return self.on_busy(now),
            // A node that was asked before is busy, or an answer that no node gives.
            _ => return,
        };
        self.changed = Some(result);
        self.forget();
    }
}
