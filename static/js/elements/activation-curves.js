/**
 * `<activation-curves>`: an activation function and its slope side by side, the regions shaded where learning is slow, and
 * under the function, on the same axis, how the inputs of each layer's units are spread over the training examples.
 *
 * The page sets `figures`. Pointing at a place reads both off there. In slow motion the inputs of the first example of the
 * batch are marked: forward on each layer's own axis, backward on the slope.
 */

import { FigureCanvas } from "../lib/figure-canvas.js";
import { axesIn, dot, rule, trace } from "../lib/axes.js";
import { make, write } from "../lib/dom.js";
import { fixed, integer, percent, significant } from "../lib/format.js";
import { halo, lettered } from "../lib/marks.js";
import { colour } from "../lib/palette.js";

/**
 * @typedef {{ title: string, layer: string | null, inputs: number[], outputs: number[], slopes: number[], regions: [number, number][], share: number,
 *   layers: { counts: number[], slow: number, slope: number }[] }} Figures
 */
/** @typedef {ReturnType<typeof axesIn>} Plot */

const STRIP = 26; // height of a layer's histogram at the usual size of type
const NARROW = 480; // below this both plots stand under each other

/** @extends {FigureCanvas<Figures>} */
class ActivationCurves extends FigureCanvas {
  #reading = make("p", { class: "note readout", "aria-hidden": "true" });
  /** @type {Plot[]} */ #plots = [];
  /** Where it is pointed at, as an input. @type {number | null} */ #place = null;
  /** Slow motion: the stage, the network's activation layers, and of each hidden layer the inputs of one example. @type {{ stage: string, functions: string[], inputs: number[][] } | null} */ #told = null;

  build() {
    super.build(this.#reading);
    this.canvas.onpointermove = event => this.#point(event);
    this.canvas.onpointerleave = () => { this.#place = null; this.redraw(); };
  }

  /** @param {string | null} stage @param {NarratedUpdate} told */
  narrate(stage, told) {
    const functions = told.layers.filter(({ type }) => type !== "dense").map(({ type }) => type);
    const inputs = told.layers.filter(({ type }) => type === "dense").slice(0, -1).map(({ outputs }) => /** @type {number[]} */ (outputs.values ?? []));
    this.#told = stage ? { stage, functions, inputs } : null;
    this.redraw();
  }

  /** Of the example that is told about, the inputs of each hidden layer at a stage; none where it is of another network. @param {string} stage */
  #inputsAt(stage) {
    const told = this.#told, { layer, layers } = /** @type {Figures} */ (this.given);
    const ours = told?.stage === stage && told.inputs.length === layers.length && told.functions.every(type => type === layer);
    return ours ? told.inputs : [];
  }

  /** @param {PointerEvent} event */
  #point({ offsetX, offsetY }) {
    const figures = this.given, plot = this.#plots.find(({ box }) => offsetX >= box.left && offsetX <= box.right && offsetY >= box.top);
    const reach = figures ? figures.inputs[figures.inputs.length - 1] : 0;
    this.#place = plot ? reach * (2 * (offsetX - plot.box.left) / (plot.box.right - plot.box.left) - 1) : null;
    this.redraw();
  }

  /** @param {Figures} figures */
  draw(figures) {
    const { context, width, height } = lettered(this.canvas), rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const { inputs, outputs, slopes, layers } = figures, strips = (layers.length * STRIP + 4) * rem;
    const across = { name: "in", range: /** @type {[number, number]} */ ([inputs[0], inputs[inputs.length - 1]]), ticks: [-8, -4, 0, 4, 8] };
    const narrow = width < NARROW * rem, half = narrow ? (height - strips) / 2 : height - strips;
    const left = axesIn(context, { left: 0, right: narrow ? width : width / 2, top: 0, bottom: half }, across, { name: `g, ${figures.title}`, range: around(outputs) });
    const right = axesIn(context, narrow ? { left: 0, right: width, top: half + strips, bottom: height } : { left: width / 2, right: width, top: 0, bottom: half }, across, { name: "g′, its slope", range: around(slopes) });
    this.#plots = [left, right];
    this.#shade(left, half + layers.length * STRIP * rem);
    this.#shade(right, right.box.bottom);
    trace(left, inputs, outputs, { token: "series-1", width: 2.25 });
    trace(right, inputs, slopes, { token: "series-2", width: 2.25 });
    layers.forEach((layer, k) => this.#strip(left, layer, k, half + (k + 1) * STRIP * rem, narrow ? null : right.box.left));
    this.#mark(right, this.#inputsAt("backward").flat(), input => right.Y(slopes[this.#nearest(input)]));
    this.#read();
    this.#say();
  }

  /** Dots for inputs, those beyond the axis at its ends. @param {Plot} plot @param {number[]} inputs @param {(input: number) => number} height */
  #mark({ context, box, X, rem }, inputs, height) {
    for (const input of inputs) dot(context, Math.max(box.left, Math.min(box.right, X(input))), height(input), "ink", 4 * rem);
  }

