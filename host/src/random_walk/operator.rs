//! Operator of a walk: changes the members, and switches off nodes that have retired.
//!
//! It keeps the rules of a careful operator where breaking them could stop the cluster for good: it names only nodes that
//! run or will run again as a majority, and switches off no node that another one still needs. Otherwise it is careless:
//! it asks at nodes that are behind, asks for several things at once, repeats old questions, and names numbers that were
//! removed.

use super::check::Violation;
use super::ledger::is_majority;
use super::random_source::RandomSource;
use super::walk::Walk;
use synod::{Change, Config, Epoch, Node, NodeId, NodeSet};

/// Greatest number of nodes that join a founded cluster.
const NEWCOMERS_MAX: u64 = 3;
/// Least number of members that an operator asks for. A lone voter takes its vote for a quorum before it is durable, and
/// the checker counts durable votes alone.
const MEMBERS_MIN: u32 = 2;

/// An operator, with what it does in this walk.
pub(super) struct Operator {
    /// Its random choices. They are made from a source of their own, so that walks without an operator and without reads
    /// do not depend on them.
    pub(super) random: RandomSource,
    /// Number of nodes that may join.
    pub(super) newcomers: u16,
    /// Weight of asking for a change.
    pub(super) change: u64,
    /// Weight of switching off a retired node.
    pub(super) leave: u64,
    /// Weight of a read of the state of a node by a client.
    pub(super) read: u64,
    /// Changes that it has asked for, in order.
    pub(super) asked: Vec<Change>,
}

impl Operator {
    /// Draws an operator. Half of the walks have changes of the members, and half of them have reads.
    pub(super) fn draw(seed: u64) -> Self {
        // Any number that keeps the stream apart from the others of the seed.
        let mut random = RandomSource::new(seed ^ 0x6D65_6D62_6572_7321);
        // Everything is drawn whether it is on or not.
        let (changes, reads) = (random.percent(50), random.percent(50));
        let newcomers = u16::try_from(random.below(NEWCOMERS_MAX + 1)).unwrap_or(0);
        let (change, leave, read) = (1 + random.below(12), random.below(8), 1 + random.below(60));
        Self {
            random,
            newcomers: if changes { newcomers } else { 0 },
            change: if changes { change } else { 0 },
            leave: if changes { leave } else { 0 },
            read: if reads { read } else { 0 },
            asked: Vec::new(),
        }
    }

