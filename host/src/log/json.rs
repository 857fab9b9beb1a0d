//! JSON format of the log, for programs: one object a line.
//!
//! Every record has
//!
//! | key | is |
//! |---|---|
//! | `t_us` | the simulated time in microseconds |
//! | `node` | the number of the node |
//! | `role` | `Acceptor`, `Replica`, `Leader`, `Scout`, `Commander`, `Requester`, `Seed`, `Initializer`, `Node` or `Network` |
//! | `event` | `started`, `stopped`, `sent`, `received`, `lost`, `ignored`, `suspected`, `backed_off`, `adopted`, `preempted`, `stepped_down`, `accepting`, `chosen`, `applied`, `installed`, `reconfigured`, `full`, `halted`, `exhausted`, `fenced`, `killed`, `restarted`, `duplicated`, `delayed`, `fault_began` or `fault_ended` |
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
//! | `reason` | why the message was ignored (`ignored`) |
//! | `by_us`, `cause` | the delay in microseconds, and the kind of fault that it is due to (`delayed`) |
//!
//! and, except in `started`, `stopped`, `exhausted`, `fenced`, `killed`, `restarted` and `ignored`, an object `fields` with the fields of the message or of
//! the event under the names that they have in the text. In it
//!
//! - a ballot is `{"round":1,"leader":3}`, and after a change of the members `{"epoch":1,"round":1,"leader":3}`; a slot, an
//!   epoch, a count or a node is a number; members and other sets of nodes are lists of numbers; a flag is `true` or `false`;
//! - a proposal is `{"kind":"noop"}`, `{"kind":"register","nonce":"…"}`,
//!   `{"kind":"request","client":12,"number":3,"command":"set(A, 9)"}`, or
//!   `{"kind":"reconfigure","epoch":0,"members":[1,2,3]}` with the epoch that the change ends and the members of the next;
//! - an outcome is `{"kind":"applied","slot":9,"output":"9"}`, `{"kind":"registered","client":12}`,
//!   `{"kind":"reconfigured","epoch":1}`, `{"kind":"unchanged","reason":"behind","text":"…"}`, or has the kind
//!   `stale`, `evicted`, `reused` or `busy` alone; of a no-op it is `null`;
//! - the key of a request is `{"client":12,"number":3}`, that of a registration `{"nonce":"…"}`, that of a change of the
//!   members `{"epoch":1}` with the epoch that it begins;
//! - a digest or a nonce is a string of sixteen hexadecimal digits, a part of a snapshot a string of hexadecimal digits,
//!   a span of time a number of microseconds under a name that ends in `_us`.
//!
//! A real node (`synod node --format json`) writes in front of these keys
//!
//! | key | is |
//! |---|---|
//! | `time` | the wall time in UTC, as RFC 3339 writes it, with microseconds; `t_us` is the same time since 1970 |
//! | `level` | `error`, `warn`, `info`, `debug` or `trace` |
//!
//! and what it says about itself has the event `notice`, the role `Node`, and the words in `text`. It has no summary.
//!
//! The last line of a run is the summary; its `event` is `summary`. New keys may be added; these keep their names and meanings.

use super::context::{Annotations, MessageId};
#[cfg(feature = "server")]
use super::filter::{Level, level};
#[cfg(feature = "server")]
use super::wall_time::WallTime;
use crate::json::{self, Hex, HexBytes, List, Text};
use core::fmt;
use serde::ser::{Serialize, SerializeMap, Serializer};
use synod::fields::{self, Fields};
use synod::{
    Ballot, ClientId, Duration, Entry, Epoch, Event, Message, NodeId, NodeSet, Outcome, Proposal,
    Record, RequestKey, RequestNumber, Slot, SnapshotId, StateMachine, Value,
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
        let at_wall = None;
        json::line(
            out,
            &Line {
                record,
                notes,
                at_wall,
            },
        );
    }
}

#[cfg(feature = "server")]
impl Json {
    /// Appends the object of a record of a real node, with the wall time and the level.
    pub fn line_of_real_node<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
    ) {
        let notes = &Annotations::default();
        let level = level(&record.event);
        let at_wall = Some((
            WallTime(record.at.as_micros()).to_string(),
            level_name(level),
        ));
        json::line(
            out,
            &Line {
                record,
                notes,
                at_wall,
            },
        );
    }

    /// Appends a line about a node as a whole, whose event is `notice`.
    pub fn notice(
        &self,
        out: &mut Vec<u8>,
        (at, node): (synod::Instant, NodeId),
        (level, text): (Level, &dyn fmt::Display),
    ) {
        json::line(
            out,
            &Notice {
                time: WallTime(at.as_micros()).to_string(),
                level: level_name(level),
                t_us: at.as_micros(),
                node: node.0,
                role: synod::Role::Node.name(),
                event: "notice",
                text: text.to_string(),
            },
        );
    }
}

