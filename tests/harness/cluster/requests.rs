//! Requests to the nodes of a scripted cluster, and the answers to them: sessions, commands, reads and changes of the
//! members.

use super::{Cluster, WasRead, millis, node_set};
use synod::machines::{Key, KvCommand, KvReply};
use synod::{
    Change, ChangeError, ClientId, Outcome, ReadError, ReconfigureError, RequestError, RequestKey,
    RequestNumber, Slot,
};

impl Cluster {
    /// Requests a session, and returns its nonce.
    pub(crate) fn register(&mut self, node: u16) -> u64 {
        self.nonce += 1;
        let nonce = self.nonce;
        self.register_as(node, nonce).unwrap();
        nonce
    }

    /// Requests a session at a node if it runs and has a free requester, and appends the nonce to `nonces`.
    pub(crate) fn register_if_live(&mut self, node: u16, nonces: &mut Vec<(u16, u64)>) {
        self.nonce += 1;
        let nonce = self.nonce;
        if self.live().any(|live| live == node) && self.register_as(node, nonce).is_ok() {
            nonces.push((node, nonce));
        }
    }

    pub(crate) fn register_as(&mut self, node: u16, nonce: u64) -> Result<(), RequestError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            result = node.register(now, nonce, outbox, trace);
        });
        result
    }

    /// Requests at a node that these nodes be the members.
    pub(crate) fn reconfigure(
        &mut self,
        node: u16,
        members: &[u16],
    ) -> Result<(), ReconfigureError> {
        let change = Change {
            epoch: self.node(node).epoch(),
            members: node_set(members),
        };
        self.ask_change(node, change)
    }

    /// Requests at a node that these nodes be the members, as soon as the leader knows that they have caught up.
    pub(crate) fn when_caught_up(&mut self, node: u16, members: &[u16]) {
        let key = RequestKey::change(self.node(node).epoch());
        let is_refused = |c: &Self| {
            let told = c.answer(key);
            matches!(told, Some(Outcome::Unchanged(ChangeError::Behind { .. })))
        };
        for _ in 0..100 {
            let answers = self.outcomes_of(key).len();
            if self.reconfigure(node, members).is_ok() {
                self.run_until("the leader answers, or the members have changed", |c| {
                    c.outcomes_of(key).len() > answers
                });
                if !is_refused(self) {
                    return;
                }
            }
            self.run_for(millis(100));
        }
        panic!("seed {}: {members:?} never catch up", self.seed);
    }

    /// Requests a change of the members at a node.
    pub(crate) fn ask_change(&mut self, node: u16, change: Change) -> Result<(), ReconfigureError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            result = node.reconfigure(now, change, outbox, trace);
        });
        result
    }

    /// Requests at a node that these nodes be the members, and waits until all running nodes of both sets know it.
    pub(crate) fn change_members(&mut self, node: u16, members: &[u16]) {
        let (set, epoch) = (node_set(members), self.node(node).epoch());
        self.when_caught_up(node, members);
        self.run_until("the members have changed", |c| {
            let knows = |node| c.node(node).epoch() > epoch && c.node(node).members() == set;
            c.is_settled() && c.live().all(knows)
        });
    }

    /// Opens a session at a node and returns its client.
    pub(crate) fn client(&mut self, node: u16) -> ClientId {
        let nonce = self.register(node);
        self.run_until("a session is open", |c| c.registered(nonce).is_some());
        self.registered(nonce).unwrap()
    }

    /// Returns the client of the session that was opened under a nonce.
    pub(crate) fn registered(&self, nonce: u64) -> Option<ClientId> {
        match self.answer(RequestKey::registration(nonce)) {
            Some(Outcome::Registered { client }) => Some(client),
            _ => None,
        }
    }

    pub(crate) fn ask(
        &mut self,
        node: u16,
        client: ClientId,
        number: u32,
        command: KvCommand,
    ) -> Result<(), RequestError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            let number = RequestNumber(number);
            result = node.request(now, client, number, command, outbox, trace);
        });
        result
    }

    /// Asks to read at a node.
    pub(crate) fn read(&mut self, node: u16, nonce: u64) -> Result<(), ReadError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            result = node.read(now, nonce, outbox, trace);
        });
        result
    }

    /// Returns what came of a read.
    pub(crate) fn was_read(&self, nonce: u64) -> Option<WasRead> {
        let mut reads = self.reads.iter().rev();
        let (_, read) = reads.find(|(known, _)| *known == nonce)?;
        Some(*read)
    }

    /// Requests key A to be set.
    pub(crate) fn set(&mut self, node: u16, client: ClientId, number: u32, value: i64) {
        let command = KvCommand::Set(Key::numbered(0), value);
        self.ask(node, client, number, command).unwrap();
    }

    /// Sets key A and waits for the answer.
    pub(crate) fn set_and_wait(&mut self, node: u16, client: ClientId, number: u32, value: i64) {
        self.set(node, client, number, value);
        self.run_until("the request is answered", |c| {
            c.applied_in(client, number).is_some()
        });
    }

    /// Opens a session at a node, sets `count` keys one after the other, and returns the client.
    pub(crate) fn decide(&mut self, node: u16, count: u32) -> ClientId {
        let client = self.client(node);
        for number in 1..=count {
            let command = KvCommand::Set(Key::numbered(number % 50), i64::from(number));
            self.ask(node, client, number, command).unwrap();
            self.run_until("the request is answered", |c| {
                c.applied_in(client, number).is_some()
            });
        }
        client
    }

    /// Returns the last answer to a request at any node.
    pub(crate) fn answer(&self, key: RequestKey) -> Option<Outcome<KvReply>> {
        let mut replies = self.replies.iter().rev();
        let (_, reply) = replies.find(|(_, reply)| reply.key == key)?;
        Some(reply.outcome)
    }

    pub(crate) fn outcome(&self, client: ClientId, number: u32) -> Option<Outcome<KvReply>> {
        let number = RequestNumber(number);
        self.answer(RequestKey { client, number })
    }

    /// Returns all answers under a key, at any node.
    pub(crate) fn outcomes_of(&self, key: RequestKey) -> Vec<Outcome<KvReply>> {
        let replies = self.replies.iter().filter(|(_, reply)| reply.key == key);
        replies.map(|(_, reply)| reply.outcome).collect()
    }

    /// Returns the slot in which a request was applied, as reported to its client.
    pub(crate) fn applied_in(&self, client: ClientId, number: u32) -> Option<Slot> {
        match self.outcome(client, number) {
            Some(Outcome::Applied { slot, .. }) => Some(slot),
            _ => None,
        }
    }

    /// True if any request was answered since the answers were last cleared.
    pub(crate) fn has_answered(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Forgets the answers so far.
    pub(crate) fn clear_answers(&mut self) {
        self.replies.clear();
    }
}
