"""What is shown is what is billed, whatever the moment, the plan, the currency and the month; or it is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from subscribing import SUBSCRIPTIONS, at_stripe, change, create, plan, post, preview, promotion_code, subscribed
from system import LONG, VERSIONS, System, unique

pytestmark = pytest.mark.parametrize(
    "system",
    VERSIONS[:2] if LONG else VERSIONS[1:2],
    indirect=True,
    scope="module",
    ids=lambda pair: f"api-{pair[0][:4]}",
)

DAY = timedelta(days=1)
PAID_BY = timedelta(hours=2)
"""A renewal is a draft for an hour."""


async def shown(system: System, user: str, subscription: str, **query: Any) -> Any:
    answer = await preview(system, user, subscription, **query)
    assert answer.status == 200, answer.body
    return answer.body


async def now_at(system: System) -> datetime:
    return datetime.fromtimestamp((await system.sandbox("GET", "/_sandbox/clock"))["now"], UTC)


async def invoices(system: System, made: Any) -> list[Any]:
    """The subscription's invoices, newest first."""
    path = f"/v1/invoices?subscription={made['stripe_subscription_id']}&limit=100"
    return list((await system.stripe(path))["data"])


def amounts(lines: list[Any]) -> list[tuple[int, int | None]]:
    return [(line["amount"], line["quantity"]) for line in lines]


async def assert_billed_as_shown(
    system: System, *, old: str, new: str, quantities: tuple[int, int], after: timedelta, behavior: str
) -> None:
    """Subscribe, wait, preview, wait, change by the token; the invoices now and with the renewal are those shown."""
    user = unique("buyer")
    made = await subscribed(system, user, old, quantity=quantities[0])
    await system.advance(after.total_seconds())
    seen = await shown(system, user, made["id"], price=new, quantity=quantities[1], proration_behavior=behavior)
    await system.advance(95)
    answer = await change(system, user, made["id"], {"preview_token": seen["preview_token"]})
    assert (answer.status, answer.body["price"], answer.body["quantity"]) == (200, new, quantities[1]), answer.body
    newest, *older = await invoices(system, made)
    if seen["due_now"] is None:
        assert not older
    else:
        assert (newest["total"], newest["amount_due"]) == (seen["total"], seen["due_now"]["amount"])
        assert newest["status"] == "paid"
        assert amounts(newest["lines"]["data"]) == amounts(seen["lines"])
    end = datetime.fromisoformat(answer.body["current_period_end"])
    assert abs(datetime.fromisoformat(seen["due_at_renewal"]["at"]) - end) < timedelta(minutes=3)
    await system.advance(to=end + PAID_BY)
    renewal = (await invoices(system, made))[0]
    assert renewal["billing_reason"] == "subscription_cycle"
    assert renewal["amount_due"] == seen["due_at_renewal"]["amount"]
    ended = await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", {"when": "now"}, user=user)
    assert ended.status == 200, ended.body


@settings(
    max_examples=5,
    deadline=None,
    # An example takes seconds: what failed is told as it is.
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    currency=st.sampled_from(["usd", "jpy", "kwd"]),
    old=st.integers(10, 900),
    new=st.integers(10, 900),
    quantities=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    after=st.integers(0, 27 * 86400),
    behavior=st.sampled_from(["create_prorations", "always_invoice", "none"]),
)
async def test_what_is_shown_is_billed(
    system: System, currency: str, old: int, new: int, quantities: tuple[int, int], after: int, behavior: str
) -> None:
    prices = [await plan(system, amount * 1000, currency) for amount in (old, new)]
    await assert_billed_as_shown(
        system,
        old=prices[0],
        new=prices[1],
        quantities=quantities,
        after=timedelta(seconds=after),
        behavior=behavior,
    )


async def test_the_31st_of_january(system: System) -> None:
    at = await now_at(system)
    year = at.year + 1
    await system.advance(to=datetime(year, 1, 31, 23, 59, 58, tzinfo=UTC))
    old, new = await plan(system, 3100, "jpy"), await plan(system, 6200, "jpy")
    await assert_billed_as_shown(
        system, old=old, new=new, quantities=(1, 2), after=13 * DAY, behavior="create_prorations"
    )


async def test_a_yearly_plan_upgraded_on_the_29th_of_february(system: System) -> None:
    at = await now_at(system)
    year = next(year for year in range(at.year + 1, at.year + 9) if year % 4 == 0)
    await system.advance(to=datetime(year - 1, 6, 15, 12, 0, 0, tzinfo=UTC))
    old, new = await plan(system, 12_000, interval="year"), await plan(system, 50_000, interval="year")
    leap_day = datetime(year, 2, 29, 8, 30, 0, tzinfo=UTC)
    after = leap_day - await now_at(system)
    await assert_billed_as_shown(system, old=old, new=new, quantities=(2, 2), after=after, behavior="always_invoice")


async def test_another_interval_is_shown_as_due_now(system: System) -> None:
    monthly, yearly = await plan(system, 1000), await plan(system, 10_000, interval="year")
    await assert_billed_as_shown(
        system, old=monthly, new=yearly, quantities=(1, 1), after=10 * DAY, behavior="create_prorations"
    )


