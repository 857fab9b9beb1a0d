// The painting of the diagram, from the back to the front.
import { ballotText } from "./text.js";
import { FONT, GUTTER, HEAD, line, place } from "./layout.js";
import { axis, dots, heads, notice, now } from "./overlay.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./messages.js").Arrow} Arrow */
/** @typedef {import("./diagram.js").Diagram} Diagram */
/** @typedef {import("./layout.js").Target} Target */

/** More arrows at once are only a colour; a part of them is painted then. */
const ARROWS_MAX = 1000;
/** Events that have a mark of their own on the lane, with the word beside it. @type {Record<string, string>} */
const MARKS = {
  adopted: "leads",
  preempted: "preempted",
  stepped_down: "steps down",
  suspected: "suspects",
  backed_off: "backs off",
  halted: "halts",
  fenced: "fenced",
  killed: "killed",
  restarted: "restarts",
  installed: "installs",
  reconfigured: "new epoch",
  chosen: "",
  applied: "",
};

/** What one painting needs: the diagram, and what was painted already. */
export class Scene {
  /** @param {Diagram} diagram */
  constructor(diagram) {
    this.diagram = diagram;
    this.ink = diagram.context;
    this.colours = diagram.palette;
    const { from, to } = diagram.range;
    this.from = from;
    this.to = to;
    /** @type {Target[]} */
    this.targets = [];
    /** Where labels are, of each lane. @type {Map<number, number[]>} */
    this.taken = new Map();
    /** Labels are painted last. @type {(() => void)[]} */
    this.labels = [];
  }

  /** True if a fact is not to step back behind those that are searched for.
   * @param {Fact | null} fact */
  isShown(fact) {
    const { matches } = this.diagram;
    return matches === null || (fact !== null && matches.has(fact));
  }

  /** True if an arrow is not to step back.
   * @param {Arrow} arrow */
  shows(arrow) {
    return this.isShown(arrow.sent) || (arrow.end !== null && this.isShown(arrow.end));
  }

  /** Writes a label beside a lane, unless another one is there.
   * @param {number} node
   * @param {number} y
   * @param {string} text
   * @param {string} colour
   * @param {string} [weight] */
  label(node, y, text, colour, weight = "") {
    const taken = this.taken.get(node) ?? [];
    if (text === "" || taken.some((other) => Math.abs(other - y) < 13)) return;
    this.taken.set(node, [...taken, y]);
    const { ink } = this;
    // What is bold is rare, and may go on over the next lane.
    const { lane } = this.diagram;
    const room = Math.max(lane - 10, weight === "" ? 52 : 112);
    this.labels.push(() => {
      ink.font = `${weight} 11px ${FONT}`;
      const shown = fitting(ink, text, room);
      ink.lineWidth = 3;
      ink.lineJoin = "round";
      ink.strokeStyle = this.colours.paper;
      ink.strokeText(shown, this.diagram.x(node) + 8, y + 4);
      ink.fillStyle = colour;
      ink.fillText(shown, this.diagram.x(node) + 8, y + 4);
    });
  }
}

/** Texts that were cut off, as to measure them takes long. @type {Map<string, string>} */
const CUT = new Map();

/** Returns as much of a text as there is room for.
 * @param {CanvasRenderingContext2D} ink
 * @param {string} text
 * @param {number} room */
function fitting(ink, text, room) {
  const name = `${ink.font} ${room} ${text}`;
  let shown = CUT.get(name);
  if (shown === undefined) {
    shown = text;
    while (shown.length > 2 && ink.measureText(shown).width > room) shown = `${shown.slice(0, -2)}…`;
    CUT.set(name, shown);
  }
  return shown;
}

/** Paints the diagram, and returns what can be pointed at.
 * @param {Diagram} diagram
 * @returns {Target[]} */
