//! Options of a run: everything that determines its trace, and nothing that only changes how it is shown.
//!
//! An option that only changes what is printed is in
//! [`RunCommand`](crate::commands::run::RunCommand) instead. So two equal values of [`Options`] are
//! the same run, and the command that a report prints is made from the options alone.

use crate::membership::{PlannedChange, span_of};
use crate::mutant::{self, Mutant};
use crate::shell_quoting;
use crate::values::UNTIL_MAX;
use core::fmt::{self, Write};
use synod::simulation::{KILLS_MAX, Kill, Link, PLAN_MAX, Placement, Planned, Scenario, Target};
use synod::{Duration, NodeId};

/// Number of requests of each client by default; the script of the default run has eleven.
pub const REQUESTS: u32 = 11;

/// Replicated state machine, which also determines the requests of the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Machine {
    /// A key-value store with `get` and `set`.
    #[default]
    Kv,
    /// A bank with `balance`, `deposit` and `withdraw`.
    Bank,
}

impl Machine {
    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Bank => "bank",
        }
    }
}

/// Options of one run. Two runs with equal options have equal traces.
///
/// ```
/// use synod_host::Options;
/// let mut options = Options::new(6);
/// assert_eq!(options.command(), "synod 6");
/// options.nodes = 3;
/// options.loss_ppm = 200_000;
/// assert_eq!(options.command(), "synod 6 --nodes 3 --loss 20%");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // There is more in it under the feature `mutants`.
pub struct Options {
    /// Seed of all random choices in the run.
    pub run_seed: u64,
    /// Number of nodes that found the cluster, 1 to 64; a change can add more.
    pub nodes: u16,
    /// Probability that a message is lost, in millionths.
    pub loss_ppm: u32,
    /// Mean delay of a message.
    pub delay: Duration,
    /// Greatest deviation from the delay, at most the delay; `None` for the default.
    pub jitter: Option<Duration>,
    /// Replicated state machine.
    pub machine: Machine,
    /// Number of requests of each client.
    pub requests: u32,
    /// Number of clients, 1 to 64.
    pub clients: u16,
    /// Placement of the clients; `None` for the last node.
    pub placement: Option<Placement>,
    /// True if clients read the state of their node, for every other command that changes nothing.
    pub reads: bool,
    /// Nodes that crash for good, with the time of each crash; at most [`KILLS_MAX`].
    pub kills: Vec<Kill>,
    /// Changes of the members; at most [`PLAN_MAX`].
    pub changes: Vec<PlannedChange>,
    /// Bound on simulated time; `None` for [`Options::default_until`].
    pub until: Option<Duration>,
    /// Bound on the number of events; `None` for [`Options::default_events`].
    pub events: Option<u64>,
    /// Mistake planted in every node, if any.
    pub mutant: Option<Mutant>,
}

impl Options {
    /// Returns the options of the default run under a seed.
    pub fn new(run_seed: u64) -> Self {
        let default = Scenario::new(run_seed);
        Self {
            run_seed,
            nodes: default.nodes,
            loss_ppm: default.link.loss_ppm,
            delay: default.link.delay,
            jitter: None,
            machine: Machine::default(),
            requests: REQUESTS,
            clients: default.clients,
            placement: None,
            reads: false,
            kills: Vec::new(),
            changes: Vec::new(),
            until: None,
            events: None,
            mutant: None,
        }
    }

    /// Returns the default jitter: 20 ms, or the delay if that is less.
    pub fn default_jitter(&self) -> Duration {
        Scenario::new(self.run_seed).link.jitter.min(self.delay)
    }

    /// Returns the jitter in use.
    pub fn jitter(&self) -> Duration {
        self.jitter.unwrap_or_else(|| self.default_jitter())
    }

    /// Returns the default placement: all clients on the last node.
    pub fn default_placement(&self) -> Placement {
        Placement::One(NodeId(self.nodes.saturating_sub(1)))
    }

