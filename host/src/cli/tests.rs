//! Parsing of whole command lines, and the errors and help pages that they produce.

use super::*;
use crate::commands::run::{OutputFormat, Subject};
use crate::commands::sweep::ReportFormat;
use crate::log::{Filter, Level};
use crate::options::{Machine, Options};
use crate::sweep::{Seeds, Shard, Source, Sweep};
use std::path::Path;
use synod::simulation::{FaultKind, FaultSet, Kill, Placement, Swarm, Target};
use synod::{Duration, Instant, NodeId, Role};

fn run_of(line: &str) -> RunCommand {
    match parse(words(line)) {
        Ok(Command::Run(command)) => command,
        Ok(other) => panic!("{line}: {other:?}"),
        Err(error) => panic!("{line}: {error}"),
    }
}

fn options_of(command: &RunCommand) -> &Options {
    match &command.subject {
        Subject::Plain(options) | Subject::Stored { options, .. } => options,
        Subject::Case { command, .. } => panic!("{command}"),
    }
}

fn error_of(line: &str) -> String {
    let error = parse(words(line)).expect_err(line).to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    ["synod"].into_iter().chain(line.split_whitespace())
}

#[test]
fn a_seed_alone_is_the_default_run() {
    let command = run_of("6");
    assert_eq!(*options_of(&command), Options::new(6));
    assert!(!command.drawn && !command.quiet && !command.verify);
    assert_eq!(command, run_of("run 6"), "'run' may be left out");
}

#[test]
fn a_missing_seed_is_drawn() {
    let command = run_of("--nodes 3");
    assert!(command.drawn);
    assert!(
        options_of(&command).run_seed < 1 << 24,
        "short enough to be typed"
    );
    assert_eq!(options_of(&command).nodes, 3);
}

#[test]
fn every_option_is_parsed() {
    let command = run_of(
        "run 7 --nodes 5 --loss 0.5% --delay 10ms --jitter 1.5ms --machine bank --requests 1_000 --clients 2 \
         --place spread --kill 3@1.5s --kill leader@800ms --until 10m --events 9 -q --format json --color always \
         --log-level trace --node 1 --node NODE_2 --role scout --slot 4 --slot 7-9 --verify --html run.html",
    );
    let expected = Options {
        nodes: 5,
        loss_ppm: 5_000,
        delay: Duration::from_millis(10),
        jitter: Some(Duration::from_micros(1_500)),
        machine: Machine::Bank,
        requests: 1_000,
        clients: 2,
        placement: Some(Placement::Spread),
        kills: vec![
            Kill {
                target: Target::Node(NodeId(3)),
                at: Instant::from_micros(1_500_000),
            },
            Kill {
                target: Target::Leader,
                at: Instant::from_micros(800_000),
            },
        ],
        until: Some(Duration::from_secs(600)),
        events: Some(9),
        ..Options::new(7)
    };
    assert_eq!(*options_of(&command), expected);
    assert_eq!(command.html.as_deref(), Some(Path::new("run.html")));
    let filter = Filter {
        level: Level::Trace,
        nodes: [NodeId(1), NodeId(2)].into_iter().collect(),
        roles: vec![Role::Scout],
        slots: vec![4..=4, 7..=9],
    };
    assert_eq!(command.filter, filter);
    assert_eq!(
        (command.form, command.colour),
        (OutputFormat::Json, Colour::Always)
    );
    assert!(command.quiet && command.verify && !command.drawn);
}

#[test]
fn the_command_in_the_summary_repeats_the_run() {
    for line in [
        "6",
        "6 --place 3 --nodes 5",
        "7 --nodes 5 --loss 0.5% --delay 10ms --jitter 1.5ms --machine bank --requests 1000 --clients 2 \
         --place spread --kill NODE_3@1.5s --kill leader@800ms --until 10m --events 9",
    ] {
        let options = options_of(&run_of(line)).clone();
        let command = options.command();
        let typed = command.strip_prefix("synod ").unwrap();
        assert_eq!(*options_of(&run_of(typed)), options, "{command}");
    }
}

