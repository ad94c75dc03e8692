/**
 * `<unit-histograms>`: how the weights of each layer and the answers of its units are spread, and how many units are dead.
 * Below zero is orange, above it blue. The page sets `network`, the layers of the run, and gives it each frame.
 *
 * All children are its own: where the server's answers are morphed in, it carries `hx-morph-skip-children`.
 */

import { make, write } from "../lib/dom.js";
import { NONE, range } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { Redraw, surface } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";

const SAY_EVERY = 5000; // ms

/** These do not fall silent; a dead unit of theirs says the same everywhere. */
const SATURATING = new Set(["tanh", "sigmoid"]);

/** One histogram: a canvas and its ends in figures. @typedef {{ canvas: HTMLCanvasElement, ends: HTMLElement }} Spread */
/** @typedef {{ name: string, dead: HTMLElement, weights: Spread, activations: Spread }} Row */

class UnitHistograms extends HTMLElement {
  /** @type {Record<string, unknown>[]} */ network = [];
  /** @type {LayerHistogram[] | null} */ #latest = null;
  /** @type {Row[]} */ #rows = [];
  #shape = "";
  #total = make("dd", {}, NONE);
  #list = make("div", { class: "spreads" });
  #words = new Pace(SAY_EVERY, () => this.#say());
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.replaceChildren(make("dl", { class: "figures" }, make("div", {}, make("dt", {}, "Dead units"), this.#total)), this.#list);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
  }

  disconnectedCallback() {
    this.#redraw?.stop();
    this.#stop?.();
  }

  /** @param {PlaneFrame} frame */
  show(frame) {
    if (!frame.histograms) return;
    this.#latest = frame.histograms;
    this.#redraw?.request();
  }

  #draw() {
    const layers = this.#latest;
    if (!layers) return;
    const shape = layers.map(({ layer }) => `${layer} ${this.#name(layer)}`).join();
    if (shape !== this.#shape) this.#build(layers);
    this.#shape = shape;
    const hidden = layers.filter(({ layer }) => this.#name(layer) !== "Output");
    const sum = (/** @type {"dead" | "units"} */ of) => hidden.reduce((total, layer) => total + layer[of], 0);
    write(this.#total, hidden.length ? `${sum("dead")} of ${sum("units")}` : NONE);
    layers.forEach((layer, k) => {
      const row = this.#rows[k];
      write(row.dead, this.#dead(layer));
      bars(row.weights, layer.weights);
      bars(row.activations, layer.activations);
    });
    this.#words.wish();
  }

  /** @param {LayerHistogram[]} layers */
  #build(layers) {
    this.#rows = layers.map(({ layer }) => ({ name: this.#name(layer), dead: make("span"), weights: spread(), activations: spread() }));
    this.#list.replaceChildren(make("p", { class: "spread note" }, make("span", {}, "weights"), make("span", {}, "activations")), ...this.#rows.map(({ name, dead, weights, activations }) =>
      make("figure", { class: "figure" },
        make("figcaption", {}, make("b", {}, name), " ", dead),
        make("div", { class: "spread" }, ...[weights, activations].map(part => make("div", {}, part.canvas, part.ends))))));
    this.#words.hurry();
  }

  /** "Layer 2" or "Output". @param {number} layer */
  #name(layer) {
    const dense = this.network.flatMap(({ type }, index) => type === "dense" ? [index] : []), place = dense.indexOf(layer);
    return place === dense.length - 1 ? "Output" : `Layer ${place + 1}`;
  }

  /** @param {LayerHistogram} layer */
  #dead({ layer, units, dead }) {
    if (!dead || this.#name(layer) === "Output") return "";
    const one = dead === 1, saturating = SATURATING.has(String(this.network[layer + 1]?.type));
    return `${dead} of ${units} ${saturating ? `${one ? "says" : "say"} the same everywhere` : `never ${one ? "fires" : "fire"}`}`;
  }

  #say() {
    this.#latest?.forEach((layer, k) => {
      const row = this.#rows[k];
      for (const part of /** @type {const} */ (["weights", "activations"])) row[part].canvas.setAttribute("aria-label", words(row.name, part, layer[part]));
    });
  }
}

/** @returns {Spread} */
const spread = () => ({ canvas: make("canvas", { role: "img" }), ends: make("p", { class: "note" }) });

/** The bin that has most. @param {Histogram} histogram */
function fullest({ low, high, counts }) {
  const place = counts.indexOf(Math.max(...counts)), width = (high - low) / counts.length;
  return range(low + place * width, low + (place + 1) * width);
}

/** @param {string} name @param {string} of @param {Histogram | null} histogram */
const words = (name, of, histogram) => histogram
  ? `${name}: ${of} from ${range(histogram.low, histogram.high).replace(" … ", " to ")}, most in ${fullest(histogram)}.`
  : `${name}: no ${of}.`;

/** @param {Spread} spread @param {Histogram | null} histogram */
function bars({ canvas, ends }, histogram) {
  const { context, width, height } = surface(canvas);
  write(ends, histogram ? range(histogram.low, histogram.high) : "");
  if (!histogram || !width) return;
  const { low, high, counts } = histogram, most = Math.max(1, ...counts), bin = (high - low) / counts.length, wide = width / counts.length;
  const positive = colour("positive"), negative = colour("negative");
  counts.forEach((count, i) => {
    const tall = count && Math.max(1, count / most * (height - 1));
    context.fillStyle = low + (i + 0.5) * bin < 0 ? negative : positive;
    context.fillRect(i * wide, height - 1 - tall, Math.max(1, wide - 1), tall);
  });
  context.fillStyle = colour("edge");
  context.fillRect(0, height - 1, width, 1);
  if (low < 0 && high > 0) context.fillRect(Math.round(-low / (high - low) * width), 0, 1, height);
}

customElements.define("unit-histograms", UnitHistograms);
export { UnitHistograms };
