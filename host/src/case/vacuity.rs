//! Refusal of faults that can have no effect in a case, because a run without its planned faults proves nothing.
//!
//! A fault that can have an effect but has none in any run, such as a pause of a node that is down, is reported by a
//! sweep: see [`Expectations`](crate::sweep::Expectations).
//!
//! The check is made when the file is read. A run that cannot do what its file asks for is an error
//! of usage, and not a sweep that reports hours later that a fault never struck.

use super::Script;
use super::invalid::Invalid;
use crate::membership::PlannedChange;
use core::fmt::Display;
use synod::simulation::{Fault, Planned, SKEW_MAX, Trial};
use synod::{Duration, Instant, NodeId, NodeSet};

/// Checks a case that has passed [`limits`](super::limits).
///
/// # Errors
///
/// The first fault or key without effect, in one line.
pub(super) fn check(trial: &Trial, script: Option<&Script>) -> Result<(), Invalid> {
    let scenario = &trial.scenario;
    let nodes = scenario.nodes;
    let founders = scenario.founders.unwrap_or(nodes);
    if let Some(node) = scenario.second_founder
        && (node == NodeId(0) || node.0 >= founders)
    {
        let takes = match founders {
            1 => "no node, as there is one".to_owned(),
            2 => "node 1".to_owned(),
            _ => format!("a node from 1 to {}", founders.saturating_sub(1)),
        };
        return Err(Invalid::value("second-founder", &node.0, &takes));
    }
    check_weather(trial)?;
    let founders = NodeSet::first(founders);
    let added = trial.plan.iter().map(|planned| match planned.fault {
        Fault::Change { add, .. } => add,
        _ => NodeSet::EMPTY,
    });
    let ever = added.fold(founders, NodeSet::union);
    for (index, planned) in trial.plan.iter().enumerate() {
        let at = FaultCheck {
            number: index + 1,
            planned,
            nodes,
            founders,
            ever,
        };
        at.check()?;
    }
    if let Some(script) = script {
        check_script(script, trial)?;
    }
    Ok(())
}

/// Checks that a storm affects messages. Each condition names the key to change.
fn check_weather(trial: &Trial) -> Result<(), Invalid> {
    let weather = &trial.weather;
    let in_weather = |key, what: String| Err(Invalid::new(what).under(key).under("weather"));
    for (key, rate_ppm, most) in [
        ("spike", weather.spike_ppm, weather.spike),
        ("reorder", weather.reorder_ppm, weather.reorder),
    ] {
        if rate_ppm > 0 && most == Duration::ZERO {
            let what =
                format!("{key} in [weather] delays messages by nothing: {key}-max must be above 0");
            return in_weather(key, what);
        }
    }
    let shares = [
        weather.loss_ppm,
        weather.duplicate_ppm,
        weather.spike_ppm,
        weather.reorder_ppm,
    ];
    // A cluster of one node has no messages, but weather is drawn for any number of nodes, so that only sweeps report it.
    // Weather without any share is one that was switched off on purpose.
    if shares.iter().all(|rate_ppm| *rate_ppm == 0) {
        return Ok(());
    }
    if weather.storm == Duration::ZERO {
        let what = "storm in [weather] is 0, so that it is always calm";
        return in_weather("storm", what.to_owned());
    }
    let until = weather.until.since(Instant::ZERO);
    // The weather begins with calm.
    if until <= weather.calm {
        let what = format!(
            "until in [weather] is {until}, and the first storm begins after {} of calm",
            weather.calm
        );
        return in_weather("until", what);
    }
    let time_max = trial.scenario.time_max;
    if time_max <= weather.calm {
        let what = format!(
            "calm in [weather] is {}, and the run is given up at {time_max}",
            weather.calm
        );
        return in_weather("calm", what);
    }
    Ok(())
}

