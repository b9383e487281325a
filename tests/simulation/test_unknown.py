"""A line that breaks before or after Stripe acted: an honest answer, one effect at most, a true record in the end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from simulation.writes import (
    FAULTS,
    PAY,
    PAYMENTS,
    Write,
    assert_quiet_and_true,
    assert_settled,
    break_line,
    mend,
    prepared,
    repeat_until_final,
    writes,
)
from system import LONG, MakeDatabase, System, running_system, unique


@pytest_asyncio.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallystick.attempts.service._POLL_S", 0.1)
        async with running_system(await make_database(), STRIPE_TIMEOUT_S="1") as running:
            yield running


@pytest.mark.parametrize(
    ("fault", "when"),
    # A limit on rates is checked before anything is done: there is no 429 after the effect.
    [
        (fault, when)
        for fault in FAULTS
        for when in ("before", "after")
        if (fault, when) != ("429", "after")
        and (LONG or (fault, when) in (("429", "before"), ("cut", "after"), ("hang", "after")))
    ],
)
async def test_a_line_that_stays_broken_for_a_while(system: System, fault: str, when: str) -> None:
    sent = await writes(system)
    for write in sent:
        await break_line(system, write, when, fault)
    answers = await asyncio.gather(*(write.send(system) for write in sent))
    for write, answer in zip(sent, answers, strict=True):
        if fault == "429":
            # Stripe refused before it began: nothing hangs in the air.
            assert (answer.status, answer.body["code"]) == (503, "SERVICE_UNAVAILABLE"), write.name
            assert "Retry-After" in answer.headers
        else:
            assert (answer.status, answer.body["attempt"]["state"]) == (202, "unknown"), (write.name, answer)
            repeated = await write.send(system)
            assert (repeated.status, repeated.body["attempt"]) == (202, answer.body["attempt"]), write.name
        assert await write.effects(system) == (when == "after"), write.name
    await mend(system)
    finals = await asyncio.gather(*(repeat_until_final(system, write) for write in sent))
    for write, final in zip(sent, finals, strict=True):
        await assert_settled(system, write, final)
    await assert_quiet_and_true(system)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_line_that_breaks_once(system: System, when: str) -> None:
    """The gateway tries again by itself; nobody notices."""
    for fault in ("cut", "500", "garbage"):
        sent = await writes(system)
        for write in sent:
            await break_line(system, write, when, fault, times=1)
        answers = await asyncio.gather(*(write.send(system) for write in sent))
        for write, answer in zip(sent, answers, strict=True):
            await assert_settled(system, write, answer)
    await assert_quiet_and_true(system)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_nobody_asks_again(system: System, when: str) -> None:
    """The client is gone for good: the worker finds out alone."""
    sent = await writes(system)
    for write in sent:
        await break_line(system, write, when, "cut")
    answers = await asyncio.gather(*(write.send(system) for write in sent))
    assert {answer.status for answer in answers} == {202}
    await mend(system)
    await system.quiet(60)
    for write in sent:
        assert await write.effects(system) == 1, write.name
        assert (await write.send(system)).status in (200, 201), write.name
    await assert_quiet_and_true(system)


async def test_a_decline_behind_a_broken_line(system: System) -> None:
    sent = [
        await prepared(system, name, payment_method="pm_card_visa_chargeDeclined") for name in ("create", "confirm")
    ]
    for write in sent:
        await break_line(system, write, "after", "cut")
        assert (await write.send(system)).status == 202
    await mend(system)
    for write in sent:
        final = await repeat_until_final(system, write)
        assert (final.status, final.body["code"]) == (402, "CARD_DECLINED"), write.name
        assert final.body["payment"]["status"] == "failed"
    await assert_quiet_and_true(system)
    for write in sent:
        mails = await system.fetch("SELECT template FROM mails WHERE recipient = $1", f"{write.user}@example.com")
        assert [mail["template"] for mail in mails] == ["payment_failed"], write.name


async def test_stripe_is_away_altogether(system: System) -> None:
    """A user's very first request meets the outage at the customer, before the payment has begun."""
    await system.fault(target="api", kind="cut", when="after", times=None)
    user, key = unique("away"), unique("key")
    write = Write("create", user, key, PAYMENTS, PAY, "/v1/payment_intents", None)
    answer = await write.send(system)
    assert (answer.status, answer.body["code"]) == (503, "SERVICE_UNAVAILABLE")
    await mend(system)
    await assert_settled(system, write, await repeat_until_final(system, write))
    await system.quiet()
    customers = (await system.stripe(f"/v1/customers?email={user}@example.com"))["data"]
    assert len(customers) == 1


async def test_the_client_hangs_up(system: System) -> None:
    write = await prepared(system, "create")
    await system.fault(target="api", kind="slow", when="after", delay_s=0.6, method="POST", path=write.stripe_path)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(write.send(system), 0.2)
    await assert_settled(system, write, await repeat_until_final(system, write))
    await assert_quiet_and_true(system)


async def test_a_refund_that_may_have_gone_through_holds_its_amount(system: System) -> None:
    write = await prepared(system, "refund", amount=4000)
    await break_line(system, write, "before", "cut")
    assert (await write.send(system)).status == 202
    another = replace(write, key=unique("key"), body={"amount": 300})
    refused = await another.send(system)
    assert (refused.status, refused.code, refused.body["remaining"]) == (409, "REFUND_EXCEEDS_REMAINING", 200)
    await mend(system)
    await assert_settled(system, write, await repeat_until_final(system, write))
    # And so it is with a confirm: while nobody knows, there is no second one.
    confirm = await prepared(system, "confirm")
    await break_line(system, confirm, "before", "cut")
    assert (await confirm.send(system)).status == 202
    for action in ("confirm", "capture", "cancel"):
        path = confirm.path.replace("/confirm", f"/{action}")
        refused = await replace(confirm, key=unique("key"), path=path, body={}).send(system)
        assert (refused.status, refused.code) == (409, "OPERATION_IN_PROGRESS"), action
    await mend(system)
    await assert_settled(system, confirm, await repeat_until_final(system, confirm))
    await assert_quiet_and_true(system)
