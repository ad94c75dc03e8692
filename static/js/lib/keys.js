/**
 * Single-key shortcuts. They rest while a field has the focus, with a modifier held, inside an open dialog, and when
 * switched off (WCAG 2.1.4); a key presses the button that carries the same command, so that what a key does can always be
 * seen and be done by mouse.
 */

/** @type {Record<string, string>} key -> value of data-command */
const COMMANDS = { " ": "toggle", ".": "step-1", ",": "step-10", r: "reset", n: "new-seed", t: "theme", p: "present", s: "next-stage", "?": "keys" };

const STORE = "nabla.keys";
export const keysOn = () => { try { return localStorage.getItem(STORE) !== "off"; } catch { return true; } };
/** @param {boolean} on */
export const setKeys = on => { try { localStorage.setItem(STORE, on ? "on" : "off"); } catch { /* for this page only */ } };

/** @param {Event} event */
const busy = event => event.target instanceof Element &&
  event.target.closest("input:not([type=radio], [type=checkbox], [type=range]), textarea, select, [contenteditable], dialog[open], [data-keys=own]") !== null;

/** @param {(command: string) => void} act what to do for the key that presses no button: "draw" */
export function listen(act) {
  let pointed = false; // how one came to where the focus is; :focus-visible itself changes with the very key
  document.addEventListener("pointerdown", () => { pointed = true; }, true);
  document.addEventListener("keydown", event => { if (event.key === "Tab" || event.key.startsWith("Arrow")) pointed = false; }, true);
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !keysOn()) return;
    if (busy(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "d") {
      event.preventDefault();
      return act("draw");
    }
    // Space presses the control that was reached by keyboard; one that was only clicked keeps the focus, but not the key.
    if (key === " " && !pointed && event.target instanceof Element && event.target.matches("button, a, summary, input")) return;
    const command = COMMANDS[key];
    if (!command || event.repeat && command !== "step-1") return;
    const button = document.querySelector(`[data-command="${command}"]`);
    if (!(button instanceof HTMLElement)) return;
    event.preventDefault();
    if (!button.matches(":disabled")) button.click();
  });
}