export function paint(diagram) {
  const scene = new Scene(diagram);
  const { ink } = scene;
  ink.clearRect(0, 0, diagram.width, diagram.height);
  ink.save();
  ink.beginPath();
  ink.rect(GUTTER - 4, HEAD, diagram.width - GUTTER + 4, diagram.height - HEAD);
  ink.clip();
  faults(scene);
  lanes(scene);
  const arrows = diagram.run.messages.between(scene.from, scene.to);
  const { shown, step, isWhole } = choice(scene, arrows);
  now(scene);
  marks(scene, !isWhole);
  for (const arrow of shown) message(scene, arrow);
  if (isWhole) names(scene, shown);
  for (const label of scene.labels) label();
  dots(scene, shown);
  ink.restore();
  axis(scene);
  heads(scene);
  if (step > 1) notice(scene, `1 of ${step}${isWhole ? " other" : ""} messages is drawn: zoom in for all`);
  return scene.targets;
}

/** Chooses the arrows to paint: all of them, or all that are searched for and a part of the others, or a part.
 * @param {Scene} scene
 * @param {Arrow[]} arrows */
function choice(scene, arrows) {
  const isAsked = (/** @type {Arrow} */ arrow) => isSelected(scene, arrow) || scene.shows(arrow);
  const asked = scene.diagram.matches ? arrows.filter(isAsked) : arrows;
  const isWhole = asked.length <= ARROWS_MAX;
  const rest = isWhole && asked !== arrows ? arrows.filter((arrow) => !isAsked(arrow)) : [];
  const step = Math.ceil(Math.max(asked.length, rest.length) / ARROWS_MAX);
  const part = (/** @type {Arrow} */ arrow, /** @type {number} */ index) => index % step === 0 || isSelected(scene, arrow);
  const shown = isWhole ? [...rest.filter(part), ...asked] : asked.filter(part);
  return { shown, step, isWhole };
}

/** Paints faults of the network over all lanes, and those of a node on its lane.
 * @param {Scene} scene */
function faults({ diagram, ink, colours, labels, from, to }) {
  for (const fault of diagram.run.faults) {
    if (fault.to < from || fault.from > to) continue;
    const [top, end] = [diagram.y(fault.from), diagram.y(fault.to)];
    const isOfNetwork = fault.sets.length > 0;
    const half = Math.min(14, diagram.lane / 2 - 2);
    const left = isOfNetwork ? GUTTER : diagram.x(fault.node) - half;
    const width = isOfNetwork ? diagram.lane * diagram.run.head.nodes : 2 * half;
    ink.globalAlpha = isOfNetwork ? 0.13 : 0.22;
    ink.fillStyle = colours.fault;
    ink.fillRect(left, top, width, Math.max(2, end - top));
    ink.globalAlpha = 0.8;
    ink.strokeStyle = colours.fault;
    ink.setLineDash([5, 3]);
    ink.lineWidth = 1;
    ink.strokeRect(left + 0.5, top + 0.5, width - 1, Math.max(2, end - top));
    ink.setLineDash([]);
    ink.globalAlpha = 1;
    const sides = fault.sets.map((set) => `{${set.join(" ")}}`).join(" | ");
    labels.push(() => {
      ink.font = `italic 11px ${FONT}`;
      ink.lineWidth = 3;
      ink.strokeStyle = colours.paper;
      ink.fillStyle = colours.fault;
      const [x, y] = [isOfNetwork ? left + 6 : left + width + 3, Math.max(top, HEAD) + 15];
      ink.strokeText(`${fault.kind} ${sides}`.trim(), x, y);
      ink.fillText(`${fault.kind} ${sides}`.trim(), x, y);
    });
  }
}

/** Paints the life of each node: a line, thick while it leads, and broken while it is down.
 * @param {Scene} scene */
