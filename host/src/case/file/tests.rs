//! Round trips of scenario files, and the errors of invalid ones.

use super::*;
use crate::case::{record, run};
use synod::simulation::{FaultSet, Swarm};

const ALL: Swarm = Swarm {
    faults: FaultSet::ALL,
    nodes: None,
};

#[test]
fn a_printed_case_parses_to_the_same_case() {
    for seed in 0..200 {
        let case = Case::of(ALL.draw(seed));
        let text = print(&case, None).unwrap();
        assert_eq!(parse(&text).unwrap(), (case, None), "{text}");
    }
}

#[test]
fn a_recorded_run_replays_without_randomness() {
    let drawn = Case::of(ALL.draw(11));
    let (mut recorded, first) = record(&drawn).unwrap();
    recorded.trial.weather = Weather::CALM;
    let text = print(&recorded, None).unwrap();
    let (read, _) = parse(&text).unwrap();
    assert_eq!(read, recorded);
    let again = run(&read, &mut ()).unwrap();
    assert_eq!((again.verdict, again.report), (first.verdict, first.report));
    assert_eq!(again.tally.lost_total(), first.tally.lost_total());
}

#[test]
fn missing_keys_have_the_values_of_the_default_run() {
    let (case, _) = parse("").unwrap();
    let default = Options::new(0).scenario();
    assert_eq!((case.trial.scenario, case.trial.requests), (default, 11));
    assert_eq!(case.trial.weather, Weather::CALM);
}

#[test]
fn seeds_beyond_the_integers_of_toml_are_strings() {
    let (case, _) = parse("seed = \"18446744073709551615\"").unwrap();
    assert_eq!(case.trial.scenario.run_seed, u64::MAX);
    assert!(
        print(&case, None)
            .unwrap()
            .starts_with("seed = \"18446744073709551615\"")
    );
}

