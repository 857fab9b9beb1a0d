//! Small sweeps: results that depend only on the seeds, and each way in which a sweep ends.

use super::*;
use crate::case;
use core::sync::atomic::{AtomicBool, Ordering};
use synod::simulation::{Bound, ScenarioError};

const SEEDS: Seeds = Seeds {
    first: 0,
    end: Some(40),
};

fn jobs(jobs: usize) -> NonZeroUsize {
    NonZeroUsize::new(jobs).unwrap()
}

fn of_swarm(faults: &[FaultKind], nodes: Option<u16>, seeds: Seeds) -> Sweep {
    let faults = faults
        .iter()
        .fold(FaultSet::NONE, |set, kind| set.with(*kind));
    Sweep {
        source: Source::Swarm(Swarm { faults, nodes }),
        ..Sweep::new(seeds)
    }
}

fn of_scenario(text: &str) -> Sweep {
    let (case, _) = case::parse(text).unwrap();
    Sweep {
        source: Source::scenario(case, Path::new("scenario.toml")),
        ..Sweep::new(SEEDS)
    }
}

/// A scenario in which some runs finish within the time bound and some do not.
const TIGHT: &str = "nodes = 3\nclients = 2\nrequests = 3\nuntil = \"1100ms\"";

/// Returns the result of a sweep with its duration set to zero.
fn swept(of: &Sweep) -> Swept {
    let mut swept = sweep(of, &|_| {}, &AtomicBool::new(false)).unwrap();
    swept.took = Duration::ZERO;
    swept
}

#[test]
fn three_hundred_seeds_with_all_faults_succeed() {
    let seeds = Seeds {
        first: 0,
        end: Some(300),
    };
    let swept = swept(&Sweep::new(seeds));
    assert_eq!(swept.failures, []);
    assert_eq!((swept.exit(), &swept.missing), (Exit::Done, &vec![]));
    assert_eq!(
        (swept.runs, swept.next, swept.end),
        (300, 300, End::Through)
    );
    assert!(
        swept
            .coverage
            .faults()
            .all(|(_, occurrences)| occurrences.runs > 30)
    );
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let [one, three] = [1, 3].map(|count| {
        swept(&Sweep {
            jobs: jobs(count),
            ..Sweep::new(SEEDS)
        })
    });
    assert_eq!(one, three);
    assert_eq!(one.runs, 40);
}

#[test]
fn the_shards_together_are_the_whole_sweep() {
    let whole = swept(&Sweep::new(SEEDS));
    let shards = [1, 2, 3].map(|index| {
        swept(&Sweep {
            shard: Shard { index, count: 3 },
            ..Sweep::new(SEEDS)
        })
    });
    assert_eq!(shards.each_ref().map(|shard| shard.runs), [14, 13, 13]);
    assert_eq!(shards.each_ref().map(|shard| shard.next), [40; 3]);
    for of in [
        |swept: &Swept| swept.answered,
        |swept: &Swept| swept.deliveries,
        |swept: &Swept| swept.coverage.struck(),
    ] {
        assert_eq!(shards.iter().map(of).sum::<u64>(), of(&whole));
    }
    assert_eq!(
        shards.iter().filter_map(|shard| shard.longest).max(),
        whole.longest
    );
}

#[test]
fn the_failure_with_the_smallest_seed_is_the_first() {
    let all = swept(&Sweep {
        keep_going: true,
        ..of_scenario(TIGHT)
    });
    let first = *all.failures.first().expect("some are not done in time");
    assert!(all.failures.len() < 40, "some are done in time");
    assert!(first.run_seed > 0, "the first one among them");
    assert!(all.failures.is_sorted_by_key(|failure| failure.run_seed));
    assert_eq!(all.failed(Exit::Stalled), all.failures.len());
    assert_eq!(
        (all.runs, all.end, all.exit()),
        (40, End::Through, Exit::Stalled)
    );
    for count in [1, 4] {
        let swept = swept(&Sweep {
            jobs: jobs(count),
            ..of_scenario(TIGHT)
        });
        assert_eq!(swept.failures, [first]);
        assert_eq!((swept.end, swept.exit()), (End::Failed, Exit::Stalled));
        assert_eq!(swept.runs, first.run_seed + 1, "none is counted after it");
        assert_eq!(swept.next, first.run_seed + 1);
    }
}

