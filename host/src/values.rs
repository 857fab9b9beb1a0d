//! Parsers for the values of options and scenario keys: durations, percentages, nodes, seeds. All are exact; no float
//! is involved.
//!
//! The error of each parser completes a sentence that begins with "takes".
//!
//! What is accepted is narrow on purpose: a number without a unit, a percentage without its sign,
//! or a name that is nearly right is refused with the form that is meant. A run of hours with other
//! options than its user believes is worse than an error.

#[cfg(test)]
mod tests;

use crate::membership::{self, PlannedChange};
use crate::sweep::{Seeds, Shard};
use core::num::NonZeroUsize;
use core::ops::RangeInclusive;
use synod::simulation::{FaultKind, FaultSet, Kill, Placement, Target};
use synod::{Duration, Instant, NodeId, Role};

/// Longest mean delay of a message. More than a day is a mistake of unit rather than a network.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Greatest jitter that the random generator of the simulation can draw.
pub(crate) const JITTER_MAX: Duration = Duration::from_secs(35 * 60);
/// Greatest bound on simulated time: more than a century. Sums of simulated times stay far from the
/// end of 64 bits of microseconds.
pub(crate) const UNTIL_MAX: Duration = Duration::from_secs(1_000_000 * 3_600);

/// Description of the values that an option accepts; completes "takes …". The option and the value
/// that was given are added by the caller: see [`crate::cli::UsageError`].
pub(crate) type Expected = &'static str;

/// Parses a seed: a whole number from 0 to 2⁶⁴ − 1.
pub(crate) fn seed(text: &str) -> Result<u64, Expected> {
    number(text).ok_or("a whole number from 0 to 18446744073709551615")
}

/// Parses a range of seeds: `0..1000` excludes its end, `1000..` has none.
pub(crate) fn seeds(text: &str) -> Result<Seeds, Expected> {
    let parsed = text.split_once("..").and_then(|(first, end)| {
        let first = number(first)?;
        let end = match end {
            "" => None,
            end => Some(number(end)?),
        };
        // An empty range is a slip, and would report success over no run.
        end.is_none_or(|end| first < end)
            .then_some(Seeds { first, end })
    });
    parsed.ok_or("a range such as 0..1000, or 1000.. with --for")
}

/// Parses a share of the seeds, `1/4`.
pub(crate) fn shard(text: &str) -> Result<Shard, Expected> {
    let parsed = text.split_once('/').and_then(|(index, count)| {
        let [index, count] = [index, count].map(|text| u32::try_from(number(text)?).ok());
        let (index, count) = (index?, count?);
        // A share of none has no number, so that `0/0` is refused as well.
        (1..=count)
            .contains(&index)
            .then_some(Shard { index, count })
    });
    parsed.ok_or("a share I/N with I from 1 to N, such as 1/4")
}

/// Parses the number of runs at a time. More threads than that are a slip of the keyboard.
pub(crate) fn jobs(text: &str) -> Result<NonZeroUsize, Expected> {
    within(text, 1..=1024)
        .and_then(|jobs| NonZeroUsize::new(jobs.into()))
        .ok_or("a whole number from 1 to 1024")
}

/// Parses a set of faults: `all`, `none`, or names separated by commas.
pub(crate) fn faults(text: &str) -> Result<FaultSet, String> {
    match text {
        "all" => return Ok(FaultSet::ALL),
        "none" => return Ok(FaultSet::NONE),
        _ => {}
    }
    let mut faults = FaultSet::NONE;
    for name in text.split(',') {
        let mut kinds = FaultKind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.name().eq_ignore_ascii_case(name));
        let takes = || {
            format!(
                "all, none, or some of {}, with commas between them",
                fault_names()
            )
        };
        faults = faults.with(kind.ok_or_else(takes)?);
    }
    Ok(faults)
}

/// Returns the names of all kinds of faults, separated by commas.
pub(crate) fn fault_names() -> String {
    listed(&FaultKind::ALL, FaultKind::name)
}

/// Returns the names of a vocabulary, separated by commas.
pub(crate) fn listed<T: Copy>(every: &[T], name: impl Fn(T) -> &'static str) -> String {
    let names: Vec<_> = every.iter().map(|item| name(*item)).collect();
    names.join(", ")
}

/// Parses the number of nodes.
pub(crate) fn nodes(text: &str) -> Result<u16, Expected> {
    within(text, 1..=64).ok_or("a whole number from 1 to 64")
}

/// Parses the number of clients.
pub(crate) fn clients(text: &str) -> Result<u16, Expected> {
    within(text, 1..=64).ok_or("a whole number from 1 to 64")
}

/// Parses the number of requests of each client. The last number of 32 bits is kept free, as it
/// stands for scripts without an end.
pub(crate) fn requests(text: &str) -> Result<u32, Expected> {
    number(text)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number >= 1 && *number < u32::MAX)
        .ok_or("a whole number from 1 to 4294967294, such as 10_000")
}

