// Stories: the facts that answer a question, in order, each with a sentence.
import { ballotText, counted, listed, nodeName, sameBallot, seconds, span } from "./text.js";
import { isAbout } from "./run.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./run.js").Run} Run */

/** A step of a story, and the fact that shows it.
 * @typedef {{text: string, fact: Fact | undefined}} Step */

/** A story.
 * @typedef {{title: string, intro: string, steps: Step[]}} Story */

/** Returns how many of a set of nodes are a majority.
 * @param {number} nodes */
function majority(nodes) {
  return Math.floor(nodes / 2) + 1;
}

/** Returns nodes as a list, or their number where there are many.
 * @param {number[]} nodes */
function nodesText(nodes) {
  return nodes.length > 6 ? counted(nodes.length, "node") : listed(nodes.map(nodeName));
}

/** Returns how many copies of a message were lost, as the end of a sentence.
 * @param {Run} run
 * @param {Fact} fact */
function lossesOf(run, fact) {
  const lost = (run.messages.byId.get(fact.id ?? "") ?? []).filter((arrow) => arrow.fate === "lost");
  return lost.length > 0 ? `; lost on the way to ${nodesText(lost.map((arrow) => arrow.to))}` : "";
}

/** Returns the slots up to a time that are decided somewhere, for a slot to tell about.
 * @param {Run} run */
export function firstSlot(run) {
  return run.facts.find((fact) => fact.e === "chosen")?.slots?.[0][0] ?? null;
}

/** Tells the story of a slot, from the request to the answer.
 * @param {Run} run
 * @param {number} slot
 * @returns {Story} */
export function slotStory(run, slot) {
  const facts = run.ofSlot(slot);
  const chosen = facts.find((fact) => fact.e === "chosen");
  const applied = facts.filter((fact) => fact.e === "applied");
  const key = (chosen ?? applied[0])?.keys?.[0];
  /** @type {Step[]} */
  const steps = [];
  const tell = (/** @type {Fact | undefined} */ fact, /** @type {string} */ text) => {
    if (fact) steps.push({ fact, text });
  };
  if (key) tellRequest(run, key, tell);
  const accepts = facts.filter((fact) => fact.e === "sent" && fact.m === "accept" && fact.id);
  for (const fact of accepts.slice(0, 3)) {
    const under = ballotText(fact.ballots?.[0]);
    const again = fact === accepts[0] ? "" : " again";
    const whom = counted(fact.to?.length ?? 0, "node");
    tell(fact, `${nodeName(fact.n)} asks ${whom}${again} to accept it under ${under}${lossesOf(run, fact)}.`);
  }
  if (chosen) tellChosen(run, slot, chosen, tell);
  tell(applied[0], `${nodeName(applied[0]?.n ?? 0)} is the first to apply it.`);
  const own = applied.find((fact) => fact !== applied[0] && fact.n === applied.at(-1)?.n);
  const installed = run.facts.filter((fact) => fact.e === "installed" && (fact.slots?.[0][0] ?? 0) >= slot);
  if (key) tellAnswer(run, key, tell);
  if (own) tell(own, `${nodeName(own.n)} is the last: ${counted(applied.length, "node")} have applied it.`);
  tell(installed[0], `${counted(installed.length, "node")} took over a state that includes it, and did not apply it themselves.`);
  steps.sort((one, other) => (one.fact?.i ?? 0) - (other.fact?.i ?? 0));
  const what = key ? `It holds ${key}. ` : chosen ? "It holds a no-op, or a change of the members. " : "";
  const intro = facts.length === 0 ? "No fact is about this slot." : `${what}${counted(facts.length, "fact")} are about it.`;
  return { title: `The story of slot ${slot}`, intro, steps };
}

/** @param {Run} run
 * @param {string} key
 * @param {(fact: Fact | undefined, text: string) => void} tell */
function tellRequest(run, key, tell) {
  const named = run.facts.filter((fact) => fact.keys?.includes(key));
  const asked = named.find((fact) => fact.m === "request" && fact.e === "sent");
  tell(asked, `A client at ${nodeName(asked?.n ?? 0)} asks for ${key}.`);
  const proposed = named.find((fact) => fact.m === "propose" && fact.e === "sent" && fact.id);
  const whom = nodesText(proposed?.to ?? []);
  const losses = proposed ? lossesOf(run, proposed) : "";
  tell(proposed, `${nodeName(proposed?.n ?? 0)} hands the request to ${whom}, which it takes for the leader${losses}.`);
}

/** @param {Run} run
 * @param {string} key
 * @param {(fact: Fact | undefined, text: string) => void} tell */
function tellAnswer(run, key, tell) {
  const answered = run.facts.find((fact) => fact.e === "received" && fact.m === "response" && fact.keys?.includes(key));
  tell(answered, `The client at ${nodeName(answered?.n ?? 0)} is answered.`);
}

/** @param {Run} run
 * @param {number} slot
 * @param {Fact} chosen
 * @param {(fact: Fact | undefined, text: string) => void} tell */