#[test]
fn an_invalid_value_is_named_with_the_values_accepted() {
    for (line, error) in [
        (
            "--nodes 0",
            "--nodes got '0', but takes a whole number from 1 to 64",
        ),
        (
            "--nodes 1000",
            "--nodes got '1000', but takes a whole number from 1 to 64",
        ),
        (
            "--nodes -3",
            "--nodes got '-3', but takes a whole number from 1 to 64",
        ),
        (
            "--loss 200%",
            "--loss got '200%', but takes a percentage from 0% to 100%, such as 5% or 0.5%",
        ),
        (
            "six",
            "SEED got 'six', but takes a whole number from 0 to 18446744073709551615",
        ),
        (
            "-5",
            "SEED got '-5', but takes a whole number from 0 to 18446744073709551615",
        ),
        (
            "--jitter 50ms",
            "--jitter got '50ms', but takes at most the delay (30ms)",
        ),
        (
            "--place 14",
            "--place got '14', but takes a node from 0 to 13: there are 14 nodes",
        ),
        (
            "--node 14",
            "--node got '14', but takes a node from 0 to 13: there are 14 nodes",
        ),
        (
            "--machine abacus",
            "--machine got 'abacus', but takes kv or bank",
        ),
        (
            "--until 0s",
            "--until got '0s', but takes a duration above zero and of at most 1000000h, such as 90s or 10m",
        ),
    ] {
        assert_eq!(error_of(line), error);
    }
}

#[test]
fn an_invalid_change_or_kill_is_named_with_what_the_cluster_can_have() {
    for (line, error) in [
        (
            "--kill 99@1s",
            "--kill got '99@1s', but takes a node from 0 to 13: there are 14 nodes",
        ),
        (
            "--nodes 1 --kill 1@1s",
            "--kill got '1@1s', but takes only node 0: there is one node",
        ),
        (
            "--change 2s",
            "--change got '2s', but takes a time, a colon, and nodes from 0 to 63 to add (+) and remove (-), each named once, \
             such as 2s:+4-1",
        ),
        (
            "--nodes 3 --change 2s:+4-4",
            "--change got '2s:+4-4', but takes a change with an effect (it adds and removes node 4), such as 2s:+3-0",
        ),
        (
            "--nodes 3 --change 2s:-3",
            "--change got '2s:-3', but takes nodes that there are, 0 to 2, and not 3, such as 2s:+3-0",
        ),
        (
            "--nodes 3 --change 3m:+3",
            "--change got '180s:+3', but takes a time before --until (120s), when the run is given up, such as 2s:+3-0",
        ),
        (
            "--nodes 3 --change 2s:+3 --kill 4@1s",
            "--kill got '4@1s', but takes a node from 0 to 3: there are 4 nodes",
        ),
    ] {
        assert_eq!(error_of(line), error);
    }
}

#[test]
fn a_word_that_is_missing_unknown_or_too_many_is_named() {
    for (line, error) in [
        (
            "--replace 1",
            "--data <DIR> is missing: the rest needs it (see: synod --help)",
        ),
        (
            "--learner 1",
            "--data <DIR> is missing: the rest needs it (see: synod --help)",
        ),
        ("--delay", "--delay needs a value: --delay <TIME>"),
        ("--nodes 3 --nodes 4", "--nodes is given more than once"),
        (
            "--bogus",
            "there is no option '--bogus' here (see: synod --help)",
        ),
        (
            "--requets 3",
            "there is no option '--requets' here (did you mean --requests?)",
        ),
        (
            "6 7",
            "there is no argument '7' after SEED (see: synod --help)",
        ),
    ] {
        assert_eq!(error_of(line), error);
    }
}

#[cfg(not(feature = "mutants"))]
#[test]
fn a_program_without_mutants_explains_how_to_build_one_with_them() {
    for line in [
        "6 --mutant amnesia",
        "sweep --mutant amnesia",
        "check --mutant amnesia",
        "museum",
        "museum amnesia --walks 9",
    ] {
        let error = error_of(line);
        assert!(error.contains("--features mutants"), "{line}: {error}");
    }
}

#[cfg(feature = "mutants")]
#[test]
fn an_unknown_mutant_is_refused_with_the_list_of_names() {
    let command = run_of("6 --mutant amnesia");
    let options = options_of(&command);
    assert_eq!(options.mutant, Some(synod::Mutant::Amnesia));
    assert_eq!(options.command(), "synod 6 --mutant amnesia");
    let Ok(Command::Museum(museum)) = parse(words("museum stale-read --walks 9")) else {
        panic!("it is a command");
    };
    assert_eq!(museum.mutants, [synod::Mutant::StaleRead]);
    assert_eq!(museum.walks, 9);
    for line in ["6 --mutant none", "museum none"] {
        let error = error_of(line);
        assert!(error.contains("quorum-too-small"), "{line}: {error}");
    }
}

