/**
 * `<map-dialog>`: any map enlarged, live while the network trains. The value under the pointer (or under the cursor that the
 * arrow keys with Shift move) stands beside it with its neighbours; ← and → go to the next map of the same part.
 */

import { make, write } from "../lib/dom.js";
import { fixed, integer, range, significant } from "../lib/format.js";
import { mapName, paletteOf, part as partOf } from "../lib/frames.js";
import { Pace } from "../lib/pace.js";
import { largest, limits, paint } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

/** @typedef {import("../lib/frames.js").Part} Part */
/** @typedef {{ layer: number | "input", part: Part, map: number }} Choice */

const REACH = 2; // neighbours on each side: five by five
/** @type {Record<string, string>} */
const ORIGIN = {
  relu: "The value of the layer before where that is above zero, zero elsewhere.",
  leaky_relu: "The value of the layer before, flattened where that is below zero.",
  tanh: "The hyperbolic tangent of the layer before: between −1 and 1.",
  sigmoid: "The layer before, pressed between 0 and 1.",
  softplus: "A smooth ReLU of the layer before.",
  gelu: "The layer before, times how sure a bell curve is that it is large: a ReLU with a soft corner.",
  maxout: "The largest of its group of neighbours in the layer before.",
  local_response_normalization: "The layer before, smaller where the neighbouring maps are large in the same place.",
  batch_normalization: "The layer before, shifted and scaled to the spread that was learned for its map.",
  dropout: "The layer before: dropout is idle when the network is asked.",
  flatten: "The same numbers, in one column.",
  max_pool2d: "The largest value in its window of the map before.",
  max_pool1d: "The largest of neighbouring values in a row of the map before.",
  avg_pool2d: "The mean of its window of the map before.",
  global_avg_pool2d: "The mean of the whole map before.",
  dense: "The sum of every input times its weight, plus the bias.",
};

class MapDialog extends HTMLElement {
  #dialog = make("dialog", { class: "map-dialog", "aria-labelledby": "map-dialog-title" });
  #title = make("h2", { id: "map-dialog-title" });
  #canvas = make("canvas", { class: "map", role: "img", width: 1, height: 1 });
  #caption = make("figcaption");
  #place = make("h3");
  #table = make("table", {}, make("caption", {}, "It and its neighbours"), make("tbody"));
  #origin = make("p", { class: "note" });
  /** @type {Frame | null} */ #frame = null;
  /** @type {Choice} */ #choice = { layer: "input", part: "activations", map: 0 };
  #x = 0;
  #y = 0;
  #label = "";
  #labels = new Pace(4000, () => this.#canvas.setAttribute("aria-label", this.#label));
  perMap = false;

