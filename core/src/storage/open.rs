//! Opening storage: intact, empty or damaged, and what can be built from each.

use super::record::{Begin, Identity, Record};
use super::replay::Replay;
use super::{Damage, Journal, JournalError, OpenError, Storage, Tail};
use crate::mutant::Mistake;
use crate::{Config, Durable, Instant, Node, StateMachine};

/// What a node's storage turned out to be when it was opened. Nothing was changed in it.
///
/// Only intact storage, or storage that is explicitly given to a new node, makes a node that votes (rule D2).
#[derive(Debug)]
pub enum Opened<S, M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    /// Everything that was ever synced is there: the node goes on as who it was.
    Intact(Intact<S, M, WINDOW, CLIENTS>),
    /// There is nothing in it.
    Empty(Empty<S>),
    /// Something that was synced is not there, or is not what it was.
    Damaged(Damaged<S>),
}

/// Storage in which everything is as it was synced.
#[derive(Debug)]
pub struct Intact<S, M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    storage: S,
    config: Config,
    tail: Tail,
    past: Option<Durable<M, WINDOW, CLIENTS>>,
}

/// Storage that nothing is in.
///
/// That may be because it is new, or because all of it is gone: nobody but an operator can tell. A node that has ever
/// voted must not be given it, as it would have forgotten what others rely on.
#[derive(Debug)]
pub struct Empty<S> {
    storage: S,
    config: Config,
    identity: Identity,
    used: usize,
}

/// Storage that has lost something. No node that votes can be built from it.
#[derive(Debug)]
pub struct Damaged<S> {
    storage: S,
    damage: Damage,
}

impl<S: Storage> Journal<S> {
    /// Opens the storage of the node that the settings describe, and reads all that is in it: three times.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::storage::{Journal, Memory, Opened};
    /// use synod::{Config, Instant, Node, NodeId, Outbox};
    ///
    /// type Small = Node<Kv<4>, 8, 2, 2>;
    /// let config = Config::new(NodeId(0), 1);
    /// let Opened::Empty(empty) = Journal::open::<Kv<4>, 8, 2>(Memory::<16384>::new(), config.clone())? else { panic!() };
    /// let (mut journal, mut node): (_, Small) = empty.provision(6, Instant::ZERO)?;
    ///
    /// let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
    /// while node.leading().is_none() {
    ///     let now = node.next_deadline().unwrap();
    ///     node.handle_timeout(now, &mut outbox, &mut ());
    ///     journal.write(now, &mut node, &outbox.writes)?;
    ///     journal.sync()?;
    ///     outbox.clear(); // Here a driver sends the messages and hands out the replies.
    /// }
    ///
    /// let Opened::Intact(intact) = Journal::open::<Kv<4>, 8, 2>(journal.into_storage(), config)? else { panic!() };
    /// let (_, again): (_, Small) = intact.start(6, Instant::ZERO)?;
    /// assert_eq!(again.promised(), node.promised());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the storage cannot be read, or is another node's. Nothing was changed.
    pub fn open<M: StateMachine, const WINDOW: usize, const CLIENTS: usize>(
        storage: S,
        config: Config,
    ) -> Result<Opened<S, M, WINDOW, CLIENTS>, OpenError<S::Error>> {
        Self::open_with(storage, config, Mistake::NONE)
    }

