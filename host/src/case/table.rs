//! The tables of a case's file, and the values in them as people write them.

use super::wrong::Wrong;
use crate::options::{Options, Percent};
use crate::values;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use synod::simulation::{Fault, FaultKind, Link, Placement, Planned, Target, Weather};
use synod::{Duration, Instant, NODES_MAX, NodeId, NodeSet};

/// A span of time: `"30ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |takes| D::Error::custom(format_args!("got '{text}', but takes {takes}"));
        values::duration(&text).map(Self).map_err(wrong)
    }
}

/// A share, in millionths: `"5%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share(pub(super) u32);

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Percent(self.0))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |takes| D::Error::custom(format_args!("got '{text}', but takes {takes}"));
        values::percent(&text).map(Self).map_err(wrong)
    }
}

/// A seed: a number, or a string where TOML has no number as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(pub(super) u64);

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(number) => serializer.serialize_i64(number),
            Err(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Seed {
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
                let wrong =
                    |takes| D::Error::custom(format_args!("got '{text}', but takes {takes}"));
                values::seed(&text).map(Self).map_err(wrong)
            }
        }
    }
}

/// A node, or a word in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "takes a node such as 3, or a word in quotes")]
pub(super) enum Whole {
    /// A node.
    Number(u16),
    /// `"leader"`, `"spread"` or `"last"`.
    Word(String),
}

impl Whole {
    pub(super) fn placement(&self) -> Result<Placement, Wrong> {
        match self {
            Self::Number(node) => Ok(Placement::One(NodeId(*node))),
            Self::Word(word) if word == "spread" => Ok(Placement::Spread),
            Self::Word(word) => Err(Wrong::value("place", word, &"spread or a node")),
        }
    }

    fn target(&self) -> Result<Target, Wrong> {
        match self {
            Self::Number(node) => Ok(Target::Node(NodeId(*node))),
            Self::Word(word) if word == "leader" => Ok(Target::Leader),
            Self::Word(word) => Err(Wrong::value("node", word, &"leader or a node")),
        }
    }

    fn of(target: Target) -> Self {
        match target {
            Target::Node(node) => Self::Number(node.0),
            Target::Leader => Self::Word("leader".to_owned()),
        }
    }
}

/// What came of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// `done`, `stalled`, or the name of the rule that was broken.
    pub verdict: String,
    /// The digest of its trace.
    pub digest: String,
}

/// The links.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LinkTable {
    pub(super) delay: Option<Span>,
    pub(super) jitter: Option<Span>,
    pub(super) loss: Option<Share>,
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

/// The weather. What is left out does not happen; `storm` and `until` must be there, and something that happens.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WeatherTable {
    loss: Option<Share>,
    duplicate: Option<Share>,
    spike: Option<Share>,
    spike_max: Option<Span>,
    reorder: Option<Share>,
    reorder_max: Option<Span>,
    storm: Span,
    calm: Option<Span>,
    until: Span,
}

impl WeatherTable {
    pub(super) fn of(weather: &Weather) -> Self {
        Self {
            loss: Some(Share(weather.loss_ppm)),
            duplicate: Some(Share(weather.duplicate_ppm)),
            spike: Some(Share(weather.spike_ppm)),
            spike_max: Some(Span(weather.spike)),
            reorder: Some(Share(weather.reorder_ppm)),
            reorder_max: Some(Span(weather.reorder)),
            storm: Span(weather.storm),
            calm: Some(Span(weather.calm)),
            until: Span(weather.until.since(Instant::ZERO)),
        }
    }

