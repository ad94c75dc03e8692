// Light or dark, before the first pixel: a classic script in the head, because a module would run after the first paint.
// The choice is kept on this machine only; without one the system decides. `palette.js` watches the attribute set here.
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try { kept = localStorage.getItem("nabla.theme"); } catch { /* storage switched off: the system decides each time */ }
  const theme = asked ?? kept;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  const toggle = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("nabla.theme", root.dataset.theme); } catch { /* as above */ }
  };
  document.addEventListener("click", event => {
    if (event.target instanceof Element && event.target.closest('[data-command="theme"]')) toggle();
  });
})();
