//! Texts of the `--help` pages. Each command has a short one (`-h`) and a long one (`--help`), which end differently.
//!
//! They are written by hand, as `clap` has no place for examples and exit codes. What the program
//! can enumerate is in `lists` instead.

/// First line of `synod -h`.
pub(super) const ABOUT: &str =
    "Runs a simulated Multi-Paxos cluster from a seed and shows the messages of every node";

/// Description in `synod --help` and `synod run --help`. The defaults that it names are those of
/// `Scenario::new`.
pub(super) const LONG_ABOUT: &str = "\
Runs a simulated Multi-Paxos cluster from a seed and shows the messages of every node.

The nodes agree on one log of commands although the network delays and loses messages and nodes may crash. \
The default run founds a cluster of 14 nodes on a network that loses 5 % of all messages and delays the others by 10 to \
50 ms. Eleven clients, all on the last node, make eleven requests each to a replicated key-value store. \
The run ends when all requests have been answered and every live node has applied the same commands.

All random choices follow from the seed: the same seed with the same options gives the same run, byte for byte.";

/// Last line of `synod -h`.
pub(super) const AFTER: &str = "Try 'synod --help' for the log format, examples and exit codes.";

/// Legend of the log, in front of the list of roles.
pub(super) const READING: &str = "\
How to read a log line:
  NODE_3.Scout ---> T=1.0518 received promise(ballot=(1, NODE_3), last, ...) from NODE_2

  NODE_3.Scout        the node, and one of its roles
  T=1.0518            the simulated time, in seconds
  received promise    the event: a message that was sent, received, lost or
                      ignored; or started, adopted, preempted, chosen, applied, ...
  ballot=(1, NODE_3)  a field of the message: here round 1, claimed by NODE_3
  last                a flag that is set
  from NODE_2         the sender; after 'to', the recipients. Messages of a node
                      to itself are shown as well
  client_12#3:get(A)  a proposal: the third request of the client whose session
                      was opened in slot 12";

/// Examples and exit codes of a run. The codes are those of
/// [`Exit::code`](crate::exit::Exit::code).
pub(super) const AFTER_LONG: &str = "\
Examples:
  synod 6                               the default run under seed 6
  synod 6 --nodes 3 --loss 20%          a small cluster on a bad network
  synod 6 --nodes 5 --kill leader@1.5s  the leader at that time crashes for good
  synod 6 --nodes 3 --change 2s:+3-0    node 3 takes the place of node 0
  synod 6 --slot 4                      the messages about slot 4
  synod 6 --role scout --role leader    the elections
  synod 6 --quiet --html run.html       a page that plays the run, for a browser
  synod 6 --log-level warn              only warnings and errors
  synod 6 --quiet --verify              two runs, and a comparison of their traces
  synod 6 --nodes 3 --data cluster      durable state in files, continued by later runs
  synod 6 --nodes 3 --data cluster --replace 2
                                        a new node for one whose file is lost
  synod 6 --format json | jq 'select(.event == \"chosen\")'

With --format json each line is an object with t_us, node, role and event;
with message, id, from, to and reason if the event is about a message; and
with fields. All recipients and copies of a message share its id. The last line
is the summary; its event is \"summary\".

Exit codes:
  0  done
  1  a safety rule was broken
  2  bad usage, or a file or the output failed
  3  stalled: a bound was reached before the end
  4  the same seed gave two traces (--verify), or a replay differs from its record
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; the summary covers the run
     so far, and a second signal ends the program at once";

/// First line of `synod sweep -h`.
pub(super) const SWEEP_ABOUT: &str =
    "Runs many seeds with injected faults, checks each run, and reports failures and coverage";

/// Description in `synod sweep --help`.
pub(super) const SWEEP_LONG_ABOUT: &str = "\
Runs many simulated clusters, one for each seed, and checks each of them.

Each seed draws a cluster, its clients, and the faults to inject: lost, late or duplicated messages, partitions, nodes \
that lose power or pause, clocks that jump. A run fails if it violates a rule, or if some requests are still unanswered \
long after the faults are over. The first failure ends the sweep. It is the one with the smallest seed, and is reported \
with the command that repeats it.

A sweep without failures proves nothing unless faults struck. So it counts the runs in which each kind of fault and each \
rare event occurred, and ends with exit code 5 if an expected one never did. Expected are: faults requested by name or \
planned in the scenario; with all faults, each kind that the cluster size allows, after 100 runs; and each rare event, \
after the number of runs in its line.

Everything except the duration follows from the seeds: the same seeds give the same digest, with any number of jobs.";

