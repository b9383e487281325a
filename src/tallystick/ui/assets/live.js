/* Keeps the parts of a page that are marked `data-live` as the server would draw them now. The page works without it. */
"use strict";

(() => {
  const EVERY_MS = 2000;
  const button = document.getElementById("live");
  const stored = "tallystick-live";
  let on = sessionStorage.getItem(stored) !== "off";
  let timer;

  const parts = () => document.querySelectorAll("[data-live]");

  // What somebody points at with the keyboard, has selected, ticked, typed or opened, stays as it is.
  function inUse(part) {
    const selection = getSelection();
    return part.contains(document.activeElement) ||
      part.querySelector("input:checked, details[open]") !== null ||
      [...part.querySelectorAll("input, textarea")].some((each) => each.value !== each.defaultValue) ||
      (!selection.isCollapsed && part.contains(selection.anchorNode));
  }

  async function refresh() {
    if (!on || document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { "X-Tallystick-Live": "1" } });
      if (answer.redirected) {
        // Whoever was signed in is not any more: what is shown is not theirs to see.
        location.href = answer.url;
      } else if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of parts()) {
          const now = fresh.getElementById(part.id);
          if (now && !inUse(part) && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
        }
      }
    } catch {
      // The server is away: it may be back the next time.
    }
  }

  async function again() {
    await refresh();
    timer = setTimeout(again, EVERY_MS);
  }

  function show() {
    if (!button) return;
    button.hidden = false;
    button.setAttribute("aria-pressed", String(on));
  }

  if (button) {
    button.addEventListener("click", () => {
      on = !on;
      sessionStorage.setItem(stored, on ? "on" : "off");
      show();
      if (on) { clearTimeout(timer); again(); }
    });
  }
  // A form that was sent is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  show();
  if (parts().length) timer = setTimeout(again, EVERY_MS);
})();
