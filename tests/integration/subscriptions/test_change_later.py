"""A change of plan or quantity that waits for the end of the period: scheduled, shown, taken back, made."""

import asyncio

from subscribing import (
    SUBSCRIPTIONS,
    at_stripe,
    change,
    create,
    get,
    history,
    plan,
    post,
    preview,
    promotion_code,
    subscribed,
)
from system import A_VERSION, Answer, System, unique

pytestmark = A_VERSION

LATER = {"when": "period_end"}


async def take_back(system: System, user: str, subscription: str, key: str | None = None) -> Answer:
    return await system.call("DELETE", f"{SUBSCRIPTIONS}/{subscription}/scheduled-change", user=user, key=key)


async def newest_total(system: System, user: str) -> int:
    (there,) = await at_stripe(system, user)
    total: int = (await system.stripe(f"/v1/invoices/{there['latest_invoice']}"))["total"]
    return total


async def test_a_downgrade_is_shown_made_and_out_of_the_way(system: System) -> None:
    user, gold, silver = unique("later"), await plan(system, 3000), await plan(system, 1000)
    made = await subscribed(system, user, gold)
    shown = (await preview(system, user, made["id"], price=silver, quantity=2, when="period_end")).body
    assert (shown["due_now"], shown["due_at_renewal"]["amount"]) == (None, 2000)
    assert shown["due_at_renewal"]["at"] == made["current_period_end"]
    body = {"price": silver, "quantity": 2, "reason": "fewer of us", **LATER}
    answer = await change(system, user, made["id"], body, key="later")
    assert (answer.status, answer.body["price"]) == (200, gold), answer.body
    assert (await change(system, user, made["id"], body, key="later")).body == answer.body
    waiting = (await get(system, user, made["id"]))["scheduled_change"]
    assert waiting == {"at": made["current_period_end"], "items": [{"price": silver, "quantity": 2}]}
    assert (await preview(system, user, made["id"])).body["total"] == 2000
    for refused in ({"quantity": 5}, {"price": silver}):
        assert (await change(system, user, made["id"], refused)).code == "CHANGE_SCHEDULED"
        # Stripe would preview what is scheduled, not this.
        for when in ("now", "period_end"):
            assert (await preview(system, user, made["id"], when=when, **refused)).code == "CHANGE_SCHEDULED"
    cancel = await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", user=user)
    assert cancel.code == "CHANGE_SCHEDULED"
    await system.advance("32d")
    now = await get(system, user, made["id"])
    assert (now["price"], now["quantity"], now["scheduled_change"], now["status"]) == (silver, 2, None, "active")
    assert await newest_total(system, user) == 2000
    (there,) = await at_stripe(system, user)
    assert there["schedule"] is None
    assert (await change(system, user, made["id"], {"quantity": 3})).status == 200
    told = [row for row in await history(system, user, made["id"]) if row["action"] == "plan_changed"]
    assert len(told) == 1
    assert await system.value("SELECT count(*) FROM subscription_schedules WHERE status = 'released'") >= 1


async def test_it_is_replaced_and_taken_back(system: System) -> None:
    user, gold, silver = unique("later"), await plan(system, 3000), await plan(system, 1000)
    made = await subscribed(system, user, gold)
    assert (await take_back(system, user, made["id"])).code == "NOTHING_SCHEDULED"
    assert (await change(system, user, made["id"], {"price": silver, **LATER})).status == 200
    assert (await change(system, user, made["id"], {"quantity": 4, **LATER})).status == 200
    waiting = (await get(system, user, made["id"]))["scheduled_change"]
    assert waiting["items"] == [{"price": gold, "quantity": 4}]
    back = await take_back(system, user, made["id"], key="back")
    assert back.status == 200, back.body
    assert (await take_back(system, user, made["id"], key="back")).body == back.body
    assert (await get(system, user, made["id"]))["scheduled_change"] is None
    await system.advance("32d")
    now = await get(system, user, made["id"])
    assert (now["price"], now["quantity"]) == (gold, 1)
    assert await newest_total(system, user) == 3000


async def test_an_interval_changes_with_the_renewal_and_a_discount_stays(system: System) -> None:
    user, monthly = unique("later"), await plan(system, 1000)
    yearly = await plan(system, 9000, interval="year")
    code = unique("QUARTER")
    await promotion_code(system, code)
    made = await subscribed(system, user, monthly, promotion_code=code)
    shown = (await preview(system, user, made["id"], price=yearly, when="period_end")).body
    assert (shown["due_now"], shown["due_at_renewal"]["amount"]) == (None, 6750)
    assert (await change(system, user, made["id"], {"price": yearly, **LATER})).status == 200
    await system.advance("40d")
    assert (await get(system, user, made["id"]))["price"] == yearly
    assert await newest_total(system, user) == 6750


