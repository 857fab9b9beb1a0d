//! JSON format of the log, for programs: one object a line.
//!
//! Every record has
//!
//! | key | is |
//! |---|---|
//! | `t_us` | the simulated time in microseconds |
//! | `node` | the number of the node |
//! | `role` | `Acceptor`, `Replica`, `Leader`, `Scout`, `Commander`, `Requester`, `Seed`, `Initializer`, `Node` or `Network` |
//! | `event` | `started`, `stopped`, `sent`, `received`, `lost`, `ignored`, `suspected`, `backed_off`, `adopted`, `preempted`, `stepped_down`, `accepting`, `chosen`, `applied`, `installed`, `full`, `halted`, `exhausted`, `fenced` or `killed` |
//!
//! and, if the event is about a message,
//!
//! | key | is |
//! |---|---|
//! | `message` | its kind: `prepare`, `promise` and so on |
//! | `id` | the identity of the message, such as `"3.17"`: the one that node 3 sent after seventeen others. All recipients and all copies share it, so that with `to` or `node` it links each `received` to its `sent`. A message of a node to itself (`from` is `node`) has none |
//! | `from` | the number of its sender (`received`, `ignored`) |
//! | `to` | the numbers of its recipients, a list (`sent`, `lost`, `duplicated`, `delayed`) |
//! | `why` | why a probe went out (`sent`): `no_leader_yet`, `no_leader`, `leader_silent`, `claimant_silent`, `back_off_over` or `again` |
//! | `whom` | the number of the node that was silent (if `why` refers to one) |
//! | `why` | why the message was ignored (`ignored`) |
//!
//! and, except in `started`, `stopped`, `exhausted`, `fenced`, `killed` and `ignored`, an object `fields` with the fields of the message or of
//! the event under the names that they have in the text. In it
//!
//! - a ballot is `{"round":1,"leader":3}`; a slot, a count or a node is a number; a flag is `true` or `false`;
//! - a proposal is `{"kind":"noop"}`, `{"kind":"register","nonce":"…"}` or
//!   `{"kind":"request","client":12,"number":3,"command":"set(A, 9)"}`;
//! - an outcome is `{"kind":"applied","slot":9,"output":"9"}`, `{"kind":"registered","client":12}`, or has the kind
//!   `stale`, `evicted`, `reused` or `busy` alone; of a no-op it is `null`;
//! - the key of a request is `{"client":12,"number":3}`, that of a registration `{"nonce":"…"}`;
//! - a digest or a nonce is a string of sixteen hexadecimal digits, a part of a snapshot a string of hexadecimal digits,
//!   a span of time a number of microseconds under a name that ends in `_us`.
//!
//! The last line is the summary; its `event` is `summary`. New keys may be added; these keep their names and meanings.

use super::bytes;
use super::context::{Annotations, MessageId};
use crate::json::{Object, list};
use synod::fields::{self, Fields};
use synod::{
    Ballot, Duration, Entry, Event, Message, NodeId, NodeSet, Outcome, Proposal, Record,
    RequestKey, RequestNumber, Slot, SnapshotId, StateMachine, Value,
};

/// Writes records as JSON.
#[derive(Debug)]
pub struct Json;

impl Json {
    /// Appends the object of a record, with a line feed.
    pub fn line<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
        notes: &Annotations,
    ) {
        let mut object = Object::begin(out);
        object.number("t_us", record.at.as_micros());
        object.number("node", u64::from(record.node.0));
        object.word("role", record.role.name());
        object.word("event", fields::event_name(&record.event));
        if let Some(MessageId { from, nth }) = notes.id {
            let out = object.key("id");
            out.push(b'"');
            bytes::number(out, u64::from(from.0));
            out.push(b'.');
            bytes::number(out, nth);
            out.push(b'"');
        }
        match &record.event {
            Event::Sent { to, message } => message_of(&mut object, message, |object| {
                list(object.key("to"), to.iter(), node);
            }),
            Event::Received { from, message } => message_of(&mut object, message, |object| {
                node(object.key("from"), *from);
            }),
            Event::Lost { to, message } => message_of(&mut object, message, |object| {
                list(object.key("to"), [*to], node);
            }),
            Event::Ignored { from, kind, reason } => {
                object.word("message", kind.name());
                node(object.key("from"), *from);
                object.word("reason", reason.name());
            }
            Event::Duplicated { to, message } => message_of(&mut object, message, |object| {
                list(object.key("to"), [*to], node);
            }),
            Event::Delayed {
                to,
                message,
                by,
                cause,
            } => message_of(&mut object, message, |object| {
                list(object.key("to"), [*to], node);
                object.number("by_us", by.as_micros());
                object.word("cause", cause.name());
            }),
            Event::Started
            | Event::Stopped
            | Event::Exhausted
            | Event::Fenced
            | Event::Killed
            | Event::Restarted => {}
            event => {
                let mut inner = object.object("fields");
                fields::event(event, &mut inner);
                inner.end();
            }
        }
        if let Some(reason) = notes.reason {
            object.word("why", reason.name());
            if let Some(silent_node) = reason.silent_node() {
                node(object.key("whom"), silent_node);
            }
        }
        object.end();
        out.push(b'\n');
    }
}

