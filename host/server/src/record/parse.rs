//! The parser of records.

use super::fact::{Fact, PAGE_MAX, Recorded, Started, VERSION, command};
use core::fmt;
use core::str::{FromStr, Split};
use synod::simulation::NodeProgress;
use synod::{
    Ballot, Change, Entries, Entry, Epoch, Message, MessageKind, NodeId, NodeSet, Proposal,
    Proposals, Slot,
};

/// What a line should have had instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    what: &'static str,
    found: String,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found } = self;
        if found.is_empty() {
            write!(f, "expected {what}, and the line ends")
        } else {
            write!(f, "expected {what}, found '{found}'")
        }
    }
}

impl core::error::Error for Expected {}

/// The words of a line that are not read yet.
struct Words<'a>(core::iter::Peekable<Split<'a, char>>);

type Parsed<T> = Result<T, Expected>;

impl<'a> Words<'a> {
    fn read<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Parsed<T> {
        let word = self.0.next().unwrap_or_default();
        let expected = || Expected {
            what,
            found: word.to_owned(),
        };
        parse(word).ok_or_else(expected)
    }

    fn number<T: FromStr>(&mut self, what: &'static str) -> Parsed<T> {
        self.read(what, |word| word.parse().ok())
    }

    fn slot(&mut self) -> Parsed<Slot> {
        self.number("a slot such as 60").map(Slot::new)
    }

    fn hex(&mut self, what: &'static str) -> Parsed<u64> {
        self.read(what, hex)
    }

    fn nodes(&mut self) -> Parsed<NodeSet> {
        let bits = self.hex("a set of nodes such as 7")?;
        Ok(NodeSet::from_bits(bits))
    }

    fn chain(&mut self) -> Parsed<u64> {
        self.hex("a digest of the log in hexadecimal")
    }

    fn node(&mut self) -> Parsed<NodeId> {
        self.read("the number of a node, from 0 to 63", |word| {
            word.parse().ok().filter(|node| *node < 64).map(NodeId)
        })
    }

    fn flag(&mut self) -> Parsed<bool> {
        self.read("0 or 1", |word| match word {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        })
    }

    fn ballot(&mut self) -> Parsed<Ballot> {
        self.read("a ballot such as 0.1.2", |word| {
            let mut parts = word.split('.');
            let epoch = parts.next()?.parse().ok()?;
            let round = parts.next()?.parse::<u32>().ok()?;
            let node = parts.next()?.parse().ok()?;
            let ballot = Ballot::of(Epoch(epoch), round.into(), NodeId(node));
            parts.next().is_none().then_some(ballot)
        })
    }

    fn proposal(&mut self) -> Parsed<Proposal<u64>> {
        self.read("a value such as -, c1f or m0:7", |word| {
            if word == "-" {
                return Some(Proposal::Noop);
            }
            let rest = word.get(1..)?;
            match word.chars().next()? {
                'r' => hex(rest).map(|nonce| Proposal::Register { nonce }),
                'c' => hex(rest).map(command),
                'm' => {
                    let (epoch, members) = rest.split_once(':')?;
                    Some(Proposal::Reconfigure(Change {
                        epoch: Epoch(epoch.parse().ok()?),
                        members: NodeSet::from_bits(hex(members)?),
                    }))
                }
                _ => None,
            }
        })
    }

    fn entry(&mut self) -> Parsed<Entry<u64>> {
        Ok(Entry {
            slot: self.slot()?,
            ballot: self.ballot()?,
            proposal: self.proposal()?,
        })
    }

    fn entries(&mut self) -> Parsed<Entries<Recorded, PAGE_MAX>> {
        let mut entries = Entries::<Recorded, PAGE_MAX>::new();
        while self.0.peek().is_some() {
            let entry = self.entry()?;
            entries.push(entry).map_err(|_| too_many())?;
        }
        Ok(entries)
    }

    fn proposals(&mut self) -> Parsed<Proposals<Recorded, PAGE_MAX>> {
        let mut proposals = Proposals::<Recorded, PAGE_MAX>::new();
        while self.0.peek().is_some() {
            let proposal = self.proposal()?;
            proposals.push(proposal).map_err(|_| too_many())?;
        }
        Ok(proposals)
    }

    fn message(&mut self) -> Parsed<Message<Recorded, PAGE_MAX>> {
        let kind = self.read("the kind of a message, such as accept", |word| {
            MessageKind::ALL
                .into_iter()
                .find(|kind| kind.name() == word)
        })?;
        match kind {
            MessageKind::Promise | MessageKind::Accept | MessageKind::Decisions => {
                self.values(kind)
            }
            _ => self.marks(kind),
        }
    }

