//! Lines of every fact and every message in both formats, which must stay as they are.

use super::*;
use heapless::Vec as Page;
use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::{
    Ballot, ClientId, Conflict, Divergence, Duration, Entry, Epoch, Event, Halt, Instant, Message,
    MessageKind, NodeId, NodeSet, Outcome, Proposal, Queue, Reason, RequestKey, RequestNumber,
    Role, Slot, SnapshotId,
};

type Machine = Kv<4>;
type Said = Message<Machine, 2>;
type Fact<'a> = Event<'a, Machine, 2>;

const OLD: Ballot = Ballot::new(1, NodeId(0));
const NEW: Ballot = Ballot::new(2, NodeId(3));
const SNAPSHOT: SnapshotId = SnapshotId {
    at: Slot::new(40),
    digest: 0xd1,
};

fn set() -> Proposal<KvCommand> {
    Proposal::Request {
        client: ClientId(12),
        number: RequestNumber(3),
        command: KvCommand::Set(Key::numbered(0), 9),
    }
}

const fn register() -> Proposal<KvCommand> {
    Proposal::Register { nonce: 0xcafe }
}

fn page<T: Clone>(items: &[T]) -> Page<T, 2, u8> {
    Page::from_slice(items).unwrap()
}

fn record(event: Fact<'_>) -> Record<'_, Machine, 2> {
    Record {
        at: Instant::from_micros(1_051_899),
        node: NodeId(3),
        role: Role::Scout,
        event,
    }
}

fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    let text = String::from_utf8(out).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

/// Returns the text line of an event, after a comparison with the display format of the core.
fn text_of(event: Fact<'_>) -> String {
    let text = line(|out| Text::plain().line(out, &record(event), &Annotations::default()));
    assert!(text.starts_with(&record(event).to_string()), "{text}");
    text
}

fn json_of(event: Fact<'_>) -> String {
    line(|out| Json.line(out, &record(event), &Annotations::default()))
}

/// Returns every kind of message with its text and the JSON of its fields.
fn messages() -> Vec<(Said, &'static str, &'static str)> {
    let mut all = joining();
    all.extend(elections());
    all.extend(replication());
    all.extend(catching_up());
    all.extend(reads());
    all.extend(requests());
    all
}

fn joining() -> Vec<(Said, &'static str, &'static str)> {
    vec![
        (
            Message::Join {
                snapshot: None,
                page: 0,
                count: 1,
            },
            "join(snapshot=any, page=0)",
            r#"{"snapshot":null,"page":0}"#,
        ),
        (
            Message::Join {
                snapshot: Some(SNAPSHOT),
                page: 1,
                count: 8,
            },
            "join(snapshot=(at=40, digest=00000000000000d1), page=1, count=8)",
            r#"{"snapshot":{"at":40,"digest":"00000000000000d1"},"page":1,"count":8}"#,
        ),
        (
            Message::Welcome {
                snapshot: SNAPSHOT,
                page: 1,
                pages: 2,
                bytes: Page::from_slice(&[0x01, 0xab]).unwrap(),
            },
            "welcome(snapshot=(at=40, digest=00000000000000d1), page=1, pages=2, bytes=2)",
            r#"{"snapshot":{"at":40,"digest":"00000000000000d1"},"page":1,"pages":2,"bytes":"01ab"}"#,
        ),
    ]
}

fn elections() -> Vec<(Said, &'static str, &'static str)> {
    let entry = Entry {
        slot: Slot::new(4),
        ballot: OLD,
        proposal: set(),
    };
    vec![
        (
            Message::Probe { ballot: NEW },
            "probe(ballot=(2, NODE_3))",
            r#"{"ballot":{"round":2,"leader":3}}"#,
        ),
        (
            Message::ProbeReply {
                ballot: NEW,
                granted: true,
                highest: OLD,
            },
            "probe_reply(ballot=(2, NODE_3), granted, highest=(1, NODE_0))",
            r#"{"ballot":{"round":2,"leader":3},"granted":true,"highest":{"round":1,"leader":0}}"#,
        ),
        (
            Message::Prepare {
                ballot: NEW,
                from: Slot::FIRST,
            },
            "prepare(ballot=(2, NODE_3), from=1)",
            r#"{"ballot":{"round":2,"leader":3},"from":1}"#,
        ),
        (
            Message::Promise {
                ballot: NEW,
                promised: NEW,
                from: Slot::new(4),
                low_water: Slot::new(3),
                last: true,
                entries: page(&[entry]),
            },
            "promise(ballot=(2, NODE_3), from=4, low_water=3, last, \
             entries=[(slot=4, ballot=(1, NODE_0), proposal=client_12#3:set(A, 9))])",
            concat!(
                r#"{"ballot":{"round":2,"leader":3},"promised":{"round":2,"leader":3},"from":4,"low_water":3,"#,
                r#""last":true,"entries":[{"slot":4,"ballot":{"round":1,"leader":0},"#,
                r#""proposal":{"kind":"request","client":12,"number":3,"command":"set(A, 9)"}}]}"#
            ),
        ),
        (
            Message::Promise {
                ballot: OLD,
                promised: NEW,
                from: Slot::new(4),
                low_water: Slot::ZERO,
                last: false,
                entries: page(&[]),
            },
            "promise(ballot=(1, NODE_0), promised=(2, NODE_3), from=4, low_water=0, entries=[])",
            concat!(
                r#"{"ballot":{"round":1,"leader":0},"promised":{"round":2,"leader":3},"from":4,"low_water":0,"#,
                r#""last":false,"entries":[]}"#
            ),
        ),
    ]
}

/// Messages of those who read.
fn reads() -> Vec<(Said, &'static str, &'static str)> {
    vec![
        (
            Message::Confirm {
                ballot: NEW,
                round: 7,
            },
            "confirm(ballot=(2, NODE_3), round=7)",
            r#"{"ballot":{"round":2,"leader":3},"round":7}"#,
        ),
        (
            Message::Confirmed {
                ballot: NEW,
                round: 7,
            },
            "confirmed(ballot=(2, NODE_3), round=7)",
            r#"{"ballot":{"round":2,"leader":3},"round":7}"#,
        ),
        (
            Message::ReadIndex {
                nonce: 0xbeef,
                reader: NodeId(2),
            },
            "read_index(nonce=000000000000beef, reader=NODE_2)",
            r#"{"nonce":"000000000000beef","reader":2}"#,
        ),
        (
            Message::ReadIndexReply {
                nonce: 0xbeef,
                index: Slot::new(5),
            },
            "read_index_reply(nonce=000000000000beef, index=5)",
            r#"{"nonce":"000000000000beef","index":5}"#,
        ),
    ]
}

fn replication() -> Vec<(Said, &'static str, &'static str)> {
    vec![
        (
            Message::Accept {
                ballot: NEW,
                first: Slot::new(4),
                decided: Slot::new(3),
                proposals: page(&[set(), Proposal::Noop]),
            },
            "accept(ballot=(2, NODE_3), first=4, decided=3, proposals=[client_12#3:set(A, 9), noop])",
            concat!(
                r#"{"ballot":{"round":2,"leader":3},"first":4,"decided":3,"proposals":["#,
                r#"{"kind":"request","client":12,"number":3,"command":"set(A, 9)"},{"kind":"noop"}]}"#
            ),
        ),
        (
            Message::Accepted {
                ballot: OLD,
                promised: NEW,
                first: Slot::new(4),
                count: 2,
                low_water: Slot::new(3),
            },
            "accepted(ballot=(1, NODE_0), promised=(2, NODE_3), first=4, count=2, low_water=3)",
            concat!(
                r#"{"ballot":{"round":1,"leader":0},"promised":{"round":2,"leader":3},"first":4,"count":2,"#,
                r#""low_water":3}"#
            ),
        ),
        (
            Message::Decision {
                ballot: NEW,
                decided: Slot::new(5),
            },
            "decision(ballot=(2, NODE_3), decided=5)",
            r#"{"ballot":{"round":2,"leader":3},"decided":5}"#,
        ),
        (
            Message::Heartbeat {
                ballot: NEW,
                decided: Slot::new(5),
                chain: 0xbeef,
            },
            "heartbeat(ballot=(2, NODE_3), decided=5, chain=000000000000beef)",
            r#"{"ballot":{"round":2,"leader":3},"decided":5,"chain":"000000000000beef"}"#,
        ),
        (
            Message::HeartbeatReply {
                ballot: NEW,
                applied: Slot::new(5),
            },
            "heartbeat_reply(ballot=(2, NODE_3), applied=5)",
            r#"{"ballot":{"round":2,"leader":3},"applied":5}"#,
        ),
    ]
}

fn catching_up() -> Vec<(Said, &'static str, &'static str)> {
    vec![
        (
            Message::Superseded {
                ballot: Ballot::of(Epoch(1), 2, NodeId(3)),
                applied: Slot::new(5),
            },
            "superseded(ballot=(1:2, NODE_3), applied=5)",
            r#"{"ballot":{"epoch":1,"round":2,"leader":3},"applied":5}"#,
        ),
        (
            Message::Learn { from: Slot::new(4) },
            "learn(from=4)",
            r#"{"from":4}"#,
        ),
        (
            Message::Decisions {
                first: Slot::new(4),
                applied: Slot::new(9),
                proposals: page(&[Proposal::Noop]),
            },
            "decisions(first=4, applied=9, proposals=[noop])",
            r#"{"first":4,"applied":9,"proposals":[{"kind":"noop"}]}"#,
        ),
    ]
}

fn requests() -> Vec<(Said, &'static str, &'static str)> {
    vec![
        (
            Message::Propose {
                proposal: register(),
                retry: true,
            },
            "propose(proposal=register(nonce_000000000000cafe), retry)",
            r#"{"proposal":{"kind":"register","nonce":"000000000000cafe"},"retry":true}"#,
        ),
        (
            Message::Request { proposal: set() },
            "request(proposal=client_12#3:set(A, 9))",
            r#"{"proposal":{"kind":"request","client":12,"number":3,"command":"set(A, 9)"}}"#,
        ),
        (
            Message::Response {
                key: RequestKey {
                    client: ClientId(12),
                    number: RequestNumber(3),
                },
                fingerprint: 0,
                outcome: Outcome::Applied {
                    slot: Slot::new(4),
                    output: KvReply::Value(9),
                },
            },
            "response(key=client_12#3, outcome=applied(slot=4, output=9))",
            r#"{"key":{"client":12,"number":3},"outcome":{"kind":"applied","slot":4,"output":"9"}}"#,
        ),
        (
            Message::Response {
                key: RequestKey::registration(0xcafe),
                fingerprint: 0,
                outcome: Outcome::Registered {
                    client: ClientId(12),
                },
            },
            "response(key=nonce_000000000000cafe, outcome=registered(client_12))",
            r#"{"key":{"nonce":"000000000000cafe"},"outcome":{"kind":"registered","client":12}}"#,
        ),
        (
            Message::Response {
                key: RequestKey::registration(0xcafe),
                fingerprint: 0,
                outcome: Outcome::Busy,
            },
            "response(key=nonce_000000000000cafe, outcome=busy)",
            r#"{"key":{"nonce":"000000000000cafe"},"outcome":{"kind":"busy"}}"#,
        ),
    ]
}

#[test]
fn every_kind_of_message_has_its_line() {
    for kind in MessageKind::ALL {
        assert!(
            messages().iter().any(|(said, ..)| said.kind() == kind),
            "{kind:?} is not tried"
        );
    }
    for (message, text, json) in messages() {
        let event = || Event::Received {
            from: NodeId(2),
            message: &message,
        };
        assert_eq!(
            text_of(event()),
            format!("NODE_3.Scout        ---> T=1.0518 received {text} from NODE_2")
        );
        assert_eq!(
            json_of(event()),
            format!(
                r#"{{"t_us":1051899,"node":3,"role":"Scout","event":"received","message":"{}","from":2,"fields":{json}}}"#,
                message.kind().name()
            )
        );
    }
}

#[test]
fn every_fact_about_a_message_names_its_sender_and_recipients() {
    let message = Message::Learn { from: Slot::new(4) };
    let to = |count| NodeSet::first(count);
    for (event, text, json) in [
        (
            Event::Sent {
                to: to(2),
                message: &message,
            },
            "sent learn(from=4) to [NODE_0, NODE_1]",
            r#""sent","message":"learn","to":[0,1],"fields":{"from":4}"#,
        ),
        (
            Event::Sent {
                to: to(1),
                message: &message,
            },
            "sent learn(from=4) to NODE_0",
            r#""sent","message":"learn","to":[0],"fields":{"from":4}"#,
        ),
        (
            Event::Lost {
                to: NodeId(10),
                message: &message,
            },
            "lost learn(from=4) to NODE_10",
            r#""lost","message":"learn","to":[10],"fields":{"from":4}"#,
        ),
        (
            Event::Ignored {
                from: NodeId(1),
                kind: MessageKind::Learn,
                reason: Reason::WrongPhase,
            },
            "ignored learn from NODE_1: wrong_phase",
            r#""ignored","message":"learn","from":1,"reason":"wrong_phase""#,
        ),
    ] {
        assert_line(event, text, json);
    }
}

#[test]
fn every_fact_about_an_election_has_its_line() {
    for (event, text, json) in [
        (Event::Started, "started", r#""started""#),
        (Event::Stopped, "stopped", r#""stopped""#),
        (
            Event::Suspected { leader: NodeId(0) },
            "suspected(leader=NODE_0)",
            r#""suspected","fields":{"leader":0}"#,
        ),
        (
            Event::BackedOff {
                delay: Duration::from_micros(350_500),
            },
            "backed_off(delay=350.5ms)",
            r#""backed_off","fields":{"delay_us":350500}"#,
        ),
        (
            Event::Adopted {
                ballot: NEW,
                reproposed: 2,
                noops: 1,
                next_slot: Slot::new(7),
            },
            "adopted(ballot=(2, NODE_3), reproposed=2, noops=1, next_slot=7)",
            r#""adopted","fields":{"ballot":{"round":2,"leader":3},"reproposed":2,"noops":1,"next_slot":7}"#,
        ),
        (
            Event::Preempted {
                ballot: OLD,
                by: NEW,
            },
            "preempted(ballot=(1, NODE_0), by=(2, NODE_3))",
            r#""preempted","fields":{"ballot":{"round":1,"leader":0},"by":{"round":2,"leader":3}}"#,
        ),
        (
            Event::SteppedDown { ballot: OLD },
            "stepped_down(ballot=(1, NODE_0))",
            r#""stepped_down","fields":{"ballot":{"round":1,"leader":0}}"#,
        ),
        (
            Event::Accepting { leader: NodeId(3) },
            "accepting(leader=NODE_3)",
            r#""accepting","fields":{"leader":3}"#,
        ),
        (
            Event::Full {
                queue: Queue::Waiting,
            },
            "full(queue=waiting)",
            r#""full","fields":{"queue":"waiting"}"#,
        ),
        (Event::Exhausted, "exhausted", r#""exhausted""#),
        (Event::Fenced, "fenced", r#""fenced""#),
        (Event::Killed, "killed", r#""killed""#),
    ] {
        assert_line(event, text, json);
    }
}

#[test]
fn a_halt_on_two_histories_has_its_line() {
    let cause = Halt::Diverged(Divergence {
        slot: Slot::new(4),
        known: 0xbeef,
        told: 0xcafe,
    });
    let text = "halted(cause=diverged, slot=4, known=000000000000beef, told=000000000000cafe)";
    assert!(text_of(Event::Halted { cause: &cause }).ends_with(text));
    let json =
        r#"{"cause":"diverged","slot":4,"known":"000000000000beef","told":"000000000000cafe"}"#;
    assert!(json_of(Event::Halted { cause: &cause }).contains(json));
}

/// The JSON of the proposal that `set` returns.
const REQUEST: &str = r#"{"kind":"request","client":12,"number":3,"command":"set(A, 9)"}"#;

#[test]
fn a_chosen_proposal_has_its_line() {
    assert_line(
        Event::Chosen {
            slot: Slot::new(4),
            ballot: NEW,
            proposal: &set(),
        },
        "chosen(slot=4, ballot=(2, NODE_3), proposal=client_12#3:set(A, 9))",
        &format!(
            r#""chosen","fields":{{"slot":4,"ballot":{{"round":2,"leader":3}},"proposal":{REQUEST}}}"#
        ),
    );
}

#[test]
fn an_applied_slot_shows_where_its_request_took_effect() {
    let (noop, set) = (Proposal::Noop, set());
    let applied = |slot| Outcome::Applied {
        slot: Slot::new(slot),
        output: KvReply::None,
    };
    let (here, before) = (applied(4), applied(2));
    for (proposal, outcome, text, json) in [
        (
            &set,
            Some(&here),
            "client_12#3:set(A, 9), output=none",
            format!(r#"{REQUEST},"outcome":{{"kind":"applied","slot":4,"output":"none"}}"#),
        ),
        (
            &set,
            Some(&before),
            "client_12#3:set(A, 9), outcome=applied(slot=2, output=none)",
            format!(r#"{REQUEST},"outcome":{{"kind":"applied","slot":2,"output":"none"}}"#),
        ),
        (
            &noop,
            None,
            "noop",
            r#"{"kind":"noop"},"outcome":null"#.to_owned(),
        ),
    ] {
        assert_line(
            Event::Applied {
                slot: Slot::new(4),
                proposal,
                outcome,
                chain: 0xbeef,
            },
            &format!("applied(slot=4, proposal={text}, chain=000000000000beef)"),
            &format!(
                r#""applied","fields":{{"slot":4,"proposal":{json},"chain":"000000000000beef"}}"#
            ),
        );
    }
}

#[test]
fn snapshots_and_halts_have_their_lines() {
    let conflict = Halt::Conflict(Conflict {
        slot: Slot::new(4),
        known: Proposal::Noop,
        new: register(),
    });
    for (event, text, json) in [
        (
            Event::Installed {
                at: Slot::new(40),
                chain: 0xbeef,
            },
            "installed(at=40, chain=000000000000beef)",
            r#""installed","fields":{"at":40,"chain":"000000000000beef"}"#,
        ),
        (
            Event::Halted {
                cause: &Halt::DuplicateIdentity,
            },
            "halted(cause=duplicate_identity)",
            r#""halted","fields":{"cause":"duplicate_identity"}"#,
        ),
        (
            Event::Halted {
                cause: &Halt::StorageFailed,
            },
            "halted(cause=storage_failed)",
            r#""halted","fields":{"cause":"storage_failed"}"#,
        ),
        (
            Event::Halted { cause: &conflict },
            "halted(cause=conflict, slot=4, known=noop, new=register(nonce_000000000000cafe))",
            concat!(
                r#""halted","fields":{"cause":"conflict","slot":4,"known":{"kind":"noop"},"#,
                r#""new":{"kind":"register","nonce":"000000000000cafe"}}"#
            ),
        ),
    ] {
        assert_line(event, text, json);
    }
}

fn assert_line(event: Fact<'_>, text: &str, json: &str) {
    assert_eq!(
        text_of(event),
        format!("NODE_3.Scout        ---> T=1.0518 {text}")
    );
    assert_eq!(
        json_of(event),
        format!(r#"{{"t_us":1051899,"node":3,"role":"Scout","event":{json}}}"#)
    );
}

#[test]
fn names_are_padded_to_one_width() {
    for node in [0, 9, 10, 63] {
        for role in Role::ALL {
            let record: Record<'_, Machine, 2> = Record {
                at: Instant::ZERO,
                node: NodeId(node),
                role,
                event: Event::Started,
            };
            let line = line(|out| Text::plain().line(out, &record, &Annotations::default()));
            assert_eq!(line.find(" ---> T=0.0000 started"), Some(19), "{line}");
            assert_eq!(record.to_string(), line);
        }
    }
}

#[test]
fn coloured_lines_have_the_same_text() {
    for (message, ..) in messages() {
        for role in Role::ALL {
            let record = Record {
                role,
                ..record(Event::Sent {
                    to: NodeSet::first(3),
                    message: &message,
                })
            };
            let coloured = line(|out| Text::coloured().line(out, &record, &Annotations::default()));
            let plain = line(|out| Text::plain().line(out, &record, &Annotations::default()));
            assert_ne!(coloured, plain);
            assert_eq!(without_escapes(&coloured), plain);
        }
    }
}

fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap();
    parts.fold(first.to_owned(), |plain, part| {
        plain + part.split_once('m').unwrap().1
    })
}

/// Returns a small run with a record for each level: two messages on their way, two that are ignored, a suspicion and a
/// halt.
fn story<'a>(accept: &'a Said, accepted: &'a Said) -> [(u16, Role, Fact<'a>); 7] {
    [
        (
            0,
            Role::Commander,
            Event::Sent {
                to: NodeSet::first(3),
                message: accept,
            },
        ),
        (
            1,
            Role::Acceptor,
            Event::Received {
                from: NodeId(0),
                message: accept,
            },
        ),
        (
            1,
            Role::Acceptor,
            Event::Sent {
                to: NodeSet::first(1),
                message: accepted,
            },
        ),
        (
            2,
            Role::Acceptor,
            Event::Ignored {
                from: NodeId(0),
                kind: MessageKind::Accept,
                reason: Reason::OldBallot,
            },
        ),
        (
            2,
            Role::Replica,
            Event::Ignored {
                from: NodeId(0),
                kind: MessageKind::Decision,
                reason: Reason::Known,
            },
        ),
        (2, Role::Leader, Event::Suspected { leader: NodeId(0) }),
        (
            2,
            Role::Node,
            Event::Halted {
                cause: &Halt::DuplicateIdentity,
            },
        ),
    ]
}

/// Returns the records of a small run that a filter admits.
fn admitted(filter: &Filter) -> Vec<String> {
    let accept = Said::Accept {
        ballot: NEW,
        first: Slot::new(4),
        decided: Slot::new(3),
        proposals: page(&[set(), Proposal::Noop]),
    };
    let accepted = Said::Accepted {
        ballot: NEW,
        promised: NEW,
        first: Slot::new(4),
        count: 0,
        low_water: Slot::new(3),
    };
    let mut output = Output::new(Vec::new());
    let mut log = Log::new(Format::Text(Text::plain()), filter.clone(), &mut output);
    for (node, role, event) in story(&accept, &accepted) {
        log.record(&Record {
            at: Instant::ZERO,
            node: NodeId(node),
            role,
            event,
        });
    }
    let text = String::from_utf8(output.finish().unwrap()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn each_level_includes_those_before_it() {
    for (level, lines) in [
        (Level::Error, 1),
        (Level::Warn, 2),
        (Level::Info, 5),
        (Level::Debug, 6),
        (Level::Trace, 7),
    ] {
        let filter = Filter {
            level,
            ..Filter::default()
        };
        assert_eq!(admitted(&filter).len(), lines, "{level:?}");
    }
}

#[test]
fn filters_of_one_kind_are_a_union_and_of_several_kinds_an_intersection() {
    let nodes = Filter {
        nodes: [NodeId(0), NodeId(2)].into_iter().collect(),
        ..Filter::default()
    };
    assert_eq!(admitted(&nodes).len(), 3);
    let roles = Filter {
        roles: vec![Role::Acceptor, Role::Commander],
        ..Filter::default()
    };
    assert_eq!(admitted(&roles).len(), 3);
    let both = Filter {
        roles: roles.roles,
        ..nodes
    };
    assert_eq!(admitted(&both).len(), 1);
}

#[test]
fn a_slot_filter_finds_slots_inside_of_a_run() {
    let slots = |range| Filter {
        slots: vec![range],
        ..Filter::default()
    };
    assert_eq!(admitted(&slots(5..=5)).len(), 2, "the run is 4 and 5");
    assert_eq!(
        admitted(&slots(1..=4)).len(),
        3,
        "a refusal is about the slot that it refuses"
    );
    assert!(admitted(&slots(6..=9)).is_empty());
    assert!(
        admitted(&slots(1..=3)).is_empty(),
        "what is decided is not what the message is about"
    );
}

/// Compares every received message with the one sent under its id.
#[derive(Default)]
struct Arrows {
    context: Context,
    sent: std::collections::BTreeMap<MessageId, (NodeSet, MessageKind, String)>,
    arrived: usize,
    lost: usize,
    /// Whether a message may be extended before it leaves.
    grows: bool,
}

impl HostTracer for Arrows {}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Arrows {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let node = record.node;
        let id = self.context.note(record).id;
        let (message, to) = match &record.event {
            Event::Sent { to, message } if !to.contains(node) => {
                let sent = (*to, message.kind(), format!("{message:?}"));
                assert!(
                    self.sent.insert(id.unwrap(), sent).is_none(),
                    "an id of its own"
                );
                return;
            }
            Event::Received { from, message } if *from != node => {
                self.arrived += 1;
                (message, node)
            }
            Event::Lost { to, message } | Event::Duplicated { to, message } => {
                self.lost += 1;
                (message, *to)
            }
            Event::Sent { .. } | Event::Received { .. } => {
                assert_eq!(id, None, "what a node tells itself has none");
                return;
            }
            _ => return,
        };
        let (recipients, kind, words) = &self.sent[&id.expect("it was sent")];
        assert!(recipients.contains(to), "{id:?}");
        // An accept that replaces a waiting decision says at least as much.
        let replaces = (*kind, message.kind()) == (MessageKind::Decision, MessageKind::Accept);
        assert!(*kind == message.kind() || self.grows && replaces, "{id:?}");
        if !self.grows {
            assert_eq!(*words, format!("{message:?}"), "{id:?}");
        }
    }

    fn on_way(&mut self, way: Way) {
        self.context.on_way(way);
    }
}

#[test]
fn every_received_message_has_the_id_of_the_sent_one() {
    let mut options = crate::Options::new(6);
    (options.nodes, options.loss_ppm) = (5, 100_000);
    let mut arrows = Arrows::default();
    crate::run(&options, &mut arrows).unwrap();
    assert!(
        arrows.arrived > 300 && arrows.lost > 30,
        "{} {}",
        arrows.arrived,
        arrows.lost
    );
}

#[test]
fn ids_are_correct_with_disks_and_losses_of_power() {
    let swarm = synod::simulation::Swarm {
        faults: synod::simulation::FaultSet::ALL,
        nodes: None,
    };
    let (mut arrived, mut lost) = (0, 0);
    for seed in 0..40 {
        let mut arrows = Arrows {
            grows: true,
            ..Arrows::default()
        };
        let case = crate::case::Case::of(swarm.draw(seed));
        crate::case::run(&case, &mut arrows).unwrap();
        arrived += arrows.arrived;
        lost += arrows.lost;
    }
    assert!(arrived > 10_000 && lost > 1_000, "{arrived} {lost}");
}

/// Returns the log of a run, as text and as JSON.
fn logs_of(options: &crate::Options, filter: &Filter) -> [String; 2] {
    [Format::Text(Text::plain()), Format::Json(Json)].map(|format| {
        let mut output = Output::new(Vec::new());
        let mut log = Log::new(format, filter.clone(), &mut output);
        crate::run(options, &mut log).unwrap();
        String::from_utf8(output.finish().unwrap()).unwrap()
    })
}

#[test]
fn the_first_probe_has_its_reason_and_a_registration_its_client() {
    let mut options = crate::Options::new(6);
    options.nodes = 5;
    options.kills = vec![synod::simulation::Kill {
        target: synod::simulation::Target::Leader,
        at: Instant::from_micros(800_000),
    }];
    let [text, json] = logs_of(&options, &Filter::default());
    let mut probes = text.lines().filter(|line| line.contains(" sent probe("));
    assert!(
        probes
            .next()
            .unwrap()
            .ends_with(": it has heard of no leader yet")
    );
    assert!(
        probes
            .next()
            .unwrap()
            .ends_with(": NODE_0, its leader, was silent for too long")
    );
    let mut probes = json
        .lines()
        .filter(|line| line.contains(r#""sent""#) && line.contains(r#""probe""#));
    assert!(
        probes
            .next()
            .unwrap()
            .ends_with(r#","why":"no_leader_yet"}"#)
    );
    assert!(
        probes
            .next()
            .unwrap()
            .ends_with(r#","why":"leader_silent","whom":0}"#)
    );
    assert!(
        text.lines()
            .any(|line| line.ends_with("): client_1 registered (slot 1)")),
        "{text}"
    );
}

#[test]
fn messages_ignored_before_joining_are_shown_beside_the_received_ones() {
    let mut early = 0;
    for seed in 0..20 {
        let mut options = crate::Options::new(seed);
        (options.nodes, options.loss_ppm) = (5, 300_000);
        let [text, _] = logs_of(&options, &Filter::default());
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.windows(2) {
            if let Some((head, _)) = pair[1].split_once(": wrong_phase") {
                let node = head.split_once(' ').unwrap().0;
                assert!(node.ends_with(".Node"), "{}", pair[1]);
                assert!(
                    pair[0].starts_with(&format!("{node} ")) && pair[0].contains(" received "),
                    "{}",
                    pair[0]
                );
                early += 1;
            }
        }
    }
    assert!(early > 10, "{early}");
}

#[test]
fn a_slot_is_shown_with_the_message_that_decided_it_at_each_node() {
    let mut options = crate::Options::new(6);
    (options.nodes, options.loss_ppm) = (3, 300_000);
    let mut others = 0;
    for slot in 1..=60 {
        let filter = Filter {
            slots: vec![slot..=slot],
            ..Filter::default()
        };
        let [text, _] = logs_of(&options, &filter);
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if !line.contains(&format!(" applied(slot={slot}, ")) {
                continue;
            }
            let (node, rest) = line.split_once('.').unwrap();
            let time = rest
                .split_whitespace()
                .find(|word| word.starts_with("T="))
                .unwrap();
            let received = lines[..index].iter().rev().find(|line| {
                line.starts_with(&format!("{node}."))
                    && line.contains(time)
                    && line.contains(" received ")
            });
            assert!(received.is_some(), "slot {slot}: {line}");
            others += usize::from(!received.unwrap().contains(&format!("first={slot},")));
        }
    }
    assert!(others > 20, "{others}");
}

/// Compares the line of each fact with its display format, to which the log may append annotations.
struct Compared(u64);

impl HostTracer for Compared {}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Compared {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let line = line(|out| Text::plain().line(out, record, &Annotations::default()));
        assert!(line.starts_with(&record.to_string()), "{line}");
        self.0 += 1;
    }
}

#[test]
fn the_log_of_a_run_agrees_with_the_display_formats_of_the_core() {
    let swarm = synod::simulation::Swarm {
        faults: synod::simulation::FaultSet::ALL,
        nodes: None,
    };
    let mut compared = Compared(0);
    for seed in 0..5 {
        let case = crate::case::Case::of(swarm.draw(seed));
        crate::case::run(&case, &mut compared).unwrap();
    }
    assert!(compared.0 > 5_000, "{} facts", compared.0);
}
