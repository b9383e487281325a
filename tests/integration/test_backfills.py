"""Back-fills: batch by batch beside live writes, broken off and taken up again, and known when they are done."""

import asyncio
import json
import signal
import sys
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

import tallystick.platform.migrate as runner
from system import MakeDatabase
from tallystick.cli.errors import Problem
from tallystick.cli.migrate import migrate as migrate_command
from tallystick.platform.backfill import NotFilled, declared
from tallystick.platform.migrate import head_revision, migrate

ROWS = 10_000
FILL = """
    UPDATE parcels SET grams = pounds * 454 WHERE id IN (
        SELECT id FROM parcels WHERE grams IS NULL LIMIT $1 FOR NO KEY UPDATE
    )
"""
EXPANDS = {"revision": "9998", "SQL": "SELECT 1", "BACKFILLS": {"parcels_grams": FILL}}
CONTRACTS = {"revision": "9999", "SQL": "SELECT 1", "needs_filled": ("parcels_grams",)}
# Another process, as only that can be killed.
PROGRAM = """
import asyncio, json, sys, types, tallystick.platform.migrate as runner
url, version = sys.argv[1:]
versions = [*runner._versions(), types.SimpleNamespace(**json.loads(version))]
runner._versions = lambda: versions
asyncio.run(runner.migrate(url, "public"))
"""


