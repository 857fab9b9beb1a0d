//! Client sessions: each request is applied at most once, and a retry gets the same answer.
//!
//! A fixed table of (client, last number, last reply), like the client table of *Viewstamped Replication Revisited*
//! (Liskov and Cowling, 2012, section 4). Here an entry is written only when a request is *applied*, and the log
//! assigns the identities (rules X1 to X3).

use crate::invariant::ensure;
use crate::mutant::{Mistake, Mutant};
use crate::{
    ClientId, Digest, MalformedPage, Outcome, Proposal, Reader, RequestKey, RequestNumber, Sink,
    Slot, StateMachine, Value,
};
use heapless::Vec;

/// The maximum length of an encoded output in bytes. With this limit the second half of a session, which contains the
/// output, fits in a page of a snapshot. If pages are smaller than [`SNAPSHOT_PAGE`](crate::SNAPSHOT_PAGE), the limit
/// is lower by the same number of bytes.
pub const OUTPUT_MAX: usize = crate::SNAPSHOT_PAGE - TAIL;

/// The length of the first half of an encoded session in bytes: client, nonce, slot and number.
pub(crate) const HEAD: usize = 8 + 8 + 8 + 4;

/// The length of the second half of an encoded session without its output, in bytes.
pub(crate) const TAIL: usize = 4 + 1;

const _: () = assert!(
    HEAD <= crate::SNAPSHOT_PAGE,
    "half a session fits in a page, or some would be in no page at all (X3)"
);

/// Up to `CLIENTS` sessions, in rising order of client identity, which is the order of registration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Sessions<O, const CLIENTS: usize> {
    /// Equal on all nodes that have applied the same slots, so that they evict the same session (rule X2).
    table: Vec<Session<O>, CLIENTS>,
    /// Set by the replica; without the feature `mutants` it has no size.
    pub(crate) mistake: Mistake,
}

/// What is remembered of one client: enough to answer its last request again, and to know that an earlier one is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Session<O> {
    /// The slot of the registration.
    client: ClientId,
    /// What the client drew for its registration. A retry of it finds this session, and opens no second one.
    nonce: u64,
    /// The slot of the last applied request, or of the registration.
    used: Slot,
    /// The number of the last applied request; [`RequestNumber::REGISTRATION`] before the first one.
    number: RequestNumber,
    /// Distinguishes a retry from another command under the same number.
    fingerprint: u32,
    /// The output of that request; `None` before the first one.
    reply: Option<O>,
}

impl<O: Value, const CLIENTS: usize> Sessions<O, CLIENTS> {
    /// Creates the table at the founding of a cluster.
    pub(crate) const fn new() -> Self {
        Self {
            table: Vec::new(),
            mistake: Mistake::NONE,
        }
    }

