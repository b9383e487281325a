"""Canceling, pausing and resuming: now, later, twice, too late, and what the dashboard does beside it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from subscribing import (
    SLOW_CARD,
    SUBSCRIPTIONS,
    at_stripe,
    create,
    delete,
    get,
    history,
    plan,
    post,
    subscribed,
)
from system import A_VERSION, Answer, System, unique

pytestmark = A_VERSION

TO_PAUSE = {"trial_settings[end_behavior][missing_payment_method]": "pause"}


async def cancel(system: System, user: str, subscription: str, key: str | None = None, **body: Any) -> Answer:
    return await system.call("DELETE", f"{SUBSCRIPTIONS}/{subscription}", body or None, user=user, key=key)


async def pause(system: System, user: str, subscription: str, **body: Any) -> Answer:
    return await system.call("POST", f"{SUBSCRIPTIONS}/{subscription}/pause", body or None, user=user)


async def resume(system: System, user: str, subscription: str, key: str | None = None) -> Answer:
    return await system.call("POST", f"{SUBSCRIPTIONS}/{subscription}/resume", user=user, key=key)


async def paused_by_its_trial(system: System, user: str) -> Any:
    """A subscription whose trial ended without a card, in Stripe's status `paused`."""
    made = (await create(system, user, await plan(system), trial_period_days=10)).body
    path = f"/v1/subscriptions/{made['stripe_subscription_id']}"
    await post(system, path, **TO_PAUSE)
    assert (await post(system, path, trial_end="now"))["status"] == "paused"
    await system.quiet()
    assert (await get(system, user, made["id"]))["status"] == "paused"
    return made


async def test_at_the_end_of_the_period(system: System) -> None:
    user = unique("later")
    made = await subscribed(system, user, await plan(system))
    answer = await cancel(system, user, made["id"], key="c", reason="too_expensive", comment="see you in May")
    body = answer.body
    assert (answer.status, body["status"], body["cancel_at_period_end"]) == (200, "active", True), body
    assert body["cancel_at"] == made["current_period_end"]
    assert body["cancellation"] == {
        "reason": "cancellation_requested", "feedback": "too_expensive", "comment": "see you in May",
    }  # fmt: skip
    repeated = await cancel(system, user, made["id"], key="c", reason="too_expensive", comment="see you in May")
    assert repeated.body == body
    again = await cancel(system, user, made["id"])
    assert (again.status, again.code, again.body["cancel_at"]) == (409, "ALREADY_CANCELED", body["cancel_at"])
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["access"]["access"], shown["access"]["until"]) == (True, made["current_period_end"])
    rows = [row for row in await history(system, user, made["id"]) if row["action"] == "cancel_scheduled"]
    assert [(row["actor"], row["reason"]) for row in rows] == [(f"user:{user}", "see you in May")]
    at_once = await cancel(system, user, made["id"], when="now")
    assert (at_once.status, at_once.body["status"]) == (200, "canceled"), at_once.body


async def test_now(system: System) -> None:
    user, price = unique("now"), await plan(system)
    made = await subscribed(system, user, price)
    answer = await cancel(system, user, made["id"], key="n", when="now", reason="unused")
    assert (answer.status, answer.body["status"], answer.body["cancellation"]["feedback"]) == (
        200,
        "canceled",
        "unused",
    )
    assert (await cancel(system, user, made["id"], key="n", when="now", reason="unused")).body == answer.body
    for when in ("now", "period_end"):
        again = await cancel(system, user, made["id"], when=when)
        assert (again.status, again.code, again.body["ended_at"]) == (409, "ALREADY_CANCELED", answer.body["ended_at"])
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["status"], shown["access"]["access"]) == ("canceled", False)
    rows = [row for row in await history(system, user, made["id"]) if row["action"] == "canceled"]
    assert [(row["actor"], row["reason"], row["cause"]) for row in rows] == [(f"user:{user}", "unused", "api")]
    for path in ("pause", "resume"):
        ended = await system.call("POST", f"{SUBSCRIPTIONS}/{made['id']}/{path}", user=user)
        assert (ended.status, ended.code) == (409, "SUBSCRIPTION_ENDED")
    assert (await subscribed(system, user, price))["id"] != made["id"]


async def test_one_that_has_not_begun(system: System) -> None:
    user = unique("begin")
    made = (await create(system, user, await plan(system))).body
    later = await cancel(system, user, made["id"])
    assert (later.status, later.code) == (409, "NOT_CANCELABLE")
    answer = await cancel(system, user, made["id"], when="now")
    assert (answer.status, answer.body["status"]) == (200, "canceled"), answer.body
    assert (await system.stripe(f"/v1/invoices/{made['latest_invoice_id']}"))["status"] == "void"