/// Returns the name of a level.
#[cfg(feature = "server")]
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The object of a line about a node as a whole.
#[cfg(feature = "server")]
#[derive(serde::Serialize)]
struct Notice {
    time: String,
    level: &'static str,
    t_us: u64,
    node: u16,
    role: &'static str,
    event: &'static str,
    text: String,
}

/// The object of a record. Its entries are written one by one, as they differ from event to event.
struct Line<'a, M: StateMachine, const PAGE: usize> {
    record: &'a Record<'a, M, PAGE>,
    notes: &'a Annotations,
    /// The wall time and the level, in the log of a real node.
    at_wall: Option<(String, &'static str)>,
}

impl<M: StateMachine, const PAGE: usize> Serialize for Line<'_, M, PAGE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            record,
            notes,
            at_wall,
        } = self;
        let mut line = serializer.serialize_map(None)?;
        if let Some((time, level)) = at_wall {
            line.serialize_entry("time", time)?;
            line.serialize_entry("level", level)?;
        }
        line.serialize_entry("t_us", &record.at.as_micros())?;
        line.serialize_entry("node", &record.node.0)?;
        line.serialize_entry("role", record.role.name())?;
        line.serialize_entry("event", fields::event_name(&record.event))?;
        if let Some(MessageId { from, nth }) = notes.id {
            line.serialize_entry("id", &Text(format_args!("{}.{nth}", from.0)))?;
        }
        // The keys of all records come first, in the same order in every line, for readers that
        // scan only the beginnings of lines.
        event(&record.event, &mut line)?;
        if let Some(reason) = notes.reason {
            line.serialize_entry("why", reason.name())?;
            if let Some(silent_node) = reason.silent_node() {
                line.serialize_entry("whom", &silent_node.0)?;
            }
        }
        line.end()
    }
}

/// Writes the entries of an event other than its name.
fn event<M: StateMachine, const PAGE: usize, S: SerializeMap>(
    event: &Event<'_, M, PAGE>,
    line: &mut S,
) -> Result<(), S::Error> {
    match event {
        Event::Sent { to, message } => {
            line.serialize_entry("message", message.kind().name())?;
            line.serialize_entry("to", &List::of(numbers(*to)))?;
            line.serialize_entry("fields", &MessageFields(message))
        }
        Event::Received { from, message } => {
            line.serialize_entry("message", message.kind().name())?;
            line.serialize_entry("from", &from.0)?;
            line.serialize_entry("fields", &MessageFields(message))
        }
        Event::Lost { to, message } | Event::Duplicated { to, message } => {
            line.serialize_entry("message", message.kind().name())?;
            line.serialize_entry("to", &[to.0])?;
            line.serialize_entry("fields", &MessageFields(message))
        }
        Event::Delayed {
            to,
            message,
            by,
            cause,
        } => {
            line.serialize_entry("message", message.kind().name())?;
            line.serialize_entry("to", &[to.0])?;
            line.serialize_entry("by_us", &by.as_micros())?;
            line.serialize_entry("cause", cause.name())?;
            line.serialize_entry("fields", &MessageFields(message))
        }
        Event::Ignored { from, kind, reason } => {
            line.serialize_entry("message", kind.name())?;
            line.serialize_entry("from", &from.0)?;
            line.serialize_entry("reason", reason.name())
        }
        Event::Started
        | Event::Stopped
        | Event::Exhausted
        | Event::Fenced
        | Event::Killed
        | Event::Restarted => Ok(()),
        event => line.serialize_entry("fields", &EventFields(event)),
    }
}

/// Returns the numbers of nodes, in rising order.
fn numbers(nodes: NodeSet) -> impl Iterator<Item = u16> {
    nodes.iter().map(|node| node.0)
}

/// The object `fields` of a message. The names and their order are those of the core, so that both
/// formats of the log have the same.
struct MessageFields<'a, M: StateMachine, const PAGE: usize>(&'a Message<M, PAGE>);

impl<M: StateMachine, const PAGE: usize> Serialize for MessageFields<'_, M, PAGE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Entries::of(serializer)?;
        fields::message(self.0, &mut object);
        object.end()
    }
}

