//! The example scenarios of `examples/scenarios`: each parses, runs to a good end, and shows what it is meant to
//! show.

use synod::simulation::{FaultKind, Verdict};
use synod::{Epoch, NodeId, NodeSet};
use synod_host::case::{read, run};
use synod_host::sweep::{Seeds, Source, Sweep, sweep};
use synod_host::{Exit, Finished};

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
        let elsewhere = [
            FaultKind::Partition,
            FaultKind::Restart,
            FaultKind::Pause,
            FaultKind::Change,
        ];
        let expected = !kind.is_of_disk() && !elsewhere.contains(&kind);
        assert_eq!(finished.tally.faults(kind) > 0, expected, "{kind}");
    }
    assert!(
        finished.tally.installed > 5,
        "the five who joined, and who fell behind"
    );
}

#[test]
fn disks_tear_fail_fill_up_and_rot() {
    let finished = finished("failing-disks");
    for kind in FaultKind::ALL.into_iter().filter(|kind| kind.is_of_disk()) {
        assert_eq!(finished.tally.faults(kind), 1, "{kind}");
    }
    let disks = finished.disks;
    assert!(disks.torn >= 1 && disks.slow > 10 && finished.report.grouped > 5);
    assert_eq!((disks.failed, disks.full, disks.damaged), (2, 1, 1));
    assert_eq!((finished.tally.fenced, finished.tally.restarted), (2, 4));
    let storage = finished.marks.iter().find(|mark| mark.name == "storage");
    assert!(storage.is_some_and(|mark| mark.peak > 0 && mark.peak <= mark.capacity));
}

fn nodes<const N: usize>(numbers: [u16; N]) -> NodeSet {
    numbers.into_iter().map(NodeId).collect()
}

#[test]
fn a_cluster_of_one_grows_and_replaces_a_member_that_has_lost_its_disk() {
    let finished = finished("grow-and-replace");
    let epochs = finished.epochs.all().iter();
    let epochs = epochs.map(|began| (began.epoch, began.members));
    assert!(epochs.eq([(Epoch(1), nodes([0, 1, 2])), (Epoch(2), nodes([0, 1, 3])),]));
    assert_eq!(finished.members.members, nodes([0, 1, 3]));
    assert_eq!(finished.members.removed, nodes([2]));
    assert_eq!(finished.disks.damaged, 1);
    assert_eq!((finished.report.live, finished.report.nodes), (3, 4));
}

#[test]
fn all_members_are_replaced_by_others_at_once() {
    let finished = finished("swap-all");
    let members = finished.members;
    assert_eq!(members.epoch, Epoch(1));
    assert_eq!(members.members, nodes([3, 4, 5]));
    assert_eq!(members.removed, nodes([0, 1, 2]));
    assert_eq!(members.retired, 3);
    assert_eq!(finished.tally.restarted, 1);
    assert!(finished.tally.faults(FaultKind::Duplicate) > 0 && finished.lost > 0);
}

/// True if a node believed that it leads when another one led already.
fn overlap(finished: &Finished) -> usize {
    let all = finished.leaderships.all();
    let next_begins = all.iter().skip(1).map(|next| next.from);
    let pairs = all.iter().zip(next_begins);
    pairs
        .filter(|(old, begins)| old.end.is_none_or(|(end, _)| end > *begins))
        .count()
}

/// Whoever was paused as the leader wakes up and believes that it leads, also where its clock has stood still: what is read
/// there is linearizable, as every run checks. Each mistake with reads is found so: see the museum.
#[test]
fn q2_reads_at_leaders_that_stood_still_are_linearizable() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/scenarios/");
    let path = format!("{folder}reads-at-a-paused-leader.toml");
    let (case, _) = read(path.as_ref()).unwrap();
    for seed in 0..20 {
        let mut case = case.clone();
        case.trial.scenario.run_seed = seed;
        let scenario = &case.trial.scenario;
        let timeout = scenario.config(NodeId(0)).election_timeout;
        let pauses = case.trial.plan.iter();
        let mut pauses = pauses.filter(|planned| planned.kind() == FaultKind::Pause);
        assert!(pauses.all(|pause| pause.lasts == Some(timeout * 10)));
        let finished = run(&case, &mut ()).unwrap();
        assert_eq!(finished.verdict, Verdict::Done, "seed {seed}");
        let history = finished.checks.unwrap().history;
        assert_eq!((history.requests, history.unchecked), (720, 0));
        assert_eq!(finished.tally.faults(FaultKind::Pause), 3);
        assert!(overlap(&finished) >= 2, "seed {seed}");
        assert!(finished.report.read > 100, "seed {seed}");
    }
}

#[test]
fn every_scenario_is_done_under_other_seeds_too() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (case, _) = read(&path).unwrap();
        let seeds = Seeds {
            first: 0,
            end: Some(5),
        };
        let few = Sweep {
            source: Source::scenario(case, &path),
            ..Sweep::new(seeds)
        };
        let swept = sweep(&few, &|_| {}, &false.into()).unwrap();
        assert_eq!(swept.exit(), Exit::Done, "{}: {swept:?}", path.display());
        count += 1;
    }
    assert!(count >= 9, "{count} scenarios");
}
