"""SQL of a rebuild: the scratch schema, what is copied into it, and rows in the form in which they are compared."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from asyncpg.cursor import Cursor

from tallystick.platform.database import Connection, Record, Transaction
from tallystick.rebuilding.models import MARK, Compared

__all__ = ["RebuildRepository"]

_LONG_S = 600.0


class RebuildRepository:
    """Reads the live schema and the scratch schema; which one, the connection says."""

    # The scratch schema

    async def comment_of(self, connection: Connection, schema: str) -> tuple[bool, str | None]:
        """Whether there is such a schema, and the comment on it."""
        row = await connection.fetchrow(
            "SELECT obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = $1", schema
        )
        return row is not None, row["comment"] if row else None

    async def create(self, connection: Connection, schema: str, live: str) -> None:
        """An empty schema with our mark."""
        await connection.execute(f'CREATE SCHEMA "{schema}"')
        await connection.execute(f"COMMENT ON SCHEMA \"{schema}\" IS '{MARK} of {live}'")

    async def drop(self, connection: Connection, schema: str) -> None:
        await connection.execute(f'DROP SCHEMA "{schema}" CASCADE', timeout=_LONG_S)

    # The live schema

    async def freeze(self, tx: Transaction) -> None:
        """What `tx` reads is all of one moment; first of all in it."""
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # It waits while batches are applied elsewhere.
        await tx.execute("SET LOCAL idle_in_transaction_session_timeout = '15min'")

    async def rows(self, tx: Transaction, sql: str) -> "Cursor[Record]":
        return await tx.cursor(sql, timeout=_LONG_S)

    async def put(self, tx: Transaction, table: str, rows: Sequence[Record]) -> None:
        """Copy rows into a table, by the names of their columns."""
        await tx.execute("SET CONSTRAINTS ALL DEFERRED")
        await tx.copy_records_to_table(table, records=[tuple(row) for row in rows], columns=list(rows[0].keys()))

    async def state_of(
        self, connection: Connection, table: str, column: str, stripe_id: str
    ) -> tuple[int, datetime | None] | None:
        """Revision and time of state of the row of one of Stripe's objects."""
        row = await connection.fetchrow(f"SELECT revision, state_at FROM {table} WHERE {column} = $1", stripe_id)
        return (row["revision"], row["state_at"]) if row else None

    async def ended(self, connection: Connection, now: datetime, last: str, limit: int) -> list[str]:
        """The next subscriptions (Stripe's ids, in their order) with access that should have ended by now."""
        rows = await connection.fetch(
            """
            SELECT DISTINCT s.stripe_subscription_id AS id
            FROM access_grants g JOIN subscriptions s ON s.id = g.subscription_id
            WHERE g.access AND g.access_until <= $1 AND s.stripe_subscription_id > $2 ORDER BY 1 LIMIT $3
            """,
            now,
            last,
            limit,
        )
        return [row["id"] for row in rows]

    # Comparing

    async def count(self, connection: Connection, compared: Compared) -> int:
        found: int = await connection.fetchval(
            f"SELECT count(*) FROM {compared.table} t WHERE {compared.where}", timeout=_LONG_S
        )
        return found

    async def compared(self, tx: Transaction, compared: Compared) -> "Cursor[Record]":
        """Every row as `(key, fields)`, by key."""
        refs = "".join(f" || jsonb_build_object('{name}', {sql})" for name, sql in compared.refs.items())
        ignored: list[Any] = list(compared.ignored)
        return await tx.cursor(
            f"""
            SELECT {compared.key} AS key, (to_jsonb(t) - $1::text[]){refs} AS fields
            FROM {compared.table} t WHERE {compared.where} ORDER BY ({compared.key}) COLLATE "C"
            """,
            ignored,
            timeout=_LONG_S,
        )
