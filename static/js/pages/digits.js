/**
 * Joins stream, watch and elements of the digits page. Elements know nothing of each other: the page gives each frame to
 * those that draw frames, and turns what they say (ink, choose, enlarge, tiles) into wishes of the watch.
 */

import "../elements/colour-scale.js";
import "../elements/drawing-pad.js";
import "../elements/ink-steps.js";
import "../elements/layer-banks.js";
import "../elements/layer-maps.js";
import "../elements/loss-chart.js";
import "../elements/map-dialog.js";
import "../elements/probability-bars.js";
import "../elements/digit-tiles.js";
import { ConnectionNotice } from "../lib/connection.js";
import { all, make, write } from "../lib/dom.js";
import "../lib/edits.js";
import { Figures } from "../lib/figures.js";
import { integer, percent } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { limits } from "../lib/painting.js";
import { RunStream } from "../lib/stream.js";
import { filledAnew } from "../lib/versions.js";
import { Watch } from "../lib/watch.js";

/** @typedef {"drawing" | "train" | "test"} Source */

const DESCRIBE_EVERY = 4000; // ms, for who listens to the page

/** @template T @param {string} selector @returns {T} */
const one = selector => /** @type {T} */ (/** @type {unknown} */ (document.querySelector(selector)));

const place = /** @type {HTMLElement} */ (document.getElementById("stream"));
const runId = place.dataset.run ?? "", classes = (place.dataset.classes ?? "").split(",");
const pad = /** @type {import("../elements/drawing-pad.js").DrawingPad} */ (one("drawing-pad"));
const bars = /** @type {import("../elements/probability-bars.js").ProbabilityBars} */ (one("probability-bars"));
const steps = /** @type {import("../elements/ink-steps.js").InkSteps} */ (one("ink-steps"));
const banks = /** @type {import("../elements/layer-banks.js").LayerBanks} */ (one("layer-banks"));
const dialog = /** @type {import("../elements/map-dialog.js").MapDialog} */ (one("map-dialog"));
const chart = /** @type {import("../elements/loss-chart.js").LossChart} */ (one("loss-chart"));
const tiles = /** @type {import("../elements/digit-tiles.js").DigitTiles} */ (one("digit-tiles"));

/** @typedef {{ example: Example, gradients: boolean, tiles: number[] }} Wishes */
const watch = new Watch(runId, /** @type {Wishes} */ ({ example: { source: "test", index: 0 }, gradients: true, tiles: [] }));
const figures = new Figures();
const stream = new RunStream(place, `/api/runs/${runId}/events?views=metrics,layers,tiles&watch=${watch.id}`);
new ConnectionNotice(stream, /** @type {Element} */ (document.getElementById("problems") ?? document.getElementById("main")));

/** @type {Run | null} */
let run = null;
/** @type {number | null} */
let generation = null;

// ---- What the network looks at -----------------------------------------------------------------------------------------

/** @type {Source} */
let source = "test";
const index = { train: 0, test: 0 };
let empty = true;
let said = "";
const describe = new Pace(DESCRIBE_EVERY, () => pad.describe(said));

/** @param {Source} chosen @param {number} [which] number of the image */
function look(chosen, which) {
  source = chosen;
  if (chosen !== "drawing" && which !== undefined) index[chosen] = which;
  for (const radio of all("[name=example]")) if (radio instanceof HTMLInputElement) radio.checked = radio.value === chosen;
  for (const button of all("[data-action=other-example]")) button.hidden = chosen === "drawing";
  if (chosen === "drawing") {
    pad.showImage(null);
    watch.set({ example: { source: chosen, ...pad.ink.encode() } });
  } else watch.set({ example: { source: chosen, index: index[chosen] } });
  describe.hurry();
}

pad.addEventListener("ink", event => {
  const { size, ink_base64, empty: none } = /** @type {CustomEvent} */ (event).detail;
  empty = none;
  if (source !== "drawing") look("drawing");
  else watch.set({ example: { source: "drawing", size, ink_base64 } });
});
tiles.addEventListener("choose", event => {
  look("test", /** @type {CustomEvent} */ (event).detail.index);
  document.getElementById("draw")?.scrollIntoView();
});
tiles.addEventListener("tiles", event => {
  indices = /** @type {CustomEvent} */ (event).detail.indices;
  wish();
});

