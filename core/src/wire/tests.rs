//! Tests of the wire format: valid frames as documented in `WIRE.md`, and invalid ones.

extern crate std;

use super::{Frame, FrameError, Frames, LEN_MIN, OVERHEAD, Unencodable, VERSION, len_max};
use crate::checksum::crc32;
use crate::client::{Address, Answer, AnswerEnvelope, Question, QuestionEnvelope};
use crate::{
    Ballot, Change, ChangeError, ClientId, Config, Entries, Entry, Envelope, Epoch, MalformedPage,
    Message, MessageKind, Node, NodeId, NodeSet, NodeState, Outcome, Proposal, Proposals, Reader,
    RequestKey, RequestNumber, Sink, Slot, SnapshotId, StateMachine, Status, Writer,
};
use core::fmt::Write;
use heapless::Vec;

/// A register of 32 bits: small enough for the smallest frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Register(u32);

impl StateMachine for Register {
    type Command = u32;
    type Output = u32;
    const PAGE_BYTES: usize = 28;

    fn apply(&mut self, command: &u32) -> u32 {
        core::mem::replace(&mut self.0, *command)
    }
    fn snapshot_pages(&self) -> u32 {
        1
    }
    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put_u32(self.0);
    }
    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.0 = reader.u32().ok_or(MalformedPage)?;
        Ok(())
    }
}

type Said = Message<Register, 2>;
const MTU: usize = 127;
type Link = Frames<Register, 2, MTU>;

fn cluster() -> u32 {
    let config = Config {
        cluster: 7,
        ..Config::new(NodeId(0), 3)
    };
    Node::<Register, 16, 8, 2>::fingerprint_of(&config)
}

fn proposal(command: u32) -> Proposal<u32> {
    Proposal::Request {
        client: ClientId(5),
        number: RequestNumber(2),
        command,
    }
}

fn ballot(round: u64, leader: u16) -> Ballot {
    Ballot::new(round, NodeId(leader))
}

/// A change of the members that ends epoch 0x0102: from now on the nodes 1, 2 and 63 vote.
fn change() -> Proposal<u32> {
    let members = [1, 2, 63].map(NodeId).into_iter().collect();
    Proposal::Reconfigure(Change {
        epoch: Epoch(0x0102),
        members,
    })
}