@pytest.fixture(name="later")
def versions_after_ours(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `migrate` takes for the versions after this one's."""
    real = runner._versions()

    def add(*versions: dict[str, Any]) -> None:
        monkeypatch.setattr(runner, "_versions", lambda: [*real, *(SimpleNamespace(**one) for one in versions)])

    return add


async def parcels(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        CREATE TABLE parcels (id serial PRIMARY KEY, pounds integer NOT NULL, grams integer);
        CREATE INDEX parcels_not_filled ON parcels (id) WHERE grams IS NULL
        """
    )
    await connection.execute("INSERT INTO parcels (pounds) SELECT g FROM generate_series(1, $1) AS g", ROWS)
    return connection


async def traffic(url: str, until_set: asyncio.Event) -> set[int]:
    """The former version inserts rows that are not filled, this one writes grams; the ids that this one has written."""
    connection, written = await asyncpg.connect(url), set()
    # Nobody waits for longer than a batch takes.
    await connection.execute("SET lock_timeout = '5s'")
    try:
        for turn in range(1_000_000):
            if until_set.is_set():
                break
            await connection.execute("INSERT INTO parcels (pounds) VALUES (7)")
            row = 1 + turn * 7919 % ROWS
            await connection.execute("UPDATE parcels SET grams = -1 WHERE id = $1", row)
            written.add(row)
            await asyncio.sleep(0)
    finally:
        await connection.close()
    return written


async def test_a_fill_that_is_killed_goes_on_where_it_was_beside_live_writes(
    make_database: MakeDatabase, later: Any
) -> None:
    url = await make_database()
    connection, holder = await parcels(url), await asyncpg.connect(url)
    stop = asyncio.Event()
    try:
        # Somebody holds a row in the middle, so that it cannot come to its end.
        held = holder.transaction()
        await held.start()
        await holder.execute("SELECT 1 FROM parcels WHERE id = 5500 FOR UPDATE")
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, url, json.dumps(EXPANDS)), stdout=asyncio.subprocess.DEVNULL
        )
        filled = "SELECT count(*) FROM parcels WHERE grams = pounds * 454"
        while await connection.fetchval(filled) < 5000:
            assert program.returncode is None
            await asyncio.sleep(0.02)
        program.send_signal(signal.SIGKILL)
        await program.wait()
        await held.rollback()
        row = await connection.fetchrow("SELECT rows, done_at FROM backfills")
        assert row is not None
        assert (row["rows"], row["done_at"]) == (5000, None)
        largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM parcels WHERE grams = pounds * 454 GROUP BY xmin) AS b"
        assert await connection.fetchval(largest) == 1000, "each batch is a transaction of its own"

        writing = asyncio.create_task(traffic(url, stop))
        later(EXPANDS)
        await migrate(url, "public")
        stop.set()
        written = await writing
        assert await connection.fetchval("SELECT done_at IS NOT NULL AND rows >= 5000 FROM backfills")
        unfilled = "SELECT count(*) FROM parcels WHERE grams IS NULL"
        assert await connection.fetchval(f"{unfilled} AND id <= {ROWS}") == 0
        ours = await connection.fetch("SELECT id FROM parcels WHERE grams = -1")
        assert {row["id"] for row in ours} == written, "what the new version wrote is not overwritten"
        assert await connection.fetchval(largest) <= 1000
    finally:
        stop.set()
        await holder.close()
        await connection.close()


async def test_what_needs_it_refuses_before_it_is_done_and_fills_the_rest(
    make_database: MakeDatabase, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await make_database()
    connection = await parcels(url)
    unfilled = "SELECT count(*) FROM parcels WHERE grams IS NULL"
    left_then: list[int] = []

    async def upgrade(*_: Any) -> list[str]:
        left_then.append(await connection.fetchval(unfilled))
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        return ["9999"]

    try:
        later(EXPANDS, CONTRACTS)
        monkeypatch.setattr(runner, "head_revision", lambda: "9999")
        monkeypatch.setattr(runner, "_upgrade_patiently", upgrade)
        with pytest.raises(NotFilled, match="Migration 9999 needs 'parcels_grams' of 9998"):
            await migrate(url, "public")
        with pytest.raises(Problem, match="Nothing was changed"):
            await asyncio.to_thread(migrate_command, database_url=url)
        assert await connection.fetchval(unfilled) == ROWS

        later(EXPANDS)
        monkeypatch.setattr(runner, "head_revision", head_revision)
        await migrate(url, "public")
        await migrate(url, "public")
        # The version before this one ran for a while yet.
        await connection.execute("INSERT INTO parcels (pounds) VALUES (7), (8)")
        later(EXPANDS, CONTRACTS)
        monkeypatch.setattr(runner, "head_revision", lambda: "9999")
        assert await migrate(url, "public") == ["9999"]
        assert left_then == [0]
        assert await connection.fetchval("SELECT rows FROM backfills") == ROWS + 2
    finally:
        await connection.close()


async def test_a_new_schema_has_nothing_to_fill(make_database: MakeDatabase, later: Any) -> None:
    """Not even that which reads a column that was taken away since."""
    url = await make_database()
    later(EXPANDS)
    await migrate(url, "fresh")
    await migrate(url, "fresh")
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT rows = 0 AND done_at IS NOT NULL FROM fresh.backfills")
    finally:
        await connection.close()


async def test_a_batch_that_takes_too_long_is_given_up(
    make_database: MakeDatabase, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.platform.backfill._BATCH_S", 0.1)
    later({**EXPANDS, "BACKFILLS": {"slow": "SELECT pg_sleep(60) FROM users LIMIT $1 FOR UPDATE"}})
    url = await make_database()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO users (id, external_id, created_at, updated_at) VALUES (gen_random_uuid(), 'a', now(), now())"
        )
        with pytest.raises(NotFilled, match="an index"):
            await migrate(url, "public")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "found_by",
    ["", "LIMIT 1000 FOR UPDATE", "LIMIT $1", "LIMIT $1 FOR UPDATE SKIP LOCKED", "LIMIT $1 FOR UPDATE NOWAIT"],
)
def test_a_statement_that_misses_or_overwrites_rows_is_refused(found_by: str) -> None:
    sql = f"UPDATE parcels SET grams = 1 WHERE id IN (SELECT id FROM parcels WHERE grams IS NULL {found_by})"
    with pytest.raises(ValueError, match="LIMIT"):
        declared([SimpleNamespace(revision="9998", BACKFILLS={"parcels_grams": sql})])


def test_names_lead_to_one_fill_that_came_before() -> None:
    expands, contracts = SimpleNamespace(**EXPANDS), SimpleNamespace(**CONTRACTS)
    assert [one.revision for one in declared([expands, contracts])] == ["9998"]
    with pytest.raises(ValueError, match="already"):
        declared([expands, expands])
    with pytest.raises(ValueError, match="no version before"):
        declared([contracts, expands])
