//! The journal: makes the writes of a node durable, as records in storage.

use super::record::{Begin, FRAME, Identity, JOURNAL_RECORD_MAX, Record, number_of};
use super::{JournalError, Storage};
use crate::mutant::{Mistake, Mutant};
use crate::{Instant, Node, SnapshotId, StateMachine, Write};
use core::hash::Hash;

/// Writes the durable part of a node to storage, and limits the size of the log by checkpoints.
///
/// [`Opened`](super::Opened) creates a journal together with its node. After every step of the node, or after a few,
/// call in this order:
///
/// 1. [`Journal::write`] with the writes in the outbox;
/// 2. [`Journal::sync`], even if there were no writes: after a start, records may be there that were never synced;
/// 3. only then send the messages and hand out the replies of the outbox.
///
/// If either returns an error, nothing of the outbox may leave: see the contract of a driver in [`storage`](super).
///
/// # The records
///
/// The journal writes a record for each [`Write`], and a *seal* with each sync, which distinguishes records that rotted
/// from records that were lost with the power; except for the last record, if its seal has rotted as well (see
/// [`Storage`]). When half of the storage is full, it begins a *checkpoint*: a snapshot of the state, of which each
/// further call of [`Journal::write`] adds a page while the node goes on. When the checkpoint is complete, everything
/// before it is dropped. If time is short (another snapshot has taken the room of the pinned one again and again, or
/// the storage is nearly full), the whole checkpoint is written at once.
///
/// So the storage never needs more than its capacity, which must be at least four times [`Journal::checkpoint_max`].
/// The records of a checkpoint in which power failed keep their room until a later one is complete: four checkpoints
/// outlast one such loss for each checkpoint that is completed, however often. If power may fail in several checkpoints
/// in a row, the storage needs room for four more for each of them.
#[derive(Clone, Debug)]
pub struct Journal<S> {
    storage: S,
    /// Written with each checkpoint, as the records that had it before are dropped then.
    identity: Identity,
    /// The number of this start of the node, counted from 1.
    incarnation: u32,
    /// True if the record of this incarnation was written. It is written with the first write and not at the start, so
    /// that a node that is started again and again without doing anything fills no storage.
    started: bool,
    /// True if the storage has a complete checkpoint. Before that, the node has sent nothing that depends on it.
    joined: bool,
    /// The number of the next record.
    next: u32,
    /// The bytes of the records that were not dropped.
    used: usize,
    /// The maximum of `used`.
    peak: usize,
    /// The checkpoint that is being written.
    under_way: Option<Checkpoint>,
    /// A complete checkpoint: the records before it are dropped with the next sync.
    complete: Option<Complete>,
    condition: Condition,
    /// How many were completed here. It decides nothing.
    checkpoints: u32,
    mistake: Mistake,
}

/// What is known about the durability of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Condition {
    /// All records are durable.
    Synced,
    /// Some records are not durable yet.
    Written,
    /// A write or a sync has failed. What the storage holds is unknown, so that nothing may be added to it any more.
    Failed,
}

/// A checkpoint with pages still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Checkpoint {
    /// The pinned snapshot. The node may give its room to another one, which ends the checkpoint.
    snapshot: SnapshotId,
    pages: u32,
    /// The index of the next page to be written, below `pages`.
    next_page: u32,
    /// The number of its first record.
    begin: u32,
    /// The bytes of that record and of all records after it.
    bytes: usize,
}

/// A checkpoint that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Complete {
    /// As in [`Checkpoint`].
    begin: u32,
    bytes: usize,
}

/// The end of an existing log, where the journal continues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) identity: Identity,
    /// That of the start which is about to begin.
    pub(super) incarnation: u32,
    /// The number of the next record.
    pub(super) next: u32,
    /// The bytes of all records.
    pub(super) used: usize,
    /// The number of the first record that is needed, and the bytes from there on; `None` before the first checkpoint.
    pub(super) needed: Option<(u32, usize)>,
    /// True if the last record is a seal, so that all of them are durable.
    pub(super) is_sealed: bool,
}

