"""SQL of one mirrored table: rows are records whose fields are its columns, known by our id and by Stripe's."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from tallystick.platform.database import Connection, Record, Transaction

__all__ = ["MirrorTable"]

Row = TypeVar("Row", bound=msgspec.Struct)


class MirrorTable(Generic[Row]):
    """Reads and writes whole rows of `table`; `stripe_id` is the column of Stripe's id, which is unique."""

    def __init__(self, table: str, row: type[Row], stripe_id: str) -> None:
        fields = msgspec.structs.fields(row)
        self._row: Callable[..., Row] = row
        self._names = [field.name for field in fields]
        self._stripe_id = stripe_id
        # Amounts are numeric, which the driver reads as Decimal; money is in integers here.
        numbers = {field.name for field in fields if field.type in (int, int | None)}
        columns = ", ".join(f"{name}::bigint AS {name}" if name in numbers else name for name in self._names)
        marks = ", ".join(f"${n}" for n in range(1, len(self._names) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in self._names if name not in ("id", "created_at"))
        self.select = f"SELECT {columns} FROM {table}"
        self._upsert = f"""
            INSERT INTO {table} ({", ".join(self._names)}) VALUES ({marks})
            ON CONFLICT ({stripe_id}) DO UPDATE SET {changes}
        """

    def read(self, row: Record) -> Row:
        """A record of a row that `select` found."""
        return self._row(*row)

    async def lock(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, Row]:
        """The rows of these Stripe ids, locked in the order of our ids."""
        rows = await tx.fetch(
            f"{self.select} WHERE {self._stripe_id} = ANY($1) ORDER BY id FOR UPDATE", list(stripe_ids)
        )
        return {str(row[self._stripe_id]): self.read(row) for row in rows}

    async def find(self, connection: Connection, row_id: UUID | str) -> Row | None:
        """The row of our id (a UUID) or of Stripe's."""
        column = "id" if isinstance(row_id, UUID) else self._stripe_id
        row = await connection.fetchrow(f"{self.select} WHERE {column} = $1", row_id)
        return self.read(row) if row else None

    async def save(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """Insert or replace whole rows."""
        await tx.executemany(self._upsert, [[getattr(row, name) for name in self._names] for row in rows])
