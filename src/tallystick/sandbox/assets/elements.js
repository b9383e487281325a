// Elements: the group, and the Payment Element, which is a frame of the sandbox inside the shop's page.

const LOAD_MS = 15000;
const ELEMENT_EVENTS = ["ready", "change", "focus", "blur", "escape", "loaderror", "loaderstart"];
let frames = 0;

class IntegrationError extends Error {
  constructor(message) {
    super(message);
    this.name = "IntegrationError";
  }
}

/** The frame and the channel to it. Only the first message goes through the window; the port is private. */
class Frame {
  constructor(origin, onEvent) {
    const address = new URL("/elements/payment", origin);
    address.searchParams.set("origin", window.location.origin);
    frames += 1;
    this.node = make(
      "iframe",
      {
        width: "100%",
        height: "1px",
        border: "0",
        display: "block",
      },
      {
        name: `__privateStripeFrame${frames}`,
        title: "Secure payment input frame",
        src: address.href,
      },
    );
    this.waiting = new Map();
    this.count = 0;
    this.gone = false;
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    port1.onmessage = ({ data }) => {
      if ("reply" in data) this.answer(data.reply, data.value);
      else if (data.event === "height") this.node.style.height = `${Math.ceil(data.detail)}px`;
      else onEvent(data.event, data.detail);
    };
    this.node.addEventListener(
      "load",
      () => this.node.contentWindow?.postMessage("connect", origin, [port2]),
      { once: true },
    );
  }

  /** The same colour scheme as the document inside, or the browser paints an opaque ground behind it. */
  dress(appearance) {
    this.node.style.colorScheme = appearance?.theme === "night" ? "dark" : "light";
  }

  call(name, args) {
    if (this.gone) return Promise.resolve(GONE);
    this.count += 1;
    const id = this.count;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.port.postMessage({ call: name, id, args });
    });
  }

  answer(id, value) {
    this.waiting.get(id)?.(value);
    this.waiting.delete(id);
  }

  remove() {
    this.gone = true;
    this.node.remove();
    this.port.close();
    for (const id of [...this.waiting.keys()]) this.answer(id, GONE);
  }
}

const GONE = problem("invalid_request_error", "The Payment Element was taken off the page.");
const NOT_LOADED = problem(
  "api_connection_error",
  "The payment form could not be loaded. Check that you are online and reload the page.",
);

class PaymentElement {
  constructor(group, options) {
    this.group = group;
    this.options = options;
    this.handlers = new Map();
    this.frame = null;
    this.destroyed = false;
  }

  mount(target) {
    if (this.destroyed)
      throw new IntegrationError("This Element has already been destroyed. Please create a new one.");
    const node = typeof target === "string" ? document.querySelector(target) : target;
    if (!(node instanceof HTMLElement)) {
      throw new IntegrationError(
        `The selector you specified (${target}) applies to no DOM elements that are currently on the page.`,
      );
    }
    if (this.frame && this.host === node && node.contains(this.frame.node)) return;
    this.unmount();
    this.host = node;
    this.frame = new Frame(this.group.client.origin, (event, detail) => this.heard(event, detail));
    this.frame.dress(this.group.options.appearance);
    node.replaceChildren(this.frame.node);
    node.classList.add("StripeElement");
    this.emit("loaderstart", {});
    this.loaded = this.load(this.frame);
  }

  async load(frame) {
    const silence = new Promise((resolve) => setTimeout(resolve, LOAD_MS, NOT_LOADED));
    const set = frame.call("configure", {
      client: this.group.client,
      group: this.group.settings(),
      element: this.options,
    });
    const outcome = await Promise.race([set, silence]);
    if (frame.gone) return GONE;
    if (outcome.error) this.emit("loaderror", { error: outcome.error });
    else this.emit("ready", {});
    return outcome;
  }

  /** A call to the frame once it has loaded; its error if it could not. */
  async call(name, args) {
    if (!this.frame) {
      throw new IntegrationError(
        "Invalid value for elements: it has no mounted Payment Element. Mount it and wait for its `ready` event.",
      );
    }
    const { frame } = this;
    const outcome = await this.loaded;
    if (outcome.error) return { error: outcome.error };
    const answer = await frame.call(name, args);
    if (answer.misuse) throw new IntegrationError(answer.misuse);
    return answer;
  }

