"""The API dies in the middle of a write: before it was sent, after Stripe acted, while the outcome is recorded."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from simulation.writes import (
    WRITES,
    Write,
    assert_quiet_and_true,
    assert_settled,
    ended,
    hurry,
    posts,
    prepared,
    repeat_until_final,
    writes,
)
from system import Answer, MakeDatabase, System, running_system
from tallystick.attempts.service import AttemptService
from tallystick.payments.service_record import PaymentRecorder

Crash = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """Without a worker: it shares its code with the API here, and must not crash as well."""
    async with running_system(await make_database(), workers=0, STRIPE_TIMEOUT_S="1") as running:
        yield running


async def _die(*_: Any) -> Any:
    raise RuntimeError("killed by the test")


async def _lose_the_database(_: PaymentRecorder, tx: Any, __: Any) -> None:
    await tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(
    ("where", "crash", "status", "was_sent"),
    [
        ((AttemptService, "send"), _die, 500, False),
        ((AttemptService, "settle"), _die, 500, True),
        ((PaymentRecorder, "record_and_show"), _lose_the_database, 503, True),
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
    sent = await writes(system)
    with monkeypatch.context() as patch:
        patch.setattr(*where, crash)
        patch.setattr("tallystick.attempts.service._INSIST_S", 0.3)
        answers = await asyncio.gather(*(write.send(system) for write in sent))
    for write, answer in zip(sent, answers, strict=True):
        # Whoever gets such an answer is told to send the same request again.
        assert (answer.status, "same Idempotency-Key" in answer.body["suggested_action"]) == (status, True), write.name
        assert await write.effects(system) == was_sent, write.name
        assert await ended(system, write) == "requested"
    await hurry(system)
    for write in sent:
        # Its sender is gone, and nobody knows yet.
        repeated = await write.send(system)
        assert (repeated.status, repeated.body["attempt"]["state"]) == (202, "unknown"), write.name
    system.start_worker()
    finals = await asyncio.gather(*(repeat_until_final(system, write) for write in sent))
    for write, final in zip(sent, finals, strict=True):
        await assert_settled(system, write, final)
    await assert_quiet_and_true(system)


async def test_the_database_is_away_when_the_outcome_is_recorded(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment only: the API knows what Stripe has done, insists, and its caller gets the first answer."""
    sent = await writes(system)
    record, lost = PaymentRecorder.record_and_show, set[str]()

    async def lose_once(recorder: PaymentRecorder, tx: Any, facts: Sequence[Any]) -> Any:
        if facts[0].value.id not in lost:
            lost.add(facts[0].value.id)
            await _lose_the_database(recorder, tx, facts)
        return await record(recorder, tx, facts)

    monkeypatch.setattr(PaymentRecorder, "record_and_show", lose_once)
    answers = await asyncio.gather(*(write.send(system) for write in sent))
    assert len(lost) == len(sent)
    for write, answer in zip(sent, answers, strict=True):
        assert await ended(system, write) == "succeeded"
        await assert_settled(system, write, answer)


async def test_a_repeat_while_the_lease_runs(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dead API might still be alive: nobody else sends before its lease has run out."""
    write = await prepared(system, "create")
    with monkeypatch.context() as patch:
        patch.setattr(AttemptService, "send", _die)
        patch.setattr("tallystick.attempts.service._WAIT_S", 0.5)
        assert (await write.send(system)).status == 500
        system.start_worker()
        before = await posts(system, write)
        answer = await write.send(system)
        assert (answer.status, answer.code) == (409, "IDEMPOTENCY_KEY_IN_PROGRESS")
        assert int(answer.headers["Retry-After"]) > 0
    assert await posts(system, write) == before
    await hurry(system)
    await assert_settled(system, write, await repeat_until_final(system, write))


async def test_connections_are_cut_again_and_again(system: System) -> None:
    """Thirty clients' writes, while every connection of the API and the worker to PostgreSQL is cut at random."""
    system.start_worker()
    sent = [await prepared(system, name) for name in WRITES * 6]
    done = asyncio.Event()

    async def cut() -> None:
        while not done.is_set():
            await asyncio.sleep(random.uniform(0.02, 0.2))
            await system.fetch(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE 'tallystick%' AND random() < 0.5
                """
            )

    async def client(write: Write) -> Answer:
        await asyncio.sleep(random.uniform(0, 2))
        while True:
            with suppress(aiohttp.ClientError):
                answer = await write.send(system)
                if answer.status not in (202, 500, 503) and answer.body.get("code") != "IDEMPOTENCY_KEY_IN_PROGRESS":
                    return answer
            await hurry(system)
            await asyncio.sleep(0.2)

    cutter = asyncio.create_task(cut())
    try:
        finals = await asyncio.wait_for(asyncio.gather(*(client(write) for write in sent)), 90)
    finally:
        done.set()
        await cutter
    for write, final in zip(sent, finals, strict=True):
        await assert_settled(system, write, final)
    await assert_quiet_and_true(system)
