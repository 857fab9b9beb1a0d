//! Command line of `synod bench`.

use super::nodes::{PORT, address};
use crate::cli::UsageError;
use crate::commands::run::OutputFormat;
use crate::commands::server::bench::{BenchCommand, Protocol};
use crate::values;
use clap::Args;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration as Time;
use std::path::PathBuf;
use synod::Duration;
use synod_server::bench::{Length, Operation, Pace, Plan};

/// Description in `synod bench --help`.
pub(in crate::cli) const LONG_ABOUT: &str = "\
Measures servers that speak RESP, such as the nodes of a real cluster or redis-server, and etcd: makes requests from this \
machine, and prints the throughput and the latencies.

In a closed loop, which is the default, each client makes its next request when it has its answer: it shows what the \
servers can do. A server that stops for a second delays one request of each client, and hides all others that would have \
come in that second. With --rate requests are due at fixed times, whether or not a client is free, and latency counts from \
when a request was due: it shows what users of the servers see. Choose a rate well below the throughput of the closed loop.

etcd is asked in its own protocol where an address begins with etcd://. Each client has one connection of gRPC over HTTP/2 \
without encryption, and each request under way is a stream on it: a Put for a set, a linearizable Range of one key for a \
get, with the same keys and values as those of RESP. etcd has no counters.

Requests that are refused, lost or not answered in time have failed. They are counted, with the reason, and have no latency.";

/// Examples in `synod bench --help`.
const AFTER_LONG: &str = "\
Examples:
  synod bench                                        a cluster of 'synod cluster', at its first node
  synod bench --connect 127.0.0.1:7379 --connect 127.0.0.1:7380 --connect 127.0.0.1:7381
  synod bench --op mix --reads 90% --rate 2_000      latencies at 2,000 requests a second
  synod bench --clients 1 --requests 10_000          one request after the other
  synod bench --depth 16                             each client has 16 requests under way
  synod bench --against 127.0.0.1:6379               side by side with a redis-server
  synod bench --against etcd://127.0.0.1:2379        side by side with etcd
  synod bench --tls-ca cluster-tls/ca.pem            nodes that speak TLS
  synod bench --format json | jq .p99_ns

It writes the keys bench:v:... and bench:n:..., and leaves them there. Before it
reads, it sets all keys.

A comparison makes rounds in turn on the first servers (--connect) and on the
second ones (--against), so that what else the machine does falls on both. The
medians are those of the rounds, each figure by itself. A ratio of the
throughput above 1, and one of a latency below 1, favours the first servers.

With --format json there is a line with event, addresses, operation, clients,
depth, rate, keys, value_bytes, done, missing (reads without a value), failed,
failures (by reason), elapsed_us, per_second, p50_ns, p90_ns, p99_ns, p99_9_ns
and max_ns. Its event is \"bench\", or \"round\" with round and side in a comparison,
whose last line (\"comparison\") has first, second, ratio (in thousandths) and
failed.

Exit codes:
  0  done
  2  bad usage, or a server could not be reached
  3  requests failed
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; the figures are those so far";

// What is asked for. Their documentation is their help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum OperationName {
    /// Set values
    #[default]
    Set,
    /// Read values
    Get,
    /// Count counters up
    Incr,
    /// Read and set values
    Mix,
}

