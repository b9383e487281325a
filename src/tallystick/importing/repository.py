"""SQL of `imports` with their ranges and refusals, and what an import reads of the mirror."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from tallystick.core.ids import new_id
from tallystick.importing.models import Counts, Import, ImportOptions, Range, Refusal
from tallystick.platform.database import Connection, Record, Transaction
from tallystick.reconciliation.kinds import Kind

__all__ = ["ImportRepository"]

_IMPORT = "id, state, until, options, owner, lease_until, took_ms, started_at"
_COUNTS = "listed, added, same, changed, left_out"
_RANGE = f"id, object, scope, created_from, created_until, expected, cursor, cursor_created, done, {_COUNTS}"
_PLAIN = 9
"""How many columns of a range stand before its counts."""

# What says nothing about Stripe's object: our own bookkeeping.
_OURS = "'{id,revision,state_at,unsure,updated_at,flagged}'::text[]"


def _import(row: Record) -> Import:
    return Import(row["id"], row["state"], row["until"], msgspec.convert(row["options"], ImportOptions), *row[4:])


class ImportRepository:
    """Reads and writes imports."""

    # The import and its lease

    async def running(self, tx: Transaction, *, lock: bool = False) -> Import | None:
        """The import that is not finished; there is at most one."""
        rest = "FOR UPDATE" if lock else ""
        row = await tx.fetchrow(f"SELECT {_IMPORT} FROM imports WHERE state = 'running' {rest}")
        return _import(row) if row else None

    async def find(self, connection: Connection, import_id: UUID) -> Import:
        row = await connection.fetchrow(f"SELECT {_IMPORT} FROM imports WHERE id = $1", import_id)
        assert row is not None
        return _import(row)

    async def begin(self, tx: Transaction, until: datetime, options: ImportOptions, now: datetime) -> None:
        """Make a new import, unless one is running."""
        await tx.execute(
            """
            INSERT INTO imports (id, state, until, options, started_at) VALUES ($1, 'running', $2, $3, $4)
            ON CONFLICT (state) WHERE state = 'running' DO NOTHING
            """,
            new_id(),
            until,
            msgspec.to_builtins(options),
            now,
        )

    async def take(self, tx: Transaction, import_id: UUID, owner: str, until: datetime) -> None:
        """Give the import to `owner`; the caller has locked it and seen that it is free."""
        await tx.execute("UPDATE imports SET owner = $2, lease_until = $3 WHERE id = $1", import_id, owner, until)

    async def prolong(self, tx: Transaction, import_id: UUID, owner: str, until: datetime, worked_ms: int) -> bool:
        """Keep the import for longer; False where somebody else has it."""
        done = await tx.fetchval(
            """
            UPDATE imports SET lease_until = $3, took_ms = took_ms + $4 WHERE id = $1 AND owner = $2 RETURNING true
            """,
            import_id,
            owner,
            until,
            worked_ms,
        )
        return done is not None

    async def let_go(self, tx: Transaction, import_id: UUID, owner: str, worked_ms: int) -> None:
        await tx.execute(
            """
            UPDATE imports SET owner = NULL, lease_until = NULL, took_ms = took_ms + $3 WHERE id = $1 AND owner = $2
            """,
            import_id,
            owner,
            worked_ms,
        )

    async def holds(self, tx: Transaction, import_id: UUID, owner: str) -> bool:
        """Whether the import is still this owner's, and stays so until `tx` ends."""
        found = await tx.fetchval(
            "SELECT true FROM imports WHERE id = $1 AND owner = $2 AND state = 'running' FOR SHARE", import_id, owner
        )
        return found is not None

    async def finish(self, tx: Transaction, import_id: UUID, state: str, now: datetime) -> None:
        """`done`, or `abandoned`."""
        await tx.execute("UPDATE imports SET state = $2, finished_at = $3 WHERE id = $1", import_id, state, now)

    # Ranges

    async def ranges(self, connection: Connection, import_id: UUID) -> list[Range]:
        rows = await connection.fetch(
            f"SELECT {_RANGE} FROM import_ranges WHERE import_id = $1 ORDER BY created_until DESC NULLS LAST, id",
            import_id,
        )
        return [replace(Range(*row[:_PLAIN]), counts=Counts(*row[_PLAIN:])) for row in rows]

    async def add_ranges(self, tx: Transaction, import_id: UUID, ranges: Sequence[Range]) -> None:
        await tx.executemany(
            """
            INSERT INTO import_ranges (id, import_id, object, scope, created_from, created_until, expected)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                (each.id, import_id, each.object, each.scope, each.created_from, each.created_until, each.expected)
                for each in ranges
            ],
        )

    async def save_range(self, tx: Transaction, one: Range) -> None:
        """Store how far a range has come."""
        await tx.execute(
            """
            UPDATE import_ranges SET cursor = $2, cursor_created = $3, done = $4, listed = $5, added = $6, same = $7,
                changed = $8, left_out = $9, created_until = $10
            WHERE id = $1
            """,
            one.id,
            one.cursor,
            one.cursor_created,
            one.done,
            *msgspec.structs.astuple(one.counts),
            one.created_until,
        )

    # Refusals

    async def add_refusals(self, tx: Transaction, import_id: UUID, refusals: Sequence[Refusal]) -> None:
        await tx.executemany(
            """
            INSERT INTO import_refusals (import_id, object, object_id, reason) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING
            """,
            [(import_id, each.object, each.object_id, each.reason) for each in refusals],
        )

    async def refusals(self, connection: Connection, import_id: UUID, limit: int) -> list[Refusal]:
        rows = await connection.fetch(
            "SELECT object, object_id, reason FROM import_refusals WHERE import_id = $1 ORDER BY 1, 2 LIMIT $2",
            import_id,
            limit,
        )
        return [Refusal(*row) for row in rows]

    async def count_refusals(self, connection: Connection, import_id: UUID) -> dict[str, int]:
        rows = await connection.fetch(
            "SELECT object, count(*) FROM import_refusals WHERE import_id = $1 GROUP BY object", import_id
        )
        return {row[0]: row[1] for row in rows}

    # The mirror

    async def revisions(self, connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, tuple[int, Any]]:
        """Revision and time of the state of those of these objects that the mirror has."""
        rows = await connection.fetch(
            f"SELECT {kind.stripe_id}, revision, state_at FROM {kind.table} WHERE {kind.stripe_id} = ANY($1)", list(ids)
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def shown(self, connection: Connection, kind: Kind, ids: Sequence[str]) -> Mapping[str, Any]:
        """What the rows of these objects show of Stripe, comparable by `==`."""
        rows = await connection.fetch(
            f"""
            SELECT t.{kind.stripe_id}, to_jsonb(t) - {_OURS} FROM {kind.table} t WHERE t.{kind.stripe_id} = ANY($1)
            """,
            list(ids),
        )
        return {row[0]: row[1] for row in rows}

    async def customers_after(self, connection: Connection, after: str, limit: int) -> list[str]:
        """The next customers that are not deleted, by Stripe's id."""
        rows = await connection.fetch(
            """
            SELECT stripe_customer_id FROM customers WHERE stripe_customer_id > $1 AND NOT deleted
            ORDER BY stripe_customer_id LIMIT $2
            """,
            after,
            limit,
        )
        return [row[0] for row in rows]

    async def count_customers(self, connection: Connection) -> int:
        found: int = await connection.fetchval("SELECT count(*) FROM customers WHERE NOT deleted")
        return found

    async def known_customers(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        rows = await connection.fetch(
            "SELECT stripe_customer_id FROM customers WHERE stripe_customer_id = ANY($1)", list(ids)
        )
        return {row[0] for row in rows}

    async def count_without_user(self, connection: Connection, kind: Kind) -> int:
        """How many rows of a kind whose table has a user belong to none."""
        gone = "AND NOT deleted" if kind.object in ("customer", "invoice") else ""
        gone += "AND stripe_customer_id IS NOT NULL" if kind.object == "payment_method" else ""
        found: int = await connection.fetchval(f"SELECT count(*) FROM {kind.table} WHERE user_id IS NULL {gone}")
        return found
