//! The session of a client: what its connection has said so far, and what it waits for.
//!
//! Commands are answered in their order. What follows each other on one connection and is of one kind goes to the service
//! together, so that a client which sends many commands at once does not wait for each of them.

mod group;
#[cfg(test)]
mod tests;

use crate::batch::Batch;
use crate::command::{
    Access, ClientCommand, ClusterCommand, Command, CommandError, Credentials, Hello,
    MembersCommand, SessionCommand, Step, Transaction,
};
use crate::reply::Reply;
use crate::resp::request::{Parsed, Parser, REQUEST_MAX};
use crate::resp::{Protocol, encode};
use crate::service::{Answer, Asked, Failure, Token, Work};
use group::{Group, Shape, What};

/// What a session sees of the server, and asks of it.
pub trait Surroundings {
    /// The time of the wall clock, in milliseconds since 1970.
    fn unix(&self) -> u64;
    /// The password of clients; `None` if there is none.
    fn password(&self) -> Option<&[u8]>;
    /// The text of `INFO`.
    fn info(&self) -> &str;
    /// The reply to `SYNOD.STATUS`.
    fn status(&self) -> Reply;
    /// The reply to `SYNOD.MEMBERS LIST`.
    fn members(&self) -> Reply;
    /// Takes work, which is answered later.
    fn take_work(&mut self, work: Work);
    /// Takes a request in a session of the client's own, or the opening of one, which is answered later.
    fn take_asked(&mut self, token: Token, asked: Asked);
    /// Asks for a change of the members, which is answered later.
    fn change_members(&mut self, token: Token, change: MembersCommand);
}

/// The session of a client.
#[derive(Debug)]
pub struct Session {
    token: Token,
    parser: Parser,
    transaction: Transaction,
    protocol: Protocol,
    is_authenticated: bool,
    name: Vec<u8>,
    /// What was sent to the service and is not answered yet.
    waiting: Option<Group>,
    /// What comes after that.
    next: Option<Group>,
    /// True if no more is read: the client has said good-bye, or something that cannot be understood.
    is_over: bool,
}

impl Session {
    /// The most bytes that are kept of what a client has sent.
    pub const INPUT_MAX: usize = REQUEST_MAX + 1024;

    /// Creates the session of a connection, at its beginning.
    pub fn new(number: u64) -> Self {
        Self {
            token: Token(number),
            parser: Parser::default(),
            transaction: Transaction::default(),
            protocol: Protocol::default(),
            is_authenticated: false,
            name: Vec::new(),
            waiting: None,
            next: None,
            is_over: false,
        }
    }

