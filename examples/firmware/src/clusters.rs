//! The simulated clusters whose digests are compared between a host, the boards and JavaScript.
//!
//! The digest of a run depends on the capacities of its nodes, so a host that compares runs the same types as the
//! boards.

use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::simulation::{
    Bound, Calm, KvScript, Network, Perfect, Room, Scenario, Setting, Simulation, Size, Verdict,
    Workload,
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
pub type Small = Simulation<In16KiB, 4, 2, PAGE>;

/// Five nodes and four clients, for a board with 64 KiB of RAM.
pub type Medium = Simulation<In64KiB, 8, 4, PAGE>;

/// Fourteen nodes and eleven clients: the default run of the host, with its capacities and therefore its digests.
pub type Whole = Simulation<Calm<Kv<64>, KvScript, 16, 1024>, 64, 16, PAGE>;

/// The setting of [`Small`]: its types and capacities.
#[derive(Clone, Copy, Debug)]
pub struct In16KiB;

impl Setting<4, 2, PAGE> for In16KiB {
    type Machine = Kv<2>;
    type Workload = Turns;
    type Nemesis = Network;
    type Stores = Perfect;
    type Room = Self;
}

impl Room for In16KiB {
    type Nodes = Size<3>;
    type Events = Size<12>;
    type Outbox = Size<12>;
    type Ledger = Size<8>;
    type Clients = Size<2>;
    type History = Size<8>;
}

/// The setting of [`Medium`]: its types and capacities.
#[derive(Clone, Copy, Debug)]
pub struct In64KiB;

impl Setting<8, 4, PAGE> for In64KiB {
    type Machine = Kv<4>;
    type Workload = Turns;
    type Nemesis = Network;
    type Stores = Perfect;
    type Room = Self;
}

impl Room for In64KiB {
    type Nodes = Size<5>;
    type Events = Size<48>;
    type Outbox = Size<24>;
    type Ledger = Size<64>;
    type Clients = Size<4>;
    type History = Size<64>;
}

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
