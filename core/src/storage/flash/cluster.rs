//! Tests of a cluster whose nodes keep their journals in flash, with a power loss at every word and erase.
//!
//! The unit is the whole stack as a board has it: nodes, journals, logs in flash, and drivers that lose power. Each
//! step of the cluster is repeated with a cut at every word that it writes. The node then has to come back with all
//! that others had heard from it, and the cluster has to go on with it.

extern crate std;

use super::{Flash, FlashError};
use crate::machines::{Bank, BankCommand, Key};
use crate::simulation::{FlashFault, SimulatedFlash};
use crate::storage::{Journal, JournalError, OpenError, Opened};
use crate::{
    Ballot, ClientId, Config, Durable, Duration, Entry, Envelope, Event, Instant, Node, NodeId,
    Outbox, Outcome, Record, RequestNumber, Slot, Tracer,
};
use core::ops::Range;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;
use std::collections::BTreeMap;
use std::println;
use std::vec::Vec;

const WINDOW: usize = 4;
const CLIENTS: usize = 2;
const PAGE: usize = 2;
type Machine = Bank<4>;
type Small = Node<Machine, WINDOW, CLIENTS, PAGE>;
type Driver = SimulatedFlash<9, 1200, 8>;
type Store = Flash<Driver, 120>;
const RANGE: Range<u32> = 0..10_800;

/// A lost power supply; no other error may occur.
const NO_POWER: FlashError<FlashFault> = FlashError::Driver(FlashFault::PowerIsOff);

/// The chain digests of the applied prefixes, as the first node computed them.
///
/// Nodes of all branches of the test are compared with the same ones, as a branch begins with a copy.
#[derive(Clone, Default)]
struct Chains(BTreeMap<Slot, u64>);

impl Tracer<Machine, PAGE> for Chains {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        if let Event::Applied { slot, chain, .. } = record.event {
            let first = *self.0.entry(slot).or_insert(chain);
            assert_eq!(first, chain, "{slot:?} was applied in two ways");
        }
    }
}

/// What other nodes rely on: what a node had made durable when it last sent a message.
#[derive(Clone, Default)]
struct Revealed {
    /// A promise that others count on must not fall.
    promised: Ballot,
    votes: Vec<Entry<BankCommand>>,
    low_water: Slot,
}

impl Revealed {
    fn of(node: &Small) -> Self {
        Self {
            promised: node.promised(),
            votes: node.votes().collect(),
            low_water: node.low_water(),
        }
    }

    /// A vote may be gone if its slot is applied, or if a later vote took its place: in either case nobody needs it
    /// (rules T1 and S4).
    fn is_kept(&self, durable: &Durable<Machine, WINDOW, CLIENTS>) -> bool {
        let kept = |vote: &Entry<_>| {
            vote.slot <= durable.applied()
                || durable
                    .votes()
                    .any(|now| now.slot == vote.slot && (now.ballot > vote.ballot || now == *vote))
        };
        durable.promised() >= self.promised
            && durable.applied() >= self.low_water
            && self.votes.iter().all(kept)
    }
}

#[derive(Clone)]
struct Member {
    node: Small,
    journal: Journal<Store>,
    outbox: Outbox<Machine, PAGE, 64>,
    /// `None` until the node has joined: before that nobody relies on it.
    revealed: Option<Revealed>,
}

/// Three nodes that lose some of their messages, and a client.
#[derive(Clone)]
struct Cluster {
    members: Vec<Member>,
    wire: Vec<Envelope<Machine, PAGE>>,
    rng: XorShiftRng,
    now: Instant,
    chains: Chains,
    client: Option<ClientId>,
    number: u32,
}

/// Time passes by five milliseconds in some of the steps, so that heartbeats and elections come up within hundreds of
/// them.
fn config(node: u16) -> Config {
    Config::new(NodeId(node), 3).with_round_trip(Duration::from_millis(20))
}

/// Asserts that an error is due to the power loss.
fn assert_no_power(error: &JournalError<FlashError<FlashFault>>) {
    assert_eq!(*error, JournalError::Storage(NO_POWER));
}

