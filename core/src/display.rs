//! The text form of records: one line for people, with time, node, role and event.
//!
//! The log of the host has the same words, byte for byte, which a test compares. The host writes them faster and in
//! colour. Both take the fields and their order from [`fields`].
//!
//! It needs no allocation: names are padded by counting what was written, and lists are written item by item. A target
//! without `std` prints the same lines as the host, only slower.

use crate::fields::{self, Fields};
use crate::{
    Ballot, Change, ChangeError, ClientId, Duration, Entry, Event, Message, NodeId, NodeSet,
    Outcome, Proposal, Record, RequestKey, RequestNumber, Slot, SnapshotId, StateMachine, Value,
};
use core::fmt::{self, Debug, Display, Formatter, Write};

/// The width of the longest name, `NODE_63.Initializer`.
const NAME_WIDTH: usize = 19;
const _: () = assert!(
    NAME_WIDTH == "NODE_63.Initializer".len(),
    "no name is longer, or the columns of a log would shift"
);

/// `NODE_3.Scout        ---> T=1.0518 received promise(ballot=(1, NODE_3), …) from NODE_2`, without a line feed.
impl<M: StateMachine, const PAGE: usize> Display for Record<'_, M, PAGE> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = Counted { f, len: 0 };
        write!(line, "{}.{}", self.node, self.role.name())?;
        // Counted while it is written, since a name has no buffer that could be padded as a whole.
        let padding = NAME_WIDTH.saturating_sub(line.len);
        let (at, event) = (self.at, &self.event);
        write!(f, "{:padding$} ---> T={at} {event}", "")
    }
}

/// `received promise(ballot=(1, NODE_3), …) from NODE_2`.
impl<M: StateMachine, const PAGE: usize> Display for Event<'_, M, PAGE> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { to, message } => write!(f, "sent {message} to {}", Recipients(*to)),
            Self::Received { from, message } => write!(f, "received {message} from {from}"),
            Self::Lost { to, message } => write!(f, "lost {message} to {to}"),
            Self::Duplicated { to, message } => write!(f, "duplicated {message} to {to}"),
            Self::Delayed {
                to,
                message,
                by,
                cause,
            } => write!(f, "delayed {message} to {to} by {by}: {}", cause.name()),
            Self::Ignored { from, kind, reason } => {
                write!(f, "ignored {} from {from}: {}", kind.name(), reason.name())
            }
            Self::Started
            | Self::Stopped
            | Self::Exhausted
            | Self::Fenced
            | Self::Killed
            | Self::Restarted => f.write_str(fields::event_name(self)),
            event => {
                f.write_str(fields::event_name(event))?;
                in_parentheses(f, |text| fields::event(event, text))
            }
        }
    }
}

/// `promise(ballot=(1, NODE_3), from=4, low_water=3, last, entries=[])`.
impl<M: StateMachine, const PAGE: usize> Display for Message<M, PAGE> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        in_parentheses(f, |text| fields::message(self, text))
    }
}

/// `client_12#3:set(A, 9)`, `register(nonce_0000000003f81189)` or `noop`.
impl<C: Debug> Display for Proposal<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noop => f.write_str("noop"),
            Self::Register { nonce } => write!(f, "register({})", RequestKey::registration(*nonce)),
            Self::Request {
                client,
                number,
                command,
            } => {
                let key = RequestKey {
                    client: *client,
                    number: *number,
                };
                write!(f, "{key}:{command:?}")
            }
            Self::Reconfigure(Change { epoch, members }) => {
                write!(f, "reconfigure(epoch={epoch}, members={members})")
            }
        }
    }
}

/// `client_12#3`; `nonce_` or `read_` and the nonce of a registration or a read; or `change#1`, with the epoch that would follow.
impl Display for RequestKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.number == RequestNumber::REGISTRATION {
            write!(f, "nonce_{:016x}", self.client.0)
        } else if self.number == RequestNumber::READ {
            write!(f, "read_{:016x}", self.client.0)
        } else if self.client == ClientId::OPERATOR {
            write!(f, "change#{}", self.number.0)
        } else {
            write!(f, "client_{}#{}", self.client.0, self.number.0)
        }
    }
}

