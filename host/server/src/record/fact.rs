//! The facts of a record, and their text.

use synod::simulation::NodeProgress;
use synod::{
    Ballot, ClientId, Digest, Entry, MalformedPage, Message, NodeId, NodeSet, Proposal, Reader,
    RequestNumber, Slot, StateMachine, Value, Writer,
};

/// The most values in one line.
pub const PAGE_MAX: usize = 16;
/// The version of the format.
pub(super) const VERSION: u64 = 1;

/// The state machine of a record: its commands are fingerprints, and nothing is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Recorded;

impl StateMachine for Recorded {
    type Command = u64;
    type Output = ();

    fn apply(&mut self, _command: &u64) {}

    fn snapshot_pages(&self) -> u32 {
        0
    }

    fn write_page(&self, _page: u32, _writer: &mut Writer<'_>) {}

    fn read_page(&mut self, _page: u32, _reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        Err(MalformedPage)
    }
}

/// The start of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The fingerprint of its cluster.
    pub cluster: u32,
    /// The node.
    pub node: NodeId,
    /// The nonce of its process.
    pub process: u64,
    /// The founding members.
    pub founders: NodeSet,
    /// Whether it may vote.
    pub votes: bool,
}

/// One line of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The node starts.
    Start(Started),
    /// A vote that it has found in its storage.
    Held(Entry<u64>),
    /// A durable promise.
    Promised(Ballot),
    /// A durable vote.
    Voted(Entry<u64>),
    /// A message has left.
    Said(Box<Message<Recorded, PAGE_MAX>>),
    /// A slot was applied.
    Applied {
        /// The slot.
        slot: Slot,
        /// What is decided for it.
        proposal: Proposal<u64>,
        /// The digest of everything up to it.
        chain: u64,
        /// Whether the command had taken effect before, or has none.
        again: bool,
    },
    /// The storage has failed.
    Fenced,
    /// The node has halted.
    Halted(String),
    /// The end of a turn or of a start. The members are empty for a node that has not joined.
    At(NodeProgress),
    /// The node has stopped in good order.
    Stop,
    /// The record misses facts from here on, until the node starts again.
    Incomplete(u64),
}

/// Returns a proposal with fingerprints in the place of what it contains.
pub(super) fn recorded<C: Value>(proposal: &Proposal<C>) -> Proposal<u64> {
    let fingerprint = || {
        let mut digest = Digest::new();
        proposal.encode(&mut digest);
        digest.value()
    };
    match proposal {
        Proposal::Noop => Proposal::Noop,
        Proposal::Reconfigure(change) => Proposal::Reconfigure(*change),
        Proposal::Register { .. } => Proposal::Register {
            nonce: fingerprint(),
        },
        Proposal::Request { .. } => command(fingerprint()),
    }
}

/// Returns the request with a fingerprint.
pub(super) fn command(fingerprint: u64) -> Proposal<u64> {
    Proposal::Request {
        client: ClientId(0),
        number: RequestNumber(0),
        command: fingerprint,
    }
}

/// The words of a line, each after a space.
pub(super) struct Words<'a>(pub(super) &'a mut Vec<u8>);

