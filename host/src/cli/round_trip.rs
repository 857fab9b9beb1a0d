//! Round trips of printed commands: a POSIX shell and the program must read them back unchanged.

#![cfg(unix)]

use super::*;
use crate::commands::run::Subject;
use crate::data::Data;
use crate::membership::PlannedChange;
use crate::options::{Machine, Options};
use crate::sweep::{Seeds, Shard, Source, Sweep};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process;
use synod::simulation::{FaultKind, FaultSet, Kill, Placement, Swarm, Target};
use synod::{Duration, Instant, NodeId, NodeSet};

/// Splits a line into words as a POSIX shell does.
fn shell_words(line: &str) -> Vec<OsString> {
    let script = format!("set -- {line}\nprintf '%s\\0' \"$@\"");
    let output = process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{line}"
    );
    let words = output.stdout.strip_suffix(b"\0").unwrap();
    let words = words.split(|byte| *byte == 0);
    words
        .map(|word| OsStr::from_bytes(word).to_os_string())
        .collect()
}

/// Parses a line as the program does after it was pasted into a shell.
fn pasted(line: &str) -> Command {
    parse(shell_words(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Generates file names with characters that need quoting.
fn name() -> impl Strategy<Value = PathBuf> {
    let byte = prop_oneof![
        any::<u8>(),
        proptest::sample::select(b" '\"\\$`-~#&;|<>()*?[]!{}=%\n\t.".to_vec()),
    ];
    vec(byte.prop_filter("no name has it", |byte| *byte != 0), 1..12)
        .prop_map(|bytes| OsString::from_vec(bytes).into())
}

fn options() -> impl Strategy<Value = Options> {
    let micros = |range: core::ops::Range<u64>| range.prop_map(Duration::from_micros);
    let node = (0_u16..64).prop_map(NodeId);
    let target = prop_oneof![Just(Target::Leader), node.clone().prop_map(Target::Node)];
    let kill = (target, 0_u64..100_000_000).prop_map(|(target, at)| Kill {
        target,
        at: Instant::from_micros(at),
    });
    // Nodes below 63 found the cluster, so that node 63 is always one that can be added.
    let change = (0_u64..100_000_000, 0_u16..63).prop_map(|(at, removed)| PlannedChange {
        at: Duration::from_micros(at),
        add: NodeSet::only(NodeId(63)),
        remove: NodeSet::only(NodeId(removed)),
    });
    let plan = (vec(kill, 0..3), vec(change, 0..3));
    let placement = prop_oneof![Just(Placement::Spread), node.prop_map(Placement::One)];
    let network = (
        0_u32..=1_000_000,
        micros(0..100_000_000),
        option::of(0_u64..=100),
    );
    let work = (
        any::<bool>(),
        1_u32..5_000_000,
        1_u16..=64,
        option::of(placement),
    );
    let bounds = (
        option::of(micros(200_000_000..1_000_000_000)),
        option::of(1_u64..),
    );
    (any::<u64>(), network, work, plan, bounds).prop_map(
        |(
            run_seed,
            (loss_ppm, delay, jitter),
            (is_bank, requests, clients, placement),
            (kills, changes),
            (until, events),
        )| Options {
            nodes: 63,
            loss_ppm,
            delay,
            jitter: jitter.map(|percent| delay * percent / 100),
            machine: if is_bank { Machine::Bank } else { Machine::Kv },
            requests,
            clients,
            placement,
            kills,
            changes,
            until,
            events,
            ..Options::new(run_seed)
        },
    )
}

/// Returns the same options with every default made explicit.
fn whole(options: &Options) -> Options {
    Options {
        jitter: Some(options.jitter()),
        placement: Some(
            options
                .placement
                .unwrap_or_else(|| options.default_placement()),
        ),
        until: Some(options.until.unwrap_or_else(|| options.default_until())),
        events: Some(options.events.unwrap_or_else(|| options.default_events())),
        ..options.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_is_pasted_is_the_same_run(options in options(), path in name(), learners in vec(0_u16..64, 0..3), replace in vec(0_u16..64, 0..3)) {
        let learners: Vec<_> = learners.into_iter().map(NodeId).collect();
        let replace = replace.into_iter().map(NodeId).collect();
        let data = Data { path, learners, replace };
        let subject = Subject::Stored { options: options.clone(), data: Box::new(data.clone()) };
        let Command::Run(command) = pasted(&subject.command()) else {
            panic!("it is a run");
        };
        let Subject::Stored { options: read, data: found } = command.subject else {
            panic!("it has --data");
        };
        prop_assert_eq!(whole(&read), whole(&options));
        prop_assert_eq!(*found, data);
    }

    #[test]
    fn a_sweep_that_is_pasted_is_the_same_sweep(
        first in any::<u32>(),
        runs in 1_u64..1_000_000,
        shard in (1_u32..100, 0_u32..100),
        faults in vec(0..FaultKind::ALL.len(), 0..5),
        nodes in option::of(3_u16..=16),
        flags in any::<[bool; 2]>(),
    ) {
        let first = u64::from(first);
        let faults = faults.into_iter().map(|index| FaultKind::ALL[index]);
        let swarm = Swarm { faults: faults.fold(FaultSet::NONE, FaultSet::with), nodes };
        let sweep = Sweep {
            shard: Shard { index: shard.0, count: shard.0 + shard.1 },
            source: Source::Swarm(swarm),
            keep_going: flags[0],
            verify: flags[1],
            ..Sweep::new(Seeds { first, end: Some(first + runs) })
        };
        let Command::Sweep(command) = pasted(&sweep.command(sweep.seeds)) else {
            panic!("it is a sweep");
        };
        prop_assert_eq!(&command.sweep, &sweep);
        let Command::Run(command) = pasted(&sweep.source.command(7)) else {
            panic!("it is a run");
        };
        let Subject::Case { case, .. } = command.subject else {
            panic!("it has faults");
        };
        prop_assert_eq!(*case, sweep.source.case(7));
    }

    #[test]
    fn a_file_that_is_pasted_is_the_same_file(name in name()) {
        // A name with a slash would name a file in another directory.
        let name = name.as_os_str().as_bytes().iter().map(|byte| if *byte == b'/' { b'_' } else { *byte });
        let name = OsString::from_vec(name.collect());
        prop_assume!(name != "." && name != "..");
        let path = Path::new("").join(&name);
        let words = shell_words(&replay_command(&path));
        prop_assert_eq!(words.last(), Some(&name));
        let read = Cli::try_parse_from(words);
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        let Some(Action::Replay(args)) = read.action else {
            panic!("it is a replay");
        };
        prop_assert_eq!(args.file(), path);
    }
}
