/**
 * `<weight-sliders>`: a slider for each weight of a small network, and over it the loss as a function of that weight alone.
 *
 *     <weight-sliders>…<div class="weight" data-place="0"><output>0.500</output><canvas role="img"></canvas><input type="range" data-local></div>…
 *
 * `figures` { names, weights, loss, places, curves } come from the server; in between, frames of the run move the sliders and
 * metrics the loss (`[data-loss]`). A slider that a hand is on stays with the hand. It tells by `set` { w13: … } where all
 * the weights are then: so training that has moved them goes on from there. A weight typed in a diagram inside does the same.
 */

import { dot, rule } from "../lib/axes.js";
import { all, write } from "../lib/dom.js";
import { fixed } from "../lib/format.js";
import { lettered } from "../lib/marks.js";
import { Redraw } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";

/** @typedef {{ names: string[], weights: number[], loss: number, places: number[], curves: number[][], step: number }} Found */

const DIGITS = 3; // of a weight, as the server rounds it
const LOSS_DIGITS = 4;
const INSET = 8; // half of a slider's thumb, in pixels: a curve begins where its thumb can stand

class WeightSliders extends HTMLElement {
  /** @type {Found | null} */ #found = null;
  /** @type {number[]} */ #weights = [];
  #loss = 0;
  /** @type {HTMLInputElement | null} the slider that a hand is on */ #held = null;
  /** @type {Redraw | null} */ #redraw = null;
  #resize = new ResizeObserver(() => this.#redraw?.request());
  /** @type {(() => void) | null} */ #stop = null;

  constructor() {
    super();
    this.addEventListener("input", event => this.#moved(event));
    this.addEventListener("change", event => { if (place(event.target) !== null) event.stopPropagation(); });
    this.addEventListener("pointerdown", event => { if (event.target instanceof HTMLInputElement && place(event.target) !== null) this.#held = event.target; });
    for (const name of ["pointerup", "pointercancel"]) this.addEventListener(name, () => { this.#held = null; });
    this.addEventListener("weights", event => this.#typed(event));
  }

  connectedCallback() {
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
    this.#resize.observe(this);
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  /** @param {Found} found */
  set figures(found) {
    this.#found = found;
    this.#loss = found.loss;
    this.#show(found.weights);
  }

  /** @param {string} _ @param {PlaneFrame} frame */
  frame(_, frame) {
    for (const element of all("plane-plot, network-diagram", this)) if ("show" in element) /** @type {any} */ (element).show(frame);
    const weights = flat(frame);
    if (weights.length === this.#weights.length) this.#show(weights);
  }

  /** @param {string} _ @param {unknown} __ @param {Metrics["latest"]} latest */
  metrics(_, __, { train_loss: loss }) {
    if (typeof loss !== "number") return;
    this.#loss = loss;
    write(this.querySelector("[data-loss]"), fixed(loss, LOSS_DIGITS));
    this.#redraw?.request();
  }

  /** @param {number[]} weights */
  #show(weights) {
    const held = this.#held && place(this.#held);
    this.#weights = weights.map((weight, k) => k === held ? this.#weights[k] : round(weight));
    for (const [k, { field, output }] of this.#rows()) {
      if (k === held) continue;
      const words = fixed(this.#weights[k], DIGITS);
      field.value = String(this.#weights[k]);
      field.setAttribute("aria-valuetext", words);
      write(output, words);
    }
    this.#redraw?.request();
  }

  /** @returns {[number, { field: HTMLInputElement, output: Element | null, canvas: HTMLCanvasElement }][]} */
  #rows() {
    return all(".weight", this).map(row => [Number(row.dataset.place), {
      field: /** @type {HTMLInputElement} */ (row.querySelector("input")),
      output: row.querySelector("output"),
      canvas: /** @type {HTMLCanvasElement} */ (row.querySelector("canvas")),
    }]);
  }

  // ---- Hands -----------------------------------------------------------------------------------------------------------------

  /** @param {Event} event */
  #moved(event) {
    const k = place(event.target);
    if (k === null) return;
    event.stopPropagation();
    const field = /** @type {HTMLInputElement} */ (event.target), words = fixed(Number(field.value), DIGITS);
    write(field.closest(".weight")?.querySelector("output") ?? null, words);
    field.setAttribute("aria-valuetext", words);
    this.#set(k, Number(field.value));
  }

  /** @param {Event} event a weight was typed in the diagram: layer and unit as the network counts them */
  #typed(event) {
    event.stopPropagation();
    const { layer, unit, input, value } = /** @type {CustomEvent} */ (event).detail;
    const from = layer ? (input === null ? 0 : input + 3) : (input === null ? 0 : input + 1), k = this.#found?.names.indexOf(`w${from}${layer ? 5 : unit + 3}`);
    if (k !== undefined && k >= 0) this.#set(k, value);
  }

  /** @param {number} k @param {number} value */
  #set(k, value) {
    if (!this.#found) return;
    this.#weights[k] = value;
    const low = this.#found.places[0], high = -low;
    const detail = Object.fromEntries(this.#found.names.map((name, at) => [name, Math.max(low, Math.min(high, round(this.#weights[at])))]));
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail }));
    this.#redraw?.request();
  }

  // ---- Pictures --------------------------------------------------------------------------------------------------------------

  /** All curves have one scale, so that a weight that matters can be told from one that does not. */
  #draw() {
    const found = this.#found;
    if (!found) return;
    const highest = Math.max(this.#loss, ...found.curves.flat()), lowest = Math.min(this.#loss, ...found.curves.flat());
    for (const [k, { canvas }] of this.#rows()) {
      const { context, width, height } = lettered(canvas), low = found.places[0], span = -2 * low;
      const X = (/** @type {number} */ value) => INSET + (value - low) / span * (width - 2 * INSET);
      const Y = (/** @type {number} */ loss) => height - 6 - (loss - lowest) / (highest - lowest || 1) * (height - 12);
      rule(context, "rule", [[INSET, height - 1], [width - INSET, height - 1]]);
      context.strokeStyle = colour("ink-2");
      context.lineWidth = 1.5;
      context.beginPath();
      found.curves[k].forEach((loss, at) => context[at ? "lineTo" : "moveTo"](X(found.places[at]), Y(loss)));
      context.stroke();
      dot(context, X(Math.max(low, Math.min(-low, this.#weights[k]))), Y(this.#loss), "series-2", 4);
      const least = Math.min(...found.curves[k]);
      canvas.setAttribute("aria-label", `The loss if this weight alone were moved from ${fixed(low, 0)} to ${fixed(-low, 0)}: at best ${fixed(least, DIGITS)}, now ${fixed(this.#loss, DIGITS)}.`);
    }
  }
}

/** Which weight a slider is of. @param {EventTarget | null} target */
function place(target) {
  const row = target instanceof HTMLInputElement ? target.closest(".weight") : null;
  return row instanceof HTMLElement ? Number(row.dataset.place) : null;
}

/** @param {number} weight */
const round = weight => Math.round(weight * 10 ** DIGITS) / 10 ** DIGITS;

/** Layer by layer, weights and then biases, as the network has them. @param {PlaneFrame} frame */
const flat = frame => (frame.weights ?? []).flatMap(({ weights, biases }) => [...weights.flat(), ...biases]).filter(weight => weight !== null);

customElements.define("weight-sliders", WeightSliders);
export { WeightSliders };
