//! Schedules of the model checker as text: each action with its effects.
//!
//! A line is an action and what the node did in reaction, in the words of the log of a run. What a
//! node sends is shown without its contents, because these are shown where it arrives; what never
//! arrives has no effect.

use super::world::{Action, PAGE, World};
use super::{Explorer, Scope, Tape};
use crate::log::text;
use synod::{Event, Message, NodeId, Record, Tracer};

/// A step of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The action.
    pub what: String,
    /// Reactions of the node, in order.
    pub then: Vec<String>,
}

/// Performs the actions of a schedule, and describes each with its effects.
///
/// The actions must be possible in turn from the initial state of the explorer, as those of a
/// violation that it found are.
pub fn schedule(explorer: &Explorer, actions: &[Action]) -> Vec<Line> {
    let mut world = explorer.start().clone();
    let lines = actions.iter().map(|action| {
        let mut effects = Effects::default();
        let next = explorer.traced(&world, action, &mut effects);
        // From the state before the action, in which a request was not made yet.
        let what = sentence(explorer.scope(), &world, action);
        world = next;
        let then = effects.0;
        Line { what, then }
    });
    lines.collect()
}

/// Describes an action. A request that was made before is "once more".
fn sentence(scope: &Scope, world: &World, action: &Action) -> String {
    match action {
        Action::Deliver(message) => {
            let envelope = message.envelope();
            let (from, to) = (envelope.from, envelope.to);
            format!("{to} receives {} from {from}", said(&envelope.message))
        }
        Action::Fire { node, timer, .. } => format!("{node}: the {} timer fires", timer.name()),
        Action::Ask { node, request } => {
            let again = if *request < world.used.requests {
                " once more"
            } else {
                ""
            };
            format!("a client asks {node} for command {request}{again}")
        }
        Action::Read { node } => format!("a client asks {node} to read its state"),
        Action::Change { node } => {
            let again = if world.used.changes > 0 {
                " once more"
            } else {
                ""
            };
            let members = scope.members();
            format!("an operator asks {node} for the members {members}{again}")
        }
        Action::Crash { node } => format!("{node} loses its power, and comes back"),
        Action::Torn { kept, step } => {
            let step = sentence(scope, world, step);
            format!("{step}; power fails after {kept} operations of its storage, and comes back")
        }
    }
}

/// Formats a message with its fields, as in the log of a run.
fn said(message: &Message<Tape, PAGE>) -> String {
    let mut out = Vec::new();
    text::message(&mut out, message);
    String::from_utf8_lossy(&out).into_owned()
}

/// Collects the reactions of a node in a step.
///
/// What is left out would repeat the action itself, such as the receipt of the delivered message.
#[derive(Default)]
struct Effects(Vec<String>);

impl Effects {
    /// Describes an event in the words of the log; `None` if it would repeat another line.
    fn words(node: NodeId, event: &Event<'_, Tape, PAGE>) -> Option<String> {
        Some(match event {
            Event::Sent { to, message } if !to.contains(node) => {
                // A sent message is shown when it arrives.
                let kind = message.kind().name();
                match to.nth(0).filter(|_| to.len() == 1) {
                    Some(to) => format!("sends {kind} to {to}"),
                    None => format!("sends {kind} to {to}"),
                }
            }
            Event::Ignored { reason, .. } => format!("ignores it: {}", reason.name()),
            Event::Sent { .. }
            | Event::Received { .. }
            | Event::Lost { .. }
            | Event::Started
            | Event::Stopped
            | Event::Accepting { .. } => return None,
            event => {
                let mut out = Vec::new();
                text::fact(&mut out, event);
                String::from_utf8_lossy(&out).into_owned()
            }
        })
    }
}

impl Tracer<Tape, PAGE> for Effects {
    fn record(&mut self, record: &Record<'_, Tape, PAGE>) {
        let effect = Self::words(record.node, &record.event);
        self.0.extend(effect);
    }
}
