use super::super::dialect::Answer;
use super::*;

/// A round in which latencies of 1 ms, 2 ms, … were seen.
fn summary(requests: u64, elapsed_ms: u64) -> Summary {
    let mut tally = Tally::new().unwrap();
    for millis in 1..=requests {
        tally.count(Answer::Done, Duration::from_millis(millis));
    }
    Summary::new(&tally, Duration::from_millis(elapsed_ms))
}

fn is_near(nanos: u64, millis: u64) -> bool {
    let exact = millis * 1_000_000;
    nanos.abs_diff(exact) <= exact / 1_000
}

#[test]
fn percentiles_are_those_of_the_samples_to_three_digits() {
    let Figures {
        per_second,
        p50_ns,
        p90_ns,
        p99_ns,
        p99_9_ns,
        max_ns,
    } = summary(1_000, 500).figures;
    assert_eq!(per_second, 2_000);
    let found = [p50_ns, p90_ns, p99_ns, p99_9_ns, max_ns];
    for (found, expected) in found.into_iter().zip([500, 900, 990, 999, 1_000]) {
        assert!(is_near(found, expected), "{found} for {expected} ms");
    }
}

#[test]
fn a_round_in_which_nothing_was_done_has_figures_of_zero() {
    let nothing = summary(0, 0);
    assert_eq!((nothing.done, nothing.figures.per_second), (0, 0));
    assert_eq!((nothing.figures.p50_ns, nothing.figures.max_ns), (0, 0));
}

#[test]
fn a_comparison_takes_the_median_of_each_figure() {
    assert_eq!(median(&[5, 1, 3]), 3);
    assert_eq!(median(&[4, 1, 2, 9]), 3);
    assert_eq!(median(&[]), 0);
    let first = [summary(10, 10), summary(30, 10), summary(20, 10)];
    let second = [summary(40, 10), summary(40, 10), summary(40, 20)];
    let compared = Comparison::new(&first, &second);
    assert_eq!(compared.first.per_second, 2_000);
    assert_eq!(compared.second.per_second, 4_000);
    assert_eq!(compared.ratio.per_second_permille, Some(500));
    assert!(is_near(compared.first.max_ns, 20));
    let nothing = Comparison::new(&first, &[summary(0, 0)]);
    assert_eq!(nothing.ratio.p50_permille, None);
}

#[test]
fn json_names_each_figure_with_its_unit() {
    let mut tally = Tally::new().unwrap();
    tally.count(Answer::Missing, Duration::from_micros(1));
    tally.fail("ERR full", 2);
    let summary = Summary::new(&tally, Duration::from_secs(2));
    assert_eq!(
        serde_json::to_string(&summary).unwrap(),
        "{\"done\":1,\"missing\":1,\"failed\":2,\"failures\":{\"ERR full\":2},\"elapsed_us\":2000000,\
         \"per_second\":0,\"p50_ns\":1000,\"p90_ns\":1000,\"p99_ns\":1000,\"p99_9_ns\":1000,\"max_ns\":1000}"
    );
    let compared = serde_json::to_value(Comparison::new(
        core::slice::from_ref(&summary),
        core::slice::from_ref(&summary),
    ));
    let compared = compared.unwrap();
    assert_eq!(compared["ratio"]["p99_9_permille"], 1_000);
    assert_eq!(compared["first"]["max_ns"], 1_000);
    assert_eq!(compared["failed"], 4);
}
