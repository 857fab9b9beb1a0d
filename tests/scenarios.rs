//! The scenarios that ship as examples: each is read, runs to a good end, and shows what it is there to show.

use synod::simulation::{FaultKind, Verdict};
use synod_host::Finished;
use synod_host::case::{read, run};

fn finished(name: &str) -> Finished {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/scenarios/");
    let (case, outcome) = read(format!("{folder}{name}.toml").as_ref()).unwrap();
    assert_eq!(outcome, None);
    let finished = run(&case, &mut ()).unwrap();
    assert_eq!(finished.verdict, Verdict::Done, "{:?}", finished.report);
    assert_eq!(finished.report.right, finished.report.expected);
    finished
}

#[test]
fn a_leader_that_is_cut_off_is_replaced() {
    let tally = finished("leader-cut-off").tally;
    assert!(tally.adopted >= 3 && tally.stepped_down >= 1);
    assert_eq!(tally.faults(FaultKind::Partition), 1);
    assert_eq!(tally.faults(FaultKind::Pause), 1);
}

#[test]
fn a_cluster_without_power_comes_back() {
    let finished = finished("power-cut");
    assert_eq!(finished.tally.restarted, 4);
    assert_eq!(finished.report.live, 3);
}

#[test]
fn a_storm_has_everything() {
    let finished = finished("storms");
    for kind in FaultKind::ALL {
        let expected = !matches!(
            kind,
            FaultKind::Partition | FaultKind::Restart | FaultKind::Pause
        );
        assert_eq!(finished.tally.faults(kind) > 0, expected, "{kind}");
    }
    assert!(
        finished.tally.installed > 5,
        "the five who joined, and who fell behind"
    );
}