/// `applied(slot=9, output=9)`, `registered(client_12)`, `reconfigured(epoch=1)`, `unchanged(no_members)`, or a word.
impl<O: Debug> Display for Outcome<O> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { slot, output } => {
                write!(f, "applied(slot={}, output={output:?})", slot.number())
            }
            Self::Registered { client } => write!(f, "registered(client_{})", client.0),
            Self::Stale => f.write_str("stale"),
            Self::Evicted => f.write_str("evicted"),
            Self::Reused => f.write_str("reused"),
            Self::Busy => f.write_str("busy"),
            Self::Reconfigured { epoch } => write!(f, "reconfigured(epoch={epoch})"),
            Self::Readable { applied } => write!(f, "readable(applied={})", applied.number()),
            Self::NotNow => f.write_str("not_now"),
            Self::Unchanged(error) => {
                write!(f, "unchanged({}", error.name())?;
                match error {
                    ChangeError::Epoch { present } => write!(f, ", present={present}")?,
                    ChangeError::Removed { node } => write!(f, ", {node}")?,
                    ChangeError::Behind { node, by } => write!(f, ", {node}, by={by}")?,
                    ChangeError::NoMembers | ChangeError::LastEpoch => {}
                }
                f.write_str(")")
            }
        }
    }
}

/// `NODE_1`, or `[NODE_0, NODE_1]` for several nodes.
struct Recipients(NodeSet);

impl Display for Recipients {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return self.0.iter().try_for_each(|node| Display::fmt(&node, f));
        }
        in_brackets(f, self.0.iter(), |f, node| Display::fmt(&node, f))
    }
}

/// Writes items in brackets.
fn in_brackets<T>(
    f: &mut Formatter<'_>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    let mut separator = "";
    for item in items {
        f.write_str(separator)?;
        write(f, item)?;
        separator = ", ";
    }
    f.write_str("]")
}

/// Writes fields in parentheses.
fn in_parentheses(f: &mut Formatter<'_>, walk: impl FnOnce(&mut Text<'_, '_>)) -> fmt::Result {
    f.write_str("(")?;
    let mut text = Text {
        f,
        separator: "",
        result: Ok(()),
    };
    walk(&mut text);
    text.result?;
    f.write_str(")")
}

/// Counts the bytes that it passes on.
struct Counted<'a, 'f> {
    f: &'a mut Formatter<'f>,
    /// The bytes so far, which are as many columns: a name is ASCII.
    len: usize,
}

impl Write for Counted<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.len = self.len.saturating_add(text.len());
        self.f.write_str(text)
    }
}

/// Writes fields as text. A flag is its name if it is set, and nothing if it is not.
struct Text<'a, 'f> {
    f: &'a mut Formatter<'f>,
    /// What comes before the next field: nothing before the first one.
    separator: &'static str,
    /// After the first error nothing more is written.
    result: fmt::Result,
}

impl Text<'_, '_> {
    /// Writes a field, unless one before it has failed: a traversal has no result, so the error is kept until its end.
    fn write(&mut self, write: impl FnOnce(&mut Formatter<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            let separated = self.f.write_str(self.separator);
            self.result = separated.and_then(|()| write(self.f));
            self.separator = ", ";
        }
    }

    fn field(&mut self, name: &'static str, value: impl Display) {
        self.write(|f| write!(f, "{name}={value}"));
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
    ) {
        self.write(|f| {
            write!(f, "{name}=")?;
            in_brackets(f, items.iter(), write)
        });
    }
}

impl Fields for Text<'_, '_> {
    fn number(&mut self, name: &'static str, number: u64) {
        self.field(name, number);
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        if flag {
            self.write(|f| f.write_str(name));
        }
    }

    fn word(&mut self, name: &'static str, word: &'static str) {
        self.field(name, word);
    }

    fn digest(&mut self, name: &'static str, digest: u64) {
        self.field(name, format_args!("{digest:016x}"));
    }

    fn node(&mut self, name: &'static str, node: NodeId) {
        self.field(name, node);
    }

    fn nodes(&mut self, name: &'static str, nodes: NodeSet) {
        self.field(name, Recipients(nodes));
    }

    fn signed(&mut self, name: &'static str, number: i64) {
        self.field(name, number);
    }

    fn ballot(&mut self, name: &'static str, ballot: Ballot) {
        self.field(name, ballot);
    }

    /// Omitted if it equals the ballot that is answered.
    fn promised(&mut self, answered: Ballot, promised: Ballot) {
        if promised != answered {
            self.field("promised", promised);
        }
    }

    fn duration(&mut self, name: &'static str, span: Duration) {
        self.field(name, span);
    }

