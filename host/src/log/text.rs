//! Text format of the log, for people: one line a record, with node, role, time, event and peers.
//!
//! ```text
//! NODE_3.Scout        ---> T=1.0518 received promise(ballot=(1, NODE_3), from=4, low_water=3, last, entries=[]) from NODE_2
//! ```
//!
//! The names are padded to one width, so that the lines form columns. A flag is its name if it is set and nothing
//! otherwise, and `promised` is left out if it is the ballot that is answered. Without its escape sequences, a coloured
//! line equals the plain one, byte for byte.

mod fields;

pub(crate) use fields::write_proposal;

use super::bytes;
use super::colours::{Palette, RESET};
use super::context::{Annotations, registered};
use fields::TextFields;
use synod::fields as core_fields;
use synod::{Event, Message, NodeId, NodeSet, Record, Role, StateMachine};

/// Width of the longest name, `NODE_63.Initializer`. Times begin in the same column in every log,
/// whatever its nodes and roles.
const NAME_WIDTH: usize = 19;
/// Separator between a name and its time; its leading spaces pad names shorter than [`NAME_WIDTH`].
const ARROW: &[u8] = b"                    ---> T=";
/// Length of the separator after the longest name: a space, the arrow, a space, and `T=`.
const ARROW_LEN_MIN: usize = 8;

/// Writes records as lines.
#[derive(Debug)]
pub struct Text {
    /// Colours; `None` for plain text.
    palette: Option<Box<Palette>>,
}

impl Text {
    /// Returns a writer of plain lines.
    pub const fn plain() -> Self {
        Self { palette: None }
    }

    /// Returns a writer of lines with a colour for each role.
    pub fn coloured() -> Self {
        Self {
            palette: Some(Box::new(Palette::new())),
        }
    }

    /// Appends the line of a record, with a line feed. Two annotations are shown: the reason of a probe, and the client
    /// of a registration.
    pub fn line<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
        notes: &Annotations,
    ) {
        self.head(out, record);
        self.event(out, record);
        annotations(out, record, notes);
        out.push(b'\n');
    }

    /// Appends a line that is about a node as a whole and no record of it.
    #[cfg(feature = "server")]
    pub fn notice(
        &self,
        out: &mut Vec<u8>,
        (at, node): (synod::Instant, NodeId),
        text: &dyn core::fmt::Display,
    ) {
        use std::io::Write;
        let record = Record::<synod::machines::Opaque, 2> {
            at,
            node,
            role: Role::Node,
            event: Event::Started,
        };
        self.head(out, &record);
        // A vector takes everything.
        let _ = writeln!(out, "{text}");
    }

    /// Appends the event. One about a message begins with a verb and ends with the other end of the message's way.
    fn event<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
    ) {
        match &record.event {
            Event::Sent { to, message } => {
                self.verb(out, record, b"sent ", message.kind().name());
                fields_of(out, |fields| core_fields::message(message, fields));
                out.extend_from_slice(b" to ");
                recipients(out, *to);
            }
            Event::Received { from, message } => {
                self.verb(out, record, b"received ", message.kind().name());
                fields_of(out, |fields| core_fields::message(message, fields));
                out.extend_from_slice(b" from ");
                bytes::node(out, *from);
            }
            Event::Lost { to, message } => self.fated(out, record, b"lost ", message, *to),
            Event::Duplicated { to, message } => {
                self.fated(out, record, b"duplicated ", message, *to);
            }
            Event::Delayed {
                to,
                message,
                by,
                cause,
            } => {
                self.fated(out, record, b"delayed ", message, *to);
                out.extend_from_slice(b" by ");
                bytes::duration(out, *by);
                out.extend_from_slice(b": ");
                out.extend_from_slice(cause.name().as_bytes());
            }
            Event::Ignored { from, kind, reason } => {
                self.verb(out, record, b"ignored ", kind.name());
                out.extend_from_slice(b" from ");
                bytes::node(out, *from);
                out.extend_from_slice(b": ");
                out.extend_from_slice(reason.name().as_bytes());
            }
            Event::Started
            | Event::Stopped
            | Event::Exhausted
            | Event::Fenced
            | Event::Killed
            | Event::Restarted => {
                self.verb(out, record, b"", core_fields::event_name(&record.event));
            }
            event => {
                self.verb(out, record, b"", core_fields::event_name(event));
                fields_of(out, |fields| core_fields::event(event, fields));
            }
        }
    }

    /// Appends the event of the network that befell a message.
    fn fated<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
        verb: &[u8],
        message: &Message<M, PAGE>,
        to: NodeId,
    ) {
        self.verb(out, record, verb, message.kind().name());
        fields_of(out, |fields| core_fields::message(message, fields));
        out.extend_from_slice(b" to ");
        bytes::node(out, to);
    }

    /// Appends the node, the role and the time.
    fn head<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
    ) {
        if let Some(palette) = &self.palette {
            out.extend_from_slice(palette.name(record.role));
        }
        // Escape sequences have no width, so that only what follows is counted.
        let start = out.len();
        bytes::node(out, record.node);
        out.push(b'.');
        out.extend_from_slice(record.role.name().as_bytes());
        let width = out.len() - start;
        if self.palette.is_some() {
            out.extend_from_slice(RESET);
        }
        // One constant of which the front is left out, instead of a loop over spaces.
        let padding = NAME_WIDTH.saturating_sub(width) + ARROW_LEN_MIN;
        let skip = ARROW.len().saturating_sub(padding);
        out.extend_from_slice(ARROW.get(skip..).unwrap_or(ARROW));
        bytes::seconds(out, record.at);
        out.push(b' ');
    }

    /// Appends the word for the event, and the kind of its message.
    fn verb<M: StateMachine, const PAGE: usize>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_, M, PAGE>,
        verb: &[u8],
        noun: &'static str,
    ) {
        if let Some(palette) = &self.palette {
            out.extend_from_slice(palette.verb(record.role, &record.event));
        }
        out.extend_from_slice(verb);
        out.extend_from_slice(noun.as_bytes());
        if self.palette.is_some() {
            out.extend_from_slice(RESET);
        }
    }
}

