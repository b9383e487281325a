"""Workers: several at once, dying in the middle, idle, flooded; each effect still happens once."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.webhooks.inbox_kit import (
    Inbox,
    apply_facts,
    body_of,
    make_event,
    running,
    to_facts,
    until,
)
from tallystick.platform.database import Database, Transaction
from tallystick.webhooks.processor import bundles
from tallystick.webhooks.repository import BATCH

FAILS = "payment_intent.payment_failed"


async def test_shuffled_doubled_and_with_three_workers_each_effect_happens_once_and_in_order(inbox: Inbox) -> None:
    rng = random.Random(11)
    objects = [f"pi_{number}" for number in range(40)]
    events = [make_event(object_id=rng.choice(objects)) for _ in range(600)]
    bodies = [body_of(event) for event in events for _ in range(2)]
    rng.shuffle(bodies)
    pools = [await Database.connect(inbox.url, size=6) for _ in range(3)]
    async with running(*(inbox.processor(pool) for pool in pools)):
        for at in range(0, len(bodies), 50):
            await asyncio.gather(*(inbox.post(body) for body in bodies[at : at + 50]))

        async def quiet() -> bool:
            return "pending" not in await inbox.service.backlog()

        await until(quiet)
    for pool in pools:
        await pool.close()
    assert Counter(await inbox.applied()) == Counter(event["id"] for event in events)
    arrived, applied = defaultdict(list), defaultdict(list)
    for row in await inbox.events():
        arrived[row["object_id"]].append(row["stripe_event_id"])
    for row in await inbox.fetch("SELECT object_id, event_id FROM applied ORDER BY seq"):
        applied[row["object_id"]].append(row["event_id"])
    assert applied == arrived


async def test_what_waits_in_several_lanes_shares_a_batch_and_a_lane_at_work_holds_up_no_other(inbox: Inbox) -> None:
    await inbox.deliver(*(make_event(object_id=f"pi_{number}") for number in range(20)))
    [one, *others] = [row["lane"] for row in await inbox.fetch("SELECT DISTINCT lane FROM webhook_events ORDER BY 1")]
    async with inbox.database.transaction() as tx:
        await tx.execute("SELECT FROM webhook_lanes WHERE lane = $1 FOR UPDATE", one)
        there = len(await inbox.fetch("SELECT FROM webhook_events WHERE lane = $1", one))
        assert await inbox.processor().work_lanes([one, *others]) == 20 - there
    assert await inbox.processor().work_lanes([one, *others]) == there
    assert len(await inbox.fetch("SELECT DISTINCT xmin::text FROM webhook_events WHERE lane <> $1", one)) == 1
    assert Counter(await inbox.applied()) == Counter(row["stripe_event_id"] for row in await inbox.events())


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(1, BATCH)), max_size=16, unique_by=lambda lane: lane[0]))
def test_a_bundle_of_lanes_fits_into_a_batch_and_none_is_left_out(due: list[tuple[int, int]]) -> None:
    found = bundles(due)
    assert [lane for bundle in found for lane in bundle] == [lane for lane, _ in due]
    waiting = dict(due)
    sizes = [sum(waiting[lane] for lane in bundle) for bundle in found]
    assert all(size <= BATCH for size in sizes)
    assert all(first + second > BATCH for first, second in pairwise(sizes))


@asynccontextmanager
async def stuck(inbox: Inbox, database: Database) -> AsyncIterator[tuple[asyncio.Task[Any], asyncio.Event]]:
    """A worker in the middle of a batch: effects written, nothing committed, until the event is set."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        await apply_facts(tx, facts)
        if not go_on.is_set():
            inside.set()
            await go_on.wait()

    inbox.registry.register(FAILS, to_facts, record)
    await inbox.deliver(*(make_event(FAILS, "pi_1") for _ in range(5)))
    [lane] = await inbox.fetch("SELECT DISTINCT lane FROM webhook_events")
    task = asyncio.create_task(inbox.processor(database).work_lanes([lane["lane"]]))
    await inside.wait()
    yield task, go_on
    go_on.set()
    if not task.done():
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cancel(inbox: Inbox, task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def terminate(inbox: Inbox, _: "asyncio.Task[Any]") -> None:
    await inbox.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' AND application_name = 'crashing'"
    )


@pytest.mark.parametrize("end", [cancel, terminate], ids=["cancelled", "connection killed"])
async def test_a_worker_that_dies_mid_batch_leaves_it_to_the_next_one(inbox: Inbox, end: Any) -> None:
    doomed = await Database.connect(inbox.url, size=3, name="crashing")
    async with stuck(inbox, doomed) as (task, go_on):
        assert await inbox.processor().work_lanes([(await inbox.events())[0]["lane"]]) is None, "the lane is taken"
        assert await inbox.processor().drain() == 0
        await end(inbox, task)
        go_on.set()
        assert await inbox.processor().drain() + (await settled(task)) == 5
    assert Counter(await inbox.applied()) == Counter(row["stripe_event_id"] for row in await inbox.events())
    assert {row["state"] for row in await inbox.events()} == {"processed"}
    await doomed.close()


