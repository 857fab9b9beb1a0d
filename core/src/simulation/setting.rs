//! What a simulation is made of, named by one type: a [`Setting`].

use super::capacities::{Fixed, Room};
use super::nemesis::{Faults, Nemesis};
use super::network::Network;
use super::node_storage::{Perfect, Stores};
use super::workload::Workload;
use crate::StateMachine;
use core::marker::PhantomData;

/// What a simulation is made of. `WINDOW`, `CLIENTS` and `PAGE` are the capacities of its [`Node`](crate::Node)s.
///
/// [`Calm`] and [`Faulty`] are settings for the usual cases. Any other names its parts:
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{Disks, Faults, Fixed, KvScript, Setting, Simulation};
///
/// /// Three nodes on simulated disks of 64 KiB.
/// #[derive(Debug)]
/// struct OnDisks;
///
/// impl Setting<16, 16, 2> for OnDisks {
///     type Machine = Kv<16>;
///     type Workload = KvScript;
///     type Nemesis = Faults;
///     type Stores = Disks<3, 65536>;
///     type Room = Fixed<3, 1024>;
/// }
///
/// type Cluster = Simulation<OnDisks, 16, 16, 2>;
/// ```
pub trait Setting<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    /// What the nodes replicate.
    type Machine: StateMachine;
    /// What the clients ask for, and which answers are right.
    type Workload: Workload<Self::Machine>;
    /// What decides the fate of each message and brings faults.
    type Nemesis: Nemesis;
    /// What keeps the nodes' durable state.
    type Stores: Stores<Self::Machine, WINDOW, CLIENTS, PAGE>;
    /// How many of each thing there is room for.
    type Room: Room;
}

/// The plain setting: a [`Network`] that only loses and delays, storage that is [`Perfect`], and room for `NODES` nodes and
/// `EVENTS` scheduled events.
#[derive(Clone, Copy, Debug)]
pub struct Calm<M, L, const NODES: usize, const EVENTS: usize>(PhantomData<fn() -> (M, L)>);

impl<
    M: StateMachine,
    L: Workload<M>,
    const NODES: usize,
    const EVENTS: usize,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
> Setting<WINDOW, CLIENTS, PAGE> for Calm<M, L, NODES, EVENTS>
{
    type Machine = M;
    type Workload = L;
    type Nemesis = Network;
    type Stores = Perfect;
    type Room = Fixed<NODES, EVENTS>;
}

/// As [`Calm`], with every kind of [fault](Faults) except those of storage.
#[derive(Clone, Copy, Debug)]
pub struct Faulty<M, L, const NODES: usize, const EVENTS: usize>(PhantomData<fn() -> (M, L)>);

impl<
    M: StateMachine,
    L: Workload<M>,
    const NODES: usize,
    const EVENTS: usize,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
> Setting<WINDOW, CLIENTS, PAGE> for Faulty<M, L, NODES, EVENTS>
{
    type Machine = M;
    type Workload = L;
    type Nemesis = Faults;
    type Stores = Perfect;
    type Room = Fixed<NODES, EVENTS>;
}
