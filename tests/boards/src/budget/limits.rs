//! What each figure may be at most.

use crate::Failure;
use core::fmt::Write;
use std::collections::BTreeMap;

/// How far a limit is above the figure that it was made from, in percent.
pub const SHARE: u64 = 3;

/// What is promised, whatever the figures of today are: the node fits into a microbit, with half of its RAM for what is
/// static; and the simulation fits into 35 KiB of flash. (It was 32 KiB before nodes that do not hear the leader were served, rule
/// L8, two histories noticed, rule N3, and answers told apart by their commands, rule X1.)
const PROMISED: [(&str, u64); 3] = [
    ("node/M0/statics", 8 << 10),
    ("node/M0/ram", 16 << 10),
    ("bare-simulation/thumbv7em/s/text", 35 << 10),
];

/// The limits of figures, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits(BTreeMap<String, u64>);

impl Limits {
    /// Reads them from TOML.
    ///
    /// # Errors
    ///
    /// It is no table of names and numbers.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let limits = toml::from_str(text).map_err(|error| {
            Failure::new(format!("tests/boards/budget.toml has no limits: {error}"))
        });
        limits.map(Self)
    }

    /// Limits a little above figures.
    pub fn above(figures: &BTreeMap<String, u64>) -> Self {
        let limits = figures.iter().map(|(name, value)| {
            let limit = (value * (100 + SHARE)).div_ceil(100);
            let promised = promised(name).unwrap_or(u64::MAX);
            (name.clone(), limit.min(promised))
        });
        Self(limits.collect())
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# What each figure of `cargo budget` may be at most. `cargo budget --limits` prints this file anew, a little above the\n# figures of today; what is promised stays below its promise.\n",
        );
        for (name, limit) in &self.0 {
            // A string takes whatever is written.
            let _ = writeln!(text, "{name:?} = {limit}");
        }
        text
    }

    /// What is wrong, in a sentence for each figure.
    pub fn broken(&self, figures: &BTreeMap<String, u64>) -> Vec<String> {
        let mut sentences = Vec::new();
        for (name, value) in figures {
            match self.0.get(name) {
                _ if promised(name).is_some_and(|limit| *value > limit) => {
                    let limit = promised(name).unwrap_or(0);
                    sentences.push(format!(
                        "{name} is {value}, and {limit} is promised at most: it must become smaller"
                    ));
                }
                Some(limit) if value > limit => sentences.push(format!(
                    "{name} is {value}, above its limit of {limit}: make it smaller, or, where it is worth that, say so in the commit and raise the limit in tests/boards/budget.toml"
                )),
                Some(_) => {}
                None => sentences.push(format!(
                    "{name} is {value} and has no limit: add one to tests/boards/budget.toml"
                )),
            }
        }
        sentences
    }

    /// The names of limits for which there is no figure among all.
    pub fn idle(&self, figures: &BTreeMap<String, u64>) -> Vec<String> {
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
    fn a_limit_is_kept_broken_missing_or_idle() {
        let limits = Limits::parse("\"kept\" = 10\n\"broken\" = 10\n\"idle\" = 10").unwrap();
        let figures = figures(&[("kept", 10), ("broken", 11), ("missing", 1)]);
        let sentences = limits.broken(&figures);
        assert_eq!(sentences.len(), 2);
        assert!(sentences[0].starts_with("broken is 11, above its limit of 10"));
        assert!(sentences[1].starts_with("missing is 1 and has no limit"));
        assert!(limits.idle(&figures)[0].starts_with("idle has a limit"));
        assert!(Limits::parse("\"kept\" = \"ten\"").is_err());
    }

    #[test]
    fn what_is_promised_cannot_be_raised() {
        let limits = Limits::parse("\"node/M0/ram\" = 20000").unwrap();
        let sentences = limits.broken(&figures(&[("node/M0/ram", 16_385)]));
        assert!(sentences[0].contains("16384 is promised"), "{sentences:?}");
        assert_eq!(limits.broken(&figures(&[("node/M0/ram", 16_384)])), [""; 0]);
    }

    #[test]
    fn limits_are_a_little_above_figures_and_never_above_a_promise() {
        let figures = figures(&[("text", 1000), ("node/M0/ram", 16_000)]);
        let limits = Limits::above(&figures);
        assert_eq!(Limits::parse(&limits.to_toml()), Ok(limits.clone()));
        assert_eq!(limits.0["text"], 1030);
        assert_eq!(limits.0["node/M0/ram"], 16_384);
        assert!(limits.broken(&figures).is_empty());
    }
}
