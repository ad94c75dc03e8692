/**
 * How points are drawn: training points round, test points square on their corner, mistakes crossed out; a class by its
 * colour, a number by the signed palette; each with an outline that stands off paper and regions. Every look is drawn once
 * and then stamped, so that 5,000 points cost a millisecond or two. And what stands beside them: ticks, small words.
 */

import { colour, palette, token } from "./palette.js";

/** @typedef {import("./plane-points.js").Point} Point */

const RING = 0.45; // of the colour itself in its outline, the rest is ink; as --ring in tokens.css

/**
 * Stamps of one size for one theme and screen.
 * @param {number} radius of a training point, CSS pixels @param {boolean} classes whether labels are classes
 * @param {number} limit the largest number learned, if they are not @param {boolean} [strong] whether they stand on strong
 *   colours, and need paper round them
 */
export function stamps(radius, classes, limit, strong = false) {
  const ratio = devicePixelRatio || 1, ink = token("ink"), half = Math.ceil((radius + 3) * ratio);
  const table = new Uint8Array(palette("signed").buffer);
  /** @type {Map<number, OffscreenCanvas>} */ const made = new Map();

  /** @param {Point} point */
  function stamp({ label, test }) {
    const shade = classes ? label : Math.max(0, Math.min(255, Math.round(127.5 * (1 + label / (limit || 1))))), key = shade * 2 + (test ? 1 : 0);
    const found = made.get(key);
    if (found) return found;
    const rgb = classes ? token(`class-${"abcdef"[label]}`) : [...table.subarray(4 * shade, 4 * shade + 3)];
    const canvas = new OffscreenCanvas(2 * half, 2 * half), context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.translate(half, half);
    context.scale(ratio, ratio);
    context.beginPath();
    if (test) diamond(context, radius + 1);
    else context.arc(0, 0, radius, 0, 2 * Math.PI);
    if (strong) {
      context.lineWidth = 3;
      context.strokeStyle = colour("map-zero");
      context.stroke();
      context.lineWidth = 1;
    }
    context.fillStyle = `rgb(${rgb.join(" ")})`;
    context.fill();
    context.strokeStyle = `rgb(${rgb.map((v, i) => Math.round(v * RING + ink[i] * (1 - RING))).join(" ")})`;
    context.stroke();
    made.set(key, canvas);
    return canvas;
  }

  /** Stamps a point with its middle at a place in CSS pixels. @param {CanvasRenderingContext2D} context in device pixels @param {Point} point @param {number} x @param {number} y */
  return (context, point, x, y) => context.drawImage(stamp(point), Math.round(x * ratio) - half, Math.round(y * ratio) - half);
}

/** @param {OffscreenCanvasRenderingContext2D} context @param {number} r */
function diamond(context, r) {
  context.moveTo(0, -r);
  context.lineTo(r, 0);
  context.lineTo(0, r);
  context.lineTo(-r, 0);
  context.closePath();
}

/** A cross over a mistake, part of a path that is stroked as a whole. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y */
export function cross(context, x, y) {
  context.moveTo(x - 5, y - 5);
  context.lineTo(x + 5, y + 5);
  context.moveTo(x + 5, y - 5);
  context.lineTo(x - 5, y + 5);
}

/** 1-2-5 ticks, about `wanted` of them. @param {number} low @param {number} high @param {number} wanted @returns {number[]} */
export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough) ?? rough;
  const from = Math.ceil(low / step), to = Math.floor(high / step);
  return Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}

/**
 * A clean canvas as fine as the screen, ready for small words. It keeps its store for as long as it keeps its size, because
 * it is asked for ten times a second.
 * @param {HTMLCanvasElement} canvas
 */
export function lettered(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = devicePixelRatio || 1, context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const across = Math.round(width * ratio), down = Math.round(height * ratio);
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  } else context.reset();
  context.scale(ratio, ratio);
  context.lineJoin = context.lineCap = "round";
  context.font = `${11 / 16 * parseFloat(getComputedStyle(document.documentElement).fontSize)}px ${getComputedStyle(document.body).fontFamily}`;
  return { context, width, height };
}

/** Small words that can be read over any colour. @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y */
export function halo(context, text, x, y) {
  context.save();
  context.lineWidth = 3;
  context.strokeStyle = colour("map-zero", 0.8);
  context.fillStyle = colour("ink-2");
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
  context.restore();
}

/** A tick as it is written: no more digits than it has. @param {number} value */
export const axisNumber = value => String(value).replace("-", "−");
