/**
 * A row of tiles: the maps of one part of one layer. No element of its own, because banks and layer cards arrange the same
 * tiles differently. A click on a tile asks the page to enlarge it (`enlarge` event: { layer, part, map }).
 */

import { make } from "../lib/dom.js";
import { range } from "../lib/format.js";
import { mapName, paletteOf, part as partOf } from "../lib/frames.js";
import { Pace } from "../lib/pace.js";
import { largest, limits, paint } from "../lib/painting.js";

/** @typedef {import("../lib/frames.js").Part} Part */

export const MOST = 256; // tiles of one part; a dense layer of 2,048 units would bury the page
const LABEL_EVERY = 4000; // ms; a screen reader must not be told ten times a second
const EXAMPLES_UNTIL_DEAD = 3;
const NOTHING = new Float32Array(1);

export class MapTiles {
  /** @type {{ button: HTMLButtonElement, canvas: HTMLCanvasElement, silent: Set<string> }[]} */
  tiles = [];
  /** @type {Frame | null} */ #frame = null;
  #labels = new Pace(LABEL_EVERY, () => this.#label());

  /**
   * @param {HTMLElement} box that the tiles are put into
   * @param {number | "input"} layer @param {Part} part
   * @param {{ wrap?: (button: HTMLButtonElement, index: number) => Node | string, filter?: boolean }} [options]
   */
  constructor(box, layer, part, options = {}) {
    this.box = box;
    this.layer = layer;
    this.part = part;
    this.options = options;
  }

  /**
   * @param {Frame} frame @param {{ perMap: boolean, part?: Part }} how
   * @returns {number | null} the end of the colour scale, null if the frame has no such maps
   */
  show(frame, { perMap, part = this.part }) {
    const stack = partOf(frame, this.layer, part);
    if (!stack) {
      this.blank();
      return null;
    }
    const count = Math.min(MOST, stack.maps.length);
    if (count !== this.tiles.length || part !== this.part) {
      this.part = part;
      this.#build(count);
    }
    const key = `${this.layer} ${part}`, name = paletteOf(this.layer), example = `${frame.example?.source} ${frame.example?.index}`;
    const shared = name === "ink" ? 1 : limits.follow(key, stack.largest);
    this.#frame = frame;
    this.tiles.forEach((tile, k) => {
      const map = stack.maps[k], size = perMap || part === "activations" ? largest(map) : 0;
      paint(tile.canvas, map, stack.width, stack.height, perMap && name !== "ink" ? limits.follow(`${key} ${k}`, size) : shared, name);
      if (part === "activations" && this.layer !== "input") this.#silence(tile, size === 0, example);
    });
    this.#labels.wish();
    return shared;
  }

  #label() {
    const frame = this.#frame, stack = frame && partOf(frame, this.layer, this.part);
    if (!stack) return;
    this.tiles.forEach(({ canvas, silent }, k) =>
      canvas.setAttribute("aria-label", `${mapName(frame, this.layer, this.part, k)}, ${describe(stack.maps[k], silent.size)}. Enlarge`));
  }

  /** Nothing to show: paper. */
  blank() {
    for (const { canvas } of this.tiles) paint(canvas, NOTHING, 1, 1, 1, paletteOf(this.layer));
  }

  /** @param {number} count */
  #build(count) {
    this.tiles = Array.from({ length: count }, (_, k) => {
      const canvas = make("canvas", { class: "map", role: "img", width: 1, height: 1, "aria-label": `Map ${k + 1}. Enlarge` });
      const button = make("button", { type: "button", class: this.options.filter ? "tile filter" : "tile" }, canvas);
      button.addEventListener("click", () => button.dispatchEvent(new CustomEvent("enlarge", {
        bubbles: true, detail: { layer: this.layer, part: this.part, map: k },
      })));
      return { button, canvas, silent: new Set() };
    });
    this.box.replaceChildren(...this.tiles.map(({ button }, k) => this.options.wrap?.(button, k) ?? button));
    this.#labels.hurry();
  }

  /** A unit that answered none of several examples is called dead. @param {MapTiles["tiles"][number]} tile @param {boolean} silent @param {string} example */
  #silence(tile, silent, example) {
    if (silent) tile.silent.add(example);
    else tile.silent.clear();
    tile.button.toggleAttribute("data-dead", tile.silent.size >= EXAMPLES_UNTIL_DEAD);
  }
}

/** @param {Float32Array} map @param {number} silentFor examples in a row without any activity */
function describe(map, silentFor) {
  if (silentFor) return silentFor >= EXAMPLES_UNTIL_DEAD ? "never active" : "not active for this example";
  let low = Infinity, high = -Infinity;
  for (const v of map) { low = Math.min(low, v); high = Math.max(high, v); }
  return map.length === 1 ? `value ${range(low, high).split(" … ")[0]}` : `from ${range(low, high).replace(" … ", " to ")}`;
}