/// The reasons for which a change of the members has no effect.
fn refusals() -> [(&'static str, ChangeError); 5] {
    [
        (
            "response, unchanged: another epoch",
            ChangeError::Epoch {
                present: Epoch(0x0103),
            },
        ),
        ("response, unchanged: no members", ChangeError::NoMembers),
        (
            "response, unchanged: a node that was removed",
            ChangeError::Removed { node: NodeId(63) },
        ),
        (
            "response, unchanged: the last epoch",
            ChangeError::LastEpoch,
        ),
        (
            "response, unchanged: a node that is behind",
            ChangeError::Behind {
                node: NodeId(63),
                by: 0x0400,
            },
        ),
    ]
}

fn entry(slot: u64) -> Entry<u32> {
    Entry {
        slot: Slot::new(slot),
        ballot: ballot(1, 2),
        proposal: proposal(0x0a0b_0c0d),
    }
}

fn promise(promised: Ballot, low_water: u64, entries: &[Entry<u32>]) -> Said {
    Message::Promise {
        ballot: ballot(3, 1),
        promised,
        from: Slot::new(9),
        low_water: Slot::new(low_water),
        last: entries.len() < 2,
        entries: Entries::<Register, 2>::from_slice(entries).unwrap(),
    }
}

fn accepted(promised: Ballot) -> Said {
    Message::Accepted {
        ballot: ballot(3, 1),
        promised,
        first: Slot::new(9),
        count: 2,
        low_water: Slot::new(8),
    }
}

fn response(outcome: Outcome<u32>) -> Said {
    let key = RequestKey {
        client: ClientId(5),
        number: RequestNumber(2),
    };
    Message::Response {
        key,
        fingerprint: 0xfeed,
        outcome,
    }
}

type Vectors = std::vec::Vec<(&'static str, Said)>;

/// The contents of a frame.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Message(Envelope<Register, 2>),
    Question(QuestionEnvelope<u32>),
    Answer(AnswerEnvelope<u32>),
}

/// Returns what a node and a client decode from a frame. Only one of them decodes a frame for a client.
fn decode(link: &mut Link, frame: &[u8]) -> Result<Held, FrameError> {
    match link.decode(frame)? {
        Frame::Message(envelope) => {
            assert_eq!(link.decode_answer(frame), Ok(None), "for a node");
            Ok(Held::Message(envelope))
        }
        Frame::Question(asked) => {
            assert_eq!(link.decode_answer(frame), Ok(None), "for a node");
            Ok(Held::Question(asked))
        }
        Frame::Answer => {
            let answered = link.decode_answer(frame)?;
            Ok(Held::Answer(answered.unwrap()))
        }
    }
}

/// Returns messages of every kind, with each of their optional parts; then questions and answers of clients.
fn vectors() -> std::vec::Vec<(&'static str, Held)> {
    let (first, slot) = (ballot(3, 1), Slot::new(9));
    let mut messages = Vectors::new();
    messages.extend(of_joining(slot));
    messages.extend(of_elections(first, slot));
    messages.extend(of_leadership(first, slot));
    messages.extend(of_requests(slot));
    messages.extend(of_changes(slot));
    messages.extend(of_reads(ballot(3, 1), slot));
    let message = |(name, message)| (name, Held::Message(envelope(message)));
    let mut all: std::vec::Vec<_> = messages.into_iter().map(message).collect();
    all.extend(of_clients(slot));
    all
}

fn key() -> RequestKey {
    RequestKey {
        client: ClientId(5),
        number: RequestNumber(2),
    }
}

fn asked(question: Question<u32>) -> Held {
    Held::Question(QuestionEnvelope {
        from: Address::new(200).unwrap(),
        to: NodeId(1),
        question,
    })
}

fn answered(answer: Answer<u32>) -> Held {
    Held::Answer(AnswerEnvelope {
        from: NodeId(1),
        to: Address::new(200).unwrap(),
        answer,
    })
}

fn outcome(outcome: Outcome<u32>, leader: Option<NodeId>) -> Held {
    let key = key();
    answered(Answer::Outcome {
        key,
        fingerprint: 0xfeed,
        outcome,
        leader,
    })
}

fn status(state: NodeState, leader: Option<NodeId>) -> Held {
    answered(Answer::Status(Status {
        state,
        leader,
        applied: Slot::new(9),
        chain: 0x0102_0304_0506_0708,
        highest: ballot(3, 2),
        epoch: Epoch(0x0102),
        members: NodeSet::first(3),
    }))
}

fn of_clients(slot: Slot) -> std::vec::Vec<(&'static str, Held)> {
    let nonce = 0x1122_3344_5566_7788;
    let (applied, leader) = (Outcome::Applied { slot, output: 77 }, Some(NodeId(2)));
    let registered = Outcome::Registered {
        client: ClientId(9),
    };
    let proposal = proposal(0x0a0b_0c0d);
    std::vec![
        (
            "a client registers",
            asked(Question::Request {
                proposal: Proposal::Register { nonce }
            })
        ),
        ("a client asks", asked(Question::Request { proposal })),
        (
            "a client withdraws",
            asked(Question::Withdraw { key: key() })
        ),
        ("a client asks for the status", asked(Question::Status)),
        ("answer, applied", outcome(applied, leader)),
        ("answer, registered", outcome(registered, None)),
        ("answer, stale", outcome(Outcome::Stale, leader)),
        ("answer, evicted", outcome(Outcome::Evicted, leader)),
        ("answer, reused", outcome(Outcome::Reused, leader)),
        ("answer, busy", outcome(Outcome::Busy, leader)),
        (
            "a client asks for a change of the members",
            asked(Question::Request { proposal: change() })
        ),
        (
            "answer, reconfigured",
            outcome(
                Outcome::Reconfigured {
                    epoch: Epoch(0x0103)
                },
                leader
            )
        ),
        (
            "answer, unchanged",
            outcome(Outcome::Unchanged(ChangeError::NoMembers), None)
        ),
        ("status, voting", status(NodeState::Voting, leader)),
        ("status, halted", status(NodeState::Halted, None)),
        ("status, retired", status(NodeState::Retired, leader)),
    ]
}

fn of_joining(slot: Slot) -> Vectors {
    let snapshot = SnapshotId {
        at: slot,
        digest: 0x0102_0304_0506_0708,
    };
    std::vec![
        (
            "join, the first page of any",
            Message::Join {
                snapshot: None,
                page: 0,
                count: 1,
            }
        ),
        (
            "join, of a node that does not vote",
            Message::Join {
                snapshot: None,
                page: 1,
                count: 1,
            }
        ),
        (
            "join, a page of one",
            Message::Join {
                snapshot: Some(snapshot),
                page: 1,
                count: 1,
            }
        ),
        (
            "join, a run of pages of one",
            Message::Join {
                snapshot: Some(snapshot),
                page: 7,
                count: 64,
            }
        ),
        (
            "welcome",
            Message::Welcome {
                snapshot,
                page: 1,
                pages: 2,
                bytes: Vec::from_slice(&[1, 2, 3]).unwrap(),
            }
        ),
    ]
}

fn of_elections(first: Ballot, slot: Slot) -> Vectors {
    std::vec![
        ("probe", Message::Probe { ballot: first }),
        (
            "probe reply",
            Message::ProbeReply {
                ballot: first,
                granted: true,
                highest: ballot(2, 2)
            }
        ),
        (
            "prepare",
            Message::Prepare {
                ballot: first,
                from: slot
            }
        ),
        (
            "promise",
            promise(ballot(3, 1), 8, &[entry(9), entry(0x108)])
        ),
        ("promise, the last page", promise(ballot(3, 1), 8, &[])),
        ("promise, a refusal", promise(ballot(4, 2), 8, &[])),
    ]
}

fn runs() -> Proposals<Register, 2> {
    Proposals::<Register, 2>::from_slice(&[proposal(0x0a0b_0c0d), Proposal::Noop]).unwrap()
}

fn of_leadership(first: Ballot, slot: Slot) -> Vectors {
    std::vec![
        (
            "accept",
            Message::Accept {
                ballot: first,
                first: slot,
                decided: Slot::new(8),
                proposals: runs()
            }
        ),
        ("accepted", accepted(ballot(3, 1))),
        ("accepted, a refusal", accepted(ballot(4, 2))),
        (
            "decision",
            Message::Decision {
                ballot: first,
                decided: slot,
            }
        ),
        (
            "heartbeat",
            Message::Heartbeat {
                ballot: first,
                decided: slot,
                chain: 0x0123_4567_89ab_cdef,
            }
        ),
        (
            "heartbeat reply",
            Message::HeartbeatReply {
                ballot: first,
                applied: slot
            }
        ),
    ]
}

fn of_requests(slot: Slot) -> Vectors {
    std::vec![
        (
            "propose, again",
            Message::Propose {
                proposal: proposal(0x0a0b_0c0d),
                retry: true
            }
        ),
        ("learn", Message::Learn { from: slot }),
        (
            "decisions",
            Message::Decisions {
                first: slot,
                applied: Slot::new(12),
                proposals: runs()
            }
        ),
        (
            "request, a registration",
            Message::Request {
                proposal: Proposal::Register {
                    nonce: 0x1122_3344_5566_7788
                }
            }
        ),
        (
            "request",
            Message::Request {
                proposal: proposal(0x0a0b_0c0d)
            }
        ),
        (
            "response, applied",
            response(Outcome::Applied { slot, output: 77 })
        ),
        (
            "response, registered",
            response(Outcome::Registered {
                client: ClientId(9)
            })
        ),
        ("response, stale", response(Outcome::Stale)),
        ("response, evicted", response(Outcome::Evicted)),
        ("response, reused", response(Outcome::Reused)),
        ("response, busy", response(Outcome::Busy)),
    ]
}

/// Messages of those who read.
fn of_reads(ballot: Ballot, slot: Slot) -> Vectors {
    let round = 0x0102_0304;
    let nonce = 0x1122_3344_5566_7788;
    std::vec![
        ("confirm", Message::Confirm { ballot, round }),
        ("confirmed", Message::Confirmed { ballot, round }),
        (
            "read index",
            Message::ReadIndex {
                nonce,
                reader: NodeId(3)
            }
        ),
        (
            "read index reply",
            Message::ReadIndexReply { nonce, index: slot }
        ),
        (
            "response, readable",
            response(Outcome::Readable { applied: slot })
        ),
        ("response, not now", response(Outcome::NotNow)),
    ]
}

/// Messages about the members: every ballot is of epoch 0x0102.
fn of_changes(slot: Slot) -> Vectors {
    let ballot = Ballot::of(Epoch(0x0102), 0x0304_0506, NodeId(63));
    let mut messages = std::vec![
        (
            "heartbeat reply, of a later epoch",
            Message::HeartbeatReply {
                ballot,
                applied: slot
            }
        ),
        (
            "superseded",
            Message::Superseded {
                ballot,
                applied: slot
            }
        ),
        (
            "propose, a change of the members",
            Message::Propose {
                proposal: change(),
                retry: false
            }
        ),
        (
            "request, a change of the members",
            Message::Request { proposal: change() }
        ),
        (
            "response, reconfigured",
            response(Outcome::Reconfigured {
                epoch: Epoch(0x0103)
            })
        ),
    ];
    let refused = |(name, error)| (name, response(Outcome::Unchanged(error)));
    messages.extend(refusals().map(refused));
    messages
}

fn envelope(message: Said) -> Envelope<Register, 2> {
    Envelope {
        cluster: cluster(),
        from: NodeId(2),
        to: NodeId(1),
        message,
    }
}

fn encoded(message: Said) -> std::vec::Vec<u8> {
    bytes_of(&Held::Message(envelope(message)))
}

fn bytes_of(held: &Held) -> std::vec::Vec<u8> {
    let (link, mut buffer) = (Link::new(cluster()), [0; MTU]);
    let len = match held {
        Held::Message(envelope) => link.encode(envelope, &mut buffer),
        Held::Question(asked) => link.encode_question(asked, &mut buffer),
        Held::Answer(answered) => link.encode_answer(answered, &mut buffer),
    };
    buffer[..len.unwrap()].to_vec()
}

/// Returns the frame with changed bytes and a valid checksum.
fn forged(
    mut frame: std::vec::Vec<u8>,
    change: impl FnOnce(&mut std::vec::Vec<u8>),
) -> std::vec::Vec<u8> {
    frame.truncate(frame.len() - 4);
    change(&mut frame);
    let checksum = crc32(&frame);
    frame.extend(checksum.to_le_bytes());
    frame
}

#[test]
fn the_encoding_matches_the_vectors_in_the_document() {
    let mut lines = std::string::String::new();
    for (name, held) in vectors() {
        write!(lines, "{name}\n   ").unwrap();
        for byte in bytes_of(&held) {
            write!(lines, " {byte:02x}").unwrap();
        }
        lines.push('\n');
    }
    let page = include_str!("../../WIRE.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let (text, _) = page.split_once("```text\n").unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/WIRE.md");
        return std::fs::write(path, std::format!("{text}```text\n{lines}```\n")).unwrap();
    }
    let block = std::format!("```text\n{lines}```\n");
    assert!(
        page.ends_with(&block),
        "core/WIRE.md should end with what UPDATE_GOLDEN=1 writes\n{block}"
    );
}

#[test]
fn every_message_survives_and_has_one_encoding() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, held) in vectors() {
        let frame = bytes_of(&held);
        seen.insert(frame[1]);
        assert_eq!(
            decode(&mut Link::new(cluster()), &frame),
            Ok(held),
            "{name}"
        );
    }
    let clients = 5;
    assert_eq!(
        seen.len(),
        MessageKind::ALL.len() + clients,
        "a kind has no vector"
    );
}

#[test]
fn a_damaged_frame_is_dropped_and_counted() {
    let mut link = Link::new(cluster());
    let mut dropped = 0;
    for (name, held) in vectors() {
        let frame = bytes_of(&held);
        for len in 0..frame.len() {
            assert_eq!(
                link.decode(&frame[..len]),
                Err(FrameError::Damaged),
                "{name}"
            );
            dropped += 1;
        }
        for bit in 0..8 * frame.len() {
            let mut garbled = frame.clone();
            garbled[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(link.decode(&garbled), Err(FrameError::Damaged), "{name}");
            dropped += 1;
        }
    }
    assert_eq!(link.dropped().damaged, dropped);
    assert_eq!(link.dropped().total(), dropped);
}

#[test]
fn a_frame_of_another_version_or_of_another_cluster_is_dropped_and_counted() {
    let mut link = Link::new(cluster());
    let frame = encoded(Message::Learn { from: Slot::FIRST });
    for version in [0, VERSION - 1, VERSION + 1, u8::MAX] {
        let other = forged(frame.clone(), |bytes| bytes[0] = version);
        assert_eq!(link.decode(&other), Err(FrameError::Version), "{version}");
    }
    let short = forged(std::vec![VERSION + 1, 0, 0, 0, 0], |_| ());
    assert_eq!(
        link.decode(&short),
        Err(FrameError::Version),
        "whatever its length"
    );
    let foreign = forged(frame.clone(), |bytes| bytes[2] ^= 1);
    assert_eq!(link.decode(&foreign), Err(FrameError::Foreign));
    let unknown = forged(foreign, |bytes| bytes[1] = 99);
    assert_eq!(
        link.decode(&unknown),
        Err(FrameError::Foreign),
        "theirs to know"
    );
    let dropped = link.dropped();
    assert_eq!((dropped.version, dropped.foreign), (5, 2));
    assert_eq!(dropped.total(), 7);
}

#[test]
fn frames_that_no_node_sends_are_dropped_and_counted() {
    let frame = |message| encoded(message);
    let of = |message, at: usize, byte| forged(frame(message), |bytes| bytes[at] = byte);
    let learn = || Message::Learn { from: Slot::FIRST };
    let body = OVERHEAD - 4;
    let held_with = |held: Held, at: usize, byte| forged(bytes_of(&held), |bytes| bytes[at] = byte);
    let two_entries = || promise(ballot(3, 1), 8, &[entry(9), entry(10)]);
    let malformed = [
        of(learn(), 1, 17),
        of(learn(), 6, 64),
        of(learn(), 7, 254),
        forged(frame(learn()), |bytes| bytes.truncate(bytes.len() - 1)),
        forged(frame(learn()), |bytes| bytes.push(0)),
        forged(frame(learn()), |bytes| bytes.truncate(5)),
        of(
            Message::Join {
                snapshot: None,
                page: 0,
                count: 1,
            },
            body,
            2,
        ),
        of(two_entries(), body, 4),
        of(accepted(ballot(3, 1)), body, 1),
        // A third entry, an entry at the low-water mark itself, and a refusal with the same ballot.
        forged(frame(two_entries()), |bytes| {
            bytes.extend_from_within(body + 24..body + 50);
        }),
        forged(frame(two_entries()), |bytes| bytes[body + 24] = 0),
        forged(frame(accepted(ballot(4, 2))), |bytes| {
            bytes.copy_within(body + 1..body + 8, body + 8);
        }),
        of(response(Outcome::Busy), body + 16, 8),
        of(
            response(Outcome::Applied {
                slot: Slot::FIRST,
                output: 7,
            }),
            body + 16,
            5,
        ),
        // Not a kind of message, nor of clients; a client that is a node, a node that is a client.
        of(learn(), 1, 127),
        of(learn(), 1, 133),
        held_with(asked(Question::Status), 6, 63),
        held_with(asked(Question::Status), 7, 64),
        held_with(status(NodeState::Voting, None), 6, 64),
        held_with(status(NodeState::Voting, None), 7, 63),
        // A client requests a no-op; an impossible status of a node; a leader that is not a node.
        forged(bytes_of(&asked(Question::Status)), |bytes| {
            bytes[1] = 128;
            bytes.push(0);
        }),
        held_with(status(NodeState::Voting, None), body, 6),
        held_with(status(NodeState::Voting, None), body + 1, 64),
        held_with(outcome(Outcome::Busy, None), body + 16, 64),
        held_with(outcome(Outcome::Busy, None), body + 17, 8),
    ];
    let malformed = malformed.into_iter().chain(malformed_changes());
    let mut link = Link::new(cluster());
    for (index, bytes) in malformed.clone().enumerate() {
        let decoded = decode(&mut link, &bytes);
        assert_eq!(decoded, Err(FrameError::Malformed), "frame {index}");
    }
    assert_eq!(
        usize::try_from(link.dropped().malformed),
        Ok(malformed.count())
    );
}

/// Returns frames about changes of the members that no node sends.
fn malformed_changes() -> std::vec::Vec<std::vec::Vec<u8>> {
    let body = OVERHEAD - 4;
    // The kind of the reason comes after the key, the fingerprint and the kind of the outcome.
    let reason = body + 17;
    let with = |message, at: usize, byte| forged(encoded(message), |bytes| bytes[at] = byte);
    let mut malformed = std::vec![
        // A proposal of no kind, and one that is too short.
        with(Message::Request { proposal: change() }, body, 4),
        forged(encoded(Message::Request { proposal: change() }), |bytes| {
            bytes.truncate(bytes.len() - 1);
        }),
        // A reason of no kind.
        with(
            response(Outcome::Unchanged(ChangeError::NoMembers)),
            reason,
            5
        ),
    ];
    // A number that a reason of this kind does not have.
    for (_, error) in refusals() {
        let unused = match error {
            ChangeError::Behind { .. } => continue,
            ChangeError::NoMembers | ChangeError::LastEpoch => 1,
            _ => 3,
        };
        let refused = response(Outcome::Unchanged(error));
        malformed.push(with(refused, reason + unused, 1));
    }
    malformed
}

#[test]
fn a_page_is_no_longer_than_the_machine_makes_them() {
    let welcome = |len| Message::Welcome {
        snapshot: SnapshotId {
            at: Slot::FIRST,
            digest: 1,
        },
        page: 0,
        pages: 1,
        bytes: Vec::from_slice(&[7; 29][..len]).unwrap(),
    };
    let mut link = Link::new(cluster());
    assert!(link.decode(&encoded(welcome(28))).is_ok());
    assert_eq!(
        link.decode(&encoded(welcome(29))),
        Err(FrameError::Malformed)
    );
}

#[test]
fn messages_that_no_node_sends_have_no_encoding() {
    let mut buffer = [0; MTU];
    let link = Link::new(cluster());
    let mut encode = |message| link.encode(&envelope(message), &mut buffer);
    let far = u64::from(u16::MAX);
    let (ok, bad) = (ballot(3, 1), Err(Unencodable));
    assert!(encode(promise(ok, 8, &[entry(8 + far)])).is_ok());
    assert_eq!(encode(promise(ok, 8, &[entry(9 + far)])), bad);
    assert_eq!(encode(promise(ok, 8, &[entry(8)])), bad);
    assert_eq!(
        encode(Message::Probe {
            ballot: ballot(1, 256)
        }),
        bad
    );
    let nowhere = Envelope {
        to: NodeId(256),
        ..envelope(Message::Learn { from: Slot::FIRST })
    };
    assert_eq!(link.encode(&nowhere, &mut buffer), bad);
    // A client's address on the wire is not a node.
    let Held::Question(asked) = asked(Question::Status) else {
        unreachable!();
    };
    let to = NodeId(64);
    assert_eq!(
        link.encode_question(&QuestionEnvelope { to, ..asked }, &mut buffer),
        bad
    );
    let told = |leader, from| {
        let answer = Answer::Outcome {
            key: key(),
            fingerprint: 0,
            outcome: Outcome::Busy,
            leader,
        };
        let to = Address::LAST;
        AnswerEnvelope { from, to, answer }
    };
    assert!(
        link.encode_answer(&told(None, NodeId(63)), &mut buffer)
            .is_ok()
    );
    let nobody = Some(NodeId(255));
    assert_eq!(
        link.encode_answer(&told(nobody, NodeId(1)), &mut buffer),
        bad
    );
    assert_eq!(
        link.encode_answer(&told(None, NodeId(64)), &mut buffer),
        bad
    );
}

#[test]
fn the_longest_messages_are_as_long_as_was_said() {
    let two = promise(ballot(3, 1), 8, &[entry(9), entry(10)]);
    assert_eq!(encoded(two).len(), 36 + 2 * (22 + 4));
    assert_eq!(len_max::<Register, 2>(), 36 + 2 * (22 + 4));
    let refusal = promise(ballot(4, 2), 8, &[]);
    assert_eq!(encoded(refusal).len(), 12 + 1 + 7 + 7 + 8 + 8);
    assert_eq!(
        encoded(accepted(ballot(4, 2))).len(),
        12 + 1 + 7 + 7 + 8 + 8 + 4
    );
    assert_eq!(LEN_MIN, 64, "CAN FD");
    assert_eq!(len_max::<Register, 1>(), 36 + 28, "a page of a snapshot");
    assert_eq!(len_max::<crate::machines::Opaque, 2>(), 126);
    assert_eq!(len_max::<crate::machines::Kv<16>, 5>(), 36 + 5 * (22 + 16));
    let answer = response(Outcome::Applied {
        slot: Slot::FIRST,
        output: 7,
    });
    assert_eq!(encoded(answer).len(), 37 + 4);
    let applied = Outcome::Applied {
        slot: Slot::FIRST,
        output: 7,
    };
    assert_eq!(bytes_of(&outcome(applied, None)).len(), 38 + 4);
    for (name, held) in vectors() {
        assert!(bytes_of(&held).len() <= len_max::<Register, 2>(), "{name}");
    }
    let status = status(NodeState::Leading, None);
    assert_eq!(bytes_of(&status).len(), 47, "of every link");
}

/// The compiler's error for frames that are too short, for commands, outputs and pages of these lengths.
#[test]
fn a_length_that_does_not_fit_is_named_with_the_number_to_change() {
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    struct Made<const COMMAND: usize, const OUTPUT: usize, const BYTES: usize>;

    impl<const COMMAND: usize, const OUTPUT: usize, const BYTES: usize> StateMachine
        for Made<COMMAND, OUTPUT, BYTES>
    {
        type Command = [u8; COMMAND];
        type Output = [u8; OUTPUT];
        const PAGE_BYTES: usize = BYTES;

        fn apply(&mut self, _command: &[u8; COMMAND]) -> [u8; OUTPUT] {
            [0; OUTPUT]
        }
        fn snapshot_pages(&self) -> u32 {
            0
        }
        fn write_page(&self, _page: u32, _writer: &mut Writer<'_>) {}
        fn read_page(&mut self, _page: u32, _reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
            Err(MalformedPage)
        }
    }

    use super::len::misfit;
    let named = |misfit: Option<&'static str>, number: &str| {
        let text = misfit.unwrap();
        assert!(text.contains(number), "{text} should name {number}");
    };
    assert_eq!(misfit::<Made<6, 26, 28>, 1>(64), None);
    named(misfit::<Made<6, 4, 28>, 1>(63), "raise MTU");
    named(
        misfit::<Made<7, 4, 28>, 1>(64),
        "lower ENCODED_MAX of the command",
    );
    named(
        misfit::<Made<6, 4, 28>, 2>(64),
        "lower PAGE or ENCODED_MAX of the command",
    );
    named(misfit::<Made<6, 4, 29>, 1>(64), "lower PAGE_BYTES");
    named(
        misfit::<Made<6, 27, 28>, 1>(64),
        "lower ENCODED_MAX of the output",
    );
    assert_eq!(misfit::<Made<6, 4, 90>, 1>(126), None);
    named(misfit::<Made<6, 4, 90>, 1>(125), "lower PAGE_BYTES");
    named(
        misfit::<Made<6, 4, 91>, 1>(250),
        "PAGE_BYTES of the state machine must be at most",
    );
}
