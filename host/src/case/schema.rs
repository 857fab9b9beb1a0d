//! Schema of a scenario file: its tables, and the text forms of durations, percentages and seeds.
//!
//! The types here have the form of the file, in which almost everything is optional and texts have
//! units. Each is converted into the type that the simulation takes, and back, so that no type of
//! the core has to know what a file looks like.

use super::invalid::Invalid;
use crate::options::{Options, Percent};
use crate::values;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use synod::simulation::{Fault, FaultKind, Link, Placement, Planned, Target, Weather};
use synod::{Duration, Instant, NODES_MAX, NodeId, NodeSet};

/// A duration as text: `"30ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationText(pub(super) Duration);

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let invalid = |takes| D::Error::custom(format_args!("got '{text}', but takes {takes}"));
        values::duration(&text).map(Self).map_err(invalid)
    }
}

/// A ratio in millionths, as text: `"5%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PercentText(pub(super) u32);

impl Serialize for PercentText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Percent(self.0))
    }
}

impl<'de> Deserialize<'de> for PercentText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let invalid = |takes| D::Error::custom(format_args!("got '{text}', but takes {takes}"));
        values::percent(&text).map(Self).map_err(invalid)
    }
}

/// A seed: an integer, or a string if it exceeds the integers of TOML. TOML has integers of 64 bits
/// with a sign, and seeds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeedValue(pub(super) u64);

impl Serialize for SeedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A number in the file where it is possible, as a person would write it.
        match i64::try_from(self.0) {
            Ok(number) => serializer.serialize_i64(number),
            Err(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for SeedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a seed is a whole number from 0, or one in quotes"
        )]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => {
                let invalid =
                    |takes| D::Error::custom(format_args!("got '{text}', but takes {takes}"));
                values::seed(&text).map(Self).map_err(invalid)
            }
        }
    }
}

/// A node, or a word in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "takes a node such as 3, or a word in quotes")]
pub(super) enum NodeOrWord {
    /// The number of a node.
    Number(u16),
    /// `"leader"`, `"spread"` or `"last"`.
    Word(String),
}

impl NodeOrWord {
    /// Returns where the clients are, as the value of `place`.
    pub(super) fn placement(&self) -> Result<Placement, Invalid> {
        match self {
            Self::Number(node) => Ok(Placement::One(NodeId(*node))),
            Self::Word(word) if word == "spread" => Ok(Placement::Spread),
            Self::Word(word) => Err(Invalid::value("place", word, &"spread or a node")),
        }
    }

    /// Returns whom a fault strikes, as the value of `node`.
    fn target(&self) -> Result<Target, Invalid> {
        match self {
            Self::Number(node) => Ok(Target::Node(NodeId(*node))),
            Self::Word(word) if word == "leader" => Ok(Target::Leader),
            Self::Word(word) => Err(Invalid::value("node", word, &"leader or a node")),
        }
    }

    /// Returns the value of `node` for a target.
    fn of(target: Target) -> Self {
        match target {
            Target::Node(node) => Self::Number(node.0),
            Target::Leader => Self::Word("leader".to_owned()),
        }
    }
}

/// Outcome of a recorded run.
///
/// A replay must have the same, and otherwise exits with 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// `done`, `stalled`, or the name of the violated rule.
    pub verdict: String,
    /// Digest of the trace, as hexadecimal digits.
    pub digest: String,
}

/// The table `[link]`: properties of every link.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LinkTable {
    /// Mean delay of a message.
    pub(super) delay: Option<DurationText>,
    /// Greatest deviation from the delay.
    pub(super) jitter: Option<DurationText>,
    /// Share of messages that are lost at any time.
    pub(super) loss: Option<PercentText>,
}

impl LinkTable {
    /// Returns the link. The default jitter is cut to the delay, as on the command line.
    pub(super) fn link(&self, default: &Options) -> Link {
        let delay = self.delay.map_or(default.delay, |span| span.0);
        // A jitter that was given is left as it is: if it exceeds the delay, `limits` says so.
        let usual = default.jitter().min(delay);
        Link {
            delay,
            jitter: self.jitter.map_or(usual, |span| span.0),
            loss_ppm: self.loss.map_or(default.loss_ppm, |share| share.0),
        }
    }
}