/// Opens a flash as before a start of the node, and gives it to a new node if it is empty.
fn prepare(driver: &mut Driver, number: u16) -> Result<(), FlashError<FlashFault>> {
    let flash = Flash::<_, 120>::open(driver, RANGE)?;
    let opened = Journal::open::<Machine, WINDOW, CLIENTS>(flash, config(number));
    let opened = opened.map_err(|error| match error {
        OpenError::Storage(error) => error,
        error => panic!("{error:?}"),
    })?;
    if let Opened::Empty(empty) = opened {
        let provisioned = empty.provision::<Machine, WINDOW, CLIENTS, PAGE>(6, Instant::ZERO);
        provisioned.map_err(|error| {
            assert_no_power(&error);
            NO_POWER
        })?;
    }
    Ok(())
}

/// Builds a node from its flash; again, if power fails meanwhile.
fn start(mut driver: Driver, number: u16, revealed: Option<Revealed>, now: Instant) -> Member {
    // Each try may be cut again. It ends, as a driver has one cut ahead at most.
    while let Err(error) = prepare(&mut driver, number) {
        assert_eq!(error, NO_POWER);
        driver.restore_power();
    }
    let flash = Store::open(driver, RANGE).unwrap();
    let Ok(Opened::Intact(intact)) = Journal::open(flash, config(number)) else {
        panic!("NODE_{number} is not intact");
    };
    match (&revealed, intact.durable()) {
        (Some(revealed), Some(durable)) => {
            assert!(revealed.is_kept(durable), "NODE_{number} has forgotten");
        }
        (Some(_), None) => panic!("NODE_{number} has forgotten everything"),
        (None, _) => {}
    }
    let (journal, node) = intact.start(6, now).unwrap();
    Member {
        node,
        journal,
        outbox: Outbox::new(),
        revealed,
    }
}

impl Cluster {
    fn new(seed: u64, drivers: [Driver; 3]) -> Self {
        let members = (0..).zip(drivers);
        Self {
            members: members
                .map(|(number, driver)| start(driver, number, None, Instant::ZERO))
                .collect(),
            wire: Vec::new(),
            rng: XorShiftRng::seed_from_u64(seed),
            now: Instant::ZERO,
            chains: Chains::default(),
            client: None,
            number: 1,
        }
    }

    fn chance(&mut self, of: u32) -> u32 {
        self.rng.next_u32() % of
    }

    fn driver(&mut self, index: usize) -> &mut Driver {
        &mut self.members[index].journal.storage_mut().log.pages.driver
    }

    fn applied(&self) -> Slot {
        self.members
            .iter()
            .map(|member| member.node.applied())
            .max()
            .unwrap()
    }

    /// One event: a message arrives or is lost, time passes, or the client makes a request. Its writes become durable
    /// and its messages leave at once, or now and then only after another step. A node whose flash has lost power sends
    /// nothing and restarts. Returns the index of the node, and whether it restarted.
    fn step(&mut self) -> (usize, bool) {
        let mut index = usize::try_from(self.chance(3)).unwrap();
        let picked = self.chance(8);
        let is_lost = self.chance(8) == 0;
        // Output of several steps then leaves together, as from a driver that gathers.
        let waits = self.chance(4) == 0;
        let chains = &mut self.chains;
        if picked > 0 && !self.wire.is_empty() {
            let nth = usize::try_from(self.rng.next_u32()).unwrap() % self.wire.len();
            let envelope = self.wire.swap_remove(nth);
            index = usize::from(envelope.to.0);
            let Member { node, outbox, .. } = &mut self.members[index];
            if !is_lost {
                node.handle_message(self.now, &envelope, outbox, chains);
            }
        } else {
            self.now = self.now + Duration::from_millis(5);
            let Member { node, outbox, .. } = &mut self.members[index];
            node.handle_timeout(self.now, outbox, chains);
            let _ = match self.client {
                None => node.register(self.now, 77, outbox, chains),
                Some(client) => {
                    let command = BankCommand::Deposit(Key::numbered(self.number % 4), 1);
                    let number = RequestNumber(self.number);
                    node.request(self.now, client, number, command, outbox, chains)
                }
            };
        }
        if waits {
            return (index, false);
        }
        (index, !self.release(index))
    }

