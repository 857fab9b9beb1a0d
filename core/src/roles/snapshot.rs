//! The replicated state, and its transfer as a snapshot in pages.

use super::sessions::{HEAD, Sessions};
use crate::Writer;
use crate::capacity;
use crate::membership::Membership;
use crate::mutant::{Mistake, Mutant};
use crate::{
    Digest, MalformedPage, NodeSet, Outcome, Proposal, Reader, SNAPSHOT_PAGE, Sink, Slot,
    SnapshotId, StateMachine,
};
use heapless::Vec;

/// One page of a snapshot.
pub(crate) type PageBytes = Vec<u8, SNAPSHOT_PAGE, u8>;

/// The number of bytes of the header: the applied slot, the chain, and the number of pages of the sessions.
const HEADER: usize = 8 + 8 + 4;

const _: () = assert!(
    Membership::LEN <= HEAD && HEADER <= HEAD,
    "the shortest page of a snapshot holds the header or the membership"
);

/// Everything that follows from applying the log. The applied slot and the state change together (rule R4), and are
/// transferred together (rule T3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct State<M: StateMachine, const CLIENTS: usize> {
    /// The last slot that was applied.
    pub(crate) applied: Slot,
    /// A digest of all applied proposals and their outcomes.
    pub(crate) chain: u64,
    pub(crate) machine: M,
    pub(crate) sessions: Sessions<M::Output, CLIENTS>,
    /// The members of the present epoch (rule V1).
    pub(crate) membership: Membership,
}

impl<M: StateMachine, const CLIENTS: usize> State<M, CLIENTS> {
    /// A state has neither a window nor pages of entries, so any valid capacity stands for these.
    const CHECKED: () = if let Some(number_to_change) = capacity::misfit::<M>(2, CLIENTS, 1) {
        panic!("{}", number_to_change);
    };

    /// Returns the state at the founding of a cluster by `members`.
    pub(crate) fn genesis(members: NodeSet) -> Self {
        let () = Self::CHECKED;
        Self {
            applied: Slot::ZERO,
            chain: 0,
            machine: M::default(),
            sessions: Sessions::new(),
            membership: Membership::founding(members),
        }
    }

    /// Returns the outcome of a request as far as it is known without applying anything; `None` if it must be proposed.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "a look into the sessions for each request, worth one percent of a command"
        ),
        inline(always)
    )]
    pub(crate) fn look_up(
        &self,
        (proposal, fingerprint): (&Proposal<M::Command>, u32),
    ) -> Option<Outcome<M::Output>> {
        match proposal {
            Proposal::Reconfigure(change) => self.membership.look_up(change).map(Outcome::from),
            _ => self.sessions.look_up((proposal, fingerprint), self.applied),
        }
    }

    /// Applies the decision for the next slot; returns its outcome and the fingerprint of the request.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "one step of the loop that applies, which keeps what comes of it in registers"
        ),
        inline(always)
    )]
    pub(crate) fn apply(
        &mut self,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) -> (Option<Outcome<M::Output>>, u32) {
        debug_assert!(
            self.sessions.mistake.is_any() || self.applied.next() == Some(slot),
            "slots are applied in order (R2)"
        );
        let (digest, fingerprint) = proposal.digest();
        let mut chain = Digest::resume(self.chain);
        chain.put_u64(digest);
        let outcome = match proposal {
            Proposal::Reconfigure(change) => {
                let outcome = self.membership.apply(change).into();
                chain.chain_outcome(&outcome);
                Some(outcome)
            }
            _ => self
                .sessions
                .apply(slot, proposal, (fingerprint, &mut chain), &mut self.machine),
        };
        self.chain = chain.value();
        self.applied = slot;
        (outcome, fingerprint)
    }

    /// The number of pages before those of the sessions: the header and the membership take one page, or one each if a
    /// page is too short for both.
    const HEAD_PAGES: u32 = if HEADER + Membership::LEN <= M::PAGE_BYTES {
        1
    } else {
        2
    };

    /// Returns how many pages the sessions take.
    fn session_pages(&self) -> u32 {
        if self.sessions.mistake.is(Mutant::SessionsNotInSnapshot) {
            return 0;
        }
        Sessions::<M::Output, CLIENTS>::pages(self.sessions.len(), M::PAGE_BYTES)
    }

    /// Returns how many pages the snapshot has: the header and the membership, the sessions, and the pages of the state
    /// machine.
    pub(crate) fn pages(&self) -> u32 {
        let sessions = self.session_pages();
        self.machine
            .snapshot_pages()
            .saturating_add(sessions)
            .saturating_add(Self::HEAD_PAGES)
    }

    /// Returns a page, numbered from 0; at most [`StateMachine::PAGE_BYTES`] bytes.
    pub(crate) fn write_page(&self, page: u32) -> PageBytes {
        let mut buffer = [0; SNAPSHOT_PAGE];
        let room = buffer.get_mut(..M::PAGE_BYTES).unwrap_or_default();
        let mut writer = Writer::new(room);
        let sessions = self.session_pages();
        match page.checked_sub(Self::HEAD_PAGES) {
            None => {
                if page == 0 {
                    writer.put_u64(self.applied.number());
                    writer.put_u64(self.chain);
                    writer.put_u32(sessions);
                }
                if page + 1 == Self::HEAD_PAGES {
                    self.membership.encode(&mut writer);
                }
            }
            Some(page) if page < sessions => {
                self.sessions.write_page(page, M::PAGE_BYTES, &mut writer);
            }
            Some(page) => self.machine.write_page(page - sessions, &mut writer),
        }
        debug_assert!(
            !writer.overflowed(),
            "a state machine wrote more than a page"
        );
        let len = writer.len();
        buffer
            .get(..len)
            .and_then(|bytes| PageBytes::from_slice(bytes).ok())
            .unwrap_or_default()
    }

    /// Returns the id of the snapshot of this state.
    pub(crate) fn snapshot_id(&self) -> SnapshotId {
        let mut digest = Digest::new();
        for page in 0..self.pages() {
            digest.put(&self.write_page(page));
        }
        SnapshotId {
            at: self.applied,
            digest: digest.value(),
        }
    }
}