async def settled(task: "asyncio.Task[Any]") -> int:
    """What a worker still applied after its first connection was lost."""
    results = await asyncio.gather(task, return_exceptions=True)
    return sum(result for result in results if isinstance(result, int))


async def test_an_effect_is_undone_when_its_event_was_settled_by_somebody_else(inbox: Inbox) -> None:
    other = await Database.connect(inbox.url, size=3)
    async with stuck(inbox, other) as (task, go_on):
        # Nobody does this who asks for the lane first; if somebody does, the effect must not stay.
        await inbox.execute(
            "UPDATE webhook_events SET state = 'discarded' WHERE seq = (SELECT min(seq) FROM webhook_events)"
        )
        go_on.set()
        await task
    assert len(await inbox.applied()) == 4
    assert Counter(row["state"] for row in await inbox.events()) == {"processed": 4, "discarded": 1}
    await other.close()


async def test_an_idle_worker_costs_about_one_query_in_two_seconds(inbox: Inbox) -> None:
    counted = await Database.connect(inbox.url, size=6)
    taken = 0
    plain: Callable[[], AbstractAsyncContextManager[Any]] = counted.connection

    def connection() -> AbstractAsyncContextManager[Any]:
        nonlocal taken
        taken += 1
        return plain()

    counted.connection = connection  # type: ignore[method-assign]
    async with running(inbox.processor(counted)):
        await asyncio.sleep(2)
        before = taken
        await asyncio.sleep(2)
        assert taken - before <= 2
        # Asleep, but not for ever: it still works on what comes.
        await inbox.deliver(make_event())

        async def done() -> bool:
            return len(await inbox.applied()) == 1

        await until(done)
    await counted.close()


async def test_while_a_batch_takes_its_time_nobody_hammers_the_database(inbox: Inbox) -> None:
    counted = await Database.connect(inbox.url, size=6)
    inside, go_on, looks = asyncio.Event(), asyncio.Event(), 0
    plain: Callable[[], AbstractAsyncContextManager[Any]] = counted.connection

    def connection() -> AbstractAsyncContextManager[Any]:
        nonlocal looks
        looks += 1
        return plain()

    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        inside.set()
        await go_on.wait()
        await apply_facts(tx, facts)

    counted.connection = connection  # type: ignore[method-assign]
    inbox.registry.register(FAILS, to_facts, record)
    async with running(inbox.processor(counted)):
        await inbox.deliver(make_event(FAILS, "pi_1"))
        await inside.wait()
        before = looks
        await asyncio.sleep(1)
        assert looks - before <= 30
        go_on.set()
    await counted.close()


async def test_a_worker_is_woken_by_the_arrival(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.webhooks.processor._POLL_LEAST_S", 60)
    monkeypatch.setattr("tallystick.webhooks.processor._POLL_MOST_S", 60)
    async with running(inbox.processor()):
        for number in range(1, 4):
            await asyncio.sleep(0.1)
            await inbox.deliver(make_event())

            async def done(number: int = number) -> bool:
                return len(await inbox.applied()) == number

            await until(done, 5)


async def test_a_worker_outlives_the_loss_of_all_its_connections(inbox: Inbox) -> None:
    shaken = await Database.connect(inbox.url, size=6, name="shaken")
    async with running(inbox.processor(shaken)):
        for _ in range(5):
            await inbox.deliver(*(make_event() for _ in range(5)))
            await inbox.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shaken'"
            )
            await asyncio.sleep(0.05)

        async def quiet() -> bool:
            return "pending" not in await inbox.service.backlog()

        await until(quiet)
    assert Counter(await inbox.applied()) == Counter(row["stripe_event_id"] for row in await inbox.events())
    await shaken.close()


async def test_no_lane_starves_behind_a_flooded_one(inbox: Inbox) -> None:
    flood = [make_event(object_id="pi_flood") for _ in range(1500)]
    async with inbox.database.transaction() as tx:
        await inbox.service.ingest(tx, flood, "import")
        await inbox.service.ingest(tx, [make_event(object_id="pi_small", event_id="evt_small")], "import")
    async with running(inbox.processor(concurrency=1)):

        async def through() -> bool:
            return "evt_small" in await inbox.applied()

        await until(through)
        small_at = (await inbox.applied()).index("evt_small")
    # Behind one turn of the flood at most, not behind all of it.
    assert small_at < 512
