/**
 * Joins form, stream, watch and elements of the pages of points, /plane and /curve.
 *
 * The page comes without a run; it asks for one (`open`), which is remembered for this tab. Every change of the form is sent
 * whole and the bench is morphed to the answer, which says in `data-address` where this experiment is to be found: the
 * address bar follows it, and going back sends the old address in the place of the form. Frames go to all elements.
 */

import "../elements/colour-scale.js";
import "../elements/confusion-matrix.js";
import "../elements/curve-plot.js";
import "../elements/hidden-space.js";
import "../elements/loss-chart.js";
import "../elements/network-diagram.js";
import "../elements/plane-plot.js";
import "../elements/unit-histograms.js";
import { Problem, request } from "../lib/api.js";
import { ConnectionNotice } from "../lib/connection.js";
import { all, make, write } from "../lib/dom.js";
import { Figures } from "../lib/figures.js";
import { percent, integer } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { limits } from "../lib/painting.js";
import { PointSet } from "../lib/plane-points.js";
import { pause, RunStream } from "../lib/stream.js";
import { filledAnew } from "../lib/versions.js";
import { Watch } from "../lib/watch.js";

const DRAG_EVERY = 100; // ms between two sendings of a slider that moves
const SAME_GESTURE = 1500; // ms; changes that follow each other sooner are one entry of the history
const SIDE = 24; // pixels of a neuron's map
const CURVE = 200; // places over x

const page = document.body.dataset.page ?? "plane";
const STORE = `nabla.run.${page}`;
const place = /** @type {HTMLElement} */ (document.getElementById("stream"));
const form = () => /** @type {HTMLFormElement} */ (document.getElementById("experiment"));
/** @template T @param {string} selector @returns {T | null} */
const one = selector => /** @type {T | null} */ (/** @type {unknown} */ (document.querySelector(selector)));

const points = new PointSet(), figures = new Figures();
/** @type {Watch<Record<string, unknown>> | null} */
let watch = null;
/** @type {Run | null} */
let run = null;
/** @type {number | null} */
let generation = null;

// ---- The run of this tab -------------------------------------------------------------------------------------------------

