//! Changes of the members that an operator plans, and the epochs of a run.
//!
//! A change is written as `2s:+4-1`: at that time node 4 becomes a member and node 1 is removed, in one step. A node
//! that is added and that is no founder runs from the beginning, as a learner.

mod epochs;

pub use epochs::{EpochBegan, Epochs, MembersAtEnd, Replacement};

use core::fmt;
use synod::simulation::{Fault, Planned};
use synod::{Duration, Instant, NodeId, NodeSet};

/// A change of the members at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlannedChange {
    /// Time from which on the operator asks for it.
    pub at: Duration,
    /// Nodes that become members.
    pub add: NodeSet,
    /// Members that are removed.
    pub remove: NodeSet,
}

impl PlannedChange {
    /// Returns the change as a part of a plan.
    pub(crate) const fn planned(&self) -> Planned {
        let (add, remove) = (self.add, self.remove);
        Planned {
            at: Instant::from_micros(self.at.as_micros()),
            lasts: None,
            fault: Fault::Change { add, remove },
        }
    }

    /// Returns why the change can have no effect; `None` if it can. `founders` are the members at first, and `ever` all
    /// nodes that can become members, founders included.
    pub(crate) fn vacuity(&self, founders: NodeSet, ever: NodeSet) -> Option<String> {
        let Self { add, remove, .. } = *self;
        if let Some(node) = add.intersection(remove).nth(0) {
            return Some(format!("it adds and removes node {}", node.0));
        }
        // A founder is a member, or was removed, and a removed node never becomes a member again.
        if !add.minus(founders).is_empty() {
            return None;
        }
        if remove.intersection(ever).is_empty() {
            let adds = if add.is_empty() {
                "nobody"
            } else {
                "only founders"
            };
            let removes = if remove.is_empty() {
                "nobody"
            } else {
                "only nodes that are never members"
            };
            return Some(format!("it adds {adds} and removes {removes}"));
        }
        if ever.minus(remove).is_empty() {
            return Some("it removes all members and adds none".to_owned());
        }
        None
    }
}

impl fmt::Display for PlannedChange {
    /// `2s:+4-1`, as on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.at)?;
        for node in self.add.iter() {
            write!(f, "+{}", node.0)?;
        }
        for node in self.remove.iter() {
            write!(f, "-{}", node.0)?;
        }
        Ok(())
    }
}

/// Returns the number of nodes from 0 to the last of a set; 0 for none.
pub(crate) fn span_of(nodes: NodeSet) -> u16 {
    let last = nodes.iter().last();
    last.map_or(0, |node| node.0.saturating_add(1))
}

/// Names nodes one after the other: `NODE_0, NODE_3`.
pub(crate) struct Named(pub(crate) NodeSet);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for node in self.0.iter() {
            write!(f, "{separator}{node}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Parses the nodes of a change: `+4-1`. Each is named once.
pub(crate) fn parse_nodes(text: &str) -> Option<(NodeSet, NodeSet)> {
    let (mut add, mut remove) = (NodeSet::EMPTY, NodeSet::EMPTY);
    let mut rest = text;
    while !rest.is_empty() {
        let set = match rest.as_bytes().first() {
            Some(b'+') => &mut add,
            Some(b'-') => &mut remove,
            _ => return None,
        };
        let name = rest.get(1..)?;
        let end = name.find(['+', '-']).unwrap_or(name.len());
        let (number, more) = name.split_at_checked(end)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let node = NodeId(number.parse().ok().filter(|_| is_number)?);
        // A number that no node can have is not inserted either.
        if !set.insert(node) {
            return None;
        }
        rest = more;
    }
    (!add.union(remove).is_empty()).then_some((add, remove))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> PlannedChange {
        let (add, remove) = parse_nodes(text).unwrap();
        let at = Duration::from_secs(2);
        PlannedChange { at, add, remove }
    }

    #[test]
    fn the_nodes_of_a_change_are_read_as_they_are_printed() {
        for text in ["+4-1", "+4", "-1", "+3+4+5-0-1-2", "+63"] {
            assert_eq!(change(text).to_string(), format!("2s:{text}"));
        }
        assert_eq!(change("-1+4"), change("+4-1"));
        for text in [
            "", "+", "4", "+4-", "+-4", "+4,-1", "+64", "+4+4", "+ 4", "+1_0",
        ] {
            assert_eq!(parse_nodes(text), None, "{text}");
        }
    }

    #[test]
    fn a_change_without_effect_is_known_by_its_nodes() {
        let (founders, ever) = (NodeSet::first(3), NodeSet::first(5));
        for (text, why) in [
            ("+3-3", Some("it adds and removes node 3")),
            ("+1", Some("it adds only founders and removes nobody")),
            (
                "-5",
                Some("it adds nobody and removes only nodes that are never members"),
            ),
            ("-0-1-2-3-4", Some("it removes all members and adds none")),
            ("+1-2", None),
            ("+3", None),
            ("-0-1-2", None),
            ("+3-0-1-2", None),
        ] {
            assert_eq!(change(text).vacuity(founders, ever).as_deref(), why);
        }
    }
}
