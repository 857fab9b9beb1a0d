// What a fact means in a sentence, for those who see the protocol for the first time, and the rules that it follows.
import { ballotText, listed, nodeName, span } from "./text.js";

/** @typedef {import("./text.js").Fact} Fact */

/** What a message says: a sentence that begins with its sender. `{b}` is the ballot, `{s}` the slots, `{k}` the request.
 * @type {Record<string, string>} */
const MESSAGES = {
  join: "asks to be let into the cluster, or for a page of its state",
  welcome: "lets a node in, with a page of the state",
  probe: "asks whether the others miss their leader too, before it claims ballot {b}",
  probe_reply: "says whether it misses its leader too",
  prepare: "claims ballot {b}: it asks for the promise to accept nothing under a lower ballot",
  promise: "answers the claim of {b}: with the highest ballot that it has promised, and what it has accepted so far",
  accept: "asks to accept a proposal for {s} under ballot {b}",
  accepted: "has accepted what was proposed for {s}, or refuses with a higher ballot",
  decision: "tells that the log is decided up to {s}",
  heartbeat: "shows that it still leads under ballot {b}, and how far the log is decided",
  heartbeat_reply: "answers the leader, and says how far it has applied the log",
  propose: "hands the request {k} to the node that it takes for the leader",
  learn: "misses decisions from {s} on, and asks for them",
  decisions: "sends decisions for {s} to a node that missed them",
  request: "asks for {k}, as a client of this node",
  response: "answers the client that asked for {k}",
  read_index: "asks the leader up to where the log is decided, in order to read",
  read_index_reply: "says up to where the log is decided",
  confirm: "asks whether it still leads under ballot {b}, for those who want to read",
  confirmed: "confirms that it has promised no ballot above {b}",
  superseded: "says that ballot {b} is of an epoch that is over",
};

/** What an event means: a sentence that begins with its node. @type {Record<string, string>} */
const EVENTS = {
  started: "{r} starts",
  stopped: "{r} stops",
  suspected: "{n} misses its leader",
  backed_off: "{n} waits before it claims another ballot, so that others can win",
  adopted: "{n} has the promises of a majority: it leads under ballot {b}",
  preempted: "{n} has lost: a higher ballot ended its own",
  stepped_down: "{n} leads no more, as no majority answers or others have decided",
  accepting: "{n} follows a leader that it did not follow before",
  chosen: "A majority has accepted a proposal for {s}: nothing else can ever be decided there",
  applied: "{n} applies {s} to its state",
  installed: "{n} takes over the state of another node, up to {s}",
  reconfigured: "For {n} a new epoch begins, with other members",
  full: "A queue of {n} is full",
  halted: "{n} halts for good: it has seen proof that a rule was broken, or cannot go on",
  exhausted: "{n} has used up its rounds or slots",
  fenced: "The storage of {n} has failed: it votes and leads no more",
  killed: "{n} is stopped from outside",
  restarted: "{n} starts again, with what it had made durable",
  fault_began: "A planned fault begins: {w}",
  fault_ended: "A planned fault ends: {w}",
};

/** Why a message was ignored. @type {Record<string, string>} */
const REASONS = {
  foreign_cluster: "it comes from another cluster",
  not_a_member: "its sender is no member",
  malformed: "it has a value that cannot be",
  implausible_ballot: "its round is too far above all that were seen",
  stale_reply: "it answers something earlier",
  old_ballot: "its ballot is lower than the highest that was heard of",
  wrong_phase: "the node has not joined yet, or has joined already",
  not_leading: "only a leader can use it",
  known: "it says nothing new",
  outside_window: "its slots are outside of the window",
  full: "a table or a queue has no room",
  outbox_full: "there is no room for an answer",
  halted: "the node has halted",
  unknown_request: "the node has no such request",
  leader_alive: "the node hears its leader",
  not_voting: "the node does not vote, or its sender does not",
  old_epoch: "it is of an earlier epoch",
  later_epoch: "it is of a later epoch, and the node is behind",
};

/** Rules that the sending or the receiving of a message follows. @type {Record<string, string[]>} */
const RULES_OF_MESSAGES = {
  join: ["J1", "J2", "T4"],
  welcome: ["J1", "T3", "T4"],
  probe: ["L7"],
  probe_reply: ["L7"],
  prepare: ["S1", "A1", "S7"],
  promise: ["A1", "A3", "S2", "S4"],
  accept: ["L2", "L3", "A2"],
  accepted: ["A2", "C1", "C2"],
  decision: ["C3", "R2"],
  heartbeat: ["C3", "F1", "N3"],
  heartbeat_reply: ["L6"],
  propose: ["R3", "L3"],
  learn: ["R2", "L8"],
  decisions: ["R2"],
  request: ["X1"],
  response: ["X1", "R5"],
  read_index: ["Q2", "Q4"],
  read_index_reply: ["Q3", "Q4"],
  confirm: ["Q2"],
  confirmed: ["Q2"],
  superseded: ["V7"],
};

