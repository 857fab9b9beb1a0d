//! Summaries of a small run, in both formats.

use super::*;
use crate::commands::run::OutputFormat;
use crate::leadership::Leaderships;
use crate::membership::{Epochs, MembersAtEnd};
use synod::machines::Opaque;
use synod::simulation::{Bound, DiskFigures, Mark, Report};
use synod::{
    Ballot, Digest, Event, Instant, Message, NodeId, NodeSet, Queue, Record, Role, Slot, Tally,
    Tracer,
};

/// Returns the leaderships of two nodes.
fn leaderships() -> Leaderships {
    let mut leaderships = Leaderships::default();
    let adopted = |node: u16| Event::Adopted {
        ballot: Ballot::new(u64::from(node) + 1, NodeId(node)),
        reproposed: 0,
        noops: 0,
        next_slot: Slot::FIRST,
    };
    for (node, at, event) in [
        (0, 200, adopted(0)),
        (1, 900, adopted(1)),
        (0, 950, Event::Killed),
    ] {
        let event: Event<'_, Opaque, 2> = event;
        leaderships.record(&Record {
            at: Instant::from_micros(at * 1_000),
            node: NodeId(node),
            role: Role::Leader,
            event,
        });
    }
    leaderships
}

fn finished() -> Finished {
    let message = Message::<Opaque, 2>::Learn { from: Slot::FIRST };
    let mut tally = Tally::new();
    for event in [
        Event::Sent {
            to: NodeSet::first(3),
            message: &message,
        },
        Event::Lost {
            to: NodeId(2),
            message: &message,
        },
        Event::Suspected { leader: NodeId(0) },
        Event::Full {
            queue: Queue::Pending,
        },
        Event::Killed,
    ] {
        tally.record(&Record {
            at: Instant::ZERO,
            node: NodeId(0),
            role: Role::Node,
            event,
        });
    }
    Finished {
        verdict: Verdict::Stalled(Bound::Time),
        report: Report {
            at: Instant::from_micros(5_000_000),
            nodes: 3,
            live: 2,
            joined: 1,
            applied: Slot::new(7),
            agree: false,
            answered: 4,
            right: 4,
            expected: 121,
            deliveries: 1,
            events: 9,
            writes: 12,
            grouped: 0,
            gathered: 0,
            withdrawn: 0,
            read: 0,
            not_now: 0,
            early: 0,
        },
        digest: Digest::resume(0xabc),
        tally,
        leaderships: leaderships(),
        epochs: Epochs::default(),
        members: MembersAtEnd::default(),
        replaced: Vec::new(),
        marks: vec![Mark {
            name: "outbox",
            peak: 5,
            capacity: 40,
        }],
        lost: 1,
        checks: None,
        effort: None,
        began: 0,
        earlier: 0,
        disks: DiskFigures::default(),
    }
}

fn written(verified: Option<bool>, form: OutputFormat) -> String {
    let summary = Summary {
        run_seed: 6,
        command: "synod 6 --nodes 3",
        finished: &finished(),
        verified,
    };
    let mut out = Vec::new();
    match form {
        OutputFormat::Text => summary.text(&mut out),
        OutputFormat::Json => summary.json(&mut out),
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_ends_with_the_digest() {
    let expected = "\
outcome     stalled: the simulated time is up
seed        6
command     synod 6 --nodes 3
verified    two runs, one trace
nodes       2 of 3 live, 1 joined
requests    4 of 121 answered, 4 right
slots       7 decided, not yet applied by every live node
elections   0 won, 0 preempted, 0 stepped down, 1 suspected
leaders     NODE_0 from 0.2000s to 0.9500s, round 1: killed
            NODE_1 from 0.9000s to the end, round 2
recovery    0 re-proposed, 0 holes filled, 0 snapshots installed
writes      12 made durable
full        1 pending
time        5.0000s simulated, 9 events

messages                sent   delivered        lost
learn                      2           0           1
total                      2           0           1

queues                  peak    capacity
outbox                     5          40

digest=0000000000000abc
";
    assert_eq!(written(Some(true), OutputFormat::Text), expected);
}

#[test]
fn the_json_is_one_line_with_the_same_contents() {
    let expected = concat!(
        r#"{"event":"summary","outcome":"stalled","reason":"the simulated time is up","run_seed":6,"#,
        r#""command":"synod 6 --nodes 3","nodes":{"started":3,"live":2,"joined":1},"#,
        r#""requests":{"answered":4,"right":4,"expected":121},"#,
        r#""slots":{"decided":7,"agree":false,"noops":0,"installed":0},"#,
        r#""messages":{"learn":{"sent":2,"delivered":0,"lost":1}},"ignored":{},"full":{"pending":1},"#,
        r#""elections":0,"leaders":[{"node":0,"round":1,"from_us":200000,"to_us":950000,"ended":"killed"},"#,
        r#"{"node":1,"round":2,"from_us":900000}],"preempted":0,"stepped_down":0,"suspected":1,"killed":1,"halted":0,"#,
        r#""t_us":5000000,"events":9,"deliveries":1,"writes":12,"marks":{"outbox":{"peak":5,"capacity":40}},"#,
        r#""digest":"0000000000000abc"}"#,
        "\n"
    );
    assert_eq!(written(None, OutputFormat::Json), expected);
}
