/**
 * What a network answers over the plane -> pixels: one a cell of the grid, drawn larger with smoothing. Classes are their
 * colour, at a strength that grows with confidence and leaves room for the points above; numbers are the signed palette.
 */

import { ranking } from "./contours.js";
import { palette, token } from "./palette.js";

/** @typedef {import("./frames.js").Stack} Stack */
/** @typedef {"soft" | "hard"} Look */

const STRENGTH = 0.4; // of a class's colour where the network is certain
const FINE = 400; // pixels of a side that hard edges are worked out for; smoothing then hides their steps
const FINE_MANY = 300; // the same with more than two classes, each of which costs as much

/** @param {number[]} from @param {number[]} to @param {number} share @returns {number} a pixel in the byte order of ImageData */
function mix(from, to, share) {
  const [r, g, b] = from.map((v, i) => Math.round(v + (to[i] - v) * share));
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
}

/** @param {number} count @returns {number[][]} */
export const classColours = count => [..."abcdef"].slice(0, count).map(letter => token(`class-${letter}`));

/**
 * Values of a grid between its cells' centres; beyond the outer ones, that of the nearest.
 * @param {Float32Array} map @param {number} width @param {number} height @param {number} x in cells @param {number} y
 */
export function between(map, width, height, x, y) {
  const cx = Math.min(width - 1, Math.max(0, x)), cy = Math.min(height - 1, Math.max(0, y));
  const i = Math.min(width - 2, Math.floor(cx)), j = Math.min(height - 2, Math.floor(cy)), fx = cx - i, fy = cy - j, k = j * width + i;
  return (map[k] * (1 - fx) + map[k + 1] * fx) * (1 - fy) + (map[k + width] * (1 - fx) + map[k + width + 1] * fx) * fy;
}

/** The same grid with more cells. @param {Stack} stack @param {number} side at least so many @returns {Stack} */
function finer(stack, side) {
  const { width, height } = stack, factor = Math.ceil(side / width);
  if (factor <= 1) return stack;
  const maps = stack.maps.map(map => {
    const fine = new Float32Array(width * height * factor * factor);
    for (let y = 0, i = 0; y < height * factor; y++) {
      const cy = Math.min(height - 1, Math.max(0, (y + 0.5) / factor - 0.5)), j = Math.min(height - 2, Math.floor(cy)), fy = cy - j, row = j * width;
      for (let x = 0; x < width * factor; x++, i++) {
        const cx = Math.min(width - 1, Math.max(0, (x + 0.5) / factor - 0.5)), k = Math.min(width - 2, cx | 0), fx = cx - k, at = row + k;
        const above = map[at] + (map[at + 1] - map[at]) * fx, below = map[at + width] + (map[at + width + 1] - map[at + width]) * fx;
        fine[i] = above + (below - above) * fy;
      }
    }
    return fine;
  });
  return { ...stack, maps, width: width * factor, height: height * factor };
}

/** @param {Stack} stack its size is the image's @returns {{ image: ImageData, pixels: Uint32Array }} */
function blank({ width, height }) {
  const image = new ImageData(width, height);
  return { image, pixels: new Uint32Array(image.data.buffer) };
}

/**
 * Probabilities of the classes. One map is that of the first of two.
 * @param {Stack} stack @param {Look} look @returns {ImageData}
 */
export function classRegions(stack, look) {
  const paper = token("map-zero"), hard = look === "hard", count = stack.maps.length;
  const used = hard ? finer(stack, count > 1 ? FINE_MANY : FINE) : stack, { image, pixels } = blank(used);
  if (count === 1) {
    const [a, b] = classColours(2), map = used.maps[0];
    const table = Uint32Array.from({ length: 256 }, (_, i) => mix(paper, i > 127 ? a : b, STRENGTH * (hard ? 1 : Math.abs(i / 127.5 - 1))));
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[map[i] * 255 + 0.5 | 0];
    return image;
  }
  const colours = classColours(count), { winner, first } = ranking(used.maps);
  if (hard) {
    const flat = colours.map(rgb => mix(paper, rgb, STRENGTH));
    for (let i = 0; i < pixels.length; i++) pixels[i] = flat[winner[i]];
    return image;
  }
  for (let i = 0; i < pixels.length; i++) {
    const share = STRENGTH * (first[i] - 1 / count) / (1 - 1 / count);
    let r = 0, g = 0, b = 0;
    for (let k = 0; k < count; k++) {
      const p = used.maps[k][i], rgb = colours[k];
      r += p * rgb[0];
      g += p * rgb[1];
      b += p * rgb[2];
    }
    pixels[i] = (255 << 24 | paper[2] + (b - paper[2]) * share << 16 | paper[1] + (g - paper[1]) * share << 8 | paper[0] + (r - paper[0]) * share) >>> 0;
  }
  return image;
}

/**
 * A number at each place: blue above zero, orange below. Hard: only the sign.
 * @param {Stack} stack of one map @param {number} limit the number that gets the last colour @param {Look} look @returns {ImageData}
 */
export function signedRegions(stack, limit, look) {
  const hard = look === "hard", used = hard ? finer(stack, FINE) : stack, { image, pixels } = blank(used), table = palette("signed");
  const map = used.maps[0], slope = limit > 0 ? 127.5 / limit : 0;
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = hard ? table[map[i] < 0 ? 64 : 191] : table[Math.max(0, Math.min(255, Math.round(127.5 + slope * map[i])))];
  }
  return image;
}
