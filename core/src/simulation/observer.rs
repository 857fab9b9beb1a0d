//! Observers, which see each step of a simulated cluster and cannot change it.
//!
//! Observers see a run from outside of the nodes: what they write, send, answer and apply, when it leaves them. They
//! change nothing, and a run with observers is the same run as one without. Several are put into a tuple, and each sees
//! everything.

use super::violation::Violation;
use crate::{
    Ballot, Change, Envelope, Epoch, Instant, Node, NodeId, NodeSet, Outcome, Outgoing, Reply,
    RequestKey, Slot, StateMachine, Write,
};

/// One or more steps of a node whose output is dispatched together: their writes are durable, and their messages and
/// replies have not left the node yet, but for those that may leave early.
#[derive(Debug)]
pub struct StepsTaken<
    'a,
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
> {
    /// When.
    pub at: Instant,
    /// When the first of the steps was taken. It is earlier where a driver gathers steps, or where the node was paused
    /// before their output left.
    pub since: Instant,
    /// The node as it is now. Where it takes time until something is durable, it may have taken further steps already.
    pub node: &'a Node<M, WINDOW, CLIENTS, PAGE>,
    /// The progress of the node after the last of these steps.
    pub progress: NodeProgress,
    /// The boundaries between the steps, if there is more than one.
    pub boundaries: &'a [StepBoundary],
    /// The writes, which are durable.
    pub writes: &'a [Write<M::Command>],
    /// The messages to other nodes.
    pub messages: &'a [Outgoing<M, PAGE>],
    /// The replies to clients.
    pub replies: &'a [Reply<M::Output>],
}

/// The progress of a node between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeProgress {
    /// The highest ballot that its acceptor has promised.
    pub promised: Ballot,
    /// Up to here its acceptor has forgotten what it accepted.
    pub low_water: Slot,
    /// The last slot that is applied.
    pub applied: Slot,
    /// The digest of everything that is applied.
    pub chain: u64,
    /// The epoch that the node had entered.
    pub epoch: Epoch,
    /// The members of that epoch.
    pub members: NodeSet,
}

impl NodeProgress {
    /// The progress of a new node.
    pub(super) const NONE: Self = Self {
        promised: Ballot::NULL,
        low_water: Slot::ZERO,
        applied: Slot::ZERO,
        chain: 0,
        epoch: Epoch::FIRST,
        members: NodeSet::EMPTY,
    };

    /// The present progress of a node.
    pub fn of<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Self {
        Self {
            promised: node.promised(),
            low_water: node.low_water(),
            applied: node.applied(),
            chain: node.chain(),
            epoch: node.epoch(),
            members: node.members(),
        }
    }
}

/// The boundary between two steps whose output is dispatched together: how many writes and messages there were by then. An
/// accept or accepted message may have grown since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StepBoundary {
    /// How many writes.
    pub writes: usize,
    /// How many messages.
    pub messages: usize,
}

/// A message that a node has handled, and what came of it.
#[derive(Debug)]
pub struct Handled<
    'a,
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
> {
    /// The time on the clock of the node.
    pub now: Instant,
    /// The node as it is now.
    pub node: &'a Node<M, WINDOW, CLIENTS, PAGE>,
    /// The message.
    pub envelope: &'a Envelope<M, PAGE>,
    /// All messages that wait to leave the node.
    pub waiting: &'a [Outgoing<M, PAGE>],
    /// The index of the first of them that was added by this step; an accept or an accepted before it may have grown.
    pub added: usize,
}

/// What a client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked<'a, C> {
    /// When.
    pub at: Instant,
    /// Which client, from 0.
    pub client: u16,
    /// At which node.
    pub node: NodeId,
    /// Under which key; that of a registration where it wants a session.
    pub key: RequestKey,
    /// The command; `None` for a registration.
    pub command: Option<&'a C>,
}

/// What a client was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answered<'a, O> {
    /// When.
    pub at: Instant,
    /// Which client, from 0.
    pub client: u16,
    /// To which request.
    pub key: RequestKey,
    /// What came of it.
    pub outcome: &'a Outcome<O>,
}

/// What a client has read in the state of a node (see [`Node::read`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WasRead<'a, O> {
    /// When.
    pub at: Instant,
    /// Which client, from 0.
    pub client: u16,
    /// Under which key it has [asked](Asked).
    pub key: RequestKey,
    /// What it has seen.
    pub output: &'a O,
}

