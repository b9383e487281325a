"""An attempt of which nobody knows for ten minutes is never sent again, only looked for: found, or at last given up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.world import stop_deliveries
from simulation.writes import (
    PAYMENTS,
    Write,
    break_line,
    ended,
    hurry,
    mend,
    posts,
    prepared,
    repeat_until_final,
    writes,
)
from system import MakeDatabase, System, running_system, unique
from tallystick.core.clock import SharedClock
from tallystick.core.points import Point, listening

_ABLE = {"confirm": "CONFIRMABLE", "capture": "CAPTURABLE", "cancel": "CANCELABLE"}


@pytest_asyncio.fixture
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """Its worker starts when the attempts are old enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallystick.attempts.service._POLL_S", 0.1)
        async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="1") as running:
            yield running


async def leave_unknown(system: System, sent: list[Write], when: str) -> list[int]:
    """Send over a broken line, let a quarter of an hour pass, and mend it; how many POSTs Stripe has seen of each."""
    for write in sent:
        await break_line(system, write, when, "cut")
        assert (await write.send(system)).status == 202, write.name
    await mend(system)
    await system.fetch(
        """
        UPDATE attempts SET sent_at = sent_at - interval '15 minutes', lease_until = now() - interval '1 second'
        WHERE state = 'unknown'
        """
    )
    return [await posts(system, write) for write in sent]


async def assert_true(system: System) -> None:
    await system.quiet(60)
    assert_same(
        await mirror_rows(system.database_url), await stripe_rows(system.stripe, system.settings.installation_id)
    )


@pytest.mark.parametrize("told", [True, False], ids=["by event", "by list"])
async def test_found(system: System, *, told: bool) -> None:
    if not told:
        await stop_deliveries(system)
    sent = await writes(system)
    seen = await leave_unknown(system, sent, "after")
    system.start_worker()
    await system.quiet(60)
    for write, count in zip(sent, seen, strict=True):
        answer = await write.send(system)
        assert (answer.status, await ended(system, write)) == (201 if write.name == "create" else 200, "succeeded")
        assert await write.effects(system) == 1, write.name
        assert await posts(system, write) == count, f"{write.name} was sent again"
    if told:
        await assert_true(system)


