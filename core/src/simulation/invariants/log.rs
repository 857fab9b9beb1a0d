//! A reference execution of the chosen log: the state, the sessions and the answers that it gives.
//!
//! It applies each chosen value once, in the order of slots, to a state machine of its own, and keeps sessions in the
//! plainest way. Every node has to come to the same digest, state and answers, so that a mistake in the sessions of a
//! replica shows although all replicas make it.

use super::ballots::Known;
use super::epochs::Epochs;
use crate::simulation::capacities::{Capacity, Ring};
use crate::{
    ClientId, Digest, Outcome, Proposal, Reply, RequestKey, RequestNumber, Sink, Slot,
    StateMachine, Value,
};
use heapless::Vec;

/// What the chosen prefix of the log gives, and what as many of its latest slots gave as `H` says.
///
/// A slot costs what the state machine costs, a digest, and a walk through the sessions.
#[derive(Clone, Debug)]
pub(super) struct Log<M: StateMachine, H: Capacity, const CLIENTS: usize> {
    /// The slot up to which it is played.
    applied: Slot,
    /// The digest of everything up to there and of what came of it, computed as a replica computes it (rule N3).
    chain: u64,
    machine: M,
    /// In no order, unlike in a replica, so that a mistake in the order of theirs is not made here as well.
    sessions: Vec<Session<M::Output>, CLIENTS>,
    past: H::Ring<Past<M::Command, M::Output>>,
}

/// What one slot gave.
#[derive(Clone, Debug)]
struct Past<C, O> {
    proposal: Proposal<C>,
    /// The digest of the log up to here.
    chain: u64,
    outcome: Option<Outcome<O>>,
}

/// The session of a client, written apart from that of a replica and more plainly.
#[derive(Clone, Debug)]
struct Session<O> {
    /// The slot in which it was opened (rule X2), so that no two are the same.
    client: ClientId,
    /// What it was asked for with; a second registration with it is a retry.
    nonce: u64,
    /// Where it last did something.
    used: Slot,
    /// The number of its last request, or that of a registration.
    number: RequestNumber,
    /// The digest of its last request, and what that was answered.
    last: Option<(u64, Outcome<O>)>,
}

/// A request, and what it was answered.
type LastRequest<'a, M> = (
    &'a Proposal<<M as StateMachine>::Command>,
    &'a Outcome<<M as StateMachine>::Output>,
);

impl<M: StateMachine, H: Capacity, const CLIENTS: usize> Log<M, H, CLIENTS> {
    pub(super) fn new() -> Self {
        Self {
            applied: Slot::ZERO,
            chain: 0,
            machine: M::default(),
            sessions: Vec::new(),
            past: Ring::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.applied = Slot::ZERO;
        self.chain = 0;
        self.machine = M::default();
        self.sessions.clear();
        self.past.clear();
    }

    /// How far it is played.
    pub(super) const fn applied(&self) -> Slot {
        self.applied
    }

    /// The state at the end of it.
    pub(super) const fn machine(&self) -> &M {
        &self.machine
    }

    /// The digest of all of it.
    pub(super) const fn chain_now(&self) -> u64 {
        self.chain
    }

    /// The digest of everything up to a slot.
    /// Of a slot that is not played nothing is known here, which is not an error of whoever has applied it.
    pub(super) fn chain(&self, slot: Slot) -> Known<u64> {
        match self.past.get(slot) {
            // Before the first slot, whatever the history has room for.
            _ if slot == Slot::ZERO => Known::Is(0),
            Some(past) => Known::Is(past.chain),
            None if slot <= self.applied => Known::Forgotten,
            None => Known::Not,
        }
    }

    /// What is decided for a slot.
    pub(super) fn decision(&self, slot: Slot) -> Known<&Proposal<M::Command>> {
        match self.past.get(slot) {
            Some(past) => Known::Is(&past.proposal),
            None if slot <= self.applied => Known::Forgotten,
            None => Known::Not,
        }
    }

    /// What a slot has given.
    #[cfg(test)]
    pub(super) fn outcome(&self, slot: Slot) -> Option<Outcome<M::Output>> {
        self.past.get(slot)?.outcome
    }

    /// Plays the slot that follows.
    pub(super) fn play(
        &mut self,
        slot: Slot,
        proposal: &Proposal<M::Command>,
        epochs: &mut Epochs,
    ) {
        debug_assert_eq!(
            self.applied.next(),
            Some(slot),
            "slots are played in order (R2)"
        );
        let (digest, _) = proposal.digest();
        self.applied = slot;
        let mut evicted = None;
        let outcome = match proposal {
            Proposal::Noop => None,
            Proposal::Register { nonce } => {
                let client;
                (client, evicted) = self.register(slot, *nonce);
                Some(Outcome::Registered { client })
            }
            Proposal::Request {
                client,
                number,
                command,
            } => {
                let key = RequestKey {
                    client: *client,
                    number: *number,
                };
                Some(self.request(slot, key, digest, command))
            }
            Proposal::Reconfigure(change) => Some(epochs.play(slot, change).into()),
        };
        let mut chain = Digest::resume(self.chain);
        chain.put_u64(digest);
        match &outcome {
            // The three cases of a replica: nothing, an answer for the first time, and what was known before.
            None => {}
            Some(Outcome::Applied { slot: of, output }) if *of == slot => output.encode(&mut chain),
            Some(outcome) => {
                if matches!(proposal, Proposal::Register { .. }) {
                    chain.chain_eviction(evicted);
                }
                chain.chain_outcome(outcome);
            }
        }
        self.chain = chain.value();
        // The latest slot always finds a place.
        if let Some(place) = self.past.admit(slot) {
            *place = Some(Past {
                proposal: *proposal,
                chain: self.chain,
                outcome,
            });
        }
    }

    /// The client whose session it is, and the one whose session was given up for it.
    fn register(&mut self, slot: Slot, nonce: u64) -> (ClientId, Option<ClientId>) {
        if let Some(known) = self.sessions.iter().find(|session| session.nonce == nonce) {
            return (known.client, None);
        }
        let mut evicted = None;
        if self.sessions.is_full() {
            let oldest = (0..)
                .zip(&self.sessions)
                .min_by_key(|(_, session)| session.used);
            // No two were used last in the same slot, so that the choice does not hang on their order.
            if let Some((index, oldest)) = oldest {
                debug_assert!(
                    self.sessions
                        .iter()
                        .filter(|session| session.used == oldest.used)
                        .count()
                        == 1,
                    "two sessions were used last in one slot, so that either may be given up (X2)"
                );
                evicted = Some(self.sessions.swap_remove(index).client);
            }
        }
        debug_assert!(
            !self.sessions.is_full(),
            "a session was given up if there was no room (X2)"
        );
        let client = ClientId(slot.number());
        debug_assert!(
            self.session(client).is_none(),
            "two sessions have one identity, although a slot opens one at most (X2)"
        );
        let _ = self.sessions.push(Session {
            client,
            nonce,
            used: slot,
            number: RequestNumber::REGISTRATION,
            last: None,
        });
        (client, evicted)
    }

    fn session(&self, client: ClientId) -> Option<&Session<M::Output>> {
        self.sessions
            .iter()
            .find(|session| session.client == client)
    }

    /// One of the sessions, a different one for each `turn`: its last request, and what that was answered. `None` if it has made
    /// none, or if the request is not kept any more.
    pub(super) fn last_request(&self, turn: u64) -> Option<LastRequest<'_, M>> {
        let turn = usize::try_from(turn).unwrap_or(0);
        let session = self.sessions.get(turn.checked_rem(self.sessions.len())?)?;
        let (_, outcome) = session.last.as_ref()?;
        let past = self.past.get(session.used)?;
        let key = RequestKey {
            client: session.client,
            number: session.number,
        };
        (past.proposal.key() == Some(key)).then_some((&past.proposal, outcome))
    }

