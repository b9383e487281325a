"""A renewal fails: grace, recovery, the end of grace, exhaustion; Stripe collects (DUNNING_MODE=stripe)."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from subscribers import DECLINES_LATER, Subscriber, make_price, subscriber
from system import EVERY_VERSION, System
from tallystick.core.clock import OffsetFile

LOST = "subscription_access_lost"
FAILED = "invoice_payment_failed"


async def failing(system: System, card: str = DECLINES_LATER, **price: Any) -> Subscriber:
    """A subscriber whose first renewal has just failed."""
    _, price_id = await make_price(system, **price)
    ann = await subscriber(system)
    await ann.subscribe(price_id)
    await ann.use_card(card)
    await ann.fail_renewal()
    return ann


async def first_failed_at(ann: Subscriber) -> datetime:
    return await ann.system.value(  # type: ignore[no-any-return]  # what a query answers has no type
        "SELECT min(first_failed_at) FROM invoices WHERE stripe_subscription_id = $1", ann.id
    )


async def shown(ann: Subscriber) -> Any:
    answer = await ann.system.call("GET", f"/api/subscriptions/{ann.id}", user=ann.user)
    assert answer.status == 200, answer.body
    return answer.body


async def test_grace_then_recovery_restores_everything(system: System) -> None:
    ann = await failing(system)
    ends = await first_failed_at(ann) + timedelta(days=3)
    assert await ann.access() == ("grace", ends)
    (mail,) = await ann.mails(FAILED)
    assert (mail["attempt"], datetime.fromisoformat(mail["access_until"])) == (1, ends)
    calendar = (await shown(ann))["dunning"]
    assert datetime.fromisoformat(calendar["access_until"]) == ends
    assert (calendar["attempts"], calendar["attempts_left"]) == (1, 3)
    assert calendar["next_payment_attempt"] == mail["next_attempt_at"]

    await ann.use_card("pm_card_visa")
    await ann.pay()
    assert await ann.access() == ("active", None)
    assert (await shown(ann))["dunning"] is None
    assert await ann.told() == ["granted"]
    assert await ann.mails(LOST) == []


@EVERY_VERSION
async def test_grace_ends_and_a_payment_gives_access_back_at_once(system: System) -> None:
    ann = await failing(system)
    ends = await first_failed_at(ann) + timedelta(days=3)
    await system.advance("3d")
    assert await ann.access() is None
    (mail,) = await ann.mails(LOST)
    assert (mail["reason"], datetime.fromisoformat(mail["lost_at"]), mail["amount_due"]) == ("grace_over", ends, 1000)
    assert mail["pay_url"]
    assert await ann.told() == ["granted", "lost"]

    await ann.use_card("pm_card_visa")
    await ann.pay()
    assert await ann.access() == ("active", None)
    assert await ann.told() == ["granted", "lost", "granted"]


@EVERY_VERSION
async def test_when_all_attempts_have_failed_stripe_ends_it(system: System) -> None:
    ann = await failing(system)
    await system.advance("20d")

    assert (await ann.status(), await ann.access()) == ("canceled", None)
    assert await ann.told() == ["granted", "lost"]
    assert [mail["attempt"] for mail in await ann.mails(FAILED)] == [1, 2, 3, 4]
    assert [mail["reason"] for mail in await ann.mails(LOST)] == ["grace_over"]
    assert [mail["reason"] for mail in await ann.mails("subscription_canceled")] == ["payment_failed"]
    assert await system.value("SELECT count(*) FROM attempts WHERE kind IN ('invoice.pay', 'subscription.cancel')") == 0


async def test_a_newer_invoice_does_not_bring_access_back(system: System) -> None:
    ann = await failing(system, interval="week")
    ends = await first_failed_at(ann) + timedelta(days=3)
    await system.advance("7d")

    assert len([invoice for invoice in await ann.invoices() if invoice["status"] == "open"]) == 2
    assert await ann.access() is None
    until = "SELECT access_until FROM access_grants g JOIN subscriptions s ON s.id = subscription_id WHERE {}"
    assert await system.value(until.format("stripe_subscription_id = $1"), ann.id) == ends
    assert await ann.told() == ["granted", "lost"]


async def test_a_failure_says_of_access_only_what_hangs_on_it(system: System) -> None:
    """In grace, after it, and where an old invoice fails again of what has been renewed since."""
    ann = await failing(system, interval="week")
    start = ann.renews_at
    await system.advance(to=start + timedelta(days=4))
    await ann.use_card("pm_card_visa")
    await system.advance(to=start + timedelta(days=7, hours=2))
    await ann.use_card(DECLINES_LATER)
    await system.advance(to=start + timedelta(days=9))
    assert (await ann.status(), await ann.access()) == ("active", ("active", None))
    ends = await first_failed_at(ann) + timedelta(days=3)
    said = [(mail["attempt"], mail["access_until"], mail["access_gone"]) for mail in await ann.mails(FAILED)]
    assert said == [(1, ends.isoformat().replace("+00:00", "Z"), False), (2, None, True), (3, None, False)]


async def test_paid_elsewhere_voided_and_written_off(system: System) -> None:
    _, price = await make_price(system)
    subscribers = [await subscriber(system) for _ in range(3)]
    for who in subscribers:
        await who.subscribe(price)
        await who.use_card(DECLINES_LATER)
    await subscribers[-1].fail_renewal()
    forms: dict[str, dict[str, str]] = {"pay": {"paid_out_of_band": "true"}, "void": {}, "mark_uncollectible": {}}
    for who, path in zip(subscribers, forms, strict=True):
        assert (await who.access() or ("",))[0] == "grace"
        newest = (await who.invoices())[0]
        await system.stripe(f"/v1/invoices/{newest['id']}/{path}", forms[path])
        await system.quiet()
        assert (await who.status(), await who.access()) == ("active", ("active", None))


async def test_while_stripe_is_away_access_lasts_an_hour_longer(system: System) -> None:
    ann = await failing(system)
    ends = await first_failed_at(ann) + timedelta(days=3)
    assert system.settings.clock_file is not None
    ahead, before = OffsetFile(system.settings.clock_file), OffsetFile(system.settings.clock_file).read()
    await system.fault(target="api", kind="status", method="GET", path="/v1/subscriptions/*", status=503, times=None)
    # Of the application alone: the sandbox does not go on while the application is not done.
    ahead.write(ends + timedelta(minutes=30) - system.clock.wall())
    await asked_in_vain(system)
    assert await ann.access() == ("grace", ends)
    assert await ann.told() == ["granted"]

    ahead.write(ends + timedelta(minutes=61) - system.clock.wall())
    assert await ann.access() is None
    await asked_in_vain(system)
    await system.quiet()
    assert await ann.told() == ["granted", "lost"]
    ahead.write(before)
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.advance("4d")
    assert await ann.told() == ["granted", "lost"]


async def asked_in_vain(system: System) -> None:
    """Wait until Stripe was asked (again), whatever came of it."""
    await system.fetch("UPDATE work SET not_before = '-infinity', attempts = 0 WHERE kind = 'subscription.access'")
    hits = await system.sandbox("GET", "/_sandbox/faults")
    before = hits["data"][0]["hits"]
    while (await system.sandbox("GET", "/_sandbox/faults"))["data"][0]["hits"] == before:
        await asyncio.sleep(0.02)


async def test_news_that_came_late_is_asked_for_before_access_is_taken(system: System) -> None:
    ann = await failing(system)
    await ann.use_card("pm_card_visa")
    await system.quiet()
    await system.fault(target="webhook", kind="drop", times=None)
    await ann.pay()
    await system.sandbox("DELETE", "/_sandbox/faults")
    found = await ann.access()
    assert found is not None
    assert found[0] == "grace"

    await system.advance("3d")
    assert await ann.access() == ("active", None)
    assert await ann.told() == ["granted"]
    assert await ann.mails(LOST) == []


async def test_news_in_any_order_and_any_number_tells_the_same(system: System) -> None:
    _, price = await make_price(system)
    ann = await subscriber(system)
    await system.fault(target="webhook", kind="duplicate", copies=3, times=None)
    await system.fault(target="webhook", kind="shuffle", window_s=20, times=None, seed=7)
    try:
        await ann.subscribe(price)
        await ann.use_card(DECLINES_LATER)
        await system.advance(to=ann.renews_at + timedelta(hours=2))
        ends = await first_failed_at(ann) + timedelta(days=3)
        assert await ann.access() == ("grace", ends)
        await system.advance("3d")
        assert await ann.access() is None
        await ann.use_card("pm_card_visa")
        await ann.pay()
        await system.advance("1m")
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")

    assert await ann.access() == ("active", None)
    assert await ann.told() == ["granted", "lost", "granted"]
    assert [len(await ann.mails(template)) for template in (LOST, FAILED)] == [1, 2]
