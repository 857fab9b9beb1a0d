//! Values of options: how each is read, and which are refused.

use super::*;

#[test]
fn durations_are_parsed_with_their_units() {
    for (text, micros) in [
        ("30ms", 30_000),
        ("1.5s", 1_500_000),
        ("0.25ms", 250),
        ("250us", 250),
        ("2m", 120_000_000),
        ("1.5h", 5_400_000_000),
        ("0", 0),
        ("0s", 0),
        ("1_000ms", 1_000_000),
        ("1.000001s", 1_000_001),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
    }
}

#[test]
fn invalid_durations_are_refused() {
    for text in [
        "",
        "30",
        "ms",
        "-1s",
        "1.s",
        ".5s",
        "1.5.5s",
        "0.5us",
        "1.0000001s",
        "1 s",
        "1e3s",
        "99999999999999h",
        "30MS",
        "é",
    ] {
        assert!(duration(text).is_err(), "{text}");
    }
    assert!(time_limit("0s").is_err(), "a bound of nothing");
}

#[test]
fn percentages_are_parsed_to_millionths() {
    for (text, ppm) in [
        ("5%", 50_000),
        ("0.5%", 5_000),
        ("0", 0),
        ("0%", 0),
        ("100%", 1_000_000),
        ("0.0001%", 1),
        ("33.3333%", 333_333),
    ] {
        assert_eq!(percent(text), Ok(ppm), "{text}");
    }
    for text in [
        "",
        "%",
        "5",
        "200%",
        "100.0001%",
        "0.00001%",
        "-5%",
        "5%%",
        "half",
        "1e1%",
    ] {
        assert!(percent(text).is_err(), "{text}");
    }
}

#[test]
fn kills_name_a_node_or_the_leader_and_a_time() {
    let at = |micros| Instant::from_micros(micros);
    for (text, target, when) in [
        ("3@1s", Target::Node(NodeId(3)), at(1_000_000)),
        ("NODE_3@1.5s", Target::Node(NodeId(3)), at(1_500_000)),
        ("leader@800ms", Target::Leader, at(800_000)),
    ] {
        assert_eq!(kill(text), Ok(Kill { target, at: when }), "{text}");
    }
    for text in [
        "", "3", "@", "3@", "@1s", "65536@1s", "boss@1s", "3@soon", "3@1s@2s",
    ] {
        assert!(kill(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_may_have_underscores_between_digits() {
    assert_eq!(seed("10_000"), Ok(10_000));
    assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
    for text in [
        "",
        "_1",
        "1_",
        "1__0",
        "+1",
        "-1",
        "0x10",
        "18446744073709551616",
        "six",
    ] {
        assert!(seed(text).is_err(), "{text}");
    }
}

#[test]
fn seeds_are_ranges_and_shares_are_fractions() {
    let of = |first, end| Ok(Seeds { first, end });
    assert_eq!(seeds("0..1_000"), of(0, Some(1_000)));
    assert_eq!(seeds("7.."), of(7, None));
    for text in [
        "", "..", "7", "..7", "7..7", "8..7", "0...7", "0..=7", "a..b",
    ] {
        assert!(seeds(text).is_err(), "{text}");
    }
    assert_eq!(shard("2/4"), Ok(Shard { index: 2, count: 4 }));
    for text in ["", "1", "0/4", "5/4", "0/0", "/", "1/", "1/2/3"] {
        assert!(shard(text).is_err(), "{text}");
    }
    assert!(jobs("0").is_err() && jobs("2").is_ok());
}

#[test]
fn faults_are_parsed_by_name() {
    for set in [FaultSet::ALL, FaultSet::NONE] {
        assert_eq!(faults(&crate::sweep::faults_text(set)), Ok(set));
    }
    let named = faults("loss,ONE-WAY,loss").unwrap();
    assert!(named.iter().eq([FaultKind::Loss, FaultKind::OneWay]));
    assert_eq!(faults(&crate::sweep::faults_text(named)), Ok(named));
    for text in ["", "loss,", "fire", "all,loss", "loss crash"] {
        assert!(faults(text).is_err(), "{text}");
    }
    let takes = faults("fire").unwrap_err();
    assert!(
        FaultKind::ALL
            .iter()
            .all(|kind| takes.contains(kind.name()))
    );
}

#[test]
fn slots_are_single_or_ranges() {
    assert_eq!(slots("7"), Ok(7..=7));
    assert_eq!(slots("7-12"), Ok(7..=12));
    for text in ["0", "12-7", "7-", "-7", "a"] {
        assert!(slots(text).is_err(), "{text}");
    }
}

#[test]
fn roles_are_parsed_in_any_case() {
    assert_eq!(role("scout"), Ok(Role::Scout));
    assert_eq!(role("Initializer"), Ok(Role::Initializer));
    assert!(role("parliament").is_err());
}
