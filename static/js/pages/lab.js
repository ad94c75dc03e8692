/**
 * A lab: sends its form, feeds its elements, steps through its parts.
 *
 * The form is the lab's whole state. Every change sends it and it is morphed to the answer; so do the commands of the run bar,
 * and while runs train it is sent once a second for the figures and tasks that follow them. One request is under way at a
 * time: what is pressed meanwhile waits, what is dragged is sent as it then is.
 */

import { all, make, write } from "../lib/dom.js";
import { keysOn } from "../lib/keys.js";
import { fixed, integer, significant } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { PointSet } from "../lib/plane-points.js";
import { RunsStream } from "../lib/runs-stream.js";
import { pause } from "../lib/stream.js";
import { newId, Watch } from "../lib/watch.js";
import { ConnectionNotice } from "../lib/connection.js";
import "../elements/slow-motion.js";

const DRAG_EVERY = 60; // ms between two sendings of a slider that moves
const LOOK_EVERY = 1000; // ms between two looks at runs that train
const REST = 10; // times as long as an answer took the page waits at least: a server with a whole class on it answers slower
const MORE_EVERY = 100; // ms between two that tell more and more
const LATER = [429, 503]; // statuses by which it asks for patience
const IN_LINE = 1500; // ms between two questions whether the runs have places by now

const place = /** @type {HTMLElement} */ (document.getElementById("stream"));
const { lab = "", elements = "", watch: wanted = "{}" } = document.body.dataset;
const STORE = `nabla.lab.${lab}`;
const form = () => /** @type {HTMLFormElement} */ (document.getElementById("lab"));
/** What sends the form; an element of its own, since the stream's takes every failed request for a broken connection. */
const sender = make("div", { hidden: true });
document.body.append(sender);
await Promise.all(elements.split(" ").filter(Boolean).map(name => import(`../elements/${name}.js`)));

/**
 * What an element of a lab's figure may have; the page calls what is there.
 * @typedef {HTMLElement & {
 *   figures?: unknown, settings?: Record<string, string>,
 *   state?: (run: string, state: Run) => void,
 *   metrics?: (run: string, rows: Metrics["points"], latest: Metrics["latest"]) => void,
 *   frame?: (run: string, frame: PlaneFrame) => void,
 *   show?: (frame: PlaneFrame) => void, points?: unknown,
 * }} Fed
 */
const fed = () => /** @type {Fed[]} */ (all("#stage *").filter(element => element.localName.includes("-")));

// ---- Sending ---------------------------------------------------------------------------------------------------------------

/** @typedef {Record<string, string>} Values */
/** Commands that wait for their turn. @type {Values[]} */
const waiting = [];
let busy = false, dirty = false, away = false, failed = 0, looked = 0, took = 0;
sender.addEventListener("htmx:error", () => { away = true; });
sender.addEventListener("htmx:response:error", event => { away = LATER.includes(/** @type {CustomEvent} */ (event).detail.ctx?.response?.status); });

/** The form as it is; of two fields with one name the later one counts. @returns {Values} */
function fields() {
  /** @type {Values} */
  const values = {};
  for (const [name, value] of new FormData(form())) if (typeof value === "string") values[name] = value;
  return values;
}

/** @param {Values} [command] what is to be done beside reading the form; none: the form has changed */
function send(command) {
  if (command) waiting.push(command);
  else dirty = true;
  void pump();
}

async function pump() {
  if (busy) return;
  busy = true;
  document.body.dataset.sending = "1"; // for those who wait for the answer, such as tests
  while (waiting.length || dirty) {
    const command = waiting.shift() ?? {};
    if (!waiting.length) dirty = false;
    looked = performance.now();
    away = false;
    await window.htmx?.ajax("POST", `/labs/${lab}`, { source: sender, target: form(), swap: "outerMorph", values: { command: "look", ...fields(), ...command } });
    took = performance.now() - looked;
    if (!away) failed = 0;
    const inLine = form().dataset.wait === "1";
    if (away || inLine) {
      waiting.unshift(inLine ? { ...command, runs: form().dataset.runs ?? "" } : command);
      await new Promise(done => setTimeout(done, away ? pause(failed++) : IN_LINE));
      continue;
    }
    // A link whose updates cannot be done says why in #problems; the lab itself opens as if it had named none.
    if (command.at && !form().dataset.figures) waiting.push({ ...command, at: "" });
  }
  busy = false;
  delete document.body.dataset.sending;
}

