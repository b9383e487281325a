"""What tests of subscriptions share: plans, and driving subscriptions through our API."""

from typing import Any

import pytest

from system import VERSIONS, Answer, System

CROSSED_VERSIONS = pytest.mark.parametrize(
    "system", VERSIONS[2:], indirect=True, scope="module", ids=lambda pair: f"api-{pair[0][:4]}-webhooks-{pair[1][:4]}"
)
"""Mark a module: its tests run at the oldest and the newest API version, with webhooks of the other one."""
SUBSCRIPTIONS = "/api/subscriptions"
SLOW_CARD = "pm_card_chargeCustomerFail"
"""Attaches, and is declined when it is charged."""
SECURE_CARD = "pm_card_authenticationRequired"
"""Wants 3D Secure."""


async def post(system: System, path: str, **data: Any) -> Any:
    """A request to Stripe that must not fail, as somebody makes it in the dashboard."""
    body = await system.stripe(path, {name: str(value) for name, value in data.items()})
    assert "error" not in body, body
    return body


async def delete(system: System, path: str) -> Any:
    url, auth = f"{system.sandbox_url}{path}", {"Authorization": "Bearer sk_test_system"}
    async with system.http.delete(url, headers=auth) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def plan(system: System, amount: int = 1000, currency: str = "usd", interval: str = "month", **more: Any) -> str:
    """A recurring price of a new product, known to the mirror as soon as somebody asks for it."""
    product = await post(system, "/v1/products", name="Gold")
    data = {"product": product["id"], "currency": currency, "unit_amount": amount, **more}
    return str((await post(system, "/v1/prices", **data, **{"recurring[interval]": interval}))["id"])


async def create(system: System, user: str, price: str, key: str | None = None, **body: Any) -> Answer:
    """Subscribe; without a trial unless one is asked for."""
    body = {"price": price, "trial_period_days": 0, **body}
    return await system.call("POST", SUBSCRIPTIONS, body, user=user, key=key)


async def subscribed(system: System, user: str, price: str, card: str = "pm_card_visa", **body: Any) -> Any:
    """An active subscription, or one in trial."""
    answer = await create(system, user, price, payment_method=card, **body)
    assert answer.status in (200, 201), answer.body
    assert answer.body["status"] in ("active", "trialing"), answer.body
    return answer.body


async def change(system: System, user: str, subscription: str, body: Any, **more: Any) -> Answer:
    return await system.call("PUT", f"{SUBSCRIPTIONS}/{subscription}", body, user=user, **more)


async def get(system: System, user: str, subscription: str, **more: Any) -> Any:
    answer = await system.call("GET", f"{SUBSCRIPTIONS}/{subscription}", user=user, **more)
    assert answer.status == 200, answer.body
    return answer.body


async def listed(system: System, user: str, query: str = "", **more: Any) -> list[Any]:
    answer = await system.call("GET", f"{SUBSCRIPTIONS}{query}", user=user, **more)
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


async def history(system: System, user: str, subscription: str) -> list[Any]:
    answer = await system.call("GET", f"{SUBSCRIPTIONS}/{subscription}/history", user=user)
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


async def preview(system: System, user: str, subscription: str, **query: Any) -> Answer:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return await system.call("GET", f"{SUBSCRIPTIONS}/{subscription}/upcoming-invoice?{words}", user=user)


async def at_stripe(system: System, user: str) -> list[Any]:
    """All subscriptions at Stripe of the user's customers."""
    rows = await system.fetch(
        """
        SELECT c.stripe_customer_id FROM customers c JOIN users u ON u.id = c.user_id WHERE u.external_id = $1
        """,
        user,
    )
    found = []
    for row in rows:
        path = f"/v1/subscriptions?customer={row['stripe_customer_id']}&status=all&limit=100"
        found += (await system.stripe(path))["data"]
    return found


async def promotion_code(system: System, code: str, **more: Any) -> str:
    """A promotion code for a quarter off, for ever."""
    coupon = await post(system, "/v1/coupons", percent_off=25, duration="forever")
    newest = system.settings.stripe_api_version >= "2025-09-30"
    named = {"promotion[type]": "coupon", "promotion[coupon]": coupon["id"]} if newest else {"coupon": coupon["id"]}
    return str((await post(system, "/v1/promotion_codes", code=code, **named, **more))["id"])
