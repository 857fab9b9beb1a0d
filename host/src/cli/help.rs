//! The pages of `--help`.

pub(super) const ABOUT: &str =
    "Runs a simulated Multi-Paxos cluster from a seed and shows what every node says";

pub(super) const LONG_ABOUT: &str = "\
Runs a simulated Multi-Paxos cluster from a seed and shows what every node says.

Some nodes agree on one log of commands although the network delays and loses what they say and nodes may die. \
The default run founds a cluster of 14 nodes in a network that loses 5 % of all messages and takes 10 to 50 ms for each \
of the others. Eleven clients, all on the last node, ask eleven things each of a key-value store that every node keeps a \
copy of. It ends when all have been answered and every node that lives has applied the same commands.

All chance follows from the seed: the same seed and the same options give the same run, byte for byte.";

pub(super) const AFTER: &str =
    "Try 'synod --help' for how to read a log line, examples and exit codes.";

pub(super) const READING: &str = "\
How to read a log line:
  NODE_3.Scout ---> T=1.0518 received promise(ballot=(1, NODE_3), last, ...) from NODE_2

  NODE_3.Scout        which node, and which of its roles
  T=1.0518            the simulated time, in seconds
  received promise    what happened: sent, received, lost or ignored a message;
                      or started, adopted, preempted, chosen, applied and so on
  ballot=(1, NODE_3)  a field of the message: here round 1, claimed by NODE_3
  last                a field that is a flag, and set
  from NODE_2         the sender; after 'to', the recipients. What a node says to
                      itself is shown as well
  client_12#3:get(A)  a proposal: the third request of the client whose session
                      was opened in slot 12";

pub(super) const AFTER_LONG: &str = "\
Examples:
  synod 6                               the default run under seed 6
  synod 6 --nodes 3 --loss 20%          a small cluster on a bad network
  synod 6 --nodes 5 --kill leader@1.5s  whoever leads then is stopped for good
  synod 6 --slot 4                      what was said about slot 4
  synod 6 --role scout --role leader    the elections
  synod 6 --log-level warn              only what went wrong
  synod 6 --quiet --verify              twice: is it the same trace?
  synod 6 --nodes 3 --data cluster      on real files, to be killed and gone on with
  synod 6 --format json | jq 'select(.event == \"chosen\")'

With --format json each line is an object with t_us, node, role and event;
with message, id, from, to and reason where the event is about a message; and
with fields. All recipients and copies of a message share its id. The last line
is the summary; its event is \"summary\".

Exit codes:
  0  done
  1  a safety rule was broken
  2  bad usage, or a file or the output failed
  3  stalled: a bound was reached before the end
  4  the same seed gave two traces (--verify), or a recorded run another one
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; the summary says how far
     it came, and a second signal ends it at once";

pub(super) const SWEEP_ABOUT: &str = "Many runs with faults, each checked; what failed, how to see it again, and what the runs have seen";

pub(super) const SWEEP_LONG_ABOUT: &str = "\
Runs many simulated clusters, one for each seed, and checks each of them.

Each seed draws a cluster, its clients, and what goes wrong: messages that are lost, late or repeated, partitions, nodes \
that lose power or stand still, clocks that jump. A run fails when a rule is broken, or when the cluster has not answered \
every request although the trouble is over. The first failure ends the sweep; it is the one with the smallest seed, and \
comes with the command that shows it again.

A sweep that finds nothing has shown nothing unless things went wrong in it. So it counts in how many runs each kind of \
fault struck and each thing happened that does not happen in a quiet cluster, and ends with exit code 5 when one that is \
due never did: a fault that was asked for by name or is in the scenario; with all faults, from 100 runs on, each kind that \
so many nodes can have, and from the number of runs that its line names, each of the other things.

All but the time it took follows from the seeds: the same seeds give the same digest, with any number of jobs.";

