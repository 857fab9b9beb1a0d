//! What in a case can have no effect, which is refused: a run that was spared what its author planned proves nothing.
//!
//! What may have an effect, and then has none in any run, such as a pause of a node that is down, is for a sweep to notice:
//! see [`Due`](crate::sweep::Due).

use super::Script;
use super::wrong::Wrong;
use core::fmt::Display;
use synod::simulation::{Fault, Planned, SKEW_MAX, Trial};
use synod::{Duration, Instant, NodeId, NodeSet};

/// Checks a case whose nodes are there and whose faults begin in time: see [`limits`](super::limits).
///
/// # Errors
///
/// The first thing that can have no effect, with its key, in one line.
pub(super) fn check(trial: &Trial, script: Option<&Script>) -> Result<(), Wrong> {
    let scenario = &trial.scenario;
    let nodes = scenario.nodes;
    if let Some(node) = scenario.second_founder
        && (node == NodeId(0) || node.0 >= nodes)
    {
        let takes = match nodes {
            1 => "no node, as there is one".to_owned(),
            2 => "node 1".to_owned(),
            _ => format!("a node from 1 to {}", nodes.saturating_sub(1)),
        };
        return Err(Wrong::value("second-founder", &node.0, &takes));
    }
    check_weather(trial)?;
    for (index, planned) in trial.plan.iter().enumerate() {
        let at = Place {
            number: index + 1,
            planned,
            nodes,
        };
        at.check()?;
    }
    if let Some(script) = script {
        check_script(script, trial)?;
    }
    Ok(())
}

/// Chance makes something of messages, in a storm.
fn check_weather(trial: &Trial) -> Result<(), Wrong> {
    let weather = &trial.weather;
    let in_weather = |key, what: String| Err(Wrong::new(what).under(key).under("weather"));
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
    // That one node sends no messages is for a sweep to notice: weather is drawn for any number of nodes.
    if shares.iter().all(|rate_ppm| *rate_ppm == 0) {
        return Ok(());
    }
    if weather.storm == Duration::ZERO {
        let what = "storm in [weather] is 0, so that it is always calm";
        return in_weather("storm", what.to_owned());
    }
    let until = weather.until.since(Instant::ZERO);
    // It begins with calm.
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

/// What is written of messages is about messages that there may be, and that arrive.
fn check_script(script: &Script, trial: &Trial) -> Result<(), Wrong> {
    let nodes = trial.scenario.nodes;
    let (usual, until) = (script.usual, trial.scenario.time_max);
    if nodes > 1 && usual >= until {
        let what = format!(
            "usual in [script] is {usual}, but must be less than until ({until}), as nothing would arrive in time"
        );
        return Err(Wrong::new(what).under("usual").under("script"));
    }
    for passage in script.choices.keys() {
        let (from, to) = (passage.from, passage.to);
        if from == to || from.0 >= nodes || to.0 >= nodes {
            let what = format!(
                "messages in [script] has {}>{}, but a message goes from one node to another, and they go from 0 to {}",
                from.0,
                to.0,
                nodes.saturating_sub(1)
            );
            return Err(Wrong::new(what).under("messages").under("script"));
        }
    }
    Ok(())
}

/// A planned fault, and where it stands.
struct Place<'a> {
    /// Which it is in its file, from 1.
    number: usize,
    planned: &'a Planned,
    nodes: u16,
}

impl Place<'_> {
    fn wrong(&self, what: impl Display) -> Wrong {
        let what = format!("fault {} ({}): {what}", self.number, self.planned.kind());
        Wrong::new(what).nth(self.number - 1).under("fault")
    }

    fn check(&self) -> Result<(), Wrong> {
        let Planned { lasts, fault, .. } = self.planned;
        if *lasts == Some(Duration::ZERO) && !matches!(fault, Fault::Jump { .. }) {
            return Err(self.wrong("lasts is 0, so that it is over when it begins"));
        }
        match *fault {
            Fault::Partition(side) => {
                let others = NodeSet::first(self.nodes).minus(side);
                if side.is_empty() || others.is_empty() {
                    return Err(self.wrong(format_args!(
                        "side has {} of the {} nodes, so that nobody is cut off from anybody",
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
                Err(self.wrong(format_args!(
                    "rate-ppm is {rate_ppm}, but takes 1 to {SKEW_MAX}, or as much below 0"
                )))
            }
            Fault::Jump { by_micros: 0, .. } => {
                Err(self.wrong("by-us is 0: the clock stays as it is"))
            }
            Fault::SlowDisk { sync, .. } if sync == Duration::ZERO => {
                Err(self.wrong("sync is 0: the disk takes no time"))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is a message that it stops: what a node says to itself is none.
    fn between(&self, one: (&str, NodeSet), other: (&str, NodeSet)) -> Result<(), Wrong> {
        for (key, nodes) in [one, other] {
            if nodes.is_empty() {
                return Err(self.wrong(format_args!("{key} is empty, so that it stops no message")));
            }
        }
        let ((key, from), (other_key, to)) = (one, other);
        if from == to && from.len() == 1 {
            return Err(self.wrong(format_args!(
                "{key} and {other_key} are the same node, so that it stops no message"
            )));
        }
        Ok(())
    }
}
