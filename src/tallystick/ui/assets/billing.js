/* The billing pages: Stripe's card form where a card is needed, and forms that are sent once. Everything else works
   without this file. What is shown in the end is always drawn by the server. */
"use strict";

(() => {
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const byId = (id) => document.getElementById(id);
  // All of it may be at some prefix, which only the addresses in the page show.
  const prefix = new URL(document.currentScript.src).pathname.split("/assets/")[0];

  // A page that the back button brings out of the browser's memory may be of another time.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // A second click does nothing; that it would do no harm is the server's business.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => { delete form.dataset.sent; form.removeAttribute("aria-busy"); }, 15000);
  });

  const wrong = document.querySelector("[data-focus]");
  if (wrong) wrong.focus();

  const print = byId("print");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", () => window.print());
  }

  const root = byId("stripe");
  if (!root) return;

  const texts = root.dataset;
  const paying = texts.kind === "pay";
  const form = byId("form");
  const button = byId("go");
  const askBank = byId("ask-bank");
  const progress = byId("progress");
  const problem = byId("problem");
  const invoice = `${prefix}/billing/invoices/${texts.invoice}`;
  const say = (text) => { progress.textContent = text; };
  let stripe, elements, busy = false, ready = false;

  function hold(text) {
    busy = Boolean(text);
    button.disabled = busy || !ready;
    if (askBank) askBank.disabled = busy;
    root.setAttribute("aria-busy", String(busy));
    say(text);
  }

  function clear() {
    problem.hidden = true;
    if (wrong) wrong.hidden = true;
  }

  function fail(reason, action) {
    hold("");
    clear();
    problem.querySelector("strong").textContent = reason;
    problem.querySelector("span").textContent = action;
    problem.hidden = false;
    problem.focus();
  }

  // Ask our server until it answers; null when it does not for half a minute.
  async function ask(path, init) {
    for (let tries = 0; tries < 11; tries++) {
      try {
        const headers = { "x-form-token": texts.token, "x-form-key": texts.formKey };
        const answer = await fetch(path, { cache: "no-store", headers, ...init });
        if (answer.status < 500 && !answer.headers.has("retry-after")) return await answer.json();
      } catch {
        // The line is down; the next try may get through.
      }
      if (tries) say(texts.offline);
      await pause(Math.min(250 * 2 ** tries, 4000));
    }
    return { problem: { reason: texts.unreachable, action: texts.unreachableAction } };
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

  async function explain(error) {
    if (error.type === "validation_error") return hold("");
    if (paying && error.type !== "card_error" && await paid(1)) return leave("paid");
    const query = new URLSearchParams({ code: error.code || "", decline_code: error.decline_code || "" });
    const told = await ask(`${prefix}/billing/problem?${query}`);
    const words = told.problem || (error.code || !error.message ? told : { reason: error.message, action: "" });
    return fail(words.reason, words.action);
  }

  const leave = (done) => location.assign(`${prefix}/billing?done=${done}`);

  async function paid(rounds) {
    for (let round = 0; round < rounds; round++) {
      const answer = await ask(`${invoice}/state`);
      if (answer.paid) return true;
      if (answer.problem) return false;
      await pause(Math.min(200 * 1.3 ** round, 3000));
    }
    return false;
  }

  // Stripe says it is done; the customer is told so when our own record says it too.
  async function settle(intent) {
    hold(texts.checking);
    if (intent && intent.status === "processing") return leave("paying");
    return leave(await paid(20) ? "paid" : "paying");
  }

  async function secret() {
    const answer = await ask(paying ? `${invoice}/secret` : `${prefix}/billing/methods/setup`, { method: "POST" });
    if (answer.problem) fail(answer.problem.reason, answer.problem.action);
    else if (!answer.client_secret) leave("paid");
    return answer.client_secret;
  }

  async function send() {
    clear();
    hold(paying ? texts.confirming : texts.saving);
    const checked = await elements.submit();
    if (checked.error) return hold("");
    const back = paying ? `${invoice}/pay?back=1` : `${prefix}/billing/methods/added`;
    const confirm = { elements, confirmParams: { return_url: location.origin + back }, redirect: "if_required" };
    if (paying) {
      const result = await stripe.confirmPayment(confirm);
      return result.error ? explain(result.error) : settle(result.paymentIntent);
    }
    const clientSecret = await secret();
    if (!clientSecret) return undefined;
    say(texts.confirming);
    const result = await stripe.confirmSetup({ ...confirm, clientSecret });
    if (result.error) return explain(result.error);
    say(texts.saving);
    byId("payment-method").value = result.setupIntent.payment_method;
    return form.submit();
  }

  async function bank() {
    clear();
    hold(texts.confirming);
    const clientSecret = await secret();
    if (!clientSecret) return undefined;
    const result = await stripe.handleNextAction({ clientSecret });
    return result.error ? explain(result.error) : settle(result.paymentIntent);
  }

  function unreadable() {
    byId("loading").hidden = true;
    byId("again").hidden = false;
    fail(texts.notLoaded, texts.notLoadedAction);
  }

  async function open() {
    if (elements || !stripe) return;
    const look = { appearance: colours() };
    if (paying) {
      elements = {};
      const clientSecret = await secret();
      if (!clientSecret) return;
      elements = stripe.elements({ clientSecret, ...look });
    } else {
      elements = stripe.elements({ mode: "setup", currency: texts.currency, ...look });
    }
    form.hidden = false;
    const element = elements.create("payment", { layout: "tabs" });
    element.on("ready", () => {
      byId("loading").hidden = true;
      ready = true;
      if (!busy) button.disabled = false;
    });
    element.on("loaderror", unreadable);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!busy && ready) send().catch(() => explain({}));
    });
    element.mount("#payment-element");
  }

  function start() {
    if (typeof Stripe !== "function") {
      if (!texts.saved || texts.confirm) unreadable();
      return;
    }
    stripe = Stripe(texts.key, { locale: texts.locale });
    const another = byId("another");
    if (another) another.addEventListener("toggle", () => { if (another.open) open(); });
    if (!another || another.open) open();
    if (texts.confirm) {
      askBank.hidden = false;
      askBank.addEventListener("click", () => { if (!busy) bank().catch(() => explain({})); });
      bank().catch(() => explain({}));
    }
  }

  start();
})();
