// Calls to /v1, for both scripts: the one in the shop's page and the one in the frame that holds the card.

const INTENTS = {
  payment_intent: { result: "paymentIntent", last: "last_payment_error", path: "payment_intents" },
  setup_intent: { result: "setupIntent", last: "last_setup_error", path: "setup_intents" },
};
const PATIENCE_MS = 60000;

/** `{a: {b: [1]}}` as `a[b][0]=1`; null and undefined are left out. */
function encode(value, name = "", pairs = new URLSearchParams()) {
  if (value === null || value === undefined) return pairs;
  if (typeof value === "object") {
    for (const [key, item] of Object.entries(value)) encode(item, name ? `${name}[${key}]` : key, pairs);
  } else {
    pairs.append(name, String(value));
  }
  return pairs;
}

/**
 * One call with a publishable key: `{value}` or `{error}`, never an exception.
 * `client` is `{origin, key, apiVersion, stripeAccount}`.
 */
async function request(client, method, path, params) {
  const headers = { Authorization: `Bearer ${client.key}` };
  if (client.apiVersion) headers["Stripe-Version"] = client.apiVersion;
  if (client.stripeAccount) headers["Stripe-Account"] = client.stripeAccount;
  const form = encode(params);
  const url = new URL(`/v1/${path}`, client.origin);
  const options = { method, headers, signal: AbortSignal.timeout(PATIENCE_MS) };
  if (method === "GET") url.search = form;
  else options.body = form;
  let answer;
  let body;
  try {
    answer = await fetch(url, options);
    body = await answer.text();
  } catch {
    // Confirming the same intent again never charges twice: it refuses if the first try arrived after all.
    return problem(
      "api_connection_error",
      "The connection was lost. Check that you are online and try again: you will not be charged twice.",
    );
  }
  try {
    body = JSON.parse(body);
  } catch {
    return problem(
      "api_error",
      "The payment provider gave an answer that could not be read. Please try again.",
    );
  }
  return answer.ok ? { value: body } : { error: body.error };
}

function problem(type, message, more) {
  return { error: { type, message, ...more } };
}

/** `pi_…_secret_…` to its kind and id; null for anything else. */
function parseSecret(clientSecret) {
  const match = /^((pi|seti)_[A-Za-z0-9]+)_secret_[A-Za-z0-9]+$/.exec(String(clientSecret));
  return match && { kind: match[2] === "pi" ? "payment_intent" : "setup_intent", id: match[1] };
}
