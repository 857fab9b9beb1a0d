//! Errors of the command line: one line each, which names the option, the value given, and the values accepted.

use crate::shell_quoting;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use core::error::Error;
use core::fmt;

/// Reason why a command line is invalid, as one line of text.
///
/// A sentence without a full stop and without a capital, since it follows `synod: ` on the standard
/// error.
///
/// ```
/// let error = synod_host::cli::parse(["synod", "6", "--nodes", "99"]).unwrap_err();
/// assert_eq!(error.to_string(), "--nodes got '99', but takes a whole number from 1 to 64");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    /// An option with a value that it does not accept.
    pub(super) fn value(option: &str, got: &str, takes: &dyn fmt::Display) -> Self {
        Self(format!("{option} got '{got}', but takes {takes}"))
    }

    /// An option that requires another one.
    pub(super) fn alone(option: &str, needs: &str) -> Self {
        Self(format!("{option} needs {needs}"))
    }

    /// Options that cannot be given together.
    #[cfg(feature = "server")]
    pub(super) fn conflict(option: &str, with: &str) -> Self {
        Self(format!("{option} cannot be given with {with}"))
    }

    /// A file that is missing or invalid.
    pub(super) fn file(error: &crate::case::FileError) -> Self {
        Self(first_line(&error.to_string()))
    }
}

#[cfg(not(feature = "mutants"))]
impl UsageError {
    /// A command that requires mutants, in a program built without them.
    pub(super) fn without_mutants() -> Self {
        let how = "cargo run --release --features mutants -- museum";
        Self(format!(
            "this program was built without the mutants of the museum: {how}"
        ))
    }
}

#[cfg(not(feature = "server"))]
impl UsageError {
    /// A command of the server, in a program built without it.
    pub(super) fn without_server() -> Self {
        let how = "cargo run --release --features server -- cluster";
        Self(format!("this program was built without the server: {how}"))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

impl From<&clap::Error> for UsageError {
    /// Words an error of `clap` as all others are worded, because its own take several lines and do
    /// not say which values are accepted.
    fn from(error: &clap::Error) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => Some(texts.join(" or ")),
            _ => None,
        };
        let arg = text(ContextKind::InvalidArg).unwrap_or_default();
        let option = name_of(&arg);
        let got = text(ContextKind::InvalidValue).unwrap_or_default();
        match error.kind() {
            ErrorKind::ValueValidation => match error.source() {
                Some(takes) => Self::value(&option, &got, &takes),
                None => Self(format!("{option} got '{got}', which it does not take")),
            },
            ErrorKind::InvalidValue if got.is_empty() => {
                Self(format!("{option} needs a value: {arg}"))
            }
            ErrorKind::InvalidValue => {
                let takes =
                    text(ContextKind::ValidValue).unwrap_or_else(|| "another value".to_owned());
                Self::value(&option, &got, &takes)
            }
            ErrorKind::MissingRequiredArgument => {
                let missing = match error.get(ContextKind::InvalidArg) {
                    Some(ContextValue::Strings(all)) if all.len() > 1 => {
                        format!("{} are missing", all.join(" and "))
                    }
                    _ => format!("{arg} is missing"),
                };
                Self(format!("{missing}: the rest needs it ({})", see_help()))
            }
            ErrorKind::MissingSubcommand => {
                let commands = text(ContextKind::ValidSubcommand).unwrap_or_default();
                Self(format!("a command is missing: {commands} ({})", see_help()))
            }
            ErrorKind::UnknownArgument => {
                let like = text(ContextKind::SuggestedArg)
                    .map_or_else(see_help, |like| format!("did you mean {like}?"));
                let what = if option.starts_with('-') {
                    "option"
                } else {
                    "argument"
                };
                Self(format!("there is no {what} '{option}' here ({like})"))
            }
            ErrorKind::ArgumentConflict => {
                let other = text(ContextKind::PriorArg).unwrap_or_default();
                match text(ContextKind::InvalidSubcommand) {
                    // Clap takes a word after the seed for a subcommand.
                    Some(word) => Self(format!(
                        "there is no argument '{word}' after {} ({})",
                        name_of(&other),
                        see_help()
                    )),
                    None if other.is_empty() || other == arg => {
                        Self(format!("{option} is given more than once"))
                    }
                    None => Self(format!("{option} cannot be given with {}", name_of(&other))),
                }
            }
            ErrorKind::InvalidSubcommand => {
                let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
                Self(format!("there is no command '{word}' ({})", see_help()))
            }
            _ => Self(first_line(&error.to_string())),
        }
    }
}

/// Returns the name of an argument as it is typed: `--nodes` for `--nodes <N>`, `SEED` for `[SEED]`.
fn name_of(arg: &str) -> String {
    let word = arg.split([' ', '=']).next().unwrap_or_default();
    word.trim_matches(['[', ']', '<', '>', '.']).to_owned()
}

/// Returns where to look for what is accepted.
fn see_help() -> String {
    format!("see: {} --help", shell_quoting::program())
}

/// Returns the first line of an error, which says what is wrong; the others are hints and usage.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
