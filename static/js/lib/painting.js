/**
 * Values -> pixels. A map is a canvas of the map's own size, one pixel a value, scaled by CSS (`image-rendering: pixelated`);
 * lines are drawn on a canvas of the device's resolution.
 */

import { palette } from "./palette.js";

/** @type {WeakMap<HTMLCanvasElement, ImageData>} */
const images = new WeakMap();

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values row-major
 * @param {number} width @param {number} height
 * @param {number} limit the value that gets the last colour; signed maps are symmetric about zero
 * @param {"signed" | "ink"} [name]
 */
export function paint(canvas, values, width, height, limit, name = "signed") {
  let image = images.get(canvas);
  if (!image || image.width !== width || image.height !== height) {
    canvas.width = width;
    canvas.height = height;
    images.set(canvas, image = new ImageData(width, height));
  }
  const pixels = new Uint32Array(image.data.buffer), table = palette(name);
  const slope = limit > 0 ? (name === "signed" ? 127.5 : 255) / limit : 0, zero = name === "signed" ? 127.5 : 0;
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = table[Math.max(0, Math.min(255, Math.round(zero + slope * values[i])))];
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * Makes a canvas as fine as the screen and lets one draw in CSS pixels.
 * @param {HTMLCanvasElement} canvas
 */
export function surface(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.lineJoin = context.lineCap = "round";
  return { context, width, height };
}

const HALF_LIFE = 1000; // milliseconds

const FAINTEST = 4;

/**
 * Ends of colour scales that follow their data slowly: a range that jumps with every frame makes the picture flicker. But
 * never so slowly that a picture fades away: gradients shrink a hundredfold between two frames.
 * Asking twice at one moment gives the same answer, so that every element that shows a layer has one scale.
 */
class Limits {
  /** @type {Map<string, { value: number, time: number }>} */
  #kept = new Map();

  /** @param {string} key @param {number} target largest magnitude now */
  follow(key, target, now = performance.now()) {
    const kept = this.#kept.get(key);
    if (!kept || kept.value === 0) {
      this.#kept.set(key, { value: target, time: now });
      return target;
    }
    const slow = target + (kept.value - target) * 0.5 ** ((now - kept.time) / HALF_LIFE);
    kept.value = target > 0 ? Math.min(slow, FAINTEST * target) : slow;
    kept.time = now;
    return kept.value;
  }

  /** After a reset the old ranges mean nothing. */
  clear() { this.#kept.clear(); }
}
export const limits = new Limits();

/** @param {Float32Array} values */
export function largest(values) {
  let found = 0;
  for (const v of values) found = Math.max(found, Math.abs(v));
  return found;
}

/**
 * Draws at most once a frame, and only while the element can be seen; what was asked for while it could not is drawn when it
 * comes into view.
 */
export class Redraw {
  #visible = false;
  #wanted = false;
  #asked = 0;
  /** @type {IntersectionObserver} */
  #observer;

  /** @param {Element} element watched @param {() => void} draw */
  constructor(element, draw) {
    this.draw = draw;
    this.#observer = new IntersectionObserver(entries => {
      this.#visible = entries[entries.length - 1].isIntersecting;
      if (this.#visible && this.#wanted) this.request();
    }, { rootMargin: "64px" });
    this.#observer.observe(element);
  }

  request() {
    this.#wanted = true;
    if (!this.#visible || this.#asked) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      this.#wanted = false;
      this.draw();
    });
  }

  stop() {
    this.#observer.disconnect();
    cancelAnimationFrame(this.#asked);
  }
}
