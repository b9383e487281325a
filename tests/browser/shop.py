"""A shop at one origin that writes the public surface of Stripe.js, and what is done with the form in it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.async_api import FrameLocator, Page

from contract.harness import Json, Sdk

__all__ = [
    "ALWAYS_3DS",
    "GOOD",
    "SHOP_PAGE",
    "SHOP_SCRIPT",
    "Shop",
    "challenge",
    "fill",
    "form",
    "new_intent",
    "outcome",
    "show",
    "start",
]

GOOD = "4242424242424242"
ALWAYS_3DS = "4000002760003184"

SHOP_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script src="{sandbox}/v3/"></script><script src="/shop.js" defer></script></head>
<body><form id="form"><div id="payment"></div><button id="pay">Pay</button></form></body></html>"""

# What a shop writes: the public surface of Stripe.js and nothing else.
SHOP_SCRIPT = """
window.stripe = Stripe('pk_test_shop');
window.changes = [];
window.open_form = (options, settings) => {
  window.elements = stripe.elements(options);
  const element = elements.create('payment', settings);
  element.on('change', (event) => changes.push(event));
  element.mount('#payment');
  return new Promise((resolve) => {
    element.on('ready', () => resolve('ready'));
    element.on('loaderror', ({ error }) => resolve(error));
  });
};
window.pay = (more, method = 'confirmPayment') => {
  const options = { elements, redirect: 'if_required',
    confirmParams: { return_url: `${location.origin}/done?order=7` } };
  window.outcome = stripe[method]({ ...options, ...more });
  return window.outcome;
};
document.getElementById('form').addEventListener('submit', (event) => { event.preventDefault(); pay(); });
"""


class Shop:
    """A shop's site, with the policy that Stripe's documentation asks for; keeps what browsers send to it."""

    def __init__(self, sandbox: str, page: str = SHOP_PAGE, script: str = SHOP_SCRIPT) -> None:
        self.sandbox = sandbox
        self.page = page.replace("{sandbox}", sandbox)
        self.script = script
        self.heard: list[str] = []
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["Shop"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shop.heard.append(f"{self.path} {self.headers}")
                script = self.path == "/shop.js"
                body = (shop.script if script else shop.page).encode()
                self.send_response(200)
                self.send_header("content-type", "text/javascript" if script else "text/html")
                self.send_header("content-length", str(len(body)))
                self.send_header(
                    "content-security-policy",
                    f"default-src 'none'; style-src 'self'; script-src 'self' {shop.sandbox}; "
                    f"frame-src {shop.sandbox}; connect-src {shop.sandbox}; form-action 'self'",
                )
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                shop.heard.append(f"{self.path} {self.rfile.read(int(self.headers['content-length']))!r}")
                self.send_error(405)

            def log_message(self, *_: Any) -> None: ...

        return Handler


def new_intent(api: Sdk, **more: Any) -> Any:
    return api.v1.payment_intents.create({"amount": 2500, "currency": "eur", **more})


def form(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Secure payment input frame']")


async def show(page: Page, secret: str, **more: Any) -> FrameLocator:
    assert await page.evaluate("(options) => open_form(options)", {"clientSecret": secret, **more}) == "ready"
    return form(page)


async def fill(frame: FrameLocator, number: str, expiry: str = "1234", cvc: str = "123") -> None:
    await frame.get_by_label("Card number").fill(number)
    await frame.get_by_label("Expiration date").fill(expiry)
    await frame.get_by_label("Security code").fill(cvc)


def challenge(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Your bank asks you to confirm']")


async def start(page: Page, more: Json | None = None, method: str = "confirmPayment") -> None:
    """Confirm without waiting for how it ends."""
    await page.evaluate("([more, method]) => { pay(more, method); }", [more or {}, method])


async def outcome(page: Page) -> Any:
    return await page.evaluate("outcome")
