"""One of each kind of object, of one user: what others must not reach, and what requests can be aimed at."""

import re
from dataclasses import dataclass
from typing import Any

import aiohttp

from checking_out import BODY
from invoicing import customer, open_invoice
from subscribing import plan, subscribed
from system import System, token_for

__all__ = [
    "Belongings",
    "Browser",
    "Installation",
    "belongings",
    "console_of",
    "csrf_of",
    "installed",
    "portal_of",
    "recurring_price",
]


@dataclass(frozen=True)
class Belongings:
    """The objects of `user`: our ids, but for `method`, which is Stripe's."""

    user: str
    user_id: str
    payment: str
    held: str
    unpaid: str
    customer: str
    method: str
    method_id: str
    subscription: str
    invoice: str
    checkout: str
    checkout_token: str


@dataclass(frozen=True)
class Installation:
    """Objects of nobody in particular."""

    price: str
    product: str
    feature: str
    endpoint: str
    delivery: str
    event: str
    mail: str
    run: str


async def belongings(system: System, user: str, price: str) -> Belongings:
    """Payments that are paid, held and unpaid; a customer with a card, a subscription and an open invoice; a page."""
    stripe_customer = await customer(system, user)
    paid = (await system.pay(user=user)).body
    held = (await system.pay(user=user, capture_method="manual")).body
    unpaid = await system.call("POST", "/api/payments/payment-intent", {"amount": 900, "currency": "usd"}, user=user)
    subscription = await subscribed(system, user, price)
    invoice = await open_invoice(system, stripe_customer, 700)
    page = await system.call("POST", "/api/checkout-sessions", BODY, user=user)
    await system.quiet()
    mine = (await system.call("GET", "/api/customers/me", user=user)).body
    method = (await system.call("GET", "/api/customers/me/payment-methods", user=user)).body["data"][0]
    found = await system.value("SELECT id::text FROM invoices WHERE stripe_invoice_id = $1", invoice)
    return Belongings(
        user=user,
        user_id=await system.value("SELECT id::text FROM users WHERE external_id = $1", user),
        payment=paid["id"],
        held=held["id"],
        unpaid=unpaid.body["id"],
        customer=mine["id"],
        method=method["stripe_payment_method_id"],
        method_id=method["id"],
        subscription=subscription["id"],
        invoice=found,
        checkout=page.body["id"],
        checkout_token=page.body["url"].rpartition("/")[2],
    )


async def installed(system: System, price: str) -> Installation:
    """A feature that nothing has, an endpoint with a delivery, an event, a mail and a run."""
    admin: Any = {"user": "root", "roles": ("admin",)}
    product = await system.value("SELECT stripe_product_id FROM prices WHERE stripe_price_id = $1", price)
    assert (await system.call("PUT", "/api/features/exports", {"name": "Exports"}, **admin)).status == 201
    endpoint = await system.call(
        "POST", "/api/webhook-endpoints", {"url": "http://127.0.0.1:9/hooks", "events": ["*"]}, **admin
    )
    delivery = await system.call("POST", f"/api/webhook-endpoints/{endpoint.body['id']}/test", **admin)
    run = await system.call("POST", "/api/reconciliation/runs", {"mode": "incremental"}, **admin)
    assert (endpoint.status, delivery.status, run.status) == (201, 200, 202), (endpoint, delivery, run)
    return Installation(
        price=price,
        product=product,
        feature="exports",
        endpoint=endpoint.body["id"],
        delivery=delivery.body["id"],
        event=await system.value("SELECT id::text FROM webhook_events ORDER BY id LIMIT 1"),
        mail=await system.value("SELECT id::text FROM mails ORDER BY id LIMIT 1"),
        run=run.body["id"],
    )


async def recurring_price(system: System) -> str:
    """A price that the mirror knows."""
    price = await plan(system)
    await system.quiet()
    return price


@dataclass
class Browser:
    """Somebody's cookies, and the secret of the forms of their session."""

    cookies: dict[str, str]
    csrf: str


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


async def portal_of(system: System, user: str) -> Browser:
    """A browser that is signed in to a user's billing pages."""
    url = (await system.call("POST", "/api/portal-sessions", {}, user=user)).body["url"]
    return await _signed_in(system, "tallystick_billing", "/billing/methods/add", get=url)


async def console_of(system: System, role: str) -> Browser:
    """A browser in which somebody of this role is signed in to the console."""
    token = token_for(f"{role}-of-the-console", roles=(role,))
    return await _signed_in(system, "tallystick_console", "/console/payments", post={"token": token})


async def _signed_in(
    system: System, cookie: str, page: str, *, get: str | None = None, post: dict[str, str] | None = None
) -> Browser:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        door = browser.get(get) if get else browser.post(f"{system.api_url}/console/login", data=post)
        async with door as answer:
            assert answer.status == 200, await answer.text()
        async with browser.get(system.api_url + page) as answer:
            csrf = csrf_of(await answer.text())
        cookies = {each.key: each.value for each in browser.cookie_jar}
    return Browser({cookie: cookies[cookie]}, csrf)
