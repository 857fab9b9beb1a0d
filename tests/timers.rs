//! The table of timers in `core/src/timer.rs`, held against what nodes do.

use crate::harness::cluster::{Cluster, Timings, millis};
use crate::recovery_time::trouble;
use std::collections::BTreeSet;
use synod::machines::{Key, KvCommand};
use synod::{Duration, NodeId, Timer};

const SOURCE: &str = include_str!("../core/src/timer.rs");

/// The rows of the table: the timer, what begins it, what ends it, and what follows if the message is lost.
fn rows() -> Vec<[&'static str; 4]> {
    let table = SOURCE
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `"));
    let cells = table.map(|row| {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let cells: [&str; 4] = cells.try_into().unwrap();
        cells.map(str::trim)
    });
    cells.collect()
}

fn table() -> Timings {
    let mut timings = Timings::default();
    for [name, begun, ended, lost] in rows() {
        let is_it = |timer: &Timer| format!("{timer:?}") == name.trim_end_matches('`');
        let timer = Timer::ALL.into_iter().find(is_it).unwrap();
        let named = |cell: &'static str| cell.split(", ").map(move |cause| (timer, cause));
        timings
            .begun
            .extend(named(begun).filter(|(_, cause)| *cause != "start"));
        timings
            .ended
            .extend(named(ended).filter(|(_, cause)| *cause != "–"));
        assert!(lost.len() > 20, "{name}: what if its message is lost?");
    }
    timings
}

/// All that can befall nodes, and more of it than of the usual.
fn seen(seeds: u64) -> Timings {
    let mut timings = Timings::default();
    for seed in 0..seeds {
        let size = if seed.is_multiple_of(2) { 3 } else { 5 };
        let mut c = Cluster::dark(size, seed);
        for node in 0..size {
            if seed.is_multiple_of(5) && node == 1 {
                c.found(node);
            } else {
                c.start(node);
            }
            let pause = c.draw(400);
            c.run_for(millis(pause));
        }
        if seed.is_multiple_of(3) {
            // A registration at a node that has not joined, and one whose storage fails before it has.
            c.register(size - 1);
        }
        c.run_until("all follow a leader", Cluster::is_calm);
        let client = c.decide(1, 30);
        match seed % 4 {
            0 => c.fence(c.leader().unwrap()),
            1 => c.fence(c.follower(0)),
            _ => {}
        }
        trouble(&mut c, size);
        c.heal();
        c.forget_rules();
        for node in 0..size {
            if !c.live().any(|live| live == node) {
                c.restart(node);
            }
        }
        c.run_for(Duration::from_secs(3));
        // Where all of the room is taken by what was asked in the trouble, this is refused.
        let _ = c.ask(0, client, 31, KvCommand::Get(Key::numbered(1)));
        c.run_for(Duration::from_secs(5));
        timings.begun.extend(&c.timers.begun);
        timings.ended.extend(&c.timers.ended);
    }
    timings
}

type Causes = BTreeSet<(Timer, &'static str)>;

fn told(causes: &Causes) -> String {
    let lines = Timer::ALL.map(|timer| {
        let of = causes.iter().filter(|(of, _)| *of == timer);
        let causes: Vec<&str> = of.map(|(_, cause)| *cause).collect();
        format!("{timer:?}: {}", causes.join(", "))
    });
    lines.join("\n")
}

/// Nothing but what the table says was seen, and so much of a hundred parts of that.
fn holds(table: &Causes, seen: &Causes, percent: usize) {
    let others: Causes = seen.difference(table).copied().collect();
    assert!(
        others.is_empty(),
        "not in the table:\n{}\nof\n{}",
        told(&others),
        told(seen)
    );
    let unseen: Causes = table.difference(seen).copied().collect();
    let enough = seen.len() * 100 >= table.len() * percent;
    assert!(enough, "only in the table:\n{}", told(&unseen));
}

fn table_holds(seeds: u64, percent: usize) {
    assert_eq!(rows().len(), Timer::ALL.len());
    let (table, seen) = (table(), seen(seeds));
    println!(
        "begun by\n{}\nended by\n{}",
        told(&seen.begun),
        told(&seen.ended)
    );
    holds(&table.begun, &seen.begun, percent);
    holds(&table.ended, &seen.ended, percent);
}

#[test]
fn timers_are_begun_and_ended_by_what_the_table_says_and_by_nothing_else() {
    table_holds(200, 60);
}

#[test]
#[ignore = "takes minutes"]
fn everything_that_the_table_says_of_timers_happens() {
    table_holds(5_000, 100);
}

#[test]
fn a_node_that_has_joined_always_waits_for_something() {
    for seed in 0..20 {
        let mut c = Cluster::calm(3, seed);
        trouble(&mut c, 3);
        for node in c.live().collect::<Vec<_>>() {
            let armed: Vec<Timer> = c.node(node).armed().collect();
            let watches = [Timer::Join, Timer::Election, Timer::Scout, Timer::Quorum];
            let is_watched = armed.iter().any(|timer| watches.contains(timer));
            assert!(is_watched, "{}: {armed:?}", NodeId(node));
        }
    }
}
