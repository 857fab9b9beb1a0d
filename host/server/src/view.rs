//! What a client can see of its server, beside the keyspace.

use crate::capacity::LANES;
use crate::command::MembersCommand;
use crate::metrics::{Facts, Outside, Section, write_info};
use crate::net::Peers;
use crate::reply::Reply;
use crate::service::{Asked, Now, Service, Token, Work};
use crate::session::{REDIS_VERSION, Surroundings};
use core::cell::OnceCell;
use core::fmt::Write;
use synod::storage::Storage;
use synod::{Change, NodeId, NodeSet};

/// The server as its clients see it, for the time of one turn.
pub(crate) struct View<'a, S> {
    pub(crate) service: &'a Service<S>,
    pub(crate) peers: &'a Peers,
    pub(crate) outside: Outside,
    pub(crate) now: Now,
    /// The random number of this process, which stands for it in `INFO`.
    pub(crate) process: u64,
    pub(crate) port: u16,
    /// The password of clients.
    pub(crate) password: Option<&'a [u8]>,
    /// What clients have asked for.
    pub(crate) taken: Taken,
    /// The text of `INFO`, once somebody has asked for it: it costs more than any other answer.
    pub(crate) info: OnceCell<String>,
}

/// What clients have asked for in a turn.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) work: Vec<Work>,
    pub(crate) asked: Vec<(Token, Asked)>,
    pub(crate) changes: Vec<(Token, Change)>,
}

impl<S: Storage> Surroundings for View<'_, S> {
    fn unix(&self) -> u64 {
        self.now.unix
    }

    fn info(&self) -> &str {
        self.info.get_or_init(|| {
            let mut text = String::new();
            // A string takes everything.
            let _ = self.write_info(&mut text);
            text
        })
    }

    fn status(&self) -> Reply {
        let status = self.service.status();
        let node = self.service.node();
        let reached: NodeSet = self.peers.reached().collect();
        let entries = [
            ("node", node.id().to_string()),
            ("state", status.state.to_string()),
            (
                "leader",
                status
                    .leader
                    .map_or_else(|| "unknown".to_owned(), |leader| leader.to_string()),
            ),
            ("epoch", node.epoch().0.to_string()),
            ("members", names(node.members())),
            ("reached", names(reached)),
            ("applied", status.applied.number().to_string()),
            ("chain", format!("{:016x}", status.chain)),
            ("durable", self.service.is_durable().to_string()),
            ("may_leave", node.may_leave().to_string()),
            ("keys", node.machine().keys().to_string()),
            ("clients", self.outside.clients.to_string()),
            ("waiting", self.service.waiting().to_string()),
        ];
        let bulk = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
        let entries = entries.map(|(key, value)| (bulk(key), bulk(&value)));
        Reply::Map(entries.into())
    }

    fn members(&self) -> Reply {
        let members = self.service.node().members();
        Reply::Array(
            members
                .iter()
                .map(|node| Reply::Integer(i64::from(node.0)))
                .collect(),
        )
    }

    fn password(&self) -> Option<&[u8]> {
        self.password
    }

    fn take_work(&mut self, work: Work) {
        self.taken.work.push(work);
    }

    fn take_asked(&mut self, token: Token, asked: Asked) {
        self.taken.asked.push((token, asked));
    }

    fn change_members(&mut self, token: Token, asked: MembersCommand) {
        let node = self.service.node();
        let mut members = node.members();
        match asked {
            MembersCommand::List => {}
            MembersCommand::Add(new) => {
                members.insert(new);
            }
            MembersCommand::Remove(old) => members = members.without(old),
            MembersCommand::Replace { old, new } => {
                members = members.without(old);
                members.insert(new);
            }
        }
        let epoch = node.epoch();
        self.taken.changes.push((token, Change { epoch, members }));
    }
}

impl<S: Storage> View<'_, S> {
    fn write_info(&self, text: &mut String) -> core::fmt::Result {
        let node = self.service.node();
        let status = self.service.status();
        let machine = node.machine();
        let facts = Facts::new(self.service, self.peers, self.outside);
        write!(
            text,
            "# Server\r\nredis_version:{REDIS_VERSION}\r\nsynod_version:{}\r\nredis_mode:standalone\r\nrun_id:{:016x}\r\ntcp_port:{}\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
            self.process,
            self.port,
        )?;
        text.push_str("# Clients\r\n");
        write_info(text, Section::Clients, &facts);
        text.push_str("\r\n# Memory\r\n");
        write_info(text, Section::Memory, &facts);
        write!(
            text,
            "maxmemory_policy:noeviction\r\n\r\n# Synod\r\nnode:{}\r\nstate:{}\r\nleader:{}\r\nmembers:{}\r\n\
             chain:{:016x}\r\nreads:{}\r\nlanes:{LANES}\r\n",
            node.id(),
            status.state,
            status
                .leader
                .map_or_else(|| "unknown".to_owned(), |leader| leader.to_string()),
            names(node.members()),
            status.chain,
            if self.service.reads_are_stale() {
                "stale"
            } else {
                "linearizable"
            },
        )?;
        write_info(text, Section::Synod, &facts);
        write!(
            text,
            "\r\n# Keyspace\r\ndb0:keys={},expires={},avg_ttl=0\r\n",
            machine.keys(),
            machine.expiring(),
        )
    }
}

/// Returns the names of nodes, separated by commas.
fn names(nodes: NodeSet) -> String {
    let names: Vec<_> = nodes.iter().map(|node: NodeId| node.to_string()).collect();
    names.join(",")
}