/** @param {Record<string, unknown>} changes settings and what they become */
const setting = changes => new URLSearchParams(Object.entries(changes).map(([name, value]) => [name, String(value)])).toString();

const dragged = new Pace(DRAG_EVERY, () => send());

document.addEventListener("input", event => {
  const control = event.target;
  if (!(control instanceof HTMLInputElement) || control.type !== "range" || control.form !== form()) return;
  told(control);
  dragged.wish();
});
document.addEventListener("change", event => {
  const control = event.target;
  if (!(control instanceof HTMLInputElement || control instanceof HTMLSelectElement || control instanceof HTMLTextAreaElement)) return;
  if (control.form !== form() || "local" in control.dataset) return;
  if (control instanceof HTMLInputElement && control.type === "range") told(control);
  dragged.hurry();
  send();
});
document.addEventListener("submit", event => {
  if (event.target !== form()) return;
  event.preventDefault();
  send();
});
document.addEventListener("click", event => {
  const pressed = event.target instanceof Element ? event.target.closest("[data-send]") : null;
  if (!(pressed instanceof HTMLButtonElement)) return;
  const { send: command = "look", count, set } = pressed.dataset;
  send({ command, ...(count ? { count } : {}), ...(set ? { set } : {}) });
});
/** An element of the figure has been dragged, clicked, typed into: its detail says which settings become what. What a drag tells while an answer is awaited is sent as it then is. */
document.addEventListener("set", event => {
  const { detail } = /** @type {CustomEvent} */ (event), last = waiting.at(-1);
  if (last && Object.keys(last).join() === "set") last.set = setting({ ...Object.fromEntries(new URLSearchParams(last.set)), ...detail });
  else send({ set: setting(detail) });
});

/** The figure beside a slider follows it at once; one on a log scale keeps its value in the field after it. @param {HTMLInputElement} control */
function told(control) {
  const { log, digits } = control.dataset;
  const value = log ? Number((10 ** Number(control.value)).toPrecision(3)) : Number(control.value);
  const words = digits ? fixed(value, Number(digits)) : Number.isInteger(value) ? integer(value) : significant(value);
  if (log && control.nextElementSibling instanceof HTMLInputElement) control.nextElementSibling.value = String(value);
  write(form().querySelector(`[data-out="${log ?? control.name}"]`), words);
  control.setAttribute("aria-valuetext", words);
}

// ---- After an answer ---------------------------------------------------------------------------------------------------------

document.addEventListener("htmx:after:swap", event => {
  const { target } = /** @type {CustomEvent} */ (event).detail.ctx;
  if (target?.id !== "lab" && target !== form()) return;
  const { runs: ids = "", address = location.pathname, link: whole = address, wait } = form().dataset;
  if (ids) keep(ids);
  if (ids && wait !== "1") follow(ids);
  if (followed !== ids && (followed || wait !== "1")) { reopen(whole); return; }
  stood = whole;
  if (!dirty) settle(); // what was typed meanwhile is sent next
  const present = document.documentElement.hasAttribute("data-present");
  history.replaceState(null, "", present ? `${address}${address.includes("?") ? "&" : "?"}present=1` : address);
  const link = document.getElementById("lab-link");
  if (link instanceof HTMLInputElement) link.value = new URL(whole, location.href).href;
  if (present) stress();
  feed();
});

/** A run was deleted elsewhere and has been made anew: the lab opens where it stood. @param {string} link */
function reopen(link) {
  const address = new URL(link, location.href), at = new URL(stood, location.href).searchParams.get("at");
  if (at) address.searchParams.set("at", at);
  else address.searchParams.delete("at");
  if (document.documentElement.hasAttribute("data-present")) address.searchParams.set("present", "1");
  location.replace(address);
}

/** Fields stand as the server says; one that has the focus is left to whoever uses it. */
function settle() {
  for (const control of form().elements) {
    if (control === document.activeElement) continue;
    if (control instanceof HTMLInputElement && (control.type === "radio" || control.type === "checkbox")) control.checked = control.defaultChecked;
    else if (control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement) control.value = control.defaultValue;
    else if (control instanceof HTMLSelectElement) for (const option of control.options) if (option.defaultSelected) option.selected = true;
  }
}

