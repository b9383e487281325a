"""Writes on subscriptions whose API dies, or whose line breaks: one effect, one answer, a true record in the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from simulation.subscription_writes import WRITES, Write, assert_quiet_and_true, prepared, repeat_until_final
from simulation.writes import hurry, mend
from system import LONG, Answer, MakeDatabase, System, running_system, unique
from tallystick.attempts.service import AttemptService
from tallystick.subscriptions.service_record import SubscriptionRecorder

Crash = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """Without a worker: it shares its code with the API here, and must not crash as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallystick.attempts.service._POLL_S", 0.1)
        async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="3") as running:
            yield running


async def _die(*_: Any) -> Any:
    raise RuntimeError("killed by the test")


async def _lose_the_database(_: SubscriptionRecorder, tx: Any, __: Any) -> None:
    await tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def assert_settled(system: System, write: Write, first: Answer) -> None:
    """Stripe shows the write once, and a repeat gets the same answer again."""
    assert first.status in (200, 201), (write.name, first)
    assert await write.effects(system) == 1, write.name
    again = await write.send(system)
    assert (again.status, again.body) == (first.status, first.body), write.name


@pytest.mark.parametrize(
    ("where", "crash", "status", "was_sent"),
    [
        ((AttemptService, "send"), _die, 500, False),
        ((AttemptService, "settle"), _die, 500, True),
        ((SubscriptionRecorder, "record"), _lose_the_database, 503, True),
    ],
    ids=["before it was sent", "after Stripe acted", "while it was recorded"],
)
async def test_a_write_whose_api_died(
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[type, str],
    crash: Crash,
    status: int,
    *,
    was_sent: bool,
) -> None:
    sent = [await prepared(system, name) for name in WRITES]
    # What a change asks Stripe first is recorded too; here only what it does is to be lost.
    sent = [write for write in sent if status == 500 or write.name not in ("create", "take_up", "change")]
    with monkeypatch.context() as patch:
        patch.setattr(*where, crash)
        patch.setattr("tallystick.attempts.service._INSIST_S", 0.3)
        answers = await asyncio.gather(*(write.send(system) for write in sent))
    for write, answer in zip(sent, answers, strict=True):
        assert answer.status == status, (write.name, answer)
        assert await write.effects(system) == was_sent, write.name
        assert await write.ended(system) == "requested"
    await hurry(system)
    system.start_worker()
    finals = await asyncio.gather(*(repeat_until_final(system, write) for write in sent))
    for write, final in zip(sent, finals, strict=True):
        await assert_settled(system, write, final)
    await assert_quiet_and_true(system)


@pytest.mark.parametrize("when", ["before", "after"] if LONG else ["after"])
async def test_a_line_that_stays_broken_for_a_while(system: System, when: str) -> None:
    sent = [await prepared(system, name) for name in WRITES]
    system.start_worker()
    for write in sent:
        await write.break_line(system, when)
    answers = await asyncio.gather(*(write.send(system) for write in sent))
    for write, answer in zip(sent, answers, strict=True):
        assert (answer.status, answer.body["attempt"]["state"]) == (202, "unknown"), (write.name, answer)
        # The settings of a change go first, and where the line breaks behind them it stops.
        assert await write.effects(system) == (when == "after" and write.name != "change"), write.name
    await mend(system)
    finals = await asyncio.gather(*(repeat_until_final(system, write) for write in sent))
    for write, final in zip(sent, finals, strict=True):
        await assert_settled(system, write, final)
    await assert_quiet_and_true(system)


@pytest.mark.parametrize("when", ["before", "after"] if LONG else ["after"])
async def test_one_of_which_nobody_knows_for_ten_minutes(system: System, when: str) -> None:
    """It is never sent again, only looked for: found, or given up and free for another try."""
    sent = [await prepared(system, name) for name in WRITES if name != "change"]
    for write in sent:
        await write.break_line(system, when)
    assert {answer.status for answer in await asyncio.gather(*(write.send(system) for write in sent))} == {202}
    await mend(system)
    await system.fetch(
        """
        UPDATE attempts SET sent_at = sent_at - interval '15 minutes', lease_until = now() - interval '1 second'
        WHERE state = 'unknown'
        """
    )
    counts = [await write.sent(system) for write in sent]
    system.start_worker()
    await system.quiet(60)
    for write, count in zip(sent, counts, strict=True):
        answer = await write.send(system)
        assert await write.sent(system) == count, f"{write.name} was sent again"
        if when == "after":
            await assert_settled(system, write, answer)
            continue
        assert (answer.status, answer.body["code"]) == (409, "ATTEMPT_ABANDONED"), write.name
        assert await write.effects(system) == 0, write.name
        another = await write.send(system, unique("another"))
        assert another.status in (200, 201), (write.name, another)
        assert await write.effects(system) == 1, write.name
    await assert_quiet_and_true(system)
