//! Scenario files: reads and writes cases as TOML, both those written by hand and recorded runs.
//!
//! A file is checked in the order of what can be said about it: the syntax and the keys by the
//! parser, single values by their types, values that bound each other by [`limits`], and at last
//! whether each fault can have an effect by [`vacuity`]. The first mistake is reported, in one line
//! with its number.
//!
//! ```toml
//! nodes = 3
//! clients = 2
//!
//! [[fault]]
//! kind = "restart"
//! node = "leader"
//! at = "1.5s"
//! lasts = "700ms"
//! ```

#[cfg(test)]
mod tests;

use super::fates::{LinkMessage, Script, ScriptedFate};
use super::invalid::{Invalid, line_of};
use super::limits;
use super::schema::{
    DurationText, FaultTable, LinkTable, NodeOrWord, Outcome, PercentText, SeedValue, WeatherTable,
};
use super::vacuity;
use super::{Case, keys::of as keys_of};
use crate::mutant;
use crate::options::{Machine, Options};
use crate::values;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use synod::simulation::{Capacities, PLAN_MAX, Placement, Trial, Weather};
use synod::{Duration, NodeId};

/// Reason why a file could not be read or written as a case.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The file could not be read or written.
    Io(PathBuf, io::Error),
    /// The content is not a valid case.
    Form(PathBuf, String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", name_of(path)),
            Self::Form(path, what) => write!(f, "{}: {what}", name_of(path)),
        }
    }
}

/// Returns the name of a file in error messages.
fn name_of(path: &Path) -> impl fmt::Display {
    if path == Path::new("-") {
        Path::new("the standard input").display()
    } else {
        path.display()
    }
}

impl core::error::Error for FileError {}

/// Top-level table of a scenario file. Missing keys have the values of the default run.
///
/// Keys keep the order of the fields when a file is written. An unknown key is an error, since a
/// misspelt one would silently have its default.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    /// Seed; 0 if it is missing, so that a file without one is a certain run.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<SeedValue>,
    nodes: Option<u16>,
    /// Number of nodes that found the cluster, from node 0 on; the others join as learners.
    #[serde(skip_serializing_if = "Option::is_none")]
    founders: Option<u16>,
    clients: Option<u16>,
    requests: Option<u32>,
    /// `kv` or `bank`.
    machine: Option<String>,
    /// Capacities of the nodes: `tight`, `roomy` or `wide`.
    room: Option<String>,
    /// Size of the disks: `ample`, or `least` for the smallest that a journal accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    /// Mistake planted in every node.
    mutant: Option<String>,
    /// Number of keys that the clients contend for.
    contended: Option<u32>,
    /// Node of the clients, or `spread`; the last node if it is missing.
    place: Option<NodeOrWord>,
    /// Pause of a client between an answer and its next request.
    think: Option<DurationText>,
    /// Time after which a client withdraws a request that is not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<DurationText>,
    /// Whether clients ask nodes that have not joined yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    asks_joining: Option<bool>,
    /// Whether clients read the state of their node for every other command that changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    reads: Option<bool>,
    /// Time for which a driver gathers steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    gather: Option<DurationText>,
    /// What a driver does while it makes writes durable: send early messages and wait, or have all messages wait and go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    early: Option<bool>,
    /// Node that an operator has made a founder by mistake, besides node 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_founder: Option<u16>,
    /// Bound on simulated time.
    until: Option<DurationText>,
    /// Bound on the number of events.
    events: Option<u64>,
    /// Round trip that the nodes take for the longest, if it is not that of the links.
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip: Option<DurationText>,
    link: LinkTable,
    #[serde(skip_serializing_if = "Option::is_none")]
    weather: Option<WeatherTable>,
    /// Outcome of a recorded run, with which a replay is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// Planned faults.
    #[serde(rename = "fault", skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultTable>,
    /// Fates of single messages, in a recorded run.
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<ScriptTable>,
}

/// Scripted fates of messages. A line is `FROM>TO #NTH lost`, or `FROM>TO #NTH` and the delays of
/// one or two copies.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ScriptTable {
    /// Delay of each message without a line.
    usual: DurationText,
    /// Lines, one for each other message.
    messages: Vec<String>,
}