/** Playground keeps its state behind a #, which no server sees. */
function fromPlayground() {
  if (!/^#(?:.*&)?(activation|dataset|networkShape|problem|learningRate)=/.test(location.hash)) return false;
  location.replace(`/${page}?playground=${encodeURIComponent(location.hash.slice(1))}`);
  return true;
}

const began = form().dataset.address ?? "";

/** What the address says: very many points of one's own behind a #; of one that names a run, what that was at first. */
function query() {
  if (new URLSearchParams(location.search).has("run")) return began.slice(began.indexOf("?")).replace("#", "&");
  return `${location.search || "?"}${location.hash.startsWith("#own=") ? `&${location.hash.slice(1)}` : ""}`;
}

/** The answer is the bench. @param {Element | null} source @param {string} path @param {Record<string, string>} values */
const send = (source, path, values) => window.htmx?.ajax("POST", `/${page}/${path}`, { source, target: form(), swap: "outerMorph", values });

function open() {
  let earlier = "";
  try { earlier = sessionStorage.getItem(STORE) ?? ""; } catch { /* no storage: a run each time */ }
  void send(place, "open", { query: query(), run: earlier });
}

/** Until there is a run, a server that is away or full is asked again; `#stream` asks for nothing else before. */
let asked = 0;
for (const name of ["htmx:error", "htmx:response:error"]) place.addEventListener(name, event => {
  const status = /** @type {CustomEvent} */ (event).detail.ctx?.response?.status ?? 0;
  if (!watch && (status === 0 || status === 503)) setTimeout(open, pause(asked++));
});

/** What was changed while the server was away is sent when it is back. */
let unsent = false;
document.addEventListener("htmx:error", event => { unsent ||= event.target === form(); });

/** @param {string} id begins to follow the run */
function follow(id) {
  try { sessionStorage.setItem(STORE, id); } catch { /* as above */ }
  watch = new Watch(id, {});
  const stream = new RunStream(place, `/api/runs/${id}/events?views=metrics,plane&watch=${watch.id}`);
  // The address of this page is the experiment: opened again it asks for a new run.
  new ConnectionNotice(stream, /** @type {Element} */ (document.getElementById("problems") ?? form()), { href: "", words: "Open this experiment again" });
  /** @template T @param {string} name @param {(data: T) => void} act */
  const on = (name, act) => stream.addEventListener(name, event => act(/** @type {CustomEvent} */ (event).detail));
  stream.addEventListener("found", () => {
    if (unsent) form().requestSubmit();
    unsent = false;
  });
  on("state", took);
  on("metrics", (/** @type {Metrics} */ { points: rows, latest }) => {
    const chart = /** @type {import("../elements/loss-chart.js").LossChart | null} */ (one("loss-chart"));
    chart?.points.append(rows);
    chart?.refresh();
    figures.set(latest);
  });
  on("frame", (/** @type {PlaneFrame} */ frame) => {
    if (frame.view === "plane" && frame.watch === watch?.id) show(frame);
  });
  on("status", (/** @type {{ step: number }} */ { step }) => figures.set({ step }));
  wish();
  stream.open();
}

/** @param {Run} state */
function took(state) {
  const fresh = generation !== null && state.generation !== generation;
  run = state;
  generation = state.generation;
  if (fresh) {
    /** @type {import("../elements/loss-chart.js").LossChart | null} */ (one("loss-chart"))?.forget();
    limits.clear();
  }
  figures.set({ ...state.metrics, step: state.step, examples: state.examples, epoch: state.epoch, seconds: state.seconds });
  /** @type {import("../elements/loss-chart.js").LossChart | null} */ (one("loss-chart"))?.offerAccuracy(state.dataset.classes.length > 0);
  void points.follow(state.id, state.dataset.digest ?? "");
  equip();
  watch?.announce();
  late = waits();
  if (!late) catchUp();
}

/** The run became something while an answer was awaited: what this form asked for, or what another tab did. */
let late = false;

/** The form shows what the run is, whoever made it so. */
function catchUp() {
  late = false;
  const { version, speed } = form().dataset;
  if (run && (run.version !== version || String(run.updates_per_second ?? "") !== speed)) {
    void send(form(), `runs/${run.id}/experiment`, { action: "follow" });
  }
}

// ---- Frames ----------------------------------------------------------------------------------------------------------------

/** Elements that draw frames; after a morph some of them may be new. */
const drawn = () => /** @type {(HTMLElement & { show(frame: PlaneFrame): void })[]} */ (all("network-diagram, plane-plot, curve-plot, hidden-space, unit-histograms").filter(element => "show" in element));

/** @param {PlaneFrame} frame */
function show(frame) {
  figures.set({ step: frame.step });
  predictions = frame.predictions ?? predictions;
  for (const element of drawn()) element.show(frame);
  const matrix = /** @type {import("../elements/confusion-matrix.js").ConfusionMatrix | null} */ (one("confusion-matrix"));
  matrix?.moved(frame.step);
}

const hidden = () => /** @type {import("../elements/hidden-space.js").HiddenSpace | null} */ (one("hidden-space"));

/** Gives the elements what they share. */
function equip() {
  for (const element of all("plane-plot, curve-plot, hidden-space")) Object.assign(element, { points });
  const matrix = /** @type {import("../elements/confusion-matrix.js").ConfusionMatrix | null} */ (one("confusion-matrix"));
  const histograms = /** @type {import("../elements/unit-histograms.js").UnitHistograms | null} */ (one("unit-histograms"));
  if (run) {
    matrix?.follow(run);
    if (histograms) histograms.network = run.network;
    hidden()?.describe(run.network);
  }
}

/** Sections of which nothing is computed while they are out of sight. @type {Set<Element>} */
const seen = new Set();
const sections = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target);
  wish();
}, { rootMargin: "200px" });

/** Tells the server what is looked at: what this page draws now, in its size. */
function wish() {
  const { resolution, neuron, units } = JSON.parse(form().dataset.view ?? "{}"), curve = one("curve-plot") !== null;
  const columns = (one("plane-plot")?.getAttribute("columns") ?? "0,1").split(",").map(Number), warped = hidden();
  const wanted = JSON.stringify({
    plane: curve ? null : { resolution, neuron: neuron ? neuron.split(".").map(Number) : null, columns },
    curve: curve ? { resolution: CURVE, layer: units === "" ? null : Number(units) } : null,
    neurons: SIDE, weights: true,
    hidden: warped && seen.has(warped) ? warped.view : null,
    histograms: seen.has(/** @type {Element} */ (one("unit-histograms"))),
  });
  if (!watch || wanted === told) return;
  told = wanted;
  watch.set(JSON.parse(wanted, (_, value) => value ?? undefined));
}
let told = "";

// ---- The form --------------------------------------------------------------------------------------------------------------