    /// Draws the next members of a cluster: it grows, shrinks, replaces one of its members or all of them, or keeps
    /// them in a new epoch. `unused` are nodes that were no members before.
    fn draw_members(&mut self, present: NodeSet, unused: NodeSet, removed: NodeSet) -> NodeSet {
        let random = &mut self.random;
        let mut one = |of: NodeSet| {
            let nodes: Vec<NodeId> = of.iter().collect();
            random.one(&nodes).map_or(NodeSet::EMPTY, NodeSet::only)
        };
        let (old, new, gone) = (one(present), one(unused), one(removed));
        match random.below(20) {
            0..5 => present.union(new),
            5..9 => present.minus(old),
            9..14 => present.minus(old).union(new),
            14..17 => unused,
            // A mistake: the number of a removed node is never used again.
            17 => present.union(gone),
            _ => present,
        }
    }
}

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Walk<'_, WINDOW, CLIENTS, PAGE> {
    /// Lets the operator ask a node for a change of the members.
    pub(super) fn change_members(&mut self) -> Result<(), Violation> {
        let live = self.live();
        let Some(at) = self.operator.random.one(&live) else {
            return Ok(());
        };
        let Some(change) = self.draw_change(at) else {
            return Ok(());
        };
        if !self.operator.asked.contains(&change) {
            self.operator.asked.push(change);
        }
        self.checker
            .see_asked(&synod::Proposal::Reconfigure(change));
        self.act(at, |now, node, outbox, facts| {
            // A refusal is one for the present, after which the operator may ask again.
            let _ = node.reconfigure(now, change, outbox, facts);
        })
    }

    /// Draws a change: one that was asked for before, or one of the members that a node knows. `None` if it might leave
    /// the cluster without a quorum.
    fn draw_change(&mut self, at: u16) -> Option<Change> {
        let live = self.live();
        let random = &mut self.operator.random;
        if random.percent(20)
            && let Some(change) = random.one(&self.operator.asked)
        {
            return Some(change);
        }
        // Mostly what the node knows that is asked, and at times what another one knows.
        let other = random.one(&live).filter(|_| random.percent(25));
        let node = self.node(other.unwrap_or(at)).filter(|it| it.is_active())?;
        let (epoch, present, removed) = (node.epoch(), node.members(), node.removed());
        let unused = self.newcomers().minus(present).minus(removed);
        let members = self.operator.draw_members(present, unused, removed);
        let stay = NodeSet::first(self.size).minus(self.stopped());
        let is_viable = members.len() >= MEMBERS_MIN && is_majority(stay, members);
        is_viable.then_some(Change { epoch, members })
    }

    /// Returns the nodes that are no founding members.
    fn newcomers(&self) -> NodeSet {
        NodeSet::first(self.size).minus(NodeSet::first(self.founders))
    }

    /// Returns the nodes that have stopped for good.
    fn stopped(&self) -> NodeSet {
        let members = (0..).zip(&self.members);
        let stopped = members.filter(|(_, member)| member.stopped);
        stopped.map(|(number, _)| NodeId(number)).collect()
    }

    /// Returns the running nodes for which a condition holds.
    fn running(
        &self,
        holds: impl Fn(&Node<super::Machine, WINDOW, CLIENTS, PAGE>) -> bool,
    ) -> NodeSet {
        let nodes = self.live().into_iter().filter_map(|it| self.node(it));
        nodes.filter(|node| holds(node)).map(Node::id).collect()
    }

    /// Returns the settings with which a node starts, or starts again. A node that has to fetch the state asks founding
    /// members; where none of them has it, the founder that is named is a node that has.
    pub(super) fn config(&self, number: u16) -> Config {
        let mut config = Config::new(NodeId(number), self.founders);
        let with_state = self.running(Node::is_active);
        if let Some(other) = with_state.nth(0)
            && with_state.intersection(config.members).is_empty()
        {
            config.founder = other;
        }
        config
    }

    /// Switches off a node that has retired and says that it may leave.
    pub(super) fn leave(&mut self) {
        let may_leave = self.running(Node::may_leave);
        let nodes: Vec<NodeId> = may_leave.iter().collect();
        let Some(gone) = self.operator.random.one(&nodes) else {
            return;
        };
        if self.is_joined_without(gone)
            && let Some(member) = self.member(gone.0)
        {
            member.stopped = true;
        }
    }

    /// Switches off the nodes that were removed, do not know it, and can hear it from nobody: all members of their epoch that
    /// know how it has ended are switched off, and no quorum is left that could find out. The leader tells its members alone,
    /// and those that have asked.
    pub(super) fn switch_off_forgotten(&mut self) {
        let epochs = &self.checker.ledger.epochs;
        let members = epochs.members(epochs.present());
        let live = self.running(Node::is_active);
        let is_forgotten = |node: &Node<super::Machine, WINDOW, CLIENTS, PAGE>| {
            let peers = self.running(|peer| peer.epoch() > node.epoch());
            let hears = !peers.intersection(node.members()).is_empty();
            let hears = hears || is_majority(live, node.members());
            let is_behind = node.epoch() < epochs.present();
            node.is_active() && is_behind && !hears && !members.contains(node.id())
        };
        for gone in self.running(is_forgotten).iter() {
            if let Some(member) = self.member(gone.0) {
                member.stopped = true;
            }
        }
    }

    /// Restarts the nodes that wait to join and have nobody left whom they could ask for the state, as all of them were
    /// switched off: their operator names another node. Without any node that is active, the founding members are about to
    /// found the cluster.
    pub(super) fn name_others_to_ask(&mut self) -> Result<(), Violation> {
        let with_state = self.running(Node::is_active);
        let has_nobody_to_ask = |node: &Node<super::Machine, WINDOW, CLIENTS, PAGE>| {
            let config = node.config();
            let asks = config.members.union(NodeSet::only(config.founder));
            !node.is_active() && with_state.intersection(asks).is_empty()
        };
        let lost = self.running(has_nobody_to_ask);
        for node in lost.iter().filter(|_| !with_state.is_empty()) {
            self.lose_power(node.0, None);
            self.recover(node.0)?;
        }
        Ok(())
    }

    /// True if every node that is joining can ask a founding member for the state without a node, or if none is joining.
    fn is_joined_without(&self, gone: NodeId) -> bool {
        let with_state = self.running(Node::is_active).without(gone);
        let founders = NodeSet::first(self.founders);
        let joining = self.running(|node| !node.is_active() && node.id() != gone);
        joining.is_empty() || !with_state.intersection(founders).is_empty()
    }

    /// True if the cluster can go on although a node stops for good: a quorum of each epoch that is not over has joined
    /// and keeps running, and so will a quorum of the members after each change that may still take effect.
    pub(super) fn can_do_without(&self, gone: NodeId) -> bool {
        let epochs = &self.checker.ledger.epochs;
        let rest = self.running(Node::is_active).without(gone);
        // An epoch is over when a quorum of the members of a later one is sure to remember that.
        let present = epochs.present();
        let has_begun = |epoch: &Epoch| {
            let is_sure = |node: &NodeId| {
                let member = self.members.get(usize::from(node.0));
                let is_written = member.is_some_and(|member| member.outbox.writes.is_empty());
                let entered = self.node(node.0).map(Node::epoch);
                entered >= Some(*epoch) && is_written
            };
            epochs.is_quorum(*epoch, rest.iter().filter(is_sure).collect())
        };
        let later = (1..=present.0).rev().map(Epoch).find(has_begun);
        let first = later.unwrap_or(Epoch::FIRST);
        let mut open = (first.0..=present.0).map(Epoch);
        let stay = NodeSet::first(self.size)
            .minus(self.stopped())
            .without(gone);
        let mut asked = self.operator.asked.iter();
        open.all(|epoch| epochs.is_quorum(epoch, rest))
            && asked.all(|change| change.epoch < present || is_majority(stay, change.members))
            && self.is_joined_without(gone)
    }
}
