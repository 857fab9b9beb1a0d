//! A node that makes a mistake on purpose.

use super::{Node, Phase};
use crate::StateMachine;
use crate::mutant::{Mistake, Mutant};
use crate::roles::acceptor::Acceptor;

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
    #[cfg(feature = "mutants")]
    pub fn mutate(&mut self, mutant: Option<Mutant>) {
        self.set_mistake(Mistake::of(mutant));
    }

    /// The same, with the feature and without; without it nothing is done.
    #[inline]
    pub(crate) fn set_mistake(&mut self, mistake: Mistake) {
        if !mistake.is_any() && !self.mistake.is_any() {
            return;
        }
        match &self.phase {
            // Whatever it forgets when it comes back.
            Phase::Active if mistake.is(Mutant::Amnesia) => self.acceptor = Acceptor::new(),
            Phase::Active if mistake.is(Mutant::NewestVoteLost) => self.acceptor.forget_newest(),
            Phase::Active if mistake.is(Mutant::RoundReused) => {
                self.acceptor.forget_claim(self.config.node);
            }
            Phase::Joining(_) if mistake.is(Mutant::StartsEmpty) => self.voter = true,
            _ => {}
        }
        self.highest_seen = self.acceptor.promised();
        self.mistake = mistake;
        self.acceptor.mistake = mistake;
        self.replica.set_mistake(mistake);
        self.leader.mistake = mistake;
    }

    /// The mistake that it makes, if it makes one.
    #[cfg(feature = "mutants")]
    pub fn mutant(&self) -> Option<Mutant> {
        self.mistake.mutant()
    }

    /// The same, with the feature and without.
    pub(crate) fn mistake(&self) -> Mistake {
        self.mistake
    }

    /// Whether the node makes this mistake; never without the feature.
    #[inline]
    pub(crate) fn makes(&self, mutant: Mutant) -> bool {
        self.mistake.is(mutant)
    }
}