/// Checks that the scripted messages can exist, and that messages arrive in time. A name of a
/// message that no node sends has no effect, and is not noticed: which messages there are is known
/// only after the run.
fn check_script(script: &Script, trial: &Trial) -> Result<(), Invalid> {
    let nodes = trial.scenario.nodes;
    let (usual, until) = (script.usual, trial.scenario.time_max);
    if nodes > 1 && usual >= until {
        let what = format!(
            "usual in [script] is {usual}, but must be less than until ({until}), as nothing would arrive in time"
        );
        return Err(Invalid::new(what).under("usual").under("script"));
    }
    for message in script.choices.keys() {
        let (from, to) = (message.from, message.to);
        if from == to || from.0 >= nodes || to.0 >= nodes {
            let what = format!(
                "messages in [script] has {}>{}, but a message goes from one node to another, and they go from 0 to {}",
                from.0,
                to.0,
                nodes.saturating_sub(1)
            );
            return Err(Invalid::new(what).under("messages").under("script"));
        }
    }
    Ok(())
}

/// Check of one planned fault.
struct FaultCheck<'a> {
    /// Number of the fault in its file, from 1.
    number: usize,
    planned: &'a Planned,
    nodes: u16,
    /// Members at first.
    founders: NodeSet,
    /// All nodes that are members at some time.
    ever: NodeSet,
}

impl FaultCheck<'_> {
    /// Returns an error about this fault, which names it by its number as well, for a reader with
    /// another tool.
    fn invalid(&self, what: impl Display) -> Invalid {
        let what = format!("fault {} ({}): {what}", self.number, self.planned.kind());
        Invalid::new(what).at_index(self.number - 1).under("fault")
    }

    /// Checks what depends on the kind of fault.
    fn check(&self) -> Result<(), Invalid> {
        let Planned { lasts, fault, .. } = self.planned;
        if *lasts == Some(Duration::ZERO) && !matches!(fault, Fault::Jump { .. }) {
            return Err(self.invalid("lasts is 0, so that it is over when it begins"));
        }
        match *fault {
            Fault::Partition(side) => {
                let others = NodeSet::first(self.nodes).minus(side);
                if side.is_empty() || others.is_empty() {
                    return Err(self.invalid(format_args!(
                        "side has {} of the {} nodes, so that no node is cut off",
                        side.len(),
                        self.nodes
                    )));
                }
                Ok(())
            }
            Fault::OneWay { from, to } | Fault::Clog { from, to } => {
                self.between(("from", from), ("to", to))
            }
            Fault::Partial { one, other } => self.between(("one", one), ("other", other)),
            Fault::Skew { rate_ppm, .. }
                if rate_ppm == 0 || !(-SKEW_MAX..=SKEW_MAX).contains(&rate_ppm) =>
            {
                Err(self.invalid(format_args!(
                    "rate-ppm is {rate_ppm}, but takes 1 to {SKEW_MAX}, or as much below 0"
                )))
            }
            // A jump takes no time, so that it may last for nothing but not go nowhere.
            Fault::Jump { by_micros: 0, .. } => {
                Err(self.invalid("by-us is 0: the clock stays as it is"))
            }
            Fault::SlowDisk { sync, .. } if sync == Duration::ZERO => {
                Err(self.invalid("sync is 0: the disk is not slow"))
            }
            Fault::Change { add, remove } => self.change(add, remove),
            _ => Ok(()),
        }
    }

    /// Checks that a change of the members can have an effect. The error is about the nodes to add if there are any, and
    /// otherwise about those to remove.
    fn change(&self, add: NodeSet, remove: NodeSet) -> Result<(), Invalid> {
        let at = self.planned.at.since(Instant::ZERO);
        let change = PlannedChange { at, add, remove };
        let Some(why) = change.vacuity(self.founders, self.ever) else {
            return Ok(());
        };
        let key = if add.is_empty() { "remove" } else { "add" };
        let what = format!("fault {} (change): {why}", self.number);
        let invalid = Invalid::new(what).under(key);
        Err(invalid.at_index(self.number - 1).under("fault"))
    }

    /// Checks that the fault stops at least one message. A node's messages to itself do not count, as they never leave
    /// it.
    fn between(&self, one: (&str, NodeSet), other: (&str, NodeSet)) -> Result<(), Invalid> {
        for (key, nodes) in [one, other] {
            if nodes.is_empty() {
                return Err(
                    self.invalid(format_args!("{key} is empty, so that it stops no message"))
                );
            }
        }
        let ((key, from), (other_key, to)) = (one, other);
        if from == to && from.len() == 1 {
            return Err(self.invalid(format_args!(
                "{key} and {other_key} are the same node, so that it stops no message"
            )));
        }
        Ok(())
    }
}
