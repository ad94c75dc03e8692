/**
 * `<digit-tiles data-run="ID">`: digits of the test set with the network's three best guesses. Images come once by JSON; the
 * guesses follow the stream (frames of the view "tiles") while the network learns. The page comes with as many empty places
 * as digits are shown, so that nothing below moves away from under a pointer when they arrive.
 *
 * Events: `tiles` { indices } whenever other digits are shown, `choose` { source: "test", index } when one is clicked.
 */

import { make, write } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { stack } from "../lib/frames.js";
import { request } from "../lib/api.js";
import { paint, Redraw } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

/** Which digits: all of them at random, the mistakes, or one cell of the confusion matrix. @typedef {{ which: "all" | "mistakes", truth?: number, predicted?: number }} Filter */
/** @typedef {{ item: ExampleItem, button: HTMLButtonElement, canvas: HTMLCanvasElement, verdict: HTMLElement, guesses: HTMLElement[] }} Tile */

class DigitTiles extends HTMLElement {
  /** @type {string[]} */ classes = [..."0123456789"];
  /** @type {Filter} */ filter = { which: "all" };
  /** @type {Map<number, Tile>} */ #tiles = new Map();
  #asking = new AbortController();
  #limit = 0;
  #seed = 1;
  #offset = 0;
  #total = 0;
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.#limit = this.childElementCount;
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
  }

  disconnectedCallback() {
    this.#asking.abort();
    this.#redraw?.stop();
    this.#stop?.();
  }

  /** @param {Filter} filter */
  async choose(filter) {
    this.filter = filter;
    this.#offset = 0;
    await this.load();
  }

  /** Others of the same kind: another sample of all, the next page of a list. */
  async others() {
    if (this.filter.which === "all" && this.filter.truth === undefined) this.#seed++;
    else this.#offset = this.#offset + this.#limit < this.#total ? this.#offset + this.#limit : 0;
    await this.load();
  }

  async load() {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { which, truth, predicted } = this.filter, whole = which === "all" && truth === undefined;
    const query = new URLSearchParams({ split: "test", which, limit: String(this.#limit), offset: String(this.#offset) });
    if (whole) query.set("seed", String(this.#seed));
    if (truth !== undefined) query.set("truth", String(truth));
    if (predicted !== undefined) query.set("predicted", String(predicted));
    this.setAttribute("aria-busy", "true");
    try {
      /** @type {{ total: number, items: ExampleItem[] }} */
      const answer = await request("GET", `/api/runs/${this.dataset.run}/examples?${query}`, undefined, this.#asking.signal);
      this.#total = answer.total;
      this.#fill(answer.items);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      this.#say(error instanceof Error ? error.message : String(error));
    }
    this.removeAttribute("aria-busy");
  }

  /** @param {TilesFrame} frame */
  show(frame) {
    for (const { index, top } of frame.tiles) {
      const tile = this.#tiles.get(index);
      if (tile) this.#guess(tile, top);
    }
  }

  /** @param {ExampleItem[]} items */
  #fill(items) {
    this.#tiles = new Map(items.map(item => [item.index, this.#tile(item)]));
    this.replaceChildren(...[...this.#tiles.values()].map(tile => tile.button));
    if (!items.length) this.#say(this.filter.truth === undefined ? "No mistakes among these digits." : "No digits in this cell.");
    this.#redraw?.request();
    this.dispatchEvent(new CustomEvent("tiles", { detail: { indices: items.map(item => item.index) } }));
  }

  /** @param {string} words */
  #say(words) {
    this.#tiles.clear();
    this.replaceChildren(make("p", { class: "empty" }, words));
  }

  /** @param {ExampleItem} item @returns {Tile} */
  #tile(item) {
    const canvas = make("canvas", { class: "map", role: "img", width: 1, height: 1 }), verdict = make("span", { class: "verdict" });
    const guesses = item.top.map(() => make("span", { class: "top", "aria-hidden": "true" }, make("span"), make("i")));
    const button = make("button", { class: "digit", type: "button", title: `Test digit ${item.index}. Show it to the network` }, canvas, make("span", {}, verdict, ...guesses));
    button.addEventListener("click", () => this.dispatchEvent(new CustomEvent("choose", { detail: { source: "test", index: item.index } })));
    const tile = { item, button, canvas, verdict, guesses };
    this.#guess(tile, item.top);
    return tile;
  }

  /** @param {Tile} tile @param {Top} top */
  #guess({ item, button, canvas, verdict, guesses }, top) {
    const truth = this.classes[item.label], says = this.classes[top[0][0]], right = top[0][0] === item.label;
    button.dataset.right = String(right);
    write(verdict, right ? `✓ ${truth}` : `✗ is ${truth}`);
    const label = `Test digit ${item.index}: a ${truth}, the network says ${says} with ${percent(top[0][1], 0)}.`;
    if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
    top.forEach(([digit, share], k) => {
      const [name, bar] = guesses[k].children;
      write(name, this.classes[digit]);
      /** @type {HTMLElement} */ (bar).style.setProperty("--value", share.toFixed(3));
    });
  }

  #draw() {
    for (const { item, canvas } of this.#tiles.values()) {
      const { maps, width, height } = stack(item.image);
      paint(canvas, maps[0], width, height, item.image.high || 1, "ink");
    }
  }
}

customElements.define("digit-tiles", DigitTiles);
export { DigitTiles };
