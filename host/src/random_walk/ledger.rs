//! Reference implementation of the log: the effect of each slot on sessions and contents, in the simplest form.
//!
//! It is the specification that nodes are compared with: a log, a table of sessions, and a store,
//! written with the maps of the standard library and without any of the bounds, pages and digests
//! of a node. It takes nothing from a node but what it compares. The first node to apply a slot tells what is in it; what
//! follows from that is computed here, and every node and every answer must agree.

mod epochs;
mod reads;

use super::check::{Check, CheckSet, Violation};
use super::{Asked, KEYS, Machine};
use epochs::Epochs;
pub(super) use epochs::is_majority;
use reads::Reads;
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Key, KvCommand, KvReply};
use synod::{
    Change, ChangeError, ClientId, Node, NodeSet, Outcome, Proposal, Reply, RequestKey,
    RequestNumber, Slot,
};

/// Contents of the key-value store.
type Contents = BTreeMap<Key, i64>;

/// A session, independent of the nodes' session table.
struct Session {
    /// Identity: the slot of the registration.
    client: ClientId,
    /// Number by which a repeated registration finds its session.
    nonce: u64,
    /// Slot of the last request; the session with the lowest one is evicted first.
    used: u64,
    /// Number of the last request; a lower one is stale.
    number: RequestNumber,
}

/// State after a slot, and the outcome of the slot's request.
///
/// There is one for each slot of the walk, contents included: walks are short and stores small, and
/// a read may be answered from any of them.
pub(super) struct Prefix {
    /// Value of the slot.
    proposal: Asked,
    /// Digest of the log up to the slot, as the first node to apply it has it.
    pub(super) chain: u64,
    /// Contents of the store after the slot.
    contents: Contents,
    /// Outcome that its client must be told; `None` for a no-op.
    outcome: Option<Outcome<KvReply>>,
}

/// First invocation of a request.
///
/// It is the lower bound of linearizability: what was known when a request was made must be visible
/// in its answer.
struct First {
    /// Highest slot of an answer known to any client at that time.
    known: Slot,
    /// Proposals made under this key. There are several if a client breaks the rules.
    asked: Vec<Asked>,
}

/// The log as it was applied first, and everything that follows from it.
pub(super) struct Ledger {
    /// Checks that end the walk.
    checks: CheckSet,
    /// State after each slot, from slot 0, before which nothing is; without gaps.
    prefixes: Vec<Prefix>,
    /// Open sessions after the last prefix, in the order of their opening.
    sessions: Vec<Session>,
    /// Number of sessions that nodes keep. One more evicts another.
    sessions_max: usize,
    /// Slot, output and proposal of each request that took effect, by session and number.
    effects: BTreeMap<(u64, u32), (Slot, KvReply, Asked)>,
    /// Number of the last request of each session that took effect.
    highest: BTreeMap<u64, u32>,
    /// Sessions that were evicted.
    evicted: BTreeSet<u64>,
    /// Sessions that each nonce was ever given. After an eviction it is given another one.
    registered: BTreeMap<u64, Vec<ClientId>>,
    /// First invocation of each request, by session and number.
    firsts: BTreeMap<(u64, u32), First>,
    /// Highest slot of an answer known to any client, or of a state that one has read.
    known: Slot,
    /// The epochs, as far as the log is applied.
    pub(super) epochs: Epochs,
    /// Reads that take no slot.
    reads: Reads,
}

/// Returns the index of a slot among the prefixes, which begin with slot 0.
fn place(slot: Slot) -> usize {
    usize::try_from(slot.number()).unwrap_or(usize::MAX)
}

/// Returns a request's key as numbers. A registration has its nonce in the place of the session,
/// and number 0.
fn in_key(key: RequestKey) -> (u64, u32) {
    (key.client.0, key.number.0)
}