// ---- What is worth computing: gradients and test digits only while one sees them ---------------------------------------

/** @type {number[]} */
let indices = [];
/** @type {Set<string>} */
const seen = new Set();

/** @param {string} name @returns {string} */
const chosen = name => one(`[name=${name}]:checked`) ? /** @type {HTMLInputElement} */ (one(`[name=${name}]:checked`)).value : "";

function wish() {
  const gradients = chosen("show") === "gradients" || dialog.open || chosen("of") !== "values" && seen.has("network");
  const wanted = seen.has("test") ? indices : [];
  if (gradients !== watch.value.gradients || String(wanted) !== String(watch.value.tiles)) watch.set({ gradients, tiles: wanted });
}

const sections = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) seen.add(target.id);
    else seen.delete(target.id);
    if (isIntersecting && target.id === "test" && !indices.length && run) void tiles.load();
  }
  wish();
}, { rootMargin: "200px" });
for (const id of ["network", "test"]) {
  const section = document.getElementById(id);
  if (section) sections.observe(section);
}

// ---- Frames ---------------------------------------------------------------------------------------------------------------

/** @param {Frame} frame */
function show(frame) {
  if (frame.watch !== watch.id || frame.example && frame.example.source !== source) return;
  figures.set({ step: frame.step }); // single updates of a paused run bring a frame sooner than a row of the curve
  const nothing = source === "drawing" && empty ? null : frame.probabilities;
  bars.show(nothing);
  banks.show(frame);
  dialog.show(frame);
  for (const element of all("layer-maps")) /** @type {import("../elements/layer-maps.js").LayerMaps} */ (element).show(frame);
  steps.show(frame.seen, pad.canvas);
  tell(frame, nothing);
}

const controls = document.querySelector(".pipeline-controls"), unlabelled = make("p", { class: "note", role: "status", hidden: true },
  "A gradient needs the right answer, and nobody said what a drawing is. Here the network’s own answer is taken for it.");
controls?.append(unlabelled);

const padNote = document.querySelector("#draw .stage header p");
const answer = document.querySelector(".stage:has(> probability-bars) h3"), answerNote = document.querySelector(".stage:has(> probability-bars) header p");

/** Words beside the pictures. @param {Frame} frame @param {number[] | null} probabilities */
function tell(frame, probabilities) {
  const says = probabilities && frame.class !== null ? classes[frame.class] : null, example = frame.example;
  write(answer, says === null ? "Its answer" : `Its answer: ${says}`);
  if (example && example.source !== "drawing" && example.index !== null && example.label !== null) {
    const truth = classes[example.label], words = `${example.source === "test" ? "Test" : "Training"} image ${integer(example.index)}`;
    write(padNote, `${words}: a ${truth}`);
    write(answerNote, says === truth ? `✓ right, it is a ${truth}` : `✗ wrong, it is a ${truth}`);
    pad.showImage(frame.input, `${words}, a ${truth}.`);
  } else {
    write(padNote, "or give it an image");
    write(answerNote, probabilities ? "probability, live" : "nothing is drawn yet");
  }
  unlabelled.hidden = chosen("show") !== "gradients" || source !== "drawing" || !probabilities;
  said = says === null || !probabilities || frame.class === null ? "" : `The network reads ${says}, with ${percent(probabilities[frame.class], 0)}.`;
  describe.wish();
}

// ---- The stream --------------------------------------------------------------------------------------------------------------

/** @template T @param {string} name @param {(data: T) => void} act */
const on = (name, act) => stream.addEventListener(name, event => act(/** @type {CustomEvent} */ (event).detail));

