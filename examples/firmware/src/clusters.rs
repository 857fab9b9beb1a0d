//! The simulated clusters whose digests are compared between a host, the boards and JavaScript.
//!
//! The digest of a run depends on the capacities of its nodes, so a host that compares runs the same types as the
//! boards.

use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::simulation::{
    Bound, KvScript, Network, Perfect, Scenario, Simulation, Verdict, Workload,
};
use synod::{Digest, StateMachine, Tracer};

/// Entries of a page, in every cluster.
pub const PAGE: usize = 2;

/// A cluster that can be run under one seed after the other.
pub trait Cluster {
    /// The state machine that its nodes replicate.
    type Machine: StateMachine;

    /// Returns a cluster without a scenario. It is a large value.
    fn idle() -> Self;

    /// Runs it under a seed from the beginning to the end.
    fn play(&mut self, seed: u64, tracer: &mut impl Tracer<Self::Machine, PAGE>) -> Verdict;

    /// Runs it under a seed, and returns its verdict and the digest of its events.
    fn digest(&mut self, seed: u64) -> (Verdict, Digest) {
        let mut digest = Digest::new();
        let verdict = self.play(seed, &mut digest);
        (verdict, digest)
    }
}

/// Three nodes and two clients, for a board with 16 KiB of RAM.
pub type Small = Simulation<Kv<2>, Turns, 4, 2, PAGE, 3, 16, Network, Perfect, 12, 8, 2>;

/// Five nodes and four clients, for a board with 64 KiB of RAM.
pub type Medium = Simulation<Kv<4>, Turns, 8, 4, PAGE, 5, 48, Network, Perfect, 24, 64, 4>;

/// Fourteen nodes and eleven clients: the default run of the host, with its capacities and therefore its digests.
pub type Whole = Simulation<Kv<64>, KvScript, 64, 16, PAGE, 16, 1024>;

/// The verdict of a run for which there is no room.
const REFUSED: Verdict = Verdict::Stalled(Bound::Idle);

/// The number of requests of each client.
const REQUESTS: u32 = 11;

/// The workload of the smaller clusters: each client sets its own key to the number of the request, and gets it, in
/// turn. The expected answer follows from the number, so nothing has to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns;

impl<const KEYS: usize> Workload<Kv<KEYS>> for Turns {
    fn command(&mut self, client: u16, number: u32) -> Option<KvCommand> {
        let key = Key::numbered(client.into());
        let command = if number.is_multiple_of(2) {
            KvCommand::Get(key)
        } else {
            KvCommand::Set(key, number.into())
        };
        (number <= REQUESTS).then_some(command)
    }

    fn check(&mut self, _client: u16, number: u32, output: &KvReply) -> bool {
        // An even number gets the value that the number before it has set.
        let set = number - u32::from(number.is_multiple_of(2));
        *output == KvReply::Value(set.into())
    }

    fn requests(&self, _client: u16) -> u64 {
        REQUESTS.into()
    }
}

/// Returns the scenario of the default run with fewer nodes and clients.
fn of(seed: u64, nodes: u16, clients: u16) -> Scenario {
    let mut scenario = Scenario::of(seed, nodes);
    scenario.clients = clients;
    scenario
}

impl Cluster for Small {
    type Machine = Kv<2>;

    fn idle() -> Self {
        Self::idle()
    }

    fn play(&mut self, seed: u64, tracer: &mut impl Tracer<Kv<2>, PAGE>) -> Verdict {
        match self.start(&of(seed, 3, 2), Turns) {
            Ok(()) => self.run(tracer),
            Err(_) => REFUSED,
        }
    }
}

impl Cluster for Medium {
    type Machine = Kv<4>;

    fn idle() -> Self {
        Self::idle()
    }

    fn play(&mut self, seed: u64, tracer: &mut impl Tracer<Kv<4>, PAGE>) -> Verdict {
        match self.start(&of(seed, 5, 4), Turns) {
            Ok(()) => self.run(tracer),
            Err(_) => REFUSED,
        }
    }
}

impl Cluster for Whole {
    type Machine = Kv<64>;

    fn idle() -> Self {
        Self::idle()
    }

    fn play(&mut self, seed: u64, tracer: &mut impl Tracer<Kv<64>, PAGE>) -> Verdict {
        match self.start(&Scenario::new(seed), KvScript::new(REQUESTS)) {
            Ok(()) => self.run(tracer),
            Err(_) => REFUSED,
        }
    }
}
