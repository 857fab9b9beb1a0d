//! The fields of messages and events: one traversal for every output format.
//!
//! [`Record`](crate::Record), [`Event`] and [`Message`] implement `Display` with this traversal. For another format
//! (JSON, a packed buffer, a table), implement [`Fields`]: it receives the same fields under the same names in the same
//! order. A program that does not use this module does not link it.
//!
//! ```
//! use synod::fields::{self, Fields};
//! use synod::machines::Opaque;
//! use synod::{Ballot, Duration, Entry, Message, NodeId, NodeSet, Outcome, Proposal, RequestKey, Slot, SnapshotId, Value};
//!
//! /// The names of the fields alone.
//! #[derive(Default)]
//! struct Names(Vec<&'static str>);
//!
//! impl Fields for Names {
//!     fn number(&mut self, name: &'static str, _: u64) { self.0.push(name); }
//!     fn flag(&mut self, name: &'static str, _: bool) { self.0.push(name); }
//!     fn word(&mut self, name: &'static str, _: &'static str) { self.0.push(name); }
//!     fn digest(&mut self, name: &'static str, _: u64) { self.0.push(name); }
//!     fn node(&mut self, name: &'static str, _: NodeId) { self.0.push(name); }
//!     fn nodes(&mut self, name: &'static str, _: NodeSet) { self.0.push(name); }
//!     fn signed(&mut self, name: &'static str, _: i64) { self.0.push(name); }
//!     fn ballot(&mut self, name: &'static str, _: Ballot) { self.0.push(name); }
//!     fn promised(&mut self, _: Ballot, _: Ballot) { self.0.push("promised"); }
//!     fn duration(&mut self, name: &'static str, _: Duration) { self.0.push(name); }
//!     fn bytes(&mut self, name: &'static str, _: &[u8]) { self.0.push(name); }
//!     fn snapshot(&mut self, name: &'static str, _: Option<SnapshotId>) { self.0.push(name); }
//!     fn key(&mut self, name: &'static str, _: RequestKey) { self.0.push(name); }
//!     fn proposal<C: Value>(&mut self, name: &'static str, _: &Proposal<C>) { self.0.push(name); }
//!     fn proposals<C: Value>(&mut self, name: &'static str, _: &[Proposal<C>]) { self.0.push(name); }
//!     fn entries<C: Value>(&mut self, name: &'static str, _: &[Entry<C>]) { self.0.push(name); }
//!     fn outcome<O: Value>(&mut self, name: &'static str, _: &Outcome<O>) { self.0.push(name); }
//!     fn applied<O: Value>(&mut self, _: Slot, _: Option<&Outcome<O>>) { self.0.push("outcome"); }
//! }
//!
//! let heartbeat = Message::<Opaque, 2>::Heartbeat { ballot: Ballot::new(1, NodeId(0)), decided: Slot::new(7), chain: 9 };
//! let mut names = Names::default();
//! fields::message(&heartbeat, &mut names);
//! assert_eq!(names.0, ["ballot", "decided", "chain"]);
//! ```

use crate::simulation::{Fault, Planned};
use crate::{
    Ballot, Conflict, Divergence, Duration, Entry, Event, Halt, Message, NodeId, NodeSet, Outcome,
    Proposal, RequestKey, Slot, SnapshotId, StateMachine, Value,
};

