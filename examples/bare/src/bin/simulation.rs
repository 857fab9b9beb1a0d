//! A whole simulated cluster of three nodes and its clients.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

use core::hint::black_box;
use synod::Digest;
use synod::machines::Kv;
use synod::simulation::{KvScript, Scenario, Simulation};

type Cluster = Simulation<Kv<16>, KvScript, 16, 16, 2, 3, 128>;

fn program() {
    let scenario = Scenario::of(black_box(6), 3);
    let mut digest = Digest::new();
    if let Ok(mut cluster) = Cluster::new(&scenario, KvScript::new(11)) {
        black_box(cluster.run(&mut digest));
        black_box(cluster.report());
    }
    black_box(digest.value());
}

example_bare::entry!(program);
