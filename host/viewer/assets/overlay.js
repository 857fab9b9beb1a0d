// What is painted over the diagram and does not scroll with it: times, names, and the playhead.
import { seconds } from "./text.js";
import { FONT, GUTTER, HEAD, line, place } from "./layout.js";

/** @typedef {import("./messages.js").Arrow} Arrow */
/** @typedef {import("./drawing.js").Scene} Scene */

/** Signs of states, where there is no room for words, as in the panel. @type {Record<string, string>} */
const SIGNS = { leading: "★", voting: "●", down: "✕", halted: "✕" };

/** Paints the times at the left.
 * @param {Scene} scene */
export function axis({ diagram, ink, colours, from, to }) {
  ink.font = `11px ${FONT}`;
  const least = 60 * diagram.perPixel;
  const unit = 10 ** Math.ceil(Math.log10(least));
  const step = [unit / 5, unit / 2, unit].find((step) => step >= least) ?? unit;
  ink.textAlign = "right";
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
    const y = diagram.y(t);
    const isCovered = Math.abs(y - diagram.y(diagram.time)) < 14;
    if (y < HEAD + 6 || isCovered) continue;
    ink.fillStyle = colours.muted;
    ink.fillText(`${seconds(t)} s`, GUTTER - 12, y + 4);
    ink.strokeStyle = colours.line;
    ink.lineWidth = 1;
    line(ink, GUTTER - 8, y, GUTTER - 3, y);
  }
  ink.textAlign = "left";
  const y = diagram.y(diagram.time);
  if (y < HEAD || y > diagram.height) return;
  ink.fillStyle = colours.accent;
  ink.fillRect(2, y - 9, GUTTER - 10, 18);
  ink.font = `bold 11px ${FONT}`;
  ink.fillStyle = colours.paper;
  ink.fillText(`${seconds(diagram.time)} s`, 8, y + 4);
}

/** Writes the names of the nodes, and what each is at the time of the playhead.
 * @param {Scene} scene */
export function heads({ diagram, ink, colours }) {
  const { run } = diagram;
  ink.fillStyle = colours.paper;
  ink.fillRect(0, 0, diagram.width, HEAD);
  ink.textAlign = "center";
  for (let node = 0; node < run.head.nodes; node += 1) {
    const x = diagram.x(node);
    if (x < GUTTER - 8) continue;
    const { state } = run.states.at(node, diagram.pointed ?? diagram.time);
    const isLeading = state === "leading";
    ink.font = `${isLeading ? "bold" : ""} ${diagram.lane < 64 ? 11 : 12}px ${FONT}`;
    ink.fillStyle = isLeading ? colours.role.Leader : colours.ink;
    ink.fillText(diagram.lane < 54 ? `${node}` : `NODE_${node}`, x, 19);
    ink.font = `${isLeading ? "bold" : ""} 10.5px ${FONT}`;
    ink.fillStyle = state === "down" ? colours.loss : isLeading ? colours.role.Leader : colours.muted;
    ink.fillText(diagram.lane < 46 ? SIGNS[state] ?? "○" : state, x, 34);
  }
  ink.textAlign = "left";
  ink.strokeStyle = colours.line;
  ink.lineWidth = 1;
  line(ink, 0, HEAD - 0.5, diagram.width, HEAD - 0.5);
}

/** Paints the lines of the playhead and of the pointer.
 * @param {Scene} scene */
export function now({ diagram, ink, colours }) {
  if (diagram.pointed !== null) {
    ink.strokeStyle = colours.muted;
    ink.lineWidth = 1;
    ink.setLineDash([3, 3]);
    line(ink, GUTTER - 8, diagram.y(diagram.pointed), diagram.width, diagram.y(diagram.pointed));
    ink.setLineDash([]);
  }
  ink.strokeStyle = colours.accent;
  ink.lineWidth = 1.5;
  line(ink, GUTTER - 8, diagram.y(diagram.time), diagram.width, diagram.y(diagram.time));
}

/** Paints a dot on each message that is under way at the time of the playhead.
 * @param {Scene} scene
 * @param {Arrow[]} arrows */
export function dots(scene, arrows) {
  const { diagram, ink, colours } = scene;
  const y = diagram.y(diagram.time);
  for (const arrow of arrows) {
    if (arrow.left >= diagram.time || arrow.at <= diagram.time || !scene.shows(arrow)) continue;
    const { x0, y0, x1, y1 } = place(diagram, arrow);
    const x = x0 + ((x1 - x0) * (y - y0)) / (y1 - y0);
    ink.beginPath();
    ink.arc(x, y, 3.5, 0, 2 * Math.PI);
    ink.fillStyle = colours.role[arrow.role] ?? colours.ink;
    ink.fill();
  }
}

/** Writes a line at the foot of the diagram.
 * @param {Scene} scene
 * @param {string} text */
export function notice({ diagram, ink, colours }, text) {
  ink.font = `12px ${FONT}`;
  const width = ink.measureText(text).width + 20;
  ink.fillStyle = colours.paper;
  ink.fillRect(GUTTER, diagram.height - 30, width, 24);
  ink.fillStyle = colours.ink;
  ink.fillText(text, GUTTER + 10, diagram.height - 14);
}
