/* The checkout page: Stripe's card form, one button, and patience with the line. What it shows in the end is
   always drawn by the server, from its own record of the payment. */
"use strict";

(() => {
  const here = location.pathname;
  const root = document.getElementById("checkout");
  const texts = root ? root.dataset : {};
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // The page as it is now; from here the server sends a customer who has paid back to the shop.
  const leave = (next) => location.replace(next || `${here}?back=1`);

  // A page that the back button brings out of the browser's memory may be of another time.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // Ask our server until it answers; null when it does not for half a minute.
  async function ask(path, init, say) {
    for (let tries = 0; tries < 11; tries++) {
      try {
        const answer = await fetch(here + path, { cache: "no-store", ...init });
        if (answer.status < 500 && !answer.headers.has("retry-after")) {
          return { ok: answer.ok, body: await answer.json() };
        }
      } catch {
        // The line is down; the next try may get through.
      }
      if (tries) say(texts.offline || "");
      await pause(Math.min(250 * 2 ** tries, 4000));
    }
    return null;
  }

  async function wait() {
    for (let round = 0; round < 20; round++) {
      await pause(3000 + 500 * round);
      const answer = await ask("/state?ask=1", {}, () => {});
      if (answer && answer.body.status !== "processing") return leave(answer.body.next);
    }
  }

  if (document.getElementById("waiting")) wait();
  if (!root) return;

  const form = document.getElementById("form");
  const button = document.getElementById("pay");
  const progress = document.getElementById("progress");
  const problem = document.getElementById("problem");
  const say = (text) => { progress.textContent = text; };
  let busy = false;

  function hold(text) {
    busy = Boolean(text);
    button.disabled = busy;
    form.setAttribute("aria-busy", String(busy));
    say(text);
  }

  function fail(reason, action, link, linkText) {
    hold("");
    problem.querySelector("strong").textContent = reason;
    const told = problem.querySelector("span");
    told.textContent = link ? `${action} ` : action;
    if (link) {
      const anchor = document.createElement("a");
      // All of it may be at some prefix, which only this page's own address shows.
      anchor.href = here.replace(/\/pay\/[^/]+$/, "") + link;
      anchor.textContent = linkText;
      told.append(anchor);
    }
    problem.hidden = false;
    problem.focus();
  }

  function unreadable() {
    document.getElementById("loading").hidden = true;
    document.getElementById("again").hidden = false;
    fail(texts.notLoaded, texts.notLoadedAction);
    button.disabled = true;
  }

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      theme: matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe",
      variables: {
        colorPrimary: of("accent"),
        colorBackground: of("surface"),
        colorText: of("text"),
        colorTextSecondary: of("muted"),
        colorDanger: of("bad"),
        borderRadius: "8px",
        fontFamily: of("sans"),
      },
    };
  }

  // Stripe says it is done; the customer is told so when our own record says it too.
  async function settle() {
    hold(texts.checking);
    for (let round = 0; round < 25; round++) {
      const answer = await ask(round < 5 ? "/state" : "/state?ask=1", {}, say);
      if (!answer || answer.body.status !== "open") return leave(answer && answer.body.next);
      await pause(Math.min(200 * 1.3 ** round, 3000));
    }
    leave();
  }

  async function explain(error) {
    if (error.type === "validation_error") return hold("");
    const query = new URLSearchParams({ code: error.code || "", decline_code: error.decline_code || "" });
    // A refused card is a fact. After anything else the payment may have gone through all the same.
    if (error.type !== "card_error") query.set("ask", "1");
    const answer = await ask(`/state?${query}`, {}, say);
    if (answer && answer.body.status !== "open") return leave(answer.body.next);
    const told = answer && answer.body.problem;
    fail(told ? told.reason : error.message || texts.unreachable, told ? told.action : texts.unreachableAction);
  }

  async function pay(stripe, elements) {
    hold(texts.starting);
    problem.hidden = true;
    const checked = elements ? await elements.submit() : {};
    if (checked.error) return hold("");
    const started = await ask(elements ? "/start" : "/start?saved=1", { method: "POST" }, say);
    if (!started) return fail(texts.unreachable, texts.unreachableAction);
    const told = started.body.problem;
    if (told) return fail(told.reason, told.action, told.link, told.link_text);
    // What would happen is not what was shown: it is shown first.
    if (started.body.changed) return location.replace(`${here}?changed=1`);
    if (!started.ok || started.body.status || !elements) return leave(started.body.next);
    texts.begun = "yes";
    hold(texts.confirming);
    const confirm = started.body.intent === "setup" ? "confirmSetup" : "confirmPayment";
    const result = await stripe[confirm]({
      elements,
      clientSecret: started.body.client_secret,
      confirmParams: { return_url: `${location.origin}${here}?back=1` },
      redirect: "if_required",
    });
    return result.error ? explain(result.error) : settle();
  }

  async function open() {
    form.hidden = false;
    // Loaded again, the page is not of a moment ago any more.
    if (location.search === "?changed=1") history.replaceState(null, "", here);
    if (texts.saved) return ready(null, null);
    if (typeof Stripe !== "function") return unreadable();
    const stripe = Stripe(texts.key, { locale: texts.locale });
    const free = Number(texts.amount) === 0;
    const due = { mode: texts.mode, amount: Number(texts.amount), currency: texts.currency };
    if (texts.mode === "payment" && texts.capture === "manual") due.captureMethod = "manual";
    const elements = stripe.elements({
      ...(free ? { mode: "setup", currency: texts.currency } : due),
      appearance: colours(),
    });
    const element = elements.create("payment", { layout: "tabs" });
    element.on("ready", usable);
    element.on("loaderror", unreadable);
    element.mount("#payment-element");
    return ready(stripe, elements);
  }

  function usable() {
    document.getElementById("loading").hidden = true;
    if (!busy) button.disabled = false;
  }

  // Without elements, a saved card pays later, and nothing is typed here.
  async function ready(stripe, elements) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (busy || button.disabled) return;
      pay(stripe, elements).catch(() => explain({}));
    });
    if (!elements) usable();
    if (texts.begun) await recall();
    document.addEventListener("visibilitychange", () => {
      // It may have been paid in another tab.
      if (!document.hidden && !busy) recall();
    });
  }

  async function recall() {
    const answer = await ask(texts.begun ? "/state?ask=1" : "/state", {}, () => {});
    if (answer && answer.body.status !== "open" && !busy) location.replace(here);
  }

  // Stripe.js throws for what only we can mend; the customer is not left with half a page.
  open().catch((error) => {
    unreadable();
    throw error;
  });
})();
