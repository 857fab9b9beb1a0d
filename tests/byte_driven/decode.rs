//! All decoders on arbitrary bytes: codecs, the snapshot pages of state machines, and whole snapshots.

use super::choices::Choices;
use synod::machines::{Bank, BankCommand, BankReply, Key, Kv, KvCommand, KvReply, Opaque};
use synod::{
    ClientId, Config, Digest, Envelope, Instant, Message, Node, NodeId, Outbox, Proposal, Reader,
    RequestNumber, SNAPSHOT_PAGE, Sink, Slot, SnapshotId, StateMachine, Value, Writer,
};

/// More than the length of any encoding here, in bytes.
const BUFFER: usize = 64;
/// The greatest number of snapshot pages made from one input.
const PAGES_MAX: u32 = 64;

/// Decodes the input with the decoder that the first byte chooses.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    match choices.below(20) {
        0 => value::<()>(choices.rest()),
        1 => value::<u32>(choices.rest()),
        2 => value::<u64>(choices.rest()),
        3 => value::<[u8; 16]>(choices.rest()),
        4 => value::<Key>(choices.rest()),
        5 => value::<KvCommand>(choices.rest()),
        6 => value::<KvReply>(choices.rest()),
        7 => value::<BankCommand>(choices.rest()),
        8 => value::<BankReply>(choices.rest()),
        9 => value::<Proposal<KvCommand>>(choices.rest()),
        10 => value::<Proposal<BankCommand>>(choices.rest()),
        11 => value::<Proposal<[u8; 16]>>(choices.rest()),
        12 => key(&mut choices),
        13 => machine::<Kv<4>>(&mut choices),
        14 => machine::<Kv<40>>(&mut choices),
        15 => machine::<Bank<4>>(&mut choices),
        16 => machine::<Opaque>(&mut choices),
        17 => snapshot::<Kv<4>>(&mut choices),
        18 => snapshot::<Bank<40>>(&mut choices),
        _ => snapshot::<Opaque>(&mut choices),
    }
}

/// Encodes a value into a buffer of exactly the promised maximum length.
fn encode<V: Value>(value: &V, buffer: &mut [u8; BUFFER]) -> usize {
    let mut writer = Writer::new(&mut buffer[..V::ENCODED_MAX]);
    value.encode(&mut writer);
    assert!(!writer.overflowed(), "{value:?} is longer than it may be");
    writer.len()
}

/// Checks that a decoded value encodes to the bytes that it came from, and that no shorter input decodes to it.
fn value<V: Value>(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let Some(value) = V::decode(&mut reader) else {
        return;
    };
    let mut buffer = [0; BUFFER];
    let len = encode(&value, &mut buffer);
    assert_eq!(
        bytes.get(..len),
        Some(&buffer[..len]),
        "{value:?} has two encodings"
    );
    assert_eq!(
        reader.is_empty(),
        bytes.len() == len,
        "{value:?} took other bytes than its own"
    );
    let mut exact = Reader::new(&buffer[..len]);
    assert_eq!(V::decode(&mut exact), Some(value));
    assert!(exact.is_empty());
    if let Some(short) = len.checked_sub(1) {
        assert_eq!(V::decode(&mut Reader::new(&buffer[..short])), None);
    }
}

/// Checks that a key has the name that it was given, and that invalid names are refused.
fn key(choices: &mut Choices<'_>) {
    let Ok(name) = core::str::from_utf8(choices.rest()) else {
        return;
    };
    let fits = (1..=Key::LEN_MAX).contains(&name.len());
    let valid = fits && name.bytes().all(|byte| byte.is_ascii_graphic());
    let key = Key::new(name);
    assert_eq!(key.is_some(), valid, "{name:?}");
    if let Some(key) = key {
        assert_eq!(key.as_str(), name);
        let mut buffer = [0; BUFFER];
        let len = encode(&key, &mut buffer);
        assert_eq!(Key::decode(&mut Reader::new(&buffer[..len])), Some(key));
    }
}

/// Takes the next page of an input; a byte holds its length.
fn page<'a>(choices: &mut Choices<'a>) -> &'a [u8] {
    let len = usize::from(choices.byte()) % (SNAPSHOT_PAGE + 1);
    choices.take(len)
}

/// Returns a page of a state machine, which must fit into its bound.
fn written<M: StateMachine>(machine: &M, page: u32) -> Vec<u8> {
    let mut buffer = [0; SNAPSHOT_PAGE];
    let mut writer = Writer::new(&mut buffer);
    machine.write_page(page, &mut writer);
    assert!(!writer.overflowed(), "{machine:?}: page {page}");
    let len = writer.len();
    buffer[..len].to_vec()
}

