//! Sessions: each request is applied at most once, and a retry gets the same answer.
//!
//! A fixed table of (client, last number, last reply), as in the client table of *Viewstamped Replication Revisited*
//! (Liskov and Cowling, 2012, section 4), but filled only when a request is *applied*, and with identities that the log
//! gives out (rules X1 to X3).

use crate::{
    ClientId, Digest, MalformedPage, Outcome, Proposal, Reader, RequestNumber, Sink, Slot,
    StateMachine, Value,
};
#[cfg(feature = "mutants")]
use crate::{Mutant, RequestKey};
use heapless::Vec;

/// The most bytes that an encoded output may have, so that a session fits in a page of a snapshot.
pub const OUTPUT_MAX: usize = crate::SNAPSHOT_PAGE - FIXED;

/// The bytes of an encoded session before its output.
const FIXED: usize = 8 + 8 + 8 + 4 + 4 + 1;

/// The digest of one proposal; its low half tells a retry from another command under the same number.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn digest_of<C: Value>(proposal: &Proposal<C>) -> u64 {
    let mut digest = Digest::new();
    proposal.encode(&mut digest);
    digest.value()
}

/// The part of a proposal's digest that a session keeps.
pub(crate) fn fingerprint_of(digest: u64) -> u32 {
    u32::try_from(digest & 0xffff_ffff).unwrap_or(0)
}

/// Up to `CLIENTS` sessions, in rising order of client, which is the order in which they were opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Sessions<O, const CLIENTS: usize> {
    table: Vec<Session<O>, CLIENTS>,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<Mutant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Session<O> {
    client: ClientId,
    nonce: u64,
    /// The slot of the last request that was applied, or of the registration.
    used: Slot,
    number: RequestNumber,
    /// Tells a retry from another command under the same number.
    fingerprint: u32,
    reply: Option<O>,
}

impl<O: Value, const CLIENTS: usize> Sessions<O, CLIENTS> {
    const CHECKED: () = assert!(
        O::ENCODED_MAX <= OUTPUT_MAX,
        "an encoded output must fit in a page of a snapshot beside its session: at most OUTPUT_MAX bytes"
    );
    const A_PAGE: usize = crate::SNAPSHOT_PAGE / (FIXED + O::ENCODED_MAX);