    /// Reads what a message says that is about values.
    fn values(&mut self, kind: MessageKind) -> Parsed<Message<Recorded, PAGE_MAX>> {
        Ok(match kind {
            MessageKind::Promise => Message::Promise {
                ballot: self.ballot()?,
                promised: self.ballot()?,
                from: self.slot()?,
                low_water: self.slot()?,
                last: self.flag()?,
                entries: self.entries()?,
            },
            MessageKind::Accept => Message::Accept {
                ballot: self.ballot()?,
                first: self.slot()?,
                decided: self.slot()?,
                proposals: self.proposals()?,
            },
            MessageKind::Decisions => Message::Decisions {
                first: self.slot()?,
                applied: self.slot()?,
                proposals: self.proposals()?,
            },
            other => return Err(not_recorded(other)),
        })
    }

    /// Reads what a message says of ballots and slots alone.
    fn marks(&mut self, kind: MessageKind) -> Parsed<Message<Recorded, PAGE_MAX>> {
        Ok(match kind {
            MessageKind::Probe => Message::Probe {
                ballot: self.ballot()?,
            },
            MessageKind::Confirm => Message::Confirm {
                ballot: self.ballot()?,
                round: 1,
            },
            MessageKind::Confirmed => Message::Confirmed {
                ballot: self.ballot()?,
                round: 1,
            },
            MessageKind::ProbeReply => Message::ProbeReply {
                ballot: self.ballot()?,
                granted: true,
                highest: self.ballot()?,
            },
            MessageKind::Prepare => Message::Prepare {
                ballot: self.ballot()?,
                from: self.slot()?,
            },
            MessageKind::Accepted => Message::Accepted {
                ballot: self.ballot()?,
                promised: self.ballot()?,
                first: self.slot()?,
                count: self.number("a number of slots")?,
                low_water: self.slot()?,
            },
            MessageKind::Decision => Message::Decision {
                ballot: self.ballot()?,
                decided: self.slot()?,
            },
            MessageKind::Heartbeat => Message::Heartbeat {
                ballot: self.ballot()?,
                decided: self.slot()?,
                chain: self.chain()?,
            },
            MessageKind::HeartbeatReply => Message::HeartbeatReply {
                ballot: self.ballot()?,
                applied: self.slot()?,
            },
            other => return Err(not_recorded(other)),
        })
    }

    fn started(&mut self) -> Parsed<Started> {
        self.read("version 1 of the format", |word| {
            (word.parse() == Ok(VERSION)).then_some(())
        })?;
        Ok(Started {
            cluster: self.read("the fingerprint of a cluster", |word| {
                u32::from_str_radix(word, 16).ok()
            })?,
            node: self.node()?,
            process: self.hex("the nonce of a process")?,
            founders: self.nodes()?,
            votes: self.flag()?,
        })
    }

    fn applied(&mut self) -> Parsed<Fact> {
        let (slot, proposal, chain) = (self.slot()?, self.proposal()?, self.chain()?);
        let again = self.0.peek().is_some();
        if again {
            self.read("'again' or nothing", |word| (word == "again").then_some(()))?;
        }
        Ok(Fact::Applied {
            slot,
            proposal,
            chain,
            again,
        })
    }

    fn progress(&mut self) -> Parsed<NodeProgress> {
        Ok(NodeProgress {
            promised: self.ballot()?,
            low_water: self.slot()?,
            applied: self.slot()?,
            chain: self.chain()?,
            epoch: self.number("an epoch").map(Epoch)?,
            members: self.nodes()?,
        })
    }
}

/// The error of a message of a kind that is not judged, and so not written.
fn not_recorded(kind: MessageKind) -> Expected {
    Expected {
        what: "the kind of a message that records have",
        found: kind.name().to_owned(),
    }
}

fn too_many() -> Expected {
    Expected {
        what: "at most 16 values",
        found: "more".to_owned(),
    }
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word, 16).ok()
}

/// Parses one line without its end.
///
/// # Errors
///
/// What was expected, and what is there.
///
/// ```
/// use synod_server::record::{Fact, parse};
/// assert_eq!(parse("stop"), Ok(Fact::Stop));
/// let error = parse("promised 3").unwrap_err();
/// assert_eq!(error.to_string(), "expected a ballot such as 0.1.2, found '3'");
/// ```
pub fn parse(line: &str) -> Result<Fact, Expected> {
    let mut words = Words(line.split(' ').peekable());
    let kind = words.0.next().unwrap_or_default();
    let fact = match kind {
        "start" => Fact::Start(words.started()?),
        "held" => Fact::Held(words.entry()?),
        "promised" => Fact::Promised(words.ballot()?),
        "voted" => Fact::Voted(words.entry()?),
        "said" => Fact::Said(Box::new(words.message()?)),
        "applied" => words.applied()?,
        "fenced" => Fact::Fenced,
        "halted" => Fact::Halted(words.read("a cause", |word| Some(word.to_owned()))?),
        "at" => Fact::At(words.progress()?),
        "stop" => Fact::Stop,
        "incomplete" => Fact::Incomplete(words.number("a number of facts")?),
        _ => {
            return Err(Expected {
                what: "a fact such as 'voted', 'said' or 'at'",
                found: kind.to_owned(),
            });
        }
    };
    match words.0.next() {
        None => Ok(fact),
        Some(found) => Err(Expected {
            what: "the end of the line",
            found: found.to_owned(),
        }),
    }
}