    /// As [`Journal::open`], perhaps making a mistake with what is read.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn open_with<M: StateMachine, const WINDOW: usize, const CLIENTS: usize>(
        mut storage: S,
        config: Config,
        mistake: Mistake,
    ) -> Result<Opened<S, M, WINDOW, CLIENTS>, OpenError<S::Error>> {
        config.validate().map_err(OpenError::Config)?;
        let identity = Identity::of::<M, WINDOW, CLIENTS>(&config);
        let mut survey = Survey::default();
        storage
            .read(|bytes| survey.visit::<M::Command>(bytes, S::OVERHEAD))
            .map_err(OpenError::Storage)?;
        if let Some(found) = survey.identity
            && found != identity
        {
            return Err(OpenError::Foreign {
                expected: identity,
                found,
            });
        }
        if survey.next.is_none() && survey.unreadable <= 1 {
            // Where power failed in its very first record, nothing came of it.
            let used = survey.used;
            return Ok(Opened::Empty(Empty {
                storage,
                config,
                identity,
                used,
            }));
        }
        let past = match survey.replay_start() {
            Ok(None) => None,
            Ok(Some(begin)) => match replay(&mut storage, begin, mistake)? {
                Ok(durable) => Some(durable),
                Err(damage) => return Ok(Opened::Damaged(Damaged { storage, damage })),
            },
            Err(damage) => return Ok(Opened::Damaged(Damaged { storage, damage })),
        };
        let tail = Tail {
            identity,
            incarnation: survey.incarnation.saturating_add(1),
            next: survey.next.unwrap_or(0).wrapping_add(1),
            used: survey.used,
            needed: survey
                .complete
                .map(|complete| (complete.at, complete.bytes)),
        };
        Ok(Opened::Intact(Intact {
            storage,
            config,
            tail,
            past,
        }))
    }
}

/// Plays what is in the storage from a checkpoint on.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn replay<S: Storage, M: StateMachine, const WINDOW: usize, const CLIENTS: usize>(
    storage: &mut S,
    (at, begin): (u32, Begin),
    mistake: Mistake,
) -> Result<Result<Durable<M, WINDOW, CLIENTS>, Damage>, OpenError<S::Error>> {
    let mut replay = Replay::<M, WINDOW, CLIENTS>::new(at, &begin);
    replay.mistake = mistake;
    storage
        .read(|bytes| replay.take_page(bytes))
        .map_err(OpenError::Storage)?;
    if let Err(damage) = replay.install() {
        return Ok(Err(damage));
    }
    storage
        .read(|bytes| replay.take_record(bytes))
        .map_err(OpenError::Storage)?;
    Ok(replay.finish())
}

impl<S: Storage, M: StateMachine, const WINDOW: usize, const CLIENTS: usize>
    Intact<S, M, WINDOW, CLIENTS>
{
    /// What the node remembers; `None` where it had not joined yet, so that nobody relies on it.
    pub fn durable(&self) -> Option<&Durable<M, WINDOW, CLIENTS>> {
        self.past.as_ref()
    }

    /// The node as the same acceptor as before, with every promise and acceptance that it ever revealed; or, where it had
    /// not joined yet, from the beginning once more: the founder founds, and others join.
    ///
    /// `run_seed` is as for [`Node::found`].
    ///
    /// # Errors
    ///
    /// [`JournalError::Config`]: the first relation of the settings that does not hold.
    #[expect(
        clippy::type_complexity,
        reason = "the node, and the journal that goes with it"
    )]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn start<const PAGE: usize>(
        self,
        run_seed: u64,
        now: Instant,
    ) -> Result<(Journal<S>, Node<M, WINDOW, CLIENTS, PAGE>), JournalError<S::Error>> {
        self.config.validate().map_err(JournalError::Config)?;
        let incarnation = self.tail.incarnation;
        Ok((
            Journal::new(self.storage, self.tail),
            begin(self.config, self.past, run_seed, incarnation, now),
        ))
    }

    /// Gives the storage back as it is.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

impl<S: Storage> Empty<S> {
    /// Gives the storage to a node that has never voted under this number: the founder founds a cluster, and others join
    /// it. From now on the storage is that node's and no other's.
    ///
    /// Who calls this decides that the cluster has never heard of this node, or that there is no cluster yet. To call it
    /// for a node whose storage is gone breaks agreement (rule D2): see [`Node::learn`].
    ///
    /// # Errors
    ///
    /// [`JournalError`]: the storage failed, or the settings are not sound.
    #[expect(
        clippy::type_complexity,
        reason = "the node, and the journal that goes with it"
    )]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn provision<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        self,
        run_seed: u64,
        now: Instant,
    ) -> Result<(Journal<S>, Node<M, WINDOW, CLIENTS, PAGE>), JournalError<S::Error>> {
        let tail = Tail {
            identity: Identity::of::<M, WINDOW, CLIENTS>(&self.config),
            incarnation: 1,
            next: 1,
            used: self.used,
            needed: None,
        };
        debug_assert_eq!(tail.identity, self.identity, "opened for other capacities");
        self.config.validate().map_err(JournalError::Config)?;
        Ok((
            Journal::new(self.storage, tail).provisioned()?,
            begin(self.config, None, run_seed, 1, now),
        ))
    }

    /// Gives the storage back as it is.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