/** Hands the elements what the server has worked out, and new ones what the stream has told so far. */
function feed() {
  const { figures: text = "", settings = "{}" } = form().dataset;
  const value = text ? JSON.parse(text) : null, set = JSON.parse(settings);
  for (const element of fed()) {
    if ("settings" in element) element.settings = set;
    if ("figures" in element && value !== null) element.figures = value;
    for (const [run, known] of runs) if (!knows(element).has(run)) {
      knows(element).add(run);
      if (known.state) element.state?.(run, known.state);
      if (known.rows.step.length) element.metrics?.(run, known.rows, known.latest);
      if (known.frame) give(element, run, known.frame);
      if (drawsPoints(element) && run === runOf(element)) element.points = known.points;
    }
  }
}

// ---- The runs' stream ----------------------------------------------------------------------------------------------------------

/**
 * What the stream has told of each run, for elements that come later.
 * @typedef {{ state: Run | null, rows: Metrics["points"], latest: Metrics["latest"], frame: PlaneFrame | null, points: PointSet }} Known
 * @type {Map<string, Known>}
 */
const runs = new Map();
/** @type {WeakMap<Element, Set<string>>} */
const known = new WeakMap();
/** @param {Element} element @returns {Set<string>} runs that it has been told of */
const knows = element => known.get(element) ?? (known.set(element, new Set()), /** @type {Set<string>} */ (known.get(element)));
let followed = "", stood = "";

/** The run that an element shows: that of the place where it stands, or the lab's first. @param {Element} element */
const runOf = element => /** @type {HTMLElement | null} */ (element.closest("[data-run]"))?.dataset.run ?? [...runs.keys()][0];

/** Points of its own are something else: those of a loss chart are measurements. @param {Fed} element */
const drawsPoints = element => "points" in element && !element.metrics;

/** @param {Fed} element @param {string} run @param {PlaneFrame} frame */
function give(element, run, frame) {
  if (element.frame) element.frame(run, frame);
  else if (run === runOf(element)) element.show?.(frame);
}

/** @param {string} ids name:id pairs with commas, which the page brings along when it is loaded again */
function keep(ids) {
  try { sessionStorage.setItem(STORE, ids); } catch { /* no storage: runs of its own for each visit */ }
}

/** @param {string} ids */
function follow(ids) {
  if (followed) return;
  followed = ids;
  const names = new Map(ids.split(",").map(pair => /** @type {[string, string]} */ (pair.split(":").reverse())));
  const look = JSON.parse(wanted), views = Object.keys(look).length ? "metrics,plane" : "metrics";
  const shared = newId(), watches = [...names.keys()].map(id => new Watch(id, look, shared));
  for (const name of names.values()) runs.set(name, { state: null, rows: nothing(), latest: {}, frame: null, points: new PointSet() });
  const stream = new RunsStream(place, [...names.keys()], { views, watch: shared });
  new ConnectionNotice(stream, /** @type {Element} */ (document.getElementById("problems")), { href: location.pathname, words: "Open this lab again" });
  /** @template T @param {string} event @param {(name: string, known: Known, data: T) => void} act */
  const on = (event, act) => stream.addEventListener(event, message => {
    const { run, data } = /** @type {CustomEvent} */ (message).detail, name = names.get(run) ?? "";
    const known = runs.get(name);
    if (known) act(name, known, data);
  });
  on("state", (name, known, /** @type {Run} */ state) => {
    if (known.state && known.state.generation !== state.generation) Object.assign(known, { rows: nothing(), latest: {} });
    known.state = state;
    if (state.dataset.columns && state.dataset.digest) void known.points.follow(state.id, state.dataset.digest);
    for (const element of fed()) {
      knows(element).add(name);
      element.state?.(name, state);
      if (drawsPoints(element) && name === runOf(element)) element.points = known.points;
    }
    for (const watch of watches) watch.announce();
  });
  on("metrics", (name, known, /** @type {Metrics} */ { points: rows, latest }) => {
    for (const [column, values] of /** @type {[Column, (number | null)[]][]} */ (Object.entries(rows))) (known.rows[column] ??= []).push(...values);
    known.latest = latest;
    for (const element of fed()) element.metrics?.(name, rows, latest);
    for (const figure of all(`[data-of="${name}"][data-column]`)) {
      const { column = "", format = "" } = figure.dataset, value = latest[column];
      write(figure, format === "integer" ? integer(value) : significant(value));
    }
  });
  on("frame", (name, known, /** @type {PlaneFrame} */ frame) => {
    known.frame = frame;
    for (const element of fed()) give(element, name, frame);
  });
  for (const event of ["status", "close"]) on(event, () => send());
  stream.addEventListener("gone", () => send());
  stream.open();
}