    /// Makes the steps of a node durable and sends its messages; or sends nothing, and restarts the node.
    fn release(&mut self, index: usize) -> bool {
        let Member {
            node,
            journal,
            outbox,
            revealed,
        } = &mut self.members[index];
        let written = journal.write(self.now, node, &outbox.writes);
        if let Err(error) = written.and_then(|()| journal.sync()) {
            assert_no_power(&error);
            let number = u16::try_from(index).unwrap();
            let mut driver = journal.clone().into_storage().into_driver();
            driver.restore_power();
            // A second power loss soon after: while the flash is opened, or in a later step.
            // A second loss soon after the first meets storage that is only half put right.
            if !driver.steps().is_multiple_of(3) {
                driver.cut_power_at(driver.steps() % 16);
            }
            self.members[index] = start(driver, number, revealed.take(), self.now);
            return false;
        }
        // From here on others may rely on everything that is durable now.
        if node.is_active() {
            *revealed = Some(Revealed::of(node));
        }
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                self.wire.push(node.envelope(to, outgoing));
            }
        }
        for reply in &outbox.replies {
            match reply.outcome {
                Outcome::Registered { client } => self.client = Some(client),
                Outcome::Applied { .. } if reply.key.number.0 == self.number => self.number += 1,
                _ => {}
            }
        }
        outbox.clear();
        true
    }

    /// Continues until a node has caught up with the cluster, and the cluster is some slots further.
    fn recover(&mut self, index: usize) {
        let end = self.applied();
        // The cluster goes on, be it with the node or in spite of it.
        let farther = Slot::new(end.number() + 2);
        for _ in 0..6_000 {
            if self.members[index].node.applied() >= end && self.applied() >= farther {
                return;
            }
            self.step();
        }
        panic!(
            "NODE_{index} is at {:?}, and was at {end:?}",
            self.members[index].node.applied()
        );
    }
}

/// True if a node has reused pages of its flash, after three checkpoints.
fn has_gone_around(member: &Member) -> bool {
    let erases = member.journal.storage().log.pages.driver.erases();
    member.journal.checkpoints() >= 3 && erases.iter().sum::<u32>() > 12
}

#[test]
fn nothing_revealed_is_forgotten_when_flash_loses_power() {
    let mut cluster = Cluster::new(6, [1, 2, 3].map(Driver::new));
    let (mut cuts, mut steps) = (0, 0);
    while !cluster.members.iter().all(has_gone_around) {
        let before = cluster.clone();
        let (index, _) = cluster.step();
        steps += 1;
        let words = cluster.driver(index).steps() - before.clone().driver(index).steps();
        for at in 0..words {
            let mut other = before.clone();
            other.driver(index).cut_power_at(at);
            assert_eq!(other.step(), (index, true), "step {steps}, word {at}");
            other.recover(index);
            cuts += 1;
        }
    }
    let slots = cluster.applied().number();
    println!("cluster: cut at {cuts} words, in {steps} steps with {slots} slots");
    for member in &mut cluster.members {
        println!(
            "peak {} of {}, erases {:?}",
            member.journal.peak(),
            crate::storage::Storage::capacity(member.journal.storage()),
            member.journal.storage().log.pages.driver.erases()
        );
    }
    assert!(cuts > 1000);
}

#[test]
fn d3_a_bit_that_changes_in_the_flash_of_a_node_is_noticed_or_harmless() {
    let mut cluster = Cluster::new(6, [1, 2, 3].map(Driver::new));
    while !cluster.members.iter().all(has_gone_around) {
        cluster.step();
    }
    // Nothing of the node is pending, so that what it has revealed is what is durable.
    assert!(cluster.release(0));
    let member = &cluster.members[0];
    let revealed = member.revealed.as_ref().unwrap();
    let whole = member.journal.clone().into_storage().into_driver();
    let (mut refused, mut damaged, mut harmless) = (0, 0, 0);
    // One bit of each byte, another one from byte to byte.
    for address in RANGE {
        let mut driver = whole.clone();
        driver.flip(address, 1 << (address % 8));
        match Store::open(driver, RANGE) {
            Err(error) => {
                assert_eq!(error, FlashError::Damaged, "{address}");
                refused += 1;
            }
            Ok(flash) => match Journal::open::<Machine, WINDOW, CLIENTS>(flash, config(0)).unwrap()
            {
                Opened::Empty(_) => panic!("{address}: all is forgotten"),
                Opened::Damaged(_) => damaged += 1,
                Opened::Intact(intact) => {
                    assert!(revealed.is_kept(intact.durable().unwrap()), "{address}");
                    harmless += 1;
                }
            },
        }
    }
    println!(
        "of {} bits {refused} are refused, {damaged} are damage, {harmless} are harmless",
        RANGE.len()
    );
    assert!(refused > 0 && damaged > 0 && harmless > 0);
}
