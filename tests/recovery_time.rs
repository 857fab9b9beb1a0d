//! Recovery time: how soon a cluster answers after faults end, and how few claims it needs for that.
//!
//! A round trip takes up to 100 ms here, and a leader is suspected after 500 ms. The long versions print what they
//! measured: `cargo test --release -p synod-tests --test synod -- --ignored --nocapture recovery_time::`.

use crate::harness::cluster::{Cluster, millis};
use crate::harness::trace::EventKind;
use synod::{Duration, Role};

/// Injects random network and node faults for a while: one-way and two-way cuts, isolated nodes, partitions, loss of
/// up to all messages, and crashes; each for a moment or for long.
pub(crate) fn random_faults(c: &mut Cluster, size: u16) {
    let end = c.now() + Duration::from_secs(5 + c.random_below(40));
    let mut nonces = Vec::new();
    let node = |c: &mut Cluster| u16::try_from(c.random_below(u64::from(size))).unwrap();
    while c.now() < end {
        match c.random_below(9) {
            0 => {
                let (one, other) = (node(c), node(c));
                c.cut_one_way(one, other);
            }
            1 => {
                let away = node(c);
                c.isolate(away);
            }
            2 => {
                let group = 1 + c.random_below((1 << size) - 2);
                let is_there = |node: &u16| group >> *node & 1 == 1;
                let (here, there): (Vec<u16>, Vec<u16>) = (0..size).partition(is_there);
                c.cut(&here, &there);
            }
            3 => {
                let percent = c.random_below(130);
                c.set_loss_percent(percent);
            }
            4 | 5 => {
                let victim = node(c);
                if c.live().any(|live| live == victim) {
                    c.stop(victim);
                } else {
                    c.restart(victim);
                }
            }
            6 => {
                c.heal();
                c.clear_rules();
            }
            _ => {
                let asked = node(c);
                c.register_if_live(asked, &mut nonces);
            }
        }
        let long = c.random_below(4) == 0;
        let pause = c.random_below(if long { 6_000 } else { 600 });
        c.run_for(millis(pause));
    }
}

/// Runs random faults until all of them end; returns the time until a request made then is answered.
fn time_to_first_answer(seed: u64) -> Duration {
    let size = if seed.is_multiple_of(2) { 3 } else { 5 };
    let mut c = Cluster::settled(size, seed);
    random_faults(&mut c, size);
    c.heal();
    c.clear_rules();
    for node in 0..size {
        if !c.live().any(|live| live == node) {
            c.restart(node);
        }
    }
    let healed = c.now();
    let asked = u16::try_from(c.random_below(u64::from(size))).unwrap();
    // All room may be taken by requests made during the faults.
    let mut nonces = Vec::new();
    c.register_if_live(asked, &mut nonces);
    c.clear_answers();
    match nonces.first() {
        Some((_, nonce)) => c.run_until("it is answered", |c| c.registered(*nonce).is_some()),
        None => c.run_until("a request is answered", Cluster::has_answered),
    }
    c.now().since(healed)
}

/// Returns the median, the 99th percentile and the maximum, in round trips of 100 ms, rounded up.
fn percentiles(mut spans: Vec<Duration>) -> [u64; 3] {
    spans.sort();
    let at = |index: usize| spans[index].as_micros().div_ceil(100_000);
    [spans.len() / 2, spans.len() * 99 / 100, spans.len() - 1].map(at)
}

fn recover(seeds: u64) {
    let [median, p99, worst] = percentiles((0..seeds).map(time_to_first_answer).collect());
    println!("{seeds} seeds: first answer after {median} round trips, p99 {p99}, worst {worst}");
    assert!(p99 <= 15 && worst <= 30, "p99 {p99}, worst {worst}");
}

#[test]
fn l5_back_off_does_not_outlast_the_faults() {
    recover(100);
}

#[test]
#[ignore = "takes minutes"]
fn l5_back_off_does_not_outlast_the_faults_of_many_seeds() {
    recover(10_000);
}

/// Returns the number of claims by nodes that boot at once, until they follow one leader.
fn claims_at_boot(size: u16, seed: u64) -> usize {
    let mut c = Cluster::settled(size, seed);
    (0..size).for_each(|node| c.stop(node));
    c.run_for(millis(1_000));
    (0..size).for_each(|node| c.restart(node));
    let known = c.trace.events.len();
    c.run_until("they follow one leader", Cluster::is_settled);
    c.run_for(millis(3_000));
    let claims = |traced: &&crate::harness::trace::TracedEvent| {
        traced.role == Role::Scout && traced.event == EventKind::Started
    };
    c.trace.events[known..].iter().filter(claims).count()
}

fn boot(size: u16, seeds: u64) -> usize {
    let claims: Vec<usize> = (0..seeds).map(|seed| claims_at_boot(size, seed)).collect();
    let (sum, most) = (claims.iter().sum::<usize>(), claims.iter().max().unwrap());
    println!("{seeds} seeds of {size} nodes: {sum} claims, at most {most} in one");
    *most
}

#[test]
fn l5_nodes_that_boot_at_once_need_few_claims() {
    assert!(boot(3, 100) <= 3);
}

#[test]
#[ignore = "takes minutes"]
fn l5_nodes_that_boot_at_once_need_few_claims_under_many_seeds() {
    assert!(boot(3, 3_000) <= 3);
    assert!(boot(5, 3_000) <= 5);
}