let sent = "";

/** Sends the form, unless it has just been sent as it is: a slider that is let go has told so already. */
function submit() {
  const now = new URLSearchParams(/** @type {any} */ (new FormData(form()))).toString();
  if (now !== sent) form().requestSubmit();
  sent = now;
}
const dragged = new Pace(DRAG_EVERY, submit);

/** Buttons that were pressed before the answer to the press before had come; each begins from what that one makes. @type {string[]} */
const presses = [];
const waits = () => form().classList.contains("htmx-request");

document.addEventListener("submit", event => {
  if (event.target !== form() || !(event.submitter instanceof HTMLButtonElement) || event.submitter.name !== "action" || !waits()) return;
  presses.push(event.submitter.value);
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
document.addEventListener("htmx:finally:request", () => setTimeout(press));
document.addEventListener("htmx:finally:request", () => setTimeout(() => { if (late && !waits()) catchUp(); }));

function press() {
  if (waits() || !presses.length) return;
  const value = presses.shift();
  const button = [...form().elements].find(element => element instanceof HTMLButtonElement && element.name === "action" && element.value === value && !element.disabled);
  if (button instanceof HTMLButtonElement) form().requestSubmit(button);
  else press();
}

document.addEventListener("change", event => {
  const control = event.target;
  if (control === form()) return submit(); // points were painted
  if (!(control instanceof HTMLInputElement || control instanceof HTMLSelectElement)) return;
  if (control.form !== form() || "local" in control.dataset) return;
  look(control);
  dragged.hurry();
  submit();
});
document.addEventListener("input", event => {
  const control = event.target;
  if (!(control instanceof HTMLInputElement) || control.type !== "range" || control.form !== form()) return;
  const value = Number(control.value), words = control.max === "0.5" || control.max === "1" || control.max === "1.0" ? percent(value, 0) : integer(value);
  write(form().querySelector(`[data-of="${control.name}"]`), words);
  control.setAttribute("aria-valuetext", words);
  dragged.wish();
});

/** What changes only the look does not wait for the server. @param {HTMLInputElement | HTMLSelectElement} control */
function look(control) {
  const plot = one("plane-plot, curve-plot");
  if (control.name === "regions") plot?.setAttribute("regions", control.value);
  if (control.name === "show") plot?.setAttribute("show", all("[name=show]:checked").map(box => /** @type {HTMLInputElement} */ (box).value).join(","));
}

/** After an answer the fields stand as the server says; one that has the focus is left to whoever types in it. */
function settle() {
  for (const control of form().elements) {
    if (control instanceof HTMLInputElement && (control.type === "radio" || control.type === "checkbox") && !control.closest("[hx-morph-skip]")) control.checked = control.defaultChecked;
    else if (control === document.activeElement) continue;
    else if (control instanceof HTMLInputElement && control.type === "range") control.value = control.defaultValue;
    else if (control instanceof HTMLSelectElement && !("local" in control.dataset)) for (const option of control.options) if (option.defaultSelected) option.selected = true;
  }
}

const THEIRS = ["followed", "overtaken"]; // the form was filled with what another tab made of the run
let changed = -Infinity, travelling = false;

/** The address bar says what the bench is. */
function address() {
  const { address: now = "", change = "" } = form().dataset;
  if (change === "refused" || change === "none" || "whose" in document.body.dataset) return; // another's run has no other address
  if (travelling || change === "opened") {
    travelling = false;
    if (change === "opened") return;
  } else if (THEIRS.includes(change)) {
    if (!new URLSearchParams(location.search).has("run")) history.replaceState(null, "", now);
  } else if (now !== location.pathname + location.search + location.hash) {
    const gesture = performance.now() - changed < SAME_GESTURE || change === "view";
    history[gesture ? "replaceState" : "pushState"](null, "", now);
    changed = performance.now();
  }
}

document.addEventListener("htmx:after:swap", event => {
  if (!(event.target instanceof Element) || !event.target.isConnected && event.target.id !== "experiment") return;
  const id = form().dataset.run;
  if (id && !watch) follow(id);
  sent = "";
  // The buttons of the run bar come back by themselves; then the form may be ahead of what the server knows.
  const { target } = /** @type {CustomEvent} */ (event).detail.ctx;
  const theirs = THEIRS.includes(form().dataset.change ?? "") && (target === form() || target === "#experiment"); // hx-status names it
  if (theirs) filledAnew();
  if (theirs || target === form() && !waits()) settle();
  address();
  share();
  equip();
  wish();
});
addEventListener("popstate", () => {
  if (!watch) return;
  travelling = true;
  void send(form(), `runs/${form().dataset.run}/experiment`, { query: query() });
});

// ---- What the elements tell ------------------------------------------------------------------------------------------------

document.addEventListener("weights", async event => {
  const { layer, unit, input, value } = /** @type {CustomEvent} */ (event).detail;
  try {
    await request("PUT", `/api/runs/${form().dataset.run}/layers/${layer}/weights`, { changes: [{ unit, input, value }] });
  } catch (error) {
    if (error instanceof Problem) tell(error.message);
  }
});
document.addEventListener("neuron", event => {
  const { layer, unit, pressed } = /** @type {CustomEvent} */ (event).detail;
  const layers = form().querySelector("select[name=units]");
  if (layers instanceof HTMLSelectElement) { // along a line there is nothing to enlarge; its layer is drawn as curves
    layers.value = pressed ? String(layer) : "";
    return submit();
  }
  keep("neuron", pressed ? `${layer}.${unit}` : "");
});
document.addEventListener("hidden", event => {
  const { target } = event;
  wish();
  if (target instanceof HTMLElement && target.contains(document.activeElement)) keep("hidden", target.getAttribute("of") ?? "");
});
/** Thousands of rows that are pasted at once; typed in one by one, as a browser does it, they take half a minute. */
document.getElementById("csv-text")?.addEventListener("paste", event => {
  const text = /** @type {ClipboardEvent} */ (event).clipboardData?.getData("text/plain") ?? "", field = event.target;
  if (text.length < 10_000 || !(field instanceof HTMLTextAreaElement)) return;
  event.preventDefault();
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
});
document.addEventListener("highlight", event => {
  const cell = /** @type {CustomEvent} */ (event).detail;
  const plot = /** @type {import("../elements/plane-plot.js").PlanePlot | null} */ (one("plane-plot"));
  plot?.light(cell ? lit(cell) : null);
});

/** @param {string} name @param {string} text a part of the view that has no field of its own */
function keep(name, text) {
  let field = /** @type {HTMLInputElement | null} */ (form().querySelector(`input[type=hidden][name=${name}]`));
  if (!field) form().prepend(field = make("input", { type: "hidden", name }));
  field.value = text;
  submit();
}

/** @param {{ truth: number, predicted: number, split: string }} cell @returns {number[]} */
function lit({ truth, predicted, split }) {
  return points.served.flatMap((point, index) => point.label === truth && predictions?.[index] === predicted && point.test === (split === "test") ? [index] : []);
}
/** @type {number[] | null} */
let predictions = null;

/** @param {string} words */
function tell(words) {
  document.getElementById("problems")?.replaceChildren(make("div", { class: "problem", role: "alert" }, make("div", {}, make("b", {}, "Not possible"), words)));
}

// ---- Sharing and dialogs -----------------------------------------------------------------------------------------------------

/** The link: what the bench is, and which controls a lesson hides or locks. */
function share() {
  const field = one("#share-link");
  if (!(field instanceof HTMLInputElement)) return;
  const url = new URL(form().dataset.address ?? "", location.origin);
  for (const [name, selector] of [["hide", "data-hides"], ["lock", "data-locks"]]) {
    const chosen = all(`[${selector}]:checked`).map(box => box.getAttribute(selector));
    const kept = url.searchParams.get(name)?.split(",") ?? [];
    const both = [...new Set([...kept, ...chosen])].filter(Boolean);
    if (both.length) url.searchParams.set(name, both.join(","));
  }
  field.value = url.href.replaceAll("%2C", ",");
}
document.addEventListener("change", event => {
  if (event.target instanceof Element && event.target.matches("[data-hides], [data-locks]")) share();
});
document.addEventListener("click", event => {
  const pressed = event.target instanceof Element ? event.target.closest("[data-opens], [data-closes]") : null;
  if (!(pressed instanceof HTMLElement)) return;
  const dialog = document.getElementById(pressed.dataset.opens ?? pressed.dataset.closes ?? "");
  if (!(dialog instanceof HTMLDialogElement)) return;
  if (pressed.dataset.opens) dialog.showModal();
  else dialog.close();
});

if (!fromPlayground()) {
  share();
  equip();
  for (const element of all("hidden-space, unit-histograms")) sections.observe(element);
  const id = form().dataset.run;
  if (id) follow(id);
  else open();
}
