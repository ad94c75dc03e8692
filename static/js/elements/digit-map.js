/**
 * `<digit-map>`: one digit as everybody writes it, thin ones above, thick ones below, leaning to the left and to the right; a
 * frame around what the network may see, and in each place how much of everyone it reads right there.
 *
 * `figures.map` = { digit, pictures: 5×5 texts of base64, seen: [thin, thick, left, right], shares: 5×5 or null }. Dragging over
 * places, or Shift with the arrows, sends `set` { thickness: "0,2", slant: "1,3" }; Enter chooses one place alone.
 * All children are its own: where the server's answers are morphed in, it carries `hx-morph-skip-children`.
 */

import { paintDigit } from "../lib/digit-picture.js";
import { make, write } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { onPaletteChange } from "../lib/palette.js";

const SIDE = 5;

/** @typedef {[number, number]} Place row and column */
/** @typedef {{ digit: number, pictures: string[][], seen: [number, number, number, number], shares: number[][] | null }} DigitMapFigures */

class DigitMap extends HTMLElement {
  /** @type {DigitMapFigures | null} */ #map = null;
  /** Where a frame that is being drawn begins, and where it has got to. @type {[Place, Place] | null} */ #drawn = null;
  /** @type {Place} */ #anchor = [0, 0];
  #shown = "";
  #grid = make("div", { class: "places", role: "grid", "aria-multiselectable": "true" });
  #frame = make("span", { class: "frame", "aria-hidden": "true" });
  /** @type {HTMLElement[]} */ #places = [];
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.#places = Array.from({ length: SIDE * SIDE }, (_, k) => {
      const place = make("div", { role: "gridcell", class: "place", "data-keys": "own", tabindex: k ? -1 : 0 }, make("canvas", { "aria-hidden": "true" }), make("span"));
      place.style.gridArea = `${Math.floor(k / SIDE) + 1} / ${k % SIDE + 1}`;
      return place;
    });
    this.#grid.replaceChildren(...Array.from({ length: SIDE }, (_, row) => make("div", { role: "row" }, ...this.#places.slice(row * SIDE, (row + 1) * SIDE))), this.#frame);
    this.replaceChildren(
      make("span", { class: "thin", "aria-hidden": "true" }, "thin"), make("span", { class: "thick", "aria-hidden": "true" }, "thick"),
      this.#grid,
      make("span", { class: "ends", "aria-hidden": "true" }, make("span", {}, "leaning left"), make("span", {}, "leaning right")),
    );
    this.#stop = onPaletteChange(() => this.#paint());
    this.addEventListener("pointerdown", event => this.#press(event));
    this.addEventListener("pointermove", event => this.#drag(event));
    this.addEventListener("pointerup", () => this.#release());
    this.addEventListener("pointercancel", () => { this.#drawn = null; this.#show(); });
    this.addEventListener("keydown", event => this.#key(event));
  }

  disconnectedCallback() { this.#stop?.(); }

  /** @param {{ map: DigitMapFigures }} figures */
  set figures({ map }) {
    this.#map = map;
    const pictures = map.pictures.join();
    if (pictures !== this.#shown) this.#paint();
    this.#shown = pictures;
    this.#show();
  }

  #paint() {
    this.#map?.pictures.flat().forEach((picture, k) => paintDigit(/** @type {HTMLCanvasElement} */ (this.#places[k].firstElementChild), picture));
  }

  /** The frame that is there, or the one that is being drawn: [top, bottom, left, right]. */
  #range() {
    if (!this.#drawn) return this.#map?.seen ?? [0, 1, 0, 1];
    const [[a, b], [c, d]] = this.#drawn;
    return [Math.min(a, c), Math.max(a, c) + 1, Math.min(b, d), Math.max(b, d) + 1];
  }

  #show() {
    const [top, bottom, left, right] = this.#range(), shares = this.#map?.shares;
    this.#grid.setAttribute("aria-label", this.#describe());
    this.#frame.style.gridArea = `${top + 1} / ${left + 1} / ${bottom + 1} / ${right + 1}`;
    this.#places.forEach((place, k) => {
      const row = Math.floor(k / SIDE), column = k % SIDE, share = shares?.[row][column] ?? null;
      const seen = top <= row && row < bottom && left <= column && column < right;
      place.setAttribute("aria-selected", String(seen));
      place.style.setProperty("--wrong-share", String(share === null ? 0 : 1 - share));
      write(place.lastElementChild, share === null ? "" : percent(share, 0));
      place.setAttribute("aria-label", `Thickness ${row + 1} of ${SIDE}, slant ${column + 1} of ${SIDE}${share === null ? "" : `: ${percent(share, 0)} of everyone right`}`);
    });
  }

  /** What it shows, for who does not see it. */
  #describe() {
    const [top, bottom, left, right] = this.#range(), shares = this.#map?.shares;
    const seen = `It sees fifths ${top + 1} to ${bottom} of thickness and ${left + 1} to ${right} of slant.`;
    const figures = shares?.map(row => row.map(share => percent(share, 0)).join(" ")).join("; ");
    return `Everyone’s ${this.#map?.digit ?? ""}, thin above, thick below, leaning to the left and to the right. ${seen}${figures ? ` Right of everyone, row by row: ${figures}.` : ""}`;
  }

  /** @param {PointerEvent} event @returns {Place | null} the place under the pointer */
  #at(event) {
    const k = this.#places.findIndex(place => place.contains(document.elementFromPoint(event.clientX, event.clientY)));
    return k < 0 ? null : [Math.floor(k / SIDE), k % SIDE];
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const at = this.#at(event);
    if (!at || event.button !== 0) return;
    if (event.target instanceof Element && event.target.hasPointerCapture(event.pointerId)) event.target.releasePointerCapture(event.pointerId);
    this.#drawn = [at, at];
    this.#anchor = at;
    this.#show();
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const at = this.#drawn && this.#at(event);
    if (!this.#drawn || !at) return;
    this.#drawn = [this.#drawn[0], at];
    this.#show();
  }

  #release() {
    if (!this.#drawn) return;
    const [top, bottom, left, right] = this.#range();
    this.#drawn = null;
    this.#send([top, bottom], [left, right]);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const k = this.#places.findIndex(place => place === document.activeElement);
    if (k < 0) return;
    /** @type {Record<string, Place>} */
    const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    /** @type {Place} */
    let at = [Math.floor(k / SIDE), k % SIDE];
    const move = arrows[event.key];
    if (move) {
      at = [at[0] + move[0], at[1] + move[1]];
      if (Math.min(...at) < 0 || Math.max(...at) >= SIDE) return event.preventDefault();
      this.#places.forEach((place, other) => { place.tabIndex = other === at[0] * SIDE + at[1] ? 0 : -1; });
      this.#places[at[0] * SIDE + at[1]].focus();
    } else if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (move && !event.shiftKey) this.#anchor = at;
    else {
      if (!move) this.#anchor = at;
      this.#drawn = [this.#anchor, at];
      this.#release();
    }
  }

  /** @param {Place} rows from and to @param {Place} columns */
  #send(rows, columns) {
    if (this.#map) this.#map = { ...this.#map, seen: [...rows, ...columns] };
    this.#show();
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail: { thickness: rows.join(), slant: columns.join() } }));
  }
}

customElements.define("digit-map", DigitMap);
