"""A process that stops: unready, each answer ending its connection, claims given back within a set time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from system import MakeDatabase, System, running_system, until
from tallystick.core.clock import clock_of
from tallystick.core.ids import new_id
from tallystick.platform import stopping
from tallystick.platform.database import Database
from tallystick.platform.work import Queue, WorkItem, WorkRunner, enqueue


@pytest_asyncio.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database(), workers=0) as running:
        yield running


async def test_a_process_that_stops_serves_on_and_is_not_ready(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await system.call("GET", "/readyz")
    assert (before.status, before.headers.get("connection")) == (200, None)
    monkeypatch.setattr(stopping, "_stopping", True)
    ready = await system.call("GET", "/readyz")
    assert (ready.status, ready.body["failing"]) == (503, ["stopping"])
    paid = await system.pay()
    assert (paid.status, paid.headers["connection"].lower()) == (201, "close")


async def test_work_that_is_not_done_in_time_is_free_for_the_next_process(make_database: MakeDatabase) -> None:
    database = await Database.connect(await make_database())
    clock = clock_of(None)
    begun = asyncio.Event()

    async def endless(_: WorkItem) -> None:
        begun.set()
        await asyncio.Event().wait()

    try:
        async with database.transaction() as tx:
            await enqueue(tx, "test.endless", str(new_id()), {}, due_at=clock.now() - timedelta(seconds=1))
        runner = asyncio.create_task(WorkRunner(database, clock, {"test.*": endless}).run(asyncio.Event()))
        await begun.wait()
        assert await Queue(database, clock, "work").take(10) == []
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        assert [row["kind"] for row in await Queue(database, clock, "work").take(10)] == ["test.endless"]
    finally:
        await database.close()


async def test_a_worker_ends_in_its_time_whatever_is_in_hand(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail server that takes the mail and says nothing more holds a mail; STOP_GRACE_S ends that."""
    held = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with running_system(
            await make_database(), SMTP_URL=f"smtp://127.0.0.1:{port}?starttls=never", STOP_GRACE_S="1"
        ) as system:
            await system.pay()
            await held.wait()
            await system.stop_workers()
            waiting: list[Any] = await system.fetch("SELECT state, leased_until FROM mails")
            assert [(row["state"], row["leased_until"]) for row in waiting] == [("queued", None)]
    finally:
        server.close()


async def test_a_worker_waits_for_its_schema(system: System) -> None:
    await system.fetch("UPDATE alembic_version SET version_num = '0001'")
    assert (await system.call("GET", "/readyz")).body["failing"] == ["schema"]
    system.start_worker()
    assert (await system.pay(user="waits")).status == 201
    assert system.mails_to("waits") == []
    await system.fetch("UPDATE alembic_version SET version_num = '9000'")
    assert (await system.call("GET", "/readyz")).status == 200
    await until(lambda: len(system.mails_to("waits")) == 1, "the mail is sent", 60)
    await system.fetch("COMMENT ON TABLE alembic_version IS 'serves from 9000'")
    assert (await system.call("GET", "/readyz")).body["failing"] == ["schema"]
    await system.stop_workers()