/** Rules that an event follows. @type {Record<string, string[]>} */
const RULES_OF_EVENTS = {
  suspected: ["F1", "L7"],
  backed_off: ["L5"],
  adopted: ["C2", "S4", "S6", "L1"],
  preempted: ["S5", "L4"],
  stepped_down: ["L6", "C3"],
  accepting: ["F1"],
  chosen: ["C1", "C2"],
  applied: ["R2", "R4", "R5", "X1"],
  installed: ["T3", "T4", "J2"],
  reconfigured: ["V1", "V6"],
  full: ["T5", "N4"],
  halted: ["R1", "A4", "N3"],
  exhausted: ["N1"],
  fenced: ["D1"],
  killed: ["D2"],
  restarted: ["D1", "D2", "D3"],
};

/** Rules by which a message is ignored. @type {Record<string, string[]>} */
const RULES_OF_REASONS = {
  foreign_cluster: ["N2"],
  not_a_member: ["N2", "V1"],
  malformed: ["N1"],
  implausible_ballot: ["N1"],
  stale_reply: ["S5", "Q4"],
  old_ballot: ["A1", "F1"],
  wrong_phase: ["J1", "J2"],
  not_leading: ["L4", "L8"],
  known: ["R1", "C1"],
  outside_window: ["L3", "A5"],
  full: ["T5"],
  outbox_full: ["N4"],
  halted: ["N3", "R1"],
  unknown_request: ["X1"],
  leader_alive: ["L7"],
  not_voting: ["D2", "V5"],
  old_epoch: ["V7"],
  later_epoch: ["V6"],
};

/** Returns the slots of a fact in words.
 * @param {Fact} fact */
export function slotsText(fact) {
  const runs = (fact.slots ?? []).map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`));
  const isOne = runs.length === 1 && fact.slots?.[0][0] === fact.slots?.[0][1];
  return runs.length > 0 ? `slot${isOne ? "" : "s"} ${listed(runs)}` : "no slot";
}

/** Fills in what a sentence says about a fact.
 * @param {string} sentence
 * @param {Fact} fact */
function filled(sentence, fact) {
  const keys = fact.keys ?? [];
  return sentence
    .replaceAll("{n}", nodeName(fact.n))
    .replaceAll("{r}", fact.r)
    .replaceAll("{b}", ballotText(fact.ballots?.[0]))
    .replaceAll("{s}", slotsText(fact))
    .replaceAll("{k}", keys.length > 0 ? listed(keys) : "something")
    .replaceAll("{w}", fact.why ?? "");
}

/** Returns what happened, in a sentence or two.
 * @param {Fact} fact */
export function sentence(fact) {
  const says = filled(MESSAGES[fact.m ?? ""] ?? "", fact);
  const to = (fact.to ?? []).map(nodeName);
  const whom = to.length > 3 ? `${to.length} nodes` : listed(to);
  switch (fact.e) {
    case "sent": {
      if (!fact.id) return `Within ${nodeName(fact.n)}, the ${fact.r} ${says}.`;
      return `${nodeName(fact.n)} ${says} (to ${whom}).`;
    }
    case "received": {
      if (fact.from === fact.n) return `Within ${nodeName(fact.n)}: it ${says}.`;
      return `${nodeName(fact.n)} hears from ${nodeName(fact.from ?? 0)}, which ${says}.`;
    }
    case "lost":
      return `The network loses this on the way to ${whom}: ${nodeName(fact.n)} ${says}. Neither is told; what matters is repeated.`;
    case "delayed":
      return `A fault (${fact.why}) delays this on the way to ${whom}: ${nodeName(fact.n)} ${says}.`;
    case "duplicated":
      return `The network delivers this twice to ${whom}: ${nodeName(fact.n)} ${says}. The second must do no harm.`;
    case "ignored": {
      const why = REASONS[fact.why ?? ""] ?? fact.why;
      return `${nodeName(fact.n)} ignores a ${fact.m} from ${nodeName(fact.from ?? 0)}: ${why}.`;
    }
    default:
      return `${filled(EVENTS[fact.e] ?? fact.e, fact)}.`;
  }
}

/** Returns the names of the rules that a fact follows.
 * @param {Fact} fact
 * @returns {string[]} */
export function rulesOf(fact) {
  if (fact.e === "ignored") return RULES_OF_REASONS[fact.why ?? ""] ?? [];
  if (fact.m) return RULES_OF_MESSAGES[fact.m] ?? [];
  if (fact.e === "started" || fact.e === "stopped") return fact.r === "Seed" || fact.r === "Initializer" ? ["J1", "J2"] : [];
  return RULES_OF_EVENTS[fact.e] ?? [];
}

/** Returns what became of a message, in a sentence.
 * @param {import("./messages.js").Arrow} arrow */
export function fate(arrow) {
  const took = span(arrow.at - arrow.left);
  const wait = arrow.left - arrow.sent.t;
  const waited = wait > 0 ? ` It waited ${span(wait)} for the disk of its sender.` : "";
  const late = arrow.late ? " A fault made it late." : "";
  const twice = arrow.twice ? " This is its second copy." : "";
  const to = nodeName(arrow.to);
  switch (arrow.fate) {
    case "lost":
      return `Lost on the way to ${to}.${waited}`;
    case "missed":
      return `Came to ${to} after ${took}, which was down.${waited}${late}${twice}`;
    case "unsent":
      return `Never left ${nodeName(arrow.from)}, which went down before its writes were durable.`;
    case "flying":
      return `Still under way to ${to} when the run ended.${waited}${late}`;
    default:
      return `Arrived at ${to} after ${took}.${waited}${late}${twice}`;
  }
}
