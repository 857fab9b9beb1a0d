//! A short campaign against real nodes.

#![cfg(target_os = "linux")]

use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::collections::BTreeSet;
use std::path::Path;
use synod_chaos::campaign;
use synod_chaos::nodes::Settings;
use synod_chaos::plan::{Cut, Plan, Planned, Strike, Way, Whom};
use synod_chaos::program;

/// Longer than a busy machine keeps anybody waiting.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
#[ignore = "builds the program with the feature server: cargo test -p synod-chaos -- --include-ignored"]
fn a_killed_node_and_a_cut_link_lose_nothing_that_was_acknowledged() {
    let kill = Strike::Kill {
        whom: Whom::One(0),
        down_ms: 300,
    };
    let cut = Strike::Isolate {
        whom: Whom::One(1),
        way: Way::Both,
        cut: Cut::Refused,
        for_ms: 700,
    };
    let plan = Plan {
        nodes: 3,
        strikes: [(300, kill), (1_500, cut)]
            .map(|(at_ms, strike)| Planned { at_ms, strike })
            .into(),
        ..Plan::draw(1, 3_000)
    };
    let settings = Settings {
        synod: program::build(program::Build::Debug).unwrap(),
        node_arguments: Vec::new(),
        record: true,
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos");
    let outcome = campaign::run(
        &plan,
        settings,
        &directory,
        PATIENCE,
        &AtomicBool::new(false),
    );
    let outcome = outcome.unwrap().unwrap();
    assert_eq!(outcome.alarms, [""; 0]);
    assert_eq!(outcome.judgement.violations.first(), None);
    let kinds: Vec<_> = outcome.struck.iter().map(|struck| struck.kind).collect();
    assert_eq!(kinds, ["kill one", "cut off"]);
    assert!(outcome.counts.acknowledged > 0);
    assert!(outcome.judgement.explained > 0);
    // At the end all keys are read at each node.
    let clients: BTreeSet<_> = outcome.records.iter().map(|record| record.client).collect();
    assert_eq!(clients.len(), plan.clients.len() + 3);
}
