/**
 * `<weight-tiles class="tiles" of="dense">`: weights as small pictures, blue above zero and orange below, with one scale for all of them.
 *
 * The page gives `figures`, in which `[of].patterns` are squares of numbers.
 */

import { make } from "../lib/dom.js";
import { significant } from "../lib/format.js";
import { largest, paint } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

class WeightTiles extends HTMLElement {
  /** @type {number[][][]} */ #patterns = [];
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.#stop = onPaletteChange(() => this.#draw());
  }

  disconnectedCallback() { this.#stop?.(); }

  /** @param {Record<string, { patterns: number[][][] }>} figures */
  set figures(figures) {
    this.#patterns = figures[this.getAttribute("of") ?? ""].patterns;
    if (this.children.length !== this.#patterns.length) this.replaceChildren(...this.#patterns.map(() => make("canvas", { class: "map", role: "img" })));
    this.#draw();
  }

  #draw() {
    const flat = this.#patterns.map(pattern => Float32Array.from(pattern.flat())), limit = Math.max(0, ...flat.map(largest));
    flat.forEach((values, k) => {
      const canvas = /** @type {HTMLCanvasElement} */ (this.children[k]), side = this.#patterns[k].length;
      paint(canvas, values, side, side, limit);
      canvas.setAttribute("aria-label", `Weights ${k + 1}, ${side} by ${side}, from ${significant(Math.min(...values))} to ${significant(Math.max(...values))}.`);
    });
  }
}

customElements.define("weight-tiles", WeightTiles);
export { WeightTiles };
