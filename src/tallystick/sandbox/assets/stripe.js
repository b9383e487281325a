// The sandbox's Stripe.js: the surface of Stripe's own for Payment Element, intents and 3D Secure.

const ORIGIN = new URL(document.currentScript.src).origin;
const NEVER = new Promise(() => {});
const NOT_AUTHENTICATED =
  "We are unable to authenticate your payment method. Please choose a different payment method and try again.";
const REDIRECT_STATUS = {
  succeeded: "succeeded",
  requires_capture: "succeeded",
  requires_confirmation: "succeeded",
  processing: "pending",
};
const underWay = new Map();

function checkKey(key) {
  if (typeof key !== "string" || key === "") {
    throw new IntegrationError(
      "Please call Stripe() with your publishable key. You used an empty string or no string.",
    );
  }
  if (/^[sr]k_/.test(key)) {
    throw new IntegrationError(
      "You should not use your secret key with Stripe.js. Please pass a publishable key instead.",
    );
  }
  if (!key.startsWith("pk_test_")) {
    throw new IntegrationError("The sandbox takes publishable test keys only (pk_test_…).");
  }
}

function secretOf(clientSecret, kind) {
  const found = parseSecret(clientSecret);
  if (!found || (kind && found.kind !== kind)) {
    throw new IntegrationError(
      `Invalid value for clientSecret: it should be the client secret of a ${(kind || "payment_intent or setup_intent").replaceAll("_", " ")}.`,
    );
  }
  return { ...found, ...INTENTS[found.kind], clientSecret };
}

function checkReturnUrl(url, redirect) {
  if (!url) {
    if (redirect === "always")
      throw new IntegrationError("confirmParams.return_url is required unless redirect is `if_required`.");
    return;
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) {
    throw new IntegrationError(
      `confirmParams.return_url must be a whole URL with its scheme, such as ${window.location.origin}/done; it is ${url}.`,
    );
  }
}

/** One confirmation at a time for each intent: a double click gets the answer of the first. */
function once(clientSecret, run) {
  if (!underWay.has(clientSecret)) {
    underWay.set(
      clientSecret,
      run().finally(() => underWay.delete(clientSecret)),
    );
  }
  return underWay.get(clientSecret);
}

/** The error of an intent whose last try failed, as the promise of a confirmation has it. */
function failureOf(target, intent) {
  const last = intent[target.last] || {
    type: "invalid_request_error",
    message: "The payment did not go through.",
  };
  const message = String(last.code).endsWith("_intent_authentication_failure")
    ? NOT_AUTHENTICATED
    : last.message;
  return { error: { ...last, message, [target.kind]: intent } };
}

function redirectTo(target, intent, returnUrl) {
  const address = new URL(returnUrl);
  address.searchParams.set(target.kind, intent.id);
  address.searchParams.set(`${target.kind}_client_secret`, target.clientSecret);
  address.searchParams.set("redirect_status", REDIRECT_STATUS[intent.status] || "failed");
  window.location.assign(address);
  return NEVER;
}

class StripeClient {
  constructor(key, { apiVersion, locale, stripeAccount } = {}) {
    checkKey(key);
    this.client = { origin: ORIGIN, key, apiVersion, locale, stripeAccount };
  }

  elements(options = {}) {
    return new Elements(this.client, options);
  }

  async confirmPayment(options) {
    return this.confirmWith("payment_intent", options);
  }

  async confirmSetup(options) {
    return this.confirmWith("setup_intent", options);
  }

  async confirmCardPayment(clientSecret, data, options) {
    return this.confirmCard("payment_intent", clientSecret, data, options);
  }

  async confirmCardSetup(clientSecret, data, options) {
    return this.confirmCard("setup_intent", clientSecret, data, options);
  }

  async handleNextAction({ clientSecret }) {
    const target = secretOf(clientSecret);
    return once(clientSecret, async () => this.act(target, await this.retrieve(target), {}));
  }

  async handleCardAction(clientSecret) {
    return this.handleNextAction({ clientSecret });
  }

  async retrievePaymentIntent(clientSecret) {
    return this.shown(secretOf(clientSecret, "payment_intent"));
  }

  async retrieveSetupIntent(clientSecret) {
    return this.shown(secretOf(clientSecret, "setup_intent"));
  }

  async createPaymentMethod({ elements, params = {}, ...data }) {
    const outcome = elements
      ? await readyGroup(elements, "createPaymentMethod").call("create", { path: "payment_methods", params })
      : await request(this.client, "POST", "payment_methods", cardData(data));
    return outcome.error ? { error: outcome.error } : { paymentMethod: outcome.value };
  }

