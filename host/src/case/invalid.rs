//! Errors in a scenario file, each located by the path of the key that it is about.
//!
//! The parser of TOML knows where each key is, but not what is wrong with it; the types of the core
//! know what is wrong, but not where it came from. The path joins the two: it is looked up in the
//! text once an error is to be shown.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A step from a table or list to one of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathStep {
    /// The value of a key.
    Key(&'static str),
    /// The element of a list at an index, from 0.
    Index(usize),
}

/// An invalid value in a scenario file.
///
/// An error is made where a value is checked, which knows only the innermost key. Each caller adds
/// what it knows, from the inside to the outside, as in
/// `Invalid::new(…).under("kind").at_index(2).under("fault")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// Path to the value, innermost step first.
    path: Vec<PathStep>,
    /// Description of the problem.
    problem: String,
}

impl Invalid {
    /// Returns an error without a place, for its callers to add.
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            problem: problem.into(),
        }
    }

    /// A value that its key does not accept.
    pub(super) fn value(
        key: &'static str,
        got: &dyn core::fmt::Display,
        takes: &dyn core::fmt::Display,
    ) -> Self {
        Self::new(format!("{key} is '{got}', but takes {takes}")).under(key)
    }

    /// Adds the key of the table that contains the value.
    #[must_use]
    pub(super) fn under(mut self, key: &'static str) -> Self {
        self.path.push(PathStep::Key(key));
        self
    }

    /// Adds the index in the list that contains the value.
    #[must_use]
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.path.push(PathStep::Index(index));
        self
    }

    /// Returns the problem with the number of the line that it is about: that of the key, or of the table that lacks
    /// it.
    pub(super) fn in_text(&self, text: &str) -> String {
        match self.offset(text) {
            Some(at) => format!("line {}: {}", line_of(text, at), self.problem),
            None => self.problem.clone(),
        }
    }

    /// Returns the offset of the value in the text, as far as the path can be followed. So an error
    /// about a key that is missing is located at its table.
    fn offset(&self, text: &str) -> Option<usize> {
        let table = DeTable::parse(text).ok()?;
        let root = DeValue::Table(table.into_inner());
        let (mut value, mut at) = (&root, None);
        // From the outside to the inside, against the order in which it was built.
        for step in self.path.iter().rev() {
            let next = match (step, value) {
                (PathStep::Key(key), DeValue::Table(table)) => {
                    let found = table.iter().find(|(name, _)| name.get_ref() == key);
                    found.map(|(name, value)| (name.span().start, value.get_ref()))
                }
                (PathStep::Index(index), DeValue::Array(list)) => {
                    let found: Option<&Spanned<DeValue<'_>>> = list.get(*index);
                    found.map(|value| (value.span().start, value.get_ref()))
                }
                _ => None,
            };
            let Some((start, next)) = next else {
                break;
            };
            (value, at) = (next, Some(start));
        }
        at
    }
}

/// Returns the number of the line that contains an offset, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.matches('\n').count() + 1
}