/// Parses the number of nodes of a cluster that is model checked.
pub(crate) fn small_cluster(text: &str) -> Result<u16, Expected> {
    within(text, 1..=5).ok_or("a whole number from 1 to 5")
}

/// Parses the number of a node of a cluster that is model checked.
pub(crate) fn small_node(text: &str) -> Result<NodeId, Expected> {
    within(text, 0..=4)
        .map(NodeId)
        .ok_or("a whole number from 0 to 4")
}

/// Parses how often an action may happen in a cluster that is model checked.
pub(crate) fn small_count(text: &str) -> Result<u8, Expected> {
    let number = within(text, 0..=8).and_then(|number| u8::try_from(number).ok());
    number.ok_or("a whole number from 0 to 8")
}

/// Like [`small_count`], but at least 1.
pub(crate) fn small_count_from_one(text: &str) -> Result<u8, Expected> {
    small_count(text)
        .ok()
        .filter(|number| *number >= 1)
        .ok_or("a whole number from 1 to 8")
}

/// Parses a number of steps.
pub(crate) fn depth(text: &str) -> Result<u32, Expected> {
    number(text)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or("a whole number from 1 to 1000000")
}

/// Parses a subset of a vocabulary: names separated by commas, returned in the order of the vocabulary, or `word` for
/// `these`.
pub(crate) fn names<T: Copy>(
    text: &str,
    (word, these): (&str, &[T]),
    every: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, String> {
    if text == word {
        return Ok(these.to_vec());
    }
    let known = |part: &str| every.iter().any(|item| name(*item) == part);
    if !text.split(',').all(known) {
        return Err(format!(
            "{word}, or with commas between them some of {}",
            listed(every, name)
        ));
    }
    let named = |item: &T| text.split(',').any(|part| part == name(*item));
    Ok(every.iter().copied().filter(named).collect())
}

/// Parses a bound on events.
pub(crate) fn events(text: &str) -> Result<u64, Expected> {
    number(text)
        .filter(|number| *number >= 1)
        .ok_or("a whole number from 1, such as 10_000_000")
}

/// Parses a number of requests or keys. More than a thousand millions are a slip of the keyboard.
#[cfg(feature = "server")]
pub(crate) fn count(text: &str) -> Result<u64, Expected> {
    number(text)
        .filter(|number| (1..=1_000_000_000).contains(number))
        .ok_or("a whole number from 1 to 1000000000, such as 10_000")
}

/// Parses a percentage, as millionths: `5%`, `0.5%`, or `0`.
pub(crate) fn percent(text: &str) -> Result<u32, Expected> {
    let takes = "a percentage from 0% to 100%, such as 5% or 0.5%";
    let parsed = match text.strip_suffix('%') {
        Some(number) => decimal(number, 10_000),
        None => decimal(text, 1).filter(|number| *number == 0),
    };
    parsed
        .and_then(|ppm| u32::try_from(ppm).ok())
        .filter(|ppm| *ppm <= 1_000_000)
        .ok_or(takes)
}

/// Parses a duration: `30ms`, `1.5s`, `250us`, `2m`, `1h`, or `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, Expected> {
    span(text).ok_or("a duration such as 30ms, 1.5s or 2m")
}

/// Parses the delay of a message, at most [`DELAY_MAX`].
pub(crate) fn delay(text: &str) -> Result<Duration, Expected> {
    span(text)
        .filter(|span| *span <= DELAY_MAX)
        .ok_or("a duration of at most 24h, such as 30ms, 1.5s or 2m")
}

/// Parses a bound on simulated time, above zero and at most [`UNTIL_MAX`].
pub(crate) fn until(text: &str) -> Result<Duration, Expected> {
    span(text)
        .filter(|span| (Duration::from_micros(1)..=UNTIL_MAX).contains(span))
        .ok_or("a duration above zero and of at most 1000000h, such as 90s or 10m")
}

/// Parses a time budget, above zero.
pub(crate) fn time_limit(text: &str) -> Result<Duration, Expected> {
    span(text)
        .filter(|span| *span > Duration::ZERO)
        .ok_or("a duration above zero, such as 90s or 10m")
}

/// Parses a node: `3` or `NODE_3`. Whether the node exists depends on the number of nodes and is checked later.
pub(crate) fn node(text: &str) -> Result<NodeId, Expected> {
    node_id(text).ok_or("a node such as 3 or NODE_3")
}

/// Parses the number of a node of a real cluster.
#[cfg(feature = "server")]
pub(crate) fn real_node(text: &str) -> Result<NodeId, Expected> {
    node_id(text)
        .filter(|node| node.0 < synod::NODES_MAX)
        .ok_or("a node from 0 to 63, such as 3 or NODE_3")
}

