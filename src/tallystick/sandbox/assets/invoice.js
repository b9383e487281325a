// The hosted invoice: pays with the same Stripe.js that shops load.

const pay = document.getElementById("pay");
document.querySelector("[data-print]")?.addEventListener("click", () => window.print());

if (pay) {
  const { key, secret, url } = pay.dataset;
  const button = pay.querySelector("button");
  const note = document.getElementById("problem");
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const style = getComputedStyle(document.documentElement);
  const variables = {
    colorPrimary: style.getPropertyValue("--accent").trim(),
    colorBackground: style.getPropertyValue("--surface").trim(),
    colorText: style.getPropertyValue("--text").trim(),
    colorDanger: style.getPropertyValue("--bad").trim(),
    borderRadius: "8px",
  };
  const show = (message) => {
    note.textContent = message || "";
    note.hidden = !message;
  };
  const stripe = window.Stripe(key);
  const elements = stripe.elements({
    clientSecret: secret,
    appearance: { theme: dark ? "night" : "stripe", variables },
  });
  const element = elements.create("payment");
  element.on("ready", () => {
    button.disabled = false;
  });
  element.on("loaderror", ({ error }) => show(error.message));
  element.mount("#payment");
  pay.addEventListener("submit", async (event) => {
    event.preventDefault();
    show("");
    button.disabled = true;
    const { error } = await stripe.confirmPayment({
      elements,
      confirmParams: { return_url: url },
      redirect: "if_required",
    });
    // Paid meanwhile, in another window: the page as it is now says so.
    if (!error || error.code === "payment_intent_unexpected_state") {
      window.location.replace(url);
      return;
    }
    button.disabled = false;
    if (error.type !== "validation_error") show(error.message);
  });
}