#[cfg(feature = "mutants")]
#[test]
fn a_sweep_of_mutants_names_the_mutant_in_its_commands() {
    let Sweep { source, .. } = sweep_of("sweep --faults loss --mutant amnesia").sweep;
    let mutant = Some(synod::Mutant::Amnesia);
    assert_eq!(source.case(3).trial.scenario.mutant, mutant);
    let command = source.command(3);
    assert_eq!(command, "synod run 3 --faults loss --mutant amnesia");
    let run = run_of(command.strip_prefix("synod ").unwrap());
    let Subject::Case {
        case,
        command: again,
    } = run.subject
    else {
        panic!("{command} is a case");
    };
    assert_eq!((*case, again), (source.case(3), command));
}

#[test]
fn more_than_eight_kills_are_refused() {
    let kills = " --kill 1@1s".repeat(9);
    assert_eq!(
        error_of(&kills),
        "--kill got '9 kills', but takes at most 8"
    );
}

#[test]
fn the_definition_of_the_command_line_is_valid() {
    <Cli as clap::CommandFactory>::command().debug_assert();
}

/// An option that a drawn or written case would ignore is refused beside it.
#[test]
fn no_option_of_the_cluster_goes_with_a_drawn_case() {
    let program = <Cli as clap::CommandFactory>::command();
    let run = program.find_subcommand("run").unwrap();
    let faults = run.get_arguments().find(|arg| arg.get_id() == "faults");
    let refused = run.get_arg_conflicts_with(faults.unwrap());
    let of_cluster = run.get_arguments().filter(|arg| {
        let is_taken = ["nodes", "mutant"].contains(&arg.get_id().as_str());
        arg.get_help_heading() == Some("Cluster and network") && !is_taken
    });
    for arg in of_cluster {
        let id = arg.get_id();
        assert!(refused.iter().any(|other| other.get_id() == id), "--{id}");
    }
}

fn sweep_of(line: &str) -> SweepCommand {
    match parse(words(line)) {
        Ok(Command::Sweep(command)) => command,
        Ok(other) => panic!("{line}: {other:?}"),
        Err(error) => panic!("{line}: {error}"),
    }
}

#[test]
fn a_sweep_without_options_runs_a_thousand_seeds_with_all_faults() {
    let command = sweep_of("sweep");
    let expected = Sweep::new(Seeds {
        first: 0,
        end: Some(1_000),
    });
    assert_eq!(command.sweep, expected);
    assert!(!command.drawn && !command.quiet);
    assert_eq!(command.shape, ReportFormat::Text);
}

#[test]
fn every_option_of_a_sweep_is_parsed() {
    let command = sweep_of(
        "sweep --seeds 10..2_000 --for 90s --shard 2/4 --jobs 3 --faults loss,crash --nodes 5 --keep-going --verify \
         --format junit -q",
    );
    let expected = Sweep {
        seeds: Seeds {
            first: 10,
            end: Some(2_000),
        },
        shard: Shard { index: 2, count: 4 },
        source: Source::Swarm(Swarm {
            faults: FaultSet::NONE.with(FaultKind::Loss).with(FaultKind::Crash),
            nodes: Some(5),
        }),
        jobs: 3.try_into().unwrap(),
        time: Some(core::time::Duration::from_secs(90)),
        keep_going: true,
        verify: true,
    };
    assert_eq!(command.sweep, expected);
    assert!(command.quiet && !command.drawn);
    assert_eq!(command.shape, ReportFormat::Junit);
}

#[test]
fn a_sweep_with_a_time_budget_begins_at_the_given_or_a_drawn_seed() {
    let drawn = sweep_of("sweep --for 10m");
    assert!(drawn.drawn);
    assert_eq!(drawn.sweep.seeds.end, None);
    let told = sweep_of("sweep --for 10m --seeds 7..");
    assert!(!told.drawn);
    assert_eq!(told.sweep.seeds.first, 7);
}