// No documentation of the type, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
#[command(
    after_help = "Try 'synod bench --help' for examples and exit codes.",
    after_long_help = AFTER_LONG
)]
pub(in crate::cli) struct BenchArgs {
    /// Address for clients of a server, or of etcd behind etcd://; several are used in turn by the clients
    /// [default: 127.0.0.1:7379]
    #[arg(long, value_name = "ADDRESS", value_parser = server)]
    connect: Vec<(Protocol, SocketAddr)>,
    /// Address of a server to compare with, in the same form; several are used in turn by the clients
    #[arg(long, value_name = "ADDRESS", value_parser = server)]
    against: Vec<(Protocol, SocketAddr)>,
    /// Number of rounds on either side of a comparison, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::whole::<u32>(1..=1_000), requires = "against")]
    rounds: u32,
    /// What is asked for
    #[arg(long = "op", value_name = "OPERATION", value_enum, default_value_t)]
    operation: OperationName,
    /// Share of reads in a mix [default: 50%]
    #[arg(long, value_name = "PERCENT", value_parser = values::percent)]
    reads: Option<u32>,
    /// Number of clients, 1 to 10,000, each with a connection
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::whole::<u16>(1..=10_000))]
    clients: u16,
    /// Number of requests that a client may have under way, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::whole::<u16>(1..=1_000))]
    depth: u16,
    /// Requests a second, of all clients together; latency counts from when they are due [default: as many as are answered]
    #[arg(long, value_name = "N", value_parser = values::count)]
    rate: Option<u64>,
    /// Time that is measured, such as 30s or 2m [default: 10s]
    #[arg(long = "for", value_name = "TIME", value_parser = values::time_limit, conflicts_with = "requests")]
    time: Option<Duration>,
    /// Number of requests that are measured, instead of a time
    #[arg(long, value_name = "N", value_parser = values::count)]
    requests: Option<u64>,
    /// Time before that, in which requests are made and not counted
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "1s")]
    warm_up: Duration,
    /// Number of keys
    #[arg(long, value_name = "N", value_parser = values::count, default_value = "1000")]
    keys: u64,
    /// Length of values, up to 1,000,000
    #[arg(long, value_name = "BYTES", default_value_t = 32, value_parser = values::whole::<u32>(0..=1_000_000))]
    value_bytes: u32,
    /// How long a client waits for an answer before it gives up its connection
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, default_value = "5s")]
    timeout: Duration,
    /// File whose first line is the password of the servers [default: none]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the certificate of the authority of the first servers, which speak TLS [default: plain text]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The same of the servers to compare with [default: plain text]
    #[arg(long, value_name = "FILE", requires = "against")]
    against_tls_ca: Option<PathBuf>,
    /// Name in the certificates of the servers [default: the address]
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
    /// Output format: a table for people, or JSON, one object a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: OutputFormat,
}

impl BenchArgs {
    /// Returns the command, after the checks that concern several options.
    pub(in crate::cli) fn command(self) -> Result<BenchCommand, UsageError> {
        let operation = match (self.operation, self.reads) {
            (OperationName::Mix, reads) => Operation::Mix {
                reads_ppm: reads.unwrap_or(500_000),
            },
            (_, Some(_)) => return Err(UsageError::alone("--reads", "--op mix")),
            (OperationName::Set, None) => Operation::Set,
            (OperationName::Get, None) => Operation::Get,
            (OperationName::Incr, None) => Operation::Incr,
        };
        let (protocol, mut addresses) = side("--connect", self.connect)?;
        if addresses.is_empty() {
            addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        }
        let (against_protocol, against) = side("--against", self.against)?;
        let protocols = [protocol, against_protocol];
        if protocols.contains(&Protocol::Etcd) && operation == Operation::Incr {
            return Err(UsageError::conflict("--op incr", "etcd://"));
        }
        let authorities = [
            ("--tls-ca", &self.tls_ca),
            ("--against-tls-ca", &self.against_tls_ca),
        ];
        for (protocol, (option, authority)) in protocols.into_iter().zip(authorities) {
            if protocol == Protocol::Etcd && authority.is_some() {
                return Err(UsageError::conflict(option, "etcd://"));
            }
        }
        let length = match (self.requests, self.time) {
            (Some(requests), _) => Length::Requests(requests),
            (None, Some(time)) => Length::Time(micros(time)),
            (None, None) => Length::Time(Time::from_secs(10)),
        };
        let pace = self
            .rate
            .map_or(Pace::Closed, |per_second| Pace::Open { per_second });
        Ok(BenchCommand {
            plan: Plan {
                addresses,
                trust: None,
                clients: self.clients.into(),
                depth: self.depth.into(),
                pace,
                length,
                warm_up: micros(self.warm_up),
                operation,
                keys: self.keys,
                value_bytes: usize::try_from(self.value_bytes).unwrap_or(usize::MAX),
                timeout: micros(self.timeout),
            },
            against,
            protocols,
            rounds: self.rounds,
            password_file: self.password_file,
            tls_ca: self.tls_ca,
            against_tls_ca: self.against_tls_ca,
            tls_name: self.tls_name,
            form: self.format,
        })
    }
}

/// Parses the address of a server, with the protocol that it speaks.
fn server(text: &str) -> Result<(Protocol, SocketAddr), String> {
    match text.strip_prefix("etcd://") {
        Some(rest) => rest
            .parse()
            .map(|address| (Protocol::Etcd, address))
            .map_err(|_| "an address with its port, such as etcd://10.0.0.1:2379".to_owned()),
        None => address(text).map(|address| (Protocol::Resp, address)),
    }
}

