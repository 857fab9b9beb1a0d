//! Trouble of every kind at once, drawn from a seed; then peace, in which everybody must come to agree.

use crate::harness::cluster::{Cluster, millis};
use synod::Duration;

fn chaos(seed: u64, size: u16, rounds: u32) {
    let mut c = Cluster::lit(size, seed);
    let mut nonces = Vec::new();
    let mut lost = 0;
    let number = |c: &mut Cluster, below: u16| u16::try_from(c.draw(u64::from(below))).unwrap();
    for _ in 0..rounds {
        match c.draw(12) {
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
                let percent = c.draw(40);
                c.lose_percent(percent);
            }
            6 => c.hold(|letter| letter.from.0 == 1),
            7 => {
                let reversed = c.draw(2) == 0;
                c.release(reversed);
            }
            8 => c.double(|letter| letter.to.0 == 2),
            9 => c.forget_rules(),
            // Less than half of the voters are lost.
            10 if (lost + 1) * 2 < size && c.live().all(|node| c.node(node).is_active()) => {
                let node = number(&mut c, size);
                if c.live().any(|live| live == node && c.node(node).is_voter()) {
                    lost += 1;
                    match c.draw(3) {
                        0 => c.stop(node),
                        1 => c.fence(node),
                        _ => {
                            // Its requests are forgotten with all else.
                            nonces.retain(|(at, _)| *at != node);
                            c.stop(node);
                            c.learn(node);
                        }
                    }
                }
            }
            _ => {}
        }
        for _ in 0..c.draw(5) {
            let node = number(&mut c, size);
            c.nonce_of_live(node, &mut nonces);
        }
        let span = c.draw(400);
        c.run_for(millis(span));
    }
    c.heal();
    c.forget_rules();
    c.release(false);
    c.run_until("everybody agrees in the end", Cluster::is_calm);
    c.run_for(Duration::from_secs(3));
    c.run_until("and still does", Cluster::is_calm);
    let live: Vec<u16> = c.live().collect();
    for (node, nonce) in nonces {
        assert!(
            !live.contains(&node) || c.registered(nonce).is_some(),
            "seed {seed}: NODE_{node} was never answered"
        );
    }
}

/// `CHAOS_SEEDS` in the environment asks for more seeds.
#[test]
fn nothing_breaks_the_rules_and_everybody_recovers() {
    let count = std::env::var("CHAOS_SEEDS").ok();
    let seeds: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(20);
    for seed in 0..seeds {
        for size in [3, 5] {
            chaos(seed, size, 60);
        }
    }
}
