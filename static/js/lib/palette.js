/**
 * Colours of pictures, from the tokens of the style sheet: a value -> a row of a 256-entry table. The stops are equal steps
 * of lightness and are joined in OKLab. Tables are rebuilt when the theme changes; `onPaletteChange` tells who has to redraw.
 */

/** @type {Record<string, string[]>} */
const STOPS = {
  signed: ["map-neg-4", "map-neg-3", "map-neg-2", "map-neg-1", "map-zero", "map-pos-1", "map-pos-2", "map-pos-3", "map-pos-4"],
  ink: ["map-zero", "ink"],
  loss: ["loss-low", "loss-high"],
};

/** @type {HTMLElement | null} */
let probe = null;
/** @type {Map<string, number[]>} */
const tokens = new Map();

/**
 * A token's used colour, red green blue 0..255. Custom properties keep light-dark() unresolved in getPropertyValue; the
 * colour of an element does not. Kept until the theme changes: each asking costs a calculation of styles.
 * @param {string} name @returns {readonly number[]}
 */
export function token(name) {
  const kept = tokens.get(name);
  if (kept) return kept;
  if (!probe) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.setProperty("color", `var(--${name})`);
  const found = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? ["0", "0", "0"]).slice(0, 3).map(Number);
  tokens.set(name, found);
  return found;
}

/** The same as CSS text. @param {string} name @param {number} [alpha] */
export const colour = (name, alpha = 1) => `rgb(${token(name).join(" ")} / ${alpha})`;

/** @param {readonly number[]} rgb */
const linear = rgb => rgb.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
/** @param {readonly number[]} rgb */
const gamma = rgb => rgb.map(v => 255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055));
/** @param {number[][]} matrix @param {number[]} vector */
const times = (matrix, vector) => matrix.map(row => row.reduce((sum, a, i) => sum + a * vector[i], 0));
// Björn Ottosson, "A perceptual color space for image processing" (2020).
const TO_LMS = [[.4122214708, .5363325363, .0514459929], [.2119034982, .6806995451, .1073969566], [.0883024619, .2817188376, .6299787005]];
const TO_RGB = [[4.0767416621, -3.3077115913, .2309699292], [-1.2684380046, 2.6097574011, -.3413193965], [-.0041960863, -.7034186147, 1.7076147010]];
// OKLab's last step is linear, so that interpolation gives the same without it.
/** @param {readonly number[]} rgb */
const toLab = rgb => times(TO_LMS, linear(rgb)).map(Math.cbrt);
/** @param {number[]} lab */
const fromLab = lab => gamma(times(TO_RGB, lab.map(v => v ** 3)).map(v => Math.min(1, Math.max(0, v))));

/** @param {string[]} names @returns {Uint32Array} 256 pixels in the byte order of ImageData */
function ramp(names) {
  const stops = names.map(name => toLab(token(name)));
  const bytes = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i++) {
    const x = i / 255 * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(x)), f = x - k;
    bytes.set([...fromLab(stops[k].map((v, c) => v + (stops[k + 1][c] - v) * f)), 255], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

/** @type {Map<string, Uint32Array>} */
const tables = new Map();

/** @param {"signed" | "ink" | "loss"} name @returns {Uint32Array} */
export function palette(name) {
  let table = tables.get(name);
  if (!table) tables.set(name, table = ramp(STOPS[name]));
  return table;
}

/** @type {Set<() => void>} */
const listeners = new Set();
function changed() {
  tokens.clear();
  tables.clear();
  for (const listener of listeners) listener();
}
new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);

/** Calls back after the colours changed. @param {() => void} listener @returns {() => void} stops it */
export function onPaletteChange(listener) {
  listeners.add(listener);
  return () => { listeners.delete(listener); };
}