/// Asserts that a key accepts the greatest of its documented values, and names the line of anything beyond.
fn assert_limit((before, key, most, more): (&str, &str, &str, &str)) {
    let line = before.lines().count() + 1;
    let taken = parse(&format!("{before}{key} = {most}"));
    assert!(taken.is_ok(), "{key} = {most}: {taken:?}");
    let error = parse(&format!("{before}{key} = {more}")).unwrap_err();
    assert!(
        error.starts_with(&format!("line {line}: ")),
        "{key}: {error}"
    );
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn documented_limits_of_keys_are_enforced() {
    for limit in [
        ("", "nodes", "64", "65"),
        ("room = \"tight\"\n", "nodes", "16", "17"),
        ("", "clients", "64", "65"),
        ("", "requests", "4294967294", "4294967295"),
        ("", "until", "\"1000000h\"", "\"1000001h\""),
        ("", "think", "\"24h\"", "\"24.1h\""),
        ("", "round-trip", "\"24h\"", "\"24.1h\""),
        (
            "until = \"100h\"\n[link]\njitter = \"0\"\n",
            "delay",
            "\"24h\"",
            "\"24.1h\"",
        ),
        (
            "until = \"100h\"\n[link]\ndelay = \"24h\"\n",
            "jitter",
            "\"35m\"",
            "\"36m\"",
        ),
        ("[link]\n", "loss", "\"100%\"", "\"101%\""),
        (
            "[weather]\nstorm = \"1s\"\nuntil = \"1s\"\nspike = \"1%\"\n",
            "spike-max",
            "\"24h\"",
            "\"24.1h\"",
        ),
        (
            "[weather]\nstorm = \"1s\"\nuntil = \"1s\"\nreorder = \"1%\"\n",
            "reorder-max",
            "\"24h\"",
            "\"24.1h\"",
        ),
        ("", "place", "13", "14"),
    ] {
        assert_limit(limit);
    }
}

#[test]
fn documented_limits_of_faults_are_enforced() {
    for limit in [
        (
            "[[fault]]\nkind = \"crash\"\nnode = 1\n",
            "at",
            "\"119s\"",
            "\"120s\"",
        ),
        (
            "[[fault]]\nkind = \"pause\"\nnode = 1\nat = \"20s\"\n",
            "lasts",
            "\"100s\"",
            "\"101s\"",
        ),
        (
            "[[fault]]\nkind = \"crash\"\nat = \"1s\"\n",
            "node",
            "13",
            "14",
        ),
        (
            "[[fault]]\nkind = \"partition\"\nat = \"1s\"\nlasts = \"1s\"\n",
            "side",
            "[13]",
            "[14]",
        ),
        (
            "[[fault]]\nkind = \"slow-disk\"\nnode = 1\nat = \"1s\"\nlasts = \"1s\"\n",
            "sync",
            "\"24h\"",
            "\"24.1h\"",
        ),
    ] {
        assert_limit(limit);
    }
}

#[test]
fn what_there_must_be_some_of_is_not_zero() {
    for (key, less) in [
        ("nodes", "0"),
        ("requests", "0"),
        ("events", "0"),
        ("until", "\"0s\""),
    ] {
        let error = parse(&format!("seed = 1\n{key} = {less}")).unwrap_err();
        assert!(
            error.starts_with(&format!("line 2: {key} is '0")),
            "{error}"
        );
    }
}

#[test]
fn every_generated_case_is_accepted() {
    for nodes in [None, Some(1), Some(2), Some(3), Some(14)] {
        let swarm = Swarm { nodes, ..ALL };
        for seed in 0..1_000 {
            let case = Case::of(swarm.draw(seed));
            let text = print(&case, None).unwrap();
            let read = parse(&text);
            assert!(read.is_ok(), "{nodes:?} {seed}: {read:?}\n{text}");
        }
    }
}

#[test]
fn weather_without_effect_is_refused() {
    let weather = |rest: &str| format!("nodes = 3\nuntil = \"9s\"\n[weather]\n{rest}");
    let lossy = |rest: &str| weather(&format!("loss = \"5%\"\n{rest}"));
    for (text, said) in [
        (
            weather("storm = \"1s\"\nuntil = \"5s\""),
            "line 3: [weather] needs one of 'loss', 'duplicate', 'spike' and 'reorder'",
        ),
        (
            lossy("storm = \"1s\"\nuntil = \"5s\"\nspike-max = \"1s\""),
            "line 7: spike-max in [weather] needs 'spike'",
        ),
        (
            lossy("storm = \"1s\"\nuntil = \"5s\"\nreorder-max = \"1s\""),
            "line 7: reorder-max in [weather] needs 'reorder'",
        ),
        (
            lossy("storm = \"0s\"\nuntil = \"5s\""),
            "line 5: storm in [weather] is 0, so that it is always calm",
        ),
        (
            lossy("storm = \"1s\"\nuntil = \"0s\""),
            "line 6: until in [weather] is 0s, and the first storm begins after 0s of calm",
        ),
        (
            lossy("storm = \"1s\"\nuntil = \"2s\"\ncalm = \"2s\""),
            "line 6: until in [weather] is 2s, and the first storm begins after 2s of calm",
        ),
        (
            lossy("storm = \"1s\"\nuntil = \"20s\"\ncalm = \"9s\""),
            "line 7: calm in [weather] is 9s, and the run is given up at 9s",
        ),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.starts_with(said) && !error.contains('\n'), "{error}");
    }
    for taken in [
        lossy("storm = \"1s\"\nuntil = \"2s\"\ncalm = \"1.9s\""),
        lossy("storm = \"1s\"\nuntil = \"20s\"\ncalm = \"8.9s\""),
        // Generated cases of one node have weather too.
        lossy("storm = \"1s\"\nuntil = \"2s\"").replace("nodes = 3", "nodes = 1"),
        // A share of 0 % is explicit.
        weather("loss = \"0%\"\nstorm = \"0s\"\nuntil = \"0s\""),
        lossy("storm = \"1s\"\nuntil = \"2s\"\nspike = \"0%\"\nspike-max = \"1s\""),
    ] {
        assert!(parse(&taken).is_ok(), "{taken}: {:?}", parse(&taken));
    }
}

#[test]
fn keys_that_a_kind_of_fault_does_not_have_are_refused() {
    let all = [
        ("node", "1"),
        ("side", "[1]"),
        ("from", "[1]"),
        ("to", "[2]"),
        ("one", "[1]"),
        ("other", "[2]"),
        ("rate-ppm", "100"),
        ("by-us", "100"),
        ("sync", "\"1ms\""),
    ];
    let lines = |keys: &[&str]| -> String {
        let has = all.iter().filter(|(key, _)| keys.contains(key));
        has.flat_map(|(key, value)| [key, " = ", value, "\n"])
            .collect()
    };
    for (kind, keys) in [
        ("crash", &["node"][..]),
        ("restart", &["node"]),
        ("pause", &["node"]),
        ("partition", &["side"]),
        ("one-way", &["from", "to"]),
        ("clog", &["from", "to"]),
        ("partial", &["one", "other"]),
        ("skew", &["node", "rate-ppm"]),
        ("jump", &["node", "by-us"]),
        ("torn", &["node"]),
        ("slow-disk", &["node", "sync"]),
        ("failed-write", &["node"]),
        ("full-disk", &["node"]),
        ("rot", &["node"]),
    ] {
        let mut text = format!("nodes = 3\n[[fault]]\nkind = \"{kind}\"\nat = \"1s\"\n");
        if kind != "crash" {
            text.push_str("lasts = \"1s\"\n");
        }
        text.push_str(&lines(keys));
        assert!(parse(&text).is_ok(), "{text}: {:?}", parse(&text));
        let line = text.lines().count() + 1;
        for (key, value) in all.iter().filter(|(key, _)| !keys.contains(key)) {
            let error = parse(&format!("{text}{key} = {value}\n")).unwrap_err();
            assert_eq!(error, format!("line {line}: a {kind} has no '{key}'"));
        }
    }
}