/// Applies a command to the contents, and returns its reply.
fn play(contents: &mut Contents, command: KvCommand) -> KvReply {
    match command {
        KvCommand::Get(key) => contents
            .get(&key)
            .map_or(KvReply::None, |value| KvReply::Value(*value)),
        KvCommand::Set(key, _) if !contents.contains_key(&key) && contents.len() == KEYS => {
            KvReply::Full
        }
        KvCommand::Set(key, value) => {
            contents.insert(key, value);
            KvReply::Value(value)
        }
    }
}

impl Ledger {
    /// Returns an empty log of a cluster with these founding members.
    pub(super) fn new(checks: CheckSet, founders: NodeSet, sessions_max: usize) -> Self {
        let genesis = Prefix {
            proposal: Proposal::Noop,
            chain: 0,
            contents: Contents::new(),
            outcome: None,
        };
        Self {
            checks,
            prefixes: vec![genesis],
            sessions: Vec::new(),
            sessions_max,
            effects: BTreeMap::new(),
            highest: BTreeMap::new(),
            evicted: BTreeSet::new(),
            registered: BTreeMap::new(),
            firsts: BTreeMap::new(),
            known: Slot::ZERO,
            epochs: Epochs::new(founders),
            reads: Reads::default(),
        }
    }

    /// Returns the number of applied slots.
    pub(super) fn end(&self) -> u64 {
        u64::try_from(self.prefixes.len().saturating_sub(1)).unwrap_or(u64::MAX)
    }

    /// Returns the value of a slot, if any node has applied it.
    pub(super) fn decision(&self, slot: Slot) -> Option<&Asked> {
        self.after(slot).map(|prefix| &prefix.proposal)
    }

    /// Returns the state after a slot, if any node has applied it.
    pub(super) fn after(&self, slot: Slot) -> Option<&Prefix> {
        self.prefixes.get(place(slot))
    }

    /// Records a request of a client.
    pub(super) fn see_asked(&mut self, proposal: &Asked) {
        let Some(key) = proposal.key() else { return };
        let (known, asked) = (self.known, Vec::new());
        let first = self.firsts.entry(in_key(key));
        // Only the first time sets the bound: a repetition may be answered by what took effect
        // before it.
        let first = first.or_insert(First { known, asked });
        if !first.asked.contains(proposal) {
            first.asked.push(*proposal);
        }
    }

    /// True if a client made the request.
    pub(super) fn is_asked(&self, proposal: &Asked) -> bool {
        proposal.key().is_none_or(|key| {
            let first = self.firsts.get(&in_key(key));
            first.is_some_and(|first| first.asked.contains(proposal))
        })
    }

    /// Checks an applied slot. The first node to apply it defines the log, and all others must agree.
    pub(super) fn see_applied(
        &mut self,
        slot: Slot,
        proposal: &Asked,
        outcome: Option<Outcome<KvReply>>,
        chain: u64,
    ) -> Result<(), Violation> {
        let checks = self.checks;
        // The first node to come to this slot.
        if place(slot) == self.prefixes.len() {
            let prefix = self.play(slot, proposal, chain)?;
            self.prefixes.push(prefix);
        }
        let Some(prefix) = self.after(slot) else {
            let what = format!("slot {slot} was applied before {}", self.prefixes.len());
            let check = Check::Order;
            return Err(Violation { check, what });
        };
        checks.ensure(Check::Agreement, prefix.proposal == *proposal, || {
            format!(
                "slot {slot}: {:?} was applied, and {proposal:?} elsewhere",
                prefix.proposal
            )
        })?;
        checks.ensure(Check::State, prefix.chain == chain, || {
            format!("slot {slot}: applied after another log")
        })?;
        checks.ensure(Check::State, prefix.outcome == outcome, || {
            format!(
                "slot {slot}: {proposal:?} must be answered {:?}, and was {outcome:?}",
                prefix.outcome
            )
        })
    }

