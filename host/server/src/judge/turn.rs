//! The checks of one turn, in the order in which a simulation makes them.

use super::finding::Broken;
use super::source::Source;
use super::told::Decided;
use super::{Broke, Group, Said, Trial};
use crate::record::Fact;
use core::ops::RangeInclusive;
use std::io::BufRead;
use synod::simulation::{Known, NodeProgress, Restored, Violation};
use synod::{Ballot, Epoch, Message, NodeId, NodeSet, Proposal, Slot, Write};

/// A slot that a node has applied.
#[derive(Clone, Copy)]
struct Applied {
    slot: Slot,
    proposal: Proposal<u64>,
    chain: u64,
    again: bool,
}

/// A slot that was applied before its votes were told.
pub(super) struct Owed {
    node: NodeId,
    place: (usize, u64),
    slot: Slot,
    proposal: Proposal<u64>,
    epochs: RangeInclusive<u16>,
}

/// The slots that a turn has applied, with their lines and the epochs that they may belong to: one, unless the node has
/// installed a snapshot in the same turn, whose own epoch is not told.
fn applied_in<R>(
    source: &Source<R>,
    facts: &[(u64, Fact)],
    progress: &NodeProgress,
) -> impl Iterator<Item = (u64, Applied, RangeInclusive<u16>)> {
    let (mut first, mut last) = (source.epoch.0, source.epoch.0);
    let (mut before, end) = (source.applied, progress.epoch.0);
    facts.iter().filter_map(move |(line, fact)| {
        let Fact::Applied {
            slot,
            proposal,
            chain,
            again,
        } = *fact
        else {
            return None;
        };
        if before.next() != Some(slot) {
            last = end;
        }
        before = slot;
        let applied = Applied {
            slot,
            proposal,
            chain,
            again,
        };
        let epochs = first..=last;
        if let Proposal::Reconfigure(change) = proposal
            && !again
            && epochs.contains(&change.epoch.0)
        {
            first = change.epoch.0.saturating_add(1);
            last = first;
        }
        Some((*line, applied, epochs))
    })
}

impl<R: BufRead, const W: usize> Trial<R, W> {
    /// Begins with what was read: what a turn has written, and what it promises, hold whatever other nodes have done.
    pub(super) fn begin(&mut self, index: usize, group: Group) -> Result<(), Broke> {
        let Some(source) = self.sources.get_mut(index) else {
            return Ok(());
        };
        let line = source.line;
        let of = |violation| (Broken::Rule(violation), (index, line));
        match group {
            Group::Start(started, held, progress) => {
                source.starts(started.votes, &progress, u64::try_from(W).unwrap_or(0));
                let restored = Restored {
                    node: started.node,
                    is_voter: started.votes,
                    progress,
                    founders: started.founders,
                };
                self.restore(&restored, &held).map_err(of)
            }
            Group::Turn(facts, progress) => {
                self.write(index, &facts, &progress)?;
                if let Some(source) = self.sources.get_mut(index) {
                    source.group = Some((facts, progress));
                }
                Ok(())
            }
            Group::Stop => {
                source.ends(true);
                Ok(())
            }
            Group::Cut => {
                source.cut += 1;
                source.ends(false);
                Ok(())
            }
            Group::Incomplete => {
                source.incomplete += 1;
                source.ends(false);
                Ok(())
            }
        }
    }