/// The object `fields` of an event that is not about a message.
struct EventFields<'a, 'e, M: StateMachine, const PAGE: usize>(&'a Event<'e, M, PAGE>);

impl<M: StateMachine, const PAGE: usize> Serialize for EventFields<'_, '_, M, PAGE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Entries::of(serializer)?;
        fields::event(self.0, &mut object);
        object.end()
    }
}

/// Writer of the entries of an object, one for each field. Writes nothing after the first error of the serializer.
struct Entries<S: SerializeMap>(Result<S, S::Error>);

impl<S: SerializeMap> Entries<S> {
    /// Begins an object.
    fn of(
        serializer: impl Serializer<SerializeMap = S, Error = S::Error>,
    ) -> Result<Self, S::Error> {
        Ok(Self(Ok(serializer.serialize_map(None)?)))
    }

    /// Writes an entry. The trait for fields has no errors, so that the first one is kept.
    fn entry(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        if let Ok(map) = &mut self.0
            && let Err(error) = map.serialize_entry(name, value)
        {
            self.0 = Err(error);
        }
    }

    /// Ends the object, or returns the first error.
    fn end(self) -> Result<S::Ok, S::Error> {
        self.0?.end()
    }
}

impl<S: SerializeMap> Fields for Entries<S> {
    fn number(&mut self, name: &'static str, number: u64) {
        self.entry(name, &number);
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        self.entry(name, &flag);
    }

    fn word(&mut self, name: &'static str, word: &'static str) {
        self.entry(name, word);
    }

    fn digest(&mut self, name: &'static str, digest: u64) {
        self.entry(name, &Hex(digest));
    }

    fn node(&mut self, name: &'static str, node: NodeId) {
        self.entry(name, &node.0);
    }

    fn nodes(&mut self, name: &'static str, nodes: NodeSet) {
        self.entry(name, &List::of(numbers(nodes)));
    }

    fn signed(&mut self, name: &'static str, number: i64) {
        self.entry(name, &number);
    }

    fn ballot(&mut self, name: &'static str, ballot: Ballot) {
        self.entry(name, &BallotObject::of(ballot));
    }

    // Written even if it equals the ballot that is answered, since programs should not have to know
    // when it is left out.
    fn promised(&mut self, _answered: Ballot, promised: Ballot) {
        self.ballot("promised", promised);
    }

    fn duration(&mut self, name: &'static str, span: Duration) {
        // The unit is a part of the key, as in all keys of times.
        let name = match name {
            "delay" => "delay_us",
            "lasts" => "lasts_us",
            _ => name,
        };
        self.entry(name, &span.as_micros());
    }

    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        self.entry(name, &HexBytes(bytes));
    }

    fn snapshot(&mut self, name: &'static str, snapshot: Option<SnapshotId>) {
        self.entry(name, &snapshot.map(SnapshotObject::of));
    }

    fn key(&mut self, name: &'static str, key: RequestKey) {
        self.entry(name, &KeyObject::of(key));
    }

    fn proposal<C: Value>(&mut self, name: &'static str, proposal: &Proposal<C>) {
        self.entry(name, &ProposalObject::of(proposal));
    }

    fn proposals<C: Value>(&mut self, name: &'static str, proposals: &[Proposal<C>]) {
        self.entry(name, &List::of(proposals.iter().map(ProposalObject::of)));
    }

    fn entries<C: Value>(&mut self, name: &'static str, entries: &[Entry<C>]) {
        self.entry(name, &List::of(entries.iter().map(EntryObject::of)));
    }

    fn outcome<O: Value>(&mut self, name: &'static str, outcome: &Outcome<O>) {
        self.entry(name, &OutcomeObject::of(outcome));
    }

    fn applied<O: Value>(&mut self, _slot: Slot, outcome: Option<&Outcome<O>>) {
        self.entry("outcome", &outcome.map(OutcomeObject::of));
    }
}

/// A ballot.
#[derive(serde::Serialize)]
struct BallotObject {
    /// Left out in the first epoch, as most runs have no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u16>,
    round: u64,
    leader: u16,
}

impl BallotObject {
    fn of(ballot: Ballot) -> Self {
        Self {
            epoch: (ballot.epoch() > Epoch::FIRST).then_some(ballot.epoch().0),
            round: ballot.round(),
            leader: ballot.leader().0,
        }
    }
}

/// A snapshot: the last slot in it, and the digest of its contents.
#[derive(serde::Serialize)]
struct SnapshotObject {
    at: u64,
    digest: Hex,
}