/// Returns the tables of a scenario file with their keys.
pub fn keys() -> [(&'static str, &'static [&'static str]); 6] {
    [
        ("at the top", keys_of::<File>()),
        ("[link]", keys_of::<LinkTable>()),
        ("[weather]", keys_of::<WeatherTable>()),
        ("[[fault]]", keys_of::<FaultTable>()),
        ("[outcome]", keys_of::<Outcome>()),
        ("[script]", keys_of::<ScriptTable>()),
    ]
}

/// Reads a case from a file, or from the standard input if the path is `-`, with the outcome if it was recorded.
///
/// # Errors
///
/// [`FileError`], which names what is invalid and its line.
pub fn read(path: &Path) -> Result<(Case, Option<Outcome>), FileError> {
    let text = if path == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| FileError::Io(path.into(), error))?;
    parse(&text).map_err(|what| FileError::Form(path.into(), what))
}

/// Writes a case to a file, with its outcome if there is one.
///
/// # Errors
///
/// [`FileError`] if the file cannot be written.
pub fn write(path: &Path, case: &Case, outcome: Option<&Outcome>) -> Result<(), FileError> {
    let text = print(case, outcome).map_err(|what| FileError::Form(path.into(), what))?;
    fs::write(path, text).map_err(|error| FileError::Io(path.into(), error))
}

/// Checks that a file can be written, without changing an existing one. It is called before a long
/// run, so that the run is not in vain.
///
/// # Errors
///
/// [`FileError`] if it cannot.
pub fn try_write(path: &Path) -> Result<(), FileError> {
    let file = |options: &mut OpenOptions| options.write(true).open(path);
    let tried = match file(OpenOptions::new().create_new(true)) {
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            file(&mut OpenOptions::new()).map(drop)
        }
        Err(error) => Err(error),
    };
    tried.map_err(|error| FileError::Io(path.into(), error))
}

/// Parses the text of a scenario file.
///
/// # Errors
///
/// One line that says what is invalid and where.
///
/// ```
/// use synod_host::case::parse;
///
/// let (case, outcome) = parse("seed = 6\nnodes = 3\n").unwrap();
/// assert_eq!((case.trial.scenario.nodes, outcome), (3, None));
/// let error = parse("seed = 6\nnodes = 99\n").unwrap_err();
/// assert_eq!(error, "line 2: nodes is '99', but takes a whole number from 1 to 64");
/// ```
pub fn parse(text: &str) -> Result<(Case, Option<Outcome>), String> {
    let file: File = toml::from_str(text).map_err(|error| located(text, &error))?;
    file.case().map_err(|invalid| invalid.in_text(text))
}

/// Returns an error of the TOML parser as one line with the number of its line in the text.
fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => format!("line {}: {message}", line_of(text, span.start)),
        None => message,
    }
}

/// Formats a case as the text of a scenario file.
///
/// # Errors
///
/// One line that says what cannot be represented.
///
/// [`parse`] reads the same case again, which a test shows for drawn ones.
pub fn print(case: &Case, outcome: Option<&Outcome>) -> Result<String, String> {
    let mut file = File::of(case);
    file.outcome = outcome.cloned();
    toml::to_string(&file).map_err(|error| error.to_string())
}

