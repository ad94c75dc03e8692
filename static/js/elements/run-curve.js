/**
 * `<run-curve>`: a small curve of how the loss went, without axes; the page sets `curve` (app/services/classroom.py).
 * Words say where it began and where it is.
 */

import { fromBase64 } from "../lib/frames.js";
import { significant } from "../lib/format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 100, HEIGHT = 40, MARGIN = 2; // units of the viewBox

class RunCurve extends HTMLElement {
  #line = document.createElementNS(SVG, "polyline");
  #svg = document.createElementNS(SVG, "svg");

  connectedCallback() {
    if (this.firstChild) return;
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("role", "img");
    this.#svg.append(this.#line);
    this.append(this.#svg);
  }

  /** @param {{ low: number, high: number, data: string } | null} curve */
  set curve(curve) {
    const bytes = curve ? fromBase64(curve.data) : new Uint8Array();
    const step = WIDTH / Math.max(1, bytes.length - 1), tall = HEIGHT - 2 * MARGIN;
    const points = Array.from(bytes, (byte, place) => `${(place * step).toFixed(1)},${(HEIGHT - MARGIN - tall * byte / 255).toFixed(1)}`);
    this.#line.setAttribute("points", points.join(" "));
    /** @param {number} byte */
    const loss = byte => curve ? significant(curve.low + (curve.high - curve.low) * byte / 255) : "";
    this.#svg.setAttribute("aria-label", bytes.length ? `Training loss from ${loss(bytes[0])} to ${loss(bytes[bytes.length - 1])}` : "No loss measured yet");
  }
}

customElements.define("run-curve", RunCurve);
