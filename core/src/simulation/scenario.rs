//! The scenario of a run: all parameters that, with the run seed, determine it.
//!
//! A scenario is plain data, so that it can be drawn, read from a file, changed and compared. All spans in it are
//! simulated time, and nothing in it depends on the machine that runs it. [`Scenario::validate`] says what cannot be.

use super::network::Link;
use crate::mutant::Mistake;
use crate::{Config, Duration, Instant, NODES_MAX, NodeId, NodeSet};
use core::fmt;
use heapless::Vec;

/// The most clients of one run.
pub const CLIENTS_MAX: usize = 64;
/// The most kills of one run.
pub const KILLS_MAX: usize = 8;

/// Who is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Target {
    /// This node.
    Node(NodeId),
    /// Whoever leads then; or, when nobody does, whoever leads next.
    Leader,
}

/// A node that is stopped for good at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Which node.
    pub target: Target,
    /// When.
    pub at: Instant,
}

/// Where the clients sit. A client whose node is killed goes on at the next one that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All of them at one node.
    One(NodeId),
    /// One after the other over the nodes.
    Spread,
}

/// One run. [`Scenario::new`] gives the default: fourteen nodes of which node 0 founds the cluster, messages of which one
/// in twenty is lost and that take 30 ms ± 20 ms, and eleven clients at the last node.
///
/// ```
/// use synod::simulation::{Placement, Scenario};
/// use synod::NodeId;
/// let scenario = Scenario::new(6);
/// assert_eq!((scenario.nodes, scenario.clients), (14, 11));
/// assert_eq!(scenario.placement, Placement::One(NodeId(13)));
/// ```
///
/// There is more in it under the feature `mutants`. So nobody but [`Scenario::new`] and [`Scenario::of`] makes one, and what
/// is to be different is changed in that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scenario {
    /// Decides everything that is left to chance.
    pub run_seed: u64,
    /// How many nodes, from 1 to the simulation's `NODES`.
    pub nodes: u16,
    /// How many of them found the cluster, from node 0 on; `None` for all. The others join as learners, and vote when a
    /// [change](super::Fault::Change) has made them members.
    pub founders: Option<u16>,
    /// Nodes that never run, as their storage is lost for good; empty for none. Their numbers are taken all the same.
    pub absent: NodeSet,
    /// What the links between them are like.
    pub link: Link,
    /// How many clients, from 0 to [`CLIENTS_MAX`].
    pub clients: u16,
    /// Where they sit.
    pub placement: Placement,
    /// What the nodes take for the longest round trip: all of their timings are in proportion to it. `None` for what it
    /// is; anything else is a setting that does not fit the network.
    pub round_trip: Option<Duration>,
    /// How long a client thinks between an answer and its next request.
    pub think: Duration,
    /// How long a client waits for an answer before it withdraws its request (rule X4), and then makes the same one again,
    /// at the same node or at the next one, or another one; `None` for as long as it takes.
    pub patience: Option<Duration>,
    /// Whether clients ask nodes that have not joined yet. Otherwise they wait until their node has joined.
    pub asks_joining: bool,
    /// Whether clients read the state of their node for every other command that changes nothing
    /// ([`Node::read`](crate::Node::read)). Otherwise every command goes through the log.
    pub reads: bool,
    /// How long the driver of a node gathers what its steps want done before it empties the outbox, if there is room for a
    /// further step; zero to empty it after every step. Storage that is [`Perfect`](super::Perfect) empties it after every
    /// step all the same.
    pub gather: Duration,
    /// What a driver does while it makes writes durable. If true, [early](crate::Outbox::early) messages leave before,
    /// and the node takes no input until the writes are durable. Otherwise all messages wait, and the node goes on. No
    /// difference where storage takes no time.
    pub early: bool,
    /// A node that an operator has made a founder by mistake, besides node 0; `None` for no mistake.
    pub second_founder: Option<NodeId>,
    /// Who is killed, and when.
    pub kills: Vec<Kill, KILLS_MAX>,
    /// The run is stalled if it is not done by then.
    pub time_max: Duration,
    /// The run is stalled if it is not done by then.
    pub events_max: u64,
    /// The mistake that every node makes, if they make one.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Scenario {
    /// The default scenario under a run seed.
    pub fn new(run_seed: u64) -> Self {
        let link = Link {
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(20),
            loss_ppm: 50_000,
        };
        Self {
            link,
            ..Self::of(run_seed, 14)
        }
    }

    /// As the default, but with so many nodes, and the clients at the last of them.
    pub fn of(run_seed: u64, nodes: u16) -> Self {
        let link = Link {
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(20),
            loss_ppm: 50_000,
        };
        Self {
            run_seed,
            nodes,
            founders: None,
            absent: NodeSet::EMPTY,
            link,
            clients: 11,
            placement: Placement::One(NodeId(nodes.saturating_sub(1))),
            round_trip: None,
            think: Duration::ZERO,
            patience: None,
            asks_joining: false,
            reads: false,
            gather: Duration::ZERO,
            early: false,
            second_founder: None,
            kills: Vec::new(),
            time_max: Duration::from_secs(120),
            events_max: 10_000_000,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The mistake that every node makes.
    pub(crate) const fn mistake(&self) -> Mistake {
        #[cfg(feature = "mutants")]
        return Mistake::of(self.mutant);
        #[cfg(not(feature = "mutants"))]
        {
            let _ = self;
            Mistake::NONE
        }
    }

    /// How many nodes found the cluster.
    pub(super) fn founders(&self) -> u16 {
        self.founders.unwrap_or(self.nodes)
    }

    /// The settings of one of its nodes.
    ///
    /// ```
    /// use synod::NodeId;
    /// use synod::simulation::Scenario;
    ///
    /// let config = Scenario::of(6, 3).config(NodeId(2));
    /// assert_eq!((config.node, config.founder, config.validate()), (NodeId(2), NodeId(0), Ok(())));
    /// ```
    pub fn config(&self, node: NodeId) -> Config {
        let round_trip = self
            .round_trip
            .unwrap_or_else(|| self.link.round_trip_max());
        let mut config = Config::new(node, self.founders()).with_round_trip(round_trip);
        if self.second_founder == Some(node) {
            config.founder = node;
        }
        config
    }

    /// Checks it against what a simulation has room for.
    pub(super) fn validate(
        &self,
        nodes_max: usize,
        clients_max: usize,
    ) -> Result<(), ScenarioError> {
        let nodes_max = u16::try_from(nodes_max).unwrap_or(NODES_MAX).min(NODES_MAX);
        if self.nodes == 0 || self.nodes > nodes_max {
            return Err(ScenarioError::Nodes { max: nodes_max });
        }
        if let Some(founders) = self.founders
            && (founders == 0 || founders > self.nodes)
        {
            return Err(ScenarioError::Founders { max: self.nodes });
        }
        // A node that is no member founds nothing.
        if let Some(node) = self.second_founder
            && node.0 >= self.founders()
        {
            return Err(ScenarioError::NoFounder(node));
        }
        // Observers and workloads have a place for so many, whatever the room of the simulation.
        let clients_max = u16::try_from(clients_max.min(CLIENTS_MAX)).unwrap_or(u16::MAX);
        if self.clients > clients_max {
            return Err(ScenarioError::Clients { max: clients_max });
        }
        if self.link.loss_ppm > Link::LOSS_MAX {
            return Err(ScenarioError::Loss);
        }
        if self.link.jitter > self.link.delay || self.link.jitter > Link::JITTER_MAX {
            return Err(ScenarioError::Jitter);
        }
        let exists = |node: NodeId| {
            if node.0 < self.nodes {
                Ok(())
            } else {
                Err(ScenarioError::NoSuchNode(node))
            }
        };
        if let Placement::One(node) = self.placement {
            exists(node)?;
        }
        for kill in &self.kills {
            if let Target::Node(node) = kill.target {
                exists(node)?;
            }
        }
        Ok(())
    }
}

/// Why a scenario cannot be run. Nothing was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The number of nodes is 0, or above what there is room for.
    Nodes {
        /// How many there is room for.
        max: u16,
    },
    /// The number of clients is above what there is room for.
    Clients {
        /// How many there is room for.
        max: u16,
    },
    /// The number of founders is 0, or above that of the nodes.
    Founders {
        /// How many nodes there are.
        max: u16,
    },
    /// The second founder is not among the nodes that found the cluster.
    NoFounder(NodeId),
    /// More than all messages are to be lost.
    Loss,
    /// The jitter is above the delay, so that messages would arrive before they are sent, or above 35 minutes.
    Jitter,
    /// A kill or a placement names a node that is not there.
    NoSuchNode(NodeId),
    /// The storage of a node is not one that it may start from.
    Refused(NodeId),
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes { max } => write!(f, "the number of nodes must be from 1 to {max}"),
            Self::Founders { max } => write!(f, "the number of founders must be from 1 to {max}"),
            Self::NoFounder(node) => {
                write!(f, "{node} is not among the nodes that found the cluster")
            }
            Self::Clients { max } => write!(f, "the number of clients must be at most {max}"),
            Self::Loss => f.write_str("the loss must be at most 100 %"),
            Self::Jitter => {
                f.write_str("the jitter must be at most the delay, and at most 35 minutes")
            }
            Self::NoSuchNode(node) => write!(f, "there is no {node} in this cluster"),
            Self::Refused(node) => write!(f, "the storage of {node} cannot be used"),
        }
    }
}

impl core::error::Error for ScenarioError {}
