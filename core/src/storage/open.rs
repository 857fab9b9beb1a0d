//! Opening storage: it is intact, empty or damaged, which decides what node can be built from it.

use super::record::{Begin, Identity, Record};
use super::replay::Replay;
use super::{Damage, Journal, JournalError, OpenError, Storage, Tail};
use crate::mutant::Mistake;
use crate::{Config, Durable, Instant, Node, NodeSet, StateMachine};

/// The result of opening the storage of a node. Nothing in it was changed.
///
/// Only intact storage, or empty storage that is explicitly given to a new node, makes a node that votes (rule D2).
#[derive(Debug)]
pub enum Opened<S, M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    /// All synced records are there: the node restarts as itself.
    Intact(Intact<S, M, WINDOW, CLIENTS>),
    /// The storage has no records.
    Empty(Empty<S>),
    /// A synced record is missing, or has changed.
    Damaged(Damaged<S>),
}

/// Storage with all synced records.
#[derive(Debug)]
pub struct Intact<S, M: StateMachine, const WINDOW: usize, const CLIENTS: usize> {
    storage: S,
    config: Config,
    tail: Tail,
    /// `None` before the node has joined.
    past: Option<Durable<M, WINDOW, CLIENTS>>,
}

/// Storage without records.
///
/// It may be new, or its records may be lost: only an operator can tell. It must not be given to a node that has ever
/// voted, which would then have forgotten what other nodes rely on.
#[derive(Debug)]
pub struct Empty<S> {
    storage: S,
    config: Config,
    /// That of the node for which it was opened; another one must not be provisioned.
    identity: Identity,
    /// The bytes of a first record in which power failed, or 0.
    used: usize,
}

/// Storage that has lost records. It makes no node that votes.
#[derive(Debug)]
pub struct Damaged<S> {
    storage: S,
    damage: Damage,
}

impl<S: Storage> Journal<S> {
    /// Opens the storage of the node with these settings, and reads all records three times.
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
    /// [`OpenError`]: the storage cannot be read, or belongs to another node. Nothing was changed.
    pub fn open<M: StateMachine, const WINDOW: usize, const CLIENTS: usize>(
        storage: S,
        config: Config,
    ) -> Result<Opened<S, M, WINDOW, CLIENTS>, OpenError<S::Error>> {
        Self::open_with(storage, config, Mistake::NONE)
    }

    /// As [`Journal::open`], with a mutant that may be active.
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
        // One record that cannot be read may be the torn identity; more of them may be a log that has rotted.
        if survey.next.is_none() && survey.unreadable <= 1 {
            // If power failed in its very first record, the storage is as good as empty.
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
            Ok(Some(begin)) => match replay(&mut storage, begin, (config.members, mistake))? {
                Ok(durable) => Some(durable),
                Err(damage) => return Ok(Opened::Damaged(Damaged { storage, damage })),
            },
            Err(damage) => return Ok(Opened::Damaged(Damaged { storage, damage })),
        };
        // The journal goes on with the number after the last record that can be read, which may be that of a torn one.
        let tail = Tail {
            identity,
            incarnation: survey.incarnation.saturating_add(1),
            next: survey.next.unwrap_or(0).wrapping_add(1),
            used: survey.used,
            needed: survey
                .complete
                .map(|complete| (complete.at, complete.bytes)),
            is_sealed: survey.is_sealed,
        };
        Ok(Opened::Intact(Intact {
            storage,
            config,
            tail,
            past,
        }))
    }
}

