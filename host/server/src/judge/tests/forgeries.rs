//! Good records in which something is forged: each is found, and by its name.

use super::*;
use crate::judge::{Finding, JudgeError};
use crate::record::{Fact, parse};
use synod::Slot;
use synod::simulation::NodeProgress;

/// Records as lines.
#[derive(Clone)]
struct Records(BTreeMap<PathBuf, Vec<String>>);

fn file(node: u16) -> PathBuf {
    PathBuf::from(format!("{node}.record"))
}

impl Records {
    fn good() -> Self {
        let lines = |bytes: &Vec<u8>| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        };
        let records = good().iter();
        Self(
            records
                .map(|(path, bytes)| (path.clone(), lines(bytes)))
                .collect(),
        )
    }

    fn of(&mut self, node: u16) -> &mut Vec<String> {
        self.0.entry(file(node)).or_default()
    }

    /// How far a node is at the end.
    fn end_of(&self, node: u16) -> NodeProgress {
        let mut facts = self.0[&file(node)].iter().rev();
        let at = facts.find_map(|line| match parse(line) {
            Ok(Fact::At(progress)) => Some(progress),
            _ => None,
        });
        at.unwrap()
    }

    /// Adds a turn before the stop of a node, after which it is as far as before, with another promise.
    fn turn(&mut self, node: u16, promised: &str, facts: &[&str]) {
        let end = self.end_of(node);
        let (low, applied, chain) = (end.low_water.number(), end.applied.number(), end.chain);
        let record = self.of(node);
        assert_eq!(record.pop().as_deref(), Some("stop"));
        record.extend(facts.iter().map(|fact| (*fact).to_owned()));
        record.push(format!("at {promised} {low} {applied} {chain:x} 0 7"));
        record.push("stop".to_owned());
    }

    /// Adds a turn at a node that differs from the last one by words of its end.
    fn end_again(&mut self, node: u16, changed: &[(usize, &str)]) {
        let record = self.of(node);
        assert_eq!(record.pop().as_deref(), Some("stop"));
        let end = record.last().unwrap().clone();
        let mut words: Vec<_> = end.split(' ').collect();
        for (index, word) in changed {
            words[*index] = word;
        }
        record.extend([words.join(" "), "stop".to_owned()]);
    }

    /// Starts a node again, with these facts and this end of the start.
    fn start(&mut self, node: u16, held: &[&str], at: &str) {
        let record = self.of(node);
        let start = record[0].clone();
        record.push(start);
        record.extend(held.iter().map(|fact| (*fact).to_owned()));
        record.push(at.to_owned());
        record.push("stop".to_owned());
    }

    /// The value that is decided for a slot.
    fn value(&self, slot: u64) -> String {
        let lines = self.0.values().flatten();
        let words = |line: &String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut applied = lines
            .map(words)
            .filter(|words| words[0] == "applied" && words[1] == slot.to_string());
        applied.next().unwrap().remove(2)
    }

    /// A slot in the middle in which a command takes effect.
    fn command_from(&self, first: u64) -> u64 {
        let mut slots = first..;
        slots
            .find(|slot| self.value(*slot).starts_with('c'))
            .unwrap()
    }

    /// A slot in the middle for which a node has voted for a command, and has told so alone.
    fn voted_by(&self, node: u16) -> u64 {
        let record = &self.0[&file(node)];
        let slots = 20..self.end_of(node).applied.number();
        let is_told = |slot: &u64| {
            let starts = |start: String| record.iter().any(|line| line.starts_with(&start));
            let ballot = "0.1.0";
            starts(format!("voted {slot} {ballot} c"))
                && starts(format!("said accepted {ballot} {ballot} {slot} 1 "))
        };
        slots.into_iter().find(is_told).unwrap()
    }

    fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let lines = |lines: &Vec<String>| {
            let mut text = lines.join("\n");
            text.push('\n');
            text.into_bytes()
        };
        let records = self.0.iter();
        records
            .map(|(path, record)| (path.clone(), lines(record)))
            .collect()
    }

    fn judged(&self) -> Judgement {
        let records = self.bytes();
        with_stack(move || judged(&records))
    }

    #[track_caller]
    fn finding(&self, name: &str) -> Finding {
        let found = self.judged().finding;
        let found = found.unwrap_or_else(|| panic!("{name} is not found"));
        assert_eq!(found.broken.name(), name, "{found:?}");
        found
    }

    fn error(&self, paths: &[u16]) -> JudgeError {
        let records = self.bytes();
        let paths: Vec<_> = paths.iter().map(|node| file(*node)).collect();
        with_stack(move || {
            let open = |path: &PathBuf| Ok(Cursor::new(records[path].clone()));
            judge::<_, 16>(&paths, open).unwrap_err()
        })
    }
}