    pub(crate) const fn new() -> Self {
        let () = Self::CHECKED;
        Self {
            table: Vec::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn find(&self, client: ClientId) -> Option<usize> {
        // Clients that registered one after the other stand as far apart in the table as their slots in the log.
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

    /// The number of the last request of a client that was applied.
    pub(crate) fn last(&self, client: ClientId) -> Option<RequestNumber> {
        let session = self.table.get(self.find(client)?)?;
        Some(session.number)
    }

    /// What is known of a request without applying anything; `None` where it must be proposed. `applied` tells a session
    /// that was given up from one that this replica has not seen opened yet.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn look_up<C: Value>(
        &self,
        proposal: &Proposal<C>,
        applied: Slot,
    ) -> Option<Outcome<O>> {
        match proposal {
            Proposal::Noop => None,
            Proposal::Register { nonce } => {
                let session = self.table.iter().find(|session| session.nonce == *nonce)?;
                Some(Outcome::Registered {
                    client: session.client,
                })
            }
            Proposal::Request { client, number, .. } => match self.find(*client) {
                Some(index) => self
                    .table
                    .get(index)?
                    .answer(*number, || fingerprint_of(digest_of(proposal))),
                None => (client.0 <= applied.number()).then_some(Outcome::Evicted),
            },
        }
    }

    /// Rule X1: applies what was decided for `slot`, unless it was applied before, and answers it.
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
        fingerprint: u32,
        machine: &mut M,
    ) -> Option<Outcome<O>> {
        match proposal {
            Proposal::Noop => None,
            Proposal::Register { nonce } => Some(self.register(slot, *nonce)),
            Proposal::Request {
                client,
                number,
                command,
            } => {
                let Some(session) = self
                    .find(*client)
                    .and_then(|index| self.table.get_mut(index))
                else {
                    return Some(Outcome::Evicted);
                };
                let answer = session.answer(*number, || fingerprint);
                #[cfg(feature = "mutants")]
                let answer = answer.filter(|_| self.mutant != Some(Mutant::SessionSkipped));
                if let Some(answer) = answer {
                    return Some(answer);
                }
                let output = machine.apply(command);
                session.number = *number;
                session.fingerprint = fingerprint;
                session.reply = Some(output);
                session.used = slot;
                Some(Outcome::Applied { slot, output })
            }
        }
    }

    /// Rule X2: opens a session whose identity is its slot; a full table gives up the one that was used longest ago,
    /// which is the same one on every replica.
    fn register(&mut self, slot: Slot, nonce: u64) -> Outcome<O> {
        if let Some(session) = self.table.iter().find(|session| session.nonce == nonce) {
            return Outcome::Registered {
                client: session.client,
            };
        }
        if self.table.is_full() {
            let oldest = self
                .table
                .iter()
                .enumerate()
                .min_by_key(|(_, session)| session.used);
            if let Some((index, _)) = oldest {
                // Vec::remove would bring a panic for an index behind the end.
                if let Some(mut carried) = self.table.pop() {
                    for place in self.table.iter_mut().skip(index).rev() {
                        core::mem::swap(place, &mut carried);
                    }
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
        debug_assert!(opened, "there was room, or room was made");
        Outcome::Registered { client }
    }

    /// What [`Mutant::SessionFilledEarly`] does when a request comes in.
    #[cfg(feature = "mutants")]
    pub(crate) fn fill_early(&mut self, key: RequestKey) {
        let mut sessions = self.table.iter_mut();
        if let Some(session) = sessions.find(|session| session.client == key.client) {
            session.number = session.number.max(key.number);
        }
    }

    /// How many pages of a snapshot the sessions take (rule X3).
    pub(crate) fn pages(len: usize) -> u32 {
        u32::try_from(len.div_ceil(Self::A_PAGE)).unwrap_or(u32::MAX)
    }

    pub(crate) fn write_page(&self, page: u32, sink: &mut impl Sink) {
        let skip = usize::try_from(page)
            .unwrap_or(usize::MAX)
            .saturating_mul(Self::A_PAGE);
        for session in self.table.iter().skip(skip).take(Self::A_PAGE) {
            sink.put_u64(session.client.0);
            sink.put_u64(session.nonce);
            sink.put_u64(session.used.number());
            sink.put_u32(session.number.0);
            sink.put_u32(session.fingerprint);
            match &session.reply {
                None => sink.put_u8(0),
                Some(output) => {
                    sink.put_u8(1);
                    output.encode(sink);
                }
            }
        }
    }

    pub(crate) fn read_page(&mut self, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        while !reader.is_empty() {
            let session = Session::read(reader).ok_or(MalformedPage)?;
            if self
                .table
                .last()
                .is_some_and(|last| last.client >= session.client)
            {
                return Err(MalformedPage);
            }
            self.table.push(session).map_err(|_| MalformedPage)?;
        }
        Ok(())
    }
}

impl<O: Value> Session<O> {
    /// The answer to a request that was applied before; `None` for one that is new.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn answer(
        &self,
        number: RequestNumber,
        fingerprint: impl FnOnce() -> u32,
    ) -> Option<Outcome<O>> {
        if number > self.number {
            return None;
        }
        if number < self.number {
            return Some(Outcome::Stale);
        }
        match self.reply {
            Some(output) if self.fingerprint == fingerprint() => Some(Outcome::Applied {
                slot: self.used,
                output,
            }),
            _ => Some(Outcome::Reused),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            client: ClientId(reader.u64()?),
            nonce: reader.u64()?,
            used: Slot::new(reader.u64()?),
            number: RequestNumber(reader.u32()?),
            fingerprint: reader.u32()?,
            reply: match reader.u8()? {
                0 => None,
                1 => Some(O::decode(reader)?),
                _ => return None,
            },
        })
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
            self.sessions
                .apply(self.slot, &proposal, fingerprint, &mut self.machine)
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
        let known = |applied| world.sessions.look_up(&proposal, applied);
        assert_eq!(known(world.slot), Some(Outcome::Evicted));
        assert_eq!(
            known(Slot::ZERO),
            None,
            "a replica that is behind cannot know"
        );
    }

    #[test]
    fn the_largest_output_fills_a_page_with_its_session() {
        type Output = [u8; OUTPUT_MAX];
        let mut sessions = Sessions::<Output, 1>::new();
        sessions.register(Slot::FIRST, 7);
        if let Some(session) = sessions.table.last_mut() {
            session.reply = Some([9; OUTPUT_MAX]);
        }
        let mut buffer = [0; crate::SNAPSHOT_PAGE];
        let mut writer = crate::Writer::new(&mut buffer);
        sessions.write_page(0, &mut writer);
        assert!(!writer.overflowed() && writer.room() == 0);
        assert_eq!(Sessions::<Output, 1>::pages(1), 1);
    }

    #[test]
    fn x3_sessions_survive_a_snapshot() {
        let mut world = World::new();
        let (first, second) = (world.register(1), world.register(2));
        world.set(first, 1, 5);
        let mut copy = Sessions::<KvReply, 2>::new();
        for page in 0..Sessions::<KvReply, 2>::pages(world.sessions.len()) {
            let mut buffer = [0; crate::SNAPSHOT_PAGE];
            let mut writer = crate::Writer::new(&mut buffer);
            world.sessions.write_page(page, &mut writer);
            let len = writer.len();
            assert!(!writer.overflowed());
            copy.read_page(&mut Reader::new(&buffer[..len])).unwrap();
        }
        assert_eq!(copy, world.sessions);
        world.sessions = copy;
        assert_eq!(world.set(first, 1, 5), applied(3, 5));
        assert_eq!(world.set(second, 1, 6), applied(5, 6));
    }
}