/// Returns the protocol and the addresses of one side. All its servers speak the same.
fn side(
    option: &'static str,
    servers: Vec<(Protocol, SocketAddr)>,
) -> Result<(Protocol, Vec<SocketAddr>), UsageError> {
    let protocol = servers.first().map_or(Protocol::Resp, |(first, _)| *first);
    if servers.iter().any(|(other, _)| *other != protocol) {
        let with = "addresses of both RESP and etcd";
        return Err(UsageError::conflict(option, with));
    }
    let addresses = servers.into_iter().map(|(_, address)| address).collect();
    Ok((protocol, addresses))
}

/// Returns a duration as the standard library has it.
fn micros(duration: Duration) -> Time {
    Time::from_micros(duration.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn bench(line: &str) -> Result<BenchCommand, String> {
        let words = ["synod", "bench"]
            .into_iter()
            .chain(line.split_whitespace());
        match parse(words) {
            Ok(Command::Bench(command)) => Ok(*command),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn without_options_the_first_node_of_a_cluster_on_this_machine_is_measured() {
        let BenchCommand { plan, against, .. } = bench("").unwrap();
        assert_eq!(plan.addresses, ["127.0.0.1:7379".parse().unwrap()]);
        assert_eq!((plan.clients, plan.depth, plan.keys), (64, 1, 1_000));
        assert_eq!(plan.length, Length::Time(Time::from_secs(10)));
        assert_eq!((plan.pace, plan.operation), (Pace::Closed, Operation::Set));
        assert!(against.is_empty());
    }

    #[test]
    fn every_option_is_parsed() {
        let command = bench(
            "--connect 10.0.0.1 --connect 10.0.0.2:7380 --against [::1]:6379 --rounds 3 --op mix --reads 90% --clients 8 \
             --depth 4 --rate 2_000 --requests 10_000 --warm-up 0 --keys 50 --value-bytes 7 --timeout 250ms \
             --password-file secret --tls-ca ca.pem --against-tls-ca other.pem --tls-name db --format json",
        );
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let expected = BenchCommand {
            plan: Plan {
                addresses: vec![address("10.0.0.1:7379"), address("10.0.0.2:7380")],
                trust: None,
                clients: 8,
                depth: 4,
                pace: Pace::Open { per_second: 2_000 },
                length: Length::Requests(10_000),
                warm_up: Time::ZERO,
                operation: Operation::Mix { reads_ppm: 900_000 },
                keys: 50,
                value_bytes: 7,
                timeout: Time::from_millis(250),
            },
            against: vec![address("[::1]:6379")],
            protocols: [Protocol::Resp; 2],
            rounds: 3,
            password_file: Some("secret".into()),
            tls_ca: Some("ca.pem".into()),
            against_tls_ca: Some("other.pem".into()),
            tls_name: Some("db".to_owned()),
            form: OutputFormat::Json,
        };
        assert_eq!(command, Ok(expected));
    }

    #[test]
    fn addresses_of_etcd_say_so() {
        let command =
            bench("--against etcd://127.0.0.1:2379 --against etcd://127.0.0.1:2380").unwrap();
        assert_eq!(command.protocols, [Protocol::Resp, Protocol::Etcd]);
        let expected: [SocketAddr; 2] =
            ["127.0.0.1:2379", "127.0.0.1:2380"].map(|text| text.parse().unwrap());
        assert_eq!(command.against, expected);
        let alone = bench("--connect etcd://[::1]:2379").unwrap();
        assert_eq!(alone.protocols[0], Protocol::Etcd);

        let refused = |line: &str| bench(line).unwrap_err();
        assert!(refused("--connect etcd://127.0.0.1").contains("an address with its port"));
        let counters = refused("--op incr --against etcd://127.0.0.1:2379");
        assert_eq!(counters, "--op incr cannot be given with etcd://");
        let encrypted = refused("--connect etcd://127.0.0.1:2379 --tls-ca ca.pem");
        assert_eq!(encrypted, "--tls-ca cannot be given with etcd://");
        let mixed = refused("--connect etcd://127.0.0.1:2379 --connect 127.0.0.1");
        assert_eq!(
            mixed,
            "--connect cannot be given with addresses of both RESP and etcd"
        );
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let refused = |line: &str| bench(line).unwrap_err();
        assert_eq!(refused("--reads 90%"), "--reads needs --op mix");
        let both = refused("--for 5s --requests 7");
        assert_eq!(both, "--for cannot be given with --requests");
        let none = refused("--rate 0");
        let takes = "a whole number from 1 to 1000000000, such as 10_000";
        assert_eq!(none, format!("--rate got '0', but takes {takes}"));
        assert!(refused("--rounds 3").contains("--against"));
    }
}
