//! The plan of a campaign: everything that is drawn from its seed before it begins.
//!
//! What cannot be drawn follows from what happens: who leads when a leader is struck, and the values that conditions name,
//! which a client has seen before.

mod draw;

use core::fmt;
use serde::Serialize;

/// The number of kinds of operations.
pub const OPERATIONS: usize = 10;

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How long it lasts, in milliseconds. The judgement comes after it.
    pub length_ms: u64,
    /// The number of founders.
    pub nodes: u16,
    /// How long a node keeps a client waiting.
    pub node_patience_ms: u64,
    /// The clients.
    pub clients: Vec<Client>,
    /// How often each kind of operation is drawn, relatively.
    pub mix: [u64; OPERATIONS],
    /// The number of groups of keys in use at a time.
    pub groups: u32,
    /// How long they are in use. A few others are in use all the time.
    pub generation_ms: u64,
    /// What strikes.
    pub strikes: Vec<Planned>,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// How many operations it sends before it waits for their replies.
    pub pipeline: u64,
    /// How long it waits.
    pub patience_ms: u64,
    /// How long it rests, at most.
    pub rest_ms: u64,
    /// How many percent of its operations are reads, beside those of the mix. A client that only reads goes on at a node
    /// that is cut off.
    pub reads: u64,
}

/// A strike with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// When it begins.
    pub at_ms: u64,
    /// What it is.
    pub strike: Strike,
}

/// The nodes that a strike concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// The member at this place, counted around.
    One(u64),
    /// The leader.
    Leader,
    /// A majority, from the member at this place on.
    Majority(u64),
    /// All members.
    All,
}

/// The directions of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the node.
    To,
    /// From the node.
    From,
    /// Both.
    Both,
}

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Connections are torn and refused.
    Refused,
    /// Bytes are withheld, and arrive at the end.
    Withheld,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strike {
    /// SIGKILL, and a start.
    Kill {
        /// Whom it strikes.
        whom: Whom,
        /// How long the nodes are down.
        down_ms: u64,
    },
    /// SIGSTOP, and SIGCONT.
    Pause {
        /// Whom it strikes.
        whom: Whom,
        /// How long the nodes stand still.
        for_ms: u64,
    },
    /// SIGSTOP and SIGCONT of a node that wakes up cut off, as a machine whose network is back later: what it believed when
    /// it fell asleep, nobody contradicts.
    Freeze {
        /// Whom it strikes.
        whom: Whom,
        /// How long the nodes stand still.
        for_ms: u64,
    },
    /// The links of one node are cut.
    Isolate {
        /// Whom it strikes.
        whom: Whom,
        /// Which of its links are cut.
        way: Way,
        /// How they are cut.
        cut: Cut,
        /// How long it lasts.
        for_ms: u64,
    },
    /// The links between two halves of the cluster are cut.
    Partition {
        /// A bit for each node, which says in which half it is.
        sides: u64,
        /// How the links are cut.
        cut: Cut,
        /// How long it lasts.
        for_ms: u64,
    },
    /// Bytes are late.
    Delay {
        /// Whose links are concerned.
        whom: Whom,
        /// How late they are.
        delay_ms: u64,
        /// How long it lasts.
        for_ms: u64,
    },
    /// Few bytes pass.
    Throttle {
        /// Whose links are concerned.
        whom: Whom,
        /// How many pass on each in a second.
        bytes_per_second: u64,
        /// How long it lasts.
        for_ms: u64,
    },
    /// Connections are torn in the middle of frames.
    Tear {
        /// Whose links are concerned.
        whom: Whom,
        /// A connection is torn once in so many pieces.
        once_in: u64,
        /// How long it lasts.
        for_ms: u64,
    },
    /// All members are stopped with SIGTERM and started, one after the other.
    Rolling,
    /// A node that was never there becomes a member.
    Add,
    /// A member, at this place, is removed.
    Remove(u64),
    /// A member, at this place, is killed, its directory is deleted, and a new node takes its place.
    Replace(u64),
}

impl Strike {
    /// Returns the name of its kind, for tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { whom, .. } => match whom {
                Whom::One(_) => "kill one",
                Whom::Leader => "kill the leader",
                Whom::Majority(_) => "kill a majority",
                Whom::All => "kill all",
            },
            Self::Pause { whom, .. } => match whom {
                Whom::Leader => "pause the leader",
                _ => "pause one",
            },
            Self::Freeze { .. } => "freeze",
            Self::Isolate { way, .. } => match way {
                Way::Both => "cut off",
                Way::To | Way::From => "cut one way",
            },
            Self::Partition { .. } => "partition",
            Self::Delay { .. } => "delay",
            Self::Throttle { .. } => "throttle",
            Self::Tear { .. } => "tear",
            Self::Rolling => "rolling restart",
            Self::Add => "add a member",
            Self::Remove(_) => "remove a member",
            Self::Replace(_) => "replace a member",
        }
    }

    /// True if it changes the members.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Add | Self::Remove(_) | Self::Replace(_))
    }
}

/// The greatest number of changes of the members in a campaign, each of which may take a new number.
pub const CHANGES_MAX: u64 = 3;
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} nodes, {} clients, {} ms; a node answers within {} ms",
            self.seed,
            self.nodes,
            self.clients.len(),
            self.length_ms,
            self.node_patience_ms
        )?;
        writeln!(
            f,
            "  {} groups of keys for {} ms each, operations {:?}",
            self.groups, self.generation_ms, self.mix
        )?;
        for (number, client) in self.clients.iter().enumerate() {
            writeln!(
                f,
                "  client {number}: {} at a time, {} % reads, waits {} ms, rests up to {} ms",
                client.pipeline, client.reads, client.patience_ms, client.rest_ms
            )?;
        }
        for Planned { at_ms, strike } in &self.strikes {
            writeln!(f, "  {at_ms:>6} ms  {:<17} {strike:?}", strike.kind())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_plan_follows_from_its_seed_and_many_seeds_have_every_kind_of_strike() {
        assert_eq!(Plan::draw(7, 20_000), Plan::draw(7, 20_000));
        assert_ne!(Plan::draw(7, 20_000), Plan::draw(8, 20_000));
        let plans = (0..100).map(|seed| Plan::draw(seed, 20_000));
        let mut kinds = BTreeSet::new();
        for plan in plans {
            assert!((4..=12).contains(&plan.clients.len()));
            let changes = plan.strikes.iter().filter(|one| one.strike.is_change());
            assert!(changes.count() <= 3, "{plan}");
            kinds.extend(plan.strikes.iter().map(|one| one.strike.kind()));
        }
        assert_eq!(kinds.len(), 17, "{kinds:?}");
    }
}