/// Receives the fields of a message or an event in order, and writes them.
pub trait Fields {
    /// A number.
    fn number(&mut self, name: &'static str, number: u64);
    /// A flag.
    fn flag(&mut self, name: &'static str, flag: bool);
    /// A word of a fixed vocabulary.
    fn word(&mut self, name: &'static str, word: &'static str);
    /// A digest.
    fn digest(&mut self, name: &'static str, digest: u64);
    /// A node.
    fn node(&mut self, name: &'static str, node: NodeId);
    /// A set of nodes.
    fn nodes(&mut self, name: &'static str, nodes: NodeSet);
    /// A number that may be negative.
    fn signed(&mut self, name: &'static str, number: i64);
    /// A ballot.
    fn ballot(&mut self, name: &'static str, ballot: Ballot);
    /// The ballot that an acceptor has promised. Only of interest if it is not the one that it answers.
    fn promised(&mut self, answered: Ballot, promised: Ballot);
    /// A duration.
    fn duration(&mut self, name: &'static str, span: Duration);
    /// A page of a snapshot.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]);
    /// The id of a snapshot.
    fn snapshot(&mut self, name: &'static str, snapshot: Option<SnapshotId>);
    /// The key of a request.
    fn key(&mut self, name: &'static str, key: RequestKey);
    /// A proposal.
    fn proposal<C: Value>(&mut self, name: &'static str, proposal: &Proposal<C>);
    /// Proposals for consecutive slots.
    fn proposals<C: Value>(&mut self, name: &'static str, proposals: &[Proposal<C>]);
    /// Accepted entries.
    fn entries<C: Value>(&mut self, name: &'static str, entries: &[Entry<C>]);
    /// The outcome of a request.
    fn outcome<O: Value>(&mut self, name: &'static str, outcome: &Outcome<O>);
    /// The outcome of a slot's proposal; `None` for a no-op.
    fn applied<O: Value>(&mut self, slot: Slot, outcome: Option<&Outcome<O>>);

    /// A slot.
    fn slot(&mut self, name: &'static str, slot: Slot) {
        self.number(name, slot.number());
    }
}

/// Visits the fields of a message.
pub fn message<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    fields: &mut impl Fields,
) {
    match message {
        Message::Join { .. }
        | Message::Welcome { .. }
        | Message::Learn { .. }
        | Message::Decisions { .. } => catch_up(message, fields),
        // Fields have the names and the order of their declarations, by which a reader finds them in the documentation.
        Message::Probe { ballot } => fields.ballot("ballot", *ballot),
        Message::HeartbeatReply { ballot, applied } | Message::Superseded { ballot, applied } => {
            fields.ballot("ballot", *ballot);
            fields.slot("applied", *applied);
        }
        Message::ProbeReply {
            ballot,
            granted,
            highest,
        } => {
            fields.ballot("ballot", *ballot);
            fields.flag("granted", *granted);
            fields.ballot("highest", *highest);
        }
        Message::Prepare { ballot, from } => {
            fields.ballot("ballot", *ballot);
            fields.slot("from", *from);
        }
        Message::Promise {
            ballot,
            promised,
            from,
            low_water,
            last,
            entries,
        } => {
            fields.ballot("ballot", *ballot);
            fields.promised(*ballot, *promised);
            fields.slot("from", *from);
            fields.slot("low_water", *low_water);
            fields.flag("last", *last);
            fields.entries("entries", entries);
        }
        Message::Accept { .. }
        | Message::Accepted { .. }
        | Message::Decision { .. }
        | Message::Heartbeat { .. } => replication(message, fields),
        Message::Confirm { .. }
        | Message::Confirmed { .. }
        | Message::ReadIndex { .. }
        | Message::ReadIndexReply { .. } => reads(message, fields),
        Message::Propose { proposal, retry } => {
            fields.proposal("proposal", proposal);
            fields.flag("retry", *retry);
        }
        Message::Request { proposal } => fields.proposal("proposal", proposal),
        // The request shows the fingerprint of its command.
        Message::Response { key, outcome, .. } => {
            fields.key("key", *key);
            fields.outcome("outcome", outcome);
        }
    }
}

/// Visits the fields of messages of reads that take no slot.
fn reads<M: StateMachine, const PAGE: usize>(message: &Message<M, PAGE>, fields: &mut impl Fields) {
    match message {
        Message::Confirm { ballot, round } | Message::Confirmed { ballot, round } => {
            fields.ballot("ballot", *ballot);
            fields.number("round", u64::from(*round));
        }
        Message::ReadIndex { nonce, reader } => {
            fields.digest("nonce", *nonce);
            fields.node("reader", *reader);
        }
        Message::ReadIndexReply { nonce, index } => {
            fields.digest("nonce", *nonce);
            fields.slot("index", *index);
        }
        _ => {}
    }
}

/// Visits the fields of messages for replication.
fn replication<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    fields: &mut impl Fields,
) {
    match message {
        Message::Accept {
            ballot,
            first,
            decided,
            proposals,
        } => {
            fields.ballot("ballot", *ballot);
            fields.slot("first", *first);
            fields.slot("decided", *decided);
            fields.proposals("proposals", proposals);
        }
        Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        } => {
            fields.ballot("ballot", *ballot);
            fields.promised(*ballot, *promised);
            fields.slot("first", *first);
            fields.number("count", u64::from(*count));
            fields.slot("low_water", *low_water);
        }
        Message::Decision { ballot, decided } => {
            fields.ballot("ballot", *ballot);
            fields.slot("decided", *decided);
        }
        Message::Heartbeat {
            ballot,
            decided,
            chain,
        } => {
            fields.ballot("ballot", *ballot);
            fields.slot("decided", *decided);
            fields.digest("chain", *chain);
        }
        _ => debug_assert!(false, "{} is not of replication", message.kind().name()),
    }
}

/// Visits the fields of messages for joining and catch-up.
fn catch_up<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    fields: &mut impl Fields,
) {
    match message {
        Message::Join {
            snapshot,
            page,
            count,
        } => {
            fields.snapshot("snapshot", *snapshot);
            fields.number("page", u64::from(*page));
            // A request for any snapshot is for its first page, and has no run.
            if snapshot.is_some() {
                fields.number("count", u64::from(*count));
            }
        }
        Message::Welcome {
            snapshot,
            page,
            pages,
            bytes,
        } => {
            fields.snapshot("snapshot", Some(*snapshot));
            fields.number("page", u64::from(*page));
            fields.number("pages", u64::from(*pages));
            fields.bytes("bytes", bytes);
        }
        Message::Learn { from } => fields.slot("from", *from),
        Message::Decisions {
            first,
            applied,
            proposals,
        } => {
            fields.slot("first", *first);
            fields.slot("applied", *applied);
            fields.proposals("proposals", proposals);
        }
        _ => debug_assert!(false, "{} is not of catch-up", message.kind().name()),
    }
}

/// Returns the name of a kind of event, as in both formats of the log.
pub const fn event_name<M: StateMachine, const PAGE: usize>(
    event: &Event<'_, M, PAGE>,
) -> &'static str {
    match event {
        Event::Started => "started",
        Event::Stopped => "stopped",
        Event::Sent { .. } => "sent",
        Event::Received { .. } => "received",
        Event::Lost { .. } => "lost",
        Event::Ignored { .. } => "ignored",
        Event::Suspected { .. } => "suspected",
        Event::BackedOff { .. } => "backed_off",
        Event::Adopted { .. } => "adopted",
        Event::Preempted { .. } => "preempted",
        Event::SteppedDown { .. } => "stepped_down",
        Event::Accepting { .. } => "accepting",
        Event::Chosen { .. } => "chosen",
        Event::Applied { .. } => "applied",
        Event::Installed { .. } => "installed",
        Event::Full { .. } => "full",
        Event::Halted { .. } => "halted",
        Event::Exhausted => "exhausted",
        Event::Fenced => "fenced",
        Event::Killed => "killed",
        Event::Restarted => "restarted",
        Event::Duplicated { .. } => "duplicated",
        Event::Delayed { .. } => "delayed",
        Event::FaultBegan { .. } => "fault_began",
        Event::FaultEnded { .. } => "fault_ended",
        Event::Reconfigured { .. } => "reconfigured",
    }
}

/// Visits the fields of an event that is not about a message.
pub fn event<M: StateMachine, const PAGE: usize>(
    event: &Event<'_, M, PAGE>,
    fields: &mut impl Fields,
) {
    match event {
        Event::Started
        | Event::Stopped
        | Event::Exhausted
        | Event::Fenced
        | Event::Killed
        | Event::Restarted
        | Event::Sent { .. }
        | Event::Received { .. }
        | Event::Lost { .. }
        | Event::Duplicated { .. }
        | Event::Delayed { .. }
        | Event::Ignored { .. } => {}
        Event::Suspected { .. }
        | Event::BackedOff { .. }
        | Event::Adopted { .. }
        | Event::Preempted { .. }
        | Event::SteppedDown { .. }
        | Event::Accepting { .. } => election(event, fields),
        Event::Chosen {
            slot,
            ballot,
            proposal,
        } => {
            fields.slot("slot", *slot);
            fields.ballot("ballot", *ballot);
            fields.proposal("proposal", proposal);
        }
        Event::Applied {
            slot,
            proposal,
            outcome,
            chain,
        } => {
            fields.slot("slot", *slot);
            fields.proposal("proposal", proposal);
            fields.applied(*slot, *outcome);
            fields.digest("chain", *chain);
        }
        Event::Installed { at, chain } => {
            fields.slot("at", *at);
            fields.digest("chain", *chain);
        }
        Event::Full { queue } => fields.word("queue", queue.name()),
        Event::Reconfigured { epoch, members } => {
            fields.number("epoch", u64::from(epoch.0));
            fields.nodes("members", *members);
        }
        Event::FaultBegan { planned } => {
            fault(planned, fields);
            if let Some(lasts) = planned.lasts {
                fields.duration("lasts", lasts);
            }
        }
        // How long it was to last was said when it began.
        Event::FaultEnded { planned } => fault(planned, fields),
        Event::Halted { cause } => halt(cause, fields),
    }
}

/// Visits the fields of the events of elections.
fn election<M: StateMachine, const PAGE: usize>(
    event: &Event<'_, M, PAGE>,
    fields: &mut impl Fields,
) {
    match event {
        Event::Suspected { leader } | Event::Accepting { leader } => fields.node("leader", *leader),
        Event::BackedOff { delay } => fields.duration("delay", *delay),
        Event::Adopted {
            ballot,
            reproposed,
            noops,
            next_slot,
        } => {
            fields.ballot("ballot", *ballot);
            fields.number("reproposed", u64::from(*reproposed));
            fields.number("noops", u64::from(*noops));
            fields.slot("next_slot", *next_slot);
        }
        Event::Preempted { ballot, by } => {
            fields.ballot("ballot", *ballot);
            fields.ballot("by", *by);
        }
        Event::SteppedDown { ballot } => fields.ballot("ballot", *ballot),
        _ => debug_assert!(false, "{} is not of an election", event_name(event)),
    }
}

/// Visits the fields of the cause of a halt.
fn halt<C: Value>(cause: &Halt<C>, fields: &mut impl Fields) {
    match cause {
        Halt::DuplicateIdentity => fields.word("cause", "duplicate_identity"),
        Halt::Conflict(conflict) => conflicting(conflict, fields),
        Halt::StorageFailed => fields.word("cause", "storage_failed"),
        Halt::Diverged(Divergence { slot, known, told }) => {
            fields.word("cause", "diverged");
            fields.slot("slot", *slot);
            fields.digest("known", *known);
            fields.digest("told", *told);
        }
    }
}

/// Visits the fields of two values for one slot, in the order in which the node knew them.
fn conflicting<C: Value>(conflict: &Conflict<C>, fields: &mut impl Fields) {
    fields.word("cause", "conflict");
    fields.slot("slot", conflict.slot);
    fields.proposal("known", &conflict.known);
    fields.proposal("new", &conflict.new);
}

/// Visits the fields of a planned fault except its duration. The affected node is the record's node.
fn fault(planned: &Planned, fields: &mut impl Fields) {
    fields.word("fault", planned.kind().name());
    match planned.fault {
        Fault::Crash(_)
        | Fault::Pause(_)
        | Fault::Torn(_)
        | Fault::FailedWrite(_)
        | Fault::FullDisk(_)
        | Fault::Rot(_) => {}
        Fault::Partition(side) => fields.nodes("side", side),
        Fault::OneWay { from, to } | Fault::Clog { from, to } => {
            fields.nodes("from", from);
            fields.nodes("to", to);
        }
        Fault::Partial { one, other } => {
            fields.nodes("one", one);
            fields.nodes("other", other);
        }
        Fault::Skew { rate_ppm, .. } => fields.signed("rate_ppm", i64::from(rate_ppm)),
        Fault::Jump { by_micros, .. } => fields.signed("by_us", by_micros),
        Fault::SlowDisk { sync, .. } => fields.duration("sync", sync),
        Fault::Change { add, remove } => {
            fields.nodes("add", add);
            fields.nodes("remove", remove);
        }
    }
}
