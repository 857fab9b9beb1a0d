//! What to simulate: everything that decides the trace of a run, and nothing that only decides how it is shown.

use crate::shell_quoting;
use crate::values::UNTIL_MAX;
use core::fmt::{self, Write};
use synod::simulation::{KILLS_MAX, Kill, Link, Placement, Scenario, Target};
use synod::{Duration, NodeId};

/// Requests of each client, unless told otherwise: the script of the default run has eleven.
pub const REQUESTS: u32 = 11;

/// Which state machine is replicated, and with it what the clients ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Machine {
    /// A key-value store: get and set.
    #[default]
    Kv,
    /// A bank: balance, deposit and withdraw.
    Bank,
}

impl Machine {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Bank => "bank",
        }
    }
}

/// One run: two runs of equal options have equal traces.
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
    /// What all chance in the run follows from.
    pub run_seed: u64,
    /// How many nodes there are, 1 to 64.
    pub nodes: u16,
    /// How many messages of a million are lost.
    pub loss_ppm: u32,
    /// How long a message travels, give or take the jitter.
    pub delay: Duration,
    /// How much longer or shorter than that it may take; `None` for the default, at most the delay.
    pub jitter: Option<Duration>,
    /// What is replicated.
    pub machine: Machine,
    /// How many requests each client makes.
    pub requests: u32,
    /// How many clients there are, 1 to 64.
    pub clients: u16,
    /// Where the clients are; `None` for the last node.
    pub placement: Option<Placement>,
    /// Who is stopped for good, and when; at most [`KILLS_MAX`].
    pub kills: Vec<Kill>,
    /// The bound on simulated time; `None` for [`Options::default_until`].
    pub until: Option<Duration>,
    /// The bound on events; `None` for [`Options::default_events`].
    pub events: Option<u64>,
    /// The mistake that every node makes, if they make one.
    #[cfg(feature = "mutants")]
    pub mutant: Option<synod::Mutant>,
}

impl Options {
    /// The default run under a seed.
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
            kills: Vec::new(),
            until: None,
            events: None,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The jitter of the default run, or the delay where that is shorter.
    pub fn default_jitter(&self) -> Duration {
        Scenario::new(self.run_seed).link.jitter.min(self.delay)
    }

    /// The jitter that is used.
    pub fn jitter(&self) -> Duration {
        self.jitter.unwrap_or_else(|| self.default_jitter())
    }

    /// Where the clients are by default: all on the last node.
    pub fn default_placement(&self) -> Placement {
        Placement::One(NodeId(self.nodes.saturating_sub(1)))
    }

    /// Two minutes, and more where messages travel for more than 50 ms or clients ask more than sixty times: forty times
    /// the longest way of a message for each request of a client, ten times what a quiet cluster takes. It is never more
    /// than a million hours.
    pub fn default_until(&self) -> Duration {
        let way = self.delay.saturating_add(self.jitter());
        let until = way.max(Duration::from_millis(50))
            * u64::from(self.requests).saturating_mul(40).max(2_400);
        until.min(UNTIL_MAX)
    }

    /// Ten million, and more where there are more than a thousand requests: ten thousand for each.
    pub fn default_events(&self) -> u64 {
        let requests = u64::from(self.requests) * u64::from(self.clients);
        requests.saturating_mul(10_000).max(10_000_000)
    }

    /// The scenario for the simulation. Kills beyond [`KILLS_MAX`] are left out.
    pub fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::new(self.run_seed);
        scenario.nodes = self.nodes;
        scenario.link = Link {
            delay: self.delay,
            jitter: self.jitter(),
            loss_ppm: self.loss_ppm,
        };
        scenario.clients = self.clients;
        scenario.placement = self.placement.unwrap_or_else(|| self.default_placement());
        scenario.kills = self.kills.iter().copied().take(KILLS_MAX).collect();
        scenario.time_max = self.until.unwrap_or_else(|| self.default_until());
        scenario.events_max = self.events.unwrap_or_else(|| self.default_events());
        #[cfg(feature = "mutants")]
        {
            scenario.mutant = self.mutant;
        }
        scenario
    }

    /// The shortest command that repeats the run: the seed and what differs from the default.
    pub fn command(&self) -> String {
        let mut line = String::new();
        // A string never refuses.
        let _ = self.write_command(&mut line);
        line
    }

    fn write_command(&self, line: &mut String) -> fmt::Result {
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
        for kill in &self.kills {
            let at = Duration::from_micros(kill.at.as_micros());
            match kill.target {
                Target::Node(node) => write!(line, " --kill {}@{at}", node.0)?,
                Target::Leader => write!(line, " --kill leader@{at}")?,
            }
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
        #[cfg(feature = "mutants")]
        if let Some(mutant) = self.mutant {
            write!(line, " --mutant {mutant}")?;
        }
        Ok(())
    }
}

/// Millionths, shown as people write them: `5%`, `0.5%`.
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
    fn the_command_names_only_what_differs_from_the_default() {
        let mut options = Options::new(6);
        options.placement = Some(options.default_placement());
        options.jitter = Some(options.default_jitter());
        options.until = Some(options.default_until());
        assert_eq!(options.command(), "synod 6");
    }

    #[test]
    fn the_command_names_everything_that_differs() {
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
    fn the_bounds_grow_with_the_work() {
        let mut options = Options::new(6);
        assert_eq!(options.default_until(), Duration::from_secs(120));
        options.requests = 1_000_000;
        assert_eq!(options.default_until(), Duration::from_secs(2_000_000));
        assert!(options.default_events() > 10_000_000_000);
    }

    #[test]
    fn percentages_print_as_people_write_them() {
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
