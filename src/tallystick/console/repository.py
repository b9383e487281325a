"""SQL of the console's door and sessions, and the pages of its lists."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

from tallystick.console.listing import Cursor, Listing, Order, query_of
from tallystick.console.models import ConsoleSession, Listed
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import RowTable

__all__ = ["ConsoleRepository", "prune_sessions"]

_SESSIONS = RowTable("console_sessions", ConsoleSession, ["token_hash"])
_STATEMENT_S = 5.0
_PLACES_KEPT = timedelta(days=30)


class ConsoleRepository:
    """Reads and writes `console_sessions`, `console_tries` and `console_places`, and reads lists."""

    async def insert(self, tx: Transaction, session: ConsoleSession) -> None:
        await tx.execute(_SESSIONS.insert, *_SESSIONS.values(session))

    async def find(self, connection: Connection, token_hash: bytes, now: datetime) -> ConsoleSession | None:
        """A session that has not run out."""
        row = await connection.fetchrow(
            f"{_SESSIONS.select} WHERE token_hash = $1 AND expires_at > $2", token_hash, now
        )
        return _SESSIONS.read(row) if row else None

    async def prolong(self, connection: Connection, token_hash: bytes, now: datetime, until: datetime) -> None:
        await connection.execute(
            "UPDATE console_sessions SET seen_at = $2, expires_at = $3 WHERE token_hash = $1", token_hash, now, until
        )

    async def delete(self, connection: Connection, token_hash: bytes) -> None:
        await connection.execute("DELETE FROM console_sessions WHERE token_hash = $1", token_hash)

    async def page(
        self,
        connection: Connection,
        listing: Listing,
        wanted: Mapping[str, str],
        *,
        order: Order,
        cursor: Cursor | None,
        limit: int,
    ) -> Listed:
        """A page of a list. Raises FilterInvalid, and TimeoutError where no index helps within five seconds."""
        query = query_of(listing, wanted, order=order, cursor=cursor, limit=limit + 1)
        # Asked for often, a statement would get a plan for any value: one that reads the whole order for a rare one.
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            found = await connection.fetch(query.sql, *query.arguments, timeout=_STATEMENT_S)
        more, rows = len(found) > limit, found[:limit]
        if query.back:
            rows = rows[::-1]
        before = cursor is not None if not query.back else more
        after = more if not query.back else True
        return Listed(
            rows=[dict(row) for row in rows],
            next=_place(rows[-1]).text() if rows and after else None,
            previous=_place(rows[0], back=True).text() if rows and before else None,
        )

    # Who was turned away

    async def count_try(self, connection: Connection, address: str, minute: datetime, since: datetime) -> int:
        """Count a try from an address, or in a name, as failed until it is taken back; how many failed `since`."""
        await connection.execute(
            """
            INSERT INTO console_tries (address, minute, failed) VALUES ($1, $2, 1)
            ON CONFLICT (address, minute) DO UPDATE SET failed = console_tries.failed + 1
            """,
            address,
            minute,
        )
        failed: int = await connection.fetchval(
            "SELECT sum(failed)::int FROM console_tries WHERE address = $1 AND minute >= $2", address, since
        )
        return failed

    async def take_back_tries(self, connection: Connection, addresses: Sequence[str], minute: datetime) -> None:
        await connection.execute(
            "UPDATE console_tries SET failed = failed - 1 WHERE address = ANY($1) AND minute = $2", addresses, minute
        )

    async def knows_place(self, connection: Connection, name: str, address: str) -> bool:
        """Whether whoever is called so has signed in from there."""
        known: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM console_places WHERE name = $1 AND address = $2)", name, address
        )
        return known

    async def note_place(self, connection: Connection, name: str, address: str, now: datetime) -> None:
        await connection.execute(
            """
            INSERT INTO console_places (name, address, seen_at) VALUES ($1, $2, $3)
            ON CONFLICT (name, address) DO UPDATE SET seen_at = excluded.seen_at
            """,
            name,
            address,
            now,
        )


def _place(row: asyncpg.Record, *, back: bool = False) -> Cursor:
    return Cursor(row["_at"], str(row["_id"]), back)


async def prune_sessions(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget sessions that ran out before then, who was turned away before then, and places of a month before."""
    rows = await tx.fetch(
        """
        DELETE FROM console_sessions WHERE token_hash IN (
            SELECT token_hash FROM console_sessions WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
        """,
        before,
        limit,
    )
    await tx.execute("DELETE FROM console_tries WHERE minute < $1", before)
    await tx.execute("DELETE FROM console_places WHERE seen_at < $1", before - _PLACES_KEPT)
    return len(rows)
