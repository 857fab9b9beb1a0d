//! Scenario files: reads and writes cases as TOML, both those written by hand and recorded runs.

use super::fates::{LinkMessage, Script, ScriptedFate};
use super::invalid::{Invalid, line_of};
use super::limits;
use super::schema::{
    DurationText, FaultTable, LinkTable, NodeOrWord, Outcome, PercentText, SeedValue, WeatherTable,
};
use super::vacuity;
use super::{Case, keys::of as keys_of};
use crate::options::{Machine, Options};
use crate::values;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use synod::simulation::{Capacities, PLAN_MAX, Placement, Scenario, Trial, Weather};
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
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<SeedValue>,
    nodes: Option<u16>,
    clients: Option<u16>,
    requests: Option<u32>,
    machine: Option<String>,
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    /// Mistake planted in every node.
    mutant: Option<String>,
    /// Number of keys that the clients contend for.
    contended: Option<u32>,
    place: Option<NodeOrWord>,
    think: Option<DurationText>,
    /// Time for which a driver gathers steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    gather: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_founder: Option<u16>,
    until: Option<DurationText>,
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip: Option<DurationText>,
    link: LinkTable,
    #[serde(skip_serializing_if = "Option::is_none")]
    weather: Option<WeatherTable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(rename = "fault", skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultTable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<ScriptTable>,
}

/// Scripted fates of messages.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ScriptTable {
    usual: DurationText,
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

/// Checks that a file can be written, without changing an existing one.
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
pub fn parse(text: &str) -> Result<(Case, Option<Outcome>), String> {
    let file: File = toml::from_str(text).map_err(|error| located(text, &error))?;
    file.case().map_err(|invalid| invalid.in_text(text))
}

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
pub fn print(case: &Case, outcome: Option<&Outcome>) -> Result<String, String> {
    let mut file = File::of(case);
    file.outcome = outcome.cloned();
    toml::to_string(&file).map_err(|error| error.to_string())
}

impl File {
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
            mutant: mutant_of(scenario),
            contended: (*contended > 0).then_some(*contended),
            place: Some(place),
            think: Some(DurationText(scenario.think)),
            gather: (scenario.gather > Duration::ZERO).then_some(DurationText(scenario.gather)),
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

    fn case(self) -> Result<(Case, Option<Outcome>), Invalid> {
        let run_seed = self.seed.unwrap_or(SeedValue(0)).0;
        let mut options = Options::new(run_seed);
        options.nodes = self.nodes.unwrap_or(options.nodes);
        options.clients = self.clients.unwrap_or(options.clients);
        options.requests = self.requests.unwrap_or(options.requests);
        let is_bank = match self.machine.as_deref() {
            None | Some("kv") => false,
            Some("bank") => true,
            Some(other) => return Err(Invalid::value("machine", &other, &"kv or bank")),
        };
        options.machine = if is_bank { Machine::Bank } else { Machine::Kv };
        let room = match self.room.as_deref() {
            None | Some("roomy") => Capacities::Roomy,
            Some("tight") => Capacities::Tight,
            Some("wide") => Capacities::Wide,
            Some(other) => {
                return Err(Invalid::value("room", &other, &"tight, roomy or wide"));
            }
        };
        let has_least_storage = match self.storage.as_deref() {
            None | Some("ample") => false,
            Some("least") => true,
            Some(other) => return Err(Invalid::value("storage", &other, &"least or ample")),
        };
        let link = self.link.link(&options);
        (options.delay, options.jitter, options.loss_ppm) =
            (link.delay, Some(link.jitter), link.loss_ppm);
        options.until = self.until.map(|span| span.0);
        options.events = self.events;
        options.placement = self.place.map(|place| place.placement()).transpose()?;
        let mut scenario = options.scenario();
        scenario.think = self.think.map_or(Duration::ZERO, |span| span.0);
        scenario.gather = self.gather.map_or(Duration::ZERO, |span| span.0);
        scenario.second_founder = self.second_founder.map(NodeId);
        scenario.round_trip = self.round_trip.map(|span| span.0);
        if self.faults.len() > PLAN_MAX {
            let many = self.faults.len();
            let what = format!("there are {many} faults, but at most {PLAN_MAX} fit");
            return Err(Invalid::new(what).at_index(PLAN_MAX).under("fault"));
        }
        if let Some(name) = &self.mutant {
            mutate(&mut scenario, name).map_err(|what| Invalid::new(what).under("mutant"))?;
        }
        let plan = self.faults.iter().enumerate().map(|(index, fault)| {
            let invalid = |invalid: Invalid| invalid.at_index(index).under("fault");
            fault.planned().map_err(invalid)
        });
        let plan: Result<_, Invalid> = plan.collect();
        let trial = Trial {
            weather: self.weather.map_or(Weather::CALM, |table| table.weather()),
            plan: plan?,
            requests: options.requests,
            is_bank,
            contended: self.contended.unwrap_or(0),
            room,
            has_least_storage,
            scenario,
        };
        limits::check(&trial)?;
        let script = self.script.map(ScriptTable::script).transpose()?;
        vacuity::check(&trial, script.as_ref())?;
        Ok((Case { trial, script }, self.outcome))
    }
}