impl Words<'_> {
    /// Begins a line.
    pub(super) fn new<'a>(out: &'a mut Vec<u8>, word: &str) -> Words<'a> {
        out.extend_from_slice(word.as_bytes());
        Words(out)
    }

    pub(super) fn end(self) {
        self.0.push(b'\n');
    }

    pub(super) fn word(&mut self, word: &str) -> &mut Self {
        self.0.push(b' ');
        self.0.extend_from_slice(word.as_bytes());
        self
    }

    fn digits(&mut self, number: impl itoa::Integer) {
        let mut buffer = itoa::Buffer::new();
        self.0.extend_from_slice(buffer.format(number).as_bytes());
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) -> &mut Self {
        self.0.push(b' ');
        self.digits(number);
        self
    }

    pub(super) fn slot(&mut self, slot: Slot) -> &mut Self {
        self.number(slot.number())
    }

    fn hex_digits(&mut self, number: u64) {
        let first = (number.leading_zeros() / 4).min(15);
        for place in (0..16 - first).rev() {
            let digit = u8::try_from(number >> (4 * place) & 0xf).unwrap_or(0);
            let base = if digit < 10 { b'0' } else { b'a' - 10 };
            self.0.push(base + digit);
        }
    }

    pub(super) fn hex(&mut self, number: u64) -> &mut Self {
        self.0.push(b' ');
        self.hex_digits(number);
        self
    }

    fn ballot_text(&mut self, ballot: Ballot) {
        self.digits(ballot.epoch().0);
        self.0.push(b'.');
        self.digits(ballot.round());
        self.0.push(b'.');
        self.digits(ballot.leader().0);
    }

    pub(super) fn ballot(&mut self, ballot: Ballot) -> &mut Self {
        self.0.push(b' ');
        self.ballot_text(ballot);
        self
    }

    fn proposal_text(&mut self, proposal: &Proposal<u64>) {
        match proposal {
            Proposal::Noop => self.0.push(b'-'),
            Proposal::Register { nonce } => {
                self.0.push(b'r');
                self.hex_digits(*nonce);
            }
            Proposal::Request { command, .. } => {
                self.0.push(b'c');
                self.hex_digits(*command);
            }
            Proposal::Reconfigure(change) => {
                self.0.push(b'm');
                self.digits(change.epoch.0);
                self.0.push(b':');
                self.hex_digits(change.members.bits());
            }
        }
    }

    pub(super) fn proposal(&mut self, proposal: &Proposal<u64>) -> &mut Self {
        self.0.push(b' ');
        self.proposal_text(proposal);
        self
    }

    pub(super) fn entry<C: Value>(&mut self, entry: &Entry<C>) -> &mut Self {
        self.slot(entry.slot)
            .ballot(entry.ballot)
            .proposal(&recorded(&entry.proposal))
    }

    fn proposals<C: Value>(&mut self, proposals: &[Proposal<C>]) {
        for proposal in proposals {
            self.proposal(&recorded(proposal));
        }
    }
}

/// Appends what a message says; nothing, if that is not judged.
pub(super) fn put_message<M: StateMachine, const PAGE: usize>(
    out: &mut Vec<u8>,
    message: &Message<M, PAGE>,
) {
    const {
        assert!(
            PAGE <= PAGE_MAX,
            "a line has room for the values of a message"
        );
    }
    let before = out.len();
    let mut words = Words::new(out, "said");
    words.word(message.kind().name());
    if put_values(&mut words, message) || put_marks(&mut words, message) {
        words.end();
    } else {
        out.truncate(before);
    }
}

/// Appends what a message says that is about values. Returns false for all others.
fn put_values<M: StateMachine, const PAGE: usize>(
    words: &mut Words<'_>,
    message: &Message<M, PAGE>,
) -> bool {
    match message {
        Message::Promise {
            ballot,
            promised,
            from,
            low_water,
            last,
            entries,
        } => {
            words.ballot(*ballot).ballot(*promised).slot(*from);
            words.slot(*low_water).number(u8::from(*last));
            for entry in entries {
                words.entry(entry);
            }
        }
        Message::Accept {
            ballot,
            first,
            decided,
            proposals,
        } => {
            words.ballot(*ballot).slot(*first).slot(*decided);
            words.proposals(proposals);
        }
        Message::Decisions {
            first,
            applied,
            proposals,
        } => {
            words.slot(*first).slot(*applied);
            words.proposals(proposals);
        }
        _ => return false,
    }
    true
}

/// Appends what a message says of ballots and slots alone. Returns false if that is not judged.
fn put_marks<M: StateMachine, const PAGE: usize>(
    words: &mut Words<'_>,
    message: &Message<M, PAGE>,
) -> bool {
    match message {
        Message::Probe { ballot }
        | Message::Confirm { ballot, .. }
        | Message::Confirmed { ballot, .. } => words.ballot(*ballot),
        Message::ProbeReply {
            ballot, highest, ..
        } => words.ballot(*ballot).ballot(*highest),
        Message::Prepare { ballot, from: slot }
        | Message::Decision {
            ballot,
            decided: slot,
        }
        | Message::HeartbeatReply {
            ballot,
            applied: slot,
        } => words.ballot(*ballot).slot(*slot),
        Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        } => {
            words.ballot(*ballot).ballot(*promised).slot(*first);
            words.number(*count).slot(*low_water)
        }
        Message::Heartbeat {
            ballot,
            decided,
            chain,
        } => words.ballot(*ballot).slot(*decided).hex(*chain),
        _ => return false,
    };
    true
}
