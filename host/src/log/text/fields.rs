//! Fields of messages and events in the text format: `name=value`, in the order in which the core names them.
//!
//! The order and the names are decided in `synod::fields`, for this format, for the JSON log, and
//! for the display format of the core. Here each kind of value gets its form.

use super::recipients;
use crate::log::bytes;
use synod::fields::Fields;
use synod::{
    Ballot, ClientId, Duration, Entry, NodeId, NodeSet, Outcome, Proposal, RequestKey,
    RequestNumber, Slot, SnapshotId, Value,
};

/// Writes fields as `name=value`, separated by commas.
pub(super) struct TextFields<'a> {
    /// Buffer of the line.
    pub(super) out: &'a mut Vec<u8>,
    /// Whether no field was written yet.
    pub(super) first: bool,
}

impl TextFields<'_> {
    /// Appends a comma unless the field is the first.
    fn separator(&mut self) {
        if !self.first {
            self.out.extend_from_slice(b", ");
        }
        self.first = false;
    }

    /// Starts a field and returns the buffer for its value.
    #[inline]
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.separator();
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'=');
        self.out
    }

    /// Appends a field with several values in brackets.
    fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        mut write: impl FnMut(&mut Vec<u8>, &T),
    ) {
        let out = self.name(name);
        out.push(b'[');
        let mut separator: &[u8] = b"";
        for item in items {
            out.extend_from_slice(separator);
            write(out, item);
            separator = b", ";
        }
        out.push(b']');
    }
}

impl Fields for TextFields<'_> {
    fn number(&mut self, name: &'static str, number: u64) {
        bytes::number(self.name(name), number);
    }

    // A flag that is not set takes no room, since most are not.
    fn flag(&mut self, name: &'static str, flag: bool) {
        if flag {
            self.separator();
            self.out.extend_from_slice(name.as_bytes());
        }
    }

    fn word(&mut self, name: &'static str, word: &'static str) {
        self.name(name).extend_from_slice(word.as_bytes());
    }

    fn digest(&mut self, name: &'static str, digest: u64) {
        bytes::hex(self.name(name), digest);
    }

    fn node(&mut self, name: &'static str, node: NodeId) {
        bytes::node(self.name(name), node);
    }

    fn nodes(&mut self, name: &'static str, nodes: NodeSet) {
        recipients(self.name(name), nodes);
    }

    fn signed(&mut self, name: &'static str, number: i64) {
        bytes::display(self.name(name), &number);
    }

    fn ballot(&mut self, name: &'static str, ballot: Ballot) {
        bytes::ballot(self.name(name), ballot);
    }

    // An acceptance has the same ballot twice; only a refusal is worth telling apart.
    fn promised(&mut self, answered: Ballot, promised: Ballot) {
        if promised != answered {
            self.ballot("promised", promised);
        }
    }

    fn duration(&mut self, name: &'static str, span: Duration) {
        bytes::duration(self.name(name), span);
    }

    /// Appends the number of bytes; their contents would fill the line without being readable.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        bytes::display(self.name(name), &bytes.len());
    }

    fn snapshot(&mut self, name: &'static str, snapshot: Option<SnapshotId>) {
        let out = self.name(name);
        match snapshot {
            None => out.extend_from_slice(b"any"),
            Some(snapshot) => {
                out.extend_from_slice(b"(at=");
                bytes::number(out, snapshot.at.number());
                out.extend_from_slice(b", digest=");
                bytes::hex(out, snapshot.digest);
                out.push(b')');
            }
        }
    }

    fn key(&mut self, name: &'static str, key: RequestKey) {
        request_key(self.name(name), key);
    }

    fn proposal<C: Value>(&mut self, name: &'static str, proposal: &Proposal<C>) {
        write_proposal(self.name(name), proposal);
    }

    fn proposals<C: Value>(&mut self, name: &'static str, proposals: &[Proposal<C>]) {
        self.list(name, proposals, write_proposal);
    }

    fn entries<C: Value>(&mut self, name: &'static str, entries: &[Entry<C>]) {
        self.list(name, entries, |out, entry| {
            out.extend_from_slice(b"(slot=");
            bytes::number(out, entry.slot.number());
            out.extend_from_slice(b", ballot=");
            bytes::ballot(out, entry.ballot);
            out.extend_from_slice(b", proposal=");
            write_proposal(out, &entry.proposal);
            out.push(b')');
        });
    }

    fn outcome<O: Value>(&mut self, name: &'static str, outcome: &Outcome<O>) {
        let out = self.name(name);
        match outcome {
            Outcome::Applied { slot, output } => {
                out.extend_from_slice(b"applied(slot=");
                bytes::number(out, slot.number());
                out.extend_from_slice(b", output=");
                bytes::debug(out, output);
                out.push(b')');
            }
            Outcome::Registered { client } => {
                out.extend_from_slice(b"registered(client_");
                bytes::number(out, client.0);
                out.push(b')');
            }
            Outcome::Stale => out.extend_from_slice(b"stale"),
            Outcome::Evicted => out.extend_from_slice(b"evicted"),
            Outcome::Reused => out.extend_from_slice(b"reused"),
            Outcome::Busy => out.extend_from_slice(b"busy"),
            Outcome::Reconfigured { .. }
            | Outcome::Unchanged(_)
            | Outcome::Readable { .. }
            | Outcome::NotNow => bytes::display(out, outcome),
        }
    }

    /// Appends the output alone if the outcome is of this slot; a retry decided again also shows the slot of its first
    /// application.
    fn applied<O: Value>(&mut self, slot: Slot, outcome: Option<&Outcome<O>>) {
        match outcome {
            None => {}
            Some(Outcome::Applied { slot: at, output }) if *at == slot => {
                bytes::debug(self.name("output"), output);
            }
            Some(outcome) => self.outcome("outcome", outcome),
        }
    }
}

/// Appends `client_12#3`; `nonce_` or `read_` and the nonce of a registration or a read; or `change#1`.
fn request_key(out: &mut Vec<u8>, key: RequestKey) {
    if key.number == RequestNumber::REGISTRATION {
        out.extend_from_slice(b"nonce_");
        bytes::hex(out, key.client.0);
    } else if key.client == ClientId::OPERATOR || key.number == RequestNumber::READ {
        bytes::display(out, &key);
    } else {
        out.extend_from_slice(b"client_");
        bytes::number(out, key.client.0);
        out.push(b'#');
        bytes::number(out, u64::from(key.number.0));
    }
}

/// Appends `client_12#3:set(A, 9)`, `register(nonce_…)` or `noop`.
pub(crate) fn write_proposal<C: Value>(out: &mut Vec<u8>, proposal: &Proposal<C>) {
    match proposal {
        Proposal::Noop => out.extend_from_slice(b"noop"),
        Proposal::Reconfigure(_) => bytes::display(out, proposal),
        Proposal::Register { nonce } => {
            out.extend_from_slice(b"register(");
            request_key(out, RequestKey::registration(*nonce));
            out.push(b')');
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
            request_key(out, key);
            out.push(b':');
            bytes::debug(out, command);
        }
    }
}