    pub(super) fn weather(&self) -> Result<Weather, Wrong> {
        let shares = [self.loss, self.duplicate, self.spike, self.reorder];
        // A share of 0 % says that it does not happen; who says nothing at all has forgotten something.
        if shares.iter().all(Option::is_none) {
            let what = "[weather] needs one of 'loss', 'duplicate', 'spike' and 'reorder', as nothing happens otherwise";
            return Err(Wrong::new(what).under("weather"));
        }
        for (key, most, needs, share) in [
            ("spike-max", self.spike_max, "spike", self.spike),
            ("reorder-max", self.reorder_max, "reorder", self.reorder),
        ] {
            if most.is_some() && share.is_none() {
                let what =
                    format!("{key} in [weather] needs '{needs}': how many messages are late");
                return Err(Wrong::new(what).under(key).under("weather"));
            }
        }
        let share = |share: Option<Share>| share.map_or(0, |share| share.0);
        let span = |span: Option<Span>| span.map_or(Duration::ZERO, |span| span.0);
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

/// The names of the kinds of fault that can be planned, with commas between them.
pub fn planned_kinds() -> String {
    let kinds = FaultKind::ALL.into_iter();
    let names: Vec<_> = kinds
        .filter(|kind| !is_chance(*kind))
        .map(FaultKind::name)
        .collect();
    names.join(", ")
}

/// Whether a kind of fault happens by chance, as part of the weather.
const fn is_chance(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Loss | FaultKind::Duplicate | FaultKind::Spike | FaultKind::Reorder
    )
}

/// A planned fault.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct FaultTable {
    kind: String,
    at: Option<Span>,
    lasts: Option<Span>,
    node: Option<Whole>,
    side: Option<Vec<u16>>,
    from: Option<Vec<u16>>,
    to: Option<Vec<u16>>,
    one: Option<Vec<u16>>,
    other: Option<Vec<u16>>,
    /// By how many millionths a clock is fast.
    rate_ppm: Option<i32>,
    /// By how many microseconds a clock jumps.
    by_us: Option<i64>,
    /// How long a sync takes.
    sync: Option<Span>,
}

impl FaultTable {
    pub(super) fn of(planned: &Planned) -> Self {
        let mut table = Self {
            kind: planned.kind().name().to_owned(),
            at: Some(Span(planned.at.since(Instant::ZERO))),
            lasts: planned.lasts.map(Span),
            node: planned.fault.target().map(Whole::of),
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
            Fault::SlowDisk { sync, .. } => table.sync = Some(Span(sync)),
        }
        table
    }

    /// A key that says nothing about a fault of this kind is there by mistake.
    fn check_keys(&self, kind: FaultKind) -> Result<(), Wrong> {
        let takes: &[&str] = match kind {
            FaultKind::Partition => &["side"],
            FaultKind::OneWay | FaultKind::Clog => &["from", "to"],
            FaultKind::Partial => &["one", "other"],
            FaultKind::Skew => &["node", "rate-ppm"],
            FaultKind::Jump => &["node", "by-us"],
            FaultKind::SlowDisk => &["node", "sync"],
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
        ] {
            if is_there && !takes.contains(&key) {
                let what = format!("a {kind} has no '{key}'");
                return Err(Wrong::new(what).under(key));
            }
        }
        Ok(())
    }

    pub(super) fn planned(&self) -> Result<Planned, Wrong> {
        let kind = FaultKind::ALL
            .into_iter()
            .find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| {
            let names = values::fault_names();
            Wrong::value("kind", &self.kind, &format_args!("one of {names}"))
        })?;
        if !is_chance(kind) {
            self.check_keys(kind)?;
        }
        let missing = |key: &str| Wrong::new(format!("a {kind} needs '{key}'"));
        let target = || self.node.as_ref().ok_or_else(|| missing("node"))?.target();
        let nodes = |list: &Option<Vec<u16>>, key: &'static str| -> Result<NodeSet, Wrong> {
            let list = list.as_ref().ok_or_else(|| missing(key))?;
            match list.iter().find(|node| **node >= NODES_MAX) {
                Some(node) => {
                    let what = format!("{key} has {node}, but nodes go from 0 to 63");
                    Err(Wrong::new(what).under(key))
                }
                None => Ok(list.iter().map(|node| NodeId(*node)).collect()),
            }
        };
        let fault = match kind {
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
                return Err(Wrong::new(what).under("kind"));
            }
        };
        let lasts = self.lasts.map(|span| span.0);
        match (kind, lasts) {
            (FaultKind::Crash, Some(_)) => {
                let what = "a crash is for good: one that lasts is a restart";
                return Err(Wrong::new(what).under("lasts"));
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
}
