use super::table::FAMILIES;
use super::{Facts, Histogram, Kind, Section, exposition, write_info};
use crate::metrics::facts::{JournalFacts, Outside};
use crate::net::ScrapeCounts;
use crate::service::Counters;
use std::collections::{BTreeMap, BTreeSet};
use synod::wire::Dropped;
use synod::{Duration, Marks, NodeId, NodeState, Slot};

/// Facts in which every counter has a value of its own. All fields are named, so that a new one is added here, and is then
/// missed in the table.
fn facts() -> (Facts, u64) {
    let mut last = 1_000;
    let mut next = || {
        last += 1;
        last
    };
    let mut small = || usize::try_from(next()).unwrap();
    let marks = Marks {
        window: small(),
        votes: small(),
        waiting: small(),
        pending: small(),
        requesters: small(),
        sessions: small(),
    };
    let journal = JournalFacts {
        used: small(),
        peak: small(),
        capacity: small(),
        checkpoints: u32::try_from(small()).unwrap(),
    };
    let (keys, waiting, clients) = ((small(), small(), small()), small(), small());
    let (members, reached) = (small(), (small(), small()));
    let mut few = || u32::try_from(small()).unwrap();
    let dropped = Dropped {
        damaged: few(),
        version: few(),
        foreign: few(),
        malformed: few(),
    };
    let counters = Counters {
        syncs: next(),
        batches: next(),
        operations: next(),
        reads: next(),
        timeouts: next(),
        refused: next(),
    };
    let mut commits = Histogram::default();
    commits.observe(Duration::from_micros(300));
    let outside = Outside {
        clients,
        connections: (next(), next()),
        refused: next(),
        scrapes: ScrapeCounts {
            served: next(),
            refused: next(),
        },
        commits,
        start: next(),
        unix: next(),
    };
    let facts = Facts {
        node: NodeId(2),
        state: NodeState::Leading,
        leader: Some(NodeId(2)),
        is_member: true,
        is_durable: true,
        epoch: 7,
        members,
        reached,
        applied: Slot::new(next()),
        marks,
        counters,
        dropped,
        waiting,
        journal,
        keys,
        expired: next(),
        strangers: next(),
        refused: next(),
        unsent: next(),
        memory: next(),
        outside,
    };
    (facts, last)
}

/// Returns `INFO` as far as it comes from the table.
fn info(facts: &Facts) -> BTreeMap<String, String> {
    let mut text = String::new();
    for section in [Section::Clients, Section::Memory, Section::Synod] {
        write_info(&mut text, section, facts);
    }
    let lines = text.split_terminator("\r\n");
    let entries = lines.map(|line| line.split_once(':').unwrap());
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A sample: its name, its labels, and its value.
type Sample = (String, Vec<(String, String)>, String);

/// Reads a line of the format, by its grammar.
fn sample(line: &str) -> Sample {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let is_name = |name: &str| {
        name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
    };
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    assert!(is_name(name), "{line}");
    let labels = labels.split_terminator(',').map(|label| {
        let (key, value) = label.split_once('=').unwrap();
        let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        assert!(is_name(key) && !key.contains(':'), "{line}");
        assert!(!value.contains(['"', '\\', '\n']), "{line}");
        (key.to_owned(), value.to_owned())
    });
    assert!(value.parse::<f64>().is_ok(), "{line}");
    (name.to_owned(), labels.collect(), value.to_owned())
}

/// Reads the whole format: each family once, with its help, its kind and its samples together. Returns all samples.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n') && !text.contains('\r'));
    let mut samples: Vec<Sample> = Vec::new();
    let mut families = BTreeSet::new();
    let mut family = (String::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(!help.is_empty() && !help.ends_with('.'), "{line}");
            assert!(families.insert(name.to_owned()), "{name} is there twice");
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (of, kind) = kind.split_once(' ').unwrap();
            assert_eq!(of, name);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            family = (name.to_owned(), kind.to_owned());
            continue;
        }
        let sample = sample(line);
        let (name, kind) = &family;
        let rest = sample.0.strip_prefix(name.as_str()).unwrap();
        let allowed: &[&str] = match kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(allowed.contains(&rest), "{line}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        let is_new = samples
            .iter()
            .all(|other| (&other.0, &other.1) != (&sample.0, &sample.1));
        assert!(is_new, "twice: {line}");
        samples.push(sample);
    }
    samples
}

#[test]
fn the_whole_output_follows_the_grammar_of_the_format() {
    let samples = parse(&exposition(&facts().0));
    assert!(samples.len() > FAMILIES.len());
    let buckets = samples
        .iter()
        .filter(|(name, ..)| name == "synod_commit_duration_seconds_bucket");
    let counts: Vec<u64> = buckets.map(|(.., value)| value.parse().unwrap()).collect();
    assert!(
        counts.is_sorted() && counts.last() == Some(&1),
        "{counts:?}"
    );
}

#[test]
fn info_and_metrics_have_the_same_figures_and_forget_none() {
    let (facts, last) = facts();
    let (info, samples) = (info(&facts), parse(&exposition(&facts)));
    let figures = FAMILIES.iter().flat_map(|family| {
        let figures = family.figures.iter();
        figures.map(move |figure| (family, figure))
    });
    let mut keys = BTreeSet::new();
    for (family, figure) in figures {
        assert!(keys.insert(figure.key), "{} is there twice", figure.key);
        let of_info = match (family.kind, info[figure.key].as_str()) {
            (Kind::Flag, "true") => "1",
            (Kind::Flag, "false") => "0",
            (_, number) => number,
        };
        let label = |labels: &[(String, String)]| {
            let words = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{value}\""));
            words.collect::<String>()
        };
        let found = samples
            .iter()
            .find(|(name, labels, _)| name == family.name && label(labels) == figure.label);
        assert_eq!(found.map(|(.., value)| value.as_str()), Some(of_info));
    }
    assert_eq!(keys.len(), info.len());
    for value in 1_001..=last {
        let is_told = info.values().any(|told| *told == value.to_string());
        assert!(is_told, "no figure tells {value} of the facts");
    }
}
