/**
 * Edits of a form that is answered as a whole (`data-edits`): one that waited for the answer to the edit before goes on from
 * what that has made. htmx reads a form when something in it is pressed, and would send what the form was then: of two
 * presses in quick succession the second would undo the first.
 */

document.addEventListener("htmx:before:request", event => {
  const { sourceElement: form, request } = /** @type {CustomEvent} */ (event).detail.ctx;
  if (!(form instanceof HTMLFormElement) || !("edits" in form.dataset)) return;
  const action = request.body.get("action"), body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (typeof value === "string") body.append(name, value);
  if (action !== null) body.set("action", action);
  request.body = body;
});
