"""SQL of tables whose rows are records with the table's columns as fields, read and written whole."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from tallystick.core.pages import Page
from tallystick.platform.database import Connection, Transaction

__all__ = ["MirrorTable", "RowTable"]

Row = TypeVar("Row", bound=msgspec.Struct)


class RowTable(Generic[Row]):
    """Whole rows of `table`, unique by the columns `key`; saving a row again leaves the columns `fixed` as they are."""

    def __init__(self, table: str, row: type[Row], key: Sequence[str], *, fixed: Sequence[str] = ()) -> None:
        fields = msgspec.structs.fields(row)
        self._row: Callable[..., Row] = row
        self._names = [field.name for field in fields]
        # Amounts are numeric, which the driver reads as Decimal; money is in integers here.
        numbers = {field.name for field in fields if field.type in (int, int | None)}
        self.table = table
        self.columns = ", ".join(f"{name}::bigint AS {name}" if name in numbers else name for name in self._names)
        marks = ", ".join(f"${n}" for n in range(1, len(self._names) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in self._names if name not in (*key, *fixed))
        self.select = f"SELECT {self.columns} FROM {table}"
        self.insert = f"INSERT INTO {table} ({', '.join(self._names)}) VALUES ({marks})"
        self._upsert = f"{self.insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"

    def read(self, row: Iterable[Any]) -> Row:
        """A record of a row that `select` found, or of the values of `columns`."""
        return self._row(*row)

    def values(self, row: Row) -> list[Any]:
        """The arguments of `insert`."""
        return [getattr(row, name) for name in self._names]

    async def save(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """Insert or replace whole rows."""
        await tx.executemany(self._upsert, [self.values(row) for row in rows])


class MirrorTable(RowTable[Row]):
    """A table of what is Stripe's: `stripe_id` is the column of Stripe's id, `id` our own; both are unique.

    A row that is stored before Stripe knows of it has no Stripe id yet: such a table has `id` as its `key`.
    """

    def __init__(
        self,
        table: str,
        row: type[Row],
        stripe_id: str,
        *,
        key: str | None = None,
        fixed: Sequence[str] = ("id",),
    ) -> None:
        super().__init__(table, row, [key or stripe_id], fixed=fixed)
        self._stripe_id = stripe_id

    async def lock(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, Row]:
        """The rows of these Stripe ids, locked in the order of our ids."""
        rows = await tx.fetch(
            f"{self.select} WHERE {self._stripe_id} = ANY($1) ORDER BY id FOR UPDATE", list(stripe_ids)
        )
        return {str(row[self._stripe_id]): self.read(row) for row in rows}

    async def lock_ours(self, tx: Transaction, stripe_ids: Sequence[str], ids: Sequence[UUID]) -> list[Row]:
        """The rows of these Stripe ids, and those of our ids that have none yet, locked in the order of our ids."""
        rows = await tx.fetch(
            f"""
            {self.select} WHERE {self._stripe_id} = ANY($1) OR (id = ANY($2) AND {self._stripe_id} IS NULL)
            ORDER BY id FOR UPDATE
            """,
            list(stripe_ids),
            list(ids),
        )
        return [self.read(row) for row in rows]

    async def find(self, connection: Connection, row_id: UUID | str) -> Row | None:
        """The row of our id (a UUID) or of Stripe's."""
        column = "id" if isinstance(row_id, UUID) else self._stripe_id
        row = await connection.fetchrow(f"{self.select} WHERE {column} = $1", row_id)
        return self.read(row) if row else None

    async def page(
        self,
        connection: Connection,
        conditions: Sequence[tuple[Any, ...]],
        *,
        limit: int,
        after: Row | None = None,
        before: Row | None = None,
    ) -> Page[Row]:
        """One page, newest first, beyond `after` (older) or `before` (newer), both exclusive.

        Each of `conditions` is SQL, with its value where it has `{}`. The table has `created_at` and `id`.
        """
        wanted: list[str] = []
        values: list[Any] = []
        for condition, *value in conditions:
            values += value
            wanted.append(condition.format(f"${len(values)}"))
        edge: Any = before or after
        comparison, direction = (">", "ASC") if before else ("<", "DESC")
        if edge is not None:
            values += [edge.created_at, edge.id]
            wanted.append(f"(created_at, id) {comparison} (${len(values) - 1}, ${len(values)})")
        values.append(limit + 1)
        where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
        rows = await connection.fetch(
            f"{self.select} {where} ORDER BY created_at {direction}, id {direction} LIMIT ${len(values)}", *values
        )
        found = [self.read(row) for row in rows[:limit]]
        return Page(found[::-1] if before else found, len(rows) > limit)
