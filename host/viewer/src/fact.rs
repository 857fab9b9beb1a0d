//! What a page knows of a record, beside its line of the log: what it is about, in a form that a script can search.
//!
//! Fields come from the traversal of the core, so that a new field of a message needs nothing here unless a page is to
//! search for it.

use serde::Serialize;
use synod::fields::{self, Fields};
use synod::{
    Ballot, Duration, Entry, Event, Halt, Message, NodeId, NodeSet, Outcome, Proposal, Record,
    RequestKey, Slot, SnapshotId, StateMachine, Value,
};

/// A ballot as a script compares it: epoch, round, and the node that leads under it.
pub(crate) type BallotParts = (u16, u64, u16);

/// A record of the trace.
#[derive(Debug, Serialize)]
pub(crate) struct Fact<'a> {
    /// When, in microseconds of simulated time.
    t: u64,
    /// The node.
    n: u16,
    /// The role.
    r: &'static str,
    /// The event.
    e: &'static str,
    /// The kind of the message, if the event is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    m: Option<&'static str>,
    /// The message: its sender, and the number of those that it had sent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The recipients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to: Vec<u16>,
    /// The sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u16>,
    /// Why a message was ignored or delayed, or the kind of a fault, or a queue that was full.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// The slots that it is about, each from the first to the last of a run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slots: Vec<(u64, u64)>,
    /// The ballots that it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ballots: Vec<BallotParts>,
    /// The requests that it names, such as `client_12#3`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    /// The sets of nodes that it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sets: Vec<Vec<u16>>,
    /// The line of the log.
    line: &'a str,
}

/// Returns the parts of a ballot; `None` for the one below all others.
pub(crate) fn parts(ballot: Ballot) -> Option<BallotParts> {
    let parts = (ballot.epoch().0, ballot.round(), ballot.leader().0);
    (ballot != Ballot::NULL).then_some(parts)
}

/// Returns the numbers of nodes, in rising order.
pub(crate) fn numbers(nodes: NodeSet) -> Vec<u16> {
    nodes.iter().map(|node| node.0).collect()
}

impl<'a> Fact<'a> {
    /// Returns what a record is about. `id` is its message, if that is known.
    pub(crate) fn of<M: StateMachine, const PAGE: usize>(
        record: &Record<'_, M, PAGE>,
        id: Option<String>,
        line: &'a str,
    ) -> Self {
        let mut named = Named::default();
        let event = &record.event;
        match message_of(event) {
            Some(message) => fields::message(message, &mut named),
            None => fields::event(event, &mut named),
        }
        let (to, from, why) = match event {
            Event::Sent { to, .. } => (numbers(*to), None, None),
            Event::Received { from, .. } => (Vec::new(), Some(from.0), None),
            Event::Ignored { from, reason, .. } => (Vec::new(), Some(from.0), Some(reason.name())),
            Event::Lost { to, .. } | Event::Duplicated { to, .. } => (vec![to.0], None, None),
            Event::Delayed { to, cause, .. } => (vec![to.0], None, Some(cause.name())),
            _ => (Vec::new(), None, named.word),
        };
        let kind = match event {
            Event::Ignored { kind, .. } => Some(kind.name()),
            event => message_of(event).map(|message| message.kind().name()),
        };
        Self {
            t: record.at.as_micros(),
            n: record.node.0,
            r: record.role.name(),
            e: fields::event_name(event),
            m: kind,
            id,
            to,
            from,
            why,
            slots: slots(event),
            ballots: named.ballots,
            keys: named.keys,
            sets: named.sets,
            line,
        }
    }
}

/// Returns the message that an event is about.
fn message_of<'a, M: StateMachine, const PAGE: usize>(
    event: &Event<'a, M, PAGE>,
) -> Option<&'a Message<M, PAGE>> {
    match event {
        Event::Sent { message, .. }
        | Event::Received { message, .. }
        | Event::Lost { message, .. }
        | Event::Duplicated { message, .. }
        | Event::Delayed { message, .. } => Some(message),
        _ => None,
    }
}

