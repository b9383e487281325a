"""Bad input gets a clear coded error, and leaves nothing half done."""

from typing import Any

import pytest

from subscribing import SUBSCRIPTIONS, change, create, plan, post, subscribed
from system import System, unique

PRICE = "price_that_is_not_there"


async def counts(system: System) -> tuple[Any, ...]:
    row = await system.pool.fetchrow(
        """
        SELECT (SELECT count(*) FROM subscriptions), (SELECT count(*) FROM attempts),
               (SELECT count(*) FROM idempotency_keys)
        """
    )
    assert row is not None
    return tuple(row)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "INVALID_REQUEST", "price"),
        ({"price": ""}, "INVALID_REQUEST", "price"),
        ({"price": "price\x00"}, "INVALID_REQUEST", "price"),
        ({"price": PRICE}, "PRICE_NOT_USABLE", "price"),
        ({"price": "0193f0c2-7d4e-7b1a-8a55-0242ac120002"}, "PRICE_NOT_USABLE", "price"),
        ({"price": PRICE, "quantity": 0}, "INVALID_REQUEST", "quantity"),
        ({"price": PRICE, "quantity": -1}, "INVALID_REQUEST", "quantity"),
        ({"price": PRICE, "quantity": 10**7}, "INVALID_REQUEST", "quantity"),
        ({"price": PRICE, "quantity": 1.5}, "INVALID_REQUEST", "quantity"),
        ({"price": PRICE, "quantity": "2"}, "INVALID_REQUEST", "quantity"),
        ({"price": PRICE, "quantity": True}, "INVALID_REQUEST", "quantity"),
        ({"price": PRICE, "trial_period_days": -1}, "INVALID_REQUEST", "trial_period_days"),
        ({"price": PRICE, "trial_period_days": 731}, "INVALID_REQUEST", "trial_period_days"),
        ({"price": PRICE, "trial_end": 1000}, "INVALID_REQUEST", "trial_end"),
        ({"price": PRICE, "payment_method": "4242424242424242"}, "INVALID_REQUEST", "payment_method"),
        ({"price": PRICE, "payment_method": "cus_1"}, "INVALID_REQUEST", "payment_method"),
        ({"price": PRICE, "promotion_code": ""}, "INVALID_REQUEST", "promotion_code"),
        ({"price": PRICE, "metadata": {"k": "v" * 501}}, "INVALID_REQUEST", "metadata.k"),
        ({"price": PRICE, "metadata": {"tallystick_user": "x"}}, "INVALID_REQUEST", "metadata"),
        ({"price": PRICE, "metadata": {"pan": "4000-0000-0000-0002"}}, "CARD_NUMBER_REFUSED", "metadata.pan"),
        ({"price": PRICE, "extra": 1}, "INVALID_REQUEST", "extra"),
    ],
)
async def test_a_subscription_that_cannot_be(system: System, body: Any, code: str, field: str) -> None:
    before = await counts(system)
    answer = await system.call("POST", SUBSCRIPTIONS, body, user=unique("bad"))
    assert (answer.status, answer.code, answer.body["field"]) == (422, code, field), answer.body
    assert answer.body["suggested_action"]
    assert await counts(system) == before


async def test_prices_that_cannot_be_subscribed_to(system: System) -> None:
    """The last two are ones of which the mirror does not know yet that they are."""
    user, archived = unique("price"), await plan(system)
    product = (await post(system, "/v1/products", name="Mug"))["id"]
    once = (await post(system, "/v1/prices", product=product, currency="usd", unit_amount=900))["id"]
    await post(system, f"/v1/prices/{archived}", active="false")
    await system.quiet()
    for price in (archived, once):
        answer = await create(system, user, price, payment_method="pm_card_visa")
        assert (answer.status, answer.code, answer.body["field"]) == (422, "PRICE_NOT_USABLE", "price"), answer.body
    fresh = await plan(system)
    await system.quiet()
    await system.fault(target="webhook", kind="delay", delay_s=1, type="price.updated", times=1)
    await post(system, f"/v1/prices/{fresh}", active="false")
    answer = await create(system, user, fresh, payment_method="pm_card_visa")
    assert (answer.status, answer.code, answer.body["field"]) == (422, "PRICE_NOT_USABLE", "price"), answer.body
    metered = await plan(system, 1000, "usd", "month", **{"recurring[usage_type]": "metered"})
    answer = await create(system, user, metered, quantity=2)
    assert (answer.status, answer.body["field"]) == (422, "quantity"), answer.body


