//! The rules of the protocol, as a page shows them beside a fact.

use serde::Serialize;

/// The list of rules, which is a document of the core.
const TEXT: &str = include_str!("../../../core/RULES.md");

/// A rule of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, such as `A1`.
    pub name: String,
    /// What must hold, and after ✗ what goes wrong otherwise.
    pub text: String,
}

/// Returns all rules, in the order of the document.
pub fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    // A rule is an item of a list: it goes on in lines that are indented.
    let mut is_within = false;
    for line in TEXT.lines() {
        if let Some((name, text)) = line
            .strip_prefix("- **")
            .and_then(|rest| rest.split_once("** "))
        {
            rules.push(Rule {
                name: name.to_owned(),
                text: text.to_owned(),
            });
            is_within = true;
        } else if is_within && line.starts_with("  ") {
            if let Some(rule) = rules.last_mut() {
                rule.text.push(' ');
                rule.text.push_str(line.trim_start());
            }
        } else {
            is_within = false;
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_document_is_found_with_its_whole_text() {
        let rules = rules();
        let text = |name: &str| &rules.iter().find(|rule| rule.name == name).unwrap().text;
        assert!(rules.len() > 60, "{}", rules.len());
        assert!(text("A1").starts_with("A prepare is promised if"));
        assert!(text("A1").ends_with("The ballot must belong to its sender."));
        assert!(rules.iter().all(|rule| !rule.text.contains('\n')));
    }

    /// The sentences of the page, and the rules that it shows beside them.
    const WORDS: &str = include_str!("../assets/words.js");

    /// Returns the keys of a table of the page.
    fn keys(table: &str) -> Vec<&str> {
        let (_, rest) = WORDS.split_once(&format!("const {table} = {{")).unwrap();
        let (body, _) = rest.split_once("\n};").unwrap();
        let lines = body.lines().filter_map(|line| line.split_once(": "));
        lines.map(|(key, _)| key.trim()).collect()
    }

    #[test]
    fn the_page_has_words_and_rules_for_every_message_and_reason() {
        let messages = synod::MessageKind::ALL.map(synod::MessageKind::name);
        let reasons = synod::Reason::ALL.map(synod::Reason::name);
        for table in ["MESSAGES", "RULES_OF_MESSAGES"] {
            assert_eq!(sorted(keys(table)), sorted(messages.to_vec()), "{table}");
        }
        for table in ["REASONS", "RULES_OF_REASONS"] {
            assert_eq!(sorted(keys(table)), sorted(reasons.to_vec()), "{table}");
        }
    }

    fn sorted(mut names: Vec<&str>) -> Vec<&str> {
        names.sort_unstable();
        names
    }

    #[test]
    fn every_rule_that_the_page_shows_exists() {
        let rules = rules();
        let tables = WORDS.split_once("const RULES_OF_MESSAGES").unwrap().1;
        let (tables, _) = tables.split_once("/** Returns").unwrap();
        let mut shown = 0;
        for name in tables.split('"').skip(1).step_by(2) {
            assert!(rules.iter().any(|rule| rule.name == name), "{name}");
            shown += 1;
        }
        assert!(shown > 80, "{shown}");
    }
}
