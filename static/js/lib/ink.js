/**
 * A drawing as a list of marks: strokes, pictures and clearings, in the order they were made, so that undo takes back any of
 * them. Drawn twice from the same list: once for the eye, at the screen's resolution, and once for the network, SIDE × SIDE.
 */

import { toBase64 } from "./frames.js";
import { SIDE } from "./image.js";

/** Places are shares of the pad's side, 0..1. @typedef {{ kind: "stroke", points: [number, number][], width: number }} Stroke */
/** @typedef {Stroke | { kind: "picture", ink: Uint8Array } | { kind: "clear" }} Mark */

export class Ink {
  /** @type {Mark[]} */ marks = [];
  #context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true }));

  /** Marks that can be seen: those after the last clearing; a picture clears too. */
  get visible() {
    const from = this.marks.findLastIndex(mark => mark.kind !== "stroke");
    return this.marks.slice(Math.max(0, from)).filter(mark => mark.kind !== "clear");
  }

  get empty() { return this.visible.length === 0; }

  /** @param {[number, number]} point @param {number} width share of the side */
  begin(point, width) { this.marks.push({ kind: "stroke", points: [point], width }); }

  /** @param {[number, number]} point */
  extend(point) {
    const stroke = this.marks.at(-1);
    if (stroke?.kind === "stroke") stroke.points.push(point);
  }

  clear() { if (!this.empty) this.marks.push({ kind: "clear" }); }

  undo() { return this.marks.pop() !== undefined; }

  /** @param {Uint8Array} ink SIDE × SIDE */
  put(ink) { this.marks.push({ kind: "picture", ink }); }

  /** @returns {{ size: number, ink_base64: string }} 0 = paper, 255 = ink, row-major */
  encode() {
    this.draw(this.#context, SIDE, "#000");
    const { data } = this.#context.getImageData(0, 0, SIDE, SIDE);
    return { size: SIDE, ink_base64: toBase64(Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3])) };
  }

  /** @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context @param {number} side @param {string} colour */
  draw(context, side, colour) {
    context.clearRect(0, 0, side, side);
    for (const mark of this.visible) {
      if (mark.kind === "picture") context.drawImage(picture(mark.ink, colour), 0, 0, side, side);
      else if (mark.kind === "stroke") drawStroke(context, mark, side, colour);
    }
  }
}

/**
 * Quadratic curves through the midpoints of what the pointer reported, so that a quick stroke is round and not a polygon.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context @param {Stroke} stroke @param {number} side @param {string} colour
 */
function drawStroke(context, { points, width }, side, colour) {
  context.strokeStyle = colour;
  context.lineWidth = width * side;
  context.lineJoin = context.lineCap = "round";
  context.beginPath();
  const [x, y] = points[0];
  context.moveTo(x * side, y * side);
  for (let i = 1; i < points.length - 1; i++) {
    const [cx, cy] = points[i], [nx, ny] = points[i + 1];
    context.quadraticCurveTo(cx * side, cy * side, (cx + nx) / 2 * side, (cy + ny) / 2 * side);
  }
  const [endX, endY] = points[points.length - 1];
  const little = points.length > 1 ? 0 : 0.01; // a single point is a round dot, but a line without any length is not drawn
  context.lineTo(endX * side + little, endY * side);
  context.stroke();
}

/** @param {Uint8Array} ink @param {string} colour */
function picture(ink, colour) {
  const canvas = new OffscreenCanvas(SIDE, SIDE), context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = new ImageData(SIDE, SIDE);
  for (let i = 0; i < ink.length; i++) image.data[4 * i + 3] = ink[i];
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in"; // the alpha stays, the colour is the ink's
  context.fillStyle = colour;
  context.fillRect(0, 0, SIDE, SIDE);
  return canvas;
}