/// Returns the slots that an event is about: those whose values or votes it carries, not those that it only announces as
/// decided.
fn slots<M: StateMachine, const PAGE: usize>(event: &Event<'_, M, PAGE>) -> Vec<(u64, u64)> {
    let only = |slot: Slot| vec![(slot.number(), slot.number())];
    if let Some(message) = message_of(event) {
        return slots_of_message(message);
    }
    match event {
        Event::Chosen { slot, .. } | Event::Applied { slot, .. } => only(*slot),
        Event::Installed { at, .. } => only(*at),
        Event::Halted {
            cause: Halt::Conflict(conflict),
        } => only(conflict.slot),
        Event::Halted {
            cause: Halt::Diverged(divergence),
        } => only(divergence.slot),
        _ => Vec::new(),
    }
}

/// Returns the slots that a message is about.
fn slots_of_message<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
) -> Vec<(u64, u64)> {
    let only = |slot: Slot| vec![(slot.number(), slot.number())];
    let run = |first: Slot, count: u64| {
        // An empty run refuses the slot that it begins with.
        let last = first.number().saturating_add(count.max(1) - 1);
        vec![(first.number(), last)]
    };
    match message {
        Message::Accept {
            first, proposals, ..
        }
        | Message::Decisions {
            first, proposals, ..
        } => match u64::try_from(proposals.len()) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(count) => run(*first, count),
        },
        Message::Accepted { first, count, .. } => run(*first, u64::from(*count)),
        Message::Promise { entries, .. } => entries
            .iter()
            .map(|entry| (entry.slot.number(), entry.slot.number()))
            .collect(),
        Message::Decision { decided, .. } => only(*decided),
        Message::Learn { from } => only(*from),
        Message::Response {
            outcome: Outcome::Applied { slot, .. },
            ..
        } => only(*slot),
        _ => Vec::new(),
    }
}

/// What the fields of a record name.
#[derive(Debug, Default)]
struct Named {
    ballots: Vec<BallotParts>,
    keys: Vec<String>,
    sets: Vec<Vec<u16>>,
    /// The first word of a fixed vocabulary.
    word: Option<&'static str>,
}

impl Named {
    fn ballot(&mut self, ballot: Ballot) {
        if let Some(ballot) = parts(ballot)
            && !self.ballots.contains(&ballot)
        {
            self.ballots.push(ballot);
        }
    }

    fn asked<C: Value>(&mut self, proposal: &Proposal<C>) {
        if let Some(key) = proposal.key() {
            self.keys.push(key.to_string());
        }
    }
}

impl Fields for Named {
    fn number(&mut self, _name: &'static str, _number: u64) {}

    fn flag(&mut self, _name: &'static str, _flag: bool) {}

    fn word(&mut self, _name: &'static str, word: &'static str) {
        self.word.get_or_insert(word);
    }

    fn digest(&mut self, _name: &'static str, _digest: u64) {}

    fn node(&mut self, _name: &'static str, node: NodeId) {
        self.sets.push(vec![node.0]);
    }

    fn nodes(&mut self, _name: &'static str, nodes: NodeSet) {
        self.sets.push(numbers(nodes));
    }

    fn signed(&mut self, _name: &'static str, _number: i64) {}

    fn ballot(&mut self, _name: &'static str, ballot: Ballot) {
        self.ballot(ballot);
    }

    fn promised(&mut self, _answered: Ballot, promised: Ballot) {
        self.ballot(promised);
    }

    fn duration(&mut self, _name: &'static str, _span: Duration) {}

    fn bytes(&mut self, _name: &'static str, _bytes: &[u8]) {}

    fn snapshot(&mut self, _name: &'static str, _snapshot: Option<SnapshotId>) {}

    fn key(&mut self, _name: &'static str, key: RequestKey) {
        self.keys.push(key.to_string());
    }

    fn proposal<C: Value>(&mut self, _name: &'static str, proposal: &Proposal<C>) {
        self.asked(proposal);
    }

    fn proposals<C: Value>(&mut self, _name: &'static str, proposals: &[Proposal<C>]) {
        for proposal in proposals {
            self.asked(proposal);
        }
    }

    fn entries<C: Value>(&mut self, _name: &'static str, entries: &[Entry<C>]) {
        for entry in entries {
            self.ballot(entry.ballot);
            self.asked(&entry.proposal);
        }
    }

    fn outcome<O: Value>(&mut self, _name: &'static str, _outcome: &Outcome<O>) {}

    fn applied<O: Value>(&mut self, _slot: Slot, _outcome: Option<&Outcome<O>>) {}
}