/// Returns a file with one planned fault in a cluster of three nodes.
fn fault(kind: &str, rest: &str) -> String {
    format!("nodes = 3\nuntil = \"9s\"\n[[fault]]\nkind = \"{kind}\"\nat = \"1s\"\n{rest}")
}

/// As [`fault`], for a second.
fn lasting(kind: &str, rest: &str) -> String {
    fault(kind, &format!("lasts = \"1s\"\n{rest}"))
}

/// Asserts that a file is refused in one line with these words.
fn assert_refused(text: &str, said: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.contains(said) && !error.contains('\n'), "{error}");
}

#[test]
fn faults_between_nodes_without_effect_are_refused_with_their_key() {
    for (text, said) in [
        (
            lasting("partition", "side = [0, 1, 2]"),
            "fault 1 (partition): side has 3 of the 3",
        ),
        (
            lasting("partition", "side = []"),
            "fault 1 (partition): side has 0 of the 3",
        ),
        (
            lasting("partition", "side = [0, 3]"),
            "side is '3', but takes a node from 0 to 2",
        ),
        (
            lasting("one-way", "from = []\nto = [1]"),
            "fault 1 (one-way): from is empty",
        ),
        (
            lasting("one-way", "from = [1]\nto = []"),
            "fault 1 (one-way): to is empty",
        ),
        (
            lasting("clog", "from = [1]\nto = [1]"),
            "fault 1 (clog): from and to are the same",
        ),
        (
            lasting("clog", "from = [1]\nto = [7]"),
            "to is '7', but takes a node from 0 to 2",
        ),
        (
            lasting("partial", "one = [2]\nother = [2]"),
            "fault 1 (partial): one and other are",
        ),
    ] {
        assert_refused(&text, said);
    }
}

#[test]
fn faults_of_nodes_without_effect_are_refused_with_their_key() {
    for (text, said) in [
        (
            lasting("pause", "node = 3"),
            "node is '3', but takes a node from 0 to 2",
        ),
        (
            lasting("skew", "node = 1\nrate-ppm = 0"),
            "fault 1 (skew): rate-ppm is 0, but takes",
        ),
        (
            lasting("skew", "node = 1\nrate-ppm = 600000"),
            "fault 1 (skew): rate-ppm is 600000",
        ),
        (
            lasting("skew", "node = 1\nrate-ppm = -2147483648"),
            "fault 1 (skew): rate-ppm is -2147483648",
        ),
        (
            fault("jump", "node = 1\nby-us = 0"),
            "fault 1 (jump): by-us is 0",
        ),
        (
            lasting("slow-disk", "node = 1\nsync = \"0s\""),
            "fault 1 (slow-disk): sync is 0",
        ),
        (
            fault("restart", "node = 1\nlasts = \"0s\""),
            "fault 1 (restart): lasts is 0",
        ),
        (
            fault("pause", "node = 1\nlasts = \"0s\""),
            "fault 1 (pause): lasts is 0",
        ),
        (
            lasting("pause", "node = 1").replace("at = \"1s\"", "at = \"9s\""),
            "at is '9s', but takes a time before until (9s)",
        ),
    ] {
        assert_refused(&text, said);
    }
}

