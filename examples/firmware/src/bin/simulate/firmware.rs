//! The program on a board, with the arguments `CLUSTER SEED [quiet]` or `CLUSTER FIRST..END [quiet]` from the
//! debugger. With `stack` instead of `quiet` it logs no events either, and its stack depth at the end.

use core::mem::MaybeUninit;
use core::ops::Range;
use cortex_m_rt::entry;
#[cfg(not(board = "microbit"))]
use example_firmware::clusters::Medium;
#[cfg(board = "mps2-an386")]
use example_firmware::clusters::Whole;
use example_firmware::clusters::{Cluster, PAGE, Small};
use example_firmware::semihosting::{Arguments, exit};
use example_firmware::stack_usage;
use synod::simulation::Verdict;
use synod::{Digest, Record, StateMachine, Tracer};

/// The exit code if every run ended well.
const DONE: u8 = 0;
/// The exit code if a run did not.
const NOT_DONE: u8 = 1;
/// The exit code for invalid arguments.
const USAGE: u8 = 2;

/// Logs every event, unless it is quiet.
struct Log {
    is_quiet: bool,
}

impl<M: StateMachine> Tracer<M, PAGE> for Log {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        if !self.is_quiet {
            defmt::trace!("{}", record);
        }
    }
}

/// The arguments.
struct Job {
    seeds: Range<u64>,
    log: Log,
    tells_stack: bool,
}

#[entry]
fn main() -> ! {
    // The runtime hands out a reference to each once. They are too large for the stack.
    static mut SMALL: MaybeUninit<Small> = MaybeUninit::uninit();
    #[cfg(not(board = "microbit"))]
    static mut MEDIUM: MaybeUninit<Medium> = MaybeUninit::uninit();
    #[cfg(board = "mps2-an386")]
    static mut WHOLE: MaybeUninit<Whole> = MaybeUninit::uninit();

    let arguments = Arguments::<64>::get();
    let mut words = arguments.words();
    let cluster = words.next();
    let code = match (cluster, job(words)) {
        (Some("small"), Some(job)) => run(SMALL, job),
        #[cfg(not(board = "microbit"))]
        (Some("medium"), Some(job)) => run(MEDIUM, job),
        #[cfg(board = "mps2-an386")]
        (Some("whole"), Some(job)) => run(WHOLE, job),
        _ => {
            defmt::error!(
                "CLUSTER SEED [quiet] or CLUSTER FIRST..END [quiet]; the clusters here: {=str}",
                CLUSTERS
            );
            USAGE
        }
    };
    exit(code)
}

/// The clusters that fit into the board.
#[cfg(board = "microbit")]
const CLUSTERS: &str = "small";
#[cfg(board = "lm3s6965evb")]
const CLUSTERS: &str = "small, medium";
#[cfg(board = "mps2-an386")]
const CLUSTERS: &str = "small, medium, whole";

/// Parses the arguments; returns `None` if they are invalid.
fn job<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Job> {
    let seeds = seeds(words.next()?.as_bytes())?;
    let (is_quiet, tells_stack) = match words.next() {
        None => (false, false),
        Some("quiet") => (true, false),
        Some("stack") => (true, true),
        Some(_) => return None,
    };
    let job = Job {
        seeds,
        log: Log { is_quiet },
        tells_stack,
    };
    (!job.seeds.is_empty() && words.next().is_none()).then_some(job)
}

/// Parses `SEED` or `FIRST..END`.
fn seeds(word: &[u8]) -> Option<Range<u64>> {
    let (first, rest) = number(word)?;
    match rest {
        [] => Some(first..first.checked_add(1)?),
        [b'.', b'.', end @ ..] => match number(end)? {
            (end, []) => Some(first..end),
            _ => None,
        },
        _ => None,
    }
}

/// Parses a number, and returns it with the rest. The standard function contains code for panics, although it would
/// never panic here.
fn number(mut word: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = None::<u64>;
    while let [digit @ b'0'..=b'9', rest @ ..] = word {
        let tens = number.unwrap_or(0).checked_mul(10)?;
        number = Some(tens.checked_add(u64::from(digit - b'0'))?);
        word = rest;
    }
    Some((number?, word))
}

/// Runs a cluster under each seed, and logs the verdicts and digests.
fn run<C: Cluster>(place: &mut MaybeUninit<C>, mut job: Job) -> u8 {
    let cluster = idle(place);
    let mut code = DONE;
    for seed in job.seeds {
        let mut tracer = (&mut job.log, Digest::new());
        let verdict = cluster.play(seed, &mut tracer);
        if verdict != Verdict::Done {
            code = NOT_DONE;
        }
        let digest = tracer.1.value();
        defmt::info!(
            "seed={=u64} outcome={} digest={=u64:016x}",
            seed,
            verdict,
            digest
        );
    }
    if job.tells_stack {
        defmt::info!("stack={=u32}", stack_usage::used());
    }
    code
}

/// Initializes a cluster in place. The stack that this needs is free again when the cluster runs.
#[inline(never)]
fn idle<C: Cluster>(place: &mut MaybeUninit<C>) -> &mut C {
    place.write(C::idle())
}