impl<S: Storage> Journal<S> {
    pub(super) fn new(storage: S, tail: Tail) -> Self {
        debug_assert!(
            tail.needed.is_none_or(|(_, bytes)| bytes <= tail.used),
            "the records from the checkpoint on are a part of all records"
        );
        Self {
            storage,
            identity: tail.identity,
            incarnation: tail.incarnation,
            started: false,
            joined: tail.needed.is_some(),
            next: tail.next,
            used: tail.used,
            peak: tail.used,
            under_way: None,
            // Records that were about to be dropped when power failed are dropped later, with the first sync.
            complete: tail.needed.map(|(begin, bytes)| Complete { begin, bytes }),
            // What was read and never synced must be, before others hear of it.
            condition: if tail.is_sealed {
                Condition::Synced
            } else {
                Condition::Written
            },
            checkpoints: 0,
            mistake: Mistake::NONE,
        }
    }

    /// Returns the storage.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Returns the storage mutably, for maintenance.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Returns the storage and drops the journal.
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Returns the identity of the node that the storage belongs to.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns how many times the node has started on this storage, counted from 1.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Returns the bytes of records that the storage holds, with [`Storage::OVERHEAD`] each.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Returns the most bytes of records that the storage has held, with [`Storage::OVERHEAD`] each; at most
    /// [`Storage::capacity`].
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// Returns everything that decides what this journal will write, besides the contents of its storage, without
    /// statistics. Two journals with equal exploration states and equal storage behave the same from then on. For model
    /// checking, like [`Node::exploration_state`].
    ///
    /// It does not follow from the storage: a journal with an unfinished checkpoint, or one that has written its
    /// incarnation, behaves differently from one that was just opened on the same records.
    pub fn exploration_state(&self) -> impl Eq + Hash + use<S> {
        let whose = (self.identity, self.incarnation, self.started, self.joined);
        let records = (self.next, self.used, self.condition);
        (whose, records, self.under_way, self.complete)
    }

    /// True if everything that the storage holds is durable. A journal that was opened on records which were never synced
    /// begins with false, until the first [`Journal::sync`]: the node has read them, and may tell of them.
    pub fn is_synced(&self) -> bool {
        self.condition == Condition::Synced
    }

    /// True if a checkpoint has begun and is not complete.
    pub(crate) fn is_checkpointing(&self) -> bool {
        self.under_way.is_some()
    }

    /// Returns how many checkpoints were completed since the journal was opened.
    pub fn checkpoints(&self) -> u32 {
        self.checkpoints
    }

    /// Returns the most bytes that a checkpoint with `pages` pages takes for a node with these capacities. A snapshot
    /// has one page for its header, pages for the sessions, and those of the state machine.
    pub fn checkpoint_max<M: StateMachine, const WINDOW: usize>(pages: u32) -> usize {
        let page = FRAME + 4 + M::PAGE_BYTES + S::OVERHEAD;
        let entry = Record::<M::Command>::LEN_MAX + S::OVERHEAD;
        let pages = usize::try_from(pages).unwrap_or(usize::MAX);
        // A vote and a decision for each slot, and the records `Begin`, `End`, `Seal` and `Started`.
        let ahead = entry.saturating_mul(2 * WINDOW + 4);
        page.saturating_mul(pages).saturating_add(ahead)
    }

