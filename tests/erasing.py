"""What tests of erasure share: a person whose data is everywhere, and a search through the whole database."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from subscribing import create, plan
from system import WEBHOOK_SECRET, System, unique
from tallystick.stripe_gateway.signatures import sign

__all__ = ["ADMIN", "Someone", "books", "erase", "erased", "event", "everywhere", "send_event", "someone", "user_id"]

ADMIN = ("admin",)


@dataclass
class Someone:
    """A person with everything that tells who it is; `marks` are found nowhere once it is erased."""

    user: str
    email: str
    name: str
    phone: str
    street: str
    city: str
    ip: str
    customer: str = ""
    intent: str = ""
    payment: str = ""
    subscription: str = ""

    @property
    def marks(self) -> list[str]:
        return [self.user, self.email, self.name, self.phone, self.street, self.city, self.ip]

    @property
    def address(self) -> dict[str, str]:
        return {"line1": self.street, "city": self.city, "postal_code": "99-777", "country": "DE"}

    @property
    def billing_details(self) -> dict[str, Any]:
        return {"address": self.address, "email": self.email, "name": self.name, "phone": self.phone}


def nobody_yet() -> Someone:
    tag = unique("x").removeprefix("x-")
    return Someone(
        user=f"person-{tag}",
        email=f"person-{tag}@example.com",
        name=f"Wilhelmina Quast{tag}",
        phone=f"+4930{int(tag, 16) % 10**9:09d}",
        street=f"Gänseallee {int(tag, 16) % 10**7}",
        city=f"Oberkirch{tag}",
        ip=f"203.0.{int(tag[:4], 16) % 256}.{100 + int(tag[4:6], 16) % 100}",
    )


async def someone(system: System, *, subscribe: bool = True) -> Someone:
    """A person who paid, was refunded, failed, subscribed, opened a checkout, and was written to."""
    who = nobody_yet()

    async def call(method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await system.call(method, path, body, user=who.user, **more)
        assert answer.status < 300, (path, answer.body)
        return answer.body

    fields = {"email": who.email, "name": who.name, "phone": who.phone, "address": who.address}
    customer = await call("POST", "/api/customers", {**fields, "metadata": {"contact": who.name}}, key=unique("k"))
    who.customer = customer["stripe_customer_id"]
    card = await system.stripe(
        "/v1/payment_methods",
        {
            "type": "card", "card[number]": "4242424242424242", "card[exp_month]": "12", "card[exp_year]": "2034",
            "card[cvc]": "123", "billing_details[name]": who.name, "billing_details[email]": who.email,
            "billing_details[phone]": who.phone, "billing_details[address][line1]": who.street,
            "billing_details[address][city]": who.city,
        },
    )  # fmt: skip
    paid = await system.pay(
        card["id"], user=who.user, amount=2000, description=f"for {who.name}", metadata={"deliver_to": who.street}
    )
    assert paid.status == 201, paid.body
    who.payment, who.intent = paid.body["id"], paid.body["stripe_payment_intent_id"]
    await system.stripe(
        f"/v1/payment_intents/{who.intent}",
        {"description": f"by {who.email}", "metadata[phone]": who.phone},
    )
    await call("POST", f"/api/payments/payment-intent/{who.payment}/refund", {"amount": 300})
    await system.pay("pm_card_visa_chargeDeclined", user=who.user, amount=900, description=who.name)
    await call(
        "POST",
        "/api/checkout-sessions",
        {"mode": "payment", "amount": 700, "currency": "usd", "description": who.name, "metadata": {"who": who.email}},
    )
    await call("POST", "/api/customers/me/payment-methods", {"payment_method": "pm_card_visa", "default": True})
    if subscribe:
        made = await create(system, who.user, await plan(system), metadata={"seat": who.name})
        assert made.status == 201, made.body
        who.subscription = made.body["id"]
    await system.quiet()
    return who


async def user_id(system: System, who: Someone) -> UUID:
    found: UUID = await system.value("SELECT id FROM users WHERE external_id = $1", who.user)
    return found


async def erase(system: System, user: str, **body: Any) -> Any:
    answer = await system.call("POST", f"/api/users/{user}/erase", body, user="grace", roles=ADMIN)
    assert answer.status == 202, answer.body
    return answer.body


async def erased(system: System, user: UUID) -> Any:
    """The erasure of a user, once the worker is done with it."""
    async with asyncio.timeout(20):
        while True:
            answer = await system.call("GET", f"/api/users/{user}/erasure", user="grace", roles=ADMIN)
            assert answer.status == 200, answer.body
            if answer.body["state"] == "done":
                await system.quiet()
                return answer.body
            await asyncio.sleep(0.05)


def event(event_id: str, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    """An event about `obj` as Stripe tells it."""
    return {
        "id": event_id, "object": "event", "type": kind, "created": obj.get("created", 1_790_000_000),
        "api_version": "2023-10-16", "request": {"id": None, "idempotency_key": None}, "data": {"object": obj},
    }  # fmt: skip


async def send_event(system: System, event: dict[str, Any]) -> None:
    """An event as Stripe delivers it."""
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": sign(body, WEBHOOK_SECRET.encode(), int(time.time()))}
    async with system.http.post(f"{system.api_url}/api/webhooks/stripe", data=body, headers=headers) as response:
        assert response.status == 200, await response.text()


async def everywhere(database_url: str, texts: list[str]) -> dict[str, list[str]]:
    """Where in the database each of these texts is found: every column of every table, whatever its type."""
    connection = await asyncpg.connect(database_url)
    found: dict[str, list[str]] = {}
    # As it is, and as a text in JSON has it; letters of either case.
    spellings = {spelled.lower(): text for text in texts for spelled in (text, json.dumps(text)[1:-1])}
    try:
        columns = await connection.fetch(
            "SELECT table_name, array_agg(column_name::text) FILTER (WHERE data_type = 'bytea') AS bytes,"
            " count(*) AS number FROM information_schema.columns c JOIN information_schema.tables t"
            " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
            " GROUP BY table_name"
        )
        assert sum(row["number"] for row in columns) > 300
        for table, binary, _ in columns:
            # A row as text has every column in it; bytes are shown as text of their own.
            for shown in ("t::text", *(f"encode(t.\"{column}\", 'escape')" for column in binary or ())):
                hits = await connection.fetch(
                    f'SELECT said FROM unnest($1::text[]) said WHERE EXISTS (SELECT FROM "{table}" t '
                    f"WHERE position(said IN lower({shown})) > 0)",
                    list(spellings),
                )
                for row in hits:
                    found.setdefault(spellings[row["said"]], []).append(f"{table} {shown}")
    finally:
        await connection.close()
    return found


async def books(system: System, user_id: Any) -> list[tuple[Any, ...]]:
    """What moved: amounts, currencies, statuses, times and ids."""
    rows = await system.fetch(
        """
        SELECT 'payment', id::text, stripe_payment_intent_id, amount, amount_received, amount_refunded, currency,
            status, created_at FROM payments WHERE user_id = $1
        UNION ALL SELECT 'charge', c.id::text, c.stripe_charge_id, c.amount, c.amount_captured, c.amount_refunded,
            c.currency, c.card_brand || c.card_last4, c.created_at
            FROM charges c JOIN payments p ON p.id = c.payment_id WHERE p.user_id = $1
        UNION ALL SELECT 'refund', r.id::text, r.stripe_refund_id, r.amount, 0, 0, r.currency, r.status, r.created_at
            FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE p.user_id = $1
        UNION ALL SELECT 'invoice', id::text, number, total, tax, amount_paid, currency, status, created_at
            FROM invoices WHERE user_id = $1
        UNION ALL SELECT 'line', l.stripe_line_id, l.description, l.amount, l.discount, l.quantity, l.currency,
            l.price_id, l.period_start FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id WHERE i.user_id = $1
        ORDER BY 1, 2
        """,
        user_id,
    )
    return [tuple(row) for row in rows]
