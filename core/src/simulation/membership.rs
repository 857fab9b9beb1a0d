//! The simulated operator, who changes the members of the cluster, and starts nodes again.

use super::event_loop::{Simulation, Stamped};
use super::observer::Observer;
use super::setting::Setting;
use crate::{Change, ChangeError, Config, Epoch, Node, NodeId, NodeSet, ReconfigureError, Tracer};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Asks for a change of the members, unless it has taken effect. Returns true if it has, or never will.
    ///
    /// An operator asks where most is known: at a node of the latest epoch. A refusal is one for now, and what the node
    /// loses with its power is not asked for any more: the same is asked again, of the members that there are by then.
    /// Only a number that was removed is refused for ever (rule V5).
    pub(super) fn change_members<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        add: NodeSet,
        remove: NodeSet,
        tracer: &mut T,
        observer: &mut O,
    ) -> bool {
        let Some((node, epoch)) = self.latest_epoch() else {
            return false;
        };
        let local = self.local_time(node);
        let Some((member, at, outbox)) = self.live_member(node) else {
            return false;
        };
        let present = member.node.members();
        let members = present.union(add).minus(remove);
        // Nobody empties a cluster.
        if members == present || members.is_empty() {
            return true;
        }
        let change = Change { epoch, members };
        observer.asked_change(&change);
        let mut tracer = Stamped {
            at,
            tracer: &mut *tracer,
        };
        let asked = member.node.reconfigure(local, change, outbox, &mut tracer);
        self.after_step(node, tracer.tracer, observer);
        matches!(
            asked,
            Err(ReconfigureError::Change(ChangeError::Removed { .. }))
        )
    }

    /// The settings with which the operator starts a node again. A node that has to fetch the state asks founding members;
    /// where none of them has it, its `founder` is a node that has.
    pub(super) fn restart_config(&self, node: NodeId) -> Option<Config> {
        let member = self.members.get(usize::from(node.0))?;
        let mut config = member.node.config().clone();
        let active = self.live_nodes().filter(|node| node.is_active());
        let with_state: NodeSet = active.map(Node::id).collect();
        if let Some(other) = with_state.nth(0)
            && with_state.intersection(config.members).is_empty()
        {
            config.founder = other;
        }
        Some(config)
    }

    /// The live node that is in the latest epoch of all, and that epoch; the first of several. `None` if none has joined.
    fn latest_epoch(&self) -> Option<(NodeId, Epoch)> {
        let mut latest: Option<(NodeId, Epoch)> = None;
        for node in self.live_nodes().filter(|node| node.is_active()) {
            if latest.is_none_or(|(_, epoch)| epoch < node.epoch()) {
                latest = Some((node.id(), node.epoch()));
            }
        }
        latest
    }
}
