//! `synod bench`: measures servers, one alone or two side by side.

use super::node::password;
use crate::commands::run::OutputFormat;
use crate::exit::{Exit, print_error};
use crate::json;
use crate::progress;
use crate::signals::{self, FirstSignal};
use core::fmt::{self, Write as _};
use core::net::SocketAddr;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use synod_server::bench::report::{Comparison, ComparisonTable, Summary, SummaryTable};
use synod_server::bench::{
    BenchError, Etcd, Length, Operation, Pace, Plan, Progress, Resp, Watch, run as bench,
};
use synod_server::tls::Trust;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchCommand {
    /// What is done, and on which servers.
    pub plan: Plan,
    /// The servers to compare with; none for no comparison.
    pub against: Vec<SocketAddr>,
    /// What is spoken with the servers, and with those to compare with.
    pub protocols: [Protocol; 2],
    /// The number of rounds on either side of a comparison.
    pub rounds: u32,
    /// The file with the password of the servers.
    pub password_file: Option<PathBuf>,
    /// The certificate of the authority of the servers; `None` for plain text.
    pub tls_ca: Option<PathBuf>,
    /// The same of the servers to compare with.
    pub against_tls_ca: Option<PathBuf>,
    /// The name in the certificates of the servers; `None` for their addresses.
    pub tls_name: Option<String>,
    /// Format of the figures.
    pub form: OutputFormat,
}

/// What is spoken with servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RESP, as by Synod and Redis.
    Resp,
    /// The protocol of etcd.
    Etcd,
}

/// Why there are no figures.
enum Trouble {
    /// Nothing could be measured.
    Unusable(String),
    /// What was to be read could not be set.
    Unfilled(String),
}

impl From<BenchError> for Trouble {
    fn from(error: BenchError) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// Executes the command. The figures go to the standard output, everything else to the standard error.
pub fn run(command: &BenchCommand) -> Exit {
    signals::install(FirstSignal::StopsRun);
    let mut out = Vec::new();
    let measured = if command.against.is_empty() {
        measure(command, &mut out)
    } else {
        compare(command, &mut out)
    };
    let failed = match measured {
        Ok(failed) => failed,
        Err(Trouble::Unusable(text)) => {
            print_error(&text);
            return Exit::Usage;
        }
        Err(Trouble::Unfilled(text)) => {
            print_error(&text);
            return Exit::Failed;
        }
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&out).and_then(|()| stdout.flush()) {
        Err(error) if Exit::from_output(&error) != Exit::Done => Exit::Usage,
        _ if signals::is_stop_requested() => Exit::Interrupted,
        _ if failed > 0 => Exit::Failed,
        _ => Exit::Done,
    }
}

/// Measures servers once. Returns how many requests failed.
fn measure(command: &BenchCommand, out: &mut Vec<u8>) -> Result<u64, Trouble> {
    let plan = &Plan {
        trust: trust(command, command.tls_ca.as_deref())?,
        ..command.plan.clone()
    };
    let [protocol, _] = command.protocols;
    let servers = Servers::new(command, protocol)?;
    servers.fill(plan)?;
    let summary = servers.round(plan)?;
    match command.form {
        OutputFormat::Text => {
            let whose = name(&plan.addresses);
            let heading = Heading { whose, plan };
            text(out, &format_args!("{heading}\n{}", SummaryTable(&summary)));
        }
        OutputFormat::Json => json::line(out, &Line::new("bench", plan, &summary)),
    }
    Ok(summary.failed)
}

/// Measures two sides in turn, so that what else the machine does falls on both. Returns how many requests failed.
fn compare(command: &BenchCommand, out: &mut Vec<u8>) -> Result<u64, Trouble> {
    let [protocol, against] = command.protocols;
    let servers = [
        Servers::new(command, protocol)?,
        Servers::new(command, against)?,
    ];
    let first = Plan {
        trust: trust(command, command.tls_ca.as_deref())?,
        ..command.plan.clone()
    };
    let second = Plan {
        addresses: command.against.clone(),
        trust: trust(command, command.against_tls_ca.as_deref())?,
        ..command.plan.clone()
    };
    let plans = [&first, &second];
    for (servers, plan) in servers.iter().zip(plans) {
        servers.fill(plan)?;
    }
    let rounds = in_turn(command.rounds, &servers, plans)?;
    let [first, second] = &rounds;
    let compared = Comparison::new(first, second);
    show_comparison(command, plans, (&rounds, &compared), out);
    Ok(compared.failed)
}

/// Makes rounds of two sides in turn, until there are enough or the user stops them. There is at least one.
fn in_turn(
    rounds: u32,
    servers: &[Servers; 2],
    plans: [&Plan; 2],
) -> Result<[Vec<Summary>; 2], Trouble> {
    let [mut first, mut second] = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Who comes first changes, as whatever grows during the rounds would favour one side.
        let [one, other] = servers;
        let (one, other) = if round.is_multiple_of(2) {
            let one = one.round(plans[0])?;
            (one, other.round(plans[1])?)
        } else {
            let other = other.round(plans[1])?;
            (one.round(plans[0])?, other)
        };
        if signals::is_stop_requested() {
            break;
        }
        first.push(one);
        second.push(other);
    }
    if first.is_empty() {
        let text = "stopped before both sides were measured once: there is nothing to compare";
        return Err(Trouble::Unusable(text.to_owned()));
    }
    Ok([first, second])
}

