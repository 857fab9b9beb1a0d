//! The museum of mutants: each mutant is caught by the walk, sweep and check that the table of
//! `core/museum/README.md` names.

use std::collections::BTreeMap;
use synod::Mutant;
use synod_host::case::{self, in_thread};
use synod_host::museum::{Detector, RandomWalks, Trials, Worlds};
use synod_host::random_walk::CheckSet;
use synod_host::shrink::shrink;
use synod_host::{Options, run};

const TABLE: &str = include_str!("../core/museum/README.md");

/// The rules whose violations random walks need not find.
const ONLY_IN_SWEEPS: [&str; 8] = ["D1", "D2", "T5", "L5", "L7", "S7", "V8", "Q2"];

/// The command that prints the table anew, after a change of the protocol.
const ANEW: &str = "cargo run --release --features mutants -- museum --seeds 8000 --worlds 500 --walks 5000 --shrink";

/// A cell such as `memory, walk 2` or `two-values, seed 0`.
struct Cell {
    check: String,
    seed: u64,
}

struct Row {
    rule: String,
    sweep: Option<Cell>,
    check: Option<Cell>,
    sign: Option<Cell>,
    harm: Option<Cell>,
}

fn parse_cell(cell: &str) -> Option<Cell> {
    let (check, walk) = cell
        .split_once(", walk ")
        .or_else(|| cell.split_once(", seed "))?;
    Some(Cell {
        check: check.to_owned(),
        seed: walk.parse().ok()?,
    })
}

fn table() -> BTreeMap<String, Row> {
    let rows = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [mutant, rule, sweep, check, sign, harm, _] = cells[..] else {
            return None;
        };
        let row = Row {
            rule: rule.to_owned(),
            sweep: parse_cell(sweep),
            check: parse_cell(check),
            sign: parse_cell(sign),
            harm: parse_cell(harm),
        };
        Some((mutant.to_owned(), row))
    })
    .collect()
}

/// Tries to catch a mutant, starting a few tries before the one that is to catch it. Returns what differs.
fn detect_again<H: Detector>(
    mutant: Mutant,
    expected: Option<&Cell>,
    detector: impl Fn(u64) -> H,
) -> Option<String> {
    let expected = expected?;
    let first = expected.seed.saturating_sub(3);
    let detector = detector(first);
    let caught = detector.detect(Some(mutant), expected.seed - first + 1);
    let how = caught.as_ref().map(|catch| (catch.check, catch.seed));
    let known = (expected.check.as_str(), expected.seed);
    (how != Some(known)).then(|| format!("{mutant}, {}: {known:?}, now {how:?}", detector.name()))
}

#[test]
fn every_mutant_is_caught_as_the_table_says() {
    let table = table();
    let mut differences = Vec::new();
    for mutant in Mutant::ALL.iter().copied() {
        let row = &table[mutant.name()];
        assert_eq!(row.rule, mutant.rule(), "{mutant}");
        // Random walks have no storage, so they cannot find mistakes with it; and they find that something never
        // ends, but not that it takes long.
        assert!(
            row.sign.is_some() || ONLY_IN_SWEEPS.contains(&mutant.rule()),
            "{mutant}: every mutant is caught by walks"
        );
        let walks = |checks| move |first| RandomWalks { checks, first };
        differences.extend(
            [
                detect_again(mutant, row.sweep.as_ref(), |first| Trials { first }),
                detect_again(mutant, row.check.as_ref(), |first| Worlds { first }),
                detect_again(mutant, row.sign.as_ref(), walks(CheckSet::All)),
                detect_again(mutant, row.harm.as_ref(), walks(CheckSet::UserVisible)),
            ]
            .into_iter()
            .flatten(),
        );
    }
    assert!(
        differences.is_empty(),
        "a change of the protocol changes what is seen: {ANEW}\n{}",
        differences.join("\n")
    );
}

