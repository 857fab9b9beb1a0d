//! Everything that a server counts about itself: one table, from which `INFO` and the metrics for Prometheus are written.
//!
//! A figure that is added to the table is in both. What the figures come from is a value, [`Facts`], so that they are of one
//! moment.

mod facts;
mod histogram;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use facts::{Facts, JournalFacts, Outside};
pub(crate) use histogram::Histogram;

use core::fmt::Write;
use table::FAMILIES;

/// What kind of figure a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It only grows, and begins at zero with the process.
    Counter,
    /// It rises and falls.
    Gauge,
    /// True or false: 1 or 0.
    Flag,
}

/// Figures that have a name in common.
struct Family {
    /// The section of `INFO` that they are in.
    section: Section,
    /// The name for Prometheus.
    name: &'static str,
    kind: Kind,
    /// What they are: a sentence without a full stop.
    help: &'static str,
    figures: &'static [Figure],
}

/// One figure.
struct Figure {
    /// The name in `INFO`.
    key: &'static str,
    /// What tells it from others of its family, as Prometheus writes it; empty if it is the only one.
    label: &'static str,
    value: fn(&Facts) -> u64,
}

/// The sections of `INFO` with figures from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Connections of clients.
    Clients,
    /// The memory of the process.
    Memory,
    /// The node and its cluster.
    Synod,
}

/// Writes the figures of a section of `INFO`, a line each.
pub(crate) fn write_info(text: &mut String, section: Section, facts: &Facts) {
    for family in FAMILIES.iter().filter(|family| family.section == section) {
        for figure in family.figures {
            let value = (figure.value)(facts);
            // A string takes everything.
            let _ = match family.kind {
                Kind::Flag => write!(text, "{}:{}\r\n", figure.key, value != 0),
                Kind::Counter | Kind::Gauge => write!(text, "{}:{value}\r\n", figure.key),
            };
        }
    }
}

/// Returns all figures in the text format of Prometheus, version 0.0.4.
pub(crate) fn exposition(facts: &Facts) -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = write_exposition(&mut text, facts);
    text
}

fn write_exposition(text: &mut String, facts: &Facts) -> core::fmt::Result {
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Flag => "gauge",
        };
        let name = family.name;
        write!(
            text,
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            family.help
        )?;
        for figure in family.figures {
            text.push_str(name);
            if !figure.label.is_empty() {
                write!(text, "{{{}}}", figure.label)?;
            }
            writeln!(text, " {}", (figure.value)(facts))?;
        }
    }
    let name = "synod_commit_duration_seconds";
    write!(
        text,
        "# HELP {name} Turns that made something durable: messages handled, the write and its sync\n# TYPE {name} histogram\n"
    )?;
    facts.outside.commits.write(text, name)?;
    let name = "synod_node_info";
    write!(
        text,
        "# HELP {name} The node and the version of the program; always 1\n# TYPE {name} gauge\n\
         {name}{{node=\"{}\",version=\"{}\"}} 1\n",
        facts.node.0,
        env!("CARGO_PKG_VERSION"),
    )
}