    /// True if the client is owed an answer.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some() || self.next.is_some()
    }

    /// True if the connection is to be closed once all replies were sent.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes the requests in `input`, as far as they can be taken now. Appends the replies that are known to `output`.
    /// Returns how many bytes were taken.
    pub fn advance(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        surroundings: &mut impl Surroundings,
    ) -> usize {
        let mut rest = input;
        while self.waiting.is_none() && !self.is_over {
            let mut parser = core::mem::take(&mut self.parser);
            let (goes_on, consumed) = self.request(&mut parser, rest, output, surroundings);
            self.parser = parser;
            rest = rest.get(consumed..).unwrap_or_default();
            if !goes_on {
                break;
            }
        }
        if self.waiting.is_none() {
            self.dispatch(surroundings);
        }
        input.len() - rest.len()
    }

    /// Takes one request. Returns whether another one may follow, and how many bytes were taken.
    fn request(
        &mut self,
        parser: &mut Parser,
        input: &[u8],
        output: &mut Vec<u8>,
        surroundings: &mut impl Surroundings,
    ) -> (bool, usize) {
        match parser.parse(input) {
            Ok(Parsed::Incomplete { consumed }) => (false, consumed),
            Ok(Parsed::Oversized { limit, consumed }) => {
                self.transaction.doom();
                self.reply(limit.reply(), output);
                (true, consumed)
            }
            Ok(Parsed::Request { args, consumed }) => {
                let needs = surroundings.password().is_some() && !self.is_authenticated;
                let access = if needs { Access::Locked } else { Access::Open };
                let step = self.transaction.handle(&args, access);
                self.step(step, output, surroundings);
                (true, consumed)
            }
            Err(error) => {
                self.reply(error.reply(), output);
                self.is_over = true;
                (false, input.len())
            }
        }
    }

    fn step(&mut self, step: Step<'_>, output: &mut Vec<u8>, surroundings: &mut impl Surroundings) {
        match step {
            Step::Reply(reply) => self.reply(reply, output),
            Step::Execute(queued) => {
                let ops = queued.ops();
                if ops.is_empty() {
                    let reply = queued.reply([]);
                    return self.reply(reply, output);
                }
                let count = ops.len();
                let Some(mut group) = Group::of_ops(self.token, &ops, false) else {
                    return self.reply(too_long("transaction"), output);
                };
                drop(ops);
                group.shapes.push(Shape::Transaction { queued, count });
                self.add(group, surroundings);
            }
            Step::Run(Command::Op(op)) => {
                let Some(mut group) = Group::of_ops(self.token, &[op], true) else {
                    return self.reply(too_long("command"), output);
                };
                group.shapes.push(Shape::One);
                self.add(group, surroundings);
            }
            Step::Run(Command::Session(command)) => {
                self.session_command(&command, output, surroundings);
            }
            Step::Run(Command::Cluster(command)) => self.cluster(command, output, surroundings),
            // Handled by the transaction itself.
            Step::Run(Command::Transaction(_)) => {}
        }
    }

    fn session_command(
        &mut self,
        command: &SessionCommand<'_>,
        output: &mut Vec<u8>,
        surroundings: &impl Surroundings,
    ) {
        if let Some(reply) = command.reply() {
            return self.reply(reply, output);
        }
        let reply = match command {
            SessionCommand::Quit => {
                self.reply(Reply::OK, output);
                self.is_over = true;
                return;
            }
            SessionCommand::Reset => {
                self.name.clear();
                self.is_authenticated = false;
                self.reply(Reply::Status("RESET"), output);
                return self.speak(Protocol::Resp2);
            }
            SessionCommand::Hello(hello) => return self.hello(hello, output, surroundings),
            SessionCommand::Auth(credentials) => self.authenticate(credentials, surroundings),
            SessionCommand::Client(command) => self.client(command),
            SessionCommand::Info(sections) => {
                Reply::Bulk(sections_of(surroundings.info(), sections))
            }
            SessionCommand::Time => {
                let unix = surroundings.unix();
                let text = |number: u64| Reply::Bulk(number.to_string().into_bytes());
                Reply::Array(vec![text(unix / 1_000), text(unix % 1_000 * 1_000)])
            }
            // These have a reply that follows from the command alone.
            _ => return,
        };
        self.reply(reply, output);
    }

    fn hello(&mut self, hello: &Hello<'_>, output: &mut Vec<u8>, surroundings: &impl Surroundings) {
        if let Some(credentials) = &hello.credentials {
            let reply = self.authenticate(credentials, surroundings);
            if reply != Reply::OK {
                return self.reply(reply, output);
            }
        }
        if surroundings.password().is_some() && !self.is_authenticated {
            let text = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
                        <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
            return self.reply(Reply::Error(text.to_owned()), output);
        }
        if let Some(name) = hello.name {
            self.name = name.to_vec();
        }
        let protocol = hello.protocol.unwrap_or(self.protocol);
        self.speak(protocol);
        let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
        let number = |number: u64| Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let entries = [
            ("server", text("redis")),
            ("version", text(REDIS_VERSION)),
            ("proto", number(protocol.version().into())),
            ("id", number(self.token.0)),
            ("mode", text("standalone")),
            ("role", text("master")),
            ("modules", Reply::Array(Vec::new())),
        ];
        let entries = entries.map(|(key, value)| (text(key), value));
        self.reply(Reply::Map(entries.into()), output);
    }

    fn authenticate(
        &mut self,
        credentials: &Credentials<'_>,
        surroundings: &impl Surroundings,
    ) -> Reply {
        let Some(password) = surroundings.password() else {
            if credentials.user.is_some_and(|user| user == b"default") {
                return Reply::OK;
            }
            let text = "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                        configuration is correct?";
            return Reply::Error(text.to_owned());
        };
        let is_user = credentials.user.is_none_or(|user| user == b"default");
        if is_user && is_same(credentials.password, password) {
            self.is_authenticated = true;
            return Reply::OK;
        }
        Reply::Error("WRONGPASS invalid username-password pair or user is disabled.".to_owned())
    }

    fn client(&mut self, command: &ClientCommand<'_>) -> Reply {
        match command {
            ClientCommand::SetName(name) => {
                self.name = name.to_vec();
                Reply::OK
            }
            ClientCommand::GetName if self.name.is_empty() => Reply::Nil,
            ClientCommand::GetName => Reply::Bulk(self.name.clone()),
            ClientCommand::SetLibraryName(_)
            | ClientCommand::SetLibraryVersion(_)
            | ClientCommand::Ignored => Reply::OK,
            ClientCommand::Id => Reply::Integer(i64::try_from(self.token.0).unwrap_or(i64::MAX)),
            // Clients are not told of each other.
            ClientCommand::Info | ClientCommand::List => {
                let name = String::from_utf8_lossy(&self.name);
                let (id, resp) = (self.token.0, self.protocol.version());
                Reply::Bulk(format!("id={id} name={name} db=0 resp={resp}\n").into_bytes())
            }
        }
    }

    fn cluster(
        &mut self,
        command: ClusterCommand<'_>,
        output: &mut Vec<u8>,
        surroundings: &mut impl Surroundings,
    ) {
        let what = match command {
            ClusterCommand::Status => return self.reply(surroundings.status(), output),
            ClusterCommand::Members(MembersCommand::List) => {
                return self.reply(surroundings.members(), output);
            }
            ClusterCommand::Backup => What::Work(Work::backup(self.token)),
            ClusterCommand::Members(change) => What::Change(change),
            ClusterCommand::OpenSession { nonce } => What::Asked(Asked::Session { nonce }),
            ClusterCommand::Request { client, number, op } => {
                match Asked::request(client, number, &op) {
                    Some(asked) => What::Asked(asked),
                    None => return self.reply(too_long("command"), output),
                }
            }
        };
        let group = Group {
            what,
            shapes: vec![Shape::One],
        };
        self.add(group, surroundings);
    }

    /// Adds to what is gathered if both go together; otherwise what is gathered is sent, and this comes next.
    fn add(&mut self, group: Group, surroundings: &mut impl Surroundings) {
        let Some(gathered) = &mut self.next else {
            self.next = Some(group);
            return;
        };
        if let Some(group) = gathered.join(group) {
            self.dispatch(surroundings);
            self.next = Some(group);
        }
    }

    /// Sends what is gathered to the service.
    fn dispatch(&mut self, surroundings: &mut impl Surroundings) {
        let Some(mut group) = self.next.take() else {
            return;
        };
        match core::mem::replace(&mut group.what, What::Sent) {
            What::Work(work) => surroundings.take_work(work),
            What::Change(change) => surroundings.change_members(self.token, change),
            What::Asked(asked) => surroundings.take_asked(self.token, asked),
            What::Sent => {}
        }
        self.waiting = Some(group);
    }

    /// Replies, after what is gathered.
    fn reply(&mut self, reply: Reply, output: &mut Vec<u8>) {
        match &mut self.next {
            Some(group) => group.shapes.push(Shape::Known(reply)),
            None => encode(&reply, self.protocol, output),
        }
    }

    /// Speaks another version of the protocol, after what is gathered.
    fn speak(&mut self, protocol: Protocol) {
        match &mut self.next {
            Some(group) => group.shapes.push(Shape::Speak(protocol)),
            None => self.protocol = protocol,
        }
    }

    /// Takes the answer to what was sent, and appends its replies to `output`.
    pub fn on_answer(&mut self, answer: Answer, output: &mut Vec<u8>) {
        let Some(group) = self.waiting.take() else {
            return;
        };
        let (failure, replies) = match answer {
            Answer::Replies(replies) => (None, replies),
            Answer::Changed(epoch) => (None, vec![Reply::Integer(i64::from(epoch.0))]),
            Answer::Opened(client) => {
                let number = i64::try_from(client.0).unwrap_or(i64::MAX);
                (None, vec![Reply::Integer(number)])
            }
            Answer::Failed(failure) => (Some(failure), Vec::new()),
        };
        let mut replies = replies.into_iter();
        for shape in group.shapes {
            let reply = match (shape, &failure) {
                (Shape::Known(reply), _) => reply,
                (Shape::Speak(protocol), _) => {
                    self.protocol = protocol;
                    continue;
                }
                (_, Some(failure)) => Reply::Error(failure.to_string()),
                (Shape::One, None) => replies.next().unwrap_or_else(missing),
                (Shape::Transaction { queued, count }, None) => {
                    queued.reply(replies.by_ref().take(count))
                }
            };
            encode(&reply, self.protocol, output);
        }
    }
}