function lanes({ diagram, ink, colours, from, to }) {
  const { run } = diagram;
  const [top, end] = [Math.max(HEAD, diagram.y(0)), Math.min(diagram.height, diagram.y(run.end))];
  for (let node = 0; node < run.head.nodes; node += 1) {
    const x = diagram.x(node);
    ink.strokeStyle = colours.line;
    ink.lineWidth = 1.5;
    line(ink, x, top, x, end);
  }
  for (const term of run.terms) {
    if (term.to < from || term.from > to) continue;
    const x = diagram.x(term.node);
    ink.globalAlpha = 0.35;
    ink.strokeStyle = colours.role.Leader;
    ink.lineWidth = 8;
    line(ink, x, diagram.y(term.from), x, diagram.y(term.to));
    ink.globalAlpha = 1;
  }
  for (const down of run.downs) {
    if (down.to < from || down.from > to) continue;
    const x = diagram.x(down.node);
    ink.strokeStyle = colours.paper;
    ink.lineWidth = 4;
    line(ink, x, diagram.y(down.from), x, diagram.y(down.to));
    ink.strokeStyle = colours.loss;
    ink.lineWidth = 1.5;
    ink.setLineDash([2, 5]);
    line(ink, x, diagram.y(down.from), x, diagram.y(down.to));
    ink.setLineDash([]);
  }
}

/** True if an arrow is of the message that was clicked.
 * @param {Scene} scene
 * @param {Arrow} arrow */
function isSelected({ diagram }, arrow) {
  return diagram.selected?.id !== undefined && diagram.selected.id === arrow.id;
}

/** Paints an arrow.
 * @param {Scene} scene
 * @param {Arrow} arrow */
function message(scene, arrow) {
  const { diagram, ink, colours } = scene;
  const { x0, y0, x1, y1 } = place(diagram, arrow);
  const isChosen = isSelected(scene, arrow);
  const isShown = isChosen || scene.shows(arrow);
  const isNear = diagram.near?.arrow === arrow;
  const isThis = isChosen && (diagram.selected === arrow.end || diagram.selected === arrow.sent);
  ink.globalAlpha = isShown ? (arrow.fate === "ignored" && !isChosen ? 0.55 : 0.9) : 0.07;
  ink.strokeStyle = ink.fillStyle = colours.role[arrow.role] ?? colours.ink;
  ink.lineWidth = isThis || isNear ? 3 : isChosen ? 2 : 1.2;
  const dash = arrow.twice ? [7, 3] : arrow.kind.startsWith("heartbeat") ? [2, 3] : null;
  if (dash) ink.setLineDash(dash);
  line(ink, x0, y0, x1, y1);
  if (dash) ink.setLineDash([]);
  if (arrow.fate === "lost" || arrow.fate === "unsent" || arrow.fate === "missed") {
    ink.strokeStyle = colours.loss;
    ink.lineWidth = isThis || isNear ? 3 : 2;
    line(ink, x1 - 4, y1 - 4, x1 + 4, y1 + 4);
    line(ink, x1 - 4, y1 + 4, x1 + 4, y1 - 4);
  } else if (arrow.fate !== "flying") {
    tip(ink, x0, y0, x1, y1, arrow.fate === "ignored");
  }
  if (arrow.late) broken(scene, (x0 + x1) / 2, (y0 + y1) / 2);
  if (arrow.twice) {
    ink.font = `bold 10px ${FONT}`;
    ink.fillText("2nd", (x0 + x1) / 2 + 3, (y0 + y1) / 2 - 3);
  }
  ink.globalAlpha = 1;
  if (isShown) scene.targets.push({ x0, y0, x1, y1, fact: arrow.end ?? arrow.sent, arrow });
}

/** Paints the head of an arrow; a hollow one for a message that was ignored.
 * @param {CanvasRenderingContext2D} ink
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 * @param {boolean} isHollow */
function tip(ink, x0, y0, x1, y1, isHollow) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  ink.beginPath();
  ink.moveTo(x1, y1);
  ink.lineTo(x1 - 8 * Math.cos(angle - 0.35), y1 - 8 * Math.sin(angle - 0.35));
  ink.lineTo(x1 - 8 * Math.cos(angle + 0.35), y1 - 8 * Math.sin(angle + 0.35));
  ink.closePath();
  if (isHollow) ink.stroke();
  else ink.fill();
}

