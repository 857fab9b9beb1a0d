//! Limits of the figures of `cargo budget`: those that are promised, and those in `tests/boards/budget.toml`.

use crate::Failure;
use core::fmt::Write;
use std::collections::BTreeMap;

/// The margin between a figure and the limit made from it, in percent.
pub const SHARE: u64 = 3;

/// Promised limits, which are never raised: the node fits into a microbit and leaves half of its RAM to the stack;
/// and the simulation fits into 45 KiB of flash. (It was 32 KiB before rule L8, partial partitions, rule N3, detection
/// of diverged histories, and rule X1, answers matched to their commands; and 35 KiB before rules V1 to V9, changes of
/// the members, and the operator of the simulation who asks for them; and 41 KiB before rules Q2 to Q5, reads without a
/// slot.)
const PROMISED: [(&str, u64); 3] = [
    ("node/M0/statics", 8 << 10),
    ("node/M0/ram", 16 << 10),
    ("bare-simulation/thumbv7em/s/text", 45 << 10),
];

/// Limits of figures, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits(BTreeMap<String, u64>);

impl Limits {
    /// Parses limits from TOML.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a table of names and numbers.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let limits = toml::from_str(text).map_err(|error| {
            Failure::new(format!(
                "tests/boards/budget.toml cannot be parsed: {error}"
            ))
        });
        limits.map(Self)
    }

    /// Returns limits a little above some figures.
    pub fn above(figures: &BTreeMap<String, u64>) -> Self {
        let limits = figures.iter().map(|(name, value)| {
            let limit = (value * (100 + SHARE)).div_ceil(100);
            let promised = promised(name).unwrap_or(u64::MAX);
            (name.clone(), limit.min(promised))
        });
        Self(limits.collect())
    }

    /// Returns the limits as TOML.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# The limit of each figure of `cargo budget`. `cargo budget --limits` prints this file, a little above the current figures\n# and never above a promised limit.\n",
        );
        for (name, limit) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:?} = {limit}");
        }
        text
    }

    /// Returns a sentence for each figure that is above its limit or has none.
    pub fn broken(&self, figures: &BTreeMap<String, u64>) -> Vec<String> {
        let mut sentences = Vec::new();
        for (name, value) in figures {
            match self.0.get(name) {
                _ if promised(name).is_some_and(|limit| *value > limit) => {
                    let limit = promised(name).unwrap_or(0);
                    sentences.push(format!(
                        "{name} is {value}, above the promised limit of {limit}: make it smaller"
                    ));
                }
                Some(limit) if value > limit => sentences.push(format!(
                    "{name} is {value}, above its limit of {limit}: make it smaller, or raise the limit in tests/boards/budget.toml and give the reason in the commit"
                )),
                Some(_) => {}
                None => sentences.push(format!(
                    "{name} is {value} and has no limit: add one to tests/boards/budget.toml"
                )),
            }
        }
        sentences
    }

    /// Returns a sentence for each limit without a figure.
    pub fn unused(&self, figures: &BTreeMap<String, u64>) -> Vec<String> {
        let missing = |name: &&String| !figures.contains_key(*name);
        let sentence =
            |name: &String| format!("{name} has a limit in tests/boards/budget.toml and no figure");
        self.0.keys().filter(missing).map(sentence).collect()
    }
}

fn promised(name: &str) -> Option<u64> {
    let found = PROMISED.iter().find(|promise| promise.0 == name);
    found.map(|promise| promise.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(figures: &[(&str, u64)]) -> BTreeMap<String, u64> {
        let owned = figures.iter().map(|(name, value)| ((*name).into(), *value));
        owned.collect()
    }

    #[test]
    fn a_limit_is_kept_exceeded_missing_or_unused() {
        let limits = Limits::parse("\"kept\" = 10\n\"broken\" = 10\n\"idle\" = 10").unwrap();
        let figures = figures(&[("kept", 10), ("broken", 11), ("missing", 1)]);
        let sentences = limits.broken(&figures);
        assert_eq!(sentences.len(), 2);
        assert!(sentences[0].starts_with("broken is 11, above its limit of 10"));
        assert!(sentences[1].starts_with("missing is 1 and has no limit"));
        assert!(limits.unused(&figures)[0].starts_with("idle has a limit"));
        assert!(Limits::parse("\"kept\" = \"ten\"").is_err());
    }

    #[test]
    fn a_promised_limit_cannot_be_raised() {
        let limits = Limits::parse("\"node/M0/ram\" = 20000").unwrap();
        let sentences = limits.broken(&figures(&[("node/M0/ram", 16_385)]));
        assert!(
            sentences[0].contains("promised limit of 16384"),
            "{sentences:?}"
        );
        assert_eq!(limits.broken(&figures(&[("node/M0/ram", 16_384)])), [""; 0]);
    }

    #[test]
    fn limits_are_a_little_above_the_figures_and_never_above_a_promised_limit() {
        let figures = figures(&[("text", 1000), ("node/M0/ram", 16_000)]);
        let limits = Limits::above(&figures);
        assert_eq!(Limits::parse(&limits.to_toml()), Ok(limits.clone()));
        assert_eq!(limits.0["text"], 1030);
        assert_eq!(limits.0["node/M0/ram"], 16_384);
        assert!(limits.broken(&figures).is_empty());
    }
}