/// The version of Redis whose commands and errors these are, for clients that ask.
pub const REDIS_VERSION: &str = "7.4.0";

/// The reply to what does not fit in a batch.
fn too_long(what: &'static str) -> Reply {
    let max = Batch::MAX;
    CommandError::TooLong { what, max }.into()
}

/// The reply to an operation that has none, which cannot be.
fn missing() -> Reply {
    Reply::Error(Failure::OutcomeUnknown.to_string())
}

/// Compares passwords in a time that does not tell how much of them is equal.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differs = one
        .iter()
        .zip(other)
        .fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && differs == 0
}

/// Returns the sections of `INFO` that are asked for; all if none is named.
fn sections_of(info: &str, wanted: &[&[u8]]) -> Vec<u8> {
    let is_all = |name: &[u8]| {
        [&b"all"[..], b"default", b"everything"]
            .iter()
            .any(|all| name.eq_ignore_ascii_case(all))
    };
    if wanted.is_empty() || wanted.iter().any(|name| is_all(name)) {
        return info.as_bytes().to_vec();
    }
    let sections = info.split_inclusive("\r\n\r\n");
    let chosen = sections.filter(|section| {
        let title = section.lines().next().unwrap_or_default();
        let title = title.trim_start_matches("# ").as_bytes();
        wanted.iter().any(|name| name.eq_ignore_ascii_case(title))
    });
    chosen.collect::<String>().into_bytes()
}
