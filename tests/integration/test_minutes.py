"""What a process counted is stored once it can be, whatever kept it from that."""

import asyncio

import pytest
from structlog.testing import CapturingLogger

from system import MakeDatabase, until
from tallystick.core.clock import clock_of
from tallystick.metrics import service_minutes
from tallystick.metrics.service_minutes import MinuteKeeper
from tallystick.platform.database import Database
from tallystick.platform.migrate import migrate
from tallystick.platform.telemetry import note_database_error, take_tally


async def test_what_was_counted_before_there_was_a_schema_is_stored_after(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_minutes, "_EVERY_S", 0.01)
    logged = CapturingLogger()
    monkeypatch.setattr(service_minutes, "log", logged)
    url = await make_database()
    database, stop = await Database.connect(url, schema="later"), asyncio.Event()
    take_tally()
    note_database_error("lost")
    counted = take_tally()
    note_database_error("lost")
    keeping = asyncio.create_task(MinuteKeeper(database, clock_of(None)).run(stop))
    try:
        await until(lambda: len(logged.calls) > 1 or keeping.done(), "it could not be stored, twice")
        assert {(call.method_name, call.args[0]) for call in logged.calls} == {("exception", "minutes.failed")}
        await migrate(url, "later")
        stop.set()
        await keeping
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT name, sum(amount)::int AS amount FROM telemetry_minutes GROUP BY 1")
        assert {row["name"]: row["amount"] for row in rows}.items() >= counted.items()
    finally:
        stop.set()
        await asyncio.gather(keeping, return_exceptions=True)
        await database.close()
