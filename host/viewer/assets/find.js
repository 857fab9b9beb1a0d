// The search: words like slot:31 and kind:promise, all of which a fact must match.
import { isAbout } from "./run.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {(fact: Fact) => boolean} Test */

/** What can be searched for. A name, then a colon, an equals sign or a space, then a value. */
const WORD = /\b(slot|ballot|client|role|kind|node|event|phase)\s*[:=\s]\s*(\([^)]*\)|\S+)/gi;

/** What belongs to the two phases of Paxos: messages, and events. @type {Record<string, string[]>} */
const PHASES = {
  1: ["probe", "probe_reply", "prepare", "promise", "adopted", "preempted", "suspected", "backed_off"],
  2: ["accept", "accepted", "chosen", "decision"],
};

/** Names of what can be searched for, with an example each, for the help. */
export const SEARCHES = [
  ["slot:31", "a slot"],
  ["ballot:2.3", "round 2 of NODE_3"],
  ["client:40", "requests of a client"],
  ["node:3", "what a node does or is sent"],
  ["role:scout", "a role"],
  ["kind:promise", "a kind of message"],
  ["phase:1", "claims and promises; phase:2, accepting"],
  ["event:lost", "a kind of event"],
  ["granted", "any text of the log"],
];

/** Returns the numbers in a text.
 * @param {string} text */
function numbersIn(text) {
  return (text.match(/\d+/g) ?? []).map(Number);
}

/** Returns the test for one word of a search.
 * @param {string} name
 * @param {string} value
 * @returns {Test} */
function testOf(name, value) {
  const word = value.toLowerCase();
  const numbers = numbersIn(value);
  switch (name.toLowerCase()) {
    case "slot": {
      const [first, last = first] = numbers;
      return (fact) => fact.slots?.some((run) => run[0] <= last && first <= run[1]) ?? false;
    }
    case "ballot":
      // The round alone, round and node, or the epoch as well: the parts at its end.
      return (fact) => fact.ballots?.some((ballot) => isBallot(ballot, numbers)) ?? false;
    case "client":
      return (fact) => fact.keys?.some((key) => key.startsWith(`client_${numbers[0]}#`)) ?? false;
    case "role":
      return (fact) => fact.r.toLowerCase() === word;
    case "kind":
      return (fact) => fact.m === word;
    case "phase":
      return (fact) => PHASES[word]?.includes(fact.m ?? fact.e) ?? false;
    case "node":
      return (fact) => fact.n === numbers[0] || fact.from === numbers[0] || !!fact.to?.includes(numbers[0]);
    default:
      return (fact) => fact.e === word;
  }
}

/** True if a ballot has these parts: round, round and node, or epoch, round and node.
 * @param {import("./text.js").Ballot} ballot
 * @param {number[]} parts */
function isBallot([epoch, round, leader], parts) {
  if (parts.length === 1) return round === parts[0];
  if (parts.length === 2) return round === parts[0] && leader === parts[1];
  return epoch === parts[0] && round === parts[1] && leader === parts[2];
}

/** Returns the test of a search; null if it is empty.
 * @param {string} text
 * @returns {Test | null} */
export function searchFor(text) {
  /** @type {Test[]} */
  const tests = [];
  const rest = text.replace(WORD, (_, name, value) => {
    tests.push(testOf(name, value));
    return " ";
  });
  for (const word of rest.toLowerCase().split(/\s+/).filter(Boolean)) {
    tests.push((fact) => fact.line.toLowerCase().includes(word));
  }
  if (tests.length === 0) return null;
  return (fact) => tests.every((test) => test(fact));
}

/** Returns the slot that a search is for, if it is for one slot and nothing else.
 * @param {string} text */
export function slotOf(text) {
  const found = /^\s*slot\s*[:=\s]\s*(\d+)\s*$/i.exec(text);
  return found ? Number(found[1]) : null;
}

/** Returns the facts that match, in order.
 * @param {Fact[]} facts
 * @param {string} text
 * @returns {Fact[]} */
export function found(facts, text) {
  const slot = slotOf(text);
  if (slot !== null) return facts.filter((fact) => isAbout(fact, slot));
  const test = searchFor(text);
  return test ? facts.filter(test) : [];
}
