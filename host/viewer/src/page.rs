//! The page: one HTML file with styles, scripts and the facts of a run in it.

use crate::recorder::Recorder;
use crate::rules::{Rule, rules};
use core::iter;
use miniz_oxide::deflate::compress_to_vec;
use serde::Serialize;

/// The document, with comments where the parts belong.
const TEMPLATE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/style.css");
/// The modules, each after those that it imports from. They become one script, as a page that was opened from a disk cannot
/// import files; so their names are different throughout.
const MODULES: [&str; 18] = [
    include_str!("../assets/text.js"),
    include_str!("../assets/messages.js"),
    include_str!("../assets/states.js"),
    include_str!("../assets/run.js"),
    include_str!("../assets/find.js"),
    include_str!("../assets/words.js"),
    include_str!("../assets/stories.js"),
    include_str!("../assets/theme.js"),
    include_str!("../assets/layout.js"),
    include_str!("../assets/overlay.js"),
    include_str!("../assets/drawing.js"),
    include_str!("../assets/diagram.js"),
    include_str!("../assets/overview.js"),
    include_str!("../assets/panel.js"),
    include_str!("../assets/details.js"),
    include_str!("../assets/player.js"),
    include_str!("../assets/controls.js"),
    include_str!("../assets/main.js"),
];
/// How hard to compress, of 10. Higher levels take several times as long for a few per cent.
const LEVEL: u8 = 6;

/// What a page says about the run as a whole.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Head {
    /// The command that repeats the run.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// The number of nodes that there can be.
    pub nodes: u16,
    /// The capacity of a node's window, in slots.
    pub window: usize,
    /// The verdict as a word: `done`, `violated` or `stalled`.
    pub outcome: String,
    /// Why it is not `done`.
    pub reason: Option<String>,
    /// The summary of the run, as the log ends with it.
    pub summary: String,
}

/// The first line of the data.
#[derive(Serialize)]
struct FirstLine<'a> {
    #[serde(flatten)]
    head: &'a Head,
    /// Whether the run went on after the last fact.
    cut: bool,
    rules: Vec<Rule>,
}

impl Recorder {
    /// Returns the page.
    pub fn page(&self, head: &Head) -> String {
        let mut data = Vec::new();
        let first = FirstLine {
            head,
            cut: self.is_cut(),
            rules: rules(),
        };
        if serde_json::to_writer(&mut data, &first).is_ok() {
            data.push(b'\n');
        }
        data.extend_from_slice(self.lines());
        let packed = base64(&compress_to_vec(&data, LEVEL));
        let parts = [
            ("<!-- style -->", STYLE),
            ("<!-- data -->", &packed),
            ("<!-- script -->", &script()),
        ];
        let mut page = String::with_capacity(packed.len() + (256 << 10));
        let mut rest = TEMPLATE;
        for (mark, part) in parts {
            let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
            page.push_str(before);
            page.push_str(part);
            rest = after;
        }
        page.push_str(rest);
        page
    }
}

/// Returns all modules as one script: without their imports, which take a line each, and without the word `export`.
fn script() -> String {
    let mut script = String::new();
    let lines = MODULES.iter().flat_map(|module| module.lines());
    for line in lines.filter(|line| !line.starts_with("import ")) {
        script.push_str(line.strip_prefix("export ").unwrap_or(line));
        script.push('\n');
    }
    script
}

/// Returns bytes as text, six bits a letter, as browsers read it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let whole = chunk.iter().chain(iter::repeat(&0)).take(3);
        let bits = whole.fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for index in 0..4 {
            let letter = usize::try_from(bits >> (18 - 6 * index) & 63).unwrap_or(0);
            // Three bytes are four letters, two are three, and one is two.
            let letter = LETTERS.get(letter).filter(|_| index <= chunk.len());
            text.push(char::from(letter.copied().unwrap_or(b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_bytes_is_that_of_the_standard() {
        // The test vectors of RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_page_is_one_file_without_links_to_others() {
        let page = Recorder::new().page(&Head::default());
        for part in [
            "<!-- style",
            "<!-- script",
            "<!-- data",
            "src=",
            "@import",
            "import {",
        ] {
            assert!(!page.contains(part), "{part}");
        }
        // The end of a script within a string would be its end in the page.
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn modules_have_at_most_four_hundred_lines_and_an_opening_comment() {
        for module in MODULES {
            let first = module.lines().next().unwrap();
            assert!(module.lines().count() <= 400, "{first}");
            assert!(first.starts_with("// "), "{first}");
        }
    }

    #[test]
    fn no_two_modules_use_one_name() {
        let mut names = Vec::new();
        for line in MODULES.iter().flat_map(|module| module.lines()) {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let line = line.strip_prefix("async ").unwrap_or(line);
            for word in ["function ", "const ", "let ", "class "] {
                if let Some(rest) = line.strip_prefix(word) {
                    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
                    names.push(&rest[..end.unwrap_or(rest.len())]);
                }
            }
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
