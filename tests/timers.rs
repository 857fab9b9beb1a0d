//! The table of timers in `core/src/timer.rs`, compared with the behaviour of nodes.

use crate::harness::cluster::{Cluster, Timings, millis};
use crate::recovery_time::random_faults;
use std::collections::BTreeSet;
use synod::machines::{Key, KvCommand};
use synod::{Duration, NodeId, Timer};

const SOURCE: &str = include_str!("../core/src/timer.rs");

/// Returns the rows of the table: the timer, what arms it, what disarms it, and what follows if the message is lost.
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
    for [name, armed, disarmed, lost] in rows() {
        let is_it = |timer: &Timer| format!("{timer:?}") == name.trim_end_matches('`');
        let timer = Timer::ALL.into_iter().find(is_it).unwrap();
        let named = |cell: &'static str| cell.split(", ").map(move |cause| (timer, cause));
        timings
            .armed
            .extend(named(armed).filter(|(_, cause)| *cause != "start"));
        timings
            .disarmed
            .extend(named(disarmed).filter(|(_, cause)| *cause != "–"));
        assert!(lost.len() > 20, "{name}: what if its message is lost?");
    }
    timings
}

/// Runs clusters under random faults and collects which cause arms and disarms each timer.
fn observe(seeds: u64) -> Timings {
    let mut timings = Timings::default();
    for seed in 0..seeds {
        let size = if seed.is_multiple_of(2) { 3 } else { 5 };
        let mut c = Cluster::powered_off(size, seed);
        for node in 0..size {
            if seed.is_multiple_of(5) && node == 1 {
                c.start_as_founder(node);
            } else {
                c.start(node);
            }
            let pause = c.random_below(400);
            c.run_for(millis(pause));
        }
        if seed.is_multiple_of(3) {
            // A registration at a node that has not joined, and at one whose storage fails before it has.
            c.register(size - 1);
        }
        c.run_until("all follow a leader", Cluster::is_settled);
        let client = c.decide(1, 30);
        match seed % 4 {
            0 => c.fence(c.leader().unwrap()),
            1 => c.fence(c.follower(0)),
            _ => {}
        }
        read_everywhere(&mut c, 100);
        random_faults(&mut c, size);
        read_everywhere(&mut c, 200);
        if seed.is_multiple_of(7) {
            // Nobody confirms these.
            c.isolate(0);
            c.run_for(Duration::from_secs(3));
        }
        c.heal();
        c.clear_rules();
        for node in 0..size {
            if !c.live().any(|live| live == node) {
                c.restart(node);
            }
        }
        c.run_for(Duration::from_secs(3));
        // This is refused if requests made during the faults take all of the room.
        let _ = c.ask(0, client, 31, KvCommand::Get(Key::numbered(1)));
        c.run_for(Duration::from_secs(5));
        timings.armed.extend(&c.timers.armed);
        timings.disarmed.extend(&c.timers.disarmed);
    }
    timings
}

/// Asks to read at every node, under nonces from this one on. A node may have halted, or have no room.
fn read_everywhere(c: &mut Cluster, nonce: u64) {
    for node in c.live().collect::<Vec<_>>() {
        let _ = c.read(node, nonce + u64::from(node));
    }
}

type Causes = BTreeSet<(Timer, &'static str)>;

fn describe(causes: &Causes) -> String {
    let lines = Timer::ALL.map(|timer| {
        let of = causes.iter().filter(|(of, _)| *of == timer);
        let causes: Vec<&str> = of.map(|(_, cause)| *cause).collect();
        format!("{timer:?}: {}", causes.join(", "))
    });
    lines.join("\n")
}

/// Asserts that nothing was observed that the table does not list, and that at least `percent` of its entries were
/// observed.
fn holds(table: &Causes, seen: &Causes, percent: usize) {
    let others: Causes = seen.difference(table).copied().collect();
    assert!(
        others.is_empty(),
        "not in the table:\n{}\nof\n{}",
        describe(&others),
        describe(seen)
    );
    let unseen: Causes = table.difference(seen).copied().collect();
    let enough = seen.len() * 100 >= table.len() * percent;
    assert!(enough, "only in the table:\n{}", describe(&unseen));
}

fn table_holds(seeds: u64, percent: usize) {
    assert_eq!(rows().len(), Timer::ALL.len());
    let (table, seen) = (table(), observe(seeds));
    println!(
        "armed by\n{}\ndisarmed by\n{}",
        describe(&seen.armed),
        describe(&seen.disarmed)
    );
    holds(&table.armed, &seen.armed, percent);
    holds(&table.disarmed, &seen.disarmed, percent);
}

#[test]
fn timers_are_armed_and_disarmed_only_as_the_table_lists() {
    table_holds(200, 60);
}

#[test]
#[ignore = "takes minutes"]
fn every_entry_of_the_table_of_timers_occurs() {
    table_holds(5_000, 100);
}

#[test]
fn a_node_that_has_joined_always_has_a_timer_that_makes_progress() {
    for seed in 0..20 {
        let mut c = Cluster::settled(3, seed);
        random_faults(&mut c, 3);
        for node in c.live().collect::<Vec<_>>() {
            let armed: Vec<Timer> = c.node(node).armed().collect();
            let watches = [Timer::Join, Timer::Election, Timer::Scout, Timer::Quorum];
            let is_watched = armed.iter().any(|timer| watches.contains(timer));
            assert!(is_watched, "{}: {armed:?}", NodeId(node));
        }
    }
}
