/**
 * Quantised arrays of the stream -> maps to draw. A pack is decoded once, however many elements show it, and only if one does.
 */

/**
 * Maps of one size that belong together: the feature maps of a layer, the slices of its filters, the units of a dense layer
 * (each a map of one pixel).
 * @typedef {{ maps: Float32Array[], width: number, height: number, low: number, high: number, largest: number }} Stack
 */

/** @param {string} text base64 @returns {Uint8Array} */
export function fromBase64(text) {
  return Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), c => c.charCodeAt(0));
}

/** @param {Uint8Array} bytes @returns {string} base64 */
export function toBase64(bytes) {
  if (bytes.toBase64) return bytes.toBase64();
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** @type {WeakMap<Pack, Float32Array>} */
const decoded = new WeakMap();

/** @param {Pack} pack @returns {Float32Array} the values, row-major */
export function values(pack) {
  let found = decoded.get(pack);
  if (!found) {
    const bytes = fromBase64(pack.data), step = (pack.high - pack.low) / 255;
    found = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) found[i] = pack.low + step * bytes[i];
    decoded.set(pack, found);
  }
  return found;
}

/** @type {WeakMap<Pack, Stack>} */
const stacks = new WeakMap();

/**
 * (C, H, W) or (F, C, k, k) -> maps of the last two axes; (D,) -> D maps of one pixel; (H, W) -> one map.
 * @param {Pack} pack @returns {Stack}
 */
export function stack(pack) {
  let found = stacks.get(pack);
  if (!found) {
    const all = values(pack);
    const [height, width] = pack.shape.length > 1 ? pack.shape.slice(-2) : [1, 1];
    found = { maps: cut(all, width * height), width, height, low: pack.low, high: pack.high, largest: Math.max(Math.abs(pack.low), Math.abs(pack.high)) };
    stacks.set(pack, found);
  }
  return found;
}

/** @param {Float32Array} all @param {number} size @returns {Float32Array[]} views, no copies */
function cut(all, size) {
  return Array.from({ length: all.length / size }, (_, k) => all.subarray(k * size, (k + 1) * size));
}

/** @type {WeakMap<Pack, Stack>} */
const sheets = new WeakMap();

/**
 * Dense weights (units, C·H·W) -> for each unit its C maps of H×W laid out as one nearly square sheet, so that a unit can be
 * seen as the pattern it looks for. One channel (a unit that looks at the image itself) is simply that image.
 * @param {Pack} pack @param {number[]} from shape (C, H, W) or (D,) of what the layer looks at @returns {Stack}
 */
function unitSheets(pack, from) {
  let found = sheets.get(pack);
  if (!found) {
    const [units, inputs] = pack.shape, [channels, height, width] = from.length === 3 ? from : [inputs, 1, 1];
    const columns = Math.ceil(Math.sqrt(channels)), rows = Math.ceil(channels / columns);
    const all = values(pack), wide = columns * width, maps = [];
    for (let u = 0; u < units; u++) {
      const sheet = new Float32Array(rows * height * wide);
      for (let i = 0; i < inputs; i++) {
        const c = Math.floor(i / (height * width)), y = Math.floor(i / width) % height, x = i % width;
        sheet[(Math.floor(c / columns) * height + y) * wide + (c % columns) * width + x] = all[u * inputs + i];
      }
      maps.push(sheet);
    }
    found = { maps, width: wide, height: rows * height, low: pack.low, high: pack.high, largest: Math.max(Math.abs(pack.low), Math.abs(pack.high)) };
    sheets.set(pack, found);
  }
  return found;
}

/** What of a layer is looked at. @typedef {"activations" | "gradients" | "weights" | "weight_gradients"} Part */

/**
 * The maps of one part of one layer, or null if this frame has none.
 * @param {Frame} frame @param {number | "input"} layer @param {Part} part @returns {Stack | null}
 */
export function part(frame, layer, part) {
  if (layer === "input") return frame.input && part === "activations" ? stack(frame.input) : null;
  const found = frame.layers[layer], pack = found?.[part];
  if (!pack) return null;
  if (found.type === "dense" && pack.shape.length === 2) {
    const from = layer ? frame.layers[layer - 1].activations : frame.input;
    return unitSheets(pack, from?.shape ?? []);
  }
  return stack(pack);
}

/** @type {Record<string, string>} */
const NAMES = {
  conv2d: "Convolution", conv1d: "1-D convolution", max_pool2d: "Max pooling", max_pool1d: "Max pooling",
  avg_pool2d: "Average pooling", global_avg_pool2d: "Global average pooling", dense: "Dense", relu: "ReLU",
  leaky_relu: "Leaky ReLU", tanh: "Tanh", sigmoid: "Sigmoid", softplus: "Softplus", gelu: "GELU", maxout: "Maxout",
  local_response_normalization: "Local response normalization", batch_normalization: "Batch normalization", dropout: "Dropout", flatten: "Flatten",
};
/** @type {Record<Part, string>} */
const PARTS = { activations: "map", gradients: "gradient of map", weights: "filter", weight_gradients: "gradient of filter" };

/** "Convolution 2", as the engine's plan names it. @param {Frame} frame @param {number | "input"} layer */
function layerName(frame, layer) {
  if (layer === "input") return "Input";
  const { type } = frame.layers[layer], same = frame.layers.filter(l => l.type === type);
  const numbered = ["conv2d", "conv1d", "dense", "batch_normalization"].includes(type) && same.length > 1;
  return (NAMES[type] ?? type) + (numbered ? ` ${same.indexOf(frame.layers[layer]) + 1}` : "");
}

/** "Convolution 2, filter 3, slice 5 of 8". @param {Frame} frame @param {number | "input"} layer @param {Part} which @param {number} map */
export function mapName(frame, layer, which, map) {
  const name = layerName(frame, layer);
  if (layer === "input") return "Input: the picture as the network gets it";
  const shape = frame.layers[layer][which]?.shape ?? [];
  if (shape.length === 4 && shape[1] > 1) return `${name}, ${PARTS[which]} ${Math.floor(map / shape[1]) + 1}, slice ${map % shape[1] + 1} of ${shape[1]}`;
  const unit = shape.length === 1 || shape.length === 2;
  return `${name}, ${unit ? PARTS[which].replace("map", "unit").replace("filter", "weights of unit") : PARTS[which]} ${map + 1} of ${shape[0]}`;
}

/** Whether negative values can be told from zero here; digits are ink on paper. @param {number | "input"} layer */
export const paletteOf = layer => layer === "input" ? "ink" : "signed";