    /// Returns the number of sessions.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Checks the invariants that hold between steps, for a table that follows from the log up to `applied`.
    pub(crate) fn check_invariants(&self, applied: Slot) -> Result<(), &'static str> {
        ensure(
            self.table
                .is_sorted_by(|one, next| one.client < next.client),
            "the sessions are not in the order in which they were opened (X2)",
        )?;
        let is_used = |session: &Session<O>| {
            session.client.0 <= session.used.number() && session.used <= applied
        };
        ensure(
            self.table.iter().all(is_used),
            "a session was used before it was opened, or in a slot that is not applied (X2)",
        )?;
        let has_answer = |session: &Session<O>| {
            session.reply.is_some() == (session.number != RequestNumber::REGISTRATION)
        };
        ensure(
            self.table.iter().all(has_answer),
            "a session has the answer to its last request, and none before the first (X1)",
        )
    }

    /// Returns the place of a client's session: at the first look for most, after a binary search for the others.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn find(&self, client: ClientId) -> Option<usize> {
        // Clients that have registered one after the other are as far apart in the table as their slots are in the log.
        // A client before the first one wraps around to a place that no table has.
        let first = self.table.first()?.client.0;
        let guess = usize::try_from(client.0.wrapping_sub(first)).unwrap_or(usize::MAX);
        if self
            .table
            .get(guess)
            .is_some_and(|session| session.client == client)
        {
            return Some(guess);
        }
        self.table
            .binary_search_by_key(&client, |session| session.client)
            .ok()
    }

    /// Returns the number of the last applied request of a client.
    pub(crate) fn last(&self, client: ClientId) -> Option<RequestNumber> {
        let session = self.table.get(self.find(client)?)?;
        Some(session.number)
    }

    /// Returns every client with a session, in the order of registration, with the number of its last applied request.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClientId, RequestNumber)> {
        let sessions = self.table.iter();
        sessions.map(|session| (session.client, session.number))
    }

    /// Returns the outcome of a request as far as it is known without applying anything; `None` if the request must be
    /// proposed. With `applied`, an evicted session is distinguished from one whose registration this replica has not
    /// applied yet.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn look_up<C: Value>(
        &self,
        (proposal, fingerprint): (&Proposal<C>, u32),
        applied: Slot,
    ) -> Option<Outcome<O>> {
        match proposal {
            // A change of the members needs no session: see `State::look_up`.
            Proposal::Noop | Proposal::Reconfigure(_) => None,
            Proposal::Register { nonce } => {
                let session = self.table.iter().find(|session| session.nonce == *nonce)?;
                Some(Outcome::Registered {
                    client: session.client,
                })
            }
            Proposal::Request { client, number, .. } => match self.find(*client) {
                Some(index) => self.table.get(index)?.answer(*number, fingerprint),
                None => (client.0 <= applied.number()).then_some(Outcome::Evicted),
            },
        }
    }

    /// Rule X1: applies the decision for `slot` unless it was applied before, and returns its outcome. The outcome is
    /// added to the chain digest: see [`Digest::chain_outcome`].
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "one step of the loop that applies, which keeps what comes of it in registers"
        ),
        inline(always)
    )]
    pub(crate) fn apply<M: StateMachine<Output = O>>(
        &mut self,
        slot: Slot,
        proposal: &Proposal<M::Command>,
        (fingerprint, chain): (u32, &mut Digest),
        machine: &mut M,
    ) -> Option<Outcome<O>> {
        let old = match proposal {
            Proposal::Noop | Proposal::Reconfigure(_) => return None,
            Proposal::Register { nonce } => {
                let (client, evicted) = self.register(slot, *nonce);
                chain.chain_eviction(evicted);
                Outcome::Registered { client }
            }
            Proposal::Request {
                client,
                number,
                command,
            } => 'old: {
                let session = self.find(*client);
                let Some(session) = session.and_then(|index| self.table.get_mut(index)) else {
                    break 'old Outcome::Evicted;
                };
                let answer = session.answer(*number, fingerprint);
                let answer = answer.filter(|_| !self.mistake.is(Mutant::SessionSkipped));
                if let Some(answer) = answer {
                    break 'old answer;
                }
                debug_assert!(
                    self.mistake.is_any() || *number > session.number,
                    "applies a request twice, or after a later one (X1)"
                );
                let output = machine.apply(command);
                session.number = *number;
                session.fingerprint = fingerprint;
                session.reply = Some(output);
                session.used = slot;
                output.encode(chain);
                return Some(Outcome::Applied { slot, output });
            }
        };
        chain.chain_outcome(&old);
        Some(old)
    }

    /// Rule X2: opens a session whose identity is its slot. If the table is full, it evicts the least recently used
    /// session, which is the same one on every replica. Returns the client of the new session and that of the evicted
    /// one.
    fn register(&mut self, slot: Slot, nonce: u64) -> (ClientId, Option<ClientId>) {
        if let Some(session) = self.table.iter().find(|session| session.nonce == nonce) {
            return (session.client, None);
        }
        let mut evicted = None;
        if self.table.is_full() {
            let oldest = self
                .table
                .iter()
                .enumerate()
                .min_by_key(|(_, session)| session.used);
            if let Some((index, _)) = oldest {
                // `Vec::remove` would contain a panic for an index past the end. From the end down to the place of the
                // oldest, each session takes the place of the one before it, which keeps their order.
                if let Some(mut carried) = self.table.pop() {
                    for place in self.table.iter_mut().skip(index).rev() {
                        core::mem::swap(place, &mut carried);
                    }
                    evicted = Some(carried.client);
                }
            }
        }
        let client = ClientId(slot.number());
        let (number, fingerprint, reply) = (RequestNumber::REGISTRATION, 0, None);
        let session = Session {
            client,
            nonce,
            used: slot,
            number,
            fingerprint,
            reply,
        };
        let opened = self.table.push(session).is_ok();
        debug_assert!(opened, "a session was evicted if the table was full (X2)");
        debug_assert!(
            evicted.is_none() || self.table.is_full(),
            "evicted a session although there was room (X2)"
        );
        (client, evicted)
    }

    /// The mutant [`Mutant::SessionFilledEarly`]: writes the session when a request arrives.
    pub(crate) fn fill_early(&mut self, key: RequestKey) {
        let mut sessions = self.table.iter_mut();
        if let Some(session) = sessions.find(|session| session.client == key.client) {
            session.number = session.number.max(key.number);
        }
    }

    /// Returns how many sessions fit in a page of this many bytes; 0 if each takes two pages.
    const fn sessions_per_page(bytes: usize) -> usize {
        bytes / (HEAD + TAIL + O::ENCODED_MAX)
    }

    /// Returns the number of snapshot pages, of `bytes` bytes each, that `len` sessions take (rule X3).
    pub(crate) fn pages(len: usize, bytes: usize) -> u32 {
        let pages = match Self::sessions_per_page(bytes) {
            0 => 2 * len,
            sessions_per_page => len.div_ceil(sessions_per_page),
        };
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    /// Writes one of the pages that the sessions take in a snapshot, numbered from 0 (rule X3). A session is not
    /// divided unless a page is too short for a whole one: then its two halves are two pages.
    pub(crate) fn write_page(&self, page: u32, bytes: usize, sink: &mut impl Sink) {
        debug_assert!(
            page < Self::pages(self.len(), bytes),
            "the sessions have no such page (X3)"
        );
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        match Self::sessions_per_page(bytes) {
            0 => {
                if let Some(session) = self.table.get(page / 2) {
                    if page.is_multiple_of(2) {
                        session.write_head(sink);
                    } else {
                        session.write_tail(sink);
                    }
                }
            }
            sessions_per_page => {
                let skip = page.saturating_mul(sessions_per_page);
                for session in self.table.iter().skip(skip).take(sessions_per_page) {
                    session.write_head(sink);
                    session.write_tail(sink);
                }
            }
        }
    }

    /// Reads a page of `bytes` bytes of the snapshot of slot `at`. The pages come in order, each once, into a table that
    /// began empty.
    ///
    /// # Errors
    ///
    /// [`MalformedPage`]: the bytes are not such a page, have more sessions than this table takes, or a session that no
    /// log gives. The caller drops the whole snapshot.
    pub(crate) fn read_page(
        &mut self,
        page: u32,
        bytes: usize,
        at: Slot,
        reader: &mut Reader<'_>,
    ) -> Result<(), MalformedPage> {
        if Self::sessions_per_page(bytes) > 0 {
            while !reader.is_empty() {
                self.read_head(at, reader)?;
                self.read_tail(reader)?;
            }
            Ok(())
        } else if page.is_multiple_of(2) {
            self.read_head(at, reader)
        } else {
            self.read_tail(reader)
        }
    }

    /// Reads the first half of a session of the snapshot of slot `at`, and refuses one that no log gives.
    ///
    /// A session is opened in the slot that is its identity, and is used in that slot or in later ones (rule X2). All of
    /// them are applied when a snapshot is taken, because the slot of a snapshot is the last that its state has applied,
    /// and slots are applied in order (rules R2 and R4). So no node writes such a session. If one above `at` were
    /// accepted, the registration that is applied in its slot, or before it, would be appended out of order, and
    /// [`Sessions::find`] would miss sessions that are there.
    fn read_head(&mut self, at: Slot, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        let session = Session::read_head(reader).ok_or(MalformedPage)?;
        let last = self.table.last();
        let is_in_order = last.is_none_or(|last| last.client < session.client);
        if !is_in_order || session.client.0 > session.used.number() || session.used > at {
            return Err(MalformedPage);
        }
        self.table.push(session).map_err(|_| MalformedPage)
    }

    /// Reads the second half of the session that was appended last: the answer to its last request.
    fn read_tail(&mut self, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        let session = self.table.last_mut().ok_or(MalformedPage)?;
        session.read_tail(reader).ok_or(MalformedPage)
    }
}