/// The scenario under which correct nodes are shown to read what is new: see `tests/scenarios.rs`.
#[test]
fn reads_at_leaders_that_stood_still_show_each_mistake_with_reads() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/scenarios");
    let path = format!("{folder}/reads-at-a-paused-leader.toml");
    let (case, _) = case::read(path.as_ref()).unwrap();
    for (mutant, seeds) in [
        (Mutant::ReadUnconfirmed, 0..4),
        (Mutant::RoundOverlooked, 0..4),
        (Mutant::ReadBeforeAdopted, 292..296),
        (Mutant::LaterReadsCovered, 0..8),
        (Mutant::ReadBeforeApplied, 0..4),
    ] {
        let failure = |seed| {
            let mut case = case.clone();
            case.trial.scenario.run_seed = seed;
            case.trial.scenario.mutant = Some(mutant);
            case::run(&case, &mut ()).unwrap().failure()
        };
        let caught = seeds.into_iter().find_map(failure);
        assert_eq!(caught, Some("not-linearizable"), "{mutant}");
    }
}

#[test]
fn all_mutants_are_caught_by_the_sweep_or_the_check() {
    let table = table();
    let missed = |mutant: &&Mutant| {
        let row = &table[mutant.name()];
        row.sweep.is_none() && row.check.is_none()
    };
    let missed: Vec<&Mutant> = Mutant::ALL.iter().filter(missed).collect();
    assert!(missed.is_empty(), "only walks find {missed:?}");
}

#[test]
fn a_shrunk_counterexample_has_fewer_than_sixty_lines() {
    for (mutant, seed) in [(Mutant::AdoptedIgnored, 1), (Mutant::Amnesia, 0)] {
        let case = Trials::case(Some(mutant), seed);
        let shrunk = in_thread(|| shrink(&case, 1_500, &mut |_, _| ()));
        let shrunk = shrunk.unwrap().unwrap();
        assert!(shrunk.after.lines < 60, "{mutant}: {:?}", shrunk.after);
        let again = case::run(&shrunk.case, &mut ()).unwrap();
        assert_eq!(again.failure(), Some(shrunk.failure));
    }
}

#[test]
fn a_correct_node_is_not_caught() {
    for checks in [CheckSet::All, CheckSet::UserVisible] {
        let detector = RandomWalks { checks, first: 0 };
        assert_eq!(detector.detect(None, 50), None);
    }
    assert_eq!(Trials { first: 0 }.detect(None, 20), None);
    assert_eq!(Worlds { first: 0 }.detect(None, 20), None);
}

#[test]
fn a_run_without_a_mutant_has_the_digest_of_a_build_without_the_feature() {
    let mut options = Options::new(6);
    let digest = run(&options, &mut ()).unwrap().digest;
    assert_eq!(digest.to_string(), "6489914877d2b143");
    options.mutant = Some(Mutant::QuorumTooSmall);
    assert_ne!(run(&options, &mut ()).unwrap().digest, digest);
}

#[test]
fn every_mutant_has_a_unique_name_and_breaks_an_existing_rule() {
    let rules = include_str!("../core/RULES.md");
    for mutant in Mutant::ALL {
        assert_eq!(mutant.name().parse(), Ok(*mutant));
        let rule = format!("- **{}** ", mutant.rule());
        assert!(rules.lines().any(|line| line.starts_with(&rule)), "{rule}");
    }
    assert!("none".parse::<Mutant>().is_err());
}

#[test]
fn every_mutant_has_a_page_that_names_what_catches_it() {
    for (mutant, row) in table() {
        if mutant == "mutant" || mutant == "---" {
            continue;
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/museum");
        let page = std::fs::read_to_string(format!("{folder}/{mutant}.md")).unwrap();
        let mut facts = vec![
            format!("# {mutant}\n"),
            format!("Breaks rule {}.", row.rule),
            format!("museum {mutant}\n"),
        ];
        let expected = [row.sign, row.harm].into_iter().flatten();
        facts.extend(expected.map(|expected| format!("`{}`", expected.check)));
        for fact in facts {
            assert!(page.contains(&fact), "{mutant}: {fact}");
        }
        assert!(
            TABLE.contains(&format!("[{mutant}]({mutant}.md)")),
            "{mutant}"
        );
    }
}