/// Appends what the record itself does not say, after a colon: the client that a slot has registered, or why a node
/// probes. They stand at the end, so that a line without them is that of the display format of the core.
fn annotations<M: StateMachine, const PAGE: usize>(
    out: &mut Vec<u8>,
    record: &Record<'_, M, PAGE>,
    notes: &Annotations,
) {
    if let Some((client, slot)) = registered(&record.event) {
        out.extend_from_slice(b": client_");
        bytes::number(out, client.0);
        out.extend_from_slice(b" registered (slot ");
        bytes::number(out, slot.number());
        out.push(b')');
    }
    if let Some(reason) = notes.reason {
        let (before, after) = reason.words();
        out.extend_from_slice(b": ");
        out.extend_from_slice(before.as_bytes());
        if let Some(silent_node) = reason.silent_node() {
            bytes::node(out, silent_node);
        }
        out.extend_from_slice(after.as_bytes());
    }
}

/// Appends a message: its kind and its fields.
pub(crate) fn message<M: StateMachine, const PAGE: usize>(
    out: &mut Vec<u8>,
    message: &Message<M, PAGE>,
) {
    out.extend_from_slice(message.kind().name().as_bytes());
    fields_of(out, |fields| core_fields::message(message, fields));
}

/// Appends an event that is not about a message: its name and its fields.
pub(crate) fn fact<M: StateMachine, const PAGE: usize>(
    out: &mut Vec<u8>,
    event: &Event<'_, M, PAGE>,
) {
    out.extend_from_slice(core_fields::event_name(event).as_bytes());
    fields_of(out, |fields| core_fields::event(event, fields));
}

/// Returns the style of a role's name, for a legend.
pub fn style(role: Role) -> anstyle::Style {
    super::colours::style(role)
}

/// Appends `NODE_1`, or `[NODE_0, NODE_1]` where there are several.
fn recipients(out: &mut Vec<u8>, to: NodeSet) {
    let several = to.len() != 1;
    if several {
        out.push(b'[');
    }
    let mut separator: &[u8] = b"";
    for node in to.iter() {
        out.extend_from_slice(separator);
        bytes::node(out, node);
        separator = b", ";
    }
    if several {
        out.push(b']');
    }
}

/// Appends fields in parentheses.
fn fields_of(out: &mut Vec<u8>, walk: impl FnOnce(&mut TextFields<'_>)) {
    out.push(b'(');
    let mut fields = TextFields { out, first: true };
    walk(&mut fields);
    out.push(b')');
}
