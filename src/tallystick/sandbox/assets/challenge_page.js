// The bank's page inside the shop's: tells the shop's page that it has been answered or closed.

const { origin, outcome } = document.body.querySelector("[data-origin]").dataset;
const tell = (message) => window.parent.postMessage(message, origin);
const cancel = () => tell({ challenge: "canceled" });

if (outcome) tell({ challenge: outcome });
for (const button of document.querySelectorAll("[data-cancel]")) button.addEventListener("click", cancel);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") cancel();
});
new ResizeObserver(() => tell({ height: document.body.scrollHeight })).observe(document.body);
document.querySelector("button")?.focus();
