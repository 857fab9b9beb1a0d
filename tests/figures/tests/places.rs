//! Checks that every figure in a document has a source, and that every source is shown.

use std::collections::BTreeSet;
use synod_figures::sources::{SOURCES, first_command, first_election};
use synod_figures::{DOCUMENTS, assert_shown, places, read, replaced};

#[test]
fn every_figure_has_a_source_and_every_source_is_shown() {
    let known: BTreeSet<&str> = SOURCES
        .iter()
        .flat_map(|source| source.figures)
        .copied()
        .collect();
    let mut shown = BTreeSet::new();
    for document in DOCUMENTS {
        for place in places(&read(document).unwrap()).unwrap() {
            assert!(
                known.contains(place.name.as_str()),
                "{document}: nothing prints {}",
                place.name
            );
            shown.insert(place.name);
        }
    }
    for name in known {
        assert!(shown.contains(name), "no document shows {name}");
    }
}

#[test]
fn the_logs_are_parts_of_the_golden_log() {
    let golden = read("tests/golden/three-nodes.log").unwrap();
    assert_shown("election", &first_election(&golden).unwrap());
    assert_shown("log", &first_command(&golden).unwrap());
}

#[test]
fn a_figure_without_an_end_is_an_error() {
    assert!(places("<!-- figure a -->1").is_err());
    assert!(places("<!-- figure a").is_err());
    assert!(places("<!-- figure a -->1 <!-- figure b -->2<!-- end -->").is_err());
    assert_eq!(places("<!-- end --> no figure").unwrap(), []);
}

#[test]
fn a_figure_is_replaced_in_every_place() {
    let text = "<!-- figure a -->1<!-- end --> <!-- figure b -->1<!-- end --> <!-- figure a --><!-- end -->";
    assert_eq!(
        replaced(text, "a", "22").unwrap(),
        "<!-- figure a -->22<!-- end --> <!-- figure b -->1<!-- end --> <!-- figure a -->22<!-- end -->"
    );
}
