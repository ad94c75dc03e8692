/**
 * `<layer-maps layer="0">`: one layer of the network visualization: filters, filter gradients, activations, activation
 * gradients. `layer="input"` shows the picture itself.
 *
 * Attributes: `layer`; `of` = values | gradients | both; `scale` = layer | map. The range of each part is printed beside its
 * heading, and into every `[data-range="<part>"][data-layer="<layer>"]` of the page. Gradients are asked for by the page.
 */

import { all, make, write } from "../lib/dom.js";
import { range } from "../lib/format.js";
import { part as partOf } from "../lib/frames.js";
import { MapTiles, MOST } from "./map-tiles.js";
import { Pace } from "../lib/pace.js";
import { Redraw } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

/** @typedef {import("../lib/frames.js").Part} Part */
/** @type {Record<Part, string>} */
const TITLES = { weights: "Filters", weight_gradients: "Filter gradients", activations: "Activations", gradients: "Activation gradients" };
const MANY = 64; // slices; more of them wait behind a disclosure
const TEXT_EVERY = 500; // ms

/** @typedef {{ part: Part, box: HTMLElement, title: HTMLElement, ends: HTMLElement, tiles: MapTiles, fold: HTMLDetailsElement | null }} Row */

class LayerMaps extends HTMLElement {
  static observedAttributes = ["of", "scale"];
  /** @type {Frame | null} */ #frame = null;
  #key = "";
  /** @type {Row[]} */ #rows = [];
  #words = new Pace(TEXT_EVERY, () => this.#print());
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;

  /** @returns {number | "input"} */
  get layer() {
    const text = this.getAttribute("layer") ?? "input";
    return text === "input" ? text : Number(text);
  }

  connectedCallback() {
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
    if (this.#frame) this.#redraw.request();
  }

  disconnectedCallback() {
    this.#redraw?.stop();
    this.#stop?.();
  }

  attributeChangedCallback() {
    this.#words.hurry();
    this.#redraw?.request();
  }

  /** @param {Frame} frame */
  show(frame) {
    this.#frame = frame;
    this.#redraw?.request();
  }

  #draw() {
    const frame = this.#frame, layer = this.layer;
    if (!frame) return;
    // An empty pad makes no layer do anything: the tiles stay, empty.
    if (!frame.layers.length) return this.#rows.forEach(row => row.tiles.blank());
    if (layer !== "input" && !frame.layers[layer]) return;
    const shapes = layer === "input" ? frame.input?.shape : [frame.layers[layer].weights?.shape, frame.layers[layer].activations?.shape];
    if (String(shapes) !== this.#key) this.#build(frame, String(shapes));
    const of = this.getAttribute("of") ?? "both", perMap = this.getAttribute("scale") === "map";
    for (const row of this.#rows) {
      const gradient = row.part === "gradients" || row.part === "weight_gradients", stack = partOf(frame, layer, row.part);
      row.box.hidden = !stack || layer !== "input" && (gradient ? of === "values" : of === "gradients");
      if (row.box.hidden || !stack) continue;
      if (row.fold?.open ?? true) row.tiles.show(frame, { perMap });
    }
    this.#words.wish();
  }

  /** The ends of every part that is shown. */
  #print() {
    const frame = this.#frame, layer = this.layer;
    for (const row of this.#rows) {
      const stack = frame && !row.box.hidden ? partOf(frame, layer, row.part) : null;
      if (!stack) continue;
      const ends = range(stack.low, stack.high);
      write(row.ends, ends);
      for (const hook of all(`[data-range="${row.part}"][data-layer="${layer}"]`)) write(hook, ends);
    }
  }

  /** @param {Frame} frame @param {string} key */
  #build(frame, key) {
    this.#key = key;
    this.#words.hurry();
    this.#rows = [];
    const layer = this.layer;
    if (layer === "input") {
      const row = this.#row("activations", 1, "");
      row.box.replaceChildren(row.tiles.box);
      row.tiles.box.classList.add("large");
      return this.replaceChildren(row.box);
    }
    const { weights, activations } = frame.layers[layer], count = activations?.shape[0] ?? 0;
    const left = weights ? [this.#weights("weights", weights), this.#weights("weight_gradients", weights)] : [];
    const right = [this.#row("activations", count, TITLES.activations), this.#row("gradients", count, TITLES.gradients)];
    const wide = left.some(row => row.fold) || !left.length;
    /** @param {Row[]} rows */
    const column = rows => make("div", { class: wide ? "" : "span-6" }, ...rows.map(row => row.box));
    this.replaceChildren(wide
      ? make("div", { class: "stack" }, column(right), ...left.length ? [column(left)] : [])
      : make("div", { class: "columns" }, column(left), column(right)));
  }

  /** @param {Part} part @param {Pack} weights */
  #weights(part, weights) {
    const [filters, slices] = weights.shape, convolution = weights.shape.length === 4, count = convolution ? filters * slices : filters;
    const words = convolution ? slices > 1 ? `${filters} filters of ${slices} slices each` : TITLES.weights : `Weights of ${filters} units`;
    const title = part === "weights" ? words : convolution && slices === 1 ? TITLES.weight_gradients : `Gradients of ${words.toLowerCase()}`;
    return this.#row(part, count, title, !convolution || slices > 1);
  }

  /** @param {Part} part @param {number} count @param {string} title @param {boolean} [folded] */
  #row(part, count, title, folded = false) {
    const grid = make("div", { class: count > MANY || folded ? "tiles small" : "tiles" });
    const more = count > MOST ? ` (the first ${MOST} of ${count.toLocaleString("en")})` : "";
    const heading = make("span", {}, title + more), ends = make("span");
    const tiles = new MapTiles(grid, this.layer, part);
    let box, fold = null;
    if (folded) {
      fold = make("details", { class: "disclosure" }, make("summary", {}, heading), make("p", { class: "note" }, ends), grid);
      fold.addEventListener("toggle", () => { this.#words.hurry(); this.#redraw?.request(); });
      box = make("div", { class: "maps" }, fold);
    } else {
      box = make("div", { class: "maps" }, make("h4", {}, heading, ends), grid);
    }
    /** @type {Row} */
    const row = { part, box, title: heading, ends, tiles, fold };
    this.#rows.push(row);
    return row;
  }
}

customElements.define("layer-maps", LayerMaps);
export { LayerMaps };
