/**
 * `<layer-banks>`: the middle of the pipeline, from the drawing to the answer. Groups the layers of any network into banks:
 * the first convolution stands alone with its filters beside the maps; after it an activation joins the layer before it, or
 * the pooling after it. The last dense layer is left out, for it is the answer itself.
 *
 * Attributes: `show` = activations | gradients, `scale` = layer | map.
 */

import { make, write } from "../lib/dom.js";
import { significant } from "../lib/format.js";
import { part as partOf } from "../lib/frames.js";
import { MapTiles } from "./map-tiles.js";
import { Redraw } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

const ACTIVATIONS = new Set(["relu", "leaky_relu", "tanh", "sigmoid", "softplus", "gelu", "maxout"]);
const POOLS = new Set(["max_pool2d", "avg_pool2d", "max_pool1d"]);
/** What an activation after it joins. */
const SUMS = new Set(["conv2d", "conv1d", "dense", "batch_normalization"]);
/** @type {Record<string, string>} */
const WORDS = {
  conv2d: "Convolution", conv1d: "1-D convolution", max_pool2d: "Pooling", max_pool1d: "Pooling", avg_pool2d: "Average pooling",
  global_avg_pool2d: "Global average pooling", dense: "Dense", relu: "ReLU", leaky_relu: "Leaky ReLU", tanh: "Tanh",
  sigmoid: "Sigmoid", softplus: "Softplus", gelu: "GELU", maxout: "Maxout",
  local_response_normalization: "Local response normalization", batch_normalization: "Batch normalization",
};
const HEIGHT = 16, GAP = 0.25; // rem: as high as the pad

/** @typedef {{ layers: number[], first: boolean }} Group indices of layers; the last one's maps are shown */

/** @param {{ type: string }[]} layers @returns {Group[]} */
export function group(layers) {
  /** @type {Group[]} */
  const groups = [];
  const kinds = layers.map(layer => layer.type);
  const end = kinds.lastIndexOf("dense") === kinds.length - 1 ? kinds.length - 1 : kinds.length;
  for (let i = 0; i < end; i++) {
    const kind = kinds[i], last = groups[groups.length - 1], before = last ? kinds[last.layers[last.layers.length - 1]] : "";
    if (kind === "dropout" || kind === "flatten") continue; // idle when predicting; the same numbers in another order
    const joins = last && !last.first && ((ACTIVATIONS.has(kind) || kind === "batch_normalization") && SUMS.has(before));
    const poolsActivation = last && POOLS.has(kind) && ACTIVATIONS.has(before) && last.layers.length === 1;
    if (joins || poolsActivation) last.layers.push(i);
    else groups.push({ layers: [i], first: kind === "conv2d" && groups.length === 0 });
  }
  return groups;
}

class LayerBanks extends HTMLElement {
  static observedAttributes = ["show", "scale"];
  /** @type {Frame | null} */ #frame = null;
  #key = "";
  /** @type {{ maps: MapTiles, filters: MapTiles | null, ends: HTMLElement }[]} */ #banks = [];
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.classList.add("hidden-layers");
    // This element may have no box of its own (display: contents), so what is watched is the band around it.
    this.#redraw = new Redraw(this.parentElement ?? this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
    if (this.#frame) this.#redraw.request();
  }

  disconnectedCallback() {
    this.#redraw?.stop();
    this.#stop?.();
  }

