//! Choice of the next step of a random walk, and of the message that it delivers.
//!
//! The weights of the kinds of steps are drawn once for each walk. A walk of nearly nothing but
//! ticks elects all the time; one of nearly nothing but deliveries decides a long log; most are in
//! between.

use super::check::Violation;
use super::network_conditions::{NetworkConditions, Order};
use super::walk::Walk;
use synod::{Envelope, Message, NodeId};

/// Kind of the next step.
///
/// Each has a weight among the parameters of the walk.
#[derive(Clone, Copy)]
enum Move {
    /// A message arrives, is repeated or is lost.
    Deliver,
    /// The clock of a node advances to its next deadline.
    Tick,
    /// A client makes a request.
    Ask,
    /// A node without power starts, for the first time or again.
    Start,
    /// A node stops for good.
    Stop,
    /// A node loses its power, or gets it back.
    Crash,
    /// A client reads the state of a node without a slot of the log.
    Read,
    /// The operator asks for a change of the members.
    Change,
    /// The operator switches off a node that has retired.
    Leave,
    /// A node seems to ask for decisions or for a snapshot that it does not need.
    StaleRequest,
}

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Walk<'_, WINDOW, CLIENTS, PAGE> {
    /// Performs the next random step.
    pub(super) fn step(&mut self) -> Result<(), Violation> {
        if self.network.passes() {
            let leads = |number: &u16| self.node(*number).is_some_and(|it| it.leading().is_some());
            let leaders: Vec<u16> = (0..self.size).filter(leads).collect();
            self.network =
                NetworkConditions::draw(&mut self.random, &self.parameters, self.size, &leaders);
        }
        let parameters = &self.parameters;
        let next = self.random.weighted(&[
            (parameters.deliver, Move::Deliver),
            (parameters.tick, Move::Tick),
            (parameters.ask, Move::Ask),
            (parameters.start, Move::Start),
            (parameters.stop, Move::Stop),
            (parameters.stale_request, Move::StaleRequest),
            (parameters.crash, Move::Crash),
            (self.operator.read, Move::Read),
            (self.operator.change, Move::Change),
            (self.operator.leave, Move::Leave),
        ]);
        debug_assert!(next.is_some(), "a delivery and a tick have weights above 0");
        match next.unwrap_or(Move::Tick) {
            Move::Deliver => self.deliver_next(),
            Move::Tick => self.tick_one(),
            Move::Ask => match self.any_live() {
                Some(node) => {
                    let proposal = self.clients.ask(&mut self.random, self.parameters.clients);
                    self.ask(node, proposal)
                }
                None => Ok(()),
            },
            Move::Start => self.start_next(),
            Move::Crash => self.crash_or_recover(),
            Move::StaleRequest => {
                self.stale_request();
                Ok(())
            }
            Move::Stop => {
                self.stop();
                Ok(())
            }
            Move::Read => {
                let live = self.live();
                let node = self.operator.random.one(&live);
                node.map_or(Ok(()), |node| self.read(node).map(|_| ()))
            }
            Move::Change => self.change_members(),
            Move::Leave => {
                self.leave();
                Ok(())
            }
        }
    }

    /// Lets time pass at a node, up to its next deadline.
    fn tick_one(&mut self) -> Result<(), Violation> {
        let fast_node = self.network.fast_node;
        // A fast node has several timeouts while others wait for one. It may be without power at present.
        let hurries =
            self.node(fast_node).is_some() && self.random.percent(self.network.fast_percent);
        let number = if hurries {
            Some(fast_node)
        } else {
            self.any_live()
        };
        number.map_or(Ok(()), |number| self.tick(number))
    }

    /// Starts the lowest node that does not run, so that a cluster whose nodes start late gets them in order.
    fn start_next(&mut self) -> Result<(), Violation> {
        let dark = self.members.iter().position(|member| member.node.is_none());
        if let Some(number) = dark.and_then(|dark| u16::try_from(dark).ok()) {
            self.recover(number)?;
            self.start(number)?;
        }
        Ok(())
    }

    /// Cuts the power of a node, or restores it: about as often as it is cut.
    fn crash_or_recover(&mut self) -> Result<(), Violation> {
        let number = self.random.number(self.size);
        if self.node(number).is_some() {
            self.crash(number);
            Ok(())
        } else {
            self.recover(number)
        }
    }

    /// Sends a question for decisions or for a snapshot, as the node may have sent it before it became leader.
    fn stale_request(&mut self) {
        let to = NodeId(self.random.number(self.size));
        let asks_log = self.random.percent(70);
        // Only a node that has joined: one that has not sends a real question of this kind.
        let asker = self.any_live().and_then(|number| self.node(number));
        let Some(node) = asker.filter(|node| node.is_active() && node.id() != to) else {
            return;
        };
        let Some(next) = node.applied().next() else {
            return;
        };
        let message = if asks_log {
            Message::Learn { from: next }
        } else {
            Message::Join {
                snapshot: None,
                page: 0,
                count: 1,
            }
        };
        let (cluster, from) = (node.fingerprint(), node.id());
        self.in_flight.push(Envelope {
            cluster,
            from,
            to,
            message,
        });
    }

    /// Returns the index of the next message to deliver. `None` if all messages are held back.
    fn pick(&mut self) -> Option<usize> {
        let len = self.in_flight.len();
        let start = match self.network.order {
            _ if len == 0 => return None,
            // From a random message on and around, so that held ones do not shut out those behind
            // them.
            Order::Any => self.random.index(len),
            Order::Oldest | Order::Newest => 0,
        };
        let comes = |index: &usize| {
            let envelope = self.in_flight.get(*index);
            envelope.is_some_and(|envelope| !self.network.holds(envelope))
        };
        match self.network.order {
            Order::Newest => (0..len).rev().find(comes),
            Order::Oldest | Order::Any => (start..len).chain(0..start).find(comes),
        }
    }

    /// Repeats an old message, or delivers, duplicates or loses one in flight.
    fn deliver_next(&mut self) -> Result<(), Violation> {
        if !self.past.is_empty() && self.random.percent(self.parameters.again) {
            let index = self.random.index(self.past.len());
            let envelope = self.past.get(index).cloned();
            // A held link holds repetitions as well, or nothing on it would ever be late.
            return match envelope.filter(|envelope| !self.network.holds(envelope)) {
                Some(envelope) => self.deliver(&envelope),
                None => Ok(()),
            };
        }
        // Time passes when nothing can arrive; otherwise held links would stop the walk.
        let Some(index) = self.pick() else {
            let number = self.any_live();
            return number.map_or(Ok(()), |number| self.tick(number));
        };
        if self.random.percent(self.network.loss) {
            self.in_flight.remove(index);
            return Ok(());
        }
        let envelope = if self.random.percent(self.network.duplicate) {
            self.in_flight.get(index).cloned()
        } else {
            Some(self.in_flight.remove(index))
        };
        envelope.map_or(Ok(()), |envelope| self.deliver(&envelope))
    }
}