/** @returns {Metrics["points"]} */
const nothing = () => /** @type {Metrics["points"]} */ (/** @type {unknown} */ ({ step: [] }));

setInterval(() => {
  if (form().dataset.running === "1" && !busy && !document.hidden && performance.now() - looked > Math.max(LOOK_EVERY, REST * took)) send();
}, LOOK_EVERY / 4);

/** What is worked out in several looks is asked for again as soon as an answer says that there is more of it. */
setInterval(() => {
  if (form().dataset.more === "1" && !busy && !document.hidden) send();
}, MORE_EVERY);

// ---- Symbols ---------------------------------------------------------------------------------------------------------------------

const tip = make("span", { class: "tip symbol-tip", id: "symbol-tip", role: "tooltip", popover: "manual" });
document.body.append(tip);
for (const name of ["mouseover", "mouseout"]) {
  document.addEventListener(name, event => {
    const symbol = event.target instanceof Element ? event.target.closest("[data-meaning]") : null;
    if (name === "mouseout" || !symbol) { if (tip.matches(":popover-open")) tip.hidePopover(); return; }
    write(tip, symbol.getAttribute("data-meaning") ?? "");
    const box = symbol.getBoundingClientRect();
    tip.showPopover();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${box.bottom + 4}px`;
  });
}

// ---- Presenting --------------------------------------------------------------------------------------------------------------------

let current = 0;
const root = document.documentElement;

/** Shows one part, and in the figure what it is about. */
function stress() {
  const parts = all(".part", form());
  current = Math.max(0, Math.min(current, parts.length - 1));
  parts.forEach((part, index) => part.toggleAttribute("data-current", index === current));
  write(document.getElementById("part-number"), `part ${current + 1} of ${parts.length}`);
  const about = parts[current]?.dataset.stress ?? "";
  const bright = !root.hasAttribute("data-present") || about === "";
  for (const element of all("[data-about]", form())) {
    const faded = !bright && !(element.dataset.about ?? "").split(" ").includes(about);
    if (faded) shut(element);
    element.toggleAttribute("data-faded", faded);
  }
}

/** A menu or tip that is open goes before what holds it. @param {ParentNode} within */
function shut(within) {
  for (const open of all(":popover-open", within)) open.hidePopover();
}

/** @param {boolean} on */
function present(on) {
  shut(document);
  root.toggleAttribute("data-present", on);
  const address = new URL(location.href);
  if (on) address.searchParams.set("present", "1");
  else address.searchParams.delete("present");
  history.replaceState(null, "", address);
  stress();
  feed();
}
document.addEventListener("click", event => {
  const pressed = event.target instanceof Element ? event.target.closest("[data-part], [data-command=present], [data-action=end-present]") : null;
  if (!(pressed instanceof HTMLElement)) return;
  event.preventDefault();
  if (pressed.dataset.part) { current += Number(pressed.dataset.part); stress(); }
  else present(pressed.dataset.command === "present");
});
document.addEventListener("keydown", event => {
  if (!root.hasAttribute("data-present") || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !keysOn()) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea, [data-keys=own], canvas[tabindex]")) return;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") { current += event.key === "ArrowRight" ? 1 : -1; stress(); }
  else if (event.key === "Escape") present(false);
});

// ---- The beginning -------------------------------------------------------------------------------------------------------------------

stress();
feed();
if (place.nextElementSibling?.matches(".runbar")) {
  let earlier = "";
  try { earlier = sessionStorage.getItem(STORE) ?? ""; } catch { /* as above */ }
  send({ command: "open", runs: earlier, at: form().dataset.at ?? "" });
}
