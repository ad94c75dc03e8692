/**
 * What a network answers over the plane -> pixels: one a cell of the grid, drawn larger with smoothing. Classes are their
 * colour, at a strength that grows with confidence and leaves room for the points above; numbers are the signed palette.
 */

import { ranking } from "./contours.js";
import { palette, token } from "./palette.js";

/** @typedef {import("./frames.js").Stack} Stack */
/** @typedef {"soft" | "hard"} Look */

const STRENGTH = 0.4; // of a class's colour where the network is certain
const FINE = 400; // pixels of a side, at least, that hard edges are worked out for; smoothing then hides their steps

/** @param {readonly number[]} from @param {readonly number[]} to @param {number} share @returns {number} a pixel in the byte order of ImageData */
function mix(from, to, share) {
  const [r, g, b] = from.map((v, i) => Math.round(v + (to[i] - v) * share));
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
}

/** @param {number} count */
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

/** @param {number} width @param {number} height */
function blank(width, height) {
  const image = new ImageData(width, height);
  return { image, pixels: new Uint32Array(image.data.buffer) };
}

/**
 * Probabilities of the classes. One map is that of the first of two.
 * @param {Stack} stack @param {Look} look @returns {ImageData}
 */
export function classRegions(stack, look) {
  const paper = token("map-zero"), { maps } = stack, colours = classColours(Math.max(2, maps.length));
  if (look === "hard") return flatRegions(stack, colours.map(rgb => mix(paper, rgb, STRENGTH)), 0.5);
  const { image, pixels } = blank(stack.width, stack.height);
  if (maps.length === 1) {
    const table = Uint32Array.from({ length: 256 }, (_, i) => mix(paper, colours[i > 127 ? 0 : 1], STRENGTH * Math.abs(i / 127.5 - 1))), [map] = maps;
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[map[i] * 255 + 0.5 | 0];
    return image;
  }
  const { first } = ranking(maps), even = 1 / maps.length, red = new Float32Array(pixels.length), green = new Float32Array(pixels.length), blue = new Float32Array(pixels.length);
  maps.forEach((map, k) => {
    const [r, g, b] = colours[k];
    for (let i = 0; i < map.length; i++) {
      const p = map[i];
      red[i] += p * r;
      green[i] += p * g;
      blue[i] += p * b;
    }
  });
  const [r, g, b] = paper;
  for (let i = 0; i < pixels.length; i++) {
    const share = STRENGTH * (first[i] - even) / (1 - even);
    pixels[i] = (255 << 24 | b + (blue[i] - b) * share << 16 | g + (green[i] - g) * share << 8 | r + (red[i] - r) * share) >>> 0;
  }
  return image;
}

/**
 * A number at each place: blue above zero, orange below. Hard: only the sign.
 * @param {Stack} stack of one map @param {number} limit the number that gets the last colour @param {Look} look @returns {ImageData}
 */
export function signedRegions(stack, limit, look) {
  const table = palette("signed"), [map] = stack.maps, slope = limit > 0 ? 127.5 / limit : 0;
  if (look === "hard") return flatRegions(stack, [table[191], table[64]], 0);
  const { image, pixels } = blank(stack.width, stack.height);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[Math.max(0, Math.min(255, Math.round(127.5 + slope * map[i])))];
  return image;
}

/**
 * One colour for each winner, with edges finer than the grid: where the four numbers round a place disagree, those between
 * them are asked. Everywhere else, which is nearly everywhere, nothing is to be calculated.
 * @param {Stack} stack @param {number[]} colours pixels @param {number} level of a single map, above which the first colour wins
 * @returns {ImageData}
 */
function flatRegions({ maps, width, height }, colours, level) {
  const factor = Math.ceil(FINE / width), { image, pixels } = blank(width * factor, height * factor), single = maps.length === 1;
  const winner = single ? Uint8Array.from(maps[0], v => v > level ? 0 : 1) : ranking(maps).winner;
  const across = Array.from({ length: width * factor }, (_, x) => (x + 0.5) / factor - 0.5), last = width - 1;
  for (let y = 0, i = 0; y < height * factor; y++) {
    const cy = Math.min(height - 1, Math.max(0, (y + 0.5) / factor - 0.5)), above = Math.floor(cy) * width, below = Math.min(height - 1, Math.floor(cy) + 1) * width, fy = cy - Math.floor(cy);
    for (let x = 0; x < across.length; x++, i++) {
      const cx = Math.min(last, Math.max(0, across[x])), left = cx | 0, right = Math.min(last, left + 1), fx = cx - left;
      const a = above + left, b = above + right, c = below + left, d = below + right, one = winner[a];
      if (one === winner[b] && one === winner[c] && one === winner[d]) {
        pixels[i] = colours[one];
        continue;
      }
      let best = single ? level : -Infinity, found = single ? 1 : 0;
      for (let k = 0; k < maps.length; k++) {
        const map = maps[k], p = (map[a] * (1 - fx) + map[b] * fx) * (1 - fy) + (map[c] * (1 - fx) + map[d] * fx) * fy;
        if (p > best) [best, found] = [p, k];
      }
      pixels[i] = colours[found];
    }
  }
  return image;
}