async def test_without_a_change_it_is_the_renewal(system: System) -> None:
    user = unique("plain")
    made = await subscribed(system, user, await plan(system, 1200), quantity=2)
    seen = await shown(system, user, made["id"])
    assert (seen["due_now"], seen["preview_token"], seen["proration_date"]) == (None, None, None)
    assert seen["due_at_renewal"] == {"amount": 2400, "at": made["current_period_end"]}
    assert amounts(seen["lines"]) == [(2400, 2)]
    await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", user=user)
    none = await preview(system, user, made["id"])
    assert (none.status, none.code) == (409, "NO_UPCOMING_INVOICE")
    assert (await preview(system, unique("other"), made["id"])).status == 404


async def test_in_a_trial_the_change_costs_nothing_now(system: System) -> None:
    user, better = unique("trial"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system), trial_period_days=10)
    seen = await shown(system, user, made["id"], price=better, proration_behavior="always_invoice")
    assert (seen["due_now"], seen["due_at_renewal"]) == (None, {"amount": 5000, "at": made["trial_end"]})
    answer = await change(system, user, made["id"], {"preview_token": seen["preview_token"]})
    assert (answer.status, answer.body["price"], answer.body["status"]) == (200, better, "trialing")


async def test_a_code_is_shown_and_taken(system: System) -> None:
    user, code = unique("code"), unique("QUARTER")
    await promotion_code(system, code)
    made = await subscribed(system, user, await plan(system, 1000))
    seen = await shown(system, user, made["id"], promotion_code=code)
    assert (seen["due_at_renewal"]["amount"], seen["discount"], seen["subtotal"]) == (750, 250, 1000)
    answer = await change(system, user, made["id"], {"preview_token": seen["preview_token"]})
    assert len(answer.body["discounts"]) == 1, answer.body
    without = await shown(system, user, made["id"], promotion_code="")
    assert without["due_at_renewal"]["amount"] == 1000
    answer = await change(system, user, made["id"], {"preview_token": without["preview_token"]})
    assert (answer.status, answer.body["discounts"]) == (200, [])


async def test_a_preview_that_does_not_hold_any_more(system: System) -> None:
    user, better = unique("stale"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system))
    wish = {"price": better, "proration_behavior": "always_invoice"}
    path = f"/v1/subscriptions/{made['stripe_subscription_id']}"

    async def refused(token: str, **body: Any) -> None:
        answer = await change(system, user, made["id"], {"preview_token": token, **body})
        assert (answer.status, answer.code) == (409, "PREVIEW_STALE"), answer.body

    token = (await shown(system, user, made["id"], **wish))["preview_token"]
    # The dashboard changes what it is about, unheard.
    await system.fault(target="webhook", kind="delay", delay_s=1, type="customer.subscription.updated", times=1)
    await post(system, path, **{"items[0][id]": made["items"][0]["id"], "items[0][quantity]": 2})
    await refused(token)
    token = (await shown(system, user, made["id"], **wish))["preview_token"]
    # The customer is given credit, which is no change of the subscription.
    (there,) = await at_stripe(system, user)
    credit = f"/v1/customers/{there['customer']}/balance_transactions"
    await post(system, credit, amount=-300, currency="usd")
    await refused(token)
    token = (await shown(system, user, made["id"], **wish))["preview_token"]
    # It costs the same, and yet it is another matter now.
    await post(system, path, **{"pause_collection[behavior]": "void"})
    await refused(token)
    await post(system, path, pause_collection="")
    token = (await shown(system, user, made["id"], **wish))["preview_token"]
    await system.advance("61m")
    await refused(token)
    token = (await shown(system, user, made["id"], **wish))["preview_token"]
    assert (await get_price(system, user)) != better
    body = {"preview_token": token, "price": better}
    answer = await change(system, user, made["id"], body, key="at-last")
    assert (answer.status, answer.body["price"]) == (200, better), answer.body
    # The base is another one by now: the repeat is answered all the same.
    assert (await change(system, user, made["id"], body, key="at-last")).body == answer.body


async def get_price(system: System, user: str) -> str:
    (there,) = await at_stripe(system, user)
    return str(there["items"]["data"][0]["price"]["id"])


async def test_a_token_is_for_one_change_of_one_subscription(system: System) -> None:
    user, other, better = unique("token"), unique("other"), await plan(system, 5000)
    made, theirs = [await subscribed(system, who, await plan(system)) for who in (user, other)]
    token = (await shown(system, user, made["id"], price=better))["preview_token"]
    for body in (
        {"preview_token": token[:-2] + ("AA" if token[-2:] != "AA" else "BB")},
        {"preview_token": "W10.AAAA"},
        {"preview_token": "é"},
    ):
        answer = await change(system, user, made["id"], body)
        assert (answer.status, answer.code, answer.body["field"]) == (422, "INVALID_REQUEST", "preview_token"), body
    assert (await change(system, other, theirs["id"], {"preview_token": token})).body["field"] == "preview_token"
    for field, value in (("quantity", 5), ("price", await plan(system)), ("promotion_code", "ANY")):
        answer = await change(system, user, made["id"], {"preview_token": token, field: value})
        assert (answer.status, answer.body["field"]) == (422, field), answer.body


async def test_what_has_no_preview(system: System) -> None:
    user = unique("none")
    left = (await create(system, user, await plan(system))).body
    assert (await preview(system, user, left["id"])).code == "NO_UPCOMING_INVOICE"
    assert (await preview(system, user, left["id"], quantity=2)).code == "SUBSCRIPTION_INCOMPLETE"
    assert (await preview(system, user, left["id"], quantity=0)).status == 422
    await system.call("DELETE", f"{SUBSCRIPTIONS}/{left['id']}", {"when": "now"}, user=user)
    assert (await preview(system, user, left["id"])).code == "SUBSCRIPTION_ENDED"
