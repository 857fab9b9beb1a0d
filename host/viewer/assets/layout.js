// Where things are in the diagram.

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./messages.js").Arrow} Arrow */
/** @typedef {import("./diagram.js").Diagram} Diagram */

/** The height of the row of names. */
export const HEAD = 46;
/** The width of the column of times. */
export const GUTTER = 74;
/** The font of the diagram. */
export const FONT = "system-ui, sans-serif";

/** What was painted and can be pointed at.
 * @typedef {object} Target
 * @property {number} x0
 * @property {number} y0
 * @property {number} x1
 * @property {number} y1
 * @property {Fact | null} fact
 * @property {Arrow | null} arrow */

/** Paints a line.
 * @param {CanvasRenderingContext2D} ink
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1 */
export function line(ink, x0, y0, x1, y1) {
  ink.beginPath();
  ink.moveTo(x0, y0);
  ink.lineTo(x1, y1);
  ink.stroke();
}

/** Returns where an arrow is. One that was lost ends half-way, and one under way at the end of the run.
 * @param {Diagram} diagram
 * @param {Arrow} arrow */
export function place(diagram, arrow) {
  const [x0, y0] = [diagram.x(arrow.from), diagram.y(arrow.left)];
  const x1 = diagram.x(arrow.to);
  if (arrow.fate === "lost" || arrow.fate === "unsent") {
    // Between two lanes, or it would look as if it had come to the node of a lane on its way.
    const lanes = Math.abs(arrow.to - arrow.from);
    const share = (lanes % 2 === 0 ? lanes - 1 : lanes) / 2 / lanes;
    const fall = diagram.run.messages.usual / diagram.perPixel;
    return { x0, y0, x1: x0 + (x1 - x0) * share, y1: y0 + fall * share };
  }
  const at = arrow.fate === "flying" ? diagram.run.end : arrow.at;
  return { x0, y0, x1, y1: diagram.y(at) };
}
