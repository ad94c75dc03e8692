/** Short good news at the bottom of the page, in its polite live region; goes after 6 s. Never an error, never the only copy. */

import { make } from "./dom.js";

/** @param {string} words */
export function toast(words) {
  const region = document.getElementById("toasts") ?? document.body;
  const shown = make("div", { class: "toast" }, words);
  region.replaceChildren(shown);
  setTimeout(() => shown.remove(), 6000);
}
