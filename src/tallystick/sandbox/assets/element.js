// The Payment Element's inside. What is typed here leaves this frame only towards /v1 of the sandbox.

const METHODS = {
  card: ["number", "expiry", "cvc", "country", "postalCode"],
  us_bank_account: ["name", "email", "routingNumber", "accountNumber"],
  sepa_debit: ["name", "email", "iban"],
};
const COUNTRIES =
  "AD AE AG AL AM AR AT AU BA BE BG BH BO BR CA CH CL CO CR CY CZ DE DK DO EC EE EG ES FI FR GB GE GH GI GR GT HK HR HU ID IE IL IN IS IT JM JO JP KE KR KW KZ LI LT LU LV MA MC MD ME MK MT MU MX MY NG NL NO NZ OM PA PE PH PK PL PT PY QA RO RS SA SE SG SI SK SN TH TN TR TT TW TZ UA US UY UZ VN ZA".split(
    " ",
  );
const SHOP = document.body.dataset.origin;
const form = document.getElementById("element");
const tabs = document.getElementById("tabs");

let port = null;
let client = null;
let group = {};
let element = {};
let intent = null;
let method = "card";
let hidden = new Set();
let last = "";

/** Only the chosen method's fields are on the page; the others keep what was typed into them. */
const PANELS = Object.fromEntries(
  Object.keys(METHODS).map((type) => [type, document.getElementById(`panel-${type}`)]),
);
const inputOf = (name, type = method) => PANELS[type].querySelector(`[name="${name}"]`);
const fieldsOf = (type = method) => METHODS[type].filter((name) => !hidden.has(name));

function values(type = method) {
  return Object.fromEntries(fieldsOf(type).map((name) => [name, inputOf(name, type).value]));
}

function wrongWith(name) {
  const given = values();
  return CHECKS[name](given[name], given);
}

/** Show (or take away) what is wrong with a field, and say so to those who do not see it. */
function mark(name, code) {
  const input = inputOf(name);
  const error = document.getElementById(`${input.id}-error`);
  input.setAttribute("aria-invalid", String(Boolean(code)));
  input.classList.toggle("Input--invalid", Boolean(code));
  if (code) input.setAttribute("aria-describedby", error.id);
  else input.removeAttribute("aria-describedby");
  error.textContent = code ? text(code) : "";
  error.hidden = !code;
}

function showBrand() {
  const name = brandOf(values("card").number || "").name;
  const all = PANELS.card.querySelector("#brands");
  for (const icon of all.children)
    icon.toggleAttribute("hidden", name !== "unknown" && icon.dataset.brand !== name);
  all.classList.toggle("one", name !== "unknown");
  if (name === "unknown") all.setAttribute("aria-hidden", "true");
  else all.removeAttribute("aria-hidden");
  all.setAttribute("aria-label", name);
  inputOf("cvc", "card").setAttribute(
    "maxlength",
    String(BRANDS.find((brand) => brand.name === name)?.cvc || 3),
  );
}

/** Tell the shop whether the form is filled; never with what. */
function announce() {
  const names = fieldsOf().filter((name) => name !== "country");
  const given = values();
  const change = {
    empty: names.every((name) => !given[name]),
    complete: names.every((name) => !wrongWith(name)),
    collapsed: false,
    value: { type: method },
  };
  if (JSON.stringify(change) === last) return;
  last = JSON.stringify(change);
  send("change", change);
}

function send(event, detail) {
  port?.postMessage({ event, detail });
}

/** `{type}` or `{error}` about the first field that is wrong, which gets the focus. */
function validate() {
  const wrong = fieldsOf().map((name) => [name, wrongWith(name)]);
  for (const [name, code] of wrong) mark(name, code);
  const first = wrong.find(([, code]) => code);
  if (!first) return { type: method };
  inputOf(first[0]).focus();
  return problem("validation_error", text(first[1]), { code: PUBLIC_CODES[first[1]] || first[1] });
}

/** A field that the shop said never to show it must fill itself; Stripe throws at the shop, so say so here too. */
function misuse({ billing_details: known = {} } = {}) {
  const given = {
    name: known.name,
    email: known.email,
    country: known.address?.country,
    postalCode: known.address?.postal_code,
  };
  const missing = METHODS[method].filter((name) => hidden.has(name) && given[name] === undefined);
  if (!missing.length) return null;
  return {
    misuse: `The Payment Element's fields say "never" for ${missing.join(", ")}, so billing_details must be given when confirming.`,
  };
}