    /// Appends the writes of a node, and a page of a checkpoint if one is due. Nothing is durable yet.
    ///
    /// Call it after every step or after a few, with all writes in the outbox, each once, while the node is in the
    /// state that these steps have left.
    ///
    /// # Errors
    ///
    /// [`JournalError`]: some of the writes may be in the storage, or none. The journal writes nothing more from then
    /// on.
    pub fn write<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        writes: &[Write<M::Command>],
    ) -> Result<(), JournalError<S::Error>> {
        const { assert_fits::<S, M>() };
        if self.condition == Condition::Failed {
            return Err(JournalError::Failed);
        }
        if writes.is_empty() {
            return Ok(());
        }
        self.mistake = node.mistake();
        let mut written = self.try_write(now, node, writes);
        if self.mistake.is(Mutant::TrimmedEarly) {
            written = written.and_then(|()| self.trim());
        }
        self.note(written)
    }

    /// Returns once everything that was written is durable.
    ///
    /// # Errors
    ///
    /// [`JournalError`]: it may be durable or not. The journal writes nothing more from then on.
    pub fn sync(&mut self) -> Result<(), JournalError<S::Error>> {
        match self.condition {
            Condition::Failed => Err(JournalError::Failed),
            Condition::Synced => Ok(()),
            Condition::Written => {
                let synced = self.try_sync();
                self.note(synced)
            }
        }
    }

    /// After an error it is unknown what was written.
    ///
    /// Called with the result of everything that touches the storage. Without it
    /// another record could be written under the number of one that failed and is there all the same.
    fn note(
        &mut self,
        result: Result<(), JournalError<S::Error>>,
    ) -> Result<(), JournalError<S::Error>> {
        if result.is_err() {
            self.condition = Condition::Failed;
        }
        result
    }

    fn try_write<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        writes: &[Write<M::Command>],
    ) -> Result<(), JournalError<S::Error>> {
        if !self.started {
            self.append::<M::Command>(&Record::Started(self.incarnation))?;
            self.started = true;
        }
        // A snapshot that was installed is in no record but those of a checkpoint, and before the first checkpoint a replay has
        // no state to start from.
        let is_new = |write: &Write<M::Command>| matches!(write, Write::Installed(_));
        if !self.joined || writes.iter().any(is_new) || self.is_nearly_full(node, writes.len()) {
            // The checkpoint contains the result of all of the writes.
            return self.write_checkpoint(node);
        }
        // In the order of the steps: a replay takes the last vote for a slot.
        for write in writes {
            let record = match write {
                Write::Promised(ballot) => Record::Promised(*ballot),
                Write::Accepted(entry) => Record::Accepted(*entry),
                Write::Decided { slot, proposal } => Record::Decided(*slot, *proposal),
                Write::Installed(_) => continue,
            };
            self.append(&record)?;
        }
        self.advance_checkpoint(now, node)
    }

    /// Seals what was written and makes it durable. The seal is a record like any other: if it is there, those before it were
    /// synced with it, and one that is missing among them has rotted.
    fn try_sync(&mut self) -> Result<(), JournalError<S::Error>> {
        self.append::<()>(&Record::Seal)?;
        self.storage.sync().map_err(JournalError::Storage)?;
        self.condition = Condition::Synced;
        // Only now: before the checkpoint was durable, what it replaces was still needed (rule T1).
        self.trim()
    }

    /// Drops the records before the last complete checkpoint once it is durable, unless that is done.
    fn trim(&mut self) -> Result<(), JournalError<S::Error>> {
        let keeps_rot = self.mistake.is(Mutant::RotNeverTrimmed);
        if let Some(Complete { begin, bytes }) = self.complete.take() {
            // Numbers wrap around, so one is before another if it is less than half of all numbers behind it. No storage holds
            // as many records.
            let is_stale = |bytes: &[u8]| {
                if keeps_rot && number_of(bytes).is_none() {
                    return false;
                }
                // A record that cannot be read was not needed when the log was read.
                number_of(bytes).is_none_or(|number| number.wrapping_sub(begin) >= 1 << 31)
            };
            debug_assert!(
                bytes <= self.used,
                "the records from the checkpoint on are a part of all records"
            );
            self.storage.trim(is_stale).map_err(JournalError::Storage)?;
            self.used = bytes;
        }
        Ok(())
    }

    /// True if there is too little room to write a checkpoint page by page. The rest must hold these writes and one
    /// checkpoint at once, and at least one more, as power may fail in the middle of it; of large storage, it must be a
    /// quarter.
    fn is_nearly_full<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        &self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        writes: usize,
    ) -> bool {
        let checkpoint = Self::checkpoint_max::<M, WINDOW>(node.state().pages());
        // A step writes `writes` records; the copies at the beginning of a checkpoint are two for each slot of the window.
        // With them a page or the beginning of a checkpoint, and a seal.
        let records = writes + 2 * WINDOW + 3;
        let writes = (Record::<M::Command>::LEN_MAX + S::OVERHEAD).saturating_mul(records);
        let capacity = self.storage.capacity();
        let spare = checkpoint.saturating_mul(2).max(capacity / 4);
        let needed = writes.saturating_add(spare);
        self.used.saturating_add(needed) > capacity
    }

    /// Writes a checkpoint of the current state at once.
    fn write_checkpoint<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), JournalError<S::Error>> {
        // From the state itself and without a pin: nothing happens between two of its pages.
        let state = node.state();
        let (snapshot, pages) = (state.snapshot_id(), state.pages());
        self.check_capacity::<M, WINDOW>(pages)?;
        self.begin(node, snapshot, pages)?;
        debug_assert!(
            self.under_way
                .is_some_and(|under_way| under_way.snapshot == snapshot && under_way.next_page == 0),
            "another checkpoint was given up for this one"
        );
        for page in 0..pages {
            self.append::<M::Command>(&Record::Page(page, &state.write_page(page)))?;
        }
        self.end()
    }

    /// The capacity must be four checkpoints at first. Later two will do, the old one and the new one: storage may have
    /// less room for a while, as flash does after losses of power that have torn records.
    fn check_capacity<M: StateMachine, const WINDOW: usize>(
        &self,
        pages: u32,
    ) -> Result<(), JournalError<S::Error>> {
        let checkpoints = if self.joined { 2 } else { 4 };
        let needed = Self::checkpoint_max::<M, WINDOW>(pages).saturating_mul(checkpoints);
        let capacity = self.storage.capacity();
        if needed > capacity {
            return Err(JournalError::TooSmall { needed, capacity });
        }
        Ok(())
    }

    /// Adds a page to the checkpoint in progress, or begins one if it is due.
    fn advance_checkpoint<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), JournalError<S::Error>> {
        let page = self.under_way.and_then(|under_way| {
            let index = under_way.next_page;
            let bytes = node.pinned_page(now, under_way.snapshot, index)?;
            Some((index, bytes))
        });
        if let Some((index, bytes)) = page {
            debug_assert!(
                self.under_way
                    .is_some_and(|under_way| index < under_way.pages),
                "a checkpoint ends with its last page"
            );
            self.append::<M::Command>(&Record::Page(index, &bytes))?;
            let Some(under_way) = &mut self.under_way else {
                return Ok(());
            };
            under_way.next_page = under_way.next_page.saturating_add(1);
            // Its last page and its end go into the same write, so that a complete checkpoint does not wait for another.
            if under_way.next_page >= under_way.pages {
                return self.end();
            }
            return Ok(());
        }
        // None is in progress, or its snapshot had to make room for another one.
        self.under_way = None;
        // The records of a complete one are still there until the next sync, and another would only be begun too early.
        if self.complete.is_none()
            && self.used >= self.storage.capacity() / 2
            && let Some((snapshot, pages)) = node.pin(now)
        {
            self.check_capacity::<M, WINDOW>(pages)?;
            self.begin(node, snapshot, pages)?;
        }
        Ok(())
    }

    /// Begins a checkpoint, with copies of all votes and decisions for slots above its snapshot.
    fn begin<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        snapshot: SnapshotId,
        pages: u32,
    ) -> Result<(), JournalError<S::Error>> {
        self.under_way = Some(Checkpoint {
            snapshot,
            pages,
            next_page: 0,
            begin: self.next,
            bytes: 0,
        });
        self.append::<M::Command>(&Record::Begin(Begin {
            identity: self.identity,
            incarnation: self.incarnation,
            promised: node.promised(),
            snapshot,
            pages,
        }))?;
        // Earlier records of these are dropped with everything before the checkpoint. They come right after its beginning, as
        // records of other steps come between its pages, and a later vote must be read later.
        for vote in node.votes_ahead() {
            self.append(&Record::AcceptedAhead(vote))?;
        }
        for (slot, proposal) in node.decisions_ahead() {
            self.append(&Record::DecidedAhead(slot, *proposal))?;
        }
        Ok(())
    }

    /// Ends the checkpoint in progress.
    fn end(&mut self) -> Result<(), JournalError<S::Error>> {
        let Some(begin) = self.under_way.map(|under_way| under_way.begin) else {
            return Ok(());
        };
        self.append::<()>(&Record::End(begin))?;
        if let Some(Checkpoint { begin, bytes, .. }) = self.under_way.take() {
            self.complete = Some(Complete { begin, bytes });
        }
        debug_assert!(self.complete.is_some() && self.under_way.is_none());
        self.joined = true;
        self.checkpoints = self.checkpoints.saturating_add(1);
        Ok(())
    }

    /// Encodes the next record, with its number, and appends it.
    fn append<C: crate::Value>(
        &mut self,
        record: &Record<'_, C>,
    ) -> Result<(), JournalError<S::Error>> {
        let mut buffer = [0; JOURNAL_RECORD_MAX];
        // The buffer holds the longest record, as was checked at compile time: see [`assert_fits`].
        match record.encode(self.next, &mut buffer) {
            Some(bytes) => self.put(bytes),
            None => Err(JournalError::Failed),
        }
    }

    /// Appends the next record.
    fn put(&mut self, bytes: &[u8]) -> Result<(), JournalError<S::Error>> {
        debug_assert!(bytes.len() <= S::RECORD_MAX, "checked at compile time");
        self.storage.append(bytes).map_err(JournalError::Storage)?;
        self.next = self.next.wrapping_add(1);
        self.condition = Condition::Written;
        // Counted as the storage counts it (the fifth clause of its contract), so that both agree on how full it is.
        let taken = bytes.len().saturating_add(S::OVERHEAD);
        self.used = self.used.saturating_add(taken);
        self.peak = self.peak.max(self.used);
        if let Some(under_way) = &mut self.under_way {
            under_way.bytes = under_way.bytes.saturating_add(taken);
        }
        debug_assert!(
            self.under_way
                .is_none_or(|under_way| under_way.bytes <= self.used),
            "the records of a checkpoint are a part of all records"
        );
        // What follows a complete checkpoint stays when it is trimmed to.
        if let Some(complete) = &mut self.complete {
            complete.bytes = complete.bytes.saturating_add(taken);
        }
        Ok(())
    }

    /// Writes the first record of all: the identity of the node. It is synced before the node says anything, so that storage
    /// which has lost nothing is empty only before anybody has heard of its node (rule D2).
    pub(super) fn provisioned(mut self) -> Result<Self, JournalError<S::Error>> {
        self.append::<()>(&Record::Identity(self.identity))?;
        self.try_sync()?;
        Ok(self)
    }
}

/// Asserts that the longest record of the node fits in the storage.
const fn assert_fits<S: Storage, M: StateMachine>() {
    let len = Record::<M::Command>::LEN_MAX;
    assert!(
        len <= JOURNAL_RECORD_MAX,
        "a command must be encoded in at most 474 bytes to be stored: see storage::JOURNAL_RECORD_MAX"
    );
    assert!(
        len <= S::RECORD_MAX,
        "the storage's Storage::RECORD_MAX must hold a page of a snapshot (117 bytes) and a command with 38 bytes besides"
    );
}
