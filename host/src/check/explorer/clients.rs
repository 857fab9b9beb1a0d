//! What clients and an operator ask of the nodes: requests, reads without the log, and the change of the members.

use super::Explorer;
use crate::check::world::{PAGE, World};
use crate::check::{Scope, Tape};
use synod::{ClientId, Instant, NodeId, Proposal, RequestNumber, Tracer};

impl Explorer {
    /// Lets a client make or repeat a request at a node. Only a new request is noted in the ledger:
    /// a repetition asks for the same proposal.
    pub(super) fn ask(
        &self,
        world: &mut World,
        at: (NodeId, Option<u8>),
        request: u8,
        tracer: &mut dyn Tracer<Tape, PAGE>,
    ) {
        let proposal = proposal_of(request);
        if request < world.used.requests {
            // Counted even if the node refuses the request: otherwise repetitions without effect
            // would have no bound.
            world.used.retries = world.used.retries.saturating_add(1);
        } else {
            world.used.requests = world.used.requests.saturating_add(1);
            let mut ledger = world.ledger.value.clone();
            ledger.ask(proposal);
            world.remember(ledger, &self.interners);
        }
        if let Proposal::Request {
            client,
            number,
            command,
        } = proposal
        {
            self.act(world, at, tracer, |node, outbox, facts| {
                // A node that is already processing the request refuses it, and nothing happens.
                let _ = node.request(Instant::ZERO, client, number, command, outbox, facts);
            });
        }
    }

    /// Lets a client read the state of a node.
    pub(super) fn read(
        &self,
        world: &mut World,
        at: (NodeId, Option<u8>),
        tracer: &mut dyn Tracer<Tape, PAGE>,
    ) {
        let mut ledger = world.ledger.value.clone();
        let nonce = ledger.ask_read(at.0, &self.scope);
        world.remember(ledger, &self.interners);
        let mut is_refused = false;
        self.act(world, at, tracer, |node, outbox, facts| {
            let asked = node.read(Instant::ZERO, nonce, outbox, facts);
            is_refused = asked.is_err();
        });
        if is_refused {
            let mut ledger = world.ledger.value.clone();
            ledger.refuse_read();
            world.remember(ledger, &self.interners);
        }
    }

    /// Lets an operator ask a node for the change of the members.
    pub(super) fn change(
        &self,
        world: &mut World,
        at: (NodeId, Option<u8>),
        tracer: &mut dyn Tracer<Tape, PAGE>,
    ) {
        let change = self.scope.change();
        // Counted even if the node refuses the change, as a request is.
        world.used.changes = world.used.changes.saturating_add(1);
        let mut ledger = world.ledger.value.clone();
        ledger.ask(Proposal::Reconfigure(change));
        world.remember(ledger, &self.interners);
        self.act(world, at, tracer, |node, outbox, facts| {
            let _ = node.reconfigure(Instant::ZERO, change, outbox, facts);
        });
    }
}

/// Returns the proposal of a request; each has a different command. The clients are named by the
/// slots of their registrations, 1 and 2 (see [`crate::check::initial_state`]), and number 0 is that of
/// the registration.
pub(super) fn proposal_of(request: u8) -> Proposal<u32> {
    Proposal::Request {
        client: ClientId(1 + u64::from(request % Scope::CLIENTS)),
        number: RequestNumber(1 + u32::from(request / Scope::CLIENTS)),
        command: u32::from(request),
    }
}