#[test]
fn one_seed_of_a_sweep_can_be_run_alone() {
    for (line, swarm) in [
        (
            "7 --faults all",
            Swarm {
                faults: FaultSet::ALL,
                nodes: None,
            },
        ),
        (
            "7 --faults none --nodes 3",
            Swarm {
                faults: FaultSet::NONE,
                nodes: Some(3),
            },
        ),
    ] {
        let command = run_of(&format!("run {line}"));
        let Subject::Case { case, command } = command.subject else {
            panic!("{line} is a case");
        };
        assert_eq!(case.trial, swarm.draw(7));
        assert_eq!(command, format!("synod run {line}"));
    }
}

#[test]
fn invalid_sweep_options_are_named_with_the_values_accepted() {
    for (line, error) in [
        (
            "sweep --seeds 5..5",
            "--seeds got '5..5', but takes a range such as 0..1000, or 1000.. with --for",
        ),
        (
            "sweep --seeds 5..",
            "--seeds got '5..', but takes a range with an end, such as 5..1005, unless --for ends it",
        ),
        (
            "sweep --shard 5/4",
            "--shard got '5/4', but takes a share I/N with I from 1 to N, such as 1/4",
        ),
        (
            "sweep --jobs 0",
            "--jobs got '0', but takes a whole number from 1 to 1024",
        ),
        (
            "sweep --for 0s",
            "--for got '0s', but takes a duration above zero, such as 90s or 10m",
        ),
        (
            "sweep --faults loss,crash --nodes 2",
            "--faults got 'crash', but takes faults that so few nodes can have: \
             loss,duplicate,spike,reorder,partition,one-way,clog,restart,pause,skew,jump,torn,slow-disk,failed-write,full-disk,change",
        ),
        (
            "7 --faults all --nodes 17",
            "--nodes got '17', but takes at most 16 in a drawn cluster",
        ),
        (
            "sweep --format yaml",
            "--format got 'yaml', but takes text or json or junit",
        ),
        (
            "sweep --scenario a.toml --faults all",
            "--scenario cannot be given with --faults",
        ),
        (
            "sweep --scenario no/such/file.toml",
            "no/such/file.toml: No such file or directory (os error 2)",
        ),
        (
            "7 --faults all --loss 5%",
            "--faults cannot be given with --loss",
        ),
        (
            "7 --faults all --scenario a.toml",
            "--faults cannot be given with --scenario",
        ),
        (
            "7 --nodes 3 --scenario a.toml",
            "--nodes cannot be given with --scenario",
        ),
        (
            "sweep 5",
            "there is no argument '5' here (see: synod --help)",
        ),
    ] {
        assert_eq!(error_of(line), error);
    }
}

