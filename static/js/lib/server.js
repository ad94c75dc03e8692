/**
 * What every page tells of its server: that runs are not being kept as they should be, and that the server is a newer one than
 * the page. Asked when the page opens, comes back into view or finds its stream again, and else every half a minute.
 */

import { make, write } from "./dom.js";
import { request } from "./api.js";

const EVERY = 30_000, SCATTER = 0.3; // ms; a class asks at different moments
const SOON = 2000; // ms; several reasons to ask are one

const place = document.getElementById("notices");
const words = make("span"), notice = make("div", { class: "callout warning page-callout", id: "notice", hidden: true }, make("b", {}, "About your runs. "), words);
const reload = make("button", { class: "button", type: "button" }, "Reload to update");
const older = make("div", { class: "callout page-callout", id: "older", hidden: true },
  make("span", {}, make("b", {}, "The server was updated. "), "This page is of the version before and may not fit it any more."), reload);
reload.addEventListener("click", () => location.reload());
place?.append(notice, older);

const build = document.querySelector("meta[name=build]")?.getAttribute("content") ?? "";
let asked = -Infinity, timer = 0;

/** The connection stands, or the page has come into view: what was true before may not be. */
export async function ask() {
  if (!place || document.hidden || performance.now() - asked < SOON) return;
  asked = performance.now();
  clearTimeout(timer);
  try {
    const health = await request("GET", "/api/health");
    write(words, health.notice ?? "");
    notice.hidden = !health.notice;
    older.hidden = !build || health.build === build;
  } catch { /* the page says itself that it has no connection */ }
  timer = window.setTimeout(ask, EVERY * (1 + SCATTER * (2 * Math.random() - 1)));
}

document.addEventListener("visibilitychange", () => { void ask(); });
void ask();