    /// What a request gives when it is applied (rule X1): a retry gets the first answer again, and is told from another
    /// command by the digest of the whole proposal, where a replica has a fingerprint of 32 bits.
    fn request(
        &mut self,
        slot: Slot,
        key: RequestKey,
        digest: u64,
        command: &M::Command,
    ) -> Outcome<M::Output> {
        let mut sessions = self.sessions.iter_mut();
        let Some(session) = sessions.find(|session| session.client == key.client) else {
            return Outcome::Evicted;
        };
        if key.number < session.number {
            return Outcome::Stale;
        }
        if key.number == session.number
            && let Some((known, outcome)) = session.last
        {
            return if known == digest {
                outcome
            } else {
                Outcome::Reused
            };
        }
        debug_assert!(
            key.number >= session.number && session.used < slot,
            "a request is applied once, and after all that its client did before (X1)"
        );
        let output = self.machine.apply(command);
        let outcome = Outcome::Applied { slot, output };
        session.number = key.number;
        session.used = slot;
        session.last = Some((digest, outcome));
        outcome
    }

    /// Whether an answer is one that the log gives.
    ///
    /// A slot that the log has not come to gives none. An answer that names no slot is compared with the sessions as they are
    /// at the end of what is played, which is at least as far as the node that answers.
    pub(super) fn gives(&self, reply: &Reply<M::Output>) -> Known<()> {
        let RequestKey { client, number } = reply.key;
        let is_open = |client: ClientId| client.0 <= self.applied.number();
        match &reply.outcome {
            // Such an answer names the slot that first gave it.
            Outcome::Applied { slot, .. } => self.gave(*slot, reply),
            Outcome::Registered { client } => self.gave(Slot::new(client.0), reply),
            // By now the session may be given up; it was open if its slot is played.
            Outcome::Stale => match self.session(client) {
                Some(session) => Known::of(session.number > number),
                None if is_open(client) => Known::Forgotten,
                None => Known::Not,
            },
            Outcome::Reused => match self.session(client) {
                Some(session) => Known::of(session.number >= number),
                None if is_open(client) => Known::Forgotten,
                None => Known::Not,
            },
            // A session that was given up never comes back.
            Outcome::Evicted => Known::of(self.session(client).is_none() && is_open(client)),
            // The requester asks again, and its client hears nothing of it.
            // No client asks for a change of the members.
            // Nor is a read judged by the log alone.
            Outcome::Busy
            | Outcome::Reconfigured { .. }
            | Outcome::Unchanged(_)
            | Outcome::Readable { .. }
            | Outcome::NotNow => Known::Not,
        }
    }

    /// Whether a slot gave this very answer.
    /// The request must be the very same: an answer carries a fingerprint of it (rule X1).
    fn gave(&self, slot: Slot, reply: &Reply<M::Output>) -> Known<()> {
        match self.past.get(slot) {
            Some(past)
                if past.proposal.key() == Some(reply.key)
                    && past.proposal.fingerprint() == reply.fingerprint
                    && past.outcome.as_ref() == Some(&reply.outcome) =>
            {
                Known::Is(())
            }
            None if slot <= self.applied && slot != Slot::ZERO => Known::Forgotten,
            _ => Known::Not,
        }
    }
}
