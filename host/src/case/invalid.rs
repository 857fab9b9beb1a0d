//! What is wrong with a case's file, and where: the line, by the key that it is about.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A step from a table of a file to what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathStep {
    /// What stands under a key.
    Key(&'static str),
    /// The nth of a list, from 0.
    Index(usize),
}

/// Something in a file that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// The way to it, the last step first.
    path: Vec<PathStep>,
    /// What it is.
    problem: String,
}

impl Invalid {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            problem: problem.into(),
        }
    }

    /// A value that a key does not take.
    pub(super) fn value(
        key: &'static str,
        got: &dyn core::fmt::Display,
        takes: &dyn core::fmt::Display,
    ) -> Self {
        Self::new(format!("{key} is '{got}', but takes {takes}")).under(key)
    }

    /// The same, seen from the table that has it under a key.
    #[must_use]
    pub(super) fn under(mut self, key: &'static str) -> Self {
        self.path.push(PathStep::Key(key));
        self
    }

    /// The same, seen from the list that has it in a place.
    #[must_use]
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.path.push(PathStep::Index(index));
        self
    }

    /// What is wrong in a text, with the line that it is about: that of the key, or of the table that lacks it.
    pub(super) fn in_text(&self, text: &str) -> String {
        match self.offset(text) {
            Some(at) => format!("line {}: {}", line_of(text, at), self.problem),
            None => self.problem.clone(),
        }
    }

    /// Where in a text it begins, as far as the way leads.
    fn offset(&self, text: &str) -> Option<usize> {
        let table = DeTable::parse(text).ok()?;
        let root = DeValue::Table(table.into_inner());
        let (mut value, mut at) = (&root, None);
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

/// The number of the line that a place in a text is in, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.matches('\n').count() + 1
}