async def test_a_decline_is_found(system: System) -> None:
    declined = {"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}
    sent = [await prepared(system, name, **declined) for name in ("create", "confirm")]
    seen = await leave_unknown(system, sent, "after")
    system.start_worker()
    await system.quiet(60)
    for write, count in zip(sent, seen, strict=True):
        answer = await write.send(system)
        assert (answer.status, answer.body.get("code")) == (402, "INSUFFICIENT_FUNDS"), (write.name, answer)
        assert await ended(system, write) == "declined"
        assert await posts(system, write) == count
    await assert_true(system)


async def test_not_found(system: System) -> None:
    """Given up for good: never sent again, and what it held is free for another try."""
    sent = await writes(system)
    seen = await leave_unknown(system, sent, "before")
    system.start_worker()
    await system.quiet(60)
    for write, count in zip(sent, seen, strict=True):
        for _ in range(2):
            answer = await write.send(system)
            assert (answer.status, answer.body["code"]) == (409, "ATTEMPT_ABANDONED"), write.name
        assert await ended(system, write) == "abandoned"
        assert await write.effects(system) == 0, write.name
        assert await posts(system, write) == count, f"{write.name} was sent again"
    for write in sent:
        another = Write(**{**vars(write), "key": unique("another")})
        answer = await another.send(system)
        assert answer.status in (200, 201), (write.name, answer)
        assert await write.effects(system) == 1, write.name
    await system.quiet(60)
    # Of the abandoned payment and refund Stripe knows nothing; all others are equal.
    await system.fetch("DELETE FROM attempts WHERE state = 'abandoned'")
    await system.fetch("DELETE FROM refunds WHERE status = 'abandoned'")
    await system.fetch("DELETE FROM payments WHERE status = 'abandoned'")
    await assert_true(system)


async def test_a_payment_that_was_given_up_is_not_in_progress_for_ever(system: System) -> None:
    """Neither for who wants to do something with it, nor for a repeat when the answer is forgotten. (Seed 17.)"""
    write = await prepared(system, "create")
    await leave_unknown(system, [write], "before")
    system.start_worker()
    await system.quiet(60)
    row = await system.value("SELECT id FROM payments WHERE status = 'abandoned'")
    for action in ("confirm", "capture", "cancel"):
        body = {"payment_method": "pm_card_visa"} if action == "confirm" else {}
        answer = await system.call("POST", f"{PAYMENTS}/{row}/{action}", body, user=write.user)
        assert (answer.status, answer.code) == (409, f"PAYMENT_NOT_{_ABLE[action]}"), answer.body
    await system.fetch("DELETE FROM idempotency_keys WHERE key = $1", write.key)
    answer = await write.send(system)
    assert (answer.status, answer.code) == (409, "IDEMPOTENCY_KEY_EXPIRED"), answer.body


async def test_an_abandoned_payment_reaches_stripe_after_all(system: System) -> None:
    """It hung somewhere on the way for longer than anybody waits: the record follows Stripe, the key does not."""
    write = await prepared(system, "create")
    await leave_unknown(system, [write], "before")
    system.start_worker()
    await system.quiet(60)
    row = (await system.fetch("SELECT id, stripe_customer_id FROM payments WHERE status = 'abandoned'"))[0]
    form: dict[str, Any] = {
        "amount": "4200", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "customer": row["stripe_customer_id"], "return_url": "https://shop.test/",
        "metadata[tallystick_user]": write.user,
        "metadata[tallystick_installation]": system.settings.installation_id,
        "metadata[tallystick_payment]": str(row["id"]), "automatic_payment_methods[enabled]": "true",
    }  # fmt: skip
    assert (await system.stripe("/v1/payment_intents", form))["status"] == "succeeded"
    await assert_true(system)
    assert (await system.get(str(row["id"]), user=write.user))["status"] == "succeeded"
    assert [mail.subject for mail in system.mails_to(write.user)] != []
    assert (await write.send(system)).code == "ATTEMPT_ABANDONED"
    history = await system.call("GET", f"{PAYMENTS.rsplit('/', 1)[0]}/history", user=write.user)
    assert sorted(payment["amount"] for payment in history.body["data"]) == [900, 4200]


async def test_a_replayed_answer_is_an_old_state(system: System) -> None:
    """Repeated by its key, a capture answers what was; what has happened to the charge since stays true."""
    write = await prepared(system, "capture")
    await break_line(system, write, "after", "cut")
    assert (await write.send(system)).status == 202
    await mend(system)
    assert write.intent is not None
    refund = await system.stripe("/v1/refunds", {"payment_intent": write.intent, "amount": "1500"})
    assert refund["status"] == "succeeded"
    system.start_worker()
    await assert_true(system)
    assert await ended(system, write) == "succeeded"
    refunded = await system.value(
        "SELECT amount_refunded::bigint FROM charges WHERE stripe_payment_intent_id = $1", write.intent
    )
    assert refunded == 1500


async def test_an_attempt_that_this_version_does_not_know(system: System) -> None:
    """Left by a newer version of the program, it waits; the worker goes on with all the others."""
    known, strange = await prepared(system, "create"), await prepared(system, "refund")
    for write in (known, strange):
        await break_line(system, write, "before", "cut")
        assert (await write.send(system)).status == 202
    await mend(system)
    await system.fetch("UPDATE attempts SET kind = 'teapot.create' WHERE kind = 'refund.create'")
    await hurry(system)
    system.start_worker()
    final = await repeat_until_final(system, known)
    assert (final.status, final.body["status"]) == (201, "succeeded")
    assert await ended(system, strange) == "unknown"
    await system.fetch("UPDATE attempts SET kind = 'refund.create' WHERE kind = 'teapot.create'")
    assert (await repeat_until_final(system, strange)).status == 200
    await assert_true(system)


async def test_whoever_stood_still_for_a_day_on_the_way_to_the_line_does_not_send(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused machine looks at its write's age, sleeps, and wakes when Stripe has forgotten the key."""
    wall = SharedClock.wall

    async def asleep(point: Point) -> None:
        if point == "stripe.before":
            monkeypatch.setattr(SharedClock, "wall", lambda clock: wall(clock) + timedelta(hours=25))

    write = await prepared(system, "create")
    before = await posts(system, write)
    with listening(asleep):
        assert (await write.send(system)).status == 202
    monkeypatch.undo()
    assert await write.effects(system) == 0
    assert await posts(system, write) == before


async def test_nobody_gives_up_what_may_still_leave(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sender stands still for twelve minutes just before the line; another finds nothing at Stripe meanwhile."""
    write, wall, stood = await prepared(system, "create"), SharedClock.wall, False
    before = await posts(system, write)

    async def stand_still(point: Point) -> None:
        nonlocal stood
        if stood or point != "stripe.before":
            return
        stood = True
        monkeypatch.setattr(SharedClock, "wall", lambda clock: wall(clock) + timedelta(minutes=12))
        await hurry(system)
        system.start_worker()
        async with asyncio.timeout(20):
            while await system.value("SELECT count(*) FROM attempts WHERE looks > 0 AND state <> 'succeeded'") == 0:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        await system.stop_workers()

    with listening(stand_still):
        answer = await write.send(system)
    assert (answer.status, await ended(system, write)) == (202, "unknown")
    assert (await write.effects(system), await posts(system, write)) == (0, before)
    monkeypatch.setattr(SharedClock, "wall", lambda clock: wall(clock) + timedelta(minutes=15))
    await hurry(system)
    system.start_worker()
    assert (await repeat_until_final(system, write)).code == "ATTEMPT_ABANDONED"
    assert await write.effects(system) == 0


async def test_whoever_was_overtaken_on_the_way_does_not_say_that_nothing_happened(system: System) -> None:
    """While one stands still for longer than its lease, another sends the same and never hears how it ended."""
    write = await prepared(system, "create")
    overtaken = False

    async def stand_still(point: Point) -> None:
        nonlocal overtaken
        if overtaken or point != "stripe.before":
            return
        overtaken = True
        await break_line(system, write, "after", "cut")
        await hurry(system)
        system.start_worker()
        async with asyncio.timeout(60):
            while await system.value("SELECT count(*) FROM attempts WHERE state = 'unknown' AND looks > 0") == 0:
                await asyncio.sleep(0.05)
        await system.stop_workers()
        await mend(system)
        await break_line(system, write, "before", "429")

    with listening(stand_still):
        answer = await write.send(system)
    assert (answer.status, answer.body["attempt"]["state"]) == (202, "unknown"), answer
    await mend(system)
    system.start_worker()
    assert (await repeat_until_final(system, write)).status == 201
    assert await write.effects(system) == 1
    await assert_true(system)