  async createConfirmationToken({ elements, params = {} }) {
    const element = readyGroup(elements, "createConfirmationToken");
    const outcome = await element.call("create", { path: "confirmation_tokens", params });
    return outcome.error ? { error: outcome.error } : { confirmationToken: outcome.value };
  }

  registerAppInfo() {}

  async confirmWith(kind, { elements, clientSecret, confirmParams = {}, redirect = "always" } = {}) {
    const target = secretOf(clientSecret || elements?.options?.clientSecret, kind);
    checkReturnUrl(confirmParams.return_url, redirect);
    const given = confirmParams.payment_method || confirmParams.confirmation_token;
    const method = kind === "payment_intent" ? "confirmPayment" : "confirmSetup";
    const element = elements && !given ? readyGroup(elements, method) : null;
    return once(target.clientSecret, async () => {
      const params = { ...confirmParams, client_secret: target.clientSecret, use_stripe_sdk: true };
      const outcome = element
        ? await element.call("confirm", { kind, id: target.id, params })
        : await this.post(target, params);
      return this.act(target, outcome, { returnUrl: confirmParams.return_url, redirect });
    });
  }

  async confirmCard(kind, clientSecret, data = {}, { handleActions = true } = {}) {
    const target = secretOf(clientSecret, kind);
    const { payment_method: method, ...rest } = data;
    const params = { ...rest, client_secret: clientSecret, use_stripe_sdk: true };
    if (typeof method === "string") params.payment_method = method;
    else if (method) params.payment_method_data = cardData({ type: "card", ...method });
    return once(clientSecret, async () => {
      const outcome = await this.post(target, params);
      if (!handleActions && !outcome.error) return { [target.result]: outcome.value };
      return this.act(target, outcome, { returnUrl: rest.return_url });
    });
  }

  post(target, params) {
    return request(this.client, "POST", `${target.path}/${target.id}/confirm`, params);
  }

  retrieve(target) {
    return request(this.client, "GET", `${target.path}/${target.id}`, { client_secret: target.clientSecret });
  }

  async shown(target) {
    const { error, value } = await this.retrieve(target);
    return error ? { error } : { [target.result]: value };
  }

  /** From the answer of a confirmation to its end: the bank's page, the redirect, or the result. */
  async act(target, { error, value: intent }, { returnUrl, redirect = "if_required" }) {
    if (error) return { error };
    const action = intent.status === "requires_action" && intent.next_action;
    if (action?.type === "redirect_to_url") {
      window.location.assign(action.redirect_to_url.url);
      return NEVER;
    }
    if (action?.type === "use_stripe_sdk") {
      const outcome = await this.authenticate(target, action.use_stripe_sdk);
      if (outcome.error) return { error: outcome.error };
      intent = outcome.value;
      if (intent.status === "requires_action") return failureOf(target, intent);
    }
    if (intent.status === "requires_payment_method") return failureOf(target, intent);
    if (redirect === "always") return redirectTo(target, intent, returnUrl);
    return { [target.result]: intent };
  }

  async authenticate(target, action) {
    const outcome = await showChallenge(ORIGIN, action.stripe_js);
    if (outcome !== "canceled") return this.retrieve(target);
    const params = { client_secret: target.clientSecret, source: action.source };
    const canceled = await request(this.client, "POST", `${target.path}/${target.id}/source_cancel`, params);
    // It may have been answered in another window in the meantime; then that counts.
    return canceled.error?.type === "invalid_request_error" ? this.retrieve(target) : canceled;
  }
}

/** The mounted element of a group that is ready to be used by `method`. */
function readyGroup(elements, method) {
  if (!(elements instanceof Elements)) {
    throw new IntegrationError(`stripe.${method}() needs the elements that stripe.elements() gave you.`);
  }
  if (elements.options.mode && !elements.submitted) {
    throw new IntegrationError(
      `elements.submit() must be called before stripe.${method}(). Call it as soon as the customer presses pay, before any asynchronous work.`,
    );
  }
  return elements.mounted();
}

/** The data of a method that is not made by an Element. Card numbers are only taken inside the frame. */
function cardData({ type, card, ...rest }) {
  if (card && !card.token) {
    throw new IntegrationError(
      "Card numbers are taken by an Element only. Pass elements, a payment method id, or {card: {token}}.",
    );
  }
  return { ...rest, type, card };
}

const Stripe = function Stripe(key, options) {
  return new StripeClient(key, options);
};
Stripe.version = 3;

// A page that comes back by the browser's own back button is as new.
window.addEventListener("pageshow", () => underWay.clear());

if (window.Stripe) {
  console.warn("Stripe.js was loaded more than once on this page. Once is enough.");
} else {
  window.Stripe = Stripe;
}