function tellChosen(run, slot, chosen, tell) {
  const isVote = (/** @type {Fact} */ fact) =>
    fact.e === "received" && fact.m === "accepted" && fact.n === chosen.n && isAbout(fact, slot);
  const ballot = chosen.ballots?.[0];
  const votes = run.facts.slice(0, chosen.i).filter(isVote);
  const state = run.states.at(chosen.n, chosen.t);
  const of = votes.filter((vote) => sameBallot(vote.ballots?.[0], ballot)).map((vote) => vote.from ?? 0);
  // A leader's own vote needs no message.
  const own = sameBallot(state.votes.get(slot)?.ballot, ballot) ? [chosen.n] : [];
  const voters = [...new Set([...own, ...of])];
  const members = state.members.length || run.head.nodes;
  const including = own.length > 0 && voters.length > 1 ? ", its own among them" : "";
  const most = `${majority(members)} of ${members} are a majority`;
  tell(chosen, `Chosen: ${nodeName(chosen.n)} has ${counted(voters.length, "vote")}${including}; ${most}.`);
}

/** Tells why a leader won: who promised, and what was lost.
 * @param {Run} run
 * @param {Fact} adopted
 * @returns {Story} */
export function winStory(run, adopted) {
  const ballot = adopted.ballots?.[0];
  const node = adopted.n;
  const before = run.facts.slice(0, adopted.i + 1);
  const of = before.filter((fact) => fact.ballots?.some((other) => sameBallot(other, ballot)));
  /** @type {Step[]} */
  const steps = [];
  const suspected = before.findLast((fact) => fact.e === "suspected" && fact.n === node);
  if (suspected) steps.push({ fact: suspected, text: `${nodeName(node)} misses its leader.` });
  for (const kind of ["probe", "prepare"]) {
    const sent = of.filter((fact) => fact.e === "sent" && fact.m === kind && fact.n === node && fact.id);
    const [first] = sent;
    const answer = kind === "probe" ? "probe_reply" : "promise";
    const answers = of.filter((fact) => fact.e === "received" && fact.m === answer && fact.n === node);
    if (!first) continue;
    const asks = kind === "probe" ? "asks whether others miss their leader too" : `claims ballot ${ballotText(ballot)}`;
    const again = sent.length > 1 ? `, ${counted(sent.length, "time")}` : "";
    steps.push({ fact: first, text: `${nodeName(node)} ${asks}${again}${lossesOf(run, first)}.` });
    const from = [...new Set(answers.map((fact) => fact.from ?? 0))];
    for (const who of from) {
      const fact = answers.findLast((answered) => answered.from === who);
      const own = who === node ? " (its own)" : "";
      steps.push({ fact, text: `${kind === "probe" ? "Answer" : "Promise"} of ${nodeName(who)}${own}.` });
    }
  }
  const state = run.states.at(node, adopted.t);
  const members = state.members.length || run.head.nodes;
  const promises = of.filter((fact) => fact.e === "received" && fact.m === "promise" && fact.n === node);
  // The claimant's own promise needs no message.
  const own = sameBallot(state.promised, ballot) ? [node] : [];
  const from = [...new Set([...own, ...promises.map((fact) => fact.from ?? 0)])];
  steps.push({ fact: adopted, text: `${nodeName(node)} leads: it has the promises of a majority.` });
  const first = steps.find((step) => step.fact?.m === "prepare")?.fact;
  const intro = [
    `${from.length} of ${members} nodes promised in time, ${nodeName(node)} among them,`,
    `and ${majority(members)} are a majority.`,
    "Any other majority shares a node with this one, so no other claim can pass unseen.",
    first ? `The claim took ${span(adopted.t - first.t)}.` : "",
  ].join(" ");
  return { title: `Why ${nodeName(node)} won ${ballotText(ballot)}`, intro, steps };
}

/** Tells about a run as a whole, for the first view.
 * @param {Run} run
 * @returns {Story} */
export function welcome(run) {
  const { head } = run;
  const losses = run.marks.loss.length;
  const [won] = run.marks.election;
  const leads = won ? ` ${nodeName(won.n)} is the first to lead, at ${seconds(won.t)} s.` : " No node ever leads.";
  const messages = counted(run.messages.arrows.length, "message");
  const intro = [
    "Each column is a node, and time runs downwards.",
    "An arrow is a message, in the colour of the role that sent it; a cross is where one was lost.",
    `These ${counted(head.nodes, "node")} agree on one log by Paxos: a node that has the promises of a majority leads,`,
    `and what a majority accepts from it is decided.${leads}`,
  ].join(" ");
  /** @type {Step[]} */
  const steps = [];
  const [lost] = run.marks.loss;
  const claim = run.marks.loss.find((fact) => fact.m === "prepare" || fact.m === "promise");
  const shown = claim ?? lost;
  if (shown) steps.push({ fact: shown, text: `A ${shown.m} that was lost: one of ${losses.toLocaleString("en")}, of ${messages}.` });
  if (won) steps.push({ fact: won, text: `The moment at which ${nodeName(won.n)} begins to lead.` });
  const chosen = run.facts.find((fact) => fact.e === "chosen");
  if (chosen) steps.push({ fact: chosen, text: "The first proposal that is chosen." });
  const violation = run.marks.violation.at(-1);
  if (violation) steps.push({ fact: violation, text: `Where the run ends: ${head.reason ?? head.outcome}.` });
  return { title: "What is to be seen here", intro, steps };
}