/// Appends the comparison of two sides, as a table or as JSON.
fn show_comparison(
    command: &BenchCommand,
    plans: [&Plan; 2],
    (rounds, compared): (&[Vec<Summary>; 2], &Comparison),
    out: &mut Vec<u8>,
) {
    let [first, second] = rounds;
    match command.form {
        OutputFormat::Text => {
            let names = plans.map(|plan| name(&plan.addresses));
            let [one, other] = &names;
            let table = ComparisonTable {
                names: [one, other],
                rounds: [first, second],
            };
            let heading = Heading {
                whose: names.join(" and "),
                plan: &command.plan,
            };
            text(out, &format_args!("{heading}\n{table}"));
        }
        OutputFormat::Json => {
            for (number, sides) in (1..).zip(first.iter().zip(second)) {
                let (one, other) = sides;
                for (side, plan, summary) in [("first", plans[0], one), ("second", plans[1], other)]
                {
                    let mut line = Line::new("round", plan, summary);
                    (line.round, line.side) = (Some(number), Some(side));
                    json::line(out, &line);
                }
            }
            json::line(
                out,
                &ComparisonLine {
                    event: "comparison",
                    rounds: first.len(),
                    compared,
                },
            );
        }
    }
}

/// Reads whom to trust.
fn trust(command: &BenchCommand, ca: Option<&Path>) -> Result<Option<Trust>, Trouble> {
    let name = command.tls_name.as_deref();
    ca.map(|ca| Trust::load(ca, name))
        .transpose()
        .map_err(|error| Trouble::Unusable(error.to_string()))
}

/// How the servers of one side are reached.
struct Servers {
    protocol: Protocol,
    password: Option<Vec<u8>>,
}

impl Servers {
    fn new(command: &BenchCommand, protocol: Protocol) -> Result<Self, Trouble> {
        let password = command.password_file.as_deref().map(password).transpose();
        Ok(Self {
            protocol,
            password: password.map_err(Trouble::Unusable)?,
        })
    }

    /// Sets what is read.
    fn fill(&self, plan: &Plan) -> Result<(), Trouble> {
        let Some(fill) = plan.fill() else {
            return Ok(());
        };
        let filled = self.round(&fill)?;
        match filled.failures.keys().next() {
            Some(reason) => Err(Trouble::Unfilled(format!(
                "{}: {} of {} keys could not be set: {reason}",
                name(&plan.addresses),
                filled.failed,
                plan.keys
            ))),
            None => Ok(()),
        }
    }

    /// Makes one round.
    fn round(&self, plan: &Plan) -> Result<Summary, BenchError> {
        let (what, len) = match plan.length {
            Length::Time(time) => ("seconds", (plan.warm_up + time).as_secs()),
            Length::Requests(requests) => ("requests", requests),
        };
        let what_for = format!("{}, {}", name(&plan.addresses), plan.operation.name());
        progress::counted(what, len, |count| {
            let progress = |so_far: Progress| {
                let position = match plan.length {
                    Length::Time(_) => so_far.elapsed.as_secs(),
                    Length::Requests(_) => so_far.done + so_far.failed,
                };
                let (done, failed) = (so_far.done, so_far.failed);
                count(
                    position,
                    &format_args!("{what_for}: {done} done, {failed} failed"),
                );
            };
            let watch = Watch {
                stop: signals::stop_flag(),
                progress: &progress,
            };
            match self.protocol {
                Protocol::Resp => bench(plan, || Resp::new(self.password.clone()), watch),
                Protocol::Etcd => bench(plan, Etcd::default, watch),
            }
        })
    }
}

/// Returns a short name of one side.
fn name(addresses: &[SocketAddr]) -> String {
    match addresses {
        [] => String::new(),
        [one] => one.to_string(),
        [first, others @ ..] => format!("{first} +{}", others.len()),
    }
}

/// Appends text.
fn text(out: &mut Vec<u8>, what: &impl fmt::Display) {
    let mut text = String::new();
    // A string takes everything.
    let _ = write!(text, "{what}");
    out.extend_from_slice(text.as_bytes());
}

/// What was done, in one line.
struct Heading<'a> {
    whose: String,
    plan: &'a Plan,
}

impl fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, plan } = self;
        write!(f, "{whose}: {}", plan.operation.name())?;
        if let Operation::Mix { reads_ppm } = plan.operation {
            let digits = format!("{}.{:04}", reads_ppm / 10_000, reads_ppm % 10_000);
            let percent = digits.trim_end_matches('0').trim_end_matches('.');
            write!(f, " with {percent}% reads")?;
        }
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (clients, depth) = (plan.clients, plan.depth);
        write!(
            f,
            ", {clients} client{} with up to {depth} request{}, {} keys, values of {} bytes; ",
            plural(clients),
            plural(depth),
            plan.keys,
            plan.value_bytes
        )?;
        match plan.pace {
            Pace::Closed => f.write_str("latency from when a request was sent"),
            Pace::Open { per_second } => write!(
                f,
                "{per_second} requests a second, latency from when a request was due"
            ),
        }
    }
}

/// The figures of a round, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    addresses: Vec<String>,
    operation: &'static str,
    clients: usize,
    depth: usize,
    /// The rate of an open loop.
    rate: Option<u64>,
    keys: u64,
    value_bytes: usize,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl<'a> Line<'a> {
    fn new(event: &'static str, plan: &Plan, summary: &'a Summary) -> Self {
        Self {
            event,
            round: None,
            side: None,
            addresses: plan.addresses.iter().map(SocketAddr::to_string).collect(),
            operation: plan.operation.name(),
            clients: plan.clients,
            depth: plan.depth,
            rate: match plan.pace {
                Pace::Closed => None,
                Pace::Open { per_second } => Some(per_second),
            },
            keys: plan.keys,
            value_bytes: plan.value_bytes,
            summary,
        }
    }
}

/// The result of a comparison, as the last line of JSON.
#[derive(Serialize)]
struct ComparisonLine<'a> {
    event: &'static str,
    rounds: usize,
    #[serde(flatten)]
    compared: &'a Comparison,
}
