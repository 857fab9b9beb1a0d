//! Reports of a small sweep, in all three formats.

use super::*;
use crate::case;
use crate::sweep::Shard;
use core::time::Duration;
use std::collections::BTreeSet;
use std::path::Path;
use synod::Digest;

/// Returns the report of a sweep of a scenario in which an expected fault never struck and one run stalled.
fn account(shape: ReportFormat, quiet: bool) -> String {
    account_of(Shard::WHOLE, shape, quiet)
}

fn account_of(shard: Shard, shape: ReportFormat, quiet: bool) -> String {
    let text = "nodes = 3\n[link]\nloss = \"0%\"\n[weather]\nduplicate = \"5%\"\nstorm = \"1s\"\nuntil = \"1us\"";
    let (case, _) = case::parse(text).unwrap();
    let seeds = Seeds {
        first: 4,
        end: Some(9),
    };
    let sweep = Sweep {
        source: Source::scenario(case, Path::new("a&b <\"c\">.toml")),
        jobs: 2.try_into().unwrap(),
        keep_going: true,
        shard,
        ..Sweep::new(seeds)
    };
    let mut swept = sweep::sweep(&sweep, &|_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(swept.failures.len(), 0);
    swept.failures.push(Failure {
        run_seed: 6,
        verdict: Verdict::Stalled(synod::simulation::Bound::Time),
        digest: Digest::resume(0xabc),
        other: None,
    });
    swept.took = Duration::from_millis(2_500);
    swept.digest = Digest::resume(0xdef);
    let account = Account {
        sweep: &sweep,
        swept: &swept,
        quiet,
    };
    let mut out = Vec::new();
    match shape {
        ReportFormat::Text => text::write(&account, &mut out),
        ReportFormat::Json => json::write(&account, &mut out),
        ReportFormat::Junit => junit::write(&account, &mut out),
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_begins_with_the_failures_and_ends_with_the_digest() {
    let expected = "\
seed 6 stalled: the simulated time is up
  digest       0000000000000abc
  repeat it with: synod run 6 --scenario 'a&b <\"c\">.toml'

outcome     stalled: 1 of 5 runs failed
command     synod sweep --seeds 4..9 --scenario 'a&b <\"c\">.toml' --keep-going
runs        5, 1 stalled
digest=0000000000000def
";
    assert_eq!(account(ReportFormat::Text, true), expected);
    let all = account(ReportFormat::Text, false);
    for line in [
        "\ntime        2.5 s, 2 seeds a second, 2 at once\n",
        "\nduplicate                          0           0           1\n",
        "\nreelection                         0           0           -\n",
    ] {
        assert!(all.contains(line), "{all}");
    }
}

#[test]
fn the_json_has_a_line_for_each_failure_and_a_last_line() {
    let expected = concat!(
        r#"{"event":"failure","run_seed":6,"outcome":"stalled","reason":"the simulated time is up","#,
        r#""command":"synod run 6 --scenario 'a&b <\"c\">.toml'","digest":"0000000000000abc"}"#,
        "\n",
        r#"{"event":"sweep","outcome":"stalled","reason":"1 of 5 runs failed","#,
        r#""command":"synod sweep --seeds 4..9 --scenario 'a&b <\"c\">.toml' --keep-going","#,
        r#""seeds":{"first":4,"next":9},"shard":{"index":1,"count":1},"ended":"through","runs":5,"#,
        r#""violated":0,"diverged":0,"stalled":1,"missing":["duplicate"],"#,
    );
    let quiet = account(ReportFormat::Json, true);
    assert!(quiet.starts_with(expected), "{quiet}");
    assert!(
        quiet.ends_with("\"jobs\":2,\"took_ms\":2500,\"digest\":\"0000000000000def\"}\n"),
        "{quiet}"
    );
    let all = account(ReportFormat::Json, false);
    for piece in [
        r#""faults":{"loss":{"runs":0,"times":0},"duplicate":{"runs":0,"times":0,"due_from":1},"#,
        r#""happened":{"reelection":{"runs":0,"times":0},"#,
    ] {
        assert!(all.contains(piece), "{all}");
    }
}

#[test]
fn the_xml_has_a_case_for_each_failure_and_each_expected_event() {
    let xml = account(ReportFormat::Junit, false);
    for piece in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"synod sweep --seeds 4..9 --scenario",
        "tests=\"52\" failures=\"2\" ",
        "<testsuite name=\"runs\" tests=\"2\" failures=\"1\" skipped=\"0\" time=\"2.500\">",
        "<testcase classname=\"runs\" name=\"seed 6\">",
        "<failure type=\"stalled\" message=\"stalled: the simulated time is up\">",
        "a&amp;b &lt;&quot;c&quot;&gt;.toml",
        "<testcase classname=\"runs\" name=\"4 of 5 seeds of 4..9\"/>",
        "<failure type=\"vacuous\" message=\"never seen in 5 runs\">",
        "<skipped message=\"not due\"/>",
    ] {
        assert!(xml.contains(piece), "{piece}: {xml}");
    }
    assert!(!xml.contains("<\"c\">"), "escaped: {xml}");
    assert!(xml.ends_with("</testsuites>\n"), "{xml}");
}

/// Returns the class and the name of every case in a report.
fn cases(xml: &str) -> Vec<String> {
    let cases = xml.split("<testcase ").skip(1);
    let attributes = cases.map(|case| {
        case.split_once(['>', '\n'])
            .unwrap()
            .0
            .trim_end_matches('/')
    });
    attributes.map(str::to_owned).collect()
}

#[test]
fn cases_of_different_shards_have_different_names() {
    let mut all = BTreeSet::new();
    let mut count = 0;
    for index in 1..=3 {
        let xml = account_of(Shard { index, count: 3 }, ReportFormat::Junit, false);
        let suite = format!("<testsuite name=\"runs of shard {index}/3\" ");
        assert!(xml.contains(&suite), "{xml}");
        let cases = cases(&xml);
        count += cases.len();
        all.extend(cases);
    }
    assert!(count > 100);
    assert_eq!(all.len(), count, "{all:?}");
}