#[test]
fn a_good_record_has_all_slots_proven() {
    let judgement = Records::good().judged();
    assert_eq!(judgement.finding, None);
    assert_eq!(judgement.unproven, 0);
    assert_eq!(Slot::new(judgement.decided), judgement.last);
    assert!(!judgement.is_vacuous() && !judgement.is_incomplete());
    assert_eq!(judgement.seen.unchecked_total(), 0);
}

#[test]
fn another_value_under_the_same_ballot_is_found_with_both_sides() {
    let mut records = Records::good();
    let slot = records.voted_by(1);
    let value = records.value(slot);
    let line = records.of(1).iter_mut();
    let line = line
        .enumerate()
        .find(|(_, line)| line.starts_with(&format!("voted {slot} ")));
    let (index, line) = line.unwrap();
    *line = line.replace(&value, "cbad");
    let found = records.finding("two-values");
    let sides = core::iter::once(&found.at).chain(&found.against);
    let sides: Vec<_> = sides.collect();
    let forged = |place: &&&crate::judge::Place| {
        place.path == file(1) && place.line == u64::try_from(index + 1).unwrap()
    };
    assert!(sides.iter().any(|place| forged(&place)), "{found:?}");
    assert!(
        sides
            .iter()
            .any(|place| place.path != file(1) && place.text.contains(&value))
    );
}

#[test]
fn a_value_that_differs_from_what_was_chosen_under_a_lower_ballot_is_found() {
    let mut records = Records::good();
    let slot = records.end_of(1).applied.number();
    let vote = format!("voted {slot} 0.99.1 cbad");
    records.turn(1, "0.99.1", &["promised 0.99.1", &vote]);
    records.finding("unsafe-proposal");
}

#[test]
fn two_quorums_for_two_values_are_found() {
    let mut records = Records::good();
    let slot = records.end_of(1).applied.number() + 3;
    let (low, high) = (
        format!("voted {slot} 0.98.0 cbad"),
        format!("voted {slot} 0.99.1 cbed"),
    );
    records.turn(0, "0.99.1", &[&low, &high]);
    records.turn(1, "0.99.1", &[&high]);
    records.turn(2, "0.98.0", &[&low]);
    records.finding("two-chosen");
}

#[test]
fn a_promise_that_falls_is_found_with_the_higher_one() {
    let mut records = Records::good();
    records.turn(1, "0.0.1", &["promised 0.0.1"]);
    let found = records.finding("ballot-went-back");
    assert!(found.against.iter().all(|place| place.path == file(1)));
    assert!(!found.against.is_empty());
}

#[test]
fn the_vote_of_a_node_that_is_no_member_is_found() {
    let mut records = Records::good();
    let start = records.of(1)[0].clone();
    let mut words: Vec<_> = start.split(' ').collect();
    words[3] = "3";
    let record = [
        words.join(" "),
        "at 0.0.0 0 0 0 0 7".to_owned(),
        "promised 0.1.0".to_owned(),
        "said accepted 0.1.0 0.1.0 1 0 0".to_owned(),
        "at 0.1.0 0 0 0 0 7".to_owned(),
        "stop".to_owned(),
    ];
    records.0.insert(file(3), record.into());
    records.finding("not-voting");
}

#[test]
fn a_node_that_forgets_its_promise_is_found_with_that_promise() {
    let mut records = Records::good();
    let end = records.end_of(1);
    let (applied, chain) = (end.applied.number(), end.chain);
    records.start(
        1,
        &[],
        &format!("at 0.0.0 {applied} {applied} {chain:x} 0 7"),
    );
    let found = records.finding("forgotten");
    assert!(!found.against.is_empty(), "{found:?}");
}