#[test]
fn the_command_of_a_failure_repeats_its_run() {
    let sweep = of_scenario(TIGHT);
    let first = swept(&sweep).failures[0];
    assert_eq!(first.verdict, Verdict::Stalled(Bound::Time));
    assert_eq!(
        sweep.source.command(first.run_seed),
        format!("synod run {} --scenario scenario.toml", first.run_seed)
    );
    let again = case::run(&sweep.source.case(first.run_seed), &mut ()).unwrap();
    assert_eq!((again.digest, again.verdict), (first.digest, first.verdict));
    let one = Seeds {
        first: 17,
        end: Some(18),
    };
    let swarm = of_swarm(&[FaultKind::Pause, FaultKind::Loss], Some(3), one);
    let alone = case::run(&swarm.source.case(17), &mut ()).unwrap();
    let swept = swept(&swarm);
    assert_eq!(swept.digest, folded(Digest::new(), alone.digest));
    assert_eq!(
        swarm.source.command(7),
        "synod run 7 --faults loss,pause --nodes 3"
    );
    assert_eq!(
        Sweep::new(SEEDS).source.command(7),
        "synod run 7 --faults all"
    );
    let (case, _) = case::parse("").unwrap();
    assert_eq!(
        Source::scenario(case, Path::new("it's a file.toml")).command(7),
        r"synod run 7 --scenario 'it'\''s a file.toml'"
    );
}

#[test]
fn a_requested_fault_that_never_struck_is_missing() {
    // Seed 1 draws no pause.
    let seeds = Seeds {
        first: 1,
        end: Some(2),
    };
    let swept = swept(&of_swarm(&[FaultKind::Pause], None, seeds));
    assert_eq!(swept.missing, [Missing::Fault(FaultKind::Pause)]);
    assert_eq!((swept.exit(), swept.end), (Exit::Vacuous, End::Through));
}

#[test]
fn a_fault_of_a_scenario_that_never_struck_is_missing() {
    let calm = "[weather]\nduplicate = \"5%\"\nstorm = \"1s\"\nuntil = \"1us\"";
    let fault = "[[fault]]\nkind = \"partition\"\nat = \"100ms\"\nlasts = \"1s\"\nside = [1]";
    let text = format!("nodes = 3\n[link]\nloss = \"0%\"\n{calm}\n{fault}");
    let swept = swept(&of_scenario(&text));
    assert_eq!(swept.missing, [Missing::Fault(FaultKind::Duplicate)]);
    let occurrences = |wanted| swept.coverage.faults().find(|(kind, _)| *kind == wanted);
    let (_, partitions) = occurrences(FaultKind::Partition).unwrap();
    assert_eq!((partitions.runs, partitions.times), (40, 40));
    let (_, losses) = occurrences(FaultKind::Loss).unwrap();
    assert_eq!(
        losses.runs, 0,
        "what a partition cuts off is no loss by chance"
    );
}

#[test]
fn with_all_faults_every_event_is_expected_after_some_runs() {
    let all = Sweep::new(SEEDS);
    let due = Expectations::of(&all);
    assert!(
        FaultKind::ALL
            .iter()
            .all(|kind| due.fault(*kind) == Some(100))
    );
    assert_eq!(due.rare_event(RareEvent::Snapshot), Some(1_000));
    let mut nothing = Swept::new(0);
    nothing.answered = 1;
    for (runs, missing) in [
        (1, 0),
        (99, 0),
        (100, 19),
        (1_000, 44),
        (2_000, 46),
        (10_000, 47),
        (20_000, 48),
        (100_000, 49),
        (200_000, 50),
    ] {
        nothing.runs = runs;
        assert_eq!(due.missing(&nothing).len(), missing, "{runs} runs");
    }
    let Source::Swarm(swarm) = &all.source else {
        panic!("all faults are drawn");
    };
    let source = Source::Swarm(Swarm {
        nodes: Some(2),
        ..*swarm
    });
    let two = Expectations::of(&Sweep { source, ..all });
    assert_eq!(two.fault(FaultKind::Partition), Some(100));
    for cannot in [FaultKind::Partial, FaultKind::Crash, FaultKind::Rot] {
        assert_eq!(two.fault(cannot), None, "{cannot} among two nodes");
    }
    assert_eq!(
        two.rare_event(RareEvent::Snapshot),
        None,
        "sizes are not drawn"
    );
}

#[test]
fn a_time_budget_of_zero_allows_no_run() {
    let swept = swept(&Sweep {
        time: Some(Duration::ZERO),
        ..Sweep::new(Seeds {
            first: 5,
            end: None,
        })
    });
    assert_eq!((swept.runs, swept.next, swept.end), (0, 5, End::Time));
    assert_eq!(swept.missing, [Missing::Run]);
    assert_eq!(swept.exit(), Exit::Vacuous);
}

#[test]
fn a_sweep_stopped_at_once_still_runs_one_seed_per_thread() {
    let stop = AtomicBool::new(true);
    let all = Sweep {
        jobs: jobs(1),
        ..Sweep::new(Seeds {
            first: 3,
            end: None,
        })
    };
    let stopped = sweep(&all, &|_| {}, &stop).unwrap();
    assert_eq!(stopped.end, End::Stopped);
    assert_eq!((stopped.runs, stopped.next), (1, 4), "one job, one run");
}

