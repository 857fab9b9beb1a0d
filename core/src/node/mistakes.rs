//! A node that makes a mistake on purpose.

use super::{Node, Phase};
use crate::roles::acceptor::Acceptor;
use crate::{Mutant, StateMachine};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Has the node make a mistake from its start on, or none. To be called right after it was built, each time that it
    /// is: there are mistakes that are made in a restart, and they are made here.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Config, Instant, Mutant, Node, NodeId};
    ///
    /// let mut node = Node::<Kv<4>>::join(Config::new(NodeId(1), 3), 6, Instant::ZERO)?;
    /// node.mutate(Some(Mutant::QuorumTooSmall));
    /// assert_eq!(node.mutant(), Some(Mutant::QuorumTooSmall));
    /// # Ok::<(), synod::ConfigError>(())
    /// ```
    pub fn mutate(&mut self, mutant: Option<Mutant>) {
        let me = self.config.node;
        match (mutant, &self.phase) {
            // Whatever it forgets when it comes back.
            (Some(Mutant::Amnesia), Phase::Active) => self.acceptor = Acceptor::new(),
            (Some(Mutant::NewestVoteLost), Phase::Active) => self.acceptor.forget_newest(),
            (Some(Mutant::RoundReused), Phase::Active) => self.acceptor.forget_claim(me),
            (Some(Mutant::StartsEmpty), Phase::Joining(_)) => self.voter = true,
            _ => {}
        }
        self.seen = self.acceptor.promised();
        self.mutant = mutant;
        self.acceptor.mutant = mutant;
        self.replica.mutate(mutant);
        self.leader.mutant = mutant;
    }

    /// The mistake that it makes, if it makes one.
    pub fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    /// Whether this node makes the mistake.
    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