#[test]
fn a_node_that_forgets_a_vote_is_found() {
    let mut records = Records::good();
    let end = records.end_of(1);
    let at = records.of(1).iter().rev().nth(1).unwrap().clone();
    assert!(end.low_water < end.applied, "it still holds votes");
    records.start(1, &[], &at);
    let found = records.finding("forgotten");
    let is_vote =
        |place: &crate::judge::Place| place.path == file(1) && place.text.starts_with("voted ");
    assert!(found.against.iter().any(is_vote), "{found:?}");
}

#[test]
fn a_chain_that_differs_is_found() {
    let mut records = Records::good();
    let slot = records.command_from(20);
    let start = format!("applied {slot} ");
    let line = records.of(2).iter_mut();
    let line = line.into_iter().find(|line| line.starts_with(&start));
    let line = line.unwrap();
    let last = if line.ends_with('0') { '1' } else { '0' };
    line.pop();
    line.push(last);
    let found = records.finding("disagreement");
    assert!(
        found
            .against
            .iter()
            .any(|place| place.text.starts_with(&start))
    );
}

#[test]
fn another_decision_than_the_votes_give_is_found() {
    let mut records = Records::good();
    let slot = records.command_from(20);
    let value = records.value(slot);
    for line in records.0.values_mut().flatten() {
        if line.starts_with(&format!("applied {slot} ")) {
            *line = line.replace(&value, "cbad");
        }
    }
    records.finding("not-chosen");
}

#[test]
fn what_is_applied_without_a_quorum_is_found() {
    let mut records = Records::good();
    let next = records.end_of(1).applied.number() + 1;
    let record = records.of(1);
    record.pop();
    record.push(format!("applied {next} cbad 1f"));
    let at = record.iter().rev().find(|line| line.starts_with("at "));
    let promised = at.unwrap().split(' ').nth(1).unwrap().to_owned();
    record.push(format!("at {promised} {next} {next} 1f 0 7"));
    record.push("stop".to_owned());
    records.finding("not-chosen");
}

#[test]
fn a_vote_that_is_told_and_was_not_written_is_found() {
    let mut records = Records::good();
    let slot = records.voted_by(1);
    records
        .of(1)
        .retain(|line| !line.starts_with(&format!("voted {slot} ")));
    records.finding("unwritten-vote");
}

#[test]
fn a_promise_that_is_told_and_was_not_written_is_found() {
    let mut records = Records::good();
    let low = records.end_of(1).low_water.number();
    let promised = records
        .of(1)
        .iter()
        .rev()
        .find(|line| line.starts_with("at "));
    let promised = promised.unwrap().split(' ').nth(1).unwrap().to_owned();
    let said = format!("said promise 0.99.2 0.99.2 1 {low} 1");
    records.turn(1, &promised, &[&said]);
    records.finding("unwritten-promise");
}

#[test]
fn a_promise_that_leaves_out_a_vote_is_found() {
    let mut records = Records::good();
    let end = records.end_of(1);
    let (low, slot) = (end.low_water.number(), end.applied.number() + 2);
    let vote = format!("voted {slot} 0.98.2 cbad");
    records.turn(1, "0.98.2", &[&vote]);
    let said = format!("said promise 0.99.2 0.99.2 1 {low} 1");
    records.turn(1, "0.99.2", &["promised 0.99.2", &said]);
    records.finding("untold-vote");
}

#[test]
fn a_ballot_that_is_used_again_after_a_start_is_found() {
    let mut records = Records::good();
    let claim = "said prepare 0.99.1 1";
    records.turn(1, "0.99.1", &["promised 0.99.1", claim]);
    let at = records.of(1).iter().rev().nth(1).unwrap().clone();
    let end = records.end_of(1);
    let votes: Vec<_> = records
        .of(1)
        .iter()
        .filter(|line| line.starts_with("voted "))
        .cloned()
        .collect();
    let held = |vote: &String| {
        let slot: u64 = vote.split(' ').nth(1).unwrap().parse().unwrap();
        (slot > end.low_water.number()).then(|| vote.replace("voted", "held"))
    };
    let held: Vec<_> = votes.iter().filter_map(held).collect();
    let held: Vec<_> = held.iter().map(String::as_str).collect();
    records.start(1, &held, &at);
    records.turn(1, "0.99.1", &[claim]);
    records.finding("ballot-used-twice");
}