/// Replays the records from a checkpoint on. It reads them twice, as the votes behind the beginning of a checkpoint
/// need the state of its pages, which come later.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn replay<S: Storage, M: StateMachine, const WINDOW: usize, const CLIENTS: usize>(
    storage: &mut S,
    (at, begin): (u32, Begin),
    (members, mistake): (NodeSet, Mistake),
) -> Result<Result<Durable<M, WINDOW, CLIENTS>, Damage>, OpenError<S::Error>> {
    let mut replay = Replay::<M, WINDOW, CLIENTS>::new(at, &begin, members);
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
    /// Returns the durable part of the node; `None` if it had not joined yet, so that nobody relies on it.
    pub fn durable(&self) -> Option<&Durable<M, WINDOW, CLIENTS>> {
        self.past.as_ref()
    }

    /// Restarts the node with the same acceptor as before, with every promise and vote that it ever revealed. If it had
    /// not joined yet, it starts over: the founder founds, and others join.
    ///
    /// `run_seed` is as for [`Node::found`].
    ///
    /// # Errors
    ///
    /// [`JournalError::Config`]: the first check of the settings that fails.
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

    /// Returns the storage unchanged.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

impl<S: Storage> Empty<S> {
    /// Gives the storage to a node that has never voted under this number: the founder founds a cluster, and others
    /// join it. From now on the storage belongs to that node alone.
    ///
    /// The caller asserts that the cluster has never heard of this node, or that there is no cluster yet. To call this
    /// for a node whose storage was lost breaks agreement (rule D2): see [`Node::learn`].
    ///
    /// # Errors
    ///
    /// [`JournalError`]: the storage has failed, or the settings are invalid.
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
            is_sealed: true,
        };
        debug_assert_eq!(tail.identity, self.identity, "opened for other capacities");
        self.config.validate().map_err(JournalError::Config)?;
        Ok((
            Journal::new(self.storage, tail).provisioned()?,
            begin(self.config, None, run_seed, 1, now),
        ))
    }

    /// Returns the storage unchanged.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

impl<S> Damaged<S> {
    /// Returns what is damaged.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// Returns the storage unchanged.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

/// Builds the node that goes on from a past, or one that is new. It votes in either case.
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

/// A checkpoint and its first record.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The number of the record.
    at: u32,
    begin: Begin,
    /// The bytes of that record and of all records after it.
    bytes: usize,
}

/// The result of the first pass over all records.
#[derive(Debug, Default)]
struct Survey {
    /// As the last record says that has one. They all say the same, unless somebody has mixed up storage.
    identity: Option<Identity>,
    /// The highest one: that of the last start which has written anything.
    incarnation: u32,
    used: usize,
    /// How many records are garbled.
    unreadable: u32,
    /// The number of the first readable record.
    first: Option<u32>,
    /// The number of the last readable record.
    next: Option<u32>,
    /// True if the last readable record is a seal.
    is_sealed: bool,
    /// The first missing number, among those that matter.
    gap: Option<u32>,
    /// A checkpoint whose end has not been read yet.
    under_way: Option<Found>,
    /// The last checkpoint whose end was read.
    complete: Option<Found>,
}

impl Survey {
    /// Takes the next record. One that cannot be read is not damage in itself: if a later one was written with its number it was
    /// torn, and if it is the last one it may have been.
    fn visit<C: crate::Value>(&mut self, bytes: &[u8], overhead: usize) {
        let taken = bytes.len().saturating_add(overhead);
        self.used = self.used.saturating_add(taken);
        if let Some((number, record)) = Record::<C>::decode(bytes) {
            self.observe_number(number);
            self.is_sealed = matches!(record, Record::Seal);
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

    /// Checks the number of a record against the sequence, which has no gaps: numbers of records that were lost with
    /// the power are used again.
    fn observe_number(&mut self, number: u32) {
        self.first.get_or_insert(number);
        let expected = self.next.map(|last| last.wrapping_add(1));
        self.next = Some(number);
        if let Some(expected) = expected
            && expected != number
        {
            // A checkpoint with a gap is not complete. The first gap is the one that is reported.
            self.under_way = None;
            self.gap.get_or_insert(expected);
        }
    }

    /// Notes what a record says of the node and of checkpoints.
    fn see<C>(&mut self, number: u32, record: &Record<'_, C>) {
        match record {
            Record::Identity(identity) => self.identity = Some(*identity),
            Record::Started(incarnation) => self.started(*incarnation),
            Record::Begin(begin) => {
                // The record with the identity may be dropped by now.
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
                    // Records that were missing before it are not needed any more.
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

    /// Returns where to start the replay; `None` if the node had not joined yet.
    fn replay_start(&self) -> Result<Option<(u32, Begin)>, Damage> {
        if let Some(number) = self.gap {
            return Err(Damage::Missing { number });
        }
        match self.complete {
            Some(found) => Ok(Some((found.at, found.begin))),
            // The first record of all is the identity, which is dropped only after a complete checkpoint.
            None if self.first == Some(1) && self.identity.is_some() => Ok(None),
            None => Err(Damage::NoCheckpoint),
        }
    }
}
