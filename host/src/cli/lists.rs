//! Lists in the `--help` pages, generated from the types so that they are complete.
//!
//! A new role, rule, timer, message or fault is on the page as soon as the compiler knows of it.

use super::help;
use crate::case;
use crate::check::Invariant;
use crate::values::{self, listed};
use core::fmt::Write;
use synod::Role;
use synod::simulation::Rule;
use synod::{MessageKind, Timer};

/// Width of a list, in columns. A terminal of 80 columns shows them without a break.
const WIDTH: usize = 78;

/// Wraps words into lines of at most [`WIDTH`] columns, each beginning with `indent`.
fn wrapped(words: &str, indent: &str) -> String {
    let mut lines = String::new();
    // As if a line were full, so that the first word begins one.
    let mut width = usize::MAX;
    for word in words.split(' ') {
        // A word that is longer than a line gets a line of its own.
        if width.saturating_add(1 + word.len()) > WIDTH {
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(indent);
            lines.push_str(word);
            width = indent.len() + word.len();
        } else {
            lines.push(' ');
            lines.push_str(word);
            width += 1 + word.len();
        }
    }
    lines
}

/// Returns a short description of a role.
const fn description(role: Role) -> &'static str {
    match role {
        Role::Acceptor => "promises and accepts",
        Role::Replica => "keeps the log and applies it",
        Role::Leader => "leads, or follows",
        Role::Scout => "claims a ballot",
        Role::Commander => "drives one slot",
        Role::Requester => "carries one request of a client",
        Role::Seed => "founds the cluster",
        Role::Initializer => "joins the cluster",
        Role::Node => "no role: the node as a whole",
        Role::Network => "no role: the network between the nodes",
    }
}

/// Returns the text after the options of `synod` and `synod run`.
pub(super) fn after_long() -> String {
    let role = |role: Role| format!("  {:<12} {}\n", role.name(), description(role));
    let roles: String = Role::ALL.into_iter().map(role).collect();
    format!(
        "{}\n\nThe roles:\n{roles}\n{}\n\n{}",
        help::READING,
        help::AFTER_LONG,
        scenario()
    )
}

/// Returns the text after the options of `synod sweep`.
pub(super) fn sweep_after_long() -> String {
    let rules = listed(&Rule::ALL, Rule::name);
    format!(
        "{}\n\nThe rules that are checked, by their names in reports:\n{}\n\n{}",
        help::SWEEP_AFTER_LONG,
        wrapped(&rules, "  "),
        scenario()
    )
}

/// Returns the list of the keys of a scenario file. It is at the end of the pages of both commands
/// that read such a file.
fn scenario() -> String {
    let mut text =
        "A scenario is a file in TOML. Missing keys have the values of the default run,\n\
                    without faults; FILE may be - for the standard input. The keys:\n"
            .to_owned();
    for (table, keys) in case::keys() {
        let lines = wrapped(&keys.join(", "), "             ");
        // Writing to a string never fails.
        let _ = writeln!(text, "  {table:<11}{}", lines.trim_start());
    }
    text.push_str("The kinds of a [[fault]]:\n");
    text.push_str(&wrapped(&case::planned_kinds(), "  "));
    text
}

/// Returns the help of an option that takes a list of faults.
pub(super) fn faults(begins: &str) -> String {
    format!(
        "{begins}\n\nThe names: {}. Each seed has each of these faults with probability one half, and draws its strength.",
        values::fault_names()
    )
}

/// Returns the help of an option that takes a role.
pub(super) fn roles() -> String {
    format!(
        "Show only this role, such as scout; can be repeated\n\nThe names: {}",
        values::role_names()
    )
}

/// Returns the help of an option that takes a list of timers.
pub(super) fn timers() -> String {
    format!(
        "Timers that may fire: all, or names with commas between them [default: election; all with \
         --walks]\n\nThe names: {}",
        listed(&Timer::ALL, Timer::name)
    )
}

/// Returns the help of an option that takes a list of message kinds.
pub(super) fn messages() -> String {
    format!(
        "Kinds of messages that are always lost: none, or names with commas between them [default: \
         decision,heartbeat,heartbeat_reply; none with --walks]\n\nThe names: {}",
        listed(&MessageKind::ALL, MessageKind::name)
    )
}

/// Returns the text after the options of `synod check`.
pub(super) fn check_after_long() -> String {
    let line = |rule: Invariant| format!("  {:<11} {}\n", rule.name(), violation(rule));
    let rules: String = Invariant::ALL.into_iter().map(line).collect();
    format!(
        "Violations that are detected in worlds:\n{rules}\
         The walks of --storms detect these and more: see core/museum/README.md.\n\n{}",
        help::CHECK_AFTER_LONG
    )
}

/// Returns a short description of a violation of an invariant.
const fn violation(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::OneValue => "two values for a slot under one ballot",
        Invariant::Agreement => "two values chosen for a slot",
        Invariant::Succession => "a value accepted above a ballot under which another was chosen",
        Invariant::Decision => "a value applied that was not chosen, or a log that changes",
        Invariant::Validity => "a value accepted that no client requested",
        Invariant::Promise => "a promise that decreases, or a ballot claimed twice",
        Invariant::Memory => "an acceptor that reports other votes than it has cast",
        Invariant::Membership => {
            "a vote or a claim in an epoch that a node is not in or has not\n              \
             entered, or a proposal above the change that ends one"
        }
        Invariant::State => "two nodes with different states after the same slot",
        Invariant::Once => "a request applied twice, or a wrong answer",
        Invariant::Read => "a read of a state that is older than what clients knew",
        Invariant::Halt => "a node that halts because it saw a violation",
        Invariant::Assertion => "an assertion in a node (only where debug assertions are on)",
        Invariant::Storage => "undamaged storage that opens as damaged, or is full",
        Invariant::Progress => {
            "a cluster that does not come to rest or serve a client after\n              \
             all faults have ended; also without its leader"
        }
    }
}