async def test_a_trial_ends_in_the_other_plan(system: System) -> None:
    user, gold, silver = unique("later"), await plan(system, 3000), await plan(system, 1000)
    made = await subscribed(system, user, gold, trial_period_days=7)
    # Twice: a schedule that is there is changed otherwise than one that is made.
    for later in ({"quantity": 5}, {"price": silver, "quantity": 1}):
        assert (await change(system, user, made["id"], {**later, **LATER})).status == 200
        trying = await get(system, user, made["id"])
        assert (trying["status"], trying["trial_end"]) == ("trialing", made["trial_end"])
        (there,) = await at_stripe(system, user)
        schedule = await system.stripe(f"/v1/subscription_schedules/{there['schedule']}")
        assert [phase["trial_end"] for phase in schedule["phases"]] == [there["trial_end"], None]
    await system.advance("8d")
    assert (await get(system, user, made["id"]))["price"] == silver
    assert await newest_total(system, user) == 1000


async def test_one_that_ends_or_is_changed_in_the_dashboard(system: System) -> None:
    user, gold, silver = unique("later"), await plan(system, 3000), await plan(system, 1000)
    made = await subscribed(system, user, gold)
    assert (await change(system, user, made["id"], {"price": silver, **LATER})).status == 200
    (there,) = await at_stripe(system, user)
    await post(system, f"/v1/subscription_schedules/{there['schedule']}/release")
    await system.quiet()
    assert (await get(system, user, made["id"]))["scheduled_change"] is None
    assert (await change(system, user, made["id"], {"price": silver, **LATER})).status == 200
    now = await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", {"when": "now"}, user=user)
    assert (now.status, now.body["status"]) == (200, "canceled")
    await system.quiet()
    assert (await get(system, user, made["id"]))["scheduled_change"] is None


async def test_bad_input(system: System) -> None:
    user, price = unique("later"), await plan(system)
    left = (await create(system, user, price)).body
    assert (await change(system, user, left["id"], {"quantity": 2, **LATER})).code == "SUBSCRIPTION_INCOMPLETE"
    user = unique("later")
    made = await subscribed(system, user, price)
    for body, code in (
        ({}, "INVALID_REQUEST"),
        ({"price": price}, "INVALID_REQUEST"),
        ({"price": await plan(system, currency="eur")}, "PRICE_NOT_USABLE"),
        ({"quantity": 2, "payment_method": "pm_card_visa"}, "INVALID_REQUEST"),
        ({"quantity": 2, "proration_behavior": "none"}, "INVALID_REQUEST"),
        ({"quantity": 0}, "INVALID_REQUEST"),
    ):
        answer = await change(system, user, made["id"], {**body, **LATER})
        assert (answer.status, answer.code) == (422, code), (body, answer.body)
    await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", user=user)
    assert (await change(system, user, made["id"], {"quantity": 2, **LATER})).code == "ALREADY_CANCELED"
    other = unique("other")
    assert (await take_back(system, other, made["id"])).status == 404


async def test_lines_that_are_cut_make_one_schedule(system: System) -> None:
    user, gold, silver = unique("later"), await plan(system, 3000), await plan(system, 1000)
    made = await subscribed(system, user, gold)
    await system.fault(
        target="api", kind="cut", method="POST", path="/v1/subscription_schedules*", when="after", times=2
    )
    answer = await change(system, user, made["id"], {"price": silver, **LATER})
    assert answer.status == 200, answer.body
    (there,) = await at_stripe(system, user)
    listed = await system.stripe(f"/v1/subscription_schedules?customer={there['customer']}")
    assert len(listed["data"]) == 1
    assert len(listed["data"][0]["phases"]) == 2


async def test_a_schedule_that_is_given_something_new_is_not_let_go_of(system: System) -> None:
    """The release of one that was done is late: Stripe has no room for it, and the customer is quicker."""
    user, gold, silver = unique("later"), await plan(system, 3000), await plan(system, 1000)
    made = await subscribed(system, user, gold)
    assert (await change(system, user, made["id"], {"price": silver, **LATER})).status == 200
    full = {"target": "api", "kind": "status", "status": 429, "method": "POST", "times": None}
    await system.fault(path="/v1/subscription_schedules/*/release", **full)
    move = {"by": "32d", "timeout_s": 2}
    async with system.http.post(f"{system.sandbox_url}/_sandbox/clock/advance", json=move) as response:
        assert "subscription.release" in await response.text()
    (there,) = await at_stripe(system, user)
    assert there["schedule"] is not None
    # The clock did not wait for the release, so it did not wait for the renewal's events either.
    for _ in range(200):
        if (await get(system, user, made["id"]))["price"] == silver:
            break
        await asyncio.sleep(0.05)
    assert (await get(system, user, made["id"]))["price"] == silver
    answer = await change(system, user, made["id"], {"quantity": 7, **LATER})
    for _ in range(50):
        if answer.status != 409:
            break
        answer = await change(system, user, made["id"], {"quantity": 7, **LATER})
    assert answer.status == 200, answer.body
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet(60)
    waiting = (await get(system, user, made["id"]))["scheduled_change"]
    assert waiting["items"] == [{"price": silver, "quantity": 7}]
