"""Makes invoices as Stripe and its dashboard do, and looks at what became of them."""

import json
from typing import Any

from system import Answer, System

__all__ = [
    "INVOICES",
    "SLOW_CARD",
    "context",
    "customer",
    "get",
    "left_to_stripe",
    "listed",
    "mails",
    "open_invoice",
    "pay",
    "pay_when_here",
    "plan",
    "post",
    "promotion",
    "subscribe",
    "told",
    "use_card",
]

INVOICES = "/api/invoices"
SLOW_CARD = "pm_card_chargeCustomerFail"
"""Attaches, and is declined when it is charged."""


async def customer(system: System, user: str, card: str | None = "pm_card_visa") -> str:
    """The user's customer at Stripe, with this default card."""
    made = await system.call("POST", "/api/customers", {}, user=user)
    assert made.status == 201, made.body
    if card:
        await use_card(system, user, card)
    return str(made.body["stripe_customer_id"])


async def use_card(system: System, user: str, card: str) -> str:
    path = "/api/customers/me/payment-methods"
    added = await system.call("POST", path, {"payment_method": card, "default": True}, user=user)
    assert added.status == 200, added.body
    return str(added.body["stripe_payment_method_id"])


async def post(system: System, path: str, **data: Any) -> Any:
    """A request to Stripe that must not fail, as somebody makes it in the dashboard."""
    body = await system.stripe(path, {name: str(value) for name, value in data.items()})
    assert "error" not in body, body
    return body


async def open_invoice(system: System, customer_id: str, *amounts: int, currency: str = "usd") -> str:
    for amount in amounts:
        await post(system, "/v1/invoiceitems", customer=customer_id, amount=amount, currency=currency)
    data = {"customer": customer_id, "currency": currency, "pending_invoice_items_behavior": "include"}
    draft = await post(system, "/v1/invoices", **data)
    return str((await post(system, f"/v1/invoices/{draft['id']}/finalize"))["id"])


async def left_to_stripe(system: System, customer_id: str, amount: int) -> str:
    """An invoice that Stripe finalises and charges by itself, which has happened."""
    await post(system, "/v1/invoiceitems", customer=customer_id, amount=amount, currency="usd")
    data = {"customer": customer_id, "pending_invoice_items_behavior": "include", "auto_advance": "true"}
    draft = await post(system, "/v1/invoices", **data)
    await system.advance("2h")
    await system.quiet()
    return str(draft["id"])


async def plan(system: System, amount: int = 1000, currency: str = "usd") -> str:
    product = await post(system, "/v1/products", name="Gold")
    data = {"product": product["id"], "currency": currency, "unit_amount": amount}
    return str((await post(system, "/v1/prices", **data, **{"recurring[interval]": "month"}))["id"])


async def subscribe(system: System, customer_id: str, price: str, **more: Any) -> Any:
    return await post(system, "/v1/subscriptions", customer=customer_id, **{"items[0][price]": price}, **more)


async def get(system: System, user: str, invoice_id: str, **more: Any) -> Any:
    answer = await system.call("GET", f"{INVOICES}/{invoice_id}", user=user, **more)
    assert answer.status == 200, answer.body
    return answer.body


async def listed(system: System, user: str, query: str = "", **more: Any) -> list[Any]:
    answer = await system.call("GET", f"{INVOICES}{query}", user=user, **more)
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


async def pay(system: System, user: str, invoice_id: str, body: Any = None, key: str | None = None) -> Answer:
    return await system.call("POST", f"{INVOICES}/{invoice_id}/pay", body or {}, user=user, key=key)


async def mails(system: System, user: str) -> list[str]:
    """The templates of the mails to a user, in the order in which they were queued."""
    rows = await system.fetch(
        "SELECT template FROM mails WHERE recipient = $1 ORDER BY created_at, id", f"{user}@example.com"
    )
    return [row["template"] for row in rows]


async def context(system: System, user: str, template: str) -> Any:
    """What the newest mail of this template says."""
    text = await system.value(
        "SELECT context FROM mails WHERE recipient = $1 AND template = $2 ORDER BY created_at DESC LIMIT 1",
        f"{user}@example.com",
        template,
    )
    return json.loads(text)


async def told(system: System, user: str) -> list[str]:
    rows = await system.fetch(
        "SELECT type FROM outbound_facts WHERE data->>'user' = $1 AND type LIKE 'invoice.%' ORDER BY created_at, id",
        user,
    )
    return [row["type"] for row in rows]


async def pay_when_here(system: System, user: str, invoice: str) -> Answer:
    await system.quiet()
    paid = await pay(system, user, invoice)
    assert paid.status == 200, paid.body
    return paid


def promotion(system: System, coupon: str) -> dict[str, str]:
    if system.settings.stripe_api_version.startswith("2023"):
        return {"coupon": coupon}
    return {"promotion[type]": "coupon", "promotion[coupon]": coupon}