/// Returns a parser of a whole number within bounds.
#[cfg(feature = "server")]
pub(crate) fn whole<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        number(text)
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Parses a role, in upper or lower case.
pub(crate) fn role(text: &str) -> Result<Role, String> {
    Role::ALL
        .into_iter()
        .find(|role| role.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("one of {}", role_names()))
}

/// Returns the names of all roles in lower case, separated by commas.
pub(crate) fn role_names() -> String {
    listed(&Role::ALL, Role::name).to_lowercase()
}

/// Parses a slot or a range of slots: `7` or `7-12`.
pub(crate) fn slots(text: &str) -> Result<RangeInclusive<u64>, Expected> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    number(first)
        .zip(number(last))
        .filter(|(first, last)| *first >= 1 && first <= last)
        .map(|(first, last)| first..=last)
        .ok_or("a slot from 1 or a range of slots, such as 7 or 7-12")
}

/// Parses the placement of the clients; `None` for the last node.
pub(crate) fn place(text: &str) -> Result<Option<Placement>, Expected> {
    match text {
        "last" => Ok(None),
        "spread" => Ok(Some(Placement::Spread)),
        _ => node_id(text)
            .map(|node| Some(Placement::One(node)))
            .ok_or("last, spread, or a node such as 3 or NODE_3"),
    }
}

/// Parses a crash for good: `3@1s`, `NODE_3@1.5s` or `leader@800ms`.
pub(crate) fn kill(text: &str) -> Result<Kill, Expected> {
    let parsed = text.split_once('@').and_then(|(target, at)| {
        let target = if target.eq_ignore_ascii_case("leader") {
            Target::Leader
        } else {
            Target::Node(node_id(target)?)
        };
        let at = Instant::ZERO + span(at)?;
        Some(Kill { target, at })
    });
    parsed.ok_or("NODE@TIME or leader@TIME, such as 3@1s, NODE_3@1.5s or leader@800ms")
}

/// Parses a change of the members: `2s:+4-1`.
pub(crate) fn change(text: &str) -> Result<PlannedChange, Expected> {
    let parsed = text.split_once(':').and_then(|(at, nodes)| {
        let (add, remove) = membership::parse_nodes(nodes)?;
        let at = span(at)?;
        Some(PlannedChange { at, add, remove })
    });
    parsed.ok_or(
        "a time, a colon, and nodes from 0 to 63 to add (+) and remove (-), each named once, such as 2s:+4-1",
    )
}

/// Parses the number of a node, as a number or as it is named in the log.
fn node_id(text: &str) -> Option<NodeId> {
    let digits = text
        .strip_prefix("NODE_")
        .or_else(|| text.strip_prefix("node_"))
        .unwrap_or(text);
    within(digits, 0..=u16::MAX).map(NodeId)
}

/// Parses a whole number in a range.
fn within(text: &str, range: RangeInclusive<u16>) -> Option<u16> {
    let number = u16::try_from(number(text)?).ok()?;
    range.contains(&number).then_some(number)
}

/// Parses a whole number that may have underscores between its digits: `10_000`. An empty text is
/// none, and neither is one with a sign.
fn number(text: &str) -> Option<u64> {
    let outside = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    let digits: String = text.chars().filter(|char| *char != '_').collect();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if outside || !plain {
        return None;
    }
    digits.parse().ok()
}

/// Parses a number with a unit of time, exact to the microsecond. A number without a unit is a
/// duration only if it is 0, as nobody could tell its unit.
fn span(text: &str) -> Option<Duration> {
    let unit_at = text
        .find(|char: char| !(char.is_ascii_digit() || char == '.' || char == '_'))
        .unwrap_or(text.len());
    let (value, unit) = text.split_at_checked(unit_at)?;
    let micros = match unit {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "" if decimal(value, 1) == Some(0) => 1,
        _ => return None,
    };
    decimal(value, micros).map(Duration::from_micros)
}

/// Parses a decimal number of units that consist of `unit` parts each, and returns the number of parts, or `None` if
/// that is not whole.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        // `5.` has a place for digits and none in it.
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let mut parts = number(whole)?.checked_mul(unit)?;
    // The worth of the next decimal place, times ten.
    let mut place = unit;
    for byte in fraction.trim_end_matches('0').bytes() {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        // With 60 minutes to the hour, the value of a decimal place may be fractional although its product with the
        // digit is whole.
        let worth = u64::from(digit).checked_mul(place)?;
        // A fraction of the smallest unit would be lost silently.
        if !worth.is_multiple_of(10) {
            return None;
        }
        parts = parts.checked_add(worth / 10)?;
        if !place.is_multiple_of(10) {
            return None;
        }
        place /= 10;
    }
    Some(parts)
}
