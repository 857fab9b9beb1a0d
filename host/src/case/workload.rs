//! Workload of a case: one type for both kinds, so that each simulation is compiled only once.
//!
//! A simulation is compiled for each workload, and a case has eight of them: four sizes for each of
//! two machines. A match at each request costs nothing beside as many again.

use synod::StateMachine;
use synod::simulation::{Contention, Workload};

/// Workload of a case.
///
/// With separate keys, each client knows what it must be answered. With contention only the
/// linearizability check can tell.
#[derive(Clone, Debug)]
pub(super) enum CaseWorkload<S> {
    /// Each client follows a script on a key or account of its own.
    Separate(S),
    /// All clients contend for a few keys or accounts.
    Contention(Contention),
}

impl<M: StateMachine, S: Workload<M>> Workload<M> for CaseWorkload<S>
where
    Contention: Workload<M>,
{
    fn command(&mut self, client: u16, number: u32) -> Option<M::Command> {
        match self {
            Self::Separate(script) => script.command(client, number),
            Self::Contention(contention) => contention.command(client, number),
        }
    }

    fn is_read(&self, command: &M::Command) -> bool {
        match self {
            Self::Separate(script) => script.is_read(command),
            Self::Contention(contention) => Workload::<M>::is_read(contention, command),
        }
    }

    fn check(&mut self, client: u16, number: u32, output: &M::Output) -> bool {
        match self {
            Self::Separate(script) => script.check(client, number, output),
            Self::Contention(contention) => contention.check(client, number, output),
        }
    }

    fn requests(&self, client: u16) -> u64 {
        match self {
            Self::Separate(script) => script.requests(client),
            Self::Contention(contention) => Workload::<M>::requests(contention, client),
        }
    }

    fn skip(&mut self, client: u16, number: u32) {
        match self {
            Self::Separate(script) => script.skip(client, number),
            Self::Contention(contention) => Workload::<M>::skip(contention, client, number),
        }
    }
}