    /// Returns the default bound on simulated time: two minutes, or, with delays above 50 ms or more than sixty
    /// requests for each client, forty times the longest delay for each request of a client, which is ten times what a
    /// cluster without faults takes. At most a million hours.
    ///
    /// ```
    /// use synod::Duration;
    /// use synod_host::Options;
    ///
    /// let mut options = Options::new(6);
    /// assert_eq!(options.default_until(), Duration::from_secs(120));
    /// options.requests = 600; // forty times 50 ms for each
    /// assert_eq!(options.default_until(), Duration::from_secs(1_200));
    /// ```
    pub fn default_until(&self) -> Duration {
        let way = self.delay.saturating_add(self.jitter());
        let until = way.max(Duration::from_millis(50))
            * u64::from(self.requests).saturating_mul(40).max(2_400);
        until.min(UNTIL_MAX)
    }

    /// Returns the default bound on events: ten million, or ten thousand for each request if there are more than a
    /// thousand.
    pub fn default_events(&self) -> u64 {
        let requests = u64::from(self.requests) * u64::from(self.clients);
        requests.saturating_mul(10_000).max(10_000_000)
    }

    /// Returns the number of all nodes: those that found the cluster, and those that a change adds, which run from the
    /// beginning as learners.
    ///
    /// ```
    /// use synod::{Duration, NodeId, NodeSet};
    /// use synod_host::Options;
    /// use synod_host::membership::PlannedChange;
    ///
    /// let mut options = Options::new(6);
    /// options.nodes = 3;
    /// options.changes.push(PlannedChange {
    ///     at: Duration::from_secs(2),
    ///     add: NodeSet::only(NodeId(4)),
    ///     remove: NodeSet::only(NodeId(1)),
    /// });
    /// assert_eq!(options.all_nodes(), 5);
    /// assert_eq!(options.command(), "synod 6 --nodes 3 --change 2s:+4-1");
    /// ```
    pub fn all_nodes(&self) -> u16 {
        let added = self.changes.iter().map(|change| span_of(change.add));
        added.fold(self.nodes, u16::max)
    }

    /// Returns the changes of the members as a plan. Changes beyond [`PLAN_MAX`] are dropped.
    pub(crate) fn plan(&self) -> impl Iterator<Item = Planned> {
        let changes = self.changes.iter().take(PLAN_MAX);
        changes.map(PlannedChange::planned)
    }

    /// Returns the scenario to simulate. Kills beyond [`KILLS_MAX`] are dropped.
    pub fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::new(self.run_seed);
        scenario.nodes = self.all_nodes();
        scenario.founders = (scenario.nodes > self.nodes).then_some(self.nodes);
        scenario.link = Link {
            delay: self.delay,
            jitter: self.jitter(),
            loss_ppm: self.loss_ppm,
        };
        scenario.clients = self.clients;
        scenario.placement = self.placement.unwrap_or_else(|| self.default_placement());
        scenario.reads = self.reads;
        // The command line has refused more; a caller of the library may not have looked.
        scenario.kills = self.kills.iter().copied().take(KILLS_MAX).collect();
        scenario.time_max = self.until.unwrap_or_else(|| self.default_until());
        scenario.events_max = self.events.unwrap_or_else(|| self.default_events());
        mutant::plant(&mut scenario, self.mutant);
        scenario
    }

    /// Returns the shortest command that repeats the run: the seed, and every option that differs from its default.
    pub fn command(&self) -> String {
        let mut line = String::new();
        // Writing to a string never fails.
        let _ = self.write_command(&mut line);
        line
    }

    /// Writes the command. Options come in a fixed order, so that equal options give equal
    /// commands.
    fn write_command(&self, line: &mut String) -> fmt::Result {
        // `--place` and the bounds have defaults that depend on other options, and are compared
        // with those.
        let default = Self::new(self.run_seed);
        write!(line, "{} {}", shell_quoting::program(), self.run_seed)?;
        if self.nodes != default.nodes {
            write!(line, " --nodes {}", self.nodes)?;
        }
        if self.loss_ppm != default.loss_ppm {
            write!(line, " --loss {}", Percent(self.loss_ppm))?;
        }
        if self.delay != default.delay {
            write!(line, " --delay {}", self.delay)?;
        }
        if self.jitter() != self.default_jitter() {
            write!(line, " --jitter {}", self.jitter())?;
        }
        if self.machine != default.machine {
            write!(line, " --machine {}", self.machine.name())?;
        }
        if self.requests != default.requests {
            write!(line, " --requests {}", self.requests)?;
        }
        if self.clients != default.clients {
            write!(line, " --clients {}", self.clients)?;
        }
        match self.placement {
            Some(Placement::Spread) => line.push_str(" --place spread"),
            Some(Placement::One(node)) if self.placement != Some(self.default_placement()) => {
                write!(line, " --place {}", node.0)?;
            }
            _ => {}
        }
        if self.reads {
            line.push_str(" --reads");
        }
        for kill in &self.kills {
            let at = Duration::from_micros(kill.at.as_micros());
            match kill.target {
                Target::Node(node) => write!(line, " --kill {}@{at}", node.0)?,
                Target::Leader => write!(line, " --kill leader@{at}")?,
            }
        }
        for change in &self.changes {
            write!(line, " --change {change}")?;
        }
        if let Some(until) = self.until.filter(|until| *until != self.default_until()) {
            write!(line, " --until {until}")?;
        }
        if let Some(events) = self
            .events
            .filter(|events| *events != self.default_events())
        {
            write!(line, " --events {events}")?;
        }
        if let Some(mutant) = self.mutant {
            write!(line, " --mutant {mutant}")?;
        }
        Ok(())
    }
}

