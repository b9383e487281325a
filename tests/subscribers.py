"""Subscribers made at Stripe, as a dashboard makes them; and what the API says of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from system import System, unique

__all__ = ["DECLINES_LATER", "Subscriber", "make_price", "subscriber"]

DECLINES_LATER = "pm_card_chargeCustomerFail"
"""Attaches, and declines when it is charged."""


async def stripe(system: System, path: str, **form: Any) -> Any:
    """A request that has to succeed; `items[0][price]` is written `items__0__price`."""
    data = {}
    for name, value in form.items():
        first, *rest = name.split("__")
        data[first + "".join(f"[{part}]" for part in rest)] = str(value)
    body = await system.stripe(path, data)
    assert "error" not in body, body
    return body


async def make_price(
    system: System, amount: int = 1000, *, interval: str = "month", features: Mapping[str, Any] | None = None
) -> tuple[str, str]:
    """A new product with these features, and its price: their ids at Stripe."""
    product = await stripe(system, "/v1/products", name=unique("Plan"))
    form = {"product": product["id"], "currency": "usd", "unit_amount": amount, "recurring__interval": interval}
    price = await stripe(system, "/v1/prices", **form)
    await system.quiet()
    if features:
        await set_features(system, product["id"], features)
    return product["id"], price["id"]


async def set_features(system: System, product: str, features: Mapping[str, Any]) -> None:
    for key in features:
        made = await system.call("PUT", f"/api/features/{key}", {"name": key.capitalize()}, roles=("admin",))
        assert made.status in (200, 201), made.body
    body = {"features": [{"key": key, "value": value} for key, value in features.items()]}
    answer = await system.call("PUT", f"/api/products/{product}/features", body, roles=("admin",))
    assert answer.status == 200, answer.body


class Subscriber:
    """A user with a customer and one subscription."""

    def __init__(self, system: System, user: str, customer: str) -> None:
        self.system = system
        self.user = user
        self.customer = customer
        self.id = ""
        self.renews_at = datetime.min.replace(tzinfo=UTC)

    async def use_card(self, card: str) -> str:
        """Another default card."""
        method = await stripe(self.system, f"/v1/payment_methods/{card}/attach", customer=self.customer)
        await stripe(
            self.system, f"/v1/customers/{self.customer}", invoice_settings__default_payment_method=method["id"]
        )
        return str(method["id"])

    async def use_card_until(self, month: int, year: int) -> str:
        """Another default card, which can be used until the end of this month."""
        card = {"card[number]": "4242424242424242", "card[cvc]": "123", "type": "card"}
        made = await self.system.stripe(
            "/v1/payment_methods", {**card, "card[exp_month]": str(month), "card[exp_year]": str(year)}
        )
        return await self.use_card(made["id"])

    async def subscribe(self, price: str, **form: Any) -> Any:
        made = await stripe(self.system, "/v1/subscriptions", customer=self.customer, items__0__price=price, **form)
        self.id = made["id"]
        ends = made.get("current_period_end") or made["items"]["data"][0]["current_period_end"]
        self.renews_at = datetime.fromtimestamp(ends, UTC)
        await self.system.quiet()
        return made

    async def fail_renewal(self) -> None:
        """Move time to where the first renewal has just failed (a renewal stays a draft for an hour)."""
        await self.system.advance(to=self.renews_at + timedelta(hours=2))
        assert await self.status() == "past_due"

    async def change(self, **form: Any) -> Any:
        changed = await stripe(self.system, f"/v1/subscriptions/{self.id}", **form)
        await self.system.quiet()
        return changed

    async def cancel(self) -> None:
        headers = {"Authorization": "Bearer sk_test_system"}
        url = f"{self.system.sandbox_url}/v1/subscriptions/{self.id}"
        async with self.system.http.delete(url, headers=headers) as response:
            assert response.status == 200, await response.text()
        await self.system.quiet()

    async def status(self) -> str:
        return str((await self.system.stripe(f"/v1/subscriptions/{self.id}"))["status"])

    async def invoices(self) -> list[Any]:
        """At Stripe, newest first."""
        found = await self.system.stripe(f"/v1/invoices?subscription={self.id}&limit=100")
        return list(found["data"])

    async def pay(self) -> None:
        """Pay the newest invoice as a customer does on Stripe's page."""
        newest = (await self.invoices())[0]
        await stripe(self.system, f"/v1/invoices/{newest['id']}/pay")
        await self.system.quiet()

    async def entitlements(self) -> Any:
        answer = await self.system.call("GET", "/api/entitlements", user=self.user)
        assert answer.status == 200, answer.body
        return answer.body

    async def access(self) -> tuple[str, datetime | None] | None:
        """State and end of the access to the one product, or None."""
        products = (await self.entitlements())["products"]
        if not products:
            return None
        assert len(products) == 1, products
        until = products[0]["until"]
        return products[0]["state"], datetime.fromisoformat(until) if until else None

    async def told(self) -> list[str]:
        """The facts about access that the host application was told, oldest first."""
        return [type_ for type_, _ in await self.told_of_products()]

    async def told_of_products(self) -> list[tuple[str, str]]:
        """The same with the product; of one transaction by type."""
        rows = await self.system.fetch(
            """
            SELECT type, data -> 'access' ->> 'product' AS product FROM outbound_facts
            WHERE type LIKE 'access.%' AND data ->> 'user' = $1 ORDER BY created_at, type DESC
            """,
            self.user,
        )
        return [(row["type"].removeprefix("access."), row["product"]) for row in rows]

    async def mails(self, *templates: str) -> list[Any]:
        """The contexts of this user's mails of these kinds, oldest first, each with its `template` and `state`."""
        rows = await self.system.fetch(
            """
            SELECT template, state, context::text AS context FROM mails JOIN users u ON u.id = user_id
            WHERE external_id = $1 AND template = ANY($2) ORDER BY mails.created_at, mails.id
            """,
            self.user,
            list(templates),
        )
        return [{"template": row["template"], "state": row["state"], **json.loads(row["context"])} for row in rows]


async def subscriber(system: System, card: str | None = "pm_card_visa") -> Subscriber:
    """A user of whom nobody has heard, with a default card."""
    user = unique("sub")
    made = await system.call("POST", "/api/customers", {}, user=user)
    found = Subscriber(system, user, made.body["stripe_customer_id"])
    if card:
        await found.use_card(card)
    await system.quiet()
    return found