    /// A node comes back with what it must not have forgotten.
    fn restore(&mut self, restored: &Restored, held: &[(u64, Fact)]) -> Result<(), Violation> {
        // No node holds votes beyond its window (rule A5); what a record has there is not its own.
        let low_water = restored.progress.low_water;
        let window = u64::try_from(W).unwrap_or(0);
        let votes = held.iter().filter_map(|(_, fact)| match fact {
            Fact::Held(vote) if vote.slot > low_water => {
                (vote.slot.distance(low_water) <= window).then_some(vote)
            }
            _ => None,
        });
        let told = votes.clone().map(|vote| (vote.slot, vote.ballot));
        self.facts.recovered(restored, told)?;
        if restored.is_voter {
            for vote in votes {
                self.ballots.insert(vote.ballot.bits());
                self.facts.survived(restored.node, vote)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        index: usize,
        facts: &[(u64, Fact)],
        progress: &NodeProgress,
    ) -> Result<(), Broke> {
        let Some(source) = self.sources.get_mut(index) else {
            return Ok(());
        };
        let (node, founders, last) = (source.node, source.founders, source.line);
        source.votes &= !facts.iter().any(|(_, fact)| *fact == Fact::Fenced);
        let votes = source.votes;
        let at = |line| move |violation| (Broken::Rule(violation), (index, line));
        if progress.members != NodeSet::EMPTY {
            self.epochs.insert(progress.epoch.0);
            let entered = self.facts.enters(node, founders, progress);
            entered.map_err(at(last))?;
        }
        let advanced = self.facts.advances(node, progress, votes);
        advanced.map_err(at(last))?;
        for (line, fact) in facts {
            let judged = match fact {
                Fact::Promised(ballot) => self.facts.wrote(node, &Write::Promised(*ballot)),
                Fact::Voted(vote) => {
                    self.ballots.insert(vote.ballot.bits());
                    self.facts.wrote(node, &Write::Accepted(*vote))
                }
                Fact::Said(said) if is_promise(said) => self.facts.said(node, said).map(|()| false),
                _ => Ok(false),
            };
            judged.map_err(at(*line))?;
        }
        if votes {
            let held = self.facts.holds(node, progress.promised);
            held.map_err(at(last))?;
        }
        Ok(())
    }

    /// Whether everything that a turn has applied is known to be chosen; or, if it is excused, may have been.
    pub(super) fn is_ready(&self, index: usize, excused: bool) -> bool {
        let Some(source) = self.sources.get(index) else {
            return false;
        };
        let Some((facts, progress)) = &source.group else {
            return false;
        };
        let is_told = |slot| self.told.get(slot).is_some() || self.told.is_old(slot);
        let mut last = source.applied;
        for (_, applied, epochs) in applied_in(source, facts, progress) {
            let slot = applied.slot;
            last = last.max(slot);
            let is_known = is_told(slot) || self.facts.chosen_in(slot) != Known::Not;
            let is_excused = excused && self.may_be(slot, &epochs, &applied.proposal);
            if !(is_known || is_excused) {
                return false;
            }
        }
        // A snapshot comes from a node that was there before.
        progress.applied <= last || self.told.last() >= progress.applied || excused
    }

    /// Whether votes of which nobody tells can have chosen a value.
    fn may_be(&self, slot: Slot, epochs: &RangeInclusive<u16>, proposal: &Proposal<u64>) -> bool {
        let mut untold = NodeSet::from_bits(u64::MAX).minus(self.recorded);
        for source in &self.sources {
            if source.is_untold(slot) {
                untold.insert(source.node);
            }
        }
        let may_be = |epoch| {
            self.facts
                .may_be_chosen(slot, Epoch(epoch), proposal, untold)
        };
        epochs.clone().any(may_be)
    }

    /// Concludes a turn: what it has applied, and what it says.
    pub(super) fn conclude(&mut self, index: usize) -> Result<(), Broke> {
        let Some(source) = self.sources.get_mut(index) else {
            return Ok(());
        };
        let Some((facts, progress)) = source.group.take() else {
            return Ok(());
        };
        let (node, votes, last) = (source.node, source.votes, source.line);
        let applied: Vec<_> = applied_in(source, &facts, &progress).collect();
        for (line, applied, epochs) in applied {
            let judged = self.apply((node, index, line), applied, &epochs);
            judged.map_err(|broken| (broken, (index, line)))?;
        }
        let at = |line| move |violation| (Broken::Rule(violation), (index, line));
        let reached = self.reaches(node, progress.applied, progress.chain);
        reached.map_err(at(last))?;
        if let Some(source) = self.sources.get_mut(index) {
            source.applied = progress.applied;
            source.goes_on(&progress);
        }
        for (line, fact) in &facts {
            match fact {
                Fact::Said(said) => self.hears(node, votes, said).map_err(at(*line))?,
                // A disk that fails is no mistake of the protocol.
                Fact::Halted(cause) if cause != "storage-failed" => {
                    return Err(at(*line)(Violation::Halted { node }));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A node has applied a slot: what a quorum has chosen, and what the others have applied.
    fn apply(
        &mut self,
        (node, index, line): (NodeId, usize, u64),
        applied: Applied,
        epochs: &RangeInclusive<u16>,
    ) -> Result<(), Broken> {
        let Applied {
            slot,
            proposal,
            chain,
            again,
        } = applied;
        let disagreement = Violation::Disagreement { node, slot };
        if self.told.is_old(slot) {
            self.facts.judge(Known::Forgotten, disagreement)?;
            return Ok(());
        }
        let told = self.told.get(slot).copied();
        if let Some(told) = told {
            let same = told.chain == chain && told.proposal.is_none_or(|told| told == proposal);
            self.facts.judge(known(same), disagreement)?;
            if told.proposal.is_some() {
                return Ok(());
            }
        }
        if self.facts.chosen_in(slot) == Known::Not {
            // Others may have still to tell of their votes.
            self.owed.push(Owed {
                node,
                place: (index, line),
                slot,
                proposal,
                epochs: epochs.clone(),
            });
        } else {
            self.prove(node, slot, &proposal, epochs)?;
        }
        let decided = Decided {
            proposal: Some(proposal),
            chain,
        };
        self.told.put(slot, decided);
        match proposal {
            Proposal::Reconfigure(change) => self.facts.changes(slot, &change),
            Proposal::Request { command, .. } if !again => {
                if let Some(earlier) = self.told.takes_effect(command, slot) {
                    return Err(Broken::Twice {
                        node,
                        slot,
                        earlier,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a node has applied is what a quorum has chosen, as far as its votes are told.
    fn prove(
        &mut self,
        node: NodeId,
        slot: Slot,
        proposal: &Proposal<u64>,
        epochs: &RangeInclusive<u16>,
    ) -> Result<(), Violation> {
        let epoch = match self.facts.chosen_in(slot) {
            Known::Is(epoch) if epochs.contains(&epoch.0) => epoch,
            _ => Epoch(*epochs.end()),
        };
        let not_chosen = Violation::NotChosen { node, slot };
        match self.facts.chosen(node, slot, epoch) {
            Ok(Known::Is(chosen)) if chosen == *proposal => self.decided += 1,
            Ok(Known::Forgotten) => self.unproven += 1,
            Err(_) if self.may_be(slot, epochs, proposal) => {
                self.facts.judge(Known::Forgotten, not_chosen)?;
                self.unproven += 1;
            }
            Ok(_) | Err(_) => return Err(not_chosen),
        }
        Ok(())
    }

    /// Proves the slots that were applied before their votes were told, once every record is a window further.
    pub(super) fn settle(&mut self, lowest: Option<Slot>) -> Result<(), Broke> {
        let window = u64::try_from(W).unwrap_or(u64::MAX);
        let is_due = |owed: &mut Owed| {
            lowest.is_none_or(|lowest| lowest > owed.slot && lowest.distance(owed.slot) > window)
        };
        let due: Vec<_> = self.owed.extract_if(.., is_due).collect();
        for owed in due {
            let proven = self.prove(owed.node, owed.slot, &owed.proposal, &owed.epochs);
            proven.map_err(|violation| (Broken::Rule(violation), owed.place))?;
        }
        Ok(())
    }

    /// The digest of a node's log at the end of a turn is that of the others; of a snapshot nothing else is known.
    fn reaches(&mut self, node: NodeId, slot: Slot, chain: u64) -> Result<(), Violation> {
        if slot == Slot::ZERO || self.told.is_old(slot) {
            return Ok(());
        }
        if let Some(told) = self.told.get(slot) {
            let same = told.chain == chain;
            let violation = Violation::Disagreement { node, slot };
            return self.facts.judge(known(same), violation);
        }
        let proposal = None;
        self.told.put(slot, Decided { proposal, chain });
        Ok(())
    }

    /// A message has left.
    fn hears(&mut self, node: NodeId, votes: bool, said: &Said) -> Result<(), Violation> {
        if votes {
            self.facts.names(node, said)?;
            self.facts.belongs(node, said)?;
        } else {
            self.facts.speaks(node, said)?;
        }
        if !is_promise(said) {
            self.facts.said(node, said)?;
        }
        match said {
            Message::Accept {
                ballot,
                first,
                proposals,
                ..
            } => self.proposes(node, *ballot, *first, proposals),
            Message::Heartbeat { decided, chain, .. } => match self.told.get(*decided) {
                Some(told) => {
                    let (same, slot) = (told.chain == *chain, *decided);
                    let violation = Violation::Disagreement { node, slot };
                    self.facts.judge(known(same), violation)
                }
                None => Ok(()),
            },
            Message::Decisions {
                first, proposals, ..
            } => {
                for (slot, proposal) in numbered(*first, proposals) {
                    let told = self.told.get(slot).and_then(|told| told.proposal);
                    let is_so = told.map_or(Known::Forgotten, |told| known(told == *proposal));
                    let violation = Violation::NotChosen { node, slot };
                    self.facts.judge(is_so, violation)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn proposes(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        first: Slot,
        proposals: &[Proposal<u64>],
    ) -> Result<(), Violation> {
        for (slot, proposal) in numbered(first, proposals) {
            self.facts.proposes(node, slot, ballot, proposal)?;
        }
        Ok(())
    }
}

impl From<Violation> for Broken {
    fn from(violation: Violation) -> Self {
        Self::Rule(violation)
    }
}

fn known(is_so: bool) -> Known<()> {
    if is_so { Known::Is(()) } else { Known::Not }
}

fn is_promise(said: &Said) -> bool {
    matches!(said, Message::Promise { .. })
}

fn numbered(
    first: Slot,
    proposals: &[Proposal<u64>],
) -> impl Iterator<Item = (Slot, &Proposal<u64>)> {
    (0..).zip(proposals).map_while(move |(offset, proposal)| {
        let slot = first.checked_add(offset)?;
        Some((slot, proposal))
    })
}