/// Last line of `synod sweep -h`.
pub(super) const SWEEP_AFTER: &str =
    "Try 'synod sweep --help' for the rules, examples and exit codes.";

/// Examples and exit codes of a sweep, in front of the list of rules.
pub(super) const SWEEP_AFTER_LONG: &str = "\
Examples:
  synod sweep                                the seeds 0 to 999 with all faults
  synod sweep --for 10m                      random seeds for ten minutes
  synod sweep --seeds 0..1_000_000 --shard 3/8   the third of eight machines
  synod sweep --faults pause,restart --nodes 3   only these faults, with three nodes
  synod sweep --scenario night.toml          one scenario under many seeds
  synod sweep --verify --keep-going          every seed twice, with all failures
  synod sweep --format junit > sweep.xml     for a build server
  synod sweep --html failed.html             the first failure as a page for a browser
  synod run 17 --faults all                  one seed of a sweep, with its log

With --format json there is a line for each run that failed (its event is
\"failure\") and one at the end (\"sweep\"). After Ctrl-C, SIGTERM or SIGHUP the runs
in progress are completed and the result is printed; a second signal ends at once.

Exit codes:
  0    done
  1    a safety rule was broken
  2    bad usage, or the output failed
  3    a run stalled: a bound was reached before the end
  4    the same seed gave two traces (--verify)
  5    vacuous: no failure, but an expected fault or event never occurred
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP";

/// First line of `synod check -h`.
pub(super) const CHECK_ABOUT: &str =
    "Model checks small clusters of real nodes, and walks through larger ones at random";

/// Description in `synod check --help`.
pub(super) const CHECK_LONG_ABOUT: &str = "\
Visits every state that small clusters of real nodes can reach, walks through larger ones at random, and checks the \
invariants after every step.

Without options for the cluster it goes through all parts: small worlds, each explored completely, then both kinds of \
random walks. Any option of the world, --walks or --storms selects that part alone.

A world has no time: a message that was sent may arrive at any moment or never, and an armed timer may fire at any \
moment. Within its bounds this covers everything that any network and any clocks can do. The bounds must be small, \
because each multiplies the number of states; for larger ones --walks makes random walks from a seed. \
A world begins with a founded cluster in which two clients have a session and all nodes have just restarted after a loss \
of power. Each node keeps a journal: power may fail between two steps or during the writes of one, and the node restarts \
with what its storage holds. With --reads clients also read the state of a node without a slot of the log; it may not be \
older than what any client was told before.

The walks of --storms have time, and begin before the founding: each draws from its seed 2 to 5 nodes with clocks of their \
own, clients that come and go, and network conditions that lose, repeat and reorder messages, hold back kinds of messages \
or links for long, and cut the power of nodes. In half of them the members change, and up to 3 more nodes join; in half of \
them clients also read the state of nodes without a slot of the log.

From some of the states, and at the end of each walk, all faults end: then the cluster must come to rest and serve a \
client.";

/// Last line of `synod check -h`.
pub(super) const CHECK_AFTER: &str =
    "Try 'synod check --help' for the invariants, examples and exit codes.";

/// Examples and exit codes of a check, behind the list of invariants.
pub(super) const CHECK_AFTER_LONG: &str = "\
Examples:
  synod check                            all parts, in a minute or two
  synod check --nodes 3                  3 nodes, one election, one request
  synod check --crashes 1                the same, with a loss of power anywhere
  synod check --claimants 2 --time 10m   two nodes that may claim a ballot
  synod check --nodes 2 --claimants 2 --lost none --network again
                                         two nodes, and messages that are repeated
  synod check --nodes 2 --reads 1        a read without a slot of the log
  synod check --walks 1000               four nodes with all actions, at random
  synod check --walks 1000 --reads 4     the same, and clients read
  synod check --walks 1 --seed 57        one of those walks
  synod check --storms 1000              2 to 5 nodes, drawn network conditions

It prints the number of states, whether these are all, and the coverage: how
often there were elections, answers, pages, losses of power, and so on. For a
violation it prints a counterexample step by step (the nearest such state, or a
walk without the steps that it does not need) and the command that repeats it.

Exit codes:
  0  the exploration is complete, and no invariant is violated
  1  an invariant is violated
  2  bad usage, or the output failed
  5  vacuous: an expected event never occurred: an election, an answer if there
     are requests, a read if there are reads, or a loss of power if there are
     crashes
  6  cut short by --time, --states or --depth: no violation so far
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; the report covers the
     exploration so far, and a second signal ends the program at once";