  /** The place in `inputs` that is nearest to one. @param {number} input */
  #nearest(input) {
    const { inputs } = /** @type {Figures} */ (this.given);
    return Math.max(0, Math.min(inputs.length - 1, Math.round((input - inputs[0]) / (inputs[1] - inputs[0]))));
  }

  /** @param {Plot} plot @param {number} bottom */
  #shade({ context, box, X }, bottom) {
    const { regions, slopes } = /** @type {Figures} */ (this.given);
    context.save();
    context.globalCompositeOperation = "destination-over"; // under the lines that are there
    context.fillStyle = colour("warning-soft");
    for (const [from, to] of regions) context.fillRect(X(from), box.top, X(to) - X(from), bottom - box.top);
    context.restore();
    context.textAlign = "center";
    context.textBaseline = "middle";
    // The curves are flat there, at the top or at the bottom.
    for (const [from, to] of regions) halo(context, slopes[this.#nearest((from + to) / 2)] === 0 ? "flat" : "slow", (X(from) + X(to)) / 2, (box.top + box.bottom) / 2);
  }

  /**
   * One layer's histogram on the axis of the function; what it says in figures stands beside it where there is room.
   * @param {Plot} plot @param {{ counts: number[], slow: number, slope: number }} layer @param {number} k
   * @param {number} bottom @param {number | null} beside
   */
  #strip(plot, { counts, slow, slope }, k, bottom, beside) {
    const { context, box, rem } = plot, highest = Math.max(1, ...counts), wide = (box.right - box.left) / counts.length, high = (STRIP - 6) * rem;
    counts.forEach((count, i) => {
      context.fillStyle = colour(i < counts.length / 2 ? "negative" : "positive");
      context.fillRect(box.left + i * wide + 0.5, bottom, wide - 1, -Math.max(count ? 1 : 0, count / highest * high));
    });
    rule(context, "edge", [[box.left, bottom], [box.right, bottom]]);
    this.#mark(plot, this.#inputsAt("forward")[k] ?? [], () => bottom - 4 * rem);
    context.textBaseline = "bottom";
    context.textAlign = "right";
    halo(context, integer(k + 1), box.left - 6 * rem, bottom);
    context.textAlign = beside === null ? "right" : "left";
    const words = `${percent(slow, 0)} slow, mean slope ${fixed(slope, 3)}`;
    halo(context, beside === null ? words : `Layer ${k + 1}: ${words}`, beside ?? box.right - 2 * rem, bottom - (beside === null ? 4 : 2) * rem);
  }

  /** What is pointed at, in both plots and in words. */
  #read() {
    const { inputs, outputs, slopes } = /** @type {Figures} */ (this.given), place = this.#place;
    if (place === null) {
      const share = /** @type {Figures} */ (this.given).share;
      return write(this.#reading, `Shaded: the slope is below ${percent(share, 0)} of its largest.`);
    }
    const at = this.#nearest(place);
    [outputs, slopes].forEach((values, k) => {
      const { context, box, X, Y } = this.#plots[k];
      rule(context, "edge", [[X(inputs[at]), box.top], [X(inputs[at]), box.bottom]]);
      dot(context, X(inputs[at]), Y(values[at]), k ? "series-2" : "series-1");
    });
    write(this.#reading, `in = ${fixed(inputs[at], 1)}: g = ${significant(outputs[at])}, g′ = ${significant(slopes[at])}`);
  }

  #say() {
    const { title, slopes, regions, layers } = /** @type {Figures} */ (this.given);
    const slow = regions.length ? `Learning is slow ${regions.map(([from, to]) => `from ${fixed(from, 1)} to ${fixed(to, 1)}`).join(" and ")}.` : "Learning is slow nowhere.";
    const where = layers.map((layer, k) => `layer ${k + 1} has ${percent(layer.slow, 0)} of its inputs there`).join(", ");
    this.canvas.setAttribute("aria-label", `The ${title} function and its slope, which is at most ${significant(Math.max(...slopes))}. ${slow}${where ? ` Of the network, ${where}.` : ""}`);
  }
}

/** A range that holds all values and zero, with some room. @param {number[]} values @returns {[number, number]} */
function around(values) {
  const low = Math.min(0, ...values), high = Math.max(0, ...values), room = 0.06 * (high - low);
  return [low < 0 ? low - room : 0, high + room];
}

customElements.define("activation-curves", ActivationCurves);
export { ActivationCurves };