/// An incoming snapshot. The current state is replaced only when the last page has arrived and the digest matches (rule
/// T4): until then this node can still bring others up to its own state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Installing<M: StateMachine, const CLIENTS: usize> {
    pub(crate) id: SnapshotId,
    pages: u32,
    next: u32,
    sessions: u32,
    digest: Digest,
    state: State<M, CLIENTS>,
    pub(crate) mistake: Mistake,
}

impl<M: StateMachine, const CLIENTS: usize> Installing<M, CLIENTS> {
    pub(crate) fn new(id: SnapshotId, pages: u32) -> Self {
        Self {
            id,
            pages,
            next: 0,
            sessions: 0,
            digest: Digest::new(),
            state: State::genesis(NodeSet::EMPTY),
            mistake: Mistake::NONE,
        }
    }

    /// Returns the index of the next page.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Takes the next page.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), MalformedPage> {
        let mut reader = Reader::new(bytes);
        match self.next.checked_sub(State::<M, CLIENTS>::HEAD_PAGES) {
            None => self.take_head(&mut reader)?,
            Some(page) if page < self.sessions => {
                // The mutant does not notice that a page is that of a later snapshot.
                let is_torn = self.mistake.is(Mutant::SnapshotTorn);
                let at = if is_torn {
                    Slot::new(u64::MAX)
                } else {
                    self.id.at
                };
                self.state
                    .sessions
                    .read_page(page, M::PAGE_BYTES, at, &mut reader)?;
            }
            Some(page) => self
                .state
                .machine
                .read_page(page - self.sessions, &mut reader)?,
        }
        if !reader.is_empty() {
            return Err(MalformedPage);
        }
        self.digest.put(bytes);
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    /// Takes the header, the membership, or both.
    fn take_head(&mut self, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        if self.next == 0 {
            self.state.applied = Slot::new(reader.u64().ok_or(MalformedPage)?);
            self.state.chain = reader.u64().ok_or(MalformedPage)?;
            self.sessions = reader.u32().ok_or(MalformedPage)?;
        }
        if self.next + 1 == State::<M, CLIENTS>::HEAD_PAGES {
            self.state.membership = Membership::decode(reader)?;
        }
        Ok(())
    }

    /// True once all pages were taken.
    pub(crate) fn is_complete(&self) -> bool {
        self.next >= self.pages
    }

