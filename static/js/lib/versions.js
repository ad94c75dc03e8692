/**
 * Two tabs on one run: each change of a form names the version of the run that the form showed (`expected`), so that the
 * server can refuse one that was made of something else. A change that waited for the answer to the one before goes on from
 * what that has made; one that waited while the form was filled anew with another tab's changes still names what it saw.
 */

/** @typedef {{ sourceElement: Element, request: { body: FormData | URLSearchParams | null }, filled?: number }} Context */

/** How often the form was filled with what another tab has made of the run. */
let filled = 0;

/** The form was filled with another tab's changes. */
export function filledAnew() {
  filled += 1;
}

/** @param {Event} event @returns {{ context: Context, version: string } | null} null: not the request of a form with a version */
function of(event) {
  const context = /** @type {Context} */ (/** @type {CustomEvent} */ (event).detail.ctx);
  const version = context.sourceElement instanceof HTMLFormElement ? context.sourceElement.dataset.version : "";
  return version && context.request.body ? { context, version } : null;
}

document.addEventListener("htmx:config:request", event => {
  const found = of(event);
  if (!found) return;
  found.context.filled = filled;
  found.context.request.body?.set("expected", found.version);
});
document.addEventListener("htmx:before:request", event => {
  const found = of(event);
  if (found?.context.filled === filled) found.context.request.body?.set("expected", found.version);
});