/** Paints the break in the line of a message that a fault made late.
 * @param {Scene} scene
 * @param {number} x
 * @param {number} y */
function broken({ ink, colours }, x, y) {
  ink.fillStyle = colours.paper;
  ink.fillRect(x - 3, y - 5, 6, 10);
  ink.strokeStyle = colours.fault;
  ink.lineWidth = 2;
  line(ink, x - 5, y + 5, x - 1, y - 5);
  line(ink, x + 1, y + 5, x + 5, y - 5);
}

/** Paints what happened within nodes. With `onlyGreat`, as long as there is too much to see, only what decides.
 * @param {Scene} scene
 * @param {boolean} onlyGreat */
function marks(scene, onlyGreat) {
  const { diagram, ink, colours } = scene;
  const { run } = diagram;
  const first = run.count(scene.from - 1);
  for (const fact of run.facts.slice(first, run.count(scene.to))) {
    const word = MARKS[fact.e];
    if (word === undefined || (onlyGreat && word === "")) continue;
    const [x, y] = [diagram.x(fact.n), diagram.y(fact.t)];
    const isShown = scene.isShown(fact) || diagram.selected === fact;
    ink.globalAlpha = isShown ? 1 : 0.08;
    ink.fillStyle = ink.strokeStyle = colours.role[fact.r] ?? colours.ink;
    const size = diagram.selected === fact ? 7 : fact.e === "applied" ? 2.5 : 5;
    glyph(ink, fact.e, x, y, size);
    const slot = fact.slots?.[0][0];
    const text = fact.e === "chosen" ? `slot ${slot}` : fact.e === "adopted" ? `leads ${ballotText(fact.ballots?.[0])}` : word;
    if (isShown) {
      const colour = colours.role[fact.r] ?? colours.ink;
      if (fact.e !== "applied") scene.label(fact.n, y - (fact.e === "adopted" ? 9 : 0), text, colour, "bold");
      scene.targets.push({ x0: x, y0: y, x1: x, y1: y, fact, arrow: null });
    }
    ink.globalAlpha = 1;
  }
}

/** Paints the mark of an event.
 * @param {CanvasRenderingContext2D} ink
 * @param {string} event
 * @param {number} x
 * @param {number} y
 * @param {number} size */
function glyph(ink, event, x, y, size) {
  ink.beginPath();
  if (event === "applied") {
    ink.rect(x - size, y - size, 2 * size, 2 * size);
  } else if (event === "chosen") {
    ink.moveTo(x, y - size);
    ink.lineTo(x + size, y);
    ink.lineTo(x, y + size);
    ink.lineTo(x - size, y);
  } else if (event === "adopted") {
    for (let point = 0; point < 10; point += 1) {
      const angle = (point * Math.PI) / 5 - Math.PI / 2;
      const far = (point % 2 === 0 ? 1.9 : 0.8) * size;
      ink.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
    }
  } else {
    ink.arc(x, y, size - 0.5, 0, 2 * Math.PI);
  }
  ink.closePath();
  ink.fill();
}

/** Writes the kinds of messages where they leave.
 * @param {Scene} scene
 * @param {Arrow[]} arrows */
function names(scene, arrows) {
  let last = "";
  for (const arrow of arrows) {
    if (arrow.id === last || arrow.twice) continue;
    last = arrow.id;
    if (!scene.isShown(arrow.sent) && !isSelected(scene, arrow)) continue;
    const colour = scene.colours.role[arrow.role] ?? scene.colours.ink;
    scene.label(arrow.from, scene.diagram.y(arrow.left), arrow.kind, colour);
  }
}