fn message_of<M: StateMachine, const PAGE: usize>(
    object: &mut Object<'_>,
    message: &Message<M, PAGE>,
    ends: impl FnOnce(&mut Object<'_>),
) {
    object.word("message", message.kind().name());
    ends(object);
    let mut inner = object.object("fields");
    fields::message(message, &mut inner);
    inner.end();
}

fn node(out: &mut Vec<u8>, node: NodeId) {
    bytes::number(out, u64::from(node.0));
}

impl Fields for Object<'_> {
    fn number(&mut self, name: &'static str, number: u64) {
        Object::number(self, name, number);
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        Object::flag(self, name, flag);
    }

    fn word(&mut self, name: &'static str, word: &'static str) {
        Object::word(self, name, word);
    }

    fn digest(&mut self, name: &'static str, digest: u64) {
        self.hex(name, digest);
    }

    fn node(&mut self, name: &'static str, id: NodeId) {
        node(self.key(name), id);
    }

    fn nodes(&mut self, name: &'static str, nodes: NodeSet) {
        list(self.key(name), nodes.iter(), node);
    }

    fn signed(&mut self, name: &'static str, number: i64) {
        bytes::display(self.key(name), &number);
    }

    fn ballot(&mut self, name: &'static str, ballot: Ballot) {
        let mut object = self.object(name);
        object.number("round", ballot.round());
        node(object.key("leader"), ballot.leader());
        object.end();
    }

    fn promised(&mut self, _answered: Ballot, promised: Ballot) {
        self.ballot("promised", promised);
    }

    fn duration(&mut self, name: &'static str, span: Duration) {
        self.number(
            match name {
                "delay" => "delay_us",
                "lasts" => "lasts_us",
                _ => name,
            },
            span.as_micros(),
        );
    }

    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        let out = self.key(name);
        out.push(b'"');
        for byte in bytes {
            bytes::hex_byte(out, *byte);
        }
        out.push(b'"');
    }

    fn snapshot(&mut self, name: &'static str, snapshot: Option<SnapshotId>) {
        match snapshot {
            None => self.key(name).extend_from_slice(b"null"),
            Some(snapshot) => {
                let mut object = self.object(name);
                object.number("at", snapshot.at.number());
                object.hex("digest", snapshot.digest);
                object.end();
            }
        }
    }

    fn key(&mut self, name: &'static str, key: RequestKey) {
        let mut object = self.object(name);
        if key.number == RequestNumber::REGISTRATION {
            object.hex("nonce", key.client.0);
        } else {
            object.number("client", key.client.0);
            object.number("number", u64::from(key.number.0));
        }
        object.end();
    }

    fn proposal<C: Value>(&mut self, name: &'static str, proposal: &Proposal<C>) {
        write_proposal(Object::key(self, name), proposal);
    }

    fn proposals<C: Value>(&mut self, name: &'static str, proposals: &[Proposal<C>]) {
        list(Object::key(self, name), proposals, write_proposal);
    }

    fn entries<C: Value>(&mut self, name: &'static str, entries: &[Entry<C>]) {
        list(Object::key(self, name), entries, |out, entry| {
            let mut object = Object::begin(out);
            object.number("slot", entry.slot.number());
            object.ballot("ballot", entry.ballot);
            object.proposal("proposal", &entry.proposal);
            object.end();
        });
    }

    fn outcome<O: Value>(&mut self, name: &'static str, outcome: &Outcome<O>) {
        let mut object = self.object(name);
        let kind = match outcome {
            Outcome::Applied { .. } => "applied",
            Outcome::Registered { .. } => "registered",
            Outcome::Stale => "stale",
            Outcome::Evicted => "evicted",
            Outcome::Reused => "reused",
            Outcome::Busy => "busy",
        };
        object.word("kind", kind);
        match outcome {
            Outcome::Applied { slot, output } => {
                object.number("slot", slot.number());
                object.debug("output", output);
            }
            Outcome::Registered { client } => object.number("client", client.0),
            Outcome::Stale | Outcome::Evicted | Outcome::Reused | Outcome::Busy => {}
        }
        object.end();
    }

    fn applied<O: Value>(&mut self, _slot: Slot, outcome: Option<&Outcome<O>>) {
        match outcome {
            None => Object::key(self, "outcome").extend_from_slice(b"null"),
            Some(outcome) => self.outcome("outcome", outcome),
        }
    }
}

fn write_proposal<C: Value>(out: &mut Vec<u8>, proposal: &Proposal<C>) {
    let mut object = Object::begin(out);
    match proposal {
        Proposal::Noop => object.word("kind", "noop"),
        Proposal::Register { nonce } => {
            object.word("kind", "register");
            object.hex("nonce", *nonce);
        }
        Proposal::Request {
            client,
            number,
            command,
        } => {
            object.word("kind", "request");
            object.number("client", client.0);
            object.number("number", u64::from(number.0));
            object.debug("command", command);
        }
    }
    object.end();
}