#[test]
fn a_claim_below_what_its_node_has_named_is_found() {
    let mut records = Records::good();
    let facts = [
        "said probe_reply 0.99.0 0.99.0",
        "promised 0.98.1",
        "said prepare 0.98.1 1",
    ];
    records.turn(1, "0.98.1", &facts);
    records.finding("claim-too-low");
}

#[test]
fn a_prefix_that_goes_back_is_found() {
    let mut records = Records::good();
    // The low-water mark, and what is applied.
    records.end_again(1, &[(2, "1"), (3, "1")]);
    records.finding("prefix-went-back");
}

#[test]
fn votes_that_are_given_up_too_early_are_found() {
    let mut records = Records::good();
    records.end_again(1, &[(2, "9999")]);
    records.finding("forgot-unapplied");
}

#[test]
fn a_command_that_takes_effect_twice_is_found() {
    let mut records = Records::good();
    let first = records.command_from(20);
    let second = records.command_from(first + 1);
    let (once, twice) = (records.value(first), records.value(second));
    for line in records.0.values_mut().flatten() {
        *line = line.replace(&twice, &once);
    }
    records.finding("applied-twice");
}

#[test]
fn a_node_that_has_halted_is_found() {
    let mut records = Records::good();
    let promised = records
        .of(1)
        .iter()
        .rev()
        .find(|line| line.starts_with("at "));
    let promised = promised.unwrap().split(' ').nth(1).unwrap().to_owned();
    records.turn(1, &promised, &["halted conflict"]);
    records.finding("halted");
}

#[test]
fn a_record_that_is_cut_anywhere_is_in_order() {
    let good = Records::good().bytes();
    with_stack(move || {
        for cut in 1..60 {
            let mut records = good.clone();
            let record = records.get_mut(&file(1)).unwrap();
            record.truncate(record.len() * cut / 60);
            if !record.contains(&b'\n') {
                continue;
            }
            let judgement = judged(&records);
            assert_eq!(judgement.finding, None, "after {cut} of 60");
            assert!(judgement.decided > 0);
        }
    });
}

#[test]
fn without_the_record_of_a_member_slots_rest_on_the_word_of_the_others() {
    let mut records = Records::good();
    records.0.remove(&file(1));
    let judgement = records.judged();
    assert_eq!(judgement.finding, None);
    assert!(judgement.decided + judgement.unproven >= judgement.last.number());
    records.0.remove(&file(2));
    assert!(records.judged().is_vacuous(), "one node agrees with itself");
}

#[test]
fn a_record_that_misses_facts_is_incomplete() {
    let mut records = Records::good();
    records.of(1).pop();
    records.of(1).push("incomplete 7".to_owned());
    let judgement = records.judged();
    assert!(judgement.is_incomplete() && judgement.finding.is_none());
}

#[test]
fn what_is_no_set_of_records_is_refused_with_what_to_do() {
    let mut records = Records::good();
    let copy = records.of(1).clone();
    records.0.insert(file(4), copy);
    let error = records.error(&[0, 1, 4]).to_string();
    assert!(error.contains("both records of NODE_1"), "{error}");

    let mut other = Records::good();
    let start = other.of(1)[0].clone();
    let cluster = start.split(' ').nth(2).unwrap();
    other.of(1)[0] = start.replace(cluster, "1f");
    let error = other.error(&[0, 1]).to_string();
    assert!(error.contains("different clusters"), "{error}");

    let mut broken = Records::good();
    broken.of(0)[1] = "voted 6".to_owned();
    let error = broken.error(&[0, 1]).to_string();
    assert_eq!(
        error,
        "0.record:2: expected a ballot such as 0.1.2, and the line ends"
    );
}
