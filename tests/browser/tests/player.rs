//! The page of a run in a browser: what it shows is what happened.
//!
//! Pages are written by the library, as the program does, and what they must show is computed here, from the simulation and
//! the log. `player.mjs` opens the pages in Chromium and compares.

#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use synod::machines::Kv;
use synod::simulation::{Calm, Kill, KvScript, Simulation, Target};
use synod::{Event, Instant, MessageKind, Node, NodeId, Record, StateMachine, Tracer};
use synod_host::log::{Filter, Level, Player};
use synod_host::run::{HostTracer, KEYS, PAGE, WINDOW};
use synod_host::summary::Summary;
use synod_host::sweep::{Seeds, Sweep};
use synod_host::{Finished, Options, case, run};

/// Sessions of a node in small runs of the program.
const CLIENTS: usize = 16;
/// What a page of the default run may weigh.
const PAGE_BYTES_MAX: usize = 600 << 10;
/// The slot whose story is compared with the log.
const SLOT: u64 = 31;

/// The simulation of a small run without faults, as the program has it.
type Small = Simulation<Calm<Kv<KEYS>, KvScript, 16, 1024>, WINDOW, CLIENTS, PAGE>;

/// Lists the lines of the log about a slot, as `--slot` chooses them.
#[derive(Default)]
struct LinesOfSlot {
    filter: Filter,
    lines: Vec<String>,
}

impl<M: StateMachine, const P: usize> Tracer<M, P> for LinesOfSlot {
    fn record(&mut self, record: &Record<'_, M, P>) {
        if self.filter.admits(record) {
            self.lines.push(record.to_string());
        }
    }
}

impl HostTracer for LinesOfSlot {}

/// Lists what leaders have found to be chosen.
#[derive(Default)]
struct Chosen(Vec<(NodeId, u64)>);

impl<M: StateMachine, const P: usize> Tracer<M, P> for Chosen {
    fn record(&mut self, record: &Record<'_, M, P>) {
        if let Event::Chosen { slot, ballot, .. } = record.event {
            assert_eq!(ballot.leader(), record.node);
            self.0.push((record.node, slot.number()));
        }
    }
}

/// Returns a run whose leader is killed, on links that lose a lot.
fn with_a_kill() -> Options {
    let mut options = Options::new(216);
    options.nodes = 5;
    options.loss_ppm = 200_000;
    options.kills = vec![Kill {
        target: Target::Leader,
        at: Instant::from_micros(800_000),
    }];
    options
}

/// Steps a run again, and returns what its nodes are at ten times that are not those of events.
fn states(options: &Options) -> Vec<Json> {
    let mut events = vec![];
    let mut simulation = started(options);
    while simulation.step(&mut ()).is_none() {
        events.push(simulation.now().as_micros());
    }
    let end = events.last().copied().unwrap();
    // Any ten times do, as long as they are the same ones in each run of this test.
    let times = (1..=10_u64).map(|nth| (nth * 7_368_787 + 31 * nth * nth) % end);
    let mut times: Vec<_> = times.filter(|t| !events.contains(t)).collect();
    times.sort_unstable();
    assert!(times.len() > 8);
    let mut simulation = started(options);
    let mut chosen = Chosen::default();
    let mut steps = 0;
    let mut states = vec![];
    for t in times {
        let until = events.partition_point(|at| *at <= t);
        while steps < until {
            simulation.step(&mut chosen);
            steps += 1;
        }
        let nodes = simulation.nodes();
        let nodes = nodes.map(|node| state(node, simulation.is_live(node.id()), &chosen));
        states.push(json!({ "t": t, "nodes": nodes.collect::<Vec<_>>() }));
    }
    states
}

/// Returns the simulation of a run before its first event.
fn started(options: &Options) -> Box<Small> {
    let mut simulation = Box::new(Small::idle());
    let script = KvScript::new(options.requests);
    simulation.start(&options.scenario(), script).unwrap();
    simulation
}

