//! Figures in documents: finding the places that show them, and replacing their text.
//!
//! A document marks a figure with two comments, which are invisible to readers:
//!
//! ```markdown
//! Power is cut at <!-- figure cuts -->5,048<!-- end --> words.
//!
//! <!-- figure sweep -->
//! ...a block or a table...
//! <!-- end -->
//! ```
//!
//! `cargo figures` runs the commands that print the figures and writes them to the documents. A test that computes a
//! figure anyway compares it by [`assert_shown`]; `cargo figures --check` compares the rest.

pub mod command_line;
pub mod sources;

pub use command_line::Failure;

use core::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The documents that show figures.
pub const DOCUMENTS: [&str; 14] = [
    "README.md",
    "core/guide/run.md",
    "core/guide/link.md",
    "core/guide/machine.md",
    "core/guide/storage.md",
    "core/guide/faults.md",
    "core/guide/checking.md",
    "core/guide/costs.md",
    "core/guide/design.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "core/RULES.md",
    "core/museum/README.md",
    "examples/firmware/README.md",
];

const BEGIN: &str = "<!-- figure ";
const CLOSE: &str = " -->";
const END: &str = "<!-- end -->";

/// Returns the root folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file of the workspace.
///
/// # Errors
///
/// Returns an error if the file cannot be read.
pub fn read(document: &str) -> Result<String, Failure> {
    fs::read_to_string(root().join(document))
        .map_err(|error| Failure::new(format!("{document} cannot be read: {error}")))
}

/// Writes a file of the workspace.
///
/// # Errors
///
/// Returns an error if the file cannot be written.
pub fn write(document: &str, text: &str) -> Result<(), Failure> {
    fs::write(root().join(document), text)
        .map_err(|error: io::Error| Failure::new(format!("{document} cannot be written: {error}")))
}

/// A place in a document that shows a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the figure.
    pub name: String,
    /// The range of its text.
    pub text: Range<usize>,
}

/// Returns every place of a document that shows a figure, in order.
///
/// # Errors
///
/// Returns an error if an opening comment is not closed, or has no end.
///
/// ```
/// let text = "cut at <!-- figure cuts -->5,048<!-- end --> words";
/// let places = synod_figures::places(text)?;
/// assert_eq!(places[0].name, "cuts");
/// assert_eq!(&text[places[0].text.clone()], "5,048");
/// # Ok::<(), synod_figures::Failure>(())
/// ```
pub fn places(document: &str) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some((name, text)) = next_place(document, from)? {
        from = text.end + END.len();
        places.push(Place { name, text });
    }
    Ok(places)
}

fn next_place(document: &str, from: usize) -> Result<Option<(String, Range<usize>)>, Failure> {
    let rest = document.get(from..).unwrap_or_default();
    let Some((before, rest)) = rest.split_once(BEGIN) else {
        return Ok(None);
    };
    let unclosed = || Failure::new(format!("a figure after byte {from} has no {END:?}"));
    let (name, rest) = rest.split_once(CLOSE).ok_or_else(unclosed)?;
    let (text, _) = rest.split_once(END).ok_or_else(unclosed)?;
    if text.contains(BEGIN) {
        return Err(unclosed());
    }
    let start = from + before.len() + BEGIN.len() + name.len() + CLOSE.len();
    Ok(Some((name.into(), start..start + text.len())))
}

/// Returns the document with a new text for a figure, wherever it is shown.
///
/// # Errors
///
/// As for [`places`].
///
/// ```
/// let text = "cut at <!-- figure cuts -->5,128<!-- end --> words";
/// let now = synod_figures::replaced(text, "cuts", "5,048")?;
/// assert_eq!(now, "cut at <!-- figure cuts -->5,048<!-- end --> words");
/// # Ok::<(), synod_figures::Failure>(())
/// ```
pub fn replaced(document: &str, name: &str, text: &str) -> Result<String, Failure> {
    let mut document = document.to_owned();
    let mut places = places(&document)?;
    places.retain(|place| place.name == name);
    for place in places.into_iter().rev() {
        document.replace_range(place.text, text);
    }
    Ok(document)
}

/// Returns the document and the text of each place that shows a figure.
///
/// # Errors
///
/// As for [`read`] and [`places`].
pub fn shown(name: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut shown = Vec::new();
    for document in DOCUMENTS {
        let text = read(document)?;
        for place in places(&text)?
            .into_iter()
            .filter(|place| place.name == name)
        {
            let text = text.get(place.text).unwrap_or_default();
            shown.push((document, text.to_owned()));
        }
    }
    Ok(shown)
}

/// Asserts that the documents show this text for a figure.
///
/// # Panics
///
/// Panics if a document shows another text, or no document shows the figure.
#[expect(clippy::panic, reason = "an assertion for tests")]
pub fn assert_shown(name: &str, text: &str) {
    let places = shown(name).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(!places.is_empty(), "no document shows the figure {name}");
    for (document, known) in places {
        assert!(
            known == text,
            "{document} shows for the figure {name}\n{known}\nbut it is now\n{text}\n(cargo figures {name} updates it)"
        );
    }
}

/// Returns a text as the code block of a document.
pub fn block(text: &str) -> String {
    format!("\n```text\n{}\n```\n", text.trim_end())
}

/// Returns a number with thousands separators.
///
/// ```
/// assert_eq!(synod_figures::grouped(1_234_567), "1,234,567");
/// ```
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the summary of a sweep without its duration, which depends on the machine.
pub fn sweep(account: &str) -> String {
    let lines = account.lines().filter(|line| !line.starts_with("time "));
    block(&installed(&lines.collect::<Vec<_>>().join("\n")))
}

/// Replaces the path of the program by the name of the installed one.
///
/// ```
/// use synod_figures::installed;
/// assert_eq!(installed("command  target/release/synod sweep"), "command  synod sweep");
/// ```
pub fn installed(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']);
    words
        .map(|word| {
            let is_path = word.trim_end().ends_with("/synod");
            let name = word.rsplit('/').next().filter(|_| is_path);
            name.unwrap_or(word)
        })
        .collect()
}