on("state", (/** @type {Run} */ state) => {
  const first = run === null, fresh = generation !== null && state.generation !== generation;
  run = state;
  generation = state.generation;
  if (fresh) {
    chart.forget();
    limits.clear();
  }
  tiles.classes = state.dataset.classes;
  figures.set({ ...state.metrics, step: state.step, examples: state.examples, epoch: state.epoch, seconds: state.seconds });
  write(document.getElementById("seed"), String(state.seed));
  if (!first && JSON.stringify(state.network) !== network) return location.reload(); // the page is made for its network
  network = JSON.stringify(state.network);
  late = waits();
  if (!late) catchUp();
  watch.announce();
  if (first || fresh) {
    indices = [];
    if (seen.has("test")) void tiles.load();
  }
});
on("metrics", (/** @type {Metrics} */ { points, latest }) => {
  chart.points.append(points);
  chart.refresh();
  figures.set(latest);
});
on("frame", (/** @type {Frame | TilesFrame} */ frame) => {
  if (frame.view === "layers") show(frame);
  else if (frame.view === "tiles" && frame.watch === watch.id) tiles.show(frame);
});
on("status", (/** @type {{ step: number }} */ { step }) => figures.set({ step }));

// ---- What another tab, or a program, changed ---------------------------------------------------------------------------------

let network = "", late = false;
/** An element of its own: the stream's takes every failed request for a broken connection. */
const asker = make("div", { hidden: true });
document.body.append(asker);
const trainer = () => /** @type {HTMLFormElement} */ (document.getElementById("trainer"));
const waits = () => trainer().classList.contains("htmx-request");

/** The trainer's form shows what the run is, whoever made it so. */
async function catchUp() {
  late = false;
  if (!run || run.version === trainer().dataset.version) return;
  await window.htmx?.ajax("GET", `/runs/${runId}/trainer`, { source: asker, target: trainer(), swap: "outerMorph" });
  filledAnew();
  settle();
}

/** Fields stand as the server says; one that has the focus is left to whoever types in it. */
function settle() {
  for (const field of trainer().elements) {
    if (field === document.activeElement) continue;
    if (field instanceof HTMLInputElement) field.value = field.defaultValue;
    else if (field instanceof HTMLSelectElement) for (const option of field.options) if (option.defaultSelected) option.selected = true;
  }
}
document.addEventListener("htmx:finally:request", () => setTimeout(() => { if (late && !waits()) void catchUp(); }));
document.addEventListener("htmx:after:swap", event => {
  const { ctx } = /** @type {CustomEvent} */ (event).detail;
  if (ctx.response?.status === 409 && ctx.sourceElement?.id === "trainer") {
    filledAnew();
    settle();
  }
});

// ---- Controls ------------------------------------------------------------------------------------------------------------------

document.addEventListener("change", event => {
  const control = event.target;
  if (!(control instanceof HTMLInputElement)) return;
  const { name, value } = control;
  if (name === "example") look(/** @type {Source} */ (value));
  if (name === "show") banks.setAttribute("show", value);
  if (name === "of") for (const element of all("layer-maps")) element.setAttribute("of", value);
  if (name === "scale") {
    dialog.perMap = value === "map";
    for (const element of all("layer-banks, layer-maps")) element.setAttribute("scale", value);
  }
  if (name === "which") void tiles.choose({ which: value === "mistakes" ? "mistakes" : "all" });
  if (name === "show" || name === "of") wish();
});

document.addEventListener("enlarge", event => {
  dialog.enlarge(/** @type {CustomEvent} */ (event).detail);
  wish();
});

document.addEventListener("click", event => {
  const pressed = event.target instanceof Element ? event.target.closest("[data-action], [data-truth]") : null;
  if (!(pressed instanceof HTMLElement)) return;
  const { action, truth, predicted } = pressed.dataset;
  if (action === "other-digits") void tiles.others();
  if (action === "evaluate") document.body.dispatchEvent(new Event("evaluate"));
  if (action === "other-example" && source !== "drawing" && run) {
    const count = source === "train" ? run.dataset.train_examples : run.dataset.test_examples;
    look(source, Math.floor(Math.random() * count));
  }
  if (truth !== undefined && predicted !== undefined) {
    for (const cell of all("[data-truth]")) cell.setAttribute("aria-pressed", String(cell === pressed));
    void tiles.choose({ which: "all", truth: Number(truth), predicted: Number(predicted) });
  }
});

look("test");
stream.open();
