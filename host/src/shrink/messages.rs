//! Reduction of the fates of messages, piece by piece, after they were recorded.
//!
//! By now the cluster, its clients and its planned faults are as small as seeds could make them.
//! What is left is one schedule of messages, in which nearly every delay is a draw that does not
//! matter. Taking those back leaves the few messages that are late, lost or early for a reason.

use super::{Liveness, Shrinking, piecewise};
use crate::case::{Case, LinkMessage, Script, ScriptedFate, record_here};
use synod::simulation::Weather;

impl Shrinking<'_> {
    /// Records the fate of each message, and removes what the failure does not need. It repeats all
    /// reductions until none of them helps, because one often makes another possible.
    pub(super) fn messages(&mut self) {
        if self.best.script.is_none() && !self.write_down() {
            return;
        }
        loop {
            let before = self.size;
            self.take_back_choices();
            self.take_back_faults();
            self.ask_less();
            // A cluster that loses all its messages stalls legitimately.
            if self.liveness == Liveness::Unharmed {
                self.lose();
            }
            if self.size == before || self.is_spent() {
                return;
            }
        }
    }

    /// Replaces random fates by a script. From then on, the size is that of the scripted run.
    /// Returns false if the scripted run does not fail in the same way, which would be a mistake of
    /// the recording.
    fn write_down(&mut self) -> bool {
        let Ok((mut case, finished)) = record_here(&self.best) else {
            return false;
        };
        // The script contains the effects of the weather.
        case.trial.weather = Weather::CALM;
        if let Some(script) = &mut case.script {
            let usual = script.usual();
            // A message with the usual fate needs no line.
            script.choices.retain(|_, choice| *choice != usual);
            self.size.choices = script.choices.len();
        }
        self.best = case;
        finished.failure() == Some(self.failure)
    }

    /// Returns the best run with another script; `None` if it has none.
    fn with_script(&self, change: impl FnOnce(&mut Script)) -> Option<Case> {
        let mut case = self.best.clone();
        change(case.script.as_mut()?);
        Some(case)
    }

    /// Gives messages the usual fate: all at once, then all that are not lost, then piece by piece.
    fn take_back_choices(&mut self) {
        let passages: Vec<LinkMessage> = match &self.best.script {
            Some(script) => script.choices.keys().copied().collect(),
            None => return,
        };
        if let Some(case) = self.with_script(|script| {
            script.choices.retain(|_, choice| choice.delay.is_none());
        }) {
            self.offer(case);
        }
        piecewise(&passages, |piece| {
            !self.is_spent()
                && self
                    .with_script(|script| {
                        for passage in piece {
                            script.choices.remove(passage);
                        }
                    })
                    .is_some_and(|case| self.offer(case))
        });
    }

    /// Removes planned faults. The last one comes first, because late faults matter least.
    fn take_back_faults(&mut self) {
        for index in (0..self.best.trial.plan.len()).rev() {
            let mut case = self.best.clone();
            case.trial.plan.remove(index);
            self.offer(case);
        }
    }

    /// Reduces the requests of each client, and the number of clients.
    fn ask_less(&mut self) {
        let less: [fn(&mut Case); 2] = [
            // Neither falls below 1, which the loop below checks before.
            |case| case.trial.requests -= 1,
            |case| case.trial.scenario.clients -= 1,
        ];
        for make in less {
            loop {
                let mut case = self.best.clone();
                if case.trial.requests == 1 || case.trial.scenario.clients == 1 {
                    break;
                }
                make(&mut case);
                if !self.offer(case) {
                    break;
                }
            }
        }
    }

    /// Loses messages that do not matter, which shortens the explanation by them and their
    /// consequences. Only messages that arrive in the best run are tried, as the others are lost
    /// already.
    fn lose(&mut self) {
        let Ok((case, _)) = record_here(&self.best) else {
            return;
        };
        let arrived = case.script.into_iter().flat_map(|script| script.choices);
        let arrived = arrived.filter(|(_, choice)| choice.delay.is_some());
        let passages: Vec<LinkMessage> = arrived.map(|(passage, _)| passage).collect();
        let lost = ScriptedFate {
            delay: None,
            again: None,
        };
        piecewise(&passages, |piece| {
            !self.is_spent()
                && self
                    .with_script(|script| {
                        script
                            .choices
                            .extend(piece.iter().map(|passage| (*passage, lost)));
                    })
                    .is_some_and(|case| self.offer(case))
        });
    }
}
