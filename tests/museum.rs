//! Every mutant is caught: in the walk and by the check that the table in `core/museum/README.md` says.

use std::collections::BTreeMap;
use synod::Mutant;
use synod_host::museum::{Hunter, RandomWalks};
use synod_host::storm::Watch;
use synod_host::{Options, run};

const TABLE: &str = include_str!("../core/museum/README.md");

/// How to make the table anew, when the protocol has changed.
const ANEW: &str = "cargo run --release --features mutants -- museum --walks 100000";

/// A cell such as `memory, walk 2`.
struct Told {
    check: String,
    seed: u64,
}

struct Row {
    rule: String,
    sign: Option<Told>,
    harm: Option<Told>,
}

fn told(cell: &str) -> Option<Told> {
    let (check, walk) = cell.split_once(", walk ")?;
    Some(Told {
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
        let [mutant, rule, sign, harm] = cells[..] else {
            return None;
        };
        let row = Row {
            rule: rule.to_owned(),
            sign: told(sign),
            harm: told(harm),
        };
        Some((mutant.to_owned(), row))
    })
    .collect()
}

/// Hunts a mutant from a few walks before the one that is to catch it.
fn is_caught(mutant: Mutant, watch: Watch, told: &Told) {
    let first = told.seed.saturating_sub(3);
    let hunter = RandomWalks { watch, first };
    let caught = hunter.hunt(Some(mutant), told.seed - first + 1);
    let how = caught.as_ref().map(|catch| (catch.check, catch.seed));
    assert_eq!(
        how,
        Some((told.check.as_str(), told.seed)),
        "{mutant}, {watch:?}; a change of the protocol changes the walks: {ANEW}\n{caught:?}"
    );
}

#[test]
fn every_mutant_is_caught_as_the_table_says() {
    let table = table();
    for mutant in Mutant::ALL {
        let row = &table[mutant.name()];
        assert_eq!(row.rule, mutant.rule(), "{mutant}");
        let sign = row.sign.as_ref().expect("every mutant is caught");
        is_caught(*mutant, Watch::Everything, sign);
        if let Some(harm) = &row.harm {
            is_caught(*mutant, Watch::Harm, harm);
        }
    }
}

#[test]
fn who_makes_no_mistake_is_not_caught() {
    for watch in [Watch::Everything, Watch::Harm] {
        let hunter = RandomWalks { watch, first: 0 };
        assert_eq!(hunter.hunt(None, 50), None);
    }
}

#[test]
fn a_run_without_a_mutant_is_what_it_is_without_the_feature() {
    let mut options = Options::new(6);
    let digest = run(&options, &mut ()).unwrap().digest;
    assert_eq!(digest.to_string(), "56fbbd29805bc541");
    options.mutant = Some(Mutant::QuorumTooSmall);
    assert_ne!(run(&options, &mut ()).unwrap().digest, digest);
}

#[test]
fn every_mutant_has_a_name_of_its_own_and_breaks_a_rule_that_there_is() {
    let rules = include_str!("../core/RULES.md");
    for mutant in Mutant::ALL {
        assert_eq!(mutant.name().parse(), Ok(*mutant));
        let rule = format!("- **{}** ", mutant.rule());
        assert!(rules.lines().any(|line| line.starts_with(&rule)), "{rule}");
    }
    assert!("none".parse::<Mutant>().is_err());
}

#[test]
fn every_mutant_has_a_page_that_says_what_catches_it() {
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
        let told = [row.sign, row.harm].into_iter().flatten();
        facts.extend(told.map(|told| format!("`{}`", told.check)));
        for fact in facts {
            assert!(page.contains(&fact), "{mutant}: {fact}");
        }
        assert!(
            TABLE.contains(&format!("[{mutant}]({mutant}.md)")),
            "{mutant}"
        );
    }
}
