//! The simulated clusters whose digests a host, the boards and JavaScript compare.
//!
//! The digest of a run depends on the capacities of its nodes. So a host that compares runs the very types of the boards.

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
    /// What its nodes replicate.
    type Machine: StateMachine;

    /// A cluster in which nothing happens yet. It is a large value.
    fn idle() -> Self;

    /// Runs it under a seed, from the beginning to the end.
    fn play(&mut self, seed: u64, tracer: &mut impl Tracer<Self::Machine, PAGE>) -> Verdict;

    /// Runs it under a seed; how it ended, and the digest of all that happened.
    fn digest(&mut self, seed: u64) -> (Verdict, Digest) {
        let mut digest = Digest::new();
        let verdict = self.play(seed, &mut digest);
        (verdict, digest)
    }
}

/// Three nodes and two clients, in what a board with 16 KiB of RAM has room for.
pub type Small = Simulation<In16KiB, 4, 2, PAGE>;

/// Five nodes and four clients, for a board with 64 KiB.
pub type Medium = Simulation<In64KiB, 8, 4, PAGE>;

/// Fourteen nodes and eleven clients: the run that the host shows by default, with its capacities and so its digests.
pub type Whole = Simulation<Calm<Kv<64>, KvScript, 16, 1024>, 64, 16, PAGE>;

/// What [`Small`] is made of, and how much of each.
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
    type Events = Size<16>;
    type Outbox = Size<12>;
    type Ledger = Size<8>;
    type Clients = Size<2>;
    type History = Size<8>;
}

/// What [`Medium`] is made of, and how much of each.
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

/// How a run ends that there is no room for: in a cluster in which nothing happens.
const REFUSED: Verdict = Verdict::Stalled(Bound::Idle);

/// How many requests each client makes.
const REQUESTS: u32 = 11;

/// What the clients of the smaller clusters ask: each sets its own key to the number of the request, and gets it, in turn.
/// What is right follows from the number, so that nothing has to be remembered.
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
        // An even number gets what the number before it has set.
        let set = number - u32::from(number.is_multiple_of(2));
        *output == KvReply::Value(set.into())
    }

    fn requests(&self, _client: u16) -> u64 {
        REQUESTS.into()
    }
}

/// As the default run, with fewer nodes and clients.
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
