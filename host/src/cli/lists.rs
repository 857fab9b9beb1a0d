//! The parts of `--help` that list what there is: made from the types, so that nothing is left out.

use super::help;
use crate::case;
#[cfg(feature = "check")]
use crate::check::Invariant;
use crate::values::{self, listed};
use core::fmt::Write;
use synod::Role;
use synod::simulation::Rule;
#[cfg(feature = "check")]
use synod::{MessageKind, Timer};

/// How wide the lists are.
const WIDTH: usize = 78;

/// Words in lines of one width, each of which begins with the indent.
fn wrapped(words: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut width = usize::MAX;
    for word in words.split(' ') {
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

/// What a role does, in a few words.
const fn does(role: Role) -> &'static str {
    match role {
        Role::Acceptor => "promises and accepts",
        Role::Replica => "keeps and applies the log",
        Role::Leader => "leads, or follows",
        Role::Scout => "claims a ballot",
        Role::Commander => "drives one slot",
        Role::Requester => "stands for one request",
        Role::Seed => "founds the cluster",
        Role::Initializer => "joins it",
        Role::Node => "no role: the node as a whole",
        Role::Network => "no role: what lies between the nodes",
    }
}

/// What follows the options of `synod` and `synod run`.
pub(super) fn after_long() -> String {
    let role = |role: Role| format!("  {:<12} {}\n", role.name(), does(role));
    let roles: String = Role::ALL.into_iter().map(role).collect();
    format!(
        "{}\n\nThe roles:\n{roles}\n{}\n\n{}",
        help::READING,
        help::AFTER_LONG,
        scenario()
    )
}

/// What follows the options of `synod sweep`.
pub(super) fn sweep_after_long() -> String {
    let rules = listed(&Rule::ALL, Rule::name);
    format!(
        "{}\n\nThe rules that no run may break, by the names that reports give them:\n{}\n\n{}",
        help::SWEEP_AFTER_LONG,
        wrapped(&rules, "  "),
        scenario()
    )
}

/// The keys of a scenario's file.
fn scenario() -> String {
    let mut text =
        "A scenario is a file in TOML. What it leaves out is as in the default run, with no\n\
                    faults; FILE may be - for the standard input. Its keys:\n"
            .to_owned();
    for (table, keys) in case::keys() {
        let lines = wrapped(&keys.join(", "), "             ");
        // A string never refuses.
        let _ = writeln!(text, "  {table:<11}{}", lines.trim_start());
    }
    text.push_str("The kinds of a [[fault]]:\n");
    text.push_str(&wrapped(&case::planned_kinds(), "  "));
    text
}

/// The kinds of fault, for an option that takes some of them.
pub(super) fn faults(begins: &str) -> String {
    format!(
        "{begins}\n\nThe names: {}. Each seed draws which of them it has, each as likely as not, and how strong they are.",
        values::fault_names()
    )
}

/// The roles, for an option that takes one of them.
pub(super) fn roles() -> String {
    format!(
        "Only this role, such as scout; can be repeated\n\nThe names: {}",
        values::role_names()
    )
}

/// The timers, for an option that takes some of them.
#[cfg(feature = "check")]
pub(super) fn timers() -> String {
    format!(
        "Which timers may fire: all, or some of them by name, with commas between them [default: election; all with \
         --walks]\n\nThe names: {}",
        listed(&Timer::ALL, Timer::name)
    )
}

/// The kinds of messages, for an option that takes some of them.
#[cfg(feature = "check")]
pub(super) fn messages() -> String {
    format!(
        "Messages of which kinds are always lost: none, or some of them by name, with commas between them [default: \
         decision,heartbeat,heartbeat_reply; none with --walks]\n\nThe names: {}",
        listed(&MessageKind::ALL, MessageKind::name)
    )
}

/// What follows the options of `synod check`.
#[cfg(feature = "check")]
pub(super) fn check_after_long() -> String {
    let line = |rule: Invariant| format!("  {:<11} {}\n", rule.name(), is_broken_by(rule));
    let rules: String = Invariant::ALL.into_iter().map(line).collect();
    format!(
        "What is looked for in worlds, from what nodes write, send, apply and answer:\n{rules}\
         Storms look for the same and more; core/museum/README.md has their checks.\n\n{}",
        help::CHECK_AFTER_LONG
    )
}

/// What breaks an invariant, in a few words.
#[cfg(feature = "check")]
const fn is_broken_by(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::OneValue => "two values for a slot under one ballot",
        Invariant::Agreement => "two values chosen for a slot",
        Invariant::Succession => "another value accepted above a ballot under which one was chosen",
        Invariant::Decision => "something applied that was not chosen, or a log that changes",
        Invariant::Validity => "something accepted that nobody asked for",
        Invariant::Promise => "a promise that falls, or a claim that is made twice",
        Invariant::Memory => "an acceptor that reports less, or more, than it has accepted",
        Invariant::State => "two nodes that have applied as far and differ",
        Invariant::Once => "a request that takes effect twice, or a wrong answer",
        Invariant::Halt => "a node that finds proof of a broken rule",
        Invariant::Assertion => "an assertion in a node (only where debug assertions are on)",
        Invariant::Storage => "storage that nothing has damaged, and that opens damaged or is full",
        Invariant::Progress => {
            "a cluster that does not come to rest, or serves nobody, once the\n              \
             network has healed; also without its leader"
        }
    }
}
