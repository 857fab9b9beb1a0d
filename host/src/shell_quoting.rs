//! Shell quoting of commands that are printed for people to paste.

use std::ffi::OsStr;
use std::sync::OnceLock;

/// Name of the program if it was not called by another one.
const NAME: &str = "synod";

/// Name under which the program was called, quoted for a shell. Printed commands begin with it, so
/// that they work from where the program was called.
static PROGRAM: OnceLock<String> = OnceLock::new();

/// Stores the first word of the command line: a name found in the `PATH`, or a path. Only the first call has an effect.
pub(crate) fn set_program(word: &OsStr) {
    if !word.is_empty() {
        let _ = PROGRAM.set(quoted(word));
    }
}

/// Returns the word that calls the program again, quoted for a shell.
pub(crate) fn program() -> &'static str {
    PROGRAM.get().map_or(NAME, String::as_str)
}

/// Replaces the word `synod` in the commands of a text by the word that calls the program.
pub(crate) fn with_program(text: &str) -> String {
    let call = program();
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split("synod ").enumerate() {
        if index > 0 {
            // A longer word or a path that only ends in the name stays as it is.
            let goes_on = |char: char| char.is_alphanumeric() || "/.-_".contains(char);
            let is_call = !out.ends_with(goes_on);
            out.push_str(if is_call { call } else { NAME });
            out.push(' ');
        }
        out.push_str(part);
    }
    out
}

/// Quotes a word for a POSIX shell.
pub(crate) fn quoted(word: &OsStr) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+:@%,".contains(char);
    if let Some(text) = word.to_str().filter(|text| !text.is_empty())
        && text.chars().all(is_plain)
    {
        return text.to_owned();
    }
    let mut quoted = Quoted::default();
    for chunk in word.as_encoded_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\'' => quoted.bare("\\'"),
                '\n' => quoted.text(char),
                // A terminal would interpret a control character.
                _ if char.is_control() => quoted.bytes(char.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => quoted.text(char),
            }
        }
        quoted.bytes(chunk.invalid());
    }
    quoted.finish()
}

/// A word that is being quoted.
///
/// A single quotation mark cannot be quoted within single quotation marks, so that quoted and bare
/// parts take turns.
#[derive(Default)]
struct Quoted {
    /// The word so far.
    word: String,
    /// Whether it ends inside of quotation marks.
    is_open: bool,
}

impl Quoted {
    /// Appends a character inside of quotation marks.
    fn text(&mut self, char: char) {
        if !self.is_open {
            self.word.push('\'');
            self.is_open = true;
        }
        self.word.push(char);
    }

    /// Appends text outside of quotation marks.
    fn bare(&mut self, text: &str) {
        if self.is_open {
            self.word.push('\'');
            self.is_open = false;
        }
        self.word.push_str(text);
    }

    /// Appends bytes that are not printable, as escapes.
    fn bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bare("\"$(printf '");
        for byte in bytes {
            self.bare(&format!("\\{byte:03o}"));
        }
        self.bare("')\"");
    }

    /// Returns the word. An empty one is quoted, as it would otherwise vanish.
    fn finish(mut self) -> String {
        if self.word.is_empty() {
            self.word.push_str("''");
        }
        self.bare("");
        self.word
    }
}

/// Appends an option with its value. A value that looks like an option is joined to it with `=`.
pub(crate) fn push_option(line: &mut String, name: &str, value: &OsStr) {
    line.push(' ');
    line.push_str(name);
    line.push(if is_like_an_option(value) { '=' } else { ' ' });
    line.push_str(&quoted(value));
}

/// Appends the last argument of a command so that it is not read as an option.
pub(crate) fn push_operand(line: &mut String, value: &OsStr) {
    line.push_str(if is_like_an_option(value) {
        " -- "
    } else {
        " "
    });
    line.push_str(&quoted(value));
}

/// True if a value would be read as an option. A single dash stands for the standard input.
fn is_like_an_option(value: &OsStr) -> bool {
    let bytes = value.as_encoded_bytes();
    bytes.len() > 1 && bytes.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_special_characters_are_quoted() {
        for (word, quotes) in [
            ("cluster", "cluster"),
            ("a/b-1_2.toml", "a/b-1_2.toml"),
            ("", "''"),
            ("my dir", "'my dir'"),
            ("it's", "'it'\\''s'"),
            ("'", "\\'"),
            ("a=b", "'a=b'"),
            ("~", "'~'"),
            ("$HOME `x` \"y\" \\ *", "'$HOME `x` \"y\" \\ *'"),
            ("a\nb", "'a\nb'"),
            ("a\u{1b}b", "'a'\"$(printf '\\033')\"'b'"),
        ] {
            assert_eq!(quoted(word.as_ref()), quotes);
        }
    }

    #[test]
    fn values_that_look_like_options_are_joined_to_their_option() {
        let mut line = "synod".to_owned();
        push_option(&mut line, "--data", "-x".as_ref());
        push_option(&mut line, "--scenario", "-".as_ref());
        push_operand(&mut line, "--help".as_ref());
        assert_eq!(line, "synod --data=-x --scenario - -- --help");
    }

    #[test]
    fn texts_contain_the_name_under_which_the_program_was_called() {
        assert_eq!(
            with_program("see 'synod --help', or mysynod 6"),
            format!("see '{} --help', or mysynod 6", program())
        );
    }
}