impl File {
    /// Returns the tables of a case. They name every value, also a default one, so that a later
    /// program with other defaults runs the same.
    fn of(case: &Case) -> Self {
        let Trial {
            scenario,
            weather,
            plan,
            requests,
            contended,
            room,
            has_least_storage,
            ..
        } = &case.trial;
        let place = match scenario.placement {
            Placement::Spread => NodeOrWord::Word("spread".to_owned()),
            Placement::One(node) => NodeOrWord::Number(node.0),
        };
        Self {
            seed: Some(SeedValue(scenario.run_seed)),
            nodes: Some(scenario.nodes),
            founders: scenario.founders,
            clients: Some(scenario.clients),
            requests: Some(*requests),
            machine: Some(case.machine().name().to_owned()),
            room: Some(
                match room {
                    Capacities::Tight => "tight",
                    Capacities::Roomy => "roomy",
                    Capacities::Wide => "wide",
                }
                .to_owned(),
            ),
            storage: has_least_storage.then(|| "least".to_owned()),
            mutant: mutant::of(scenario).map(|mutant| mutant.name().to_owned()),
            contended: (*contended > 0).then_some(*contended),
            place: Some(place),
            think: Some(DurationText(scenario.think)),
            patience: scenario.patience.map(DurationText),
            asks_joining: scenario.asks_joining.then_some(true),
            reads: scenario.reads.then_some(true),
            gather: (scenario.gather > Duration::ZERO).then_some(DurationText(scenario.gather)),
            early: scenario.early.then_some(true),
            second_founder: scenario.second_founder.map(|node| node.0),
            until: Some(DurationText(scenario.time_max)),
            events: Some(scenario.events_max),
            round_trip: scenario.round_trip.map(DurationText),
            link: LinkTable {
                delay: Some(DurationText(scenario.link.delay)),
                jitter: Some(DurationText(scenario.link.jitter)),
                loss: Some(PercentText(scenario.link.loss_ppm)),
            },
            weather: (*weather != Weather::CALM).then(|| WeatherTable::of(weather)),
            outcome: None,
            faults: plan.iter().map(FaultTable::of).collect(),
            script: case.script.as_ref().map(ScriptTable::of),
        }
    }

    /// Returns the case of a file, with its outcome. What single keys accept is checked first, then
    /// the limits, and at last whether each fault can have an effect.
    fn case(self) -> Result<(Case, Option<Outcome>), Invalid> {
        let run_seed = self.seed.unwrap_or(SeedValue(0)).0;
        // Missing keys have the defaults of the command line, by the same code.
        let mut options = Options::new(run_seed);
        options.nodes = self.nodes.unwrap_or(options.nodes);
        options.clients = self.clients.unwrap_or(options.clients);
        options.requests = self.requests.unwrap_or(options.requests);
        let machine = self.machine.as_deref().unwrap_or("kv");
        let is_bank = one_of("machine", machine, MACHINES)?;
        options.machine = if is_bank { Machine::Bank } else { Machine::Kv };
        let room = one_of("room", self.room.as_deref().unwrap_or("roomy"), ROOMS)?;
        let storage = self.storage.as_deref().unwrap_or("ample");
        let has_least_storage = one_of("storage", storage, STORAGES)?;
        // After the options have their other values, since the default jitter depends on the delay.
        let link = self.link.link(&options);
        (options.delay, options.jitter, options.loss_ppm) =
            (link.delay, Some(link.jitter), link.loss_ppm);
        options.until = self.until.map(|span| span.0);
        options.events = self.events;
        options.placement = self.place.map(|place| place.placement()).transpose()?;
        let mut scenario = options.scenario();
        scenario.think = self.think.map_or(Duration::ZERO, |span| span.0);
        scenario.gather = self.gather.map_or(Duration::ZERO, |span| span.0);
        scenario.patience = self.patience.map(|span| span.0);
        scenario.asks_joining = self.asks_joining.unwrap_or(false);
        scenario.reads = self.reads.unwrap_or(false);
        scenario.early = self.early.unwrap_or(false);
        scenario.founders = self.founders;
        scenario.second_founder = self.second_founder.map(NodeId);
        scenario.round_trip = self.round_trip.map(|span| span.0);
        if self.faults.len() > PLAN_MAX {
            let many = self.faults.len();
            let what = format!("there are {many} faults, but at most {PLAN_MAX} fit");
            return Err(Invalid::new(what).at_index(PLAN_MAX).under("fault"));
        }
        if let Some(name) = &self.mutant {
            let mutant = mutant::parse(name);
            let mutant = mutant.map_err(|what| Invalid::new(what).under("mutant"))?;
            mutant::plant(&mut scenario, Some(mutant));
        }
        let plan = self.faults.iter().enumerate().map(|(index, fault)| {
            let invalid = |invalid: Invalid| invalid.at_index(index).under("fault");
            fault.planned().map_err(invalid)
        });
        let plan: Result<_, Invalid> = plan.collect();
        let weather = self.weather.map(|table| table.weather()).transpose()?;
        let trial = Trial {
            weather: weather.unwrap_or(Weather::CALM),
            plan: plan?,
            requests: options.requests,
            is_bank,
            contended: self.contended.unwrap_or(0),
            room,
            has_least_storage,
            scenario,
        };
        // Before the script is read, whose names of messages are checked against the number of
        // nodes.
        limits::check(&trial)?;
        let script = self.script.map(ScriptTable::script).transpose()?;
        vacuity::check(&trial, script.as_ref())?;
        Ok((Case { trial, script }, self.outcome))
    }
}