/// Checks that a state read from pages can be used like any other, and that its own pages restore it.
fn machine<M: StateMachine>(choices: &mut Choices<'_>) {
    let mut machine = M::default();
    let mut number = 0;
    let commands = usize::from(choices.byte() % 8);
    let mut asked = Vec::new();
    for _ in 0..commands {
        let bytes = choices.take(M::Command::ENCODED_MAX);
        asked.extend(M::Command::decode(&mut Reader::new(bytes)));
    }
    while !choices.is_empty() && number < PAGES_MAX {
        let mut reader = Reader::new(page(choices));
        if machine.read_page(number, &mut reader).is_err() {
            return;
        }
        number += 1;
    }
    for command in &asked {
        let output = machine.apply(command);
        let mut buffer = [0; BUFFER];
        let len = encode(&output, &mut buffer);
        let again = M::Output::decode(&mut Reader::new(&buffer[..len]));
        assert_eq!(again, Some(output));
    }
    let mut copy = M::default();
    for number in 0..machine.snapshot_pages() {
        let bytes = written(&machine, number);
        let mut reader = Reader::new(&bytes);
        assert_eq!(copy.read_page(number, &mut reader), Ok(()));
        assert!(reader.is_empty(), "page {number} is longer than it is");
    }
    assert_eq!(copy, machine, "its pages make another state");
}

type Member<M> = Node<M, 4, 4, 2>;

/// A node that joins a cluster of three, and accepts a snapshot from node 0.
struct Joiner<M: StateMachine> {
    node: Member<M>,
    now: Instant,
}

impl<M: StateMachine> Joiner<M> {
    fn new(number: u16) -> Self {
        let config = Config::new(NodeId(number), 3);
        let node = Member::join(config, 1, Instant::ZERO).unwrap();
        let mut joiner = Self {
            node,
            now: Instant::ZERO,
        };
        joiner.wake();
        joiner
    }

    fn wake(&mut self) {
        let mut outbox = Outbox::<M, 2, { 2 * Member::<Opaque>::OUTBOX_MIN }>::new();
        self.now = self.node.next_deadline().unwrap_or(self.now);
        self.node.handle_timeout(self.now, &mut outbox, &mut ());
    }

    /// Delivers a message, performs the output, and returns the messages.
    fn tell(&mut self, from: u16, message: Message<M, 2>) -> Vec<Message<M, 2>> {
        let mut outbox = Outbox::<M, 2, { 2 * Member::<Opaque>::OUTBOX_MIN }>::new();
        let letter = Envelope {
            cluster: self.node.fingerprint(),
            from: NodeId(from),
            to: self.node.id(),
            message,
        };
        self.node
            .handle_message(self.now, &letter, &mut outbox, &mut ());
        outbox
            .messages
            .iter()
            .map(|outgoing| outgoing.message.clone())
            .collect()
    }
}

/// Installs a snapshot of arbitrary pages under their own digest, and checks that the node hands it on unchanged.
fn snapshot<M: StateMachine>(choices: &mut Choices<'_>) {
    let honest = choices.byte() > 0;
    let request = choices.word();
    let command = choices.take(M::Command::ENCODED_MAX);
    let mut pages: Vec<Vec<u8>> = Vec::new();
    while !choices.is_empty() && pages.len() < 16 {
        pages.push(page(choices).to_vec());
    }
    let mut digest = Digest::new();
    for page in &pages {
        digest.put(page);
    }
    let applied = pages.first().and_then(|page| Reader::new(page).u64());
    let id = SnapshotId {
        at: Slot::new(applied.unwrap_or(0)),
        digest: digest.value() ^ u64::from(!honest),
    };
    let mut first = Joiner::<M>::new(1);
    for (number, bytes) in (0..).zip(&pages) {
        first.tell(
            0,
            Message::Welcome {
                snapshot: id,
                page: number,
                pages: u32::try_from(pages.len()).unwrap(),
                bytes: bytes.iter().copied().collect(),
            },
        );
    }
    if !first.node.is_active() {
        return;
    }
    assert!(
        honest,
        "a digest that is not that of the pages is no matter"
    );
    assert_eq!(first.node.applied(), id.at);
    hand_on(&mut first);
    // The node must be able to apply the next decision.
    let mut outbox = Outbox::<M, 2, { 2 * Member::<Opaque>::OUTBOX_MIN }>::new();
    let number = RequestNumber(u32::try_from(request & 0xff).unwrap());
    if let Some(command) = M::Command::decode(&mut Reader::new(command)) {
        let _ = first.node.request(
            first.now,
            ClientId(request >> 8),
            number,
            command,
            &mut outbox,
            &mut (),
        );
    }
    first.wake();
    let durable = first.node.durable().unwrap();
    let config = first.node.config().clone();
    let again = Member::recover(config, durable.clone(), 1, 1, first.now).unwrap();
    assert_eq!(again.durable(), Some(durable));
}

/// Checks that a second node, which fetches its snapshot from the first, reaches the same state.
fn hand_on<M: StateMachine>(first: &mut Joiner<M>) {
    let mut second = Joiner::<M>::new(2);
    let mut ask = Message::Join {
        snapshot: None,
        page: 0,
        count: 1,
    };
    for _ in 0..PAGES_MAX {
        let said = first.tell(2, ask);
        let answers: Vec<_> = said
            .into_iter()
            .filter(|message| matches!(message, Message::Welcome { .. }))
            .flat_map(|welcome| second.tell(1, welcome))
            .collect();
        let Some(next) = answers
            .into_iter()
            .find(|message| matches!(message, Message::Join { .. }))
        else {
            break;
        };
        ask = next;
    }
    assert!(second.node.is_active(), "it cannot be handed on");
    assert_eq!(second.node.durable(), first.node.durable());
}