/// Observes all that a simulated cluster does, and reports violations. It is given shared references only, so that a run is
/// the same with and without it.
///
/// Every method has a default that sees nothing; `()` is the observer of nothing, and a pair of observers is one.
pub trait Observer<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    /// A node has taken one or more steps whose writes are durable. Steps that were lost with the power are never observed.
    ///
    /// # Errors
    ///
    /// The rule that the step breaks.
    fn stepped(
        &mut self,
        taken: &StepsTaken<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        let _ = taken;
        Ok(())
    }

    /// A message has arrived at a node that is up and has room for what it will say: the node is as it is before it handles
    /// the message.
    fn arrives(&mut self, node: &Node<M, WINDOW, CLIENTS, PAGE>, envelope: &Envelope<M, PAGE>) {
        let _ = (node, envelope);
    }

    /// The node has handled the message.
    ///
    /// # Errors
    ///
    /// The rule that is broken by what the node has made of the message.
    fn handled(
        &mut self,
        handled: &Handled<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        let _ = handled;
        Ok(())
    }

    /// Timers of a node are due: the node is as it is before it serves them.
    fn fires(&mut self, node: &Node<M, WINDOW, CLIENTS, PAGE>) {
        let _ = node;
    }

    /// The node has served them, at this time of its own clock.
    ///
    /// # Errors
    ///
    /// The rule that is broken by what the node waits for.
    fn fired(
        &mut self,
        now: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        let _ = (now, node);
        Ok(())
    }

    /// A message leaves a node before the writes of its steps are durable (see [`Message::is_early`](crate::Message::is_early)).
    /// When they are, the steps are observed with all of their messages; they never are if power fails before.
    ///
    /// # Errors
    ///
    /// The rule that the message breaks.
    fn left_early(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        outgoing: &Outgoing<M, PAGE>,
    ) -> Result<(), Violation> {
        let _ = (node, outgoing);
        Ok(())
    }

    /// A node has started again after a crash, from what it had made durable; or, where it is no voter, without that.
    ///
    /// # Errors
    ///
    /// The rule that is broken by what it comes back with.
    fn recovered(
        &mut self,
        at: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        let _ = (at, node);
        Ok(())
    }

    /// A client has asked for something, or has asked again.
    fn asked(&mut self, asked: &Asked<'_, M::Command>) {
        let _ = asked;
    }

    /// An operator has asked for a change of the members, or has asked again.
    fn asked_change(&mut self, change: &Change) {
        let _ = change;
    }

    /// A client was answered what it waited for.
    ///
    /// # Errors
    ///
    /// The rule that the answer breaks.
    fn answered(&mut self, answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        let _ = answered;
        Ok(())
    }

    /// A client has read what it asked for in the state of a node, without a slot of the log.
    fn was_read(&mut self, read: &WasRead<'_, M::Output>) {
        let _ = read;
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for ()
{
}

impl<M, O, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for &mut O
where
    M: StateMachine,
    O: Observer<M, WINDOW, CLIENTS, PAGE> + ?Sized,
{
    fn stepped(
        &mut self,
        taken: &StepsTaken<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        (**self).stepped(taken)
    }

    fn arrives(&mut self, node: &Node<M, WINDOW, CLIENTS, PAGE>, envelope: &Envelope<M, PAGE>) {
        (**self).arrives(node, envelope);
    }

    fn handled(
        &mut self,
        handled: &Handled<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        (**self).handled(handled)
    }

    fn fires(&mut self, node: &Node<M, WINDOW, CLIENTS, PAGE>) {
        (**self).fires(node);
    }

    fn fired(
        &mut self,
        now: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        (**self).fired(now, node)
    }

    fn left_early(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        outgoing: &Outgoing<M, PAGE>,
    ) -> Result<(), Violation> {
        (**self).left_early(node, outgoing)
    }

    fn recovered(
        &mut self,
        at: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        (**self).recovered(at, node)
    }

    fn asked(&mut self, asked: &Asked<'_, M::Command>) {
        (**self).asked(asked);
    }

    fn asked_change(&mut self, change: &Change) {
        (**self).asked_change(change);
    }

    fn answered(&mut self, answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        (**self).answered(answered)
    }

    fn was_read(&mut self, read: &WasRead<'_, M::Output>) {
        (**self).was_read(read);
    }
}

impl<M, A, B, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for (A, B)
where
    M: StateMachine,
    A: Observer<M, WINDOW, CLIENTS, PAGE>,
    B: Observer<M, WINDOW, CLIENTS, PAGE>,
{
    fn stepped(
        &mut self,
        taken: &StepsTaken<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        self.0.stepped(taken)?;
        self.1.stepped(taken)
    }

    fn arrives(&mut self, node: &Node<M, WINDOW, CLIENTS, PAGE>, envelope: &Envelope<M, PAGE>) {
        self.0.arrives(node, envelope);
        self.1.arrives(node, envelope);
    }

    fn handled(
        &mut self,
        handled: &Handled<'_, M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        self.0.handled(handled)?;
        self.1.handled(handled)
    }

    fn fires(&mut self, node: &Node<M, WINDOW, CLIENTS, PAGE>) {
        self.0.fires(node);
        self.1.fires(node);
    }

    fn fired(
        &mut self,
        now: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        self.0.fired(now, node)?;
        self.1.fired(now, node)
    }

    fn left_early(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        outgoing: &Outgoing<M, PAGE>,
    ) -> Result<(), Violation> {
        self.0.left_early(node, outgoing)?;
        self.1.left_early(node, outgoing)
    }

    fn recovered(
        &mut self,
        at: Instant,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        self.0.recovered(at, node)?;
        self.1.recovered(at, node)
    }

    fn asked(&mut self, asked: &Asked<'_, M::Command>) {
        self.0.asked(asked);
        self.1.asked(asked);
    }

    fn asked_change(&mut self, change: &Change) {
        self.0.asked_change(change);
        self.1.asked_change(change);
    }

    fn answered(&mut self, answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        self.0.answered(answered)?;
        self.1.answered(answered)
    }

    fn was_read(&mut self, read: &WasRead<'_, M::Output>) {
        self.0.was_read(read);
        self.1.was_read(read);
    }
}