/// The table `[weather]`: message faults that happen by chance. Missing keys disable a fault; `storm`, `until` and at
/// least one fault are required.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WeatherTable {
    /// Share of messages that are lost in a storm.
    loss: Option<PercentText>,
    /// Share of messages that arrive twice.
    duplicate: Option<PercentText>,
    /// Share of messages that are late by up to `spike-max`.
    spike: Option<PercentText>,
    spike_max: Option<DurationText>,
    /// Share of messages that are held back by up to `reorder-max`.
    reorder: Option<PercentText>,
    reorder_max: Option<DurationText>,
    /// Duration of each storm; calm and storm take turns.
    storm: DurationText,
    /// Duration of the calm before each storm.
    calm: Option<DurationText>,
    /// Time from which on it is calm for good.
    until: DurationText,
}

impl WeatherTable {
    /// Returns the table of some weather, with every key, so that a share of 0 % stays one.
    pub(super) fn of(weather: &Weather) -> Self {
        Self {
            loss: Some(PercentText(weather.loss_ppm)),
            duplicate: Some(PercentText(weather.duplicate_ppm)),
            spike: Some(PercentText(weather.spike_ppm)),
            spike_max: Some(DurationText(weather.spike)),
            reorder: Some(PercentText(weather.reorder_ppm)),
            reorder_max: Some(DurationText(weather.reorder)),
            storm: DurationText(weather.storm),
            calm: Some(DurationText(weather.calm)),
            until: DurationText(weather.until.since(Instant::ZERO)),
        }
    }

    /// Returns the weather, or why the table describes none.
    pub(super) fn weather(&self) -> Result<Weather, Invalid> {
        let shares = [self.loss, self.duplicate, self.spike, self.reorder];
        // A share of 0 % disables a fault on purpose. Weather without any share is a mistake.
        if shares.iter().all(Option::is_none) {
            let what = "[weather] needs one of 'loss', 'duplicate', 'spike' and 'reorder', as nothing happens otherwise";
            return Err(Invalid::new(what).under("weather"));
        }
        for (key, most, needs, share) in [
            ("spike-max", self.spike_max, "spike", self.spike),
            ("reorder-max", self.reorder_max, "reorder", self.reorder),
        ] {
            if most.is_some() && share.is_none() {
                let what =
                    format!("{key} in [weather] needs '{needs}': how many messages are late");
                return Err(Invalid::new(what).under(key).under("weather"));
            }
        }
        let share = |share: Option<PercentText>| share.map_or(0, |share| share.0);
        let span = |span: Option<DurationText>| span.map_or(Duration::ZERO, |span| span.0);
        Ok(Weather {
            loss_ppm: share(self.loss),
            duplicate_ppm: share(self.duplicate),
            spike_ppm: share(self.spike),
            spike: span(self.spike_max),
            reorder_ppm: share(self.reorder),
            reorder: span(self.reorder_max),
            storm: self.storm.0,
            calm: span(self.calm),
            until: Instant::ZERO + self.until.0,
        })
    }
}

/// Returns the names of the kinds of faults that can be planned, separated by commas.
pub fn planned_kinds() -> String {
    let kinds = FaultKind::ALL.into_iter();
    let names: Vec<_> = kinds
        .filter(|kind| !is_chance(*kind))
        .map(FaultKind::name)
        .collect();
    names.join(", ")
}

/// True if a kind of fault happens by chance and is configured in `[weather]`.
const fn is_chance(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Loss | FaultKind::Duplicate | FaultKind::Spike | FaultKind::Reorder
    )
}