    /// Checks the state of a node that has applied up to a slot.
    pub(super) fn see_state<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &self,
        node: &Node<Machine, WINDOW, CLIENTS, PAGE>,
    ) -> Result<(), Violation> {
        let (number, slot) = (node.id().0, node.applied());
        let Some(prefix) = self.after(slot) else {
            let what = format!("NODE_{number} has slot {slot}, which no node has applied");
            let check = Check::Order;
            return Err(Violation { check, what });
        };
        let right = prefix.contents.iter().map(|(key, value)| (*key, *value));
        let same = prefix.chain == node.chain() && node.machine().iter().eq(right);
        self.checks.ensure(Check::State, same, || {
            format!("NODE_{number} has another state after slot {slot} than the log gives")
        })?;
        let epoch = self.epochs.at(slot);
        let members = self.epochs.members(epoch);
        let same = (node.epoch(), node.members()) == (epoch, members);
        self.checks.ensure(Check::State, same, || {
            format!(
                "NODE_{number} is in epoch {} of {} after slot {slot}, and the log gives epoch {epoch} of {members}",
                node.epoch(),
                node.members()
            )
        })
    }

    /// Returns the state after the next slot, and updates the sessions.
    fn play(&mut self, slot: Slot, proposal: &Asked, chain: u64) -> Result<Prefix, Violation> {
        debug_assert_eq!(
            place(slot),
            self.prefixes.len(),
            "slots are played in order"
        );
        let last = self.prefixes.last();
        let mut contents = last.map_or_else(Contents::new, |prefix| prefix.contents.clone());
        let outcome = match *proposal {
            Proposal::Noop => None,
            Proposal::Reconfigure(change) => Some(match self.epochs.play(slot, &change) {
                Ok(epoch) => Outcome::Reconfigured { epoch },
                Err(error) => Outcome::Unchanged(error),
            }),
            Proposal::Register { nonce } => Some(self.register(slot.number(), nonce)),
            Proposal::Request {
                client,
                number,
                command,
            } => Some(self.request(slot, proposal, (client, number), command, &mut contents)?),
        };
        Ok(Prefix {
            proposal: *proposal,
            chain,
            contents,
            outcome,
        })
    }

    /// Opens a session, or finds the one that a repeated registration opened before. A full table
    /// loses the session that was used longest ago.
    fn register(&mut self, now: u64, nonce: u64) -> Outcome<KvReply> {
        // A repeated registration is not a use of the session, and does not save it from eviction.
        let known = self.sessions.iter().find(|session| session.nonce == nonce);
        let client = known.map_or(ClientId(now), |session| session.client);
        if known.is_none() {
            if self.sessions.len() == self.sessions_max {
                let oldest = self.sessions.iter().map(|session| session.used).min();
                let gone = self
                    .sessions
                    .extract_if(.., |session| Some(session.used) == oldest);
                self.evicted.extend(gone.map(|session| session.client.0));
            }
            debug_assert!(
                self.sessions.len() < self.sessions_max,
                "one was evicted if the table was full"
            );
            self.sessions.push(Session {
                client,
                nonce,
                used: now,
                number: RequestNumber(0),
            });
        }
        self.registered.entry(nonce).or_default().push(client);
        Outcome::Registered { client }
    }

    /// Applies a request unless its session has had it. The same number with another command is a
    /// mistake of the client, and answered as such.
    fn request(
        &mut self,
        slot: Slot,
        proposal: &Asked,
        (client, number): (ClientId, RequestNumber),
        command: KvCommand,
        contents: &mut Contents,
    ) -> Result<Outcome<KvReply>, Violation> {
        let mut sessions = self.sessions.iter_mut();
        let Some(session) = sessions.find(|session| session.client == client) else {
            return Ok(Outcome::Evicted);
        };
        if number < session.number {
            return Ok(Outcome::Stale);
        }
        if number == session.number {
            // The same command gets the answer of the first time, with the slot of the first time.
            return Ok(match self.effects.get(&(client.0, number.0)) {
                Some((slot, output, known)) if known == proposal => Outcome::Applied {
                    slot: *slot,
                    output: *output,
                },
                _ => Outcome::Reused,
            });
        }
        session.number = number;
        session.used = slot.number();
        let output = play(contents, command);
        let effect = (slot, output, *proposal);
        let before = self.effects.insert((client.0, number.0), effect);
        self.highest.insert(client.0, number.0);
        self.checks.ensure(Check::State, before.is_none(), || {
            format!("slot {slot}: {proposal:?} took effect twice")
        })?;
        Ok(Outcome::Applied { slot, output })
    }

    /// Checks an answer to a client against the log, when it leaves its node.
    pub(super) fn see_reply(&mut self, node: u16, reply: &Reply<KvReply>) -> Result<(), Violation> {
        if reply.key.number == RequestNumber::READ {
            return self.see_read_reply(node, reply);
        }
        let key = in_key(reply.key);
        let right = match reply.outcome {
            Outcome::Applied { slot, output } => self.is_applied(key, slot, output),
            Outcome::Registered { client } => self
                .registered
                .get(&key.0)
                .is_some_and(|sessions| sessions.contains(&client)),
            Outcome::Stale => self.highest.get(&key.0).is_some_and(|last| *last > key.1),
            // A session that was never opened is none that was evicted.
            Outcome::Evicted => self.evicted.contains(&key.0),
            Outcome::Reused => self.effects.contains_key(&key),
            Outcome::Reconfigured { epoch } => {
                let change = self.change_of(reply);
                change.is_some_and(|change| self.epochs.has_effect(&change, epoch))
            }
            Outcome::Unchanged(error) => {
                let change = self.change_of(reply);
                change.is_some_and(|change| self.is_unchanged(&change, error))
            }
            Outcome::Busy | Outcome::Readable { .. } | Outcome::NotNow => false,
        };
        if let Outcome::Applied { slot, .. } = reply.outcome {
            // From here on, whatever is asked must be answered by a state that is as recent.
            self.known = self.known.max(slot);
        }
        self.checks.ensure(Check::Answer, right, || {
            format!("the log does not say {reply:?}")
        })
    }

    /// Returns the change that an answer is about; `None` if no operator has asked for it.
    fn change_of(&self, reply: &Reply<KvReply>) -> Option<Change> {
        let first = self.firsts.get(&in_key(reply.key))?;
        let mut asked = first.asked.iter();
        asked.find_map(|proposal| match proposal {
            Proposal::Reconfigure(change) if proposal.fingerprint() == reply.fingerprint => {
                Some(*change)
            }
            _ => None,
        })
    }

    /// True if an operator may be told that a change has no effect, for this reason. That new members are behind rests on
    /// what a leader has heard of them.
    fn is_unchanged(&self, change: &Change, error: ChangeError) -> bool {
        match error {
            ChangeError::Epoch { present } => self.epochs.is_late(change, present),
            ChangeError::Removed { node } => {
                change.members.contains(node) && self.epochs.was_removed(node)
            }
            ChangeError::Behind { node, .. } => change.members.contains(node),
            _ => false,
        }
    }

    /// True if a request may have this output at this slot: it took effect there, after all answers
    /// known when it was made; or it is a read with this result after a slot that is as recent. So
    /// a read may be answered by any node that is recent enough, without a slot of its own.
    fn is_applied(&self, key: (u64, u32), slot: Slot, output: KvReply) -> bool {
        let Some(first) = self.firsts.get(&key) else {
            return false;
        };
        let effect = self.effects.get(&key);
        if effect.is_some_and(|(at, was, _)| (*at, *was) == (slot, output)) {
            return slot > first.known;
        }
        let reads = |proposal: &Asked| match (proposal, self.after(slot)) {
            (Proposal::Request { command, .. }, Some(prefix)) => {
                let mut contents = prefix.contents.clone();
                play(&mut contents, *command) == output && contents == prefix.contents
            }
            _ => false,
        };
        slot >= first.known && first.asked.iter().any(reads)
    }
}