  attributeChangedCallback() { this.#redraw?.request(); }

  /** @param {Frame} frame */
  show(frame) {
    this.#frame = frame;
    this.#redraw?.request();
  }

  #draw() {
    const frame = this.#frame;
    if (!frame) return;
    // An empty pad makes no layer do anything: the banks stay, empty.
    const key = frame.layers.map(layer => `${layer.type} ${layer.activations?.shape} ${layer.weights?.shape}`).join();
    if (key && key !== this.#key) this.#build(frame, key);
    const perMap = this.getAttribute("scale") === "map", part = this.getAttribute("show") === "gradients" ? "gradients" : "activations";
    for (const { maps, filters, ends } of this.#banks) {
      const limit = maps.show(frame, { perMap, part });
      filters?.show(frame, { perMap, part: part === "gradients" ? "weight_gradients" : "weights" });
      const signed = (partOf(frame, maps.layer, part)?.low ?? 0) < 0;
      write(ends, limit == null ? "–" : signed ? `±${significant(limit)}` : `0 … ${significant(limit)}`);
    }
  }

  /** @param {Frame} frame @param {string} key */
  #build(frame, key) {
    this.#key = key;
    this.#banks = [];
    const groups = group(frame.layers).filter(({ layers }) => frame.layers[layers[layers.length - 1]].activations);
    // Four banks fit beside pad and answer (components.css); any other number flows in a box of its own.
    this.toggleAttribute("data-flow", groups.length !== 4);
    this.replaceChildren(...groups.map(({ layers, first }) => this.#bank(frame, layers, first)));
  }

  /** @param {Frame} frame @param {number[]} layers @param {boolean} first */
  #bank(frame, layers, first) {
    const index = layers[layers.length - 1], { activations, weights } = frame.layers[index], shape = activations?.shape ?? [];
    const [count, height, width] = shape.length === 3 ? shape : [shape[0], 1, 1];
    const title = layers.map((layer, k) => {
      const word = WORDS[frame.layers[layer].type] ?? frame.layers[layer].type;
      return k && !/^[A-Z]{2}|^Re/.test(word) ? word[0].toLowerCase() + word.slice(1) : word;
    }).join(", ");
    const box = make("div", { class: "bank" }), ends = make("p", { class: "note" });
    let filters = null;
    const maps = new MapTiles(box, index, "activations", first && weights ? {
      // A pair: the filter, then the map it makes. The filters' tiles live in the spans that the maps' tiles are put in.
      wrap: (button, k) => make("span", {}, slots[k] ?? "", button),
    } : {});
    /** @type {HTMLElement[]} */
    const slots = [];
    if (first && weights && weights.shape[1] === 1) {
      for (let k = 0; k < count; k++) slots.push(make("span", { class: "slot" }));
      filters = new MapTiles(make("div"), index, "weights", { filter: true, wrap: (button, k) => { slots[k]?.replaceChildren(button); return ""; } });
      box.classList.add("pairs");
    }
    arrange(box, count, Math.max(width, height), filters !== null);
    const size = width * height === 1 ? `${count} units`
      : first && weights ? `${count} filters ${weights.shape[3]}×${weights.shape[2]} → ${width}×${height}`
      : count > 1 && count * Math.max(width, height) < 65 ? `${count} of ${width}×${height}` : `${count} maps ${width}×${height}`;
    this.#banks.push({ maps, filters, ends });
    return make("div", { class: "stage" }, make("header", {}, make("h3", {}, title), make("p", {}, size)), box, ends);
  }
}

/**
 * Rows as high as the pad: four of large maps, eight of small ones, more if the bank would get wider than it is high.
 * @param {HTMLElement} box @param {number} count @param {number} side pixels of a map @param {boolean} pairs
 */
function arrange(box, count, side, pairs) {
  let rows = side > 6 ? 4 : side > 1 ? 8 : 16;
  while (Math.ceil(count / rows) > rows && rows < 32) rows *= 2;
  rows = Math.min(rows, count);
  const tile = Math.min(side > 6 ? 3.8125 : 1.78, (HEIGHT - GAP * (rows - 1)) / rows);
  box.style.setProperty("--columns", String(Math.ceil(count / rows)));
  box.style.setProperty("--tile", `${tile}rem`);
  if (pairs) box.style.setProperty("--filter", `${Math.min(1.625, tile * 0.43)}rem`);
}

customElements.define("layer-banks", LayerBanks);
export { LayerBanks };