impl SnapshotObject {
    fn of(snapshot: SnapshotId) -> Self {
        Self {
            at: snapshot.at.number(),
            digest: Hex(snapshot.digest),
        }
    }
}

/// The key of a request, of a registration or a read, which have a nonce instead of a session, or of a change.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum KeyObject {
    Registration {
        nonce: Hex,
    },
    Request {
        client: u64,
        number: u32,
    },
    Read {
        read: Hex,
    },
    /// A change of the members, by the epoch that begins with it.
    Change {
        epoch: u32,
    },
}

impl KeyObject {
    fn of(key: RequestKey) -> Self {
        if key.number == RequestNumber::REGISTRATION {
            Self::Registration {
                nonce: Hex(key.client.0),
            }
        } else if key.number == RequestNumber::READ {
            Self::Read {
                read: Hex(key.client.0),
            }
        } else if key.client == ClientId::OPERATOR {
            Self::Change {
                epoch: key.number.0,
            }
        } else {
            Self::Request {
                client: key.client.0,
                number: key.number.0,
            }
        }
    }
}

/// A proposal; the entry `kind` has the name of the variant.
#[derive(serde::Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", bound = "C: fmt::Debug")]
enum ProposalObject<'a, C> {
    Noop,
    Register {
        nonce: Hex,
    },
    Request {
        client: u64,
        number: u32,
        command: Debugged<'a, C>,
    },
    Reconfigure {
        epoch: u16,
        members: Vec<u16>,
    },
}

impl<'a, C: Value> ProposalObject<'a, C> {
    fn of(proposal: &'a Proposal<C>) -> Self {
        match proposal {
            Proposal::Noop => Self::Noop,
            Proposal::Register { nonce } => Self::Register { nonce: Hex(*nonce) },
            Proposal::Request {
                client,
                number,
                command,
            } => Self::Request {
                client: client.0,
                number: number.0,
                command: Debugged(command),
            },
            Proposal::Reconfigure(change) => Self::Reconfigure {
                epoch: change.epoch.0,
                members: change.members.iter().map(|node| node.0).collect(),
            },
        }
    }
}

/// A vote for a slot.
#[derive(serde::Serialize)]
#[serde(bound = "C: fmt::Debug")]
struct EntryObject<'a, C> {
    slot: u64,
    ballot: BallotObject,
    proposal: ProposalObject<'a, C>,
}

impl<'a, C: Value> EntryObject<'a, C> {
    fn of(entry: &'a Entry<C>) -> Self {
        Self {
            slot: entry.slot.number(),
            ballot: BallotObject::of(entry.ballot),
            proposal: ProposalObject::of(&entry.proposal),
        }
    }
}

/// The outcome of a request; the entry `kind` has the name of the variant.
#[derive(serde::Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", bound = "O: fmt::Debug")]
enum OutcomeObject<'a, O> {
    Applied {
        slot: u64,
        output: Debugged<'a, O>,
    },
    Registered {
        client: u64,
    },
    Stale,
    Evicted,
    Reused,
    Busy,
    Reconfigured {
        epoch: u16,
    },
    Unchanged {
        reason: &'static str,
        text: String,
    },
    Readable {
        applied: u64,
    },
    #[serde(rename = "not_now")]
    NotNow,
}

impl<'a, O: Value> OutcomeObject<'a, O> {
    fn of(outcome: &'a Outcome<O>) -> Self {
        match outcome {
            Outcome::Applied { slot, output } => Self::Applied {
                slot: slot.number(),
                output: Debugged(output),
            },
            Outcome::Registered { client } => Self::Registered { client: client.0 },
            Outcome::Stale => Self::Stale,
            Outcome::Evicted => Self::Evicted,
            Outcome::Reused => Self::Reused,
            Outcome::Busy => Self::Busy,
            Outcome::Reconfigured { epoch } => Self::Reconfigured { epoch: epoch.0 },
            Outcome::Unchanged(error) => Self::Unchanged {
                reason: error.name(),
                text: error.to_string(),
            },
            Outcome::Readable { applied } => Self::Readable {
                applied: applied.number(),
            },
            Outcome::NotNow => Self::NotNow,
        }
    }
}

/// A value in its debug format, as a string. Commands and outputs are written that way. Their types
/// are those of the state machine, which need not know JSON.
struct Debugged<'a, T>(&'a T);

impl<T: fmt::Debug> Serialize for Debugged<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}