/// Returns what a panel must show of a node.
fn state<M: StateMachine, const W: usize, const C: usize, const P: usize>(
    node: &Node<M, W, C, P>,
    is_live: bool,
    chosen: &Chosen,
) -> Json {
    if !is_live {
        return json!({ "state": "down" });
    }
    let (status, lengths) = (node.status(), node.lengths());
    let ballot = |ballot: synod::Ballot| match ballot {
        synod::Ballot::NULL => "none".to_owned(),
        ballot => ballot.to_string(),
    };
    let follows = match status.leader {
        None => "nobody".to_owned(),
        Some(leader) if leader == node.id() => "itself".to_owned(),
        Some(leader) => leader.to_string(),
    };
    let votes = node
        .votes()
        .map(|entry| (entry.slot.number(), entry.ballot.round()));
    let own = |slot: &u64| node.leading().is_some() && chosen.0.contains(&(node.id(), *slot));
    json!({
        "state": status.state.to_string(),
        "promised": ballot(node.promised()),
        "leading": ballot(node.leading().unwrap_or(synod::Ballot::NULL)),
        "follows": follows,
        "applied": node.applied().number(),
        "decided": node.known_decided().number(),
        "roles": node.roles().map(synod::Role::name).collect::<Vec<_>>().join(" "),
        "queues": [lengths.window, lengths.waiting, lengths.pending, lengths.requesters, lengths.sessions],
        "votes": votes.collect::<Vec<_>>(),
        "chosen": (1..500).filter(own).collect::<Vec<_>>(),
    })
}

/// Writes the page of a run, and returns what it must show.
fn page(folder: &Path, name: &str, options: &Options) -> Json {
    let mut tracers = (Player::new(), LinesOfSlot::default());
    tracers.1.filter = Filter {
        level: Level::Trace,
        slots: vec![SLOT..=SLOT],
        ..Filter::default()
    };
    let finished = run(options, &mut tracers).unwrap();
    let summary = Summary {
        run_seed: options.run_seed,
        command: &options.command(),
        finished: &finished,
        verified: None,
    };
    let page = tracers.0.page(&summary);
    let path = folder.join(name);
    fs::write(&path, &page).unwrap();
    json!({
        "file": path,
        "bytes": page.len(),
        "traffic": traffic(&finished),
        "slot": SLOT,
        "lines": tracers.1.lines,
        "states": states(options),
        "elections": finished.leaderships.all().len(),
    })
}

/// Writes the page of a run with all faults, and returns what it must show: on disks, with copies, delays and losses.
fn page_with_faults(folder: &Path, seed: u64) -> Json {
    let sweep = Sweep::new(Seeds {
        first: seed,
        end: Some(seed + 1),
    });
    let mut player = Player::new();
    let finished = case::run(&sweep.source.case(seed), &mut player).unwrap();
    let summary = Summary {
        run_seed: seed,
        command: &sweep.source.command(seed),
        finished: &finished,
        verified: None,
    };
    let path = folder.join(format!("faults-{seed}.html"));
    fs::write(&path, player.page(&summary)).unwrap();
    json!({
        "file": path,
        "traffic": traffic(&finished),
        "faults": finished.began.count_ones(),
    })
}

/// Returns how many messages were sent, lost and delivered.
fn traffic(finished: &Finished) -> Json {
    let tally = &finished.tally;
    let sum = |count: &dyn Fn(MessageKind) -> u64| -> u64 {
        MessageKind::ALL.into_iter().map(count).sum()
    };
    json!({
        "messages": sum(&|kind| tally.sent(kind)),
        "lost": sum(&|kind| tally.lost(kind)),
        "delivered": sum(&|kind| tally.delivered(kind)),
    })
}

/// Returns an empty folder for the pages and their pictures.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("player");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
#[cfg_attr(
    no_browser,
    ignore = "apt-get install chromium nodejs npm; npm ci --prefix tests/browser"
)]
fn a_page_shows_in_a_browser_what_happened() {
    let folder = folder();
    let default = page(&folder, "default.html", &Options::new(6));
    assert!(default["bytes"].as_u64().unwrap() < u64::try_from(PAGE_BYTES_MAX).unwrap());
    let mut long = Options::new(6);
    long.requests = 100;
    let pages = json!({
        "default": default,
        "kill": page(&folder, "kill.html", &with_a_kill()),
        "long": page(&folder, "long.html", &long),
        "faults-1": page_with_faults(&folder, 1),
        "faults-13": page_with_faults(&folder, 13),
    });
    fs::write(folder.join("expected.json"), pages.to_string()).unwrap();
    let status = Command::new("node")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--test", "--test-reporter=spec", "player.mjs"])
        .env("SYNOD_PAGES", &folder)
        // The runner of tests otherwise takes itself for a part of another one.
        .env_remove("NODE_TEST_CONTEXT")
        .status();
    let status = status.unwrap_or_else(|error| {
        panic!("node did not start ({error}): apt-get install -y nodejs npm chromium");
    });
    assert!(status.success(), "see above");
    println!("pictures of both themes are in {}", folder.display());
}

#[test]
#[cfg_attr(
    no_browser,
    ignore = "apt-get install chromium nodejs npm; npm ci --prefix tests/browser"
)]
fn the_scripts_of_the_page_have_the_types_that_they_say() {
    let output = Command::new("node")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("node_modules/typescript/bin/tsc")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