/// Returns the `--help` page of a command.
fn long_help(command: &str) -> String {
    let mut words: Vec<_> = command.split_whitespace().collect();
    words.push("--help");
    let error = Cli::try_parse_from(["synod"].into_iter().chain(words)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{command}");
    error.render().to_string()
}

/// Asserts that a page contains every name of a vocabulary as a word of its own.
fn lists<T: Copy>(command: &str, every: &[T], name: impl Fn(T) -> &'static str) {
    let page = long_help(command);
    let is_of_word = |char: char| char.is_alphanumeric() || char == '-' || char == '_';
    let words: Vec<_> = page.split(|char| !is_of_word(char)).collect();
    for item in every {
        assert!(words.contains(&name(*item)), "{command}: {}", name(*item));
    }
}

#[test]
fn every_list_in_the_help_is_complete() {
    for command in ["", "run", "sweep"] {
        lists(command, &FaultKind::ALL, FaultKind::name);
        for (_, keys) in crate::case::keys() {
            assert!(!keys.is_empty());
            lists(command, keys, |key| key);
        }
    }
    for command in ["", "run", "replay"] {
        let lower = |role: Role| -> &'static str { role.name().to_lowercase().leak() };
        lists(command, &Role::ALL, lower);
    }
    lists("run", &Role::ALL, Role::name);
    lists(
        "sweep",
        &synod::simulation::Rule::ALL,
        synod::simulation::Rule::name,
    );
    {
        lists("check", &synod::Timer::ALL, synod::Timer::name);
        lists("check", &synod::MessageKind::ALL, synod::MessageKind::name);
        lists(
            "check",
            &crate::check::Invariant::ALL,
            crate::check::Invariant::name,
        );
    }
    #[cfg(feature = "mutants")]
    for command in ["", "run", "sweep", "museum"] {
        lists(command, synod::Mutant::ALL, synod::Mutant::name);
    }
}

#[test]
fn every_list_in_an_error_is_complete() {
    let error = error_of("sweep --faults fire");
    assert!(
        FaultKind::ALL
            .iter()
            .all(|kind| error.contains(kind.name())),
        "{error}"
    );
    let error = error_of("--role parliament");
    assert!(
        Role::ALL
            .iter()
            .all(|role| error.contains(&role.name().to_lowercase())),
        "{error}"
    );
}

#[test]
fn help_is_a_command_too() {
    for line in [
        "help",
        "help sweep",
        "help run",
        "help replay",
        "help shrink",
    ] {
        let error = Cli::try_parse_from(words(line)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{line}");
        let command = line.strip_prefix("help").unwrap();
        assert_eq!(error.render().to_string(), long_help(command), "{line}");
    }
    assert_eq!(
        error_of("help tea"),
        "there is no command 'tea' (see: synod --help)"
    );
}

#[test]
fn documented_limits_are_accepted_and_values_beyond_them_refused() {
    for (option, least, most) in [
        ("--nodes", "1", "64"),
        ("--clients", "1", "64"),
        ("--requests", "1", "4294967294"),
        ("--loss", "0%", "100%"),
        ("--delay", "0us", "24h"),
        ("--events", "1", "18446744073709551615"),
        ("--until", "1us", "1000000h"),
        ("--place", "0", "13"),
        ("--node", "0", "13"),
        ("sweep --nodes", "1", "16"),
        ("sweep --jobs", "1", "1024"),
        ("sweep --shard", "1/1", "4294967295/4294967295"),
        ("7 --faults all --nodes", "1", "16"),
        ("check --nodes", "1", "5"),
        ("check --claimants", "1", "3"),
        ("check --requests", "0", "8"),
        ("check --retries", "0", "8"),
        ("check --rounds", "1", "8"),
        ("check --slots", "1", "8"),
        ("check --crashes", "0", "8"),
        ("check --depth", "1", "1000000"),
    ] {
        // Long delays need a long bound on simulated time.
        let until = if option == "--delay" {
            " --until 1000h --jitter 0"
        } else {
            ""
        };
        let until = if option == "--until" {
            " --delay 0us"
        } else {
            until
        };
        let line = |value: &str| format!("{option} {value}{until}");
        for value in [least, most] {
            let parsed = parse(words(&line(value)));
            assert!(parsed.is_ok(), "{}: {parsed:?}", line(value));
        }
        let digits: String = most.chars().take_while(char::is_ascii_digit).collect();
        let more = digits.parse::<u128>().unwrap() + 1;
        let more = format!("{more}{}", &most[digits.len()..]);
        let error = error_of(&line(&more));
        assert!(error.contains(&format!("got '{more}'")), "{error}");
    }
    assert!(
        parse(words(&"--kill 1@1s ".repeat(8))).is_ok(),
        "eight kills"
    );
    assert!(parse(words("--delay 1h --jitter 35m --until 10h")).is_ok());
    assert!(error_of("--delay 1h --jitter 36m --until 10h").ends_with("at most 35m"));
    assert!(parse(words("18446744073709551615")).is_ok());
}

#[test]
fn seeds_draw_the_documented_range_of_nodes() {
    let swarm = Swarm {
        faults: FaultSet::ALL,
        nodes: None,
    };
    let drawn: Vec<_> = (0..500)
        .map(|seed| swarm.draw(seed).scenario.nodes)
        .collect();
    let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
    let said = format!("each seed draws it, from {least} to {most}]");
    assert!(long_help("sweep").contains(&said), "{said}");
}

#[test]
fn times_after_the_end_of_the_run_are_refused() {
    for (line, error) in [
        (
            "--kill 3@2m",
            "--kill got '3@120s', but takes a time before --until (120s), when the run is given up",
        ),
        (
            "--kill leader@1h --until 10m",
            "--kill got 'leader@3600s', but takes a time before --until (600s), when the run is given up",
        ),
        (
            "--delay 876000h",
            "--delay got '876000h', but takes a duration of at most 24h, such as 30ms, 1.5s or 2m",
        ),
        (
            "--delay 2m --until 1m",
            "--delay got '120s', but takes less than --until (60s), as nothing would arrive in time",
        ),
        (
            "--until 99999999h",
            "--until got '99999999h', but takes a duration above zero and of at most 1000000h, such as 90s or 10m",
        ),
    ] {
        assert_eq!(error_of(line), error);
    }
}