/// A table `[[fault]]`: a planned fault.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct FaultTable {
    /// Name of the kind of fault, which determines the other keys.
    kind: String,
    /// Time of its beginning, from the start of the run.
    at: Option<DurationText>,
    /// Duration; a crash and a change have none, and a jump need not.
    lasts: Option<DurationText>,
    /// Node that it strikes, or `leader` for whichever leads at that time.
    node: Option<NodeOrWord>,
    /// Nodes on one side of a partition.
    side: Option<Vec<u16>>,
    /// Senders of the messages that are cut off or clogged.
    from: Option<Vec<u16>>,
    /// Recipients of these messages.
    to: Option<Vec<u16>>,
    /// Nodes of one group of a partial partition.
    one: Option<Vec<u16>>,
    /// Nodes of the other group; nodes of neither reach both.
    other: Option<Vec<u16>>,
    /// Clock rate error, in millionths; positive if the clock is fast.
    rate_ppm: Option<i32>,
    /// Clock jump, in microseconds.
    by_us: Option<i64>,
    /// Duration of a sync.
    sync: Option<DurationText>,
    /// Nodes that become members.
    add: Option<Vec<u16>>,
    /// Members that are removed.
    remove: Option<Vec<u16>>,
}

impl FaultTable {
    /// Returns the table of a planned fault, with the keys of its kind alone.
    pub(super) fn of(planned: &Planned) -> Self {
        let mut table = Self {
            kind: planned.kind().name().to_owned(),
            at: Some(DurationText(planned.at.since(Instant::ZERO))),
            lasts: planned.lasts.map(DurationText),
            node: planned.fault.target().map(NodeOrWord::of),
            ..Self::default()
        };
        let list = |nodes: NodeSet| Some(nodes.iter().map(|node| node.0).collect());
        match planned.fault {
            Fault::Crash(_)
            | Fault::Pause(_)
            | Fault::Torn(_)
            | Fault::FailedWrite(_)
            | Fault::FullDisk(_)
            | Fault::Rot(_) => {}
            Fault::Partition(side) => table.side = list(side),
            Fault::OneWay { from, to } | Fault::Clog { from, to } => {
                (table.from, table.to) = (list(from), list(to));
            }
            Fault::Partial { one, other } => (table.one, table.other) = (list(one), list(other)),
            Fault::Skew { rate_ppm, .. } => table.rate_ppm = Some(rate_ppm),
            Fault::Jump { by_micros, .. } => table.by_us = Some(by_micros),
            Fault::SlowDisk { sync, .. } => table.sync = Some(DurationText(sync)),
            Fault::Change { add, remove } => {
                (table.add, table.remove) = (list(add), list(remove));
            }
        }
        table
    }

    /// Refuses the keys that a fault of this kind does not have. Ignoring them would run another
    /// fault than the one that was meant.
    fn check_keys(&self, kind: FaultKind) -> Result<(), Invalid> {
        let takes: &[&str] = match kind {
            FaultKind::Partition => &["side"],
            FaultKind::OneWay | FaultKind::Clog => &["from", "to"],
            FaultKind::Partial => &["one", "other"],
            FaultKind::Skew => &["node", "rate-ppm"],
            FaultKind::Jump => &["node", "by-us"],
            FaultKind::SlowDisk => &["node", "sync"],
            FaultKind::Change => &["add", "remove"],
            _ => &["node"],
        };
        for (key, is_there) in [
            ("node", self.node.is_some()),
            ("side", self.side.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("one", self.one.is_some()),
            ("other", self.other.is_some()),
            ("rate-ppm", self.rate_ppm.is_some()),
            ("by-us", self.by_us.is_some()),
            ("sync", self.sync.is_some()),
            ("add", self.add.is_some()),
            ("remove", self.remove.is_some()),
        ] {
            if is_there && !takes.contains(&key) {
                let what = format!("a {kind} has no '{key}'");
                return Err(Invalid::new(what).under(key));
            }
        }
        Ok(())
    }

    /// Returns the planned fault, or what is missing or too much.
    pub(super) fn planned(&self) -> Result<Planned, Invalid> {
        // By the names that reports and the command line use as well.
        let kind = FaultKind::ALL
            .into_iter()
            .find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| {
            let names = values::fault_names();
            Invalid::value("kind", &self.kind, &format_args!("one of {names}"))
        })?;
        if !is_chance(kind) {
            self.check_keys(kind)?;
        }
        let fault = self.fault(kind)?;
        let missing = |key: &str| Invalid::new(format!("a {kind} needs '{key}'"));
        let lasts = self.lasts.map(|span| span.0);
        match (kind, lasts) {
            // The core has one fault for both, whose end is a restart.
            (FaultKind::Crash, Some(_)) => {
                let what = "a crash is for good: one that lasts is a restart";
                return Err(Invalid::new(what).under("lasts"));
            }
            (FaultKind::Change, Some(_)) => {
                let what =
                    "a change of the members is over when it has taken effect: it has no 'lasts'";
                return Err(Invalid::new(what).under("lasts"));
            }
            (FaultKind::Crash | FaultKind::Jump | FaultKind::Change, None) | (_, Some(_)) => {}
            _ => return Err(missing("lasts")),
        }
        let at = self.at.ok_or_else(|| missing("at"))?;
        Ok(Planned {
            at: Instant::ZERO + at.0,
            lasts,
            fault,
        })
    }