/** What the API calls `payment_method_data`; the shop's billing details win over those typed here. */
function methodData(given = {}) {
  const { billing_details: known = {}, ...rest } = given;
  const typed = values();
  const { address, ...others } = known;
  const billing = { name: typed.name, email: typed.email, ...others };
  const place = { country: typed.country, postal_code: typed.postalCode || undefined, ...address };
  if (Object.values(place).some(Boolean)) billing.address = place;
  return { ...rest, type: method, billing_details: billing, [method]: details(typed) };
}

function details(typed) {
  if (method === "sepa_debit") return { iban: typed.iban.replaceAll(" ", "") };
  if (method === "us_bank_account") {
    const { accountNumber, routingNumber } = typed;
    return {
      account_number: accountNumber,
      routing_number: routingNumber,
      account_holder_type: "individual",
      account_type: "checking",
    };
  }
  const expiry = digits(typed.expiry);
  return {
    number: digits(typed.number),
    exp_month: Number(expiry.slice(0, 2)),
    exp_year: 2000 + Number(expiry.slice(2)),
    cvc: typed.cvc,
  };
}

/** The amount a customer was shown must be the one that is charged. */
function mismatch(found) {
  if (!group.mode || !("amount" in found)) return null;
  const names = ["amount", "currency"].filter((name) => group[name] !== found[name]);
  if (!names.length) return null;
  return problem(
    "invalid_request_error",
    `The ${names.join(" and ")} given to elements() (${names.map((name) => group[name]).join(" ")}) must be the PaymentIntent's (${names.map((name) => found[name]).join(" ")}).`,
    { code: "payment_intent_invalid_parameter" },
  );
}

const CALLS = {
  async configure(args) {
    client = { ...args.client, origin: window.location.origin };
    ({ group, element } = args);
    dress(group.appearance);
    speak(group.locale, Object.values(PANELS));
    prefill();
    return CALLS.refresh();
  },

  async refresh() {
    const outcome = await request(client, "GET", "elements/sessions", sessionParams());
    if (outcome.error) return outcome;
    intent = outcome.value.payment_intent || outcome.value.setup_intent || null;
    const wanted = element.paymentMethodOrder || [];
    const types = outcome.value.payment_method_preference.ordered_payment_method_types.filter(
      (type) => type in METHODS,
    );
    types.sort((a, b) => (wanted.indexOf(a) + 1 || 99) - (wanted.indexOf(b) + 1 || 99));
    if (!types.length) return problem("invalid_request_error", text("unsupported"));
    drawTabs(types);
    form.hidden = false;
    measure();
    return { types };
  },

  update(args) {
    ({ group, element } = args);
    dress(group.appearance);
    speak(group.locale, Object.values(PANELS));
    arrange();
    return {};
  },

  validate,

  async confirm({ kind, id, params }) {
    const checked = misuse(params.payment_method_data) || validate();
    if (checked.error || checked.misuse) return checked;
    if (group.mode) {
      const found = await request(client, "GET", `${INTENTS[kind].path}/${id}`, {
        client_secret: params.client_secret,
      });
      const wrong = found.error ? found : mismatch(found.value);
      if (wrong) return wrong;
    }
    const body = { ...params, payment_method_data: methodData(params.payment_method_data) };
    if (method !== "card")
      body.mandate_data = { customer_acceptance: { type: "online", online: { infer_from_client: true } } };
    return request(client, "POST", `${INTENTS[kind].path}/${id}/confirm`, body);
  },

  async create({ path, params }) {
    const checked = misuse(path === "payment_methods" ? params : params.payment_method_data) || validate();
    if (checked.error || checked.misuse) return checked;
    if (path === "payment_methods") return request(client, "POST", path, methodData(params));
    const { payment_method_data: given, ...rest } = params;
    const future = group.setupFutureUsage || undefined;
    return request(client, "POST", path, {
      setup_future_usage: future,
      use_stripe_sdk: true,
      ...rest,
      payment_method_data: methodData(given),
    });
  },

  focus() {
    inputOf(fieldsOf()[0]).focus();
    return {};
  },

  blur() {
    document.activeElement?.blur();
    return {};
  },

  clear() {
    for (const panel of Object.values(PANELS))
      for (const input of panel.querySelectorAll("input")) input.value = "";
    prefill();
    for (const name of fieldsOf()) mark(name, "");
    showBrand();
    announce();
    return {};
  },
};

function sessionParams() {
  if (group.clientSecret) {
    return {
      type: parseSecret(group.clientSecret).kind,
      client_secret: group.clientSecret,
      locale: language,
    };
  }
  const { mode, amount, currency, paymentMethodTypes, setupFutureUsage } = group;
  const deferred = {
    mode,
    amount,
    currency,
    setup_future_usage: setupFutureUsage,
    payment_method_types: paymentMethodTypes,
  };
  return { type: "deferred_intent", deferred_intent: deferred, locale: language };
}

