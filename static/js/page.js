/** What every page does: keys, copying, dismissing; a page with a run is wired by its module in pages/. */

import { make, write } from "./lib/dom.js";
import { keysOn, listen, setKeys } from "./lib/keys.js";

/** @param {string} selector of a field or of any element with text */
function textOf(selector) {
  const source = document.querySelector(selector);
  if (source instanceof HTMLInputElement || source instanceof HTMLTextAreaElement) return source.value;
  return source?.textContent ?? "";
}

/** @param {HTMLElement} button with data-copy; says for two seconds that it is done */
async function copy(button) {
  const text = textOf(button.dataset.copy ?? "");
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS on another machine than this one there is no clipboard API.
    const field = make("textarea", { class: "visually-hidden" }, text);
    document.body.append(field);
    field.select();
    done = document.execCommand("copy");
    field.remove();
  }
  const words = button.dataset.words ??= button.textContent ?? "";
  write(button, done ? "Copied" : "Select it and copy");
  setTimeout(() => write(button, words), 2000);
}

const HINT = "nabla.hint";
/** Three first steps for a new visitor, until they are closed. */
function hint() {
  const shown = document.getElementById("hint");
  if (!shown) return;
  try { shown.hidden = localStorage.getItem(HINT) === "closed"; } catch { /* no storage: rather no hint than one at every visit */ }
}

const keys = document.getElementById("keys");

document.addEventListener("click", event => {
  const pressed = event.target instanceof Element ? event.target.closest("[data-copy], [data-action], [data-command]") : null;
  if (!(pressed instanceof HTMLElement)) return;
  if (pressed.dataset.copy) void copy(pressed);
  if (pressed.dataset.action === "dismiss") pressed.closest(".problem")?.remove();
  if (pressed.dataset.action === "dismiss-hint") {
    pressed.closest(".hint")?.setAttribute("hidden", "");
    try { localStorage.setItem(HINT, "closed"); } catch { /* it comes back at the next visit */ }
  }
  if (pressed.dataset.command === "keys" && keys instanceof HTMLDialogElement) {
    if (!keys.open) keys.showModal();
  }
  const menu = pressed.closest(".menu");
  if (menu instanceof HTMLElement && menu.matches(":popover-open") && !pressed.dataset.copy) menu.hidePopover();
});

const onOff = document.querySelector('[data-action="keys-on"]');
if (onOff instanceof HTMLInputElement) {
  onOff.checked = keysOn();
  onOff.addEventListener("change", () => setKeys(onOff.checked));
}

listen(command => {
  const pad = document.querySelector(":is(drawing-pad, plane-plot, curve-plot) canvas[tabindex], drawing-pad canvas");
  if (command === "draw" && pad instanceof HTMLElement) {
    pad.scrollIntoView({ block: "center" });
    pad.focus({ preventScroll: true });
  }
});

hint();
if (document.getElementById("lab-save")) await import("./lib/save-work.js");
/** @type {Record<string, string>} */
const PAGES = { digits: "./pages/digits.js", plane: "./pages/plane.js", curve: "./pages/plane.js", lab: "./pages/lab.js" };
const module = PAGES[document.body.dataset.page ?? ""];
if (module && document.getElementById("stream")) await import(module);
