/**
 * `<ink-steps>`: what the network sees of a drawing, in the three steps of the MNIST recipe: the ink in its bounding box,
 * scaled to 20×20, centred by its mass in 28×28. Boxes stay empty while there is no ink, so that nothing jumps.
 */

import { make } from "../lib/dom.js";
import { values } from "../lib/frames.js";
import { paint, Redraw, surface } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";

const STEPS = ["your ink, boxed", "scaled to 20×20", "centred in 28×28"];
const NOTHING = new Float32Array(1);

class InkSteps extends HTMLElement {
  /** @type {HTMLCanvasElement[]} */ #canvases = [];
  /** @type {Seen | null} */ #seen = null;
  /** @type {HTMLCanvasElement | null} */ #ink = null;
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.classList.add("seen");
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "What the network sees");
    this.#canvases = STEPS.map(() => make("canvas", { class: "map", role: "img", width: 1, height: 1 }));
    this.replaceChildren(...STEPS.map((words, k) => make("div", {}, this.#canvases[k], words)));
    this.#label();
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
    this.#redraw.request();
  }

  disconnectedCallback() {
    this.#redraw?.stop();
    this.#stop?.();
  }

  /** @param {Seen | null} seen null: nothing drawn @param {HTMLCanvasElement} ink the pad's own picture */
  show(seen, ink) {
    this.#seen = seen;
    this.#ink = ink;
    this.#redraw?.request();
  }

  #label() {
    STEPS.forEach((words, k) => {
      const label = this.#seen ? `Step ${k + 1}: ${words}.` : `Step ${k + 1}: ${words}. Nothing is drawn yet.`;
      if (this.#canvases[k].getAttribute("aria-label") !== label) this.#canvases[k].setAttribute("aria-label", label);
    });
  }

  #draw() {
    const seen = this.#seen, [boxed, scaled, centred] = this.#canvases;
    this.#label();
    if (!seen || !this.#ink) {
      for (const canvas of this.#canvases) paint(canvas, NOTHING, 1, 1, 1, "ink");
      return;
    }
    const { context, width } = surface(boxed);
    context.clearRect(0, 0, width, width);
    context.drawImage(this.#ink, 0, 0, width, width);
    const [left, top, right, bottom] = seen.box.map(share => share * width);
    context.strokeStyle = colour("series-2");
    context.strokeRect(left, top, right - left, bottom - top);
    paint(scaled, values(seen.scaled), seen.scaled.shape[1], seen.scaled.shape[0], seen.scaled.high || 1, "ink");
    paint(centred, values(seen.centred), seen.centred.shape[1], seen.centred.shape[0], seen.centred.high || 1, "ink");
  }
}

customElements.define("ink-steps", InkSteps);
export { InkSteps };
