"""Due work that is asked for again while somebody does it is done again: he may have looked too early."""

import asyncio
from datetime import datetime, timedelta

import pytest

from system import MakeDatabase, until
from tallystick.core.clock import SystemClock
from tallystick.platform.database import Database
from tallystick.platform.work import Queue, WorkItem, WorkRunner, enqueue


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


async def ask(database: Database, clock: SystemClock) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, "test.look", "test.look:it", {}, due_at=clock.now())


async def test_asked_again_in_the_middle(make_database: MakeDatabase, clock: SystemClock) -> None:
    database = await Database.connect(await make_database())
    looks = 0

    async def look(item: WorkItem) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            # What is looked at changes after the look and before the mark.
            await ask(database, clock)

    stop = asyncio.Event()
    await ask(database, clock)
    runner = asyncio.create_task(WorkRunner(database, clock, {"test.*": look}).run(stop))
    try:
        await until(lambda: looks == 2, "it is done again")
        await asyncio.sleep(0.2)
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM work WHERE state = 'queued'") == 0
        assert looks == 2
    finally:
        stop.set()
        await runner
        await database.close()


async def test_a_late_worker_does_not_finish_for_another(make_database: MakeDatabase, clock: SystemClock) -> None:
    database = await Database.connect(await make_database())
    queue = Queue(database, clock, "work")
    try:
        await ask(database, clock)
        (first,) = await queue.take(1)
        # The first one's lease runs out, and another takes over.
        async with database.connection() as connection:
            await connection.execute("UPDATE work SET leased_until = $1", clock.wall() - timedelta(seconds=1))
        (second,) = await queue.take(1)
        await queue.finish(first["id"], first["leased_until"])
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT state FROM work") == "queued"
        await queue.finish(second["id"], second["leased_until"])
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT state FROM work") == "done"
    finally:
        await database.close()


async def test_a_timer_is_due_at_each_start_and_then_when_it_says(make_database: MakeDatabase) -> None:
    database, clock = await Database.connect(await make_database()), SystemClock()
    rung: list[datetime] = []

    async def ring(_: WorkItem) -> datetime:
        rung.append(clock.now())
        return clock.now() + timedelta(days=1)

    async def rows() -> list[str]:
        async with database.connection() as connection:
            return [row["state"] for row in await connection.fetch("SELECT state FROM work")]

    try:
        for start in (1, 2):
            stop = asyncio.Event()
            runner = WorkRunner(database, clock, {"test.*": ring}, timers=["test.timer"])
            running = asyncio.create_task(runner.run(stop))
            await until(lambda start=start: len(rung) == 2 * start - 1, "it is due at the start")
            clock.offset += timedelta(days=1)
            await until(lambda start=start: len(rung) == 2 * start, "it is due a day later")
            stop.set()
            await running
            assert await rows() == ["queued"]
    finally:
        await database.close()
