/**
 * `<hidden-space>`: where a layer puts the plane: a mesh of straight lines as two of its neurons see it, or as its first two
 * principal components, with the points on it. A network that tells the classes apart has bent the plane until a straight
 * line can.
 *
 *   <hidden-space hx-morph-skip-children of="2.0.1"></hidden-space>
 *
 *   of   <place of the dense layer in the network>.<neuron>.<neuron>, or <layer>.components; without it, or where the network
 *        has no such layer, the last hidden layer with two neurons or more. It is kept up to date.
 *
 * The page calls `describe(run.network)` whenever there is another network, gives `points` (the PointSet of `<plane-plot>`)
 * and frames to `show(frame)`. The selects (hidden_layer, hidden_a, hidden_b) are made here.
 * Event: `hidden` { layer, units: [a, b] | "components", grid } whenever another view is chosen; it belongs into the watch, and
 * `of` into the address.
 */

import { make, write } from "../lib/dom.js";
import { fixed, percent } from "../lib/format.js";
import { stack } from "../lib/frames.js";
import { SteadyRange } from "../lib/chart.js";
import { halo, lettered, stamps } from "../lib/marks.js";
import { largest, Redraw } from "../lib/painting.js";
import { colour, onPaletteChange, token } from "../lib/palette.js";
import { between } from "../lib/regions.js";

const GRID = 21; // lines each way
const RADIUS = 2.6;
const FAINT = 0.22; // of a class's colour in the cells of the mesh
const COMPONENTS_FROM = 3; // neurons; of two, the two themselves say all

/** @typedef {{ layer: number, units: [number, number] | "components" }} View */
/** `number`: as people count, from 1. @typedef {{ layer: number, number: number, units: number, last: boolean }} Choice */

class HiddenSpace extends HTMLElement {
  static observedAttributes = ["of"];
  #layer = make("select", { name: "hidden_layer", "aria-label": "After which layer" });
  #first = make("select", { name: "hidden_a", "aria-label": "Neuron across" });
  #second = make("select", { name: "hidden_b", "aria-label": "Neuron upwards" });
  #next = make("button", { class: "button quiet square", type: "button", "aria-label": "Next pair of neurons", title: "Next pair of neurons" }, "→");
  #canvas = make("canvas", { role: "img", "aria-label": "Hidden space: nothing is shown yet." });
  #caption = make("p", { class: "note" });
  #network = "";
  /** @type {Choice[]} */ #choices = [];
  /** @type {View | null} */ #view = null;
  /** @type {PlaneFrame | null} */ #frame = null;
  /** @type {import("../lib/plane-points.js").PointSet | null} */ #set = null;
  #ranges = [new SteadyRange(), new SteadyRange()];
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#redraw?.request());
  #changed = () => this.#redraw?.request();

