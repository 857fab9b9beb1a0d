//! Schema of a scenario file: its tables, and the text forms of durations, percentages and seeds.

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

/// A seed: an integer, or a string if it exceeds the integers of TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeedValue(pub(super) u64);

impl Serialize for SeedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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
    pub(super) fn placement(&self) -> Result<Placement, Invalid> {
        match self {
            Self::Number(node) => Ok(Placement::One(NodeId(*node))),
            Self::Word(word) if word == "spread" => Ok(Placement::Spread),
            Self::Word(word) => Err(Invalid::value("place", word, &"spread or a node")),
        }
    }

    fn target(&self) -> Result<Target, Invalid> {
        match self {
            Self::Number(node) => Ok(Target::Node(NodeId(*node))),
            Self::Word(word) if word == "leader" => Ok(Target::Leader),
            Self::Word(word) => Err(Invalid::value("node", word, &"leader or a node")),
        }
    }

    fn of(target: Target) -> Self {
        match target {
            Target::Node(node) => Self::Number(node.0),
            Target::Leader => Self::Word("leader".to_owned()),
        }
    }
}

/// Outcome of a recorded run.
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
    pub(super) delay: Option<DurationText>,
    pub(super) jitter: Option<DurationText>,
    pub(super) loss: Option<PercentText>,
}

impl LinkTable {
    pub(super) fn link(&self, default: &Options) -> Link {
        let delay = self.delay.map_or(default.delay, |span| span.0);
        let usual = default.jitter().min(delay);
        Link {
            delay,
            jitter: self.jitter.map_or(usual, |span| span.0),
            loss_ppm: self.loss.map_or(default.loss_ppm, |share| share.0),
        }
    }
}

/// The table `[weather]`: message faults that happen by chance. Missing keys disable a fault; `storm` and `until` are
/// required.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WeatherTable {
    #[serde(default = "no_share")]
    loss: PercentText,
    #[serde(default = "no_share")]
    duplicate: PercentText,
    #[serde(default = "no_share")]
    spike: PercentText,
    #[serde(default = "no_time")]
    spike_max: DurationText,
    #[serde(default = "no_share")]
    reorder: PercentText,
    #[serde(default = "no_time")]
    reorder_max: DurationText,
    storm: DurationText,
    #[serde(default = "no_time")]
    calm: DurationText,
    until: DurationText,
}

const fn no_share() -> PercentText {
    PercentText(0)
}

const fn no_time() -> DurationText {
    DurationText(Duration::ZERO)
}

impl WeatherTable {
    pub(super) fn of(weather: &Weather) -> Self {
        Self {
            loss: PercentText(weather.loss_ppm),
            duplicate: PercentText(weather.duplicate_ppm),
            spike: PercentText(weather.spike_ppm),
            spike_max: DurationText(weather.spike),
            reorder: PercentText(weather.reorder_ppm),
            reorder_max: DurationText(weather.reorder),
            storm: DurationText(weather.storm),
            calm: DurationText(weather.calm),
            until: DurationText(weather.until.since(Instant::ZERO)),
        }
    }

    pub(super) fn weather(&self) -> Weather {
        Weather {
            loss_ppm: self.loss.0,
            duplicate_ppm: self.duplicate.0,
            spike_ppm: self.spike.0,
            spike: self.spike_max.0,
            reorder_ppm: self.reorder.0,
            reorder: self.reorder_max.0,
            storm: self.storm.0,
            calm: self.calm.0,
            until: Instant::ZERO + self.until.0,
        }
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
    kind: String,
    at: Option<DurationText>,
    lasts: Option<DurationText>,
    node: Option<NodeOrWord>,
    side: Option<Vec<u16>>,
    from: Option<Vec<u16>>,
    to: Option<Vec<u16>>,
    one: Option<Vec<u16>>,
    other: Option<Vec<u16>>,
    /// Clock rate error, in millionths; positive if the clock is fast.
    rate_ppm: Option<i32>,
    /// Clock jump, in microseconds.
    by_us: Option<i64>,
    /// Duration of a sync.
    sync: Option<DurationText>,
}

impl FaultTable {
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
        }
        table
    }

    pub(super) fn planned(&self) -> Result<Planned, Invalid> {
        let kind = FaultKind::ALL
            .into_iter()
            .find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| {
            let names = values::fault_names();
            Invalid::value("kind", &self.kind, &format_args!("one of {names}"))
        })?;
        let fault = self.fault(kind)?;
        let missing = |key: &str| Invalid::new(format!("a {kind} needs '{key}'"));
        let lasts = self.lasts.map(|span| span.0);
        match (kind, lasts) {
            (FaultKind::Crash, Some(_)) => {
                let what = "a crash is for good: one that lasts is a restart";
                return Err(Invalid::new(what).under("lasts"));
            }
            (FaultKind::Crash | FaultKind::Jump, None) | (_, Some(_)) => {}
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
            FaultKind::Loss | FaultKind::Duplicate | FaultKind::Spike | FaultKind::Reorder => {
                let what = format!("{kind} happens by chance: it belongs to [weather]");
                return Err(Invalid::new(what).under("kind"));
            }
        })
    }
}