    /// Returns the fault of a kind, from the keys that the kind needs.
    fn fault(&self, kind: FaultKind) -> Result<Fault, Invalid> {
        let missing = |key: &str| Invalid::new(format!("a {kind} needs '{key}'"));
        let target = || self.node.as_ref().ok_or_else(|| missing("node"))?.target();
        let nodes = |list: &Option<Vec<u16>>, key: &'static str| -> Result<NodeSet, Invalid> {
            let list = list.as_ref().ok_or_else(|| missing(key))?;
            match list.iter().find(|node| **node >= NODES_MAX) {
                Some(node) => {
                    let what = format!("{key} has {node}, but nodes go from 0 to 63");
                    Err(Invalid::new(what).under(key))
                }
                None => Ok(list.iter().map(|node| NodeId(*node)).collect()),
            }
        };
        Ok(match kind {
            FaultKind::Crash | FaultKind::Restart => Fault::Crash(target()?),
            FaultKind::Pause => Fault::Pause(target()?),
            FaultKind::Partition => Fault::Partition(nodes(&self.side, "side")?),
            FaultKind::OneWay => Fault::OneWay {
                from: nodes(&self.from, "from")?,
                to: nodes(&self.to, "to")?,
            },
            FaultKind::Clog => Fault::Clog {
                from: nodes(&self.from, "from")?,
                to: nodes(&self.to, "to")?,
            },
            FaultKind::Partial => Fault::Partial {
                one: nodes(&self.one, "one")?,
                other: nodes(&self.other, "other")?,
            },
            FaultKind::Skew => Fault::Skew {
                target: target()?,
                rate_ppm: self.rate_ppm.ok_or_else(|| missing("rate-ppm"))?,
            },
            FaultKind::Jump => Fault::Jump {
                target: target()?,
                by_micros: self.by_us.ok_or_else(|| missing("by-us"))?,
            },
            FaultKind::Torn => Fault::Torn(target()?),
            FaultKind::SlowDisk => Fault::SlowDisk {
                target: target()?,
                sync: self.sync.ok_or_else(|| missing("sync"))?.0,
            },
            FaultKind::FailedWrite => Fault::FailedWrite(target()?),
            FaultKind::FullDisk => Fault::FullDisk(target()?),
            FaultKind::Rot => Fault::Rot(target()?),
            FaultKind::Change => {
                if self.add.is_none() && self.remove.is_none() {
                    let what = "a change needs 'add', 'remove' or both: who becomes a member, and who is removed";
                    return Err(Invalid::new(what).under("kind"));
                }
                let some = |list: &Option<Vec<u16>>, key| match list {
                    Some(_) => nodes(list, key),
                    None => Ok(NodeSet::EMPTY),
                };
                Fault::Change {
                    add: some(&self.add, "add")?,
                    remove: some(&self.remove, "remove")?,
                }
            }
            FaultKind::Loss | FaultKind::Duplicate | FaultKind::Spike | FaultKind::Reorder => {
                let what = format!("{kind} happens by chance: it belongs to [weather]");
                return Err(Invalid::new(what).under("kind"));
            }
        })
    }
}
