/**
 * `<colour-scale>`: the ramp of signed maps with its ends. Every bank has its own range, which stands under the bank;
 * `ends="3.72"` prints it here, without it the ends are only named.
 */

import { make, write } from "../lib/dom.js";
import { paint } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

const RAMP = Float32Array.from({ length: 121 }, (_, i) => i / 60 - 1);

class ColourScale extends HTMLElement {
  static observedAttributes = ["ends"];
  #low = make("span");
  #high = make("span");
  #canvas = make("canvas", { role: "img", "aria-label": "Colour scale: orange is negative, paper is zero, blue is positive." });
  /** @type {(() => void) | null} */ #stop = null;

  connectedCallback() {
    this.classList.add("scale");
    this.replaceChildren(this.#low, this.#canvas, this.#high);
    this.#stop = onPaletteChange(() => this.#draw());
    this.#draw();
    this.attributeChangedCallback();
  }

  disconnectedCallback() { this.#stop?.(); }

  attributeChangedCallback() {
    const ends = this.getAttribute("ends");
    write(this.#low, ends ? `−${ends}` : "negative");
    write(this.#high, ends ? `+${ends}` : "positive");
  }

  #draw() { paint(this.#canvas, RAMP, RAMP.length, 1, 1); }
}

customElements.define("colour-scale", ColourScale);
export { ColourScale };