    /// Writes the number of bytes; the bytes themselves would fill the line without telling anything.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        self.field(name, bytes.len());
    }

    fn snapshot(&mut self, name: &'static str, snapshot: Option<SnapshotId>) {
        match snapshot {
            None => self.field(name, "any"),
            Some(SnapshotId { at, digest }) => {
                let at = at.number();
                self.field(name, format_args!("(at={at}, digest={digest:016x})"));
            }
        }
    }

    fn key(&mut self, name: &'static str, key: RequestKey) {
        self.field(name, key);
    }

    fn proposal<C: Value>(&mut self, name: &'static str, proposal: &Proposal<C>) {
        self.field(name, proposal);
    }

    fn proposals<C: Value>(&mut self, name: &'static str, proposals: &[Proposal<C>]) {
        self.list(name, proposals, |f, proposal| Display::fmt(proposal, f));
    }

    fn entries<C: Value>(&mut self, name: &'static str, entries: &[Entry<C>]) {
        self.list(name, entries, |f, entry| {
            let (slot, ballot, proposal) = (entry.slot.number(), entry.ballot, &entry.proposal);
            write!(f, "(slot={slot}, ballot={ballot}, proposal={proposal})")
        });
    }

    fn outcome<O: Value>(&mut self, name: &'static str, outcome: &Outcome<O>) {
        self.field(name, outcome);
    }

    /// Writes the output alone if it was produced by this slot; a retry that was decided once more shows the slot in
    /// which it was applied first.
    fn applied<O: Value>(&mut self, slot: Slot, outcome: Option<&Outcome<O>>) {
        match outcome {
            None => {}
            Some(Outcome::Applied { slot: at, output }) if *at == slot => {
                self.field("output", format_args!("{output:?}"));
            }
            Some(outcome) => self.outcome("outcome", outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::machines::Opaque;
    use crate::{ClientId, Instant, Reason, Role};
    use heapless::Vec;
    use std::string::{String, ToString};

    fn line(role: Role, event: Event<'_, Opaque, 2>) -> String {
        let (at, node) = (Instant::from_micros(1_051_899), NodeId(3));
        let record = Record {
            at,
            node,
            role,
            event,
        };
        record.to_string()
    }

    #[test]
    fn a_record_is_a_line_of_the_log() {
        let ballot = Ballot::new(1, NodeId(3));
        let mut entries = Vec::new();
        let proposal = Proposal::Register { nonce: 0x3f8_1189 };
        let (slot, from) = (Slot::new(5), NodeId(2));
        entries
            .push(Entry {
                slot,
                ballot,
                proposal,
            })
            .unwrap();
        let message = Message::Promise {
            ballot,
            promised: ballot,
            from: Slot::new(4),
            low_water: Slot::new(3),
            last: true,
            entries,
        };
        let message = &message;
        assert_eq!(
            line(Role::Scout, Event::Received { from, message }),
            "NODE_3.Scout        ---> T=1.0518 received promise(ballot=(1, NODE_3), from=4, low_water=3, last, \
             entries=[(slot=5, ballot=(1, NODE_3), proposal=register(nonce_0000000003f81189))]) from NODE_2"
        );
        let to = NodeSet::first(2);
        let message = &Message::Learn { from: Slot::new(7) };
        assert_eq!(
            line(Role::Initializer, Event::Sent { to, message }),
            "NODE_3.Initializer  ---> T=1.0518 sent learn(from=7) to [NODE_0, NODE_1]"
        );
        let (kind, reason) = (message.kind(), Reason::WrongPhase);
        assert_eq!(
            line(Role::Node, Event::Ignored { from, kind, reason }),
            "NODE_3.Node         ---> T=1.0518 ignored learn from NODE_2: wrong_phase"
        );
        assert_eq!(
            line(Role::Leader, Event::Started),
            "NODE_3.Leader       ---> T=1.0518 started"
        );
        let proposal = Proposal::Noop;
        let event = Event::Applied {
            slot,
            proposal: &proposal,
            outcome: None,
            chain: 0xbeef,
        };
        assert_eq!(
            line(Role::Replica, event),
            "NODE_3.Replica      ---> T=1.0518 applied(slot=5, proposal=noop, chain=000000000000beef)"
        );
    }

    #[test]
    fn keys_and_outcomes_are_words_too() {
        let client = ClientId(12);
        let number = RequestNumber(3);
        assert_eq!(RequestKey { client, number }.to_string(), "client_12#3");
        let (slot, output) = (Slot::new(9), 7_u8);
        assert_eq!(
            Outcome::Applied { slot, output }.to_string(),
            "applied(slot=9, output=7)"
        );
        assert_eq!(
            Outcome::<u8>::Registered { client }.to_string(),
            "registered(client_12)"
        );
        assert_eq!(Outcome::<u8>::Stale.to_string(), "stale");
    }
}
