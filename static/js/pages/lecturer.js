/** The lecturer's page: the board of the class, and what is done to one run, to all of them, and after class. */

import "../elements/run-curve.js";
import { request } from "../lib/api.js";
import { Board } from "../lib/board.js";
import { ConnectionNotice } from "../lib/connection.js";
import { all, icon, make, write } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { ServerEvents } from "../lib/stream.js";

const HIDDEN = "nabla.hide-names";

/** @param {string} id */
const byId = id => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const box = id => /** @type {HTMLInputElement} */ (document.getElementById(id));

// ---- Which board: with names or without, with the runs of labs or without ------------------------------------------------

const address = new URL(location.href);

/** What this browser was told last, unless the address says it. */
function namesAreHidden() {
  if (address.searchParams.has("hidden")) return box("hidden").checked;
  try { return localStorage.getItem(HIDDEN) === "1"; } catch { return false; }
}

const hidden = namesAreHidden(), labs = address.searchParams.get("labs") === "1";
box("hidden").checked = hidden;
box("labs").checked = labs;

/** The page begins again: names that are to be hidden shall not stay anywhere in it. @param {string} name @param {boolean} on */
function choose(name, on) {
  address.searchParams.set(name, on ? "1" : "0");
  location.replace(address);
}
box("hidden").addEventListener("change", () => {
  try { localStorage.setItem(HIDDEN, box("hidden").checked ? "1" : "0"); } catch { /* the address remembers it */ }
  choose("hidden", box("hidden").checked);
});
box("labs").addEventListener("change", () => choose("labs", box("labs").checked));

// ---- Questions and refusals -------------------------------------------------------------------------------------------------

const sure = /** @type {HTMLDialogElement} */ (byId("sure"));

/** Whether the lecturer is sure. @param {string} title @param {string} words @param {string} verb on the button that does it */
function ask(title, words, verb) {
  write(byId("sure-title"), title);
  write(byId("sure-words"), words);
  write(byId("sure-yes"), verb);
  sure.returnValue = "no";
  sure.showModal();
  return new Promise(resolve => sure.addEventListener("close", () => resolve(sure.returnValue === "yes"), { once: true }));
}

/** Does something, and tells what was refused where every page does. @param {() => Promise<unknown>} work */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    const dismiss = make("button", { class: "button quiet square", type: "button", "data-action": "dismiss", "aria-label": "Dismiss" }, icon("clear"));
    const words = make("div", {}, make("b", {}, "Not done"), error instanceof Error ? error.message : String(error));
    byId("problems").replaceChildren(make("div", { class: "problem", role: "alert" }, icon("warn"), words, dismiss));
  }
}

/** @param {number} count @param {string} one @param {string} many */
const counted = (count, one, many = `${one}s`) => `${integer(count)} ${count === 1 ? one : many}`;

// ---- The board ------------------------------------------------------------------------------------------------------------------

const board = new Board(byId("board"), (what, run, whose) => attempt(async () => {
  const name = run.name ?? "A run";
  if (what === "pause") await request("PATCH", `/api/runs/${run.id}`, { state: "paused" });
  else if (what === "run") await request("PATCH", `/api/runs/${run.id}`, { state: "running" });
  else if (what === "stop") {
    const words = `“${name}” of ${whose} stands still after this, with its curves and weights; it trains again only from its beginning.`;
    if (await ask("End this run?", words, "End it")) await request("PATCH", `/api/runs/${run.id}`, { state: "stopped" });
  } else if (await ask("Delete this run?", `“${name}” of ${whose} goes with its curves and weights. This cannot be undone.`, "Delete it")) {
    await request("DELETE", `/api/runs/${run.id}`);
  }
}));

const people = /** @type {HTMLDetailsElement} */ (byId("people"));

function listPeople() {
  if (!people.open) return;
  const rows = [...board.students.values()].map(({ number, online, solved }) => make("tr", {},
    make("th", { scope: "row", dir: "auto" }, board.whose(number)),
    make("td", {}, online ? "yes" : "–"),
    make("td", { class: "number" }, integer(board.runsOf(number))),
    make("td", { class: "number" }, integer(solved))));
  people.querySelector("tbody")?.replaceChildren(...rows);
}
people.addEventListener("toggle", listPeople);

for (const radio of all("#states input")) {
  radio.addEventListener("change", () => { byId("board").dataset.show = /** @type {HTMLInputElement} */ (radio).value; });
}

const query = new URLSearchParams({ hidden: hidden ? "1" : "0", labs: labs ? "1" : "0" });
const stream = new ServerEvents(byId("stream"), `${byId("stream").dataset.events}?${query}`, ["class"]);
new ConnectionNotice(stream, byId("problems"), { href: "/lecturer", words: "Begin again" });
stream.addEventListener("class", event => {
  const news = /** @type {CustomEvent<import("../lib/board.js").News>} */ (event).detail;
  board.take(news);
  for (const counter of all("[data-count]")) {
    const count = news.counts?.[counter.dataset.count ?? ""];
    if (count !== undefined) write(counter, integer(count));
  }
  const groups = board.groups;
  for (const counter of all("[data-states]")) write(counter, groups[counter.dataset.states ?? ""] ? integer(groups[counter.dataset.states ?? ""]) : "");
  byId("no-runs").hidden = groups.all > 0;
  if (news.students || news.gone || news.runs?.some(run => run.name !== undefined)) listPeople();
});
stream.open();

// ---- The whole class ------------------------------------------------------------------------------------------------------------

/** @type {Record<string, () => Promise<void>>} */
const COMMANDS = {
  async pause() {
    const { others } = await request("POST", "/api/class/pause");
    if (others) throw new Error(`${counted(others, "run")} could not be paused: ended meanwhile, or waiting for a place still.`);
  },
  async code() {
    if (!await ask("Make another code?", "Who has joined stays. Nobody else comes in by the old code or link.", "New code")) return;
    await request("POST", "/api/class/code");
    location.reload();
  },
  async clear() {
    const { people, runs, lab_runs, drawings, solved } = await request("GET", "/api/class");
    const all = [counted(runs, "run"), counted(lab_runs, "run of labs", "runs of labs"), counted(drawings, "drawing"), counted(solved, "solved task"), counted(people, "nickname")];
    if (!await ask("Clear up after class?", `${all.slice(0, -1).join(", ")} and ${all[all.length - 1]} are deleted. This cannot be undone.`, "Delete all of it")) return;
    await request("DELETE", "/api/class");
    location.reload();
  },
};

for (const button of all("[data-class]")) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-disabled", "true");
    void attempt(COMMANDS[button.dataset.class ?? ""]).finally(() => button.removeAttribute("aria-disabled"));
  });
}
