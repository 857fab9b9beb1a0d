//! Output of the interactive cluster, with a colour for each board and without torn lines.

use anstyle::{Ansi256Color, Color, Style};
use std::io::{self, IsTerminal, Write};
use std::{env, fmt};

/// A colour for each kind of board, of medium luminance: legible on black and on white.
const COLOURS: [u8; 3] = [28, 27, 163];

/// When to show colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal, unless the environment has `NO_COLOR`; or where it has `CLICOLOR_FORCE`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Standard output, which may be closed.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    has_colours: bool,
}

impl Screen {
    /// Decides once whether to show colours.
    pub fn new(colour: Colour) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_forced = env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let has_colours = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !is_set("NO_COLOR") && (is_forced || io::stdout().is_terminal()),
        };
        Self { has_colours }
    }

    /// Prints a log line of a board.
    pub fn board(self, index: usize, kind: &str, text: impl fmt::Display) {
        let style = match COLOURS.get(index % COLOURS.len()) {
            Some(number) if self.has_colours => {
                Style::new().fg_color(Some(Color::Ansi256(Ansi256Color(*number))))
            }
            _ => Style::new(),
        };
        self.line(format_args!(
            "{style}NODE_{index} {kind:<11}{style:#} | {text}"
        ));
    }

    /// Prints the result of a command.
    pub fn say(self, text: impl fmt::Display) {
        let style = if self.has_colours {
            Style::new().bold()
        } else {
            Style::new()
        };
        self.line(format_args!("{style}{text}{style:#}"));
    }

    /// Prints a line. It is discarded if the output is closed.
    pub fn line(self, text: impl fmt::Display) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