  connectedCallback() {
    const step = (/** @type {number} */ by) => () => this.#go(by);
    const before = make("button", { class: "button", type: "button", "aria-label": "The map before", title: "←" }, "←");
    const after = make("button", { class: "button", type: "button", "aria-label": "The next map", title: "→" }, "→");
    const close = make("button", { class: "button quiet", "aria-label": "Close", title: "Esc" }, "Close");
    before.addEventListener("click", step(-1));
    after.addEventListener("click", step(1));
    this.#dialog.append(
      make("div", { class: "head" }, this.#title, make("div", { class: "row push" }, make("div", { class: "group" }, before, after), make("form", { method: "dialog" }, close))),
      make("div", { class: "enlarged" },
        make("figure", { class: "figure" }, make("div", { class: "tiles" }, this.#canvas), this.#caption),
        make("div", { class: "stack" }, this.#place, this.#table, this.#origin)),
    );
    this.replaceChildren(this.#dialog);
    this.#dialog.addEventListener("keydown", event => this.#key(event));
    // A click beside the dialog falls on the dialog element itself, its contents cover the rest.
    this.#dialog.addEventListener("click", event => { if (event.target === this.#dialog) this.#dialog.close(); });
    this.#canvas.addEventListener("pointermove", event => {
      const { left, top, width, height } = this.#canvas.getBoundingClientRect();
      this.#x = Math.floor((event.clientX - left) / width * this.#canvas.width);
      this.#y = Math.floor((event.clientY - top) / height * this.#canvas.height);
      this.#draw();
    });
    onPaletteChange(() => this.#draw());
  }

  get open() { return this.#dialog.open; }

  /** @param {Choice} choice */
  enlarge(choice) {
    this.#choice = choice;
    const stack = this.#frame && partOf(this.#frame, choice.layer, choice.part);
    if (!stack) return;
    this.#x = stack.width >> 1;
    this.#y = stack.height >> 1;
    this.#labels.hurry();
    if (!this.open) this.#dialog.showModal();
    this.#draw();
  }

  /** @param {Frame} frame */
  show(frame) {
    this.#frame = frame;
    if (this.open) this.#draw();
  }

  /** @param {number} by */
  #go(by) {
    const stack = this.#frame && partOf(this.#frame, this.#choice.layer, this.#choice.part);
    if (!stack) return;
    this.#choice.map = (this.#choice.map + by + stack.maps.length) % stack.maps.length;
    this.#labels.hurry();
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    if (move[1] || event.shiftKey) {
      this.#x += move[0];
      this.#y += move[1];
      this.#draw();
    } else this.#go(move[0]);
  }

  #draw() {
    const frame = this.#frame, { layer, part, map } = this.#choice;
    const stack = frame && partOf(frame, layer, part), values = stack?.maps[map];
    if (!frame || !stack || !values) return;
    const { width, height } = stack, name = paletteOf(layer), key = `${layer} ${part}`;
    const limit = name === "ink" ? 1 : this.perMap ? limits.follow(`${key} ${map}`, largest(values)) : limits.follow(key, stack.largest);
    paint(this.#canvas, values, width, height, limit, name);
    this.#canvas.style.setProperty("--ratio", String(width / height));
    this.#x = Math.max(0, Math.min(width - 1, this.#x));
    this.#y = Math.max(0, Math.min(height - 1, this.#y));
    let low = Infinity, high = -Infinity;
    for (const v of values) { low = Math.min(low, v); high = Math.max(high, v); }
    write(this.#title, mapName(frame, layer, part, map));
    write(this.#caption, `${width}×${height}, ${range(low, high)}; colours to ±${significant(limit)}. Update ${integer(frame.step)}`);
    this.#label = `${mapName(frame, layer, part, map)}, ${width} by ${height} values from ${range(low, high).replace(" … ", " to ")}.`;
    this.#labels.wish();
    this.#neighbours(values, width, height);
    write(this.#origin, part === "activations" ? origin(frame, layer, map) : part === "gradients"
      ? "How fast the loss grows with this value. Training moves the weights against it." : part === "weights"
      ? "Learned. Blue adds to the sum, orange takes away." : "How fast the loss grows with each of these weights, for this example.");
  }

  /** @param {Float32Array} values @param {number} width @param {number} height */
  #neighbours(values, width, height) {
    const here = values[this.#y * width + this.#x];
    write(this.#place, values.length === 1 ? `Value: ${significant(here)}` : `Row ${this.#y + 1}, column ${this.#x + 1}: ${significant(here)}`);
    this.#table.hidden = values.length === 1;
    const span = Array.from({ length: 2 * REACH + 1 }, (_, k) => k - REACH), body = this.#table.tBodies[0];
    if (!body.rows.length) body.append(...span.map(() => make("tr", {}, ...span.map(() => make("td")))));
    const digits = largest(values) < 0.1 ? 4 : 2;
    span.forEach((dy, r) => span.forEach((dx, c) => {
      const x = this.#x + dx, y = this.#y + dy, cell = body.rows[r].cells[c];
      write(cell, x < 0 || y < 0 || x >= width || y >= height ? "" : fixed(values[y * width + x], digits));
      cell.toggleAttribute("data-here", !dx && !dy);
    }));
  }
}

/** Where an activation comes from, in a sentence. @param {Frame} frame @param {number | "input"} layer @param {number} map */
function origin(frame, layer, map) {
  if (layer === "input") return "Ink from 0 (paper) to 1.";
  const { type, weights } = frame.layers[layer];
  if ((type !== "conv2d" && type !== "conv1d") || !weights) return ORIGIN[type] ?? "";
  const [, channels, height, width] = weights.shape;
  return `The sum of ${integer(channels * height * width)} products of filter ${map + 1} and what lies under it, plus the bias.`;
}

customElements.define("map-dialog", MapDialog);
export { MapDialog };
