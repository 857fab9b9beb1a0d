//! Colours of the roles: ten that differ from each other and are readable on black and on white.
//!
//! They are from the 256-colour cube, which themes of terminals do not change, and of medium luminance: each has a
//! contrast of at least 3.5 to both black and white.

use anstyle::{Ansi256Color, Color, Effects, Style};
use synod::{Event, Role, StateMachine};

/// Ends a style.
pub(crate) const RESET: &[u8] = b"\x1b[0m";

/// Escape sequences that start each style, computed once, as each line of a log has two.
#[derive(Debug)]
pub(crate) struct Palette {
    /// Styles of the names of roles, in bold; by role.
    names: [Vec<u8>; Role::ALL.len()],
    /// Styles of the words for events of roles; by role.
    verbs: [Vec<u8>; Role::ALL.len()],
    /// Style of events that change the cluster.
    important: Vec<u8>,
    /// Style of messages without effect.
    quiet: Vec<u8>,
}

impl Palette {
    /// Renders all styles.
    pub(crate) fn new() -> Self {
        Self {
            names: Role::ALL.map(|role| start(style(role))),
            verbs: Role::ALL.map(|role| start(style(role).effects(Effects::new()))),
            important: start(Style::new().bold()),
            quiet: start(Style::new().dimmed()),
        }
    }

    /// Returns the sequence that starts the name of a role.
    #[inline]
    pub(crate) fn name(&self, role: Role) -> &[u8] {
        self.names.get(role.index()).map_or(&[][..], Vec::as_slice)
    }

    /// Returns the sequence that starts the word for an event: the role's colour for messages, bold for events that
    /// change the cluster, dim for messages without effect.
    #[inline]
    pub(crate) fn verb<M: StateMachine, const PAGE: usize>(
        &self,
        role: Role,
        event: &Event<'_, M, PAGE>,
    ) -> &[u8] {
        match event {
            Event::Lost { .. }
            | Event::Ignored { .. }
            | Event::Duplicated { .. }
            | Event::Delayed { .. } => &self.quiet,
            Event::Adopted { .. }
            | Event::Preempted { .. }
            | Event::SteppedDown { .. }
            | Event::Suspected { .. }
            | Event::Chosen { .. }
            | Event::Installed { .. }
            | Event::Full { .. }
            | Event::Halted { .. }
            | Event::Exhausted
            | Event::Fenced
            | Event::Killed
            | Event::Restarted
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. } => &self.important,
            _ => self.verbs.get(role.index()).map_or(&[][..], Vec::as_slice),
        }
    }
}

/// Returns the style of a role's name. The numbers are those of the palette of 256 colours.
pub(crate) fn style(role: Role) -> Style {
    let number = match role {
        Role::Acceptor => 27,
        Role::Replica => 28,
        Role::Leader => 160,
        Role::Scout => 166,
        Role::Commander => 163,
        Role::Requester => 30,
        Role::Seed => 100,
        Role::Initializer => 99,
        Role::Node => return Style::new().bold(),
        Role::Network => 243,
    };
    Style::new()
        .bold()
        .fg_color(Some(Color::Ansi256(Ansi256Color(number))))
}

/// Returns the sequence that starts a style.
fn start(style: Style) -> Vec<u8> {
    style.render().to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_roles_have_different_colours() {
        for (index, role) in Role::ALL.iter().enumerate() {
            for other in Role::ALL.iter().skip(index + 1) {
                assert_ne!(style(*role), style(*other), "{role:?} and {other:?}");
            }
        }
    }
}