#[test]
fn a_stopped_sweep_finishes_the_runs_in_progress() {
    let stop = AtomicBool::new(false);
    let all = Sweep {
        jobs: jobs(2),
        ..Sweep::new(Seeds {
            first: 0,
            end: None,
        })
    };
    let stop_after_five = |progress: Progress| {
        stop.fetch_or(progress.runs >= 5, Ordering::Relaxed);
    };
    let stopped = sweep(&all, &stop_after_five, &stop).unwrap();
    assert_eq!(
        (stopped.end, stopped.exit()),
        (End::Stopped, Exit::Interrupted)
    );
    assert_eq!(stopped.next, stopped.runs, "nothing is left out");
    assert!(stopped.runs >= 5);
    let seeds = Seeds {
        first: 0,
        end: Some(stopped.runs),
    };
    assert_eq!(swept(&Sweep::new(seeds)).digest, stopped.digest);
}

#[test]
fn a_stopped_sweep_counts_no_run_after_a_failure() {
    let failing = Sweep {
        jobs: jobs(40),
        ..of_scenario(TIGHT)
    };
    let whole = swept(&failing);
    for _ in 0..20 {
        // Each thread starts a run if it can, so that there are usually runs after the one that fails.
        let mut stopped = sweep(&failing, &|_| {}, &AtomicBool::new(true)).unwrap();
        if stopped.failures.is_empty() {
            assert!(stopped.runs < whole.runs);
            continue;
        }
        assert!(matches!(stopped.end, End::Stopped | End::Failed));
        (stopped.took, stopped.end) = (whole.took, whole.end);
        assert_eq!(stopped, whole, "the same seeds have the same results");
    }
}

#[test]
fn a_run_does_not_depend_on_other_runs_of_the_sweep() {
    for source in [Sweep::new(SEEDS), of_scenario(TIGHT)] {
        let among = swept(&Sweep {
            keep_going: true,
            jobs: jobs(4),
            ..source.clone()
        });
        let mut digest = Digest::new();
        for seed in SEEDS.first..SEEDS.end.unwrap() {
            let alone = case::run(&source.source.case(seed), &mut ()).unwrap();
            digest = folded(digest, alone.digest);
            let failed = among
                .failures
                .iter()
                .find(|failure| failure.run_seed == seed);
            let digests = (alone.digest, alone.verdict);
            assert!(failed.is_none_or(|failed| (failed.digest, failed.verdict) == digests));
        }
        assert_eq!(among.digest, digest);
    }
}

#[test]
fn losses_are_not_missing_in_a_cluster_of_one_node() {
    let swept = swept(&of_scenario(
        "nodes = 1\nclients = 1\n[link]\nloss = \"5%\"",
    ));
    assert_eq!(
        (swept.missing.as_slice(), swept.exit()),
        (&[][..], Exit::Done)
    );
}

#[test]
fn verification_runs_every_seed_twice() {
    let twice = swept(&Sweep {
        verify: true,
        ..Sweep::new(SEEDS)
    });
    assert_eq!(twice, swept(&Sweep::new(SEEDS)));
    let finished = case::run(&Sweep::new(SEEDS).source.case(6), &mut ()).unwrap();
    assert_eq!(Failure::of(6, &finished, Some(finished.digest)), None);
    let other = Digest::resume(7);
    let failure = Failure::of(6, &finished, Some(other)).unwrap();
    assert_eq!(
        (failure.exit(), failure.other),
        (Exit::Diverged, Some(other))
    );
    let mut swept = Swept::new(0);
    swept.failures.push(Failure {
        verdict: Verdict::Stalled(Bound::Time),
        other: None,
        ..failure
    });
    assert_eq!(swept.exit(), Exit::Stalled);
    swept.failures.push(failure);
    assert_eq!(swept.exit(), Exit::Diverged, "worse than a stall");
}

#[test]
fn a_planned_fault_that_never_struck_is_missing_by_name() {
    let crash = "[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 1";
    let dead = "[[fault]]\nkind = \"crash\"\nat = \"2s\"\nnode = 1";
    let text = format!("nodes = 3\n[link]\nloss = \"0%\"\n{crash}\n{dead}");
    let swept = swept(&of_scenario(&text));
    assert_eq!(swept.missing, [Missing::Planned(2, FaultKind::Crash)]);
    assert_eq!(swept.missing[0].to_string(), "fault 2 (crash)");
    assert_eq!(swept.exit(), Exit::Vacuous);
}

#[test]
fn a_scenario_without_answers_is_vacuous() {
    let swept = swept(&of_scenario("nodes = 3\nclients = 0"));
    assert_eq!((swept.failures.len(), swept.answered), (0, 0));
    assert_eq!(
        (swept.missing.as_slice(), swept.exit()),
        (&[Missing::Answer][..], Exit::Vacuous)
    );
}

