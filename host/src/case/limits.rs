//! Limits of the values in a scenario file: capacities of the simulation, and times within the run.
//!
//! They are looked at in the order in which a reader of the file would mend them: sizes first, then
//! times, then what is planned. Beyond them a simulation has no room, or a run would be over before
//! something in the file could happen.

use super::invalid::Invalid;
use crate::values::{DELAY_MAX, JITTER_MAX, UNTIL_MAX};
use core::fmt::Display;
use synod::simulation::{Capacities, Fault, Placement, Planned, Scenario, Target, Trial, Weather};
use synod::{Duration, Instant, NodeId, NodeSet};

/// Greatest number of nodes and of clients. Sets of nodes are words of 64 bits.
const MOST: u16 = 64;
/// Greatest number of nodes in a run with the smallest capacities. It is the number of nodes of
/// that simulation.
const MOST_IN_TIGHT: u16 = 16;

/// Checks all values of a trial.
pub(super) fn check(trial: &Trial) -> Result<(), Invalid> {
    let Trial {
        scenario,
        weather,
        plan,
        requests,
        ..
    } = trial;
    let most = match trial.room {
        Capacities::Tight => MOST_IN_TIGHT,
        Capacities::Roomy | Capacities::Wide => MOST,
    };
    within("nodes", scenario.nodes.into(), 1, most.into())?;
    if let Some(founders) = scenario.founders {
        within("founders", founders.into(), 1, scenario.nodes.into())?;
    }
    // None is allowed: such a cluster founds itself and rests.
    within("clients", scenario.clients.into(), 0, MOST.into())?;
    within("requests", (*requests).into(), 1, u64::from(u32::MAX) - 1)?;
    within("events", scenario.events_max, 1, u64::MAX)?;
    check_times(scenario)?;
    check_weather(weather).map_err(|invalid| invalid.under("weather"))?;
    if let Placement::One(node) = scenario.placement {
        exists("place", node, scenario)?;
    }
    for (index, planned) in plan.iter().enumerate() {
        let checked = check_fault(planned, scenario);
        checked.map_err(|invalid| invalid.at_index(index).under("fault"))?;
    }
    Ok(())
}

/// Checks that a number is at least `least` and at most `most`; the error names both.
fn within(key: &'static str, got: u64, least: u64, most: u64) -> Result<(), Invalid> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    let takes = format_args!("a whole number from {least} to {most}").to_string();
    Err(Invalid::value(key, &got, &takes))
}

/// Checks a duration. `what` is the bound in words, as a user would write it.
fn at_most(
    key: &'static str,
    got: Duration,
    most: Duration,
    what: &dyn Display,
) -> Result<(), Invalid> {
    if got <= most {
        return Ok(());
    }
    Err(Invalid::value(key, &got, &format!("at most {what}")))
}

/// Checks the times of a scenario, of which some are bounded by others.
fn check_times(scenario: &Scenario) -> Result<(), Invalid> {
    let (link, until) = (scenario.link, scenario.time_max);
    if until == Duration::ZERO {
        return Err(Invalid::value("until", &until, &"a duration above zero"));
    }
    at_most("until", until, UNTIL_MAX, &"1000000h")?;
    at_most("think", scenario.think, DELAY_MAX, &"24h")?;
    let patience = scenario.patience.unwrap_or(Duration::ZERO);
    at_most("patience", patience, DELAY_MAX, &"24h")?;
    let round_trip = scenario.round_trip.unwrap_or(Duration::ZERO);
    at_most("round-trip", round_trip, DELAY_MAX, &"24h")?;
    let times = || {
        at_most("delay", link.delay, DELAY_MAX, &"24h")?;
        let delay = format!("the delay ({})", link.delay);
        at_most("jitter", link.jitter, link.delay, &delay)?;
        at_most("jitter", link.jitter, JITTER_MAX, &"35m")?;
        // A cluster of one node sends nothing over links.
        if scenario.nodes > 1 && link.delay >= until {
            let takes = format!("less than until ({until}), as nothing would arrive in time");
            return Err(Invalid::value("delay", &link.delay, &takes));
        }
        Ok(())
    };
    times().map_err(|invalid: Invalid| invalid.under("link"))
}

/// Checks the durations of the weather. Its shares are checked when they are parsed.
fn check_weather(weather: &Weather) -> Result<(), Invalid> {
    for (key, span) in [
        ("spike-max", weather.spike),
        ("reorder-max", weather.reorder),
    ] {
        at_most(key, span, DELAY_MAX, &"24h")?;
    }
    for (key, span) in [
        ("storm", weather.storm),
        ("calm", weather.calm),
        ("until", weather.until.since(Instant::ZERO)),
    ] {
        at_most(key, span, UNTIL_MAX, &"1000000h")?;
    }
    Ok(())
}

/// Checks that a node is one of the cluster's.
fn exists(key: &'static str, node: NodeId, scenario: &Scenario) -> Result<(), Invalid> {
    match scenario.nodes {
        nodes if node.0 < nodes => Ok(()),
        1 => Err(Invalid::value(
            key,
            &node.0,
            &"only node 0: there is one node",
        )),
        nodes => {
            let takes = format!("a node from 0 to {}: there are {nodes} nodes", nodes - 1);
            Err(Invalid::value(key, &node.0, &takes))
        }
    }
}

/// Checks that all nodes of a set are of the cluster.
fn exist(key: &'static str, set: NodeSet, scenario: &Scenario) -> Result<(), Invalid> {
    set.iter().try_for_each(|node| exists(key, node, scenario))
}

/// Checks that a fault refers to existing nodes and ends before the run is given up. A fault that
/// outlasts the run would leave no time to see whether the cluster recovers.
fn check_fault(planned: &Planned, scenario: &Scenario) -> Result<(), Invalid> {
    let (kind, until) = (planned.kind(), scenario.time_max);
    let at = planned.at.since(Instant::ZERO);
    if at >= until {
        let takes = format!("a time before until ({until}), when the run is given up");
        return Err(Invalid::value("at", &at, &takes));
    }
    if let Some(lasts) = planned.lasts
        && lasts > Duration::from_micros(until.as_micros() - at.as_micros())
    {
        let takes = format!(
            "less: this {kind} would be over after until ({until}), when the run is given up"
        );
        return Err(Invalid::value("lasts", &lasts, &takes));
    }
    if let Some(Target::Node(node)) = planned.fault.target() {
        exists("node", node, scenario)?;
    }
    match planned.fault {
        Fault::Partition(side) => exist("side", side, scenario),
        Fault::OneWay { from, to } | Fault::Clog { from, to } => {
            exist("from", from, scenario)?;
            exist("to", to, scenario)
        }
        Fault::Partial { one, other } => {
            exist("one", one, scenario)?;
            exist("other", other, scenario)
        }
        Fault::Change { add, remove } => {
            exist("add", add, scenario)?;
            exist("remove", remove, scenario)
        }
        Fault::SlowDisk { sync, .. } => at_most("sync", sync, DELAY_MAX, &"24h"),
        _ => Ok(()),
    }
}