impl<S> Damaged<S> {
    /// What is wrong with it.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// Gives the storage back as it is.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn begin<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    config: Config,
    past: Option<Durable<M, WINDOW, CLIENTS>>,
    run_seed: u64,
    incarnation: u32,
    now: Instant,
) -> Node<M, WINDOW, CLIENTS, PAGE> {
    if let Some(past) = past {
        Node::recovered(config, past, run_seed, incarnation, now)
    } else if config.node == config.founder {
        Node::founding(config, run_seed, now)
    } else {
        Node::joining(config, run_seed, now, true)
    }
}

/// A checkpoint, and the record that it begins with.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: u32,
    begin: Begin,
    /// The bytes of that record and of all after it.
    bytes: usize,
}

/// What a first look at all records shows.
#[derive(Debug, Default)]
struct Survey {
    identity: Option<Identity>,
    incarnation: u32,
    used: usize,
    unreadable: u32,
    /// The number of the first record that can be read.
    first: Option<u32>,
    /// The number of the last one so far.
    next: Option<u32>,
    /// The first number that is missing, of those that matter.
    gap: Option<u32>,
    /// A checkpoint whose end has not been seen yet.
    under_way: Option<Found>,
    complete: Option<Found>,
}

impl Survey {
    fn visit<C: crate::Value>(&mut self, bytes: &[u8], overhead: usize) {
        let taken = bytes.len().saturating_add(overhead);
        self.used = self.used.saturating_add(taken);
        if let Some((number, record)) = Record::<C>::decode(bytes) {
            self.observe_number(number);
            self.see(number, &record);
        } else {
            self.unreadable = self.unreadable.saturating_add(1);
        }
        for found in [&mut self.under_way, &mut self.complete]
            .into_iter()
            .flatten()
        {
            found.bytes = found.bytes.saturating_add(taken);
        }
    }

    /// Records are numbered without a gap. What was lost with the power never got a number that was used again.
    fn observe_number(&mut self, number: u32) {
        self.first.get_or_insert(number);
        let expected = self.next.map(|last| last.wrapping_add(1));
        self.next = Some(number);
        if let Some(expected) = expected
            && expected != number
        {
            // A checkpoint with a hole in it is none.
            self.under_way = None;
            self.gap.get_or_insert(expected);
        }
    }

    fn see<C>(&mut self, number: u32, record: &Record<'_, C>) {
        match record {
            Record::Identity(identity) => self.identity = Some(*identity),
            Record::Started(incarnation) => self.started(*incarnation),
            Record::Begin(begin) => {
                self.identity = Some(begin.identity);
                self.started(begin.incarnation);
                self.under_way = Some(Found {
                    at: number,
                    begin: *begin,
                    bytes: 0,
                });
            }
            Record::End(at) => {
                if let Some(found) = self.under_way.take_if(|found| found.at == *at) {
                    // What was missing before it is not needed any more.
                    self.gap = None;
                    self.complete = Some(found);
                }
            }
            Record::Seal
            | Record::Promised(_)
            | Record::Accepted(_)
            | Record::Decided(..)
            | Record::AcceptedAhead(_)
            | Record::DecidedAhead(..)
            | Record::Page(..) => {}
        }
    }

    fn started(&mut self, incarnation: u32) {
        self.incarnation = self.incarnation.max(incarnation);
    }

    /// From where on to replay; `None` where the node had not joined yet.
    fn replay_start(&self) -> Result<Option<(u32, Begin)>, Damage> {
        if let Some(number) = self.gap {
            return Err(Damage::Missing { number });
        }
        match self.complete {
            Some(found) => Ok(Some((found.at, found.begin))),
            // The first record of all says whose storage it is, and is dropped only behind a checkpoint.
            None if self.first == Some(1) && self.identity.is_some() => Ok(None),
            None => Err(Damage::NoCheckpoint),
        }
    }
}
