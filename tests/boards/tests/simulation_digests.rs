//! The simulation on boards, whose events and digests must be those of the host.

use crate::host_digests::{digests, seeds, with_room};
use core::fmt::Write;
use example_firmware::clusters::{Cluster, Medium, PAGE, Small, Whole};
use std::path::PathBuf;
use synod::simulation::Verdict;
use synod::{Digest, Record, StateMachine, Tracer};
use synod_boards::image::{Board, firmware};
use synod_boards::log_decoder::{Dictionary, Line};
use synod_boards::qemu;

/// The events of a run, as their `Debug` text.
#[derive(Default)]
struct Words(Vec<String>);

impl<M: StateMachine> Tracer<M, PAGE> for Words {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.0.push(format!("{record:?}"));
    }
}

/// Returns the line that a board logs at the end of a run.
fn result(seed: u64, outcome: Verdict, digest: Digest) -> String {
    format!("seed={seed} outcome={outcome:?} digest={digest}")
}

/// Returns the host's line for every seed.
fn results<C: Cluster>() -> Vec<String> {
    let digests = digests::<C>().into_iter();
    digests
        .map(|(seed, outcome, digest)| result(seed, outcome, digest))
        .collect()
}

/// Runs the program on a board; returns its log and its exit code.
fn simulate(board: Board, words: &[&str]) -> (Vec<Line>, i32) {
    let image: PathBuf = firmware(board, "simulate").unwrap_or_else(|error| panic!("{error}"));
    let finished = qemu::run(board, &image, words).unwrap_or_else(|error| panic!("{error}"));
    let lines = Dictionary::of(&image).and_then(|words| words.decode(&finished.log));
    (
        lines.unwrap_or_else(|error| panic!("{error}")),
        finished.code,
    )
}

/// Asserts that a board logs the host's digests.
fn assert_same_digests<C: Cluster>(board: Board, cluster: &str) {
    let (lines, code) = simulate(board, &[cluster, &seeds(), "quiet"]);
    let texts: Vec<_> = lines.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, results::<C>());
    assert_eq!(code, 0, "all of them are done");
}

/// Asserts that the log of a board has the events of the host, in the same order.
fn assert_same_events<C: Cluster>(board: Board, cluster: &str) {
    let (lines, code) = simulate(board, &[cluster, "6"]);
    assert_eq!(code, 0);
    let facts = with_room(|| {
        let mut words = Words::default();
        assert_eq!(C::idle().play(6, &mut words), Verdict::Done);
        words.0
    });
    let mut differences = String::new();
    let logged = lines.iter().filter(|line| line.level == "trace");
    for (line, fact) in logged
        .clone()
        .zip(&facts)
        .filter(|(line, fact)| line.text != **fact)
        .take(5)
    {
        writeln!(differences, "board: {}\nhost:  {fact}", line.text).unwrap();
    }
    assert_eq!(differences, "");
    assert_eq!(
        (logged.count(), lines.len()),
        (facts.len(), facts.len() + 1)
    );
}

/// Defines a test for each board and each cluster that fits into it.
macro_rules! on_boards {
    ($($name:ident: $check:ident::<$cluster:ty>($board:ident, $word:literal);)*) => {
        $(
            #[test]
            #[cfg_attr(no_qemu, ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf")]
            fn $name() {
                $check::<$cluster>(Board::$board, $word);
            }
        )*
    };
}

on_boards! {
    digests_agree_on_cortex_m0: assert_same_digests::<Small>(Microbit, "small");
    digests_of_the_small_cluster_agree_on_cortex_m3: assert_same_digests::<Small>(Lm3s6965evb, "small");
    digests_agree_on_cortex_m3: assert_same_digests::<Medium>(Lm3s6965evb, "medium");
    digests_of_the_small_cluster_agree_on_cortex_m4f: assert_same_digests::<Small>(Mps2An386, "small");
    digests_of_the_medium_cluster_agree_on_cortex_m4f: assert_same_digests::<Medium>(Mps2An386, "medium");
    digests_of_the_default_run_agree_on_cortex_m4f: assert_same_digests::<Whole>(Mps2An386, "whole");
    the_log_tells_the_facts_on_cortex_m0: assert_same_events::<Small>(Microbit, "small");
    the_log_tells_the_facts_on_cortex_m3: assert_same_events::<Medium>(Lm3s6965evb, "medium");
    the_log_tells_the_facts_on_cortex_m4f: assert_same_events::<Whole>(Mps2An386, "whole");
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn invalid_arguments_are_refused_with_the_usage() {
    for words in [
        &[][..],
        &["small"],
        &["medium", "6"],
        &["small", "six"],
        &["small", "6..6"],
        &["small", "18446744073709551616"],
        &["small", "6", "loud"],
        &["small", "6", "quiet", "7"],
    ] {
        let (lines, code) = simulate(Board::Microbit, words);
        assert_eq!(code, 2, "{words:?}");
        let [line] = lines.as_slice() else {
            panic!("{words:?}: {lines:?}");
        };
        assert_eq!(line.level, "error");
        assert!(line.text.contains("the clusters here: small"), "{line:?}");
    }
}

#[test]
fn the_whole_cluster_is_the_default_run_of_the_command_line() {
    let digests: Vec<_> = with_room(|| {
        let mut cluster = Whole::idle();
        let digests = (6..9).map(|seed| cluster.digest(seed).1);
        digests.collect()
    });
    for (seed, digest) in (6..).zip(digests) {
        let finished = synod_host::run(&synod_host::Options::new(seed), &mut ()).unwrap();
        assert_eq!(finished.digest, digest, "seed {seed}");
    }
    assert!(results::<Small>() != results::<Medium>());
}