async def test_what_the_dashboard_canceled_unheard(system: System) -> None:
    user = unique("unheard")
    made = await subscribed(system, user, await plan(system))
    await system.quiet()
    await system.fault(target="webhook", kind="delay", delay_s=1, type="customer.subscription.deleted", times=1)
    await delete(system, f"/v1/subscriptions/{made['stripe_subscription_id']}")
    answer = await cancel(system, user, made["id"], when="now")
    assert (answer.status, answer.body["status"]) == (200, "canceled"), answer.body


async def test_a_schedule_that_the_dashboard_undid_unheard(system: System) -> None:
    """Our record says it is to end: Stripe is asked before that is an answer."""
    user = unique("undone")
    made = await subscribed(system, user, await plan(system))
    await cancel(system, user, made["id"])
    await system.quiet()
    await system.fault(target="webhook", kind="delay", delay_s=1, type="customer.subscription.updated", times=1)
    await post(system, f"/v1/subscriptions/{made['stripe_subscription_id']}", cancel_at_period_end="false")
    answer = await cancel(system, user, made["id"])
    assert (answer.status, answer.body["cancel_at_period_end"]) == (200, True), answer.body


async def test_a_pause_and_its_end(system: System) -> None:
    user = unique("pause")
    made = await subscribed(system, user, await plan(system))
    until = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0)
    answer = await pause(system, user, made["id"], resumes_at=until.isoformat(), reason="holiday")
    assert (answer.status, answer.body["status"]) == (200, "active"), answer.body
    shown = answer.body["pause_collection"]
    assert (shown["behavior"], datetime.fromisoformat(shown["resumes_at"])) == ("void", until)
    again = await pause(system, user, made["id"])
    assert (again.status, again.code) == (409, "ALREADY_PAUSED")
    await system.quiet()
    assert (await get(system, user, made["id"]))["access"]["access"] is False
    resumed = await resume(system, user, made["id"])
    assert (resumed.status, resumed.body["pause_collection"]) == (200, None), resumed.body
    twice = await resume(system, user, made["id"])
    assert (twice.status, twice.code) == (409, "NOT_PAUSED")
    await system.quiet()
    assert (await get(system, user, made["id"]))["access"]["access"] is True
    rows = {(row["action"], row["reason"]) for row in await history(system, user, made["id"])}
    assert {("paused", "holiday"), ("resumed", None)} <= rows


async def test_pauses_that_cannot_be(system: System) -> None:
    user, price = unique("nopause"), await plan(system)
    left = (await create(system, user, price)).body
    assert (await pause(system, user, left["id"])).code == "SUBSCRIPTION_INCOMPLETE"
    made = await subscribed(system, user, price)
    past = await pause(system, user, made["id"], resumes_at="2020-01-01T00:00:00Z")
    assert (past.status, past.code, past.body["field"]) == (422, "INVALID_REQUEST", "resumes_at")
    naive = await pause(system, user, made["id"], resumes_at="2099-01-01T00:00:00")
    assert (naive.status, naive.body["field"]) == (422, "resumes_at")


async def test_out_of_the_status_paused(system: System) -> None:
    """Stripe's own way: a period begins, and is paid; until it is, the subscription stays paused."""
    user = unique("status")
    made = await paused_by_its_trial(system, user)
    assert (await pause(system, user, made["id"])).code == "ALREADY_PAUSED"
    without = await resume(system, user, made["id"], key="r")
    assert (without.status, without.body["status"]) == (200, "paused"), without.body
    assert without.body["client_secret"].startswith("pi_")
    assert (await resume(system, user, made["id"], key="r")).body == without.body
    intent = without.body["client_secret"].partition("_secret_")[0]
    card = await system.card("4242424242424242")
    await post(system, f"/v1/payment_intents/{intent}/confirm", payment_method=card)
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["status"], shown["access"]["access"]) == ("active", True)


async def test_out_of_the_status_paused_with_a_card(system: System) -> None:
    for card, status in (("pm_card_visa", 200), (SLOW_CARD, 402)):
        user = unique("card")
        made = await paused_by_its_trial(system, user)
        body = {"payment_method": card, "default": True}
        await system.call("POST", "/api/customers/me/payment-methods", body, user=user)
        answer = await resume(system, user, made["id"])
        assert answer.status == status, answer.body
        (there,) = await at_stripe(system, user)
        shown = answer.body if status == 200 else answer.body["subscription"]
        assert shown["status"] == there["status"]
        assert (there["status"] == "active") == (status == 200)
