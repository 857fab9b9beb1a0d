//! Random schedules of faults and requests on a scripted cluster, each followed by a quiet phase in which the nodes
//! must agree.

use crate::harness::cluster::{Cluster, millis};
use synod::Duration;

fn run_schedule(seed: u64, size: u16, rounds: u32) {
    let mut c = Cluster::booting(size, seed);
    let mut nonces = Vec::new();
    let mut lost = 0;
    let number =
        |c: &mut Cluster, below: u16| u16::try_from(c.random_below(u64::from(below))).unwrap();
    for _ in 0..rounds {
        match c.random_below(12) {
            0 | 1 => c.heal(),
            2 | 3 => {
                let (from, to) = (number(&mut c, size), number(&mut c, size));
                c.cut_one_way(from, to);
            }
            4 => {
                let node = number(&mut c, size);
                c.isolate(node);
            }
            5 => {
                let percent = c.random_below(40);
                c.set_loss_percent(percent);
            }
            6 => c.hold_matching(|envelope| envelope.from.0 == 1),
            7 => {
                let reversed = c.random_below(2) == 0;
                c.release(reversed);
            }
            8 => c.duplicate_matching(|envelope| envelope.to.0 == 2),
            9 => c.clear_rules(),
            // Fewer than half of the voters are lost.
            10 if (lost + 1) * 2 < size && c.live().all(|node| c.node(node).is_active()) => {
                let node = number(&mut c, size);
                if c.live().any(|live| live == node && c.node(node).is_voter()) {
                    lost += 1;
                    match c.random_below(3) {
                        0 => c.stop(node),
                        1 => c.fence(node),
                        _ => {
                            // A node that starts without its memory has forgotten its requests, too.
                            nonces.retain(|(at, _)| *at != node);
                            c.stop(node);
                            c.start_as_learner(node);
                        }
                    }
                }
            }
            _ => {}
        }
        for _ in 0..c.random_below(5) {
            let node = number(&mut c, size);
            c.register_if_live(node, &mut nonces);
        }
        let span = c.random_below(400);
        c.run_for(millis(span));
    }
    c.heal();
    c.clear_rules();
    c.release(false);
    c.run_until("every node agrees in the end", Cluster::is_settled);
    c.run_for(Duration::from_secs(3));
    c.run_until("and still does", Cluster::is_settled);
    let live: Vec<u16> = c.live().collect();
    for (node, nonce) in nonces {
        assert!(
            !live.contains(&node) || c.registered(nonce).is_some(),
            "seed {seed}: NODE_{node} was never answered"
        );
    }
}

/// The environment variable `CHAOS_SEEDS` sets the number of seeds.
#[test]
fn random_faults_break_no_rule_and_the_cluster_recovers() {
    let count = std::env::var("CHAOS_SEEDS").ok();
    let seeds: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(20);
    for seed in 0..seeds {
        for size in [3, 5] {
            run_schedule(seed, size, 60);
        }
    }
}