pub(super) const SWEEP_AFTER: &str =
    "Try 'synod sweep --help' for what it checks, examples and exit codes.";

pub(super) const SWEEP_AFTER_LONG: &str = "\
Examples:
  synod sweep                                the seeds 0 to 999 with all faults
  synod sweep --for 10m                      new seeds for ten minutes
  synod sweep --seeds 0..1_000_000 --shard 3/8   the third of eight machines
  synod sweep --faults pause,restart --nodes 3   only these, in clusters of three
  synod sweep --scenario night.toml          one scenario under many seeds
  synod sweep --verify --keep-going          every seed twice; to the end
  synod sweep --format junit > sweep.xml     for a build server
  synod run 17 --faults all                  one seed of a sweep, with its log

With --format json there is a line for each run that failed (its event is
\"failure\") and one at the end (\"sweep\"). Ctrl-C, SIGTERM and SIGHUP let the runs
under way come to their end and print what was done; a second one ends at once.

Exit codes:
  0    done
  1    a safety rule was broken
  2    bad usage, or the output failed
  3    a run stalled: a bound was reached before the end
  4    the same seed gave two traces (--verify)
  5    nothing failed, but what is due never happened
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP";

#[cfg(feature = "check")]
pub(super) const CHECK_ABOUT: &str =
    "Visits every state of small clusters of real nodes, and walks through larger ones";

#[cfg(feature = "check")]
pub(super) const CHECK_LONG_ABOUT: &str = "\
Visits every state that small clusters of real nodes can be in, walks through larger ones at random, and looks after \
every step for a broken rule.

Where nothing is said of the cluster, it goes through all parts: small worlds, each visited whole, then walks and storms. \
Any option of the world, --walks or --storms asks for that alone.

In a world there is no time: a message that was sent may come at any moment or never, and a timer that is armed may fire at \
any moment. So within its bounds everything happens that any network and any clocks could do. The bounds must be small, \
as each of them multiplies the states; where they would have to be too small, --walks goes through a larger world at \
random instead, from a seed. It begins with a cluster that has been founded, in which two clients have a session, and \
whose nodes have all just come back from a loss of power. Each node keeps a journal: whenever power fails, between two \
steps or in what one of them writes, it comes back with what its storage has.

A storm has time in it, and begins before the cluster does: nodes with clocks of their own, clients that come and go, a \
network that keeps kinds of messages or links back for long, and power that fails.

From some of the states, and at the end of each walk and storm, the network heals: then the cluster must come to rest and \
serve a client.";

#[cfg(feature = "check")]
pub(super) const CHECK_AFTER: &str =
    "Try 'synod check --help' for what is looked for, examples and exit codes.";

#[cfg(feature = "check")]
pub(super) const CHECK_AFTER_LONG: &str = "\
Examples:
  synod check                            all parts, in a minute or two
  synod check --nodes 3                  3 nodes, one election, one request
  synod check --crashes 1                the same, and power is lost anywhere
  synod check --claimants 2 --time 10m   two nodes that claim to lead
  synod check --nodes 2 --claimants 2 --lost none --network again
                                         two nodes, and messages that come again
  synod check --walks 1000               three nodes, everything, at random
  synod check --walks 1 --seed 57        one of those walks
  synod check --storms 1000              clusters of all sizes, in bad weather

It prints how many states there are and whether these are all, and how often
was reached what the rules are about: elections, answers, pages, losses of
power, and so on. Where a rule is broken it prints what happened, step by step
(without a detour: the nearest such state, or a walk with what is not needed
left out), and the command that shows it again.

Exit codes:
  0  everything was visited that was asked for, and no rule is broken
  1  a rule is broken
  2  bad usage, or the output failed
  5  vacuous: something never happened that must, as an election, an answer
     where there are requests, or a loss of power where there are crashes
  6  cut short by --time, --states or --depth: no rule is broken so far
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; the report says how far
     it came, and a second signal ends it at once";
