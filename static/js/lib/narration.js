/**
 * One update in words and figures, stage by stage (app/workers/narration.py says what is told). Units are numbered as in the
 * lecture: the inputs first, then layer by layer.
 */

import { fixed, integer, NONE, percent, range, significant } from "./format.js";

/** A row of a stage: its name, its figures and, of what is too large for figures, a picture. @typedef {[name: string, figures: string, picture?: Pack | null]} Row */
/** A stage as it is shown; `lines` are sentences. @typedef {{ title: string, gist: string, lines: string[], rows: Row[] }} Told */
/** @typedef {"batch" | "forward" | "loss" | "backward" | "update"} Stage */

/** @type {Stage[]} */
export const STAGES = ["batch", "forward", "loss", "backward", "update"];
export const TITLES = { batch: "Take a batch", forward: "Forward", loss: "Loss", backward: "Backward", update: "Update" };

const DIGITS = 4; // after the point: enough to follow a sum by hand
const EQUALS = "\u00a0=\u00a0"; // a number stays with its name
const MOST = 16; // numbers of a layer that are written out
const NUMBERED = new Set(["dense", "sigmoid", "tanh", "relu", "leaky_relu", "softplus", "gelu", "dropout", "flatten"]); // layers that keep the units apart
const subscript = (/** @type {number} */ number) => [...String(number)].map(c => "₀₁₂₃₄₅₆₇₈₉"[Number(c)]).join("");
/** Small ones keep their digits. @param {number | null} value */
const figure = value => value !== null && value !== 0 && Math.abs(value) < 1e-3 ? significant(value) : fixed(value, DIGITS);
const bracketed = (/** @type {number | null} */ value) => value !== null && value < 0 ? `(${figure(value)})` : figure(value);

/** @param {NarratedUpdate} told @returns {Record<Stage, Told>} */
export function tell(told) {
  return { batch: batch(told), forward: forward(told), loss: loss(told), backward: backward(told), update: update(told) };
}

/** @param {NarratedUpdate} told @returns {Told} */
function batch({ batch: { examples, of, places }, example }) {
  const { input } = example, values = input.values?.flat(9);
  const which = example.label === null ? `${figure(example.target)} is to be met` : `its class is ${example.label}`;
  return {
    title: TITLES.batch,
    gist: of === 1 ? "the only example" : examples === of ? `all ${integer(of)} examples` : `${integer(examples)} of ${integer(of)} examples`,
    lines: [
      of === 1 ? "There is one training example, and it is taken." : examples === of ? `All ${integer(of)} training examples are taken.` : `${integer(examples)} of the ${integer(of)} training examples ${examples === 1 ? "is" : "are"} taken: the next in a shuffled order.`,
      `${of === 1 ? "Of this one" : `The first of them is number ${integer(places[0] + 1)};`} ${which}. The stages that follow show what becomes of it.`,
    ],
    rows: [["its inputs", values && values.length <= MOST ? values.map((value, k) => `x${subscript(k + 1)}${EQUALS}${figure(value)}`).join("   ") : inRange(input), pictured(input)]],
  };
}

/** @param {NarratedUpdate} told @returns {Told} */
function forward(told) {
  const units = numbering(told), last = told.layers[told.layers.length - 1];
  return {
    title: TITLES.forward,
    gist: `through ${integer(told.layers.length)} ${told.layers.length === 1 ? "layer" : "layers"}`,
    lines: ["Each layer turns what it is given into what it gives on: weighted sums, then what the activation makes of them."],
    rows: told.layers.map(layer => [layer.name, written(layer.outputs, k => `${layer.type === "dense" && layer !== last ? "in" : "a"}${unit(units, layer, k)}`), pictured(layer.outputs)]),
  };
}

/** @param {NarratedUpdate} told @returns {Told} */
function loss({ example, layers, loss: mean, penalty, batch: { examples } }) {
  const output = layers[layers.length - 1].outputs.values?.flat(9)[0] ?? null;
  const found = example.probabilities && example.label !== null
    ? `The network gives the true class, ${example.label}, ${percent(example.probabilities[example.classes.indexOf(example.label)])}.`
    : `The network says ${figure(output)} where ${figure(example.target)} is true.`;
  return {
    title: TITLES.loss,
    gist: `mean ${significant(mean)}`,
    lines: [`${found} That costs ${figure(example.loss)}.`, examples > 1 ? `The batch's loss is the mean over its ${integer(examples)} examples.` : "The batch is this one example."],
    rows: [["of this example", figure(example.loss)], ["mean of the batch", figure(mean)], ...(penalty ? [/** @type {Row} */ (["weight decay adds", figure(penalty)])] : [])],
  };
}

