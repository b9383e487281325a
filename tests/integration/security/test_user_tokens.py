"""Where users hold their own tokens (`USER_TOKENS=browser`), they decide nothing that costs the shop money."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from invoicing import plan
from system import MakeDatabase, System, running_system, unique
from tallystick.platform.settings import load_settings

PAYMENTS = "/api/payments/payment-intent"
PAY = {"amount": 4200, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
SHOP = "https://shop.example.com"


@pytest_asyncio.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """That pages of the shop may call the API says that browsers have the tokens."""
    async with running_system(await make_database(), CORS_ORIGINS=SHOP, CHECKOUT_RETURN_URLS=SHOP) as running:
        yield running


async def of_the_shop(system: System, user: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made = await system.call("POST", path, body, roles=("service",), headers={"Tallystick-User": user})
    assert made.status == 201, made
    return dict(made.body)


async def test_a_buyer_neither_makes_nor_takes_back_payments(system: System) -> None:
    user = unique("buyer")
    paid = await of_the_shop(system, user, PAYMENTS, PAY)
    held = await of_the_shop(system, user, PAYMENTS, PAY | {"capture_method": "manual"})
    asked: list[tuple[str, dict[str, Any], str | None]] = [
        (PAYMENTS, PAY, None),
        (f"{PAYMENTS}/{paid['id']}/refund", {}, None),
        (f"{PAYMENTS}/{held['id']}/capture", {"amount": 1}, None),
        (f"{PAYMENTS}/{held['id']}/cancel", {}, None),
        ("/api/checkout-sessions", {"amount": 1, "currency": "usd"}, "amount"),
    ]
    for path, body, field in asked:
        refused = await system.call("POST", path, body, user=user)
        assert (refused.status, refused.code, refused.body.get("field")) == (403, "SHOP_ONLY", field), path
    for payment, status in ((paid, "succeeded"), (held, "requires_capture")):
        shown = await system.stripe(f"/v1/payment_intents/{payment['stripe_payment_intent_id']}")
        assert (shown["status"], shown["amount"]) == (status, 4200)
    assert (await system.stripe(f"/v1/refunds?payment_intent={paid['stripe_payment_intent_id']}"))["data"] == []


async def test_a_buyer_pays_and_gives_up_what_the_shop_has_begun(system: System) -> None:
    user = unique("buyer")
    begun = [await of_the_shop(system, user, PAYMENTS, {"amount": 900, "currency": "usd"}) for _ in range(2)]
    one, other = (f"{PAYMENTS}/{payment['id']}" for payment in begun)
    done = await system.call("POST", f"{one}/confirm", {"payment_method": "pm_card_visa"}, user=user)
    assert (done.status, done.body["status"]) == (200, "succeeded")
    assert (await system.call("POST", f"{other}/cancel", {}, user=user)).body["status"] == "canceled"


async def test_a_buyer_subscribes_on_the_shops_terms(system: System) -> None:
    user, cheap, dear = unique("buyer"), await plan(system, 1000), await plan(system, 90000)
    new = {"price": cheap, "payment_method": "pm_card_visa"}
    refused = await system.call("POST", "/api/subscriptions", {**new, "trial_period_days": 730}, user=user)
    assert (refused.status, refused.code, refused.body["field"]) == (403, "SHOP_ONLY", "trial_period_days")
    made = await system.call("POST", "/api/subscriptions", new, user=user)
    assert (made.status, made.body["status"]) == (201, "trialing")
    path = f"/api/subscriptions/{made.body['id']}"
    for method, where, body, field in (
        ("PUT", path, {"price": dear, "proration_behavior": "none"}, "proration_behavior"),
        ("PUT", path, {"price": dear, "only_if_paid": False}, "only_if_paid"),
        ("GET", f"{path}/upcoming-invoice?price={dear}&proration_behavior=none", None, "proration_behavior"),
        ("POST", f"{path}/pause", {}, None),
    ):
        refused = await system.call(method, where, body, user=user)
        assert (refused.status, refused.code, refused.body.get("field")) == (403, "SHOP_ONLY", field), where
    changed = await system.call("PUT", path, {"price": dear}, user=user)
    assert (changed.status, changed.body["price"]) == (200, dear)
    assert (await system.call("DELETE", path, {}, user=user)).status == 200


async def test_a_checkout_session_of_the_catalogue_is_a_buyers_own(system: System) -> None:
    price, user = await plan(system), unique("buyer")
    session = {"mode": "subscription", "price": price, "success_url": f"{SHOP}/thanks"}
    refused = await system.call("POST", "/api/checkout-sessions", {**session, "trial_period_days": 90}, user=user)
    assert (refused.status, refused.code, refused.body["field"]) == (403, "SHOP_ONLY", "trial_period_days")
    assert (await system.call("POST", "/api/checkout-sessions", session, user=user)).status == 201


@pytest.mark.parametrize(
    ("given", "buyers"),
    [
        ({}, False),
        ({"CORS_ORIGINS": SHOP}, True),
        ({"CORS_ORIGINS": SHOP, "USER_TOKENS": "server"}, False),
        ({"USER_TOKENS": "browser"}, True),
    ],
)
def test_who_holds_the_tokens(given: dict[str, str], *, buyers: bool) -> None:
    settings = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "STRIPE_SECRET_KEY": "sk_test_x"}
    more = {"STRIPE_WEBHOOK_SECRET": "whsec_x", "JWT_SECRET": "x" * 32}
    assert load_settings({**settings, **more, **given}).buyers_hold_tokens is buyers
