//! What the clients of a case ask for: one type for both workloads, so that each simulation is compiled for one.

use synod::StateMachine;
use synod::simulation::{Contention, Workload};

/// The workload of a case.
#[derive(Clone, Debug)]
pub(super) enum Asking<S> {
    /// Each client has a key or an account of its own, and follows a script.
    Apart(S),
    /// All clients contend for a few keys or accounts.
    Contention(Contention),
}

impl<M: StateMachine, S: Workload<M>> Workload<M> for Asking<S>
where
    Contention: Workload<M>,
{
    fn command(&mut self, client: u16, number: u32) -> Option<M::Command> {
        match self {
            Self::Apart(script) => script.command(client, number),
            Self::Contention(contest) => contest.command(client, number),
        }
    }

    fn check(&mut self, client: u16, number: u32, output: &M::Output) -> bool {
        match self {
            Self::Apart(script) => script.check(client, number, output),
            Self::Contention(contest) => contest.check(client, number, output),
        }
    }

    fn requests(&self, client: u16) -> u64 {
        match self {
            Self::Apart(script) => script.requests(client),
            Self::Contention(contest) => Workload::<M>::requests(contest, client),
        }
    }

    fn skip(&mut self, client: u16, number: u32) {
        match self {
            Self::Apart(script) => script.skip(client, number),
            Self::Contention(contest) => Workload::<M>::skip(contest, client, number),
        }
    }
}