/** @param {NarratedUpdate} told @returns {Told} */
function backward(told) {
  const units = numbering(told);
  /** @type {Row[]} */
  const rows = [];
  for (const layer of [...told.layers].reverse()) {
    rows.push([layer.name, written(layer.gradients, k => `∂Loss/∂${layer.type === "dense" ? "in" : "a"}${unit(units, layer, k)}`), pictured(layer.gradients)]);
    if (layer.weights) rows.push(["its weights", `steepest: ∂Loss/∂${weight(units, layer)} = ${figure(layer.weights.steepest.gradient)}, mean over the batch`]);
  }
  return {
    title: TITLES.backward,
    gist: "from the loss to the weights",
    lines: ["From the last layer to the first: how the loss answers to each output, and so to each weight before it."],
    rows,
  };
}

/** @param {NarratedUpdate} told @returns {Told} */
function update(told) {
  const { optimizer, learning_rate: rate, layers } = told, units = numbering(told), plain = optimizer === "sgd";
  /** @type {Row[]} */
  const rows = [];
  for (const layer of layers) for (const [what, change, name] of /** @type {const} */ ([[layer.name, layer.weights, weight(units, layer)], ["its biases", layer.biases, bias(units, layer)]])) {
    if (!change) continue;
    const { old, gradient, new: now } = change.steepest;
    rows.push([what, plain
      ? `${name} = ${figure(old)} − ${significant(rate)}·${bracketed(gradient)} = ${figure(now)}`
      : `${name} = ${figure(old)} → ${figure(now)}, gradient ${figure(gradient)}`]);
  }
  return {
    title: TITLES.update,
    gist: `α = ${significant(rate)}`,
    lines: [plain ? "w ← w − α ∂Loss/∂w, for every weight and bias at once." : `Every weight and bias takes a step; ${optimizer} makes it of the gradient, of α = ${significant(rate)} and of what it remembers.`, "Of each layer, those with the steepest slope:"],
    rows,
  };
}

/**
 * The number of each layer's first unit, minus one; null where a layer mixes units, as a convolution does.
 * @param {NarratedUpdate} told @returns {Map<number, { before: number, own: number }> | null}
 */
function numbering({ layers, example }) {
  if (!layers.every(({ type }) => NUMBERED.has(type))) return null;
  const size = (/** @type {ToldArray} */ { shape }) => shape.reduce((product, n) => product * n, 1);
  /** @type {Map<number, { before: number, own: number }>} */
  const found = new Map();
  let before = 0, own = 0, next = size(example.input);
  for (const { index, type, outputs } of layers) {
    if (type === "dense") {
      [before, own] = [own, next];
      next += size(outputs);
    }
    found.set(index, { before, own });
  }
  return found;
}

/** @typedef {ReturnType<typeof numbering>} Numbers */
/** @param {Numbers} units @param {NarratedLayer} layer @param {number} k */
const unit = (units, layer, k) => subscript((units?.get(layer.index)?.own ?? 0) + k + 1);

/** @param {Numbers} units @param {NarratedLayer} layer */
function weight(units, { index, weights }) {
  const numbers = units?.get(index), [to = 0, from = 0] = weights?.steepest.place ?? [];
  return numbers ? `w${subscript(numbers.before + from + 1)}${"\u2009"}${subscript(numbers.own + to + 1)}` : `w[${(weights?.steepest.place ?? []).map(place => place + 1).join(", ")}]`;
}

/** @param {Numbers} units @param {NarratedLayer} layer */
function bias(units, { index, biases }) {
  const numbers = units?.get(index), [to = 0] = biases?.steepest.place ?? [];
  return numbers ? `w₀${"\u2009"}${subscript(numbers.own + to + 1)}` : `b[${to + 1}]`;
}

/** All of a few numbers with their names, else their range. @param {ToldArray} values @param {(k: number) => string} name */
function written(values, name) {
  const few = values.values?.flat(9);
  return few && few.length <= MOST ? few.map((value, k) => `${name(k)}${EQUALS}${figure(value)}`).join("   ") : inRange(values);
}

/** Maps can be shown; a row of units is no picture. @param {ToldArray} values */
const pictured = ({ shape, pack }) => shape.length === 3 ? pack : null;

/** @param {ToldArray} values */
const inRange = ({ shape, low, high, mean }) => low === null || high === null ? NONE : `${shape.map(integer).join("×")} numbers, ${range(low, high)}, mean ${significant(mean)}`;
