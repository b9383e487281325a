"""The line to PostgreSQL, when it swallows what is sent: as firewalls do that forget, or when a standby takes over."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest
from chaos.proxy import Line, Trouble

from system import MakeDatabase
from tallystick.platform import database as module
from tallystick.platform.database import WEATHER, Database

CONNECTIONS = 4


@pytest.fixture
async def swallowed(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A pool whose connections are all dead, and nobody was told."""
    monkeypatch.setattr(module, "_COMMAND_S", 0.3)
    monkeypatch.setattr(module, "_RELEASE_S", 0.3)
    parts = urlsplit(await make_database())
    line = Line("postgres", lambda: [(parts.hostname or "", parts.port or 0)])
    await line.start()
    netloc = f"{parts.username}:{parts.password}@127.0.0.1:{line.port}"
    database = await Database.connect(parts._replace(netloc=netloc).geturl(), size=CONNECTIONS)
    async with AsyncExitStack() as held:
        for _ in range(CONNECTIONS):
            await (await held.enter_async_context(database.connection())).fetchval("SELECT 1")
    line.disturb(Trouble.BLACK_HOLE)
    line.mend()
    yield database
    database.terminate()
    await line.stop()


@pytest.mark.parametrize("how", ["connection", "transaction"])
async def test_one_time_out_is_enough_to_give_up_all_connections_that_were_swallowed(
    swallowed: Database, how: str
) -> None:
    async def ask() -> bool:
        try:
            async with getattr(swallowed, how)() as connection:
                return bool(await connection.fetchval("SELECT true"))
        except WEATHER:
            return False

    assert [await ask() for _ in range(CONNECTIONS)] == [False, True, True, True]


async def test_a_query_that_is_merely_slow_costs_no_connection_but_its_own_time(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMMAND_S", 0.3)
    database = await Database.connect(await make_database(), size=1)
    try:
        async with database.connection() as connection:
            before = await connection.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(TimeoutError):
            async with database.connection() as connection:
                await connection.execute("SELECT pg_sleep(5)")
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT pg_backend_pid()") == before
    finally:
        await database.close()
