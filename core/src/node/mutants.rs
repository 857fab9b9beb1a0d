//! The mutant that is active in a node, for mutation testing.

use super::{Node, Phase};
use crate::StateMachine;
use crate::mutant::{Mistake, Mutant};
use crate::roles::acceptor::Acceptor;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Activates a mutant in the node, or none. Call it right after each construction of the node, since some mutants
    /// act when the node restarts.
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

    /// Sets the active mutant, in builds with the feature `mutants` and without it; without it, does nothing.
    pub(crate) fn set_mistake(&mut self, mistake: Mistake) {
        // Nothing is activated: `highest_seen` must not fall to what was promised.
        if !mistake.is_any() && !self.mistake.is_any() {
            return;
        }
        match &self.phase {
            // The mutant `Amnesia` forgets its promises and votes when it restarts.
            Phase::Active if mistake.is(Mutant::Amnesia) => self.acceptor = Acceptor::new(),
            Phase::Active if mistake.is(Mutant::NewestVoteLost) => self.acceptor.forget_newest(),
            Phase::Active if mistake.is(Mutant::RoundReused) => {
                self.acceptor.forget_claim(self.config.node);
            }
            Phase::Joining(_) if mistake.is(Mutant::StartsEmpty) => self.voting.is_allowed = true,
            _ => {}
        }
        self.highest_seen = self.acceptor.promised();
        self.mistake = mistake;
        self.acceptor.mistake = mistake;
        self.replica.set_mistake(mistake);
        self.leader.mistake = mistake;
        self.reader.mistake = mistake;
    }

    /// Returns the active mutant.
    #[cfg(feature = "mutants")]
    pub fn mutant(&self) -> Option<Mutant> {
        self.mistake.mutant()
    }

    /// Returns the active mutant, in builds with the feature `mutants` and without it.
    pub(crate) fn mistake(&self) -> Mistake {
        self.mistake
    }

    /// True if `mutant` is active; always false without the feature `mutants`.
    pub(crate) fn makes(&self, mutant: Mutant) -> bool {
        self.mistake.is(mutant)
    }
}