async def test_a_price_of_another_currency(system: System) -> None:
    user, yen = unique("yen"), await plan(system, 1000, "jpy")
    made = await subscribed(system, user, await plan(system))
    answer = await change(system, user, made["id"], {"price": yen})
    assert (answer.status, answer.code, answer.body["field"]) == (422, "PRICE_NOT_USABLE", "price")
    assert "JPY" in answer.body["detail"]


async def test_what_stripe_alone_knows_of_the_currency(system: System) -> None:
    """What waits for an invoice is in dollars, of which we have no record."""
    user, yen = unique("pending"), await plan(system, 1000, "jpy")
    customer = (await system.call("POST", "/api/customers", {}, user=user)).body["stripe_customer_id"]
    await post(system, "/v1/invoiceitems", customer=customer, amount=500, currency="usd")
    answer = await create(system, user, yen, payment_method="pm_card_visa")
    assert (answer.status, answer.code, answer.body["field"]) == (422, "PRICE_NOT_USABLE", "price"), answer.body


async def test_payment_methods_that_cannot_be(system: System) -> None:
    user, price = unique("method"), await plan(system)
    other = await system.call("POST", "/api/customers", {}, user=unique("owner"))
    method = await system.card("4242424242424242")
    await post(system, f"/v1/payment_methods/{method}/attach", customer=other.body["stripe_customer_id"])
    for card in (method, "pm_thatisnotthere"):
        answer = await create(system, user, price, payment_method=card)
        assert (answer.status, answer.code) == (422, "PAYMENT_METHOD_NOT_USABLE"), answer.body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": 10**7}, "quantity"),
        ({"cancel_at_period_end": True}, "cancel_at_period_end"),
        ({"proration_behavior": "later"}, "proration_behavior"),
        ({"when": "tomorrow"}, "when"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"metadata": {"tallystick_user": "x"}}, "metadata"),
        ({"trial_end": "now"}, "trial_end"),
    ],
)
async def test_a_change_that_cannot_be(system: System, body: Any, field: str) -> None:
    answer = await change(system, unique("who"), "sub_thatisnotthere", body)
    assert (answer.status, answer.body["field"]) == (422, field), answer.body


@pytest.mark.parametrize("path", ["sub_thatisnotthere", "0193f0c2-7d4e-7b1a-8a55-0242ac120002", "pi_1", "x" * 250])
async def test_one_that_is_not_there(system: System, path: str) -> None:
    url, user = f"{SUBSCRIPTIONS}/{path}", unique("nobody")
    calls: list[tuple[str, str, Any]] = [
        ("GET", url, None), ("GET", f"{url}/history", None), ("GET", f"{url}/upcoming-invoice", None),
        ("PUT", url, {"quantity": 2}), ("DELETE", url, None), ("POST", f"{url}/pause", None),
        ("POST", f"{url}/resume", None),
    ]  # fmt: skip
    for method, where, body in calls:
        answer = await system.call(method, where, body, user=user)
        assert (answer.status, answer.code) == (404, "NOT_FOUND"), (method, where)


async def test_pages(system: System) -> None:
    user = unique("pages")
    made = []
    for _ in range(3):
        made.append(await subscribed(system, user, await plan(system)))
        await system.call("DELETE", f"{SUBSCRIPTIONS}/{made[-1]['id']}", {"when": "now"}, user=user)
    first = await system.call("GET", f"{SUBSCRIPTIONS}?limit=2", user=user)
    assert first.body["has_more"] is True
    last = first.body["data"][-1]["id"]
    rest = await system.call("GET", f"{SUBSCRIPTIONS}?limit=2&starting_after={last}", user=user)
    assert rest.body["has_more"] is False
    assert {row["id"] for row in first.body["data"] + rest.body["data"]} == {row["id"] for row in made}
    back = await system.call("GET", f"{SUBSCRIPTIONS}?ending_before={rest.body['data'][0]['id']}", user=user)
    assert back.body["data"] == first.body["data"]
    for query in (f"starting_after={last}&ending_before={last}", "limit=0", "status=sleeping"):
        assert (await system.call("GET", f"{SUBSCRIPTIONS}?{query}", user=user)).status == 422
    theirs = await system.call("GET", f"{SUBSCRIPTIONS}?starting_after={last}", user=unique("other"))
    assert (theirs.status, theirs.body["field"]) == (422, "starting_after")
    url = f"{SUBSCRIPTIONS}/{made[0]['id']}/history"
    whole = (await system.call("GET", url, user=user)).body["data"]
    page = (await system.call("GET", f"{url}?limit=1", user=user)).body
    assert (page["data"], page["has_more"]) == (whole[:1], True)
    after = (await system.call("GET", f"{url}?starting_after={whole[0]['id']}", user=user)).body
    assert after["data"] == whole[1:]
    assert (await system.call("GET", f"{url}?starting_after={made[0]['id']}", user=user)).status == 422