/// Returns the name of the mutant of a scenario, if it has one.
#[cfg(feature = "mutants")]
fn mutant_of(scenario: &Scenario) -> Option<String> {
    scenario.mutant.map(|mutant| mutant.name().to_owned())
}

#[cfg(not(feature = "mutants"))]
const fn mutant_of(_scenario: &Scenario) -> Option<String> {
    None
}

/// Plants a mistake in the nodes of a scenario.
#[cfg(feature = "mutants")]
fn mutate(scenario: &mut Scenario, name: &str) -> Result<(), String> {
    let mutant = name.parse();
    scenario.mutant = Some(mutant.map_err(|_| format!("there is no mutant '{name}'"))?);
    Ok(())
}

#[cfg(not(feature = "mutants"))]
fn mutate(_scenario: &mut Scenario, name: &str) -> Result<(), String> {
    Err(format!(
        "mutant is '{name}', which takes a program built with --features mutants"
    ))
}

impl ScriptTable {
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
        let choices: Result<_, Invalid> = self.messages.iter().enumerate().map(choice).collect();
        Ok(Script {
            usual: self.usual.0,
            choices: choices?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{record, run};
    use synod::simulation::{FaultSet, Swarm};

    const ALL: Swarm = Swarm {
        faults: FaultSet::ALL,
        nodes: None,
    };

    #[test]
    fn a_printed_case_parses_to_the_same_case() {
        for seed in 0..200 {
            let case = Case::of(ALL.draw(seed));
            let text = print(&case, None).unwrap();
            assert_eq!(parse(&text).unwrap(), (case, None), "{text}");
        }
    }

    #[test]
    fn a_recorded_run_replays_without_randomness() {
        let drawn = Case::of(ALL.draw(11));
        let (mut recorded, first) = record(&drawn).unwrap();
        recorded.trial.weather = Weather::CALM;
        let text = print(&recorded, None).unwrap();
        let (read, _) = parse(&text).unwrap();
        assert_eq!(read, recorded);
        let again = run(&read, &mut ()).unwrap();
        assert_eq!((again.verdict, again.report), (first.verdict, first.report));
        assert_eq!(again.tally.lost_total(), first.tally.lost_total());
    }

    #[test]
    fn missing_keys_have_the_values_of_the_default_run() {
        let (case, _) = parse("").unwrap();
        let default = Options::new(0).scenario();
        assert_eq!((case.trial.scenario, case.trial.requests), (default, 11));
        assert_eq!(case.trial.weather, Weather::CALM);
    }

    #[test]
    fn seeds_beyond_the_integers_of_toml_are_strings() {
        let (case, _) = parse("seed = \"18446744073709551615\"").unwrap();
        assert_eq!(case.trial.scenario.run_seed, u64::MAX);
        assert!(
            print(&case, None)
                .unwrap()
                .starts_with("seed = \"18446744073709551615\"")
        );
    }

    #[test]
    fn documented_limits_of_keys_are_enforced() {
        for (before, key, most, more) in [
            ("", "nodes", "64", "65"),
            ("room = \"tight\"\n", "nodes", "16", "17"),
            ("", "clients", "64", "65"),
            ("", "requests", "4294967294", "4294967295"),
            ("", "until", "\"1000000h\"", "\"1000001h\""),
            ("", "think", "\"24h\"", "\"24.1h\""),
            ("", "round-trip", "\"24h\"", "\"24.1h\""),
            (
                "until = \"100h\"\n[link]\njitter = \"0\"\n",
                "delay",
                "\"24h\"",
                "\"24.1h\"",
            ),
            (
                "until = \"100h\"\n[link]\ndelay = \"24h\"\n",
                "jitter",
                "\"35m\"",
                "\"36m\"",
            ),
            ("[link]\n", "loss", "\"100%\"", "\"101%\""),
            (
                "[weather]\nstorm = \"1s\"\nuntil = \"1s\"\n",
                "spike-max",
                "\"24h\"",
                "\"24.1h\"",
            ),
            (
                "[weather]\nstorm = \"1s\"\nuntil = \"1s\"\n",
                "reorder-max",
                "\"24h\"",
                "\"24.1h\"",
            ),
            ("", "place", "13", "14"),
            (
                "[[fault]]\nkind = \"crash\"\nnode = 1\n",
                "at",
                "\"119s\"",
                "\"120s\"",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nnode = 1\nat = \"20s\"\n",
                "lasts",
                "\"100s\"",
                "\"101s\"",
            ),
            (
                "[[fault]]\nkind = \"crash\"\nat = \"1s\"\n",
                "node",
                "13",
                "14",
            ),
            (
                "[[fault]]\nkind = \"partition\"\nat = \"1s\"\nlasts = \"1s\"\n",
                "side",
                "[13]",
                "[14]",
            ),
            (
                "[[fault]]\nkind = \"slow-disk\"\nnode = 1\nat = \"1s\"\nlasts = \"1s\"\n",
                "sync",
                "\"24h\"",
                "\"24.1h\"",
            ),
        ] {
            let line = before.lines().count() + 1;
            let taken = parse(&format!("{before}{key} = {most}"));
            assert!(taken.is_ok(), "{key} = {most}: {taken:?}");
            let error = parse(&format!("{before}{key} = {more}")).unwrap_err();
            assert!(
                error.starts_with(&format!("line {line}: ")),
                "{key}: {error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        for (key, less) in [
            ("nodes", "0"),
            ("requests", "0"),
            ("events", "0"),
            ("until", "\"0s\""),
        ] {
            let error = parse(&format!("seed = 1\n{key} = {less}")).unwrap_err();
            assert!(
                error.starts_with(&format!("line 2: {key} is '0")),
                "{error}"
            );
        }
    }

    #[test]
    fn faults_without_effect_are_refused_with_their_key() {
        let fault = |kind: &str, rest: &str| {
            format!("nodes = 3\nuntil = \"9s\"\n[[fault]]\nkind = \"{kind}\"\nat = \"1s\"\n{rest}")
        };
        let lasting = |kind: &str, rest: &str| fault(kind, &format!("lasts = \"1s\"\n{rest}"));
        for (text, said) in [
            (
                lasting("partition", "side = [0, 1, 2]"),
                "fault 1 (partition): side has 3 of the 3",
            ),
            (
                lasting("partition", "side = []"),
                "fault 1 (partition): side has 0 of the 3",
            ),
            (
                lasting("partition", "side = [0, 3]"),
                "side is '3', but takes a node from 0 to 2",
            ),
            (
                lasting("one-way", "from = []\nto = [1]"),
                "fault 1 (one-way): from is empty",
            ),
            (
                lasting("one-way", "from = [1]\nto = []"),
                "fault 1 (one-way): to is empty",
            ),
            (
                lasting("clog", "from = [1]\nto = [1]"),
                "fault 1 (clog): from and to are the same",
            ),
            (
                lasting("clog", "from = [1]\nto = [7]"),
                "to is '7', but takes a node from 0 to 2",
            ),
            (
                lasting("partial", "one = [2]\nother = [2]"),
                "fault 1 (partial): one and other are",
            ),
            (
                lasting("pause", "node = 3"),
                "node is '3', but takes a node from 0 to 2",
            ),
            (
                lasting("skew", "node = 1\nrate-ppm = 0"),
                "fault 1 (skew): rate-ppm is 0, but takes",
            ),
            (
                lasting("skew", "node = 1\nrate-ppm = 600000"),
                "fault 1 (skew): rate-ppm is 600000",
            ),
            (
                fault("jump", "node = 1\nby-us = 0"),
                "fault 1 (jump): by-us is 0",
            ),
            (
                lasting("slow-disk", "node = 1\nsync = \"0s\""),
                "fault 1 (slow-disk): sync is 0",
            ),
            (
                fault("restart", "node = 1\nlasts = \"0s\""),
                "fault 1 (restart): lasts is 0",
            ),
            (
                fault("pause", "node = 1\nlasts = \"0s\""),
                "fault 1 (pause): lasts is 0",
            ),
            (
                lasting("pause", "node = 1").replace("at = \"1s\"", "at = \"9s\""),
                "at is '9s', but takes a time before until (9s)",
            ),
            (
                "nodes = 3\nsecond-founder = 0".to_owned(),
                "second-founder is '0', but takes a node from 1 to 2",
            ),
            (
                "[weather]\nspike = \"5%\"\nstorm = \"1s\"\nuntil = \"5s\"".to_owned(),
                "spike in [weather] delays messages by nothing: spike-max must be above 0",
            ),
            (
                "[weather]\nreorder = \"5%\"\nstorm = \"1s\"\nuntil = \"5s\"".to_owned(),
                "reorder in [weather] delays messages by nothing: reorder-max must be above 0",
            ),
            (
                "nodes = 3\n[script]\nusual = \"1ms\"\nmessages = [\"1>1 #0 lost\"]".to_owned(),
                "messages in [script] has 1>1, but a message goes from one node to another",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_error_in_the_second_fault_has_the_line_of_that_fault() {
        let text = "nodes = 3\n\n[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 1\n\n# Too many cooks.\n[[fault]]\n\
                    kind = \"crash\"\nat = \"1s\"\nnode = 7\n";
        let error = parse(text).unwrap_err();
        assert_eq!(
            error,
            "line 12: node is '7', but takes a node from 0 to 2: there are 3 nodes"
        );
        let lacks = parse(&text.replace("node = 7\n", "")).unwrap_err();
        assert_eq!(lacks, "line 9: a crash needs 'node'");
    }

    #[test]
    fn errors_are_one_line() {
        for (text, said) in [
            (
                "nodes = \"many\"",
                "line 1: invalid type: string \"many\", expected u16",
            ),
            ("\n\nnodse = 3", "line 3: unknown field `nodse`"),
            (
                "think = \"30\"",
                "line 1: got '30', but takes a duration such as 30ms, 1.5s or 2m",
            ),
            (
                "room = \"large\"",
                "line 1: room is 'large', but takes tight, roomy or wide",
            ),
            (
                "storage = \"huge\"",
                "line 1: storage is 'huge', but takes least or ample",
            ),
            (
                "machine = \"cat\"",
                "line 1: machine is 'cat', but takes kv or bank",
            ),
            (
                "[link]\ndelay = \"1ms\"\njitter = \"2ms\"",
                "line 3: jitter is '2ms', but takes at most the delay (1ms)",
            ),
            (
                "[[fault]]\nkind = \"fire\"",
                "line 2: kind is 'fire', but takes one of loss,",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nlasts = \"1s\"",
                "line 1: a pause needs 'node'",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = 1",
                "line 1: a pause needs 'lasts'",
            ),
            (
                "[[fault]]\nkind = \"pause\"\nat = \"1s\"\nnode = \"king\"\nlasts = \"1s\"",
                "line 4: node is 'king', but takes leader or a node",
            ),
            (
                "[[fault]]\nkind = \"crash\"\nat = \"1s\"\nnode = 1\nlasts = \"1s\"",
                "line 5: a crash is for good: one that lasts is a restart",
            ),
            (
                "[[fault]]\nkind = \"loss\"\nat = \"1s\"",
                "line 2: loss happens by chance: it belongs to [weather]",
            ),
            (
                "[[fault]]\nkind = \"partition\"\nat = \"1s\"\nlasts = \"1s\"\nside = [64]",
                "line 5: side has 64, but nodes go from 0 to 63",
            ),
            (
                "[script]\nusual = \"1ms\"\nmessages = [\"0 to 1\"]",
                "line 3: messages has '0 to 1', but takes FROM>TO #NTH",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }
}