  heard(event, detail) {
    if (event === "enter") this.host.closest("form")?.requestSubmit();
    else this.emit(event, detail || {});
  }

  emit(event, detail) {
    for (const handler of [...(this.handlers.get(event) || [])])
      handler({ elementType: "payment", ...detail });
  }

  on(event, handler) {
    if (typeof handler !== "function")
      throw new IntegrationError(`Please give a function for the event ${event}.`);
    if (!ELEMENT_EVENTS.includes(event))
      console.warn(`The sandbox's Payment Element never sends the event ${event}.`);
    this.handlers.set(event, [...(this.handlers.get(event) || []), handler]);
    return this;
  }

  once(event, handler) {
    const first = (detail) => {
      this.off(event, first);
      handler(detail);
    };
    return this.on(event, first);
  }

  off(event, handler) {
    const kept = (this.handlers.get(event) || []).filter((item) => handler && item !== handler);
    this.handlers.set(event, kept);
    return this;
  }

  update(options) {
    Object.assign(this.options, options);
    this.show();
    return this;
  }

  /** Tell the frame what the group and the options have become. */
  show() {
    this.frame?.dress(this.group.options.appearance);
    this.frame?.call("update", { element: this.options, group: this.group.settings() });
  }

  focus() {
    this.frame?.call("focus");
  }

  blur() {
    this.frame?.call("blur");
  }

  clear() {
    this.frame?.call("clear");
  }

  collapse() {
    return this;
  }

  unmount() {
    this.frame?.remove();
    this.frame = null;
    this.host?.classList.remove("StripeElement");
  }

  destroy() {
    this.unmount();
    this.destroyed = true;
    this.handlers.clear();
    this.group.element = null;
  }
}

class Elements {
  constructor(client, options) {
    const secret = options.clientSecret;
    if (secret !== undefined && !parseSecret(secret)) {
      throw new IntegrationError(
        "Invalid value for elements(): clientSecret should be a client secret of the form ${id}_secret_${secret}.",
      );
    }
    if (secret === undefined && !["payment", "setup", "subscription"].includes(options.mode)) {
      throw new IntegrationError(
        "elements() needs a clientSecret, or a mode: payment, setup or subscription.",
      );
    }
    if (options.mode && options.mode !== "setup" && !(Number.isInteger(options.amount) && options.currency)) {
      throw new IntegrationError(
        `elements() with mode ${options.mode} needs amount (in the smallest unit) and currency.`,
      );
    }
    this.client = client;
    this.options = { ...options };
    this.element = null;
    this.submitted = false;
  }

  /** What the frame needs to know; it must survive being copied. */
  settings() {
    const { clientSecret, mode, amount, currency, setupFutureUsage, paymentMethodTypes, appearance, locale } =
      this.options;
    return JSON.parse(
      JSON.stringify({
        clientSecret,
        mode,
        amount,
        currency,
        setupFutureUsage,
        paymentMethodTypes,
        appearance,
        locale: locale || this.client.locale,
      }),
    );
  }

  create(type, options = {}) {
    if (type !== "payment")
      throw new IntegrationError(`The sandbox's Stripe.js has the Payment Element only, not ${type}.`);
    if (this.element)
      throw new IntegrationError("Can only create one Element of type payment through this Elements group.");
    this.element = new PaymentElement(this, JSON.parse(JSON.stringify(options)));
    return this.element;
  }

  getElement(type) {
    return type === "payment" || type === PaymentElement ? this.element : null;
  }

  update(options) {
    Object.assign(this.options, options);
    this.submitted = false;
    this.element?.show();
  }

  async fetchUpdates() {
    const { error } = await this.mounted().call("refresh");
    return error ? { error: { message: error.message, status: error.code } } : {};
  }

  async submit() {
    const outcome = await this.mounted().call("validate");
    this.submitted = !outcome.error;
    return outcome.error ? { error: outcome.error } : { selectedPaymentMethod: outcome.type };
  }

  mounted() {
    if (!this.element) throw new IntegrationError("Please create and mount a Payment Element first.");
    return this.element;
  }
}