impl<O: Value> Session<O> {
    /// Returns the answer to a request that was applied before; `None` for a new one.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn answer(&self, number: RequestNumber, fingerprint: u32) -> Option<Outcome<O>> {
        if number > self.number {
            return None;
        }
        if number < self.number {
            return Some(Outcome::Stale);
        }
        // The number of the last request. A request numbered 0, which no node makes, finds no output here.
        match self.reply {
            Some(output) if self.fingerprint == fingerprint => Some(Outcome::Applied {
                slot: self.used,
                output,
            }),
            _ => Some(Outcome::Reused),
        }
    }

    /// Writes [`HEAD`] bytes.
    fn write_head(&self, sink: &mut impl Sink) {
        sink.put_u64(self.client.0);
        sink.put_u64(self.nonce);
        sink.put_u64(self.used.number());
        sink.put_u32(self.number.0);
    }

    /// Writes [`TAIL`] bytes, the last of which says whether an output follows, and the output.
    fn write_tail(&self, sink: &mut impl Sink) {
        sink.put_u32(self.fingerprint);
        match &self.reply {
            None => sink.put_u8(0),
            Some(output) => {
                sink.put_u8(1);
                output.encode(sink);
            }
        }
    }

    fn read_head(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            client: ClientId(reader.u64()?),
            nonce: reader.u64()?,
            used: Slot::new(reader.u64()?),
            number: RequestNumber(reader.u32()?),
            fingerprint: 0,
            reply: None,
        })
    }

    fn read_tail(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.fingerprint = reader.u32()?;
        self.reply = match reader.u8()? {
            0 => None,
            1 => Some(O::decode(reader)?),
            _ => return None,
        };
        // A session has the answer to its last request, and none before the first (rule X1).
        let has_request = self.number != RequestNumber::REGISTRATION;
        (self.reply.is_some() == has_request).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::{Key, Kv, KvCommand, KvReply};

    struct World {
        sessions: Sessions<KvReply, 2>,
        machine: Kv<4>,
        slot: Slot,
    }

    impl World {
        fn new() -> Self {
            Self {
                sessions: Sessions::new(),
                machine: Kv::default(),
                slot: Slot::ZERO,
            }
        }

        fn apply(&mut self, proposal: Proposal<KvCommand>) -> Option<Outcome<KvReply>> {
            self.slot = self.slot.next().unwrap();
            let fingerprint = match proposal {
                Proposal::Request {
                    command: KvCommand::Set(_, value),
                    ..
                } => u32::try_from(value).unwrap(),
                _ => 0,
            };
            self.sessions.apply(
                self.slot,
                &proposal,
                (fingerprint, &mut Digest::new()),
                &mut self.machine,
            )
        }

        fn register(&mut self, nonce: u64) -> ClientId {
            match self.apply(Proposal::Register { nonce }) {
                Some(Outcome::Registered { client }) => client,
                other => panic!("not registered: {other:?}"),
            }
        }

        fn set(&mut self, client: ClientId, number: u32, value: i64) -> Option<Outcome<KvReply>> {
            let command = KvCommand::Set(Key::numbered(0), value);
            self.apply(Proposal::Request {
                client,
                number: RequestNumber(number),
                command,
            })
        }
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it stands for what is answered, which may be nothing"
    )]
    fn applied(slot: u64, value: i64) -> Option<Outcome<KvReply>> {
        Some(Outcome::Applied {
            slot: Slot::new(slot),
            output: KvReply::Value(value),
        })
    }

    #[test]
    fn x1_a_request_is_applied_once_and_a_retry_gets_the_same_answer() {
        let mut world = World::new();
        let client = world.register(70);
        assert_eq!(world.set(client, 1, 5), applied(2, 5));
        let before = world.machine.clone();
        assert_eq!(
            world.set(client, 1, 5),
            applied(2, 5),
            "the answer of the first time"
        );
        assert_eq!(world.set(client, 1, 6), Some(Outcome::Reused));
        assert_eq!(world.machine, before);
        assert_eq!(world.set(client, 4, 6), applied(5, 6));
        assert_eq!(world.set(client, 3, 7), Some(Outcome::Stale));
    }

    #[test]
    fn x2_a_retried_registration_opens_no_second_session() {
        let mut world = World::new();
        let client = world.register(70);
        assert_eq!(world.register(70), client);
        assert_ne!(world.register(71), client);
    }

    #[test]
    fn x2_a_full_table_gives_up_the_session_that_was_used_longest_ago() {
        let mut world = World::new();
        let (first, second) = (world.register(1), world.register(2));
        world.set(first, 1, 5);
        let third = world.register(3);
        assert_eq!(world.set(second, 1, 6), Some(Outcome::Evicted));
        assert!(matches!(
            world.set(first, 2, 7),
            Some(Outcome::Applied { .. })
        ));
        assert!(matches!(
            world.set(third, 1, 8),
            Some(Outcome::Applied { .. })
        ));
        let proposal = Proposal::Request {
            client: second,
            number: RequestNumber(1),
            command: KvCommand::Get(Key::numbered(0)),
        };
        let known = |applied| {
            world
                .sessions
                .look_up((&proposal, proposal.fingerprint()), applied)
        };
        assert_eq!(known(world.slot), Some(Outcome::Evicted));
        assert_eq!(
            known(Slot::ZERO),
            None,
            "a replica that is behind cannot know"
        );
    }

    /// Copies sessions by way of pages of this many bytes; returns the copy and the number of pages.
    fn travelled<O: Value, const CLIENTS: usize>(
        sessions: &Sessions<O, CLIENTS>,
        bytes: usize,
    ) -> (Sessions<O, CLIENTS>, u32) {
        let mut copy = Sessions::new();
        let pages = Sessions::<O, CLIENTS>::pages(sessions.len(), bytes);
        for page in 0..pages {
            let mut buffer = [0; crate::SNAPSHOT_PAGE];
            let mut writer = crate::Writer::new(&mut buffer[..bytes]);
            sessions.write_page(page, bytes, &mut writer);
            let len = writer.len();
            assert!(!writer.overflowed() && len > 0);
            let mut reader = Reader::new(&buffer[..len]);
            copy.read_page(page, bytes, Slot::new(u64::MAX), &mut reader)
                .unwrap();
            assert!(reader.is_empty());
        }
        (copy, pages)
    }

    #[test]
    fn the_largest_output_fills_a_page_beside_its_half_of_a_session() {
        let mut sessions = Sessions::<[u8; OUTPUT_MAX], 1>::new();
        sessions.register(Slot::FIRST, 7);
        if let Some(session) = sessions.table.last_mut() {
            (session.number, session.reply) = (RequestNumber(1), Some([9; OUTPUT_MAX]));
        }
        let mut buffer = [0; crate::SNAPSHOT_PAGE];
        let mut writer = crate::Writer::new(&mut buffer);
        sessions.write_page(1, crate::SNAPSHOT_PAGE, &mut writer);
        assert!(!writer.overflowed() && writer.room() == 0);
        let (copy, pages) = travelled(&sessions, crate::SNAPSHOT_PAGE);
        assert_eq!((copy, pages), (sessions, 2));
    }

    #[test]
    fn x3_sessions_survive_a_snapshot() {
        let mut world = World::new();
        let (first, second) = (world.register(1), world.register(2));
        world.set(first, 1, 5);
        for (bytes, expected) in [(crate::SNAPSHOT_PAGE, 1), (42, 2), (41, 4), (HEAD, 4)] {
            let (copy, pages) = travelled(&world.sessions, bytes);
            assert_eq!(copy, world.sessions, "in pages of {bytes}");
            assert_eq!(pages, expected, "in pages of {bytes}");
        }
        world.sessions = travelled(&world.sessions, HEAD).0;
        assert_eq!(world.set(first, 1, 5), applied(3, 5));
        assert_eq!(world.set(second, 1, 6), applied(5, 6));
    }

    #[test]
    fn x3_a_session_that_the_log_cannot_have_given_by_then_is_no_page() {
        // One byte more, for an answer that is one byte long.
        let mut buffer = [0; HEAD + TAIL + 1];
        let mut read_one = |client, used, at, number, reply| {
            let session = Session::<KvReply> {
                client: ClientId(client),
                nonce: 7,
                used: Slot::new(used),
                number: RequestNumber(number),
                fingerprint: 0,
                reply,
            };
            let mut writer = crate::Writer::new(&mut buffer);
            session.write_head(&mut writer);
            session.write_tail(&mut writer);
            let len = writer.len();
            let mut copy = Sessions::<KvReply, 2>::new();
            let bytes = crate::SNAPSHOT_PAGE;
            copy.read_page(0, bytes, Slot::new(at), &mut Reader::new(&buffer[..len]))
        };
        let done = Some(KvReply::None);
        assert_eq!(read_one(4, 9, 9, 1, done), Ok(()));
        assert_eq!(
            read_one(4, 9, 9, 1, None),
            Err(MalformedPage),
            "a request without its answer"
        );
        assert_eq!(
            read_one(4, 9, 9, 0, done),
            Err(MalformedPage),
            "an answer before the first request"
        );
        let mut read = |client, used, at| read_one(client, used, at, 0, None);
        assert_eq!(read(4, 4, 4), Ok(()));
        assert_eq!(read(4, 9, 9), Ok(()));
        assert_eq!(read(5, 5, 4), Err(MalformedPage), "opened after it");
        assert_eq!(read(4, 5, 4), Err(MalformedPage), "used after it");
        assert_eq!(read(4, 3, 9), Err(MalformedPage), "used before it opened");
    }

    #[test]
    fn x3_a_half_without_its_session_is_no_page() {
        let mut sessions = Sessions::<KvReply, 2>::new();
        let tail = [0; TAIL];
        let read = sessions.read_page(1, HEAD, Slot::FIRST, &mut Reader::new(&tail));
        assert_eq!(read, Err(MalformedPage));
    }
}
