/**
 * `<kept-drawings>`: draw a digit, say which it is, keep it; what is kept, and what the network reads it as.
 *
 * Kept drawings belong to the visitor (`/api/drawings`); all of them, packed, are the lab's setting `drawings`, which goes out
 * as `set` { drawings }. `figures.drawings` = [{ label, image, read: [digit, probability] | null }]: those of the setting, which
 * after a link are perhaps another's. `run` gives the id of the run that is asked what it reads.
 * All children are its own: where the server's answers are morphed in, it carries `hx-morph-skip-children`.
 */

import "./drawing-pad.js";
import { request } from "../lib/api.js";
import { paintDigit } from "../lib/digit-picture.js";
import { icon, make, write } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { onPaletteChange } from "../lib/palette.js";

const READ_EVERY = 150; // ms between two questions what a drawing is read as

/** @typedef {{ id: string, label: number, image_base64: string }} Kept */
/** @typedef {{ label: number, image: string, read: [number, number] | null }} Drawn */

class KeptDrawings extends HTMLElement {
  #pad = /** @type {import("./drawing-pad.js").DrawingPad} */ (document.createElement("drawing-pad"));
  #said = make("p", { class: "note", role: "status" });
  #labels = make("div", { class: "labels", role: "group", "aria-label": "Keep it as" });
  #strip = make("ul", { class: "strip", "aria-label": "Drawings" });
  #mine = make("div", { class: "row" });
  /** @type {Kept[]} */ #kept = [];
  #packed = "";
  /** @type {string | null} the setting, once it is known */ #chosen = null;
  #teach = "";
  /** @type {Drawn[]} */ #drawn = [];
  #shown = "";
  #reading = new Pace(READ_EVERY, () => { void this.#read(); });
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.#labels.replaceChildren(...Array.from({ length: 10 }, (_, digit) => {
      const button = make("button", { type: "button", class: "button square", disabled: true }, String(digit));
      button.addEventListener("click", () => { void this.#keep(digit); });
      return button;
    }));
    this.replaceChildren(
      this.#pad,
      make("div", { class: "stack" }, make("span", { class: "label", "aria-hidden": "true" }, "Keep it as"), this.#labels, this.#said),
      make("div", { class: "stack" }, this.#strip, this.#mine),
    );
    this.#pad.showImage(null); // tells what it is for
    for (const input of this.#pad.querySelectorAll("input")) input.setAttribute("form", ""); // none of the lab's settings
    this.#pad.addEventListener("ink", () => {
      for (const button of this.#labels.querySelectorAll("button")) button.disabled = this.#pad.ink.empty;
      this.#reading.wish();
    });
    this.#stop = onPaletteChange(() => {
      this.#shown = "";
      this.#show();
    });
    void this.#load();
  }

  disconnectedCallback() { this.#stop?.(); }

  /** @param {Record<string, string>} settings */
  set settings({ drawings, teach }) {
    const first = this.#chosen === null;
    this.#chosen = drawings;
    this.#teach = teach;
    if (first) this.#adopt();
  }

  /** @param {{ drawings: Drawn[] }} figures */
  set figures({ drawings }) {
    this.#drawn = drawings;
    this.#show();
  }

  async #load() {
    await this.#attempt(async () => {
      const { items, packed } = await request("GET", "/api/drawings");
      this.#kept = items;
      this.#packed = packed;
    });
    this.#adopt();
  }

  /** A lab that is opened without drawings takes those of the visitor, unless something was taught in it. */
  #adopt() {
    if (this.#chosen === "" && this.#packed && this.#teach === "no") this.#choose();
    else this.#show();
  }

  #choose() {
    this.#chosen = this.#packed;
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail: { drawings: this.#packed } }));
  }

  /** @param {number} label */
  async #keep(label) {
    const drawing = this.#pad.ink.encode();
    if (!await this.#attempt(() => request("POST", "/api/drawings", { label, ...drawing }))) return;
    this.#pad.clear();
    await this.#load();
    this.#choose();
  }

  /** @param {string} [id] without one all of them */
  async #delete(id) {
    await this.#attempt(() => request("DELETE", `/api/drawings${id ? `/${id}` : ""}`));
    await this.#load();
    this.#choose();
  }

  async #read() {
    const id = this.dataset.asks;
    if (this.#pad.ink.empty || !id) {
      write(this.#said, "");
      this.#pad.describe("");
      return;
    }
    await this.#attempt(async () => {
      const { predictions: [answer] } = await request("POST", `/api/runs/${id}/predictions`, this.#pad.ink.encode());
      const words = answer.class === null || this.#pad.ink.empty ? "" : `The network reads a ${answer.label}, ${percent(answer.probabilities[answer.class], 0)} sure.`;
      write(this.#said, words);
      this.#pad.describe(words);
    });
  }

  /** @param {() => Promise<unknown>} act @returns {Promise<boolean>} whether it was done; what was wrong is told */
  async #attempt(act) {
    try {
      await act();
      return true;
    } catch (error) {
      write(this.#said, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  #show() {
    const mine = this.#chosen === this.#packed, first = this.#kept.length - this.#drawn.length;
    const now = JSON.stringify([this.#drawn, mine, this.#kept.map(({ id }) => id)]);
    if (now === this.#shown) return; // a button may have the focus
    this.#shown = now;
    this.#strip.replaceChildren(...this.#drawn.map((drawing, place) => this.#tile(drawing, mine ? this.#kept[first + place]?.id : undefined)));
    this.#strip.hidden = !this.#drawn.length;
    const row = [];
    if (!this.#drawn.length) row.push(make("p", { class: "note" }, "None is kept yet. Draw a digit, then press what it is."));
    else if (mine) row.push(this.#button("Delete all", () => this.#delete()));
    else if (this.#packed) row.push(make("p", { class: "note" }, "These came with the link."), this.#button(`Take my ${this.#kept.length}`, async () => this.#choose()));
    else row.push(make("p", { class: "note" }, "These came with the link."));
    this.#mine.replaceChildren(...row);
  }

  /** @param {Drawn} drawing @param {string} [id] of one's own */
  #tile({ label, image, read }, id) {
    const canvas = make("canvas", { class: "map", role: "img" }), right = read?.[0] === label;
    const words = read ? `read as a ${read[0]}, ${percent(read[1], 0)} sure` : "not read yet";
    canvas.setAttribute("aria-label", `A ${label} of your own, ${words}`);
    paintDigit(canvas, image);
    const tile = make("li", { "data-right": read ? String(right) : null, title: `A ${label}, ${words}` }, canvas,
      make("span", { class: "verdict" }, read ? (right ? `✓ ${label}` : `✗ ${label}, not ${read[0]}`) : String(label)));
    if (id) {
      const button = make("button", { type: "button", class: "button quiet square", "aria-label": `Delete this ${label}`, title: "Delete" }, icon("clear"));
      button.addEventListener("click", () => { void this.#delete(id); });
      tile.append(button);
    }
    return tile;
  }

  /** @param {string} words @param {() => Promise<void>} act */
  #button(words, act) {
    const button = make("button", { type: "button", class: "button quiet" }, words);
    button.addEventListener("click", () => { void act(); });
    return button;
  }
}

customElements.define("kept-drawings", KeptDrawings);
