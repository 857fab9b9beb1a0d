//! How soon a cluster answers again when its trouble is over, and how few claims it needs for that.
//!
//! A round trip takes up to 100 ms here, and a leader is missed after 500 ms. The long versions print what they measured:
//! `cargo test --release -p synod-tests --test synod -- --ignored --nocapture recovery_time::`.

use crate::harness::cluster::{Cluster, millis};
use crate::harness::trace::What;
use synod::{Duration, Role};

/// Whatever can befall a network and its nodes for a while, drawn from the cluster's own stream: links that are cut one
/// way or both, nodes that nobody reaches, sides, loss up to all of it, losses of power; each for a moment or for long.
pub(crate) fn trouble(c: &mut Cluster, size: u16) {
    let end = c.now() + Duration::from_secs(5 + c.draw(40));
    let mut nonces = Vec::new();
    let node = |c: &mut Cluster| u16::try_from(c.draw(u64::from(size))).unwrap();
    while c.now() < end {
        match c.draw(9) {
            0 => {
                let (one, other) = (node(c), node(c));
                c.cut_one_way(one, other);
            }
            1 => {
                let away = node(c);
                c.isolate(away);
            }
            2 => {
                let group = 1 + c.draw((1 << size) - 2);
                let is_there = |node: &u16| group >> *node & 1 == 1;
                let (here, there): (Vec<u16>, Vec<u16>) = (0..size).partition(is_there);
                c.cut(&here, &there);
            }
            3 => {
                let percent = c.draw(130);
                c.lose_percent(percent);
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
                c.forget_rules();
            }
            _ => {
                let asked = node(c);
                c.nonce_of_live(asked, &mut nonces);
            }
        }
        let long = c.draw(4) == 0;
        let pause = c.draw(if long { 6_000 } else { 600 });
        c.run_for(millis(pause));
    }
}

/// The trouble of a seed, until all of it stops; says after what time a request that some node is asked then is answered.
fn answers_after(seed: u64) -> Duration {
    let size = if seed.is_multiple_of(2) { 3 } else { 5 };
    let mut c = Cluster::calm(size, seed);
    trouble(&mut c, size);
    c.heal();
    c.forget_rules();
    for node in 0..size {
        if !c.live().any(|live| live == node) {
            c.restart(node);
        }
    }
    let healed = c.now();
    let asked = u16::try_from(c.draw(u64::from(size))).unwrap();
    // All of the room may be taken by what was asked in the trouble.
    let mut nonces = Vec::new();
    c.nonce_of_live(asked, &mut nonces);
    c.forget_answers();
    match nonces.first() {
        Some((_, nonce)) => c.run_until("it is answered", |c| c.registered(*nonce).is_some()),
        None => c.run_until("somebody is answered", Cluster::has_answered),
    }
    c.now().since(healed)
}

/// The median, the 99th of a hundred, and the worst, in round trips of 100 ms and rounded up.
fn spread(mut spans: Vec<Duration>) -> [u64; 3] {
    spans.sort();
    let at = |index: usize| spans[index].as_micros().div_ceil(100_000);
    [spans.len() / 2, spans.len() * 99 / 100, spans.len() - 1].map(at)
}

fn recover(seeds: u64) {
    let [median, p99, worst] = spread((0..seeds).map(answers_after).collect());
    println!("{seeds} seeds: first answer after {median} round trips, p99 {p99}, worst {worst}");
    assert!(p99 <= 15 && worst <= 30, "p99 {p99}, worst {worst}");
}

#[test]
fn l5_back_off_does_not_outlive_the_trouble() {
    recover(100);
}

#[test]
#[ignore = "takes minutes"]
fn l5_back_off_does_not_outlive_the_trouble_of_many_seeds() {
    recover(10_000);
}

/// How many claims nodes make that boot at once, until they follow one leader.
fn claims_at_boot(size: u16, seed: u64) -> usize {
    let mut c = Cluster::calm(size, seed);
    (0..size).for_each(|node| c.stop(node));
    c.run_for(millis(1_000));
    (0..size).for_each(|node| c.restart(node));
    let known = c.log.facts.len();
    c.run_until("they follow one leader", Cluster::is_calm);
    c.run_for(millis(3_000));
    let claims = |fact: &&crate::harness::trace::Fact| {
        fact.role == Role::Scout && fact.what == What::Started
    };
    c.log.facts[known..].iter().filter(claims).count()
}

fn boot(size: u16, seeds: u64) -> usize {
    let claims: Vec<usize> = (0..seeds).map(|seed| claims_at_boot(size, seed)).collect();
    let (sum, most) = (claims.iter().sum::<usize>(), claims.iter().max().unwrap());
    println!("{seeds} seeds of {size} nodes: {sum} claims, at most {most} in one");
    *most
}

#[test]
fn l5_nodes_that_boot_at_once_duel_little() {
    assert!(boot(3, 100) <= 3);
}

#[test]
#[ignore = "takes minutes"]
fn l5_nodes_of_many_seeds_that_boot_at_once_duel_little() {
    assert!(boot(3, 3_000) <= 3);
    assert!(boot(5, 3_000) <= 5);
}
