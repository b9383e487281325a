"""Changing a subscription: plan, quantity, card, code; paid at once or with the renewal; and what happens meanwhile."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from subscribing import (
    SECURE_CARD,
    SLOW_CARD,
    SUBSCRIPTIONS,
    at_stripe,
    change,
    create,
    delete,
    get,
    history,
    plan,
    post,
    preview,
    promotion_code,
    subscribed,
)
from system import A_VERSION, System, unique

pytestmark = A_VERSION

NOW = {"proration_behavior": "always_invoice"}


async def use_card(system: System, user: str, card: str) -> str:
    body = {"payment_method": card, "default": True}
    answer = await system.call("POST", "/api/customers/me/payment-methods", body, user=user)
    assert answer.status == 200, answer.body
    return str(answer.body["stripe_payment_method_id"])


async def latest_invoice(system: System, user: str) -> Any:
    (there,) = await at_stripe(system, user)
    return await system.stripe(f"/v1/invoices/{there['latest_invoice']}")


async def test_a_quantity_that_is_billed_with_the_renewal(system: System) -> None:
    user = unique("seats")
    made = await subscribed(system, user, await plan(system))
    answer = await change(system, user, made["id"], {"quantity": 3, "reason": "two more"}, key="seats")
    assert (answer.status, answer.body["quantity"]) == (200, 3), answer.body
    assert answer.body["latest_invoice_id"] == made["latest_invoice_id"]
    assert (
        await change(system, user, made["id"], {"quantity": 3, "reason": "two more"}, key="seats")
    ).body == answer.body
    items = await system.stripe(
        f"/v1/invoiceitems?customer={(await at_stripe(system, user))[0]['customer']}&pending=true"
    )
    assert sum(item["amount"] for item in items["data"]) in (1999, 2000)
    await system.quiet()
    rows = [row for row in await history(system, user, made["id"]) if row["action"] == "quantity_changed"]
    assert [(row["actor"], row["reason"], row["cause"]) for row in rows] == [(f"user:{user}", "two more", "api")]


async def test_an_upgrade_that_is_paid_now(system: System) -> None:
    user, better = unique("up"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system))
    answer = await change(system, user, made["id"], {"price": better, **NOW, "metadata": {"tier": "gold"}})
    assert (answer.status, answer.body["price"], answer.body["status"]) == (200, better, "active"), answer.body
    assert (answer.body["pending_update"], answer.body["metadata"]) == (None, {"tier": "gold"})
    invoice = await latest_invoice(system, user)
    assert (invoice["status"], invoice["billing_reason"]) == ("paid", "subscription_update")
    assert 3990 <= invoice["amount_paid"] <= 4000
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["price"], shown["metadata"]) == (better, {"tier": "gold"})
    told = await history(system, user, made["id"])
    assert [row["cause"] for row in told if row["action"] == "plan_changed"] == ["api"]


async def test_an_upgrade_that_is_not_paid_waits(system: System) -> None:
    user, better = unique("wait"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system))
    slow = {"price": better, "payment_method": SLOW_CARD, **NOW}
    answer = await change(system, user, made["id"], slow, key="slow")
    assert (answer.status, answer.code) == (402, "CARD_DECLINED"), answer.body
    shown = answer.body["subscription"]
    assert (shown["status"], shown["price"]) == ("active", made["price"])
    assert [(item["price"], item["quantity"]) for item in shown["pending_update"]["items"]] == [(better, 1)]
    assert (await change(system, user, made["id"], slow, key="slow")).body["subscription"] == shown
    # Another card, another try: it takes the place of the one that waits.
    again = await change(system, user, made["id"], {"price": better, "payment_method": "pm_card_visa", **NOW})
    assert (again.status, again.body["price"], again.body["pending_update"]) == (200, better, None), again.body
    await system.quiet()
    invoices = (await system.stripe(f"/v1/invoices?subscription={made['stripe_subscription_id']}"))["data"]
    assert sorted(invoice["status"] for invoice in invoices) == ["paid", "paid", "void"]


async def test_an_upgrade_that_the_bank_wants_confirmed(system: System) -> None:
    user, better = unique("bank"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system))
    body = {"price": better, "payment_method": SECURE_CARD, **NOW}
    answer = await change(system, user, made["id"], body, key="secure")
    assert (answer.status, answer.body["price"]) == (200, made["price"]), answer.body
    assert answer.body["pending_update"] is not None
    assert answer.body["next_action"] is not None
    assert (await change(system, user, made["id"], body, key="secure")).body == answer.body
    assert await system.authenticate(answer.body["client_secret"].partition("_secret_")[0]) == "succeeded"
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["price"], shown["pending_update"], shown["status"]) == (better, None, "active")


async def test_an_upgrade_whatever_becomes_of_its_payment(system: System) -> None:
    user, better = unique("force"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system))
    body = {"price": better, "payment_method": SLOW_CARD, "only_if_paid": False, **NOW}
    answer = await change(system, user, made["id"], body)
    assert (answer.status, answer.code) == (402, "CARD_DECLINED"), answer.body
    assert (answer.body["subscription"]["price"], answer.body["subscription"]["status"]) == (better, "past_due")


async def test_another_interval_begins_a_new_period_paid_now(system: System) -> None:
    user, yearly = unique("year"), await plan(system, 10000, interval="year")
    made = await subscribed(system, user, await plan(system))
    answer = await change(system, user, made["id"], {"price": yearly})
    assert (answer.status, answer.body["price"]) == (200, yearly), answer.body
    assert (await latest_invoice(system, user))["status"] == "paid"
    assert answer.body["current_period_end"][:4] > made["current_period_end"][:4]


async def test_a_change_in_a_trial_bills_nothing(system: System) -> None:
    user, better = unique("trial"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system), trial_period_days=10)
    answer = await change(system, user, made["id"], {"price": better, "quantity": 2, **NOW})
    assert (answer.status, answer.body["price"], answer.body["quantity"]) == (200, better, 2), answer.body
    assert (answer.body["status"], answer.body["trial_end"]) == ("trialing", made["trial_end"])
    assert (await latest_invoice(system, user))["total"] == 0


async def test_a_card_a_code_and_an_undone_cancellation(system: System) -> None:
    user, code = unique("mix"), unique("MIX")
    await promotion_code(system, code)
    made = await subscribed(system, user, await plan(system))
    await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", user=user)
    body = {"payment_method": "pm_card_mastercard", "promotion_code": code, "cancel_at_period_end": False}
    answer = await change(system, user, made["id"], body)
    assert answer.status == 200, answer.body
    assert (answer.body["cancel_at_period_end"], answer.body["cancel_at"], len(answer.body["discounts"])) == (
        False,
        None,
        1,
    )
    assert answer.body["default_payment_method"] != made["default_payment_method"]
    removed = await change(system, user, made["id"], {"promotion_code": None, "metadata": {"a": "b"}})
    assert (removed.body["discounts"], removed.body["metadata"]) == ([], {"a": "b"}), removed.body
    cleared = await change(system, user, made["id"], {"metadata": {"a": ""}})
    assert cleared.body["metadata"] == {}


async def test_a_code_and_a_change_that_is_billed_now_are_two_requests(system: System) -> None:
    user, code = unique("two"), unique("TWO")
    await promotion_code(system, code)
    made = await subscribed(system, user, await plan(system))
    answer = await change(system, user, made["id"], {"quantity": 2, "promotion_code": code, **NOW})
    assert (answer.status, answer.body["field"]) == (422, "promotion_code")


async def test_a_change_in_the_dashboard_that_was_not_heard_of(system: System) -> None:
    """Without a token, the change is made on what is there: the quantity that the dashboard gave stays."""
    user, better = unique("meanwhile"), await plan(system, 2000)
    made = await subscribed(system, user, await plan(system))
    await system.quiet()
    await system.fault(target="webhook", kind="delay", delay_s=2, type="customer.subscription.updated", times=1)
    item = {"items[0][id]": made["items"][0]["id"], "items[0][quantity]": 7}
    await post(system, f"/v1/subscriptions/{made['stripe_subscription_id']}", **item)
    answer = await change(system, user, made["id"], {"price": better})
    assert (answer.status, answer.body["quantity"], answer.body["price"]) == (200, 7, better), answer.body


async def test_two_changes_at_once(system: System) -> None:
    """One after the other, or one is told that the other is under way; the last one that was answered is what holds."""
    user = unique("both")
    made = await subscribed(system, user, await plan(system))
    await system.fault(target="api", kind="slow", method="POST", delay_s=0.3, times=1, path="/v1/subscriptions/*")
    answers = await asyncio.gather(*(change(system, user, made["id"], {"quantity": n}) for n in (2, 3, 4)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert {answer.code for answer in answers if answer.status == 409} <= {"OPERATION_IN_PROGRESS"}
    done = [answer.body["quantity"] for answer in answers if answer.status == 200]
    (there,) = await at_stripe(system, user)
    assert there["items"]["data"][0]["quantity"] in done
    await system.quiet()
    assert (await get(system, user, made["id"]))["quantity"] == there["items"]["data"][0]["quantity"]


async def test_what_cannot_be_changed(system: System) -> None:
    user, price = unique("no"), await plan(system)
    left = (await create(system, user, price)).body
    assert (await change(system, user, left["id"], {"quantity": 2})).code == "SUBSCRIPTION_INCOMPLETE"
    assert (await change(system, user, left["id"], {"metadata": {"a": "b"}})).status == 200
    await delete(system, f"/v1/subscriptions/{left['stripe_subscription_id']}")
    assert (await change(system, user, left["id"], {"metadata": {"a": "c"}})).code == "SUBSCRIPTION_ENDED"
    made = await subscribed(system, user, price)
    assert (await change(system, user, made["id"], {})).status == 422
    same = await change(system, user, made["id"], {"price": price})
    assert (same.status, "nothing to change" in same.body["detail"]) == (422, True)
    await post(system, "/v1/subscription_items", subscription=made["stripe_subscription_id"], price=await plan(system))
    several = await change(system, user, made["id"], {"quantity": 2})
    assert (several.status, several.code) == (409, "SUBSCRIPTION_HAS_SEVERAL_ITEMS")


async def test_a_change_in_the_dashboard_while_ours_is_in_flight(system: System) -> None:
    """Our answer comes after the news of what was done later: the later one holds, and both are history."""
    user = unique("flight")
    made = await subscribed(system, user, await plan(system))
    await system.quiet()
    path = f"/v1/subscriptions/{made['stripe_subscription_id']}"
    await system.fault(target="api", kind="slow", method="POST", when="after", delay_s=1.5, times=1, path=path)
    ours = asyncio.create_task(change(system, user, made["id"], {"quantity": 3}))
    while (await system.stripe(path))["items"]["data"][0]["quantity"] != 3:
        await asyncio.sleep(0.02)
    await post(system, path, **{"items[0][id]": made["items"][0]["id"], "items[0][quantity]": 9})
    assert (await ours).status == 200
    await system.quiet()
    assert (await get(system, user, made["id"]))["quantity"] == 9
    rows = [row for row in await history(system, user, made["id"]) if row["action"] == "quantity_changed"]
    assert sorted((row["new_values"]["items"][0]["quantity"], row["cause"]) for row in rows) == [
        (3, "api"),
        (9, "dashboard"),
    ]


async def test_a_renewal_that_failed_is_told_with_its_calendar(system: System) -> None:
    user, better = unique("owes"), await plan(system, 5000)
    made = await subscribed(system, user, await plan(system))
    body = {"price": better, "payment_method": SLOW_CARD, "only_if_paid": False, **NOW}
    assert (await change(system, user, made["id"], body)).status == 402
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["status"], shown["access"]["state"]) == ("past_due", "grace")
    assert shown["dunning"]["attempts"] == 1
    assert shown["dunning"]["amount_due"] > 3000
    assert shown["dunning"]["access_until"] == shown["access"]["until"]


async def test_what_is_overdue_is_paid_before_it_is_changed(system: System) -> None:
    """Stripe counts an unpaid period as paid: what a change credits for it would be money that nobody has paid."""
    user, weekly, cheap = unique("late"), await plan(system, 1000, interval="week"), await plan(system, 1000)
    made = await subscribed(system, user, await plan(system, 90000))
    assert (await change(system, user, made["id"], {"payment_method": SLOW_CARD})).status == 200
    await system.advance(to=datetime.fromisoformat(made["current_period_end"]) + timedelta(hours=2))
    await system.advance("4d")
    late = await get(system, user, made["id"])
    assert (late["status"], late["access"]["access"]) == ("past_due", False)
    for body in ({"price": weekly}, {"price": cheap, **NOW}, {"quantity": 2}, {"quantity": 2, "metadata": {"a": "b"}}):
        answer = await change(system, user, made["id"], body)
        assert (answer.status, answer.code) == (409, "SUBSCRIPTION_OVERDUE"), answer.body
        assert answer.body["latest_invoice_id"] == late["latest_invoice_id"]
    assert (await preview(system, user, made["id"], price=weekly)).code == "SUBSCRIPTION_OVERDUE"
    assert (await preview(system, user, made["id"])).status == 200
    (there,) = await at_stripe(system, user)
    assert (await system.stripe(f"/v1/customers/{there['customer']}"))["balance"] == 0
    assert (await get(system, user, made["id"]))["access"] == late["access"]

    for allowed in ({"metadata": {"a": "b"}}, {"payment_method": "pm_card_visa"}):
        assert (await change(system, user, made["id"], allowed)).status == 200
    paid = await system.call("POST", f"/api/invoices/{late['latest_invoice_id']}/pay", {}, user=user)
    assert paid.status == 200, paid.body
    await system.quiet()
    assert (await get(system, user, made["id"]))["access"]["access"]
    assert (await change(system, user, made["id"], {"price": weekly})).status == 200


async def test_what_is_overdue_may_change_with_its_renewal(system: System) -> None:
    """That counts no unused time, so it credits nothing."""
    user, cheap = unique("late"), await plan(system, 1000)
    made = await subscribed(system, user, await plan(system, 90000))
    assert (await change(system, user, made["id"], {"payment_method": SLOW_CARD})).status == 200
    await system.advance(to=datetime.fromisoformat(made["current_period_end"]) + timedelta(hours=2))
    later = {"price": cheap, "when": "period_end"}
    shown = await preview(system, user, made["id"], **later)
    assert (shown.status, shown.body["due_at_renewal"]["amount"]) == (200, 1000), shown.body
    answer = await change(system, user, made["id"], later)
    assert (answer.status, answer.body["status"]) == (200, "past_due"), answer.body
    assert (await change(system, user, made["id"], {"payment_method": "pm_card_visa"})).status == 200
    await system.advance(to=datetime.fromisoformat(answer.body["current_period_end"]) + timedelta(hours=2))
    (there,) = await at_stripe(system, user)
    bills = (await system.stripe(f"/v1/invoices?subscription={there['id']}"))["data"]
    assert [(bill["total"], bill["amount_due"]) for bill in bills] == [(1000, 1000), (90000, 90000), (90000, 90000)]
    assert (await system.stripe(f"/v1/customers/{there['customer']}"))["balance"] == 0