function prefill() {
  const given = element.defaultValues?.billingDetails || {};
  const region = navigator.language.split("-")[1];
  const select = inputOf("country", "card");
  select.value = [given.address?.country, region, "US"].find((code) => COUNTRIES.includes(code));
  inputOf("postalCode", "card").value = given.address?.postal_code || "";
  for (const type of ["us_bank_account", "sepa_debit"]) {
    inputOf("name", type).value = given.name || "";
    inputOf("email", type).value = given.email || "";
  }
}

/** Which fields the shop has taken over, and the line about saving. */
function arrange() {
  const billing = element.fields?.billingDetails;
  const address = billing === "never" ? "never" : billing?.address;
  const wishes = { ...(typeof address === "string" ? { country: address, postalCode: address } : address) };
  for (const name of ["name", "email"]) wishes[name] = billing?.[name] || billing;
  hidden = new Set(Object.keys(wishes).filter((name) => wishes[name] === "never"));
  for (const field of PANELS[method].querySelectorAll(".Field"))
    field.hidden = hidden.has(field.dataset.field);
  const saves =
    group.mode === "setup" ||
    group.mode === "subscription" ||
    group.setupFutureUsage ||
    intent?.object === "setup_intent" ||
    intent?.setup_future_usage;
  const wish = element.terms?.[method.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())];
  const terms = document.getElementById("terms");
  terms.hidden = wish === "never" || (method === "card" && !saves && wish !== "always");
  terms.textContent = text(method === "card" ? "save" : "debit");
  for (const input of form.elements) if (input.name) input.disabled = Boolean(element.readOnly);
  measure();
}

function drawTabs(types) {
  tabs.replaceChildren(
    ...types.map((type) => {
      const tab = document.createElement("button");
      Object.assign(tab, { type: "button", className: "Tab", textContent: text(type), id: `tab-${type}` });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", `panel-${type}`);
      tab.addEventListener("click", () => choose(type, types));
      return tab;
    }),
  );
  tabs.hidden = types.length < 2;
  tabs.setAttribute("aria-label", text("methods"));
  tabs.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    choose(types[(types.indexOf(method) + step + types.length) % types.length], types);
    document.getElementById(`tab-${method}`).focus();
  };
  for (const type of types) PANELS[type].setAttribute("role", types.length < 2 ? "group" : "tabpanel");
  choose(types.includes(method) ? method : types[0], types);
}

function choose(type, types) {
  method = type;
  for (const [item, panel] of Object.entries(PANELS)) {
    if (item === type) tabs.after(panel);
    else panel.remove();
  }
  for (const item of types) {
    const tab = document.getElementById(`tab-${item}`);
    tab.setAttribute("aria-selected", String(item === type));
    tab.classList.toggle("Tab--selected", item === type);
    tab.tabIndex = item === type ? 0 : -1;
  }
  arrange();
  announce();
}

function measure() {
  send("height", form.getBoundingClientRect().height);
}

function listen() {
  form.addEventListener("input", (event) => {
    const { name } = event.target;
    const erasing = String(event.inputType).startsWith("delete");
    reformat(event.target, name, erasing, values());
    if (name === "number") showBrand();
    const code = wrongWith(name);
    if (!code || event.target.getAttribute("aria-invalid") === "true" || FULL[name]?.(event.target.value))
      mark(name, code);
    announce();
  });
  form.addEventListener("focusin", () => send("focus"));
  form.addEventListener("focusout", (event) => {
    const { name, value } = event.target;
    if (name && value) mark(name, wrongWith(name));
    if (!form.contains(event.relatedTarget)) send("blur");
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") send("escape");
    if (event.key === "Enter" && event.target.matches("input")) {
      event.preventDefault();
      send("enter");
    }
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  new ResizeObserver(measure).observe(form);
}

function fillCountries() {
  const names = new Intl.DisplayNames([navigator.language, "en"], { type: "region" });
  const options = COUNTRIES.map((code) => new Option(names.of(code), code));
  options.sort((a, b) => a.text.localeCompare(b.text));
  inputOf("country", "card").append(...options);
}

// The policy of this page lets only SHOP embed it, so nobody else can be the parent; check it all the same.
window.addEventListener("message", (event) => {
  if (port || event.source !== window.parent || event.origin !== SHOP || event.data !== "connect") return;
  [port] = event.ports;
  port.onmessage = async ({ data }) => {
    const value = data.call in CALLS ? await CALLS[data.call](data.args) : {};
    port.postMessage({ reply: data.id, value });
  };
});
fillCountries();
listen();