/// Whether the machine is a bank, by name.
const MACHINES: [(&str, bool); 2] = [("kv", false), ("bank", true)];

/// The room of a trial, by name.
const ROOMS: [(&str, Capacities); 3] = [
    ("tight", Capacities::Tight),
    ("roomy", Capacities::Roomy),
    ("wide", Capacities::Wide),
];

/// Whether the storage is the least that a node needs, by name.
const STORAGES: [(&str, bool); 2] = [("least", true), ("ample", false)];

/// Returns the value of a key by its name.
fn one_of<T: Copy, const N: usize>(
    key: &'static str,
    name: &str,
    values: [(&str, T); N],
) -> Result<T, Invalid> {
    let found = values.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names = values.map(|(name, _)| name);
        let (last, others) = names.split_last().unwrap_or((&"nothing", &[]));
        let takes = format!("{} or {last}", others.join(", "));
        Invalid::value(key, &name, &takes)
    })
}

impl ScriptTable {
    /// Returns the table of a script, sorted by links and numbers.
    fn of(script: &Script) -> Self {
        let line = |(message, choice): (&LinkMessage, &ScriptedFate)| {
            let LinkMessage { from, to, nth } = message;
            let way = format!("{}>{} #{nth}", from.0, to.0);
            match (choice.delay, choice.again) {
                (None, _) => format!("{way} lost"),
                (Some(delay), None) => format!("{way} {delay}"),
                (Some(delay), Some(again)) => format!("{way} {delay} {again}"),
            }
        };
        Self {
            usual: DurationText(script.usual),
            messages: script.choices.iter().map(line).collect(),
        }
    }

    /// Returns the script, or the first line that is not valid or names a message again.
    fn script(self) -> Result<Script, Invalid> {
        let choice = |(index, line): (usize, &String)| {
            let bad = || {
                Invalid::new(format!(
                    "messages has '{line}', but takes FROM>TO #NTH lost, or FROM>TO #NTH and one or two durations"
                ))
            };
            let under =
                |invalid: Invalid| invalid.at_index(index).under("messages").under("script");
            message(line).ok_or_else(bad).map_err(under)
        };
        let mut choices = BTreeMap::new();
        for (index, line) in self.messages.iter().enumerate() {
            let (message, fate) = choice((index, line))?;
            if choices.insert(message, fate).is_some() {
                let LinkMessage { from, to, nth } = message;
                let what = format!("messages has {}>{} #{nth} twice", from.0, to.0);
                let invalid = Invalid::new(what).at_index(index);
                return Err(invalid.under("messages").under("script"));
            }
        }
        Ok(Script {
            usual: self.usual.0,
            choices,
        })
    }
}

/// Parses a scripted fate: `0>1 #17 lost`, `0>1 #17 30ms`, or `0>1 #17 30ms 45ms` for two copies.
fn message(line: &str) -> Option<(LinkMessage, ScriptedFate)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('>')?;
    let message = LinkMessage {
        from: NodeId(from.parse().ok()?),
        to: NodeId(to.parse().ok()?),
        nth: words.next()?.strip_prefix('#')?.parse().ok()?,
    };
    let first = words.next()?;
    let choice = if first == "lost" {
        ScriptedFate {
            delay: None,
            again: None,
        }
    } else {
        ScriptedFate {
            delay: Some(values::duration(first).ok()?),
            again: words.next().map(values::duration).transpose().ok()?,
        }
    };
    words.next().is_none().then_some((message, choice))
}