    /// Returns the state, once all pages have arrived and their digest matches the id of the snapshot.
    pub(crate) fn finish(self) -> Result<State<M, CLIENTS>, MalformedPage> {
        let whole = self.is_complete() && self.digest.value() == self.id.digest;
        let whole = whole || self.mistake.is(Mutant::SnapshotTorn);
        if whole && self.state.applied == self.id.at {
            Ok(self.state)
        } else {
            Err(MalformedPage)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::{Key, Kv, KvCommand};
    use crate::{ClientId, RequestNumber};

    type Small = State<Kv<16>, 4>;

    fn state() -> Small {
        let mut state = Small::genesis(NodeSet::first(3));
        for slot in 1..=4 {
            state.apply(Slot::new(slot), &Proposal::Register { nonce: slot });
        }
        for slot in 5..=20 {
            let proposal = Proposal::Request {
                client: ClientId(1 + slot % 4),
                number: RequestNumber(u32::try_from(slot).unwrap()),
                command: KvCommand::Set(Key::numbered(u32::try_from(slot).unwrap()), 7),
            };
            state.apply(Slot::new(slot), &proposal);
        }
        state
    }

    fn transfer(
        state: &Small,
        change: impl Fn(u32, &mut PageBytes),
    ) -> Result<Small, MalformedPage> {
        let mut installing = Installing::new(state.snapshot_id(), state.pages());
        while !installing.is_complete() {
            let page = installing.next();
            let mut bytes = state.write_page(page);
            change(page, &mut bytes);
            installing.take(&bytes)?;
        }
        installing.finish()
    }

    #[test]
    fn r4_the_applied_slot_and_the_state_are_those_of_one_moment() {
        let mut state = Small::genesis(NodeSet::first(3));
        state.apply(Slot::FIRST, &Proposal::Register { nonce: 1 });
        for slot in 2..=9 {
            let value = i64::try_from(slot).unwrap();
            let proposal = Proposal::Request {
                client: ClientId(1),
                number: RequestNumber(u32::try_from(slot).unwrap()),
                command: KvCommand::Set(Key::numbered(0), value),
            };
            state.apply(Slot::new(slot), &proposal);
            let copy = transfer(&state, |_, _| {}).unwrap();
            for moment in [&state, &copy] {
                assert_eq!(moment.applied, Slot::new(slot));
                assert_eq!(moment.machine.get(Key::numbered(0)), Some(value));
            }
        }
    }

    #[test]
    fn t3_a_snapshot_contains_the_whole_state() {
        let state = state();
        assert!(state.pages() > 4, "a header, sessions and keys");
        assert_eq!(transfer(&state, |_, _| {}), Ok(state));
        let empty = Small::genesis(NodeSet::first(3));
        assert_eq!(transfer(&empty, |_, _| {}), Ok(empty));
    }

    /// A state of three pages that records which of them were read.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    struct Paged {
        taken: u32,
    }

    impl StateMachine for Paged {
        type Command = ();
        type Output = ();

        fn apply(&mut self, (): &()) {}

        fn snapshot_pages(&self) -> u32 {
            3
        }

        fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
            writer.put_u32(page);
        }

        fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
            if reader.u32() != Some(page) || page != self.taken {
                return Err(MalformedPage);
            }
            self.taken += 1;
            Ok(())
        }
    }

    #[test]
    fn t3_the_pages_of_a_machine_are_numbered_from_0_whatever_comes_before_them() {
        for clients in 0..=4 {
            let mut state = State::<Paged, 4>::genesis(NodeSet::first(3));
            for slot in 1..=clients {
                state.apply(Slot::new(slot), &Proposal::Register { nonce: slot });
            }
            let mut installing = Installing::<Paged, 4>::new(state.snapshot_id(), state.pages());
            while !installing.is_complete() {
                let bytes = state.write_page(installing.next());
                assert_eq!(installing.take(&bytes), Ok(()), "{clients} clients");
            }
            assert_eq!(installing.finish().unwrap().machine.taken, 3);
        }
    }

    #[test]
    fn t4_a_changed_byte_anywhere_installs_nothing() {
        let state = state();
        for damaged in 0..state.pages() {
            for byte in [0, 7, 12] {
                let result = transfer(&state, |page, bytes| {
                    if page == damaged
                        && let Some(byte) = bytes.get_mut(byte)
                    {
                        *byte ^= 1;
                    }
                });
                assert_eq!(result, Err(MalformedPage), "page {damaged}, byte {byte}");
            }
        }
    }

    #[test]
    fn t4_a_snapshot_whose_digest_is_right_and_whose_sessions_are_from_later_slots_installs_nothing()
     {
        let mut state = state();
        assert!(transfer(&state, |_, _| {}).is_ok());
        // A forger computes the digest as well.
        state.applied = Slot::new(3);
        assert_eq!(transfer(&state, |_, _| {}), Err(MalformedPage));
    }

    #[test]
    fn the_chain_depends_on_the_order() {
        let apply = |nonces: [u64; 2]| {
            let mut state = Small::genesis(NodeSet::first(3));
            for (slot, nonce) in [1, 2].into_iter().zip(nonces) {
                state.apply(Slot::new(slot), &Proposal::Register { nonce });
            }
            state.chain
        };
        assert_ne!(apply([1, 2]), apply([2, 1]));
    }
}
