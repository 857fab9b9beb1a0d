//! A cluster of one node that counts its starts.

use crate::FileLog;
use core::error::Error;
use std::path::Path;
use synod::storage::{Journal, Opened};
use synod::{
    Config, Instant, MalformedPage, Node, NodeId, Outbox, Outcome, Reader, RequestNumber, Sink,
    StateMachine, Tracer, Writer,
};

/// A state machine that counts up and answers the count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counter(u64);

impl StateMachine for Counter {
    type Command = u8;
    type Output = u64;

    fn apply(&mut self, step: &u8) -> u64 {
        self.0 = self.0.wrapping_add(u64::from(*step));
        self.0
    }

    fn snapshot_pages(&self) -> u32 {
        1
    }

    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put_u64(self.0);
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.0 = reader.u64().ok_or(MalformedPage)?;
        Ok(())
    }
}

/// The greatest number of entries in a message.
pub const PAGE: usize = 2;
type Member = Node<Counter, 8, 2, PAGE>;
/// Ample for four checkpoints of such a small node, in bytes.
const CAPACITY: usize = 1 << 16;

/// Starts a node on a file, which is created if it does not exist, increments the counter, stops, and returns the
/// count.
///
/// # Errors
///
/// Returns an error if the file cannot be used. It is left as it is then.
pub fn count(path: &Path, tracer: &mut impl Tracer<Counter, PAGE>) -> Result<u64, Box<dyn Error>> {
    let storage = if path.try_exists()? {
        FileLog::open(path, CAPACITY)?
    } else {
        FileLog::create(path, CAPACITY)?
    };
    // A cluster of one node waits for no messages, so no clock is needed: time advances to each deadline of the node.
    let mut now = Instant::ZERO;
    let opened = Journal::open::<Counter, 8, 2>(storage, Config::new(NodeId(0), 1))
        .map_err(|error| format!("the file is not used: {error}"))?;
    let (mut journal, mut node): (_, Member) = match opened {
        Opened::Intact(intact) => intact.start(6, now),
        // A file without records was created just now, or the process was killed right after: no other node depends
        // on it yet.
        Opened::Empty(empty) => empty.provision(6, now),
        Opened::Damaged(damaged) => {
            return Err(format!("the file is damaged: {}", damaged.damage()).into());
        }
    }
    .map_err(|error| format!("the node does not start: {error}"))?;

    let mut outbox = Outbox::<Counter, PAGE, { Member::OUTBOX_MIN }>::new();
    let mut asked = false;
    loop {
        if node.leading().is_some() && !asked {
            // Each start is a new client.
            node.register(now, u64::from(journal.incarnation()), &mut outbox, tracer)?;
            asked = true;
        } else if outbox.is_empty() {
            now = node.next_deadline().ok_or("the node has halted")?;
            node.handle_timeout(now, &mut outbox, tracer);
        }
        journal.write(now, &mut node, &outbox.writes)?;
        journal.sync()?;
        let reply = outbox.replies.first().map(|reply| reply.outcome);
        outbox.clear();
        match reply {
            Some(Outcome::Registered { client }) => {
                node.request(now, client, RequestNumber(1), 1, &mut outbox, tracer)?;
            }
            // Replies are read only when the writes before them are durable.
            Some(Outcome::Applied { output, .. }) => return Ok(output),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_increments_the_count() {
        let name = format!("synod-counter-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        for expected in 1..=30 {
            assert_eq!(count(&path, &mut ()).unwrap(), expected);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
