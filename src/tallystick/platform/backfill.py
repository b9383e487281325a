"""Back-fills: what a migration adds is filled in for the rows that are there, in batches, beside the traffic.

A version declares them in `BACKFILLS`: a name, and a statement that changes at most `$1` rows which it has not changed
yet. Nothing is kept of where it was: a row that is filled is found no more, so whoever goes on just begins.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

__all__ = ["Backfill", "NotFilled", "declared", "fill", "fill_for", "note_filled"]

log = structlog.get_logger()

_BATCH = 1000
_BATCH_S = 10
_LOCK_TRIES = 20
_LOCK_PAUSE_S = 0.25
# As long as the batch took, so that it has half of the time at most.
_REST_S = (0.01, 1.0)
_TELL_EVERY_S = 2.0
_ASKED = "… LIMIT $1 FOR UPDATE"
_SHAPE = re.compile(r"\bLIMIT \$1\s+FOR (?:NO KEY )?UPDATE\b(?!\s+(?:SKIP|NOWAIT))")


class NotFilled(Exception):
    """Rows are not filled that have to be; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """A statement of the version `revision`, which finds what is not filled, and fills it."""

    name: str
    revision: str
    sql: str


def declared(versions: Iterable[Any]) -> list[Backfill]:
    """All that the versions declare, oldest first.

    A ValueError for a statement that could miss rows (it skips some) or overwrite what somebody has just written (it
    does not lock what it has found), for two of one name, and where a version needs what none before it declares.
    """
    found: dict[str, Backfill] = {}
    for version in versions:
        if unknown := set(getattr(version, "needs_filled", ())) - found.keys():
            raise ValueError(f"{version.revision}: no version before it has a back-fill {', '.join(sorted(unknown))}")
        for name, sql in getattr(version, "BACKFILLS", {}).items():
            if not _SHAPE.search(sql):
                raise ValueError(f"{version.revision}: {name} has to find its rows by {_ASKED}")
            if name in found:
                raise ValueError(f"{version.revision}: {found[name].revision} has a back-fill {name} already")
            found[name] = Backfill(name, version.revision, sql)
    return list(found.values())


async def note_filled(connection: "asyncpg.Connection[Any]", schema: str, backfills: Sequence[Backfill]) -> None:
    """Note these as done: the schema is new, and has no rows."""
    for backfill in backfills:
        await _note(connection, schema, backfill)
        await _note_done(connection, schema, backfill)


async def fill(connection: "asyncpg.Connection[Any]", schema: str, backfills: Sequence[Backfill]) -> None:
    """Run what is not done, until a batch is not full: the former program may still add rows that are not filled.

    Raises NotFilled where it cannot be run beside traffic, and asyncpg's errors.
    """
    for backfill in backfills:
        if not await _is_done(connection, schema, backfill.name):
            await _fill(connection, schema, backfill, least=_BATCH)


async def fill_for(
    connection: "asyncpg.Connection[Any]", schema: str, versions: Iterable[Any], backfills: Sequence[Backfill]
) -> None:
    """Before these versions are applied: fill what the former program has left since what they need was done.

    Raises NotFilled where something that one of them needs (`needs_filled`) was never done.
    """
    by_name = {backfill.name: backfill for backfill in backfills}
    needed = {name: version.revision for version in versions for name in getattr(version, "needs_filled", ())}
    for name, revision in needed.items():
        if not await _is_done(connection, schema, name):
            raise NotFilled(
                f"Migration {revision} needs {name!r} of {by_name[name].revision} to be filled in all rows, and it is "
                "not. Nothing was changed. Install the version of Tallystick before this one, and run its "
                "`tallystick migrate` first."
            )
    for name in needed:
        await _fill(connection, schema, by_name[name], least=1)


async def _fill(connection: "asyncpg.Connection[Any]", schema: str, backfill: Backfill, *, least: int) -> None:
    """Batch after batch, until one changes fewer than `least` rows."""
    await _note(connection, schema, backfill)
    total, told_at = 0, time.monotonic()
    while True:
        began = time.monotonic()
        changed = await _batch_patiently(connection, schema, backfill)
        total += changed
        if changed < least:
            break
        if time.monotonic() - told_at > _TELL_EVERY_S:
            told_at = time.monotonic()
            log.info("migrate.filling", name=backfill.name, revision=backfill.revision, rows=total)
        shortest, longest = _REST_S
        await asyncio.sleep(min(max(time.monotonic() - began, shortest), longest))
    await _note_done(connection, schema, backfill)
    log.info("migrate.filled", name=backfill.name, revision=backfill.revision, rows=total)


async def _batch_patiently(connection: "asyncpg.Connection[Any]", schema: str, backfill: Backfill) -> int:
    """A batch; one that meets somebody's lock gives up its own after half a second, and is tried again."""
    for tries in range(1, _LOCK_TRIES + 1):
        try:
            return await _batch(connection, schema, backfill)
        except asyncpg.QueryCanceledError as error:
            raise NotFilled(
                f"A batch of {backfill.name!r} was given up after {_BATCH_S} seconds: an index on what is not filled "
                "yet is missing, or the server is overloaded. What was filled stays; run `tallystick migrate` again."
            ) from error
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if tries == _LOCK_TRIES:
                raise
            log.warning("migrate.locked", tries=tries, hint="somebody holds a row; trying again")
            await asyncio.sleep(min(_LOCK_PAUSE_S * 2 ** (tries - 1), 10))
    raise AssertionError("unreachable")


async def _batch(connection: "asyncpg.Connection[Any]", schema: str, backfill: Backfill) -> int:
    async with connection.transaction():
        await connection.execute(
            f"SET LOCAL search_path TO \"{schema}\"; SET LOCAL lock_timeout = '500ms'; "
            f"SET LOCAL statement_timeout = '{_BATCH_S}s'"
        )
        status = await connection.execute(backfill.sql, _BATCH)
        changed = int(status.rpartition(" ")[2])
        await connection.execute("UPDATE backfills SET rows = rows + $2 WHERE name = $1", backfill.name, changed)
    return changed


async def _is_done(connection: "asyncpg.Connection[Any]", schema: str, name: str) -> bool:
    table = f'"{schema}".backfills'
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return False
    return bool(await connection.fetchval(f"SELECT done_at IS NOT NULL FROM {table} WHERE name = $1", name))


async def _note(connection: "asyncpg.Connection[Any]", schema: str, backfill: Backfill) -> None:
    await connection.execute(
        f'INSERT INTO "{schema}".backfills (name, revision) VALUES ($1, $2) ON CONFLICT DO NOTHING',
        backfill.name,
        backfill.revision,
    )


async def _note_done(connection: "asyncpg.Connection[Any]", schema: str, backfill: Backfill) -> None:
    await connection.execute(f'UPDATE "{schema}".backfills SET done_at = now() WHERE name = $1', backfill.name)