  connectedCallback() {
    this.replaceChildren(
      make("div", { class: "row" }, this.#layer, this.#first, this.#second, this.#next),
      make("div", { class: "plot hidden-space" }, this.#canvas), this.#caption,
    );
    this.addEventListener("change", event => {
      event.stopPropagation(); // a view is no change of the experiment's form
      if (event.target === this.#layer) this.#choose(usual(this.#choices.find(choice => choice.layer === Number(this.#layer.value))));
      else this.#choose(this.#selected());
    });
    this.#next.addEventListener("click", () => this.#choose(this.#following()));
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(this.#changed);
    this.#resize.observe(this.#canvas);
    this.#fill();
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  attributeChangedCallback() { if (this.#choices.length && this.getAttribute("of") !== written(this.#view)) this.#choose(this.#asked()); }

  /** What the watch needs to hear; null while there is no layer with two neurons. */
  get view() { return this.#view && { ...this.#view, grid: GRID }; }

  get points() { return this.#set; }
  set points(set) {
    if (set === this.#set) return;
    this.#set?.removeEventListener("change", this.#changed);
    this.#set = set;
    set?.addEventListener("change", this.#changed);
    this.#redraw?.request();
  }

  /** @param {Record<string, unknown>[]} network the layers as the run has them */
  describe(network) {
    const text = JSON.stringify(network);
    if (text === this.#network) return;
    this.#network = text;
    const dense = network.map(({ type, units }, layer) => ({ type, layer, units: Number(units) })).filter(({ type }) => type === "dense");
    this.#choices = dense.map(({ layer, units }, i) => ({ layer, number: i + 1, units, last: i === dense.length - 1 })).filter(({ units }) => units > 1);
    this.#choose(this.#asked());
  }

  /** @param {PlaneFrame} frame */
  show(frame) {
    if (!frame.hidden) return;
    this.#frame = frame;
    this.#redraw?.request();
  }

  // ---- What is chosen ----------------------------------------------------------------------------------------------------

  /** What `of` says, if this network has it. @returns {View | null} */
  #asked() {
    const [layer, ...rest] = (this.getAttribute("of") ?? "").split("."), choice = this.#choices.find(found => String(found.layer) === layer);
    if (choice && rest[0] === "components" && choice.units >= COMPONENTS_FROM) return { layer: choice.layer, units: "components" };
    const units = rest.map(Number);
    if (choice && units.length === 2 && units.every(unit => Number.isInteger(unit) && unit >= 0 && unit < choice.units)) return { layer: choice.layer, units: [units[0], units[1]] };
    return usual(this.#choices.findLast(found => !found.last) ?? this.#choices.at(-1));
  }

  /** @returns {View} */
  #selected() {
    const layer = Number(this.#layer.value);
    if (this.#first.value === "components") return { layer, units: "components" };
    return { layer, units: [Number(this.#first.value), Number(this.#second.value || 0)] };
  }

  /** The pair after the one that is shown, as convnetjs's button has it; after the last one the first. @returns {View | null} */
  #following() {
    const choice = this.#choices.find(found => found.layer === this.#view?.layer);
    if (!choice || !this.#view) return null;
    const [a, b] = this.#view.units === "components" ? [0, 0] : this.#view.units;
    return { layer: choice.layer, units: b + 1 < choice.units ? [a, b + 1] : a + 2 < choice.units ? [a + 1, a + 2] : [0, 1] };
  }

  /** @param {View | null} view */
  #choose(view) {
    const same = written(view) === written(this.#view);
    this.#view = view;
    if (!same) {
      this.#frame = null;
      this.#ranges = [new SteadyRange(), new SteadyRange()];
    }
    this.#fill();
    this.#redraw?.request();
    if (view && this.getAttribute("of") !== written(view)) this.setAttribute("of", written(view));
    if (!same) this.dispatchEvent(new CustomEvent("hidden", { bubbles: true, detail: this.view }));
  }

  /** The selects, as the view and the network have it. */
  #fill() {
    const view = this.#view, choice = this.#choices.find(found => found.layer === view?.layer);
    this.#layer.replaceChildren(...this.#choices.map(({ layer, number, last }) => make("option", { value: layer }, last ? "the output" : `after layer ${number}`)));
    const neurons = Array.from({ length: choice?.units ?? 0 }, (_, unit) => `${choice?.last ? "output" : "neuron"} ${unit + 1}`);
    const options = () => neurons.map((name, unit) => make("option", { value: unit }, name));
    const components = (choice?.units ?? 0) >= COMPONENTS_FROM ? [make("option", { value: "components" }, "principal components")] : [];
    this.#first.replaceChildren(...components, ...options());
    this.#second.replaceChildren(...options());
    for (const control of [this.#layer, this.#first, this.#next]) control.disabled = !view;
    this.#next.hidden = neurons.length < COMPONENTS_FROM;
    this.#second.hidden = !view || view.units === "components";
    if (!view) {
      write(this.#caption, this.#choices.length || !this.#network ? "" : "No layer has two neurons.");
      return;
    }
    if (!this.#frame) write(this.#caption, "");
    this.#layer.value = String(view.layer);
    this.#first.value = String(view.units === "components" ? "components" : view.units[0]);
    this.#second.value = String(view.units === "components" ? 0 : view.units[1]);
  }

  // ---- Pictures ----------------------------------------------------------------------------------------------------------

  #draw() {
    const { context, width, height } = lettered(this.#canvas), frame = this.#frame, hidden = frame?.hidden;
    if (!frame || !hidden) return;
    const [u0, u1] = this.#ranges[0].fit(hidden.low[0], hidden.high[0], false, [-1, 1]), [v0, v1] = this.#ranges[1].fit(hidden.low[1], hidden.high[1], false, [-1, 1]);
    const across = (/** @type {number} */ u) => (u - u0) / (u1 - u0) * width, up = (/** @type {number} */ v) => (v1 - v) / (v1 - v0) * height;
    const mesh = { u: hidden.grid[0].map(across), v: hidden.grid[1].map(up), side: Math.round(Math.sqrt(hidden.grid[0].length)) };
    if (frame.outputs) this.#drawCells(context, mesh, stack(frame.outputs));
    drawLines(context, mesh);
    this.#drawPoints(context, hidden.points[0].map(across), hidden.points[1].map(up));
    const [a, b] = hidden.units === "components" ? ["component 1", "component 2"] : hidden.units.map(unit => `neuron ${unit + 1}`);
    context.textAlign = "right";
    context.textBaseline = "bottom";
    halo(context, `${a} →`, width - 4, height - 4);
    context.textAlign = "left";
    context.textBaseline = "top";
    halo(context, `↑ ${b}`, 4, 4);
    this.#tell(hidden, a, b);
  }

  /** Each cell faintly in the colour of what the network answers there. @param {CanvasRenderingContext2D} context @param {Mesh} mesh @param {import("../lib/frames.js").Stack} outputs */
  #drawCells(context, { u, v, side }, { maps, width, height, largest: most }) {
    const numbers = this.#set !== null && !this.#set.classes.length, cells = side - 1, names = numbers ? ["positive", "negative"] : [..."abcdef"].map(letter => `class-${letter}`);
    const colours = names.map(name => `rgb(${token(name).join(" ")})`);
    for (let j = 0; j < cells; j++) {
      for (let i = 0; i < cells; i++) {
        const values = maps.map(map => between(map, width, height, (i + 0.5) / cells * width - 0.5, (j + 0.5) / cells * height - 0.5));
        const two = values.length === 1, p = values[0];
        const which = numbers ? (p < 0 ? 1 : 0) : two ? (p < 0.5 ? 1 : 0) : values.indexOf(Math.max(...values));
        const sure = numbers ? Math.abs(p) / (most || 1) : two ? Math.abs(2 * p - 1) : (values[which] - 1 / values.length) / (1 - 1 / values.length);
        const a = j * side + i, c = a + side + 1;
        context.globalAlpha = FAINT * Math.min(1, Math.max(0, sure));
        context.fillStyle = colours[which];
        context.beginPath();
        context.moveTo(u[a], v[a]);
        context.lineTo(u[a + 1], v[a + 1]);
        context.lineTo(u[c], v[c]);
        context.lineTo(u[c - 1], v[c - 1]);
        context.fill();
      }
    }
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {number[]} x @param {number[]} y */
  #drawPoints(context, x, y) {
    const set = this.#set;
    if (!set || set.served.length !== x.length) return; // of a snapshot from before an edit
    const stamp = stamps(RADIUS, set.classes.length > 0, largest(Float32Array.from(set.served, point => point.label)));
    context.save();
    context.resetTransform();
    set.served.forEach((point, i) => stamp(context, point, x[i], y[i]));
    context.restore();
  }

  /** @param {HiddenFrame} hidden @param {string} a @param {string} b */
  #tell({ layer, explained, low, high }, a, b) {
    const choice = this.#choices.find(found => found.layer === layer), name = choice?.last ? "the output" : `layer ${choice?.number ?? "?"}`;
    write(this.#caption, explained
      ? `The same points as ${name} sees them. The two directions hold ${percent(explained[0], 0)} and ${percent(explained[1], 0)} of their spread.`
      : `The same points as ${name} sees them.`);
    const label = `Hidden space: a mesh over the plane and the points as ${name} sees them, ${a} from ${fixed(low[0], 2)} to ${fixed(high[0], 2)}, ${b} from ${fixed(low[1], 2)} to ${fixed(high[1], 2)}.`;
    if (this.#canvas.getAttribute("aria-label") !== label) this.#canvas.setAttribute("aria-label", label);
  }
}

/** Crossings in pixels, row by row. @typedef {{ u: number[], v: number[], side: number }} Mesh */

/** @param {CanvasRenderingContext2D} context @param {Mesh} mesh */
function drawLines(context, { u, v, side }) {
  context.strokeStyle = colour("edge", 0.5);
  context.lineWidth = 0.75;
  context.beginPath();
  for (let line = 0; line < side; line++) {
    for (let k = 0; k < side; k++) {
      const at = line * side + k;
      if (k) context.lineTo(u[at], v[at]);
      else context.moveTo(u[at], v[at]);
    }
    for (let k = 0; k < side; k++) {
      const at = k * side + line;
      if (k) context.lineTo(u[at], v[at]);
      else context.moveTo(u[at], v[at]);
    }
  }
  context.stroke();
}

/** What a layer is first seen by. @param {Choice | undefined} choice @returns {View | null} */
const usual = choice => choice ? { layer: choice.layer, units: choice.units >= COMPONENTS_FROM ? "components" : [0, 1] } : null;

/** A view as it stands in the address. @param {View | null} view */
const written = view => view ? `${view.layer}.${view.units === "components" ? "components" : view.units.join(".")}` : "";

customElements.define("hidden-space", HiddenSpace);
export { HiddenSpace };