#[test]
fn founders_messages_and_delays_without_effect_are_refused_with_their_key() {
    for (text, said) in [
        (
            "nodes = 3\nsecond-founder = 0",
            "second-founder is '0', but takes a node from 1 to 2",
        ),
        (
            "nodes = 1\nsecond-founder = 1",
            "second-founder is '1', but takes no node, as there is one",
        ),
        (
            "nodes = 3\n[script]\nusual = \"1ms\"\nmessages = [\"0>1 #0 lost\", \"0>1 #0 1ms\"]",
            "line 4: messages has 0>1 #0 twice",
        ),
        (
            "nodes = 3\nuntil = \"1s\"\n[script]\nusual = \"1s\"\nmessages = []",
            "line 4: usual in [script] is 1s, but must be less than until (1s)",
        ),
        (
            "[weather]\nspike = \"5%\"\nstorm = \"1s\"\nuntil = \"5s\"",
            "spike in [weather] delays messages by nothing: spike-max must be above 0",
        ),
        (
            "[weather]\nreorder = \"5%\"\nstorm = \"1s\"\nuntil = \"5s\"",
            "reorder in [weather] delays messages by nothing: reorder-max must be above 0",
        ),
        (
            "nodes = 3\n[script]\nusual = \"1ms\"\nmessages = [\"1>1 #0 lost\"]",
            "messages in [script] has 1>1, but a message goes from one node to another",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(said) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn changes_of_the_members_without_effect_are_refused_with_their_key_and_line() {
    let change = "nodes = 5\nfounders = 3\n\n[[fault]]\nkind = \"change\"\nat = \"1s\"\n";
    for (keys, said) in [
        (
            "add = [1]",
            "line 7: fault 1 (change): it adds only founders and removes nobody",
        ),
        (
            "remove = [2]\nadd = [3, 2]",
            "line 8: fault 1 (change): it adds and removes node 2",
        ),
        (
            "add = [5]",
            "line 7: add is '5', but takes a node from 0 to 4: there are 5 nodes",
        ),
        (
            "remove = [7]",
            "line 7: remove is '7', but takes a node from 0 to 4: there are 5 nodes",
        ),
        (
            "remove = [0, 1, 2]",
            "line 7: fault 1 (change): it removes all members and adds none",
        ),
        (
            "remove = [4]",
            "line 7: fault 1 (change): it adds nobody and removes only nodes that are never members",
        ),
        (
            "lasts = \"1s\"\nadd = [3]",
            "line 7: a change of the members is over when it has taken effect: it has no 'lasts'",
        ),
        ("node = 3", "line 7: a change has no 'node'"),
    ] {
        assert_eq!(parse(&format!("{change}{keys}\n")).unwrap_err(), said);
    }
    assert_eq!(
        parse(change).unwrap_err(),
        "line 5: a change needs 'add', 'remove' or both: who becomes a member, and who is removed"
    );
    let more = "[[fault]]\nkind = \"change\"\nat = \"2s\"\nremove = [3]\n";
    assert!(parse(&format!("{change}add = [3]\n{more}")).is_ok());
    assert_eq!(
        parse("nodes = 3\nfounders = 4").unwrap_err(),
        "line 2: founders is '4', but takes a whole number from 1 to 3"
    );
    assert!(
        parse("nodes = 3\nfounders = 1\nsecond-founder = 2")
            .unwrap_err()
            .contains("second-founder is '2'")
    );
}

#[test]
fn an_error_in_the_second_fault_has_the_line_of_that_fault() {
    let text = "nodes = 3\n\n[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 1\n\n# Too many cooks.\n[[fault]]\n\
                kind = \"crash\"\nat = \"1s\"\nnode = 7\n";
    let error = parse(text).unwrap_err();
    assert_eq!(
        error,
        "line 12: node is '7', but takes a node from 0 to 2: there are 3 nodes"
    );
    let lacks = parse(&text.replace("node = 7\n", "")).unwrap_err();
    assert_eq!(lacks, "line 9: a crash needs 'node'");
}

#[test]
fn errors_are_one_line() {
    for (text, said) in [
        (
            "nodes = \"many\"",
            "line 1: invalid type: string \"many\", expected u16",
        ),
        ("\n\nnodse = 3", "line 3: unknown field `nodse`"),
        (
            "think = \"30\"",
            "line 1: got '30', but takes a duration such as 30ms, 1.5s or 2m",
        ),
        (
            "room = \"large\"",
            "line 1: room is 'large', but takes tight, roomy or wide",
        ),
        (
            "storage = \"huge\"",
            "line 1: storage is 'huge', but takes least or ample",
        ),
        (
            "machine = \"cat\"",
            "line 1: machine is 'cat', but takes kv or bank",
        ),
        (
            "[link]\ndelay = \"1ms\"\njitter = \"2ms\"",
            "line 3: jitter is '2ms', but takes at most the delay (1ms)",
        ),
        (
            "[[fault]]\nkind = \"fire\"",
            "line 2: kind is 'fire', but takes one of loss,",
        ),
        (
            "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nlasts = \"1s\"",
            "line 1: a pause needs 'node'",
        ),
        (
            "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = 1",
            "line 1: a pause needs 'lasts'",
        ),
        (
            "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = \"king\"\nlasts = \"1s\"",
            "line 4: node is 'king', but takes leader or a node",
        ),
        (
            "[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 1\nlasts = \"1s\"",
            "line 5: a crash is for good: one that lasts is a restart",
        ),
        (
            "[[fault]]\nkind = \"loss\"\nat = \"1s\"",
            "line 2: loss happens by chance: it belongs to [weather]",
        ),
        (
            "[[fault]]\nkind = \"partition\"\nat = \"1s\"\nlasts = \"1s\"\nside = [64]",
            "line 5: side has 64, but nodes go from 0 to 63",
        ),
        (
            "[script]\nusual = \"1ms\"\nmessages = [\"0 to 1\"]",
            "line 3: messages has '0 to 1', but takes FROM>TO #NTH",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(said) && !error.contains('\n'), "{error}");
    }
}