/// A ratio in millionths, displayed as a percentage: `5%`, `0.5%`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Percent(pub(crate) u32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / 10_000)?;
        let rest = self.0 % 10_000;
        if rest > 0 {
            let digits = format!("{rest:04}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::Instant;

    #[test]
    fn the_command_omits_options_at_their_default() {
        let mut options = Options::new(6);
        options.placement = Some(options.default_placement());
        options.jitter = Some(options.default_jitter());
        options.until = Some(options.default_until());
        assert_eq!(options.command(), "synod 6");
    }

    #[test]
    fn the_command_contains_every_option_that_differs() {
        let options = Options {
            nodes: 5,
            loss_ppm: 5_000,
            delay: Duration::from_millis(10),
            jitter: Some(Duration::from_micros(1_500)),
            machine: Machine::Bank,
            requests: 100,
            clients: 2,
            placement: Some(Placement::Spread),
            kills: vec![
                Kill {
                    target: Target::Node(NodeId(3)),
                    at: Instant::from_micros(1_500_000),
                },
                Kill {
                    target: Target::Leader,
                    at: Instant::from_micros(800_000),
                },
            ],
            until: Some(Duration::from_secs(60)),
            events: Some(1_000),
            ..Options::new(7)
        };
        assert_eq!(
            options.command(),
            "synod 7 --nodes 5 --loss 0.5% --delay 10ms --jitter 1.5ms --machine bank --requests 100 --clients 2 \
             --place spread --kill 3@1.5s --kill leader@800ms --until 60s --events 1000"
        );
    }

    #[test]
    fn a_short_delay_shortens_the_default_jitter() {
        let mut options = Options::new(6);
        assert_eq!(options.jitter(), Duration::from_millis(20));
        options.delay = Duration::from_millis(3);
        assert_eq!(options.jitter(), Duration::from_millis(3));
        assert_eq!(options.command(), "synod 6 --delay 3ms");
    }

    #[test]
    fn the_default_bounds_grow_with_the_number_of_requests() {
        let mut options = Options::new(6);
        assert_eq!(options.default_until(), Duration::from_secs(120));
        options.requests = 1_000_000;
        assert_eq!(options.default_until(), Duration::from_secs(2_000_000));
        assert!(options.default_events() > 10_000_000_000);
    }

    #[test]
    fn percentages_are_displayed_without_trailing_zeros() {
        for (ppm, text) in [
            (0, "0%"),
            (50_000, "5%"),
            (5_000, "0.5%"),
            (1, "0.0001%"),
            (1_000_000, "100%"),
        ] {
            assert_eq!(Percent(ppm).to_string(), text);
        }
    }
}
