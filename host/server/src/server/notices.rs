//! What a server says to its operator.

use super::Server;
use crate::capacity::PAGE;
use crate::keyspace::Keyspace;
use crate::net::Heard;
use crate::service::Now;
use core::fmt;
use synod::{Instant, NodeId, NodeState, Tracer};

/// The log of strangers names so many, and counts the others.
const STRANGERS_NAMED: u64 = 20;

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The node does not serve as it should until somebody does something.
    Error,
    /// Somebody should look into it.
    Warn,
    /// What the node is and does.
    Info,
}

/// What a server says, beside the records of its node.
pub trait Notices: Tracer<Keyspace, PAGE> {
    /// Takes one line for the operator.
    fn notice(&mut self, at: Instant, node: NodeId, severity: Severity, text: &dyn fmt::Display);

    /// Called once a turn, so that lines are written soon.
    fn flush(&mut self) {}
}

impl Server {
    pub(super) fn say(&self, now: Now, notices: &mut impl Notices, text: &dyn fmt::Display) {
        self.say_as(Severity::Info, now, notices, text);
    }

    pub(super) fn say_as(
        &self,
        severity: Severity,
        now: Now,
        notices: &mut impl Notices,
        text: &dyn fmt::Display,
    ) {
        notices.notice(now.monotonic, self.node, severity, text);
    }

    /// Says once that nothing more is recorded.
    pub(super) fn say_incomplete(&mut self, now: Now, notices: &mut impl Notices) {
        let recorder = self.service.recorder();
        if !self.said_incomplete && recorder.is_some_and(|recorder| recorder.sink().lost() > 0) {
            self.said_incomplete = true;
            self.say_as(
                Severity::Warn,
                now,
                notices,
                &"the record is incomplete, as its disk is full or too slow: nothing more is recorded until this node starts again",
            );
        }
    }

    /// Says what the node is and whom it follows, when that has changed.
    pub(super) fn say_state(&mut self, now: Now, notices: &mut impl Notices) {
        let status = self.service.status();
        let present = (status.state, status.leader);
        if self.said == present {
            return;
        }
        self.said = present;
        let follows = !matches!(status.state, NodeState::Leading | NodeState::Halted);
        match status.leader.filter(|_| follows) {
            Some(leader) => {
                let text = format_args!("{}, follows {leader}", status.state);
                self.say(now, notices, &text);
            }
            None if status.state == NodeState::Halted => {
                let text = "halted: it has seen proof that its history is not that of the others";
                self.say_as(Severity::Error, now, notices, &text);
            }
            None => self.say(now, notices, &status.state),
        }
    }

    pub(super) fn say_heard(&mut self, now: Now, notices: &mut impl Notices) {
        for (from, refusal) in self.clients.take_refused() {
            self.say(
                now,
                notices,
                &format_args!("hung up on client {from}: {refusal}"),
            );
        }
        for heard in self.peers.take_heard() {
            match heard {
                Heard::Reached(node, address) => {
                    self.say(now, notices, &format_args!("reached {node} at {address}"));
                }
                Heard::Stranger(address) if self.peers.strangers() <= STRANGERS_NAMED => {
                    self.say_as(Severity::Warn, now, notices, &format_args!(
                        "hung up on {address}: it is no node of this cluster with these capacities"
                    ));
                }
                Heard::SameNumber(address) if self.peers.strangers() <= STRANGERS_NAMED => self.say_as(Severity::Warn, now, notices, &format_args!(
                    "{address} says that it is {} as well: stop one of the two, and never copy the directory of a node", self.node
                )),
                Heard::Stranger(_) | Heard::SameNumber(_) => {}
                Heard::Refused(from, refusal) => {
                    let text = format_args!("hung up on {from}: {refusal}");
                    self.say_as(Severity::Warn, now, notices, &text);
                }
                Heard::RefusedNode(node, address, refusal) => self.say_as(Severity::Warn, now, notices, &format_args!(
                    "{node} at {address} cannot be spoken with: {refusal}"
                )),
                Heard::TwoProcesses(node, address) => self.say_as(Severity::Warn, now, notices, &format_args!(
                    "two processes are {node}, one of them at {address}: stop one of the two, and never copy the directory of a node"
                )),
            }
        }
    }
}