#[test]
fn a_scenario_that_cannot_be_run_is_an_error() {
    let mut sweep_of = of_scenario("nodes = 3");
    if let Source::Scenario { case, .. } = &mut sweep_of.source {
        case.trial.scenario.nodes = 0;
    }
    let error = sweep(&sweep_of, &|_| {}, &AtomicBool::new(false)).unwrap_err();
    assert!(
        matches!(
            error,
            crate::run::RunError::Scenario(ScenarioError::Nodes { .. })
        ),
        "{error}"
    );
}

/// Prints the distribution of a figure of single runs, given in tenths.
fn spread(name: &str, mut tenths: Vec<u64>) {
    tenths.sort_unstable();
    if tenths.is_empty() {
        return;
    }
    let at = |share: usize| tenths[(tenths.len() * share / 1_000).min(tenths.len() - 1)];
    let [half, ninety, most_of_all, nearly_all] = [500, 900, 990, 999].map(at);
    let most = tenths.last().unwrap();
    println!("{name:<16}{half:>8}{ninety:>8}{most_of_all:>8}{nearly_all:>8}{most:>8}");
}

/// Prints the figures behind `Budget::USUAL` and `Effort::usual`. The variable `PACE_SEEDS` sets the number of seeds.
#[test]
#[ignore = "takes minutes, and prints figures for a person to set limits by"]
fn the_pace_of_runs_is_printed() {
    let count = std::env::var("PACE_SEEDS").ok();
    let seeds: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let (means, spreads) = case::in_thread(|| {
        let (mut means, mut averages) = (Vec::new(), EffortAverages::default());
        let mut spreads = vec![Vec::new(); 7];
        for seed in 0..seeds {
            let case = Sweep::new(SEEDS).source.case(seed);
            let finished = case::run_here(&case, &mut ())?;
            averages.add(&case.trial, &finished);
            if (seed + 1).is_multiple_of(MANY_RUNS) {
                means.push(core::mem::take(&mut averages));
            }
            let Some(figures) = finished.effort else {
                continue;
            };
            let scenario = &case.trial.scenario;
            let usual = scenario.link.round_trip_max();
            let trip = scenario.round_trip.unwrap_or(usual).max(usual).as_micros();
            let work = figures.work(scenario.config(synod::NodeId(0)).heartbeat);
            let first = figures.first_answer.unwrap_or_default();
            if scenario.clients > case.trial.room.sessions() {
                spreads[6].push(figures.longest_wait.as_micros() * 10 / trip);
            }
            for (spread, tenths) in spreads.iter_mut().zip([
                first.as_micros() * 10 / trip,
                figures.longest_wait.as_micros() * 10 / trip,
                figures.claims * 10,
                figures.late_claims * 10,
                figures.messages * 10 / (u64::from(scenario.nodes) * work),
                figures.slots.saturating_sub(figures.answers) * 10,
            ]) {
                spread.push(tenths);
            }
        }
        Ok((means, spreads))
    })
    .unwrap();
    println!("in tenths       median     90%     99%   99.9%    most");
    let names = [
        "first-answer",
        "longest-wait",
        "claims",
        "late-claims",
        "messages",
        "slots",
        "crowded-wait",
    ];
    for (name, spread_of) in names.into_iter().zip(spreads) {
        spread(name, spread_of);
    }
    println!("averages of {MANY_RUNS} runs, in thousandths, from the least to the most");
    for effort in Effort::ALL {
        let means = || means.iter().map(|averages| averages.mean(effort));
        let (least, most) = (means().min().unwrap_or(0), means().max().unwrap_or(0));
        println!(
            "{:<16}{least:>8}{most:>8}   may be {:?}",
            effort.name(),
            effort.usual()
        );
    }
}

#[test]
fn averages_out_of_bounds_fail_a_sweep_without_failed_runs() {
    let mut swept = Swept::new(0);
    assert_eq!(swept.exit(), Exit::Done);
    swept.unusual = vec![Effort::Claims];
    assert_eq!(swept.exit(), Exit::Stalled);
    let run = |seed| {
        let case = Sweep::new(SEEDS).source.case(seed);
        let finished = case::run(&case, &mut ()).unwrap();
        finished.effort.is_some().then_some((case.trial, finished))
    };
    let (trial, finished) = (0..40).find_map(run).unwrap();
    let mut averages = EffortAverages::default();
    averages.add(&trial, &finished);
    assert_eq!(
        averages.runs, 1,
        "its effort can be compared with that of others"
    );
    assert!(
        averages.mean(Effort::Claims) >= 1_000,
        "somebody claimed once"
    );
    let figures = finished.effort.unwrap();
    assert_eq!(averages.mean(Effort::Claims), figures.claims_in_all * 1_000);
}
