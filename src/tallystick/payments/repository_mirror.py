"""SQL of what hangs on a payment at Stripe: charges, refunds, disputes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from tallystick.payments.models import ChargeRow, DisputeRow, RefundRow
from tallystick.platform.database import Connection, Transaction

__all__ = ["CHARGES", "DISPUTES", "REFUNDS", "MirrorTable", "RefundRepository"]

Row = TypeVar("Row", ChargeRow, RefundRow, DisputeRow)
_MONEY = ("amount", "amount_captured", "amount_refunded")


class MirrorTable(Generic[Row]):
    """One mirrored table whose rows carry a revision; the columns are the fields of its record."""

    def __init__(self, table: str, row: type[Row], stripe_id: str) -> None:
        names = row.__struct_fields__
        self._row: Callable[..., Row] = row
        self._names = names
        self._stripe_id = stripe_id
        self.columns = ", ".join(f"{name}::bigint AS {name}" if name in _MONEY else name for name in names)
        self._select = f"SELECT {self.columns} FROM {table}"
        marks = ", ".join(f"${n}" for n in range(1, len(names) + 1))
        fixed = ("id", "created_at", "currency")
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in fixed)
        self._upsert = f"""
            INSERT INTO {table} ({", ".join(names)}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changes}
        """

    async def lock_many(self, tx: Transaction, stripe_ids: Sequence[str], ids: Sequence[UUID] = ()) -> list[Row]:
        """The rows of these Stripe ids, and those of these ids that have none yet, locked in id order."""
        rows = await tx.fetch(
            f"{self._select} WHERE {self._stripe_id} = ANY($1) OR (id = ANY($2) AND {self._stripe_id} IS NULL)"
            " ORDER BY id FOR UPDATE",
            stripe_ids,
            ids,
        )
        return [self._row(*row) for row in rows]

    async def get(self, connection: Connection, row_id: UUID) -> Row | None:
        """The row of our own id."""
        row = await connection.fetchrow(f"{self._select} WHERE id = $1", row_id)
        return self._row(*row) if row else None

    async def find(self, connection: Connection, stripe_id: str) -> Row | None:
        row = await connection.fetchrow(f"{self._select} WHERE {self._stripe_id} = $1", stripe_id)
        return self._row(*row) if row else None

    async def by_payment(self, connection: Connection, payment_id: UUID) -> list[Row]:
        """All of a payment, newest first (Stripe bounds their number)."""
        rows = await connection.fetch(f"{self._select} WHERE payment_id = $1 ORDER BY created_at DESC, id", payment_id)
        return [self._row(*row) for row in rows]

    async def cards(
        self, connection: Connection, stripe_ids: Sequence[str]
    ) -> dict[str, tuple[str | None, str | None]]:
        """Brand and last four digits of the cards behind these charges."""
        if not stripe_ids:
            return {}
        rows = await connection.fetch(f"{self._select} WHERE {self._stripe_id} = ANY($1)", stripe_ids)
        return {row[self._stripe_id]: (row["card_brand"], row["card_last4"]) for row in rows}

    async def save(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """Insert or update whole rows."""
        await tx.executemany(self._upsert, [[getattr(row, name) for name in self._names] for row in rows])


CHARGES: MirrorTable[ChargeRow] = MirrorTable("charges", ChargeRow, "stripe_charge_id")
REFUNDS: MirrorTable[RefundRow] = MirrorTable("refunds", RefundRow, "stripe_refund_id")
DISPUTES: MirrorTable[DisputeRow] = MirrorTable("disputes", DisputeRow, "stripe_dispute_id")


class RefundRepository:
    """What only refunds need: reservations, which exist before Stripe knows of them."""

    async def delete_reservation(self, tx: Transaction, refund_id: UUID) -> None:
        """Remove a reservation of which nothing exists at Stripe."""
        await tx.execute("DELETE FROM refunds WHERE id = $1 AND stripe_refund_id IS NULL", refund_id)

    async def end_reservation(self, tx: Transaction, refund_id: UUID, status: str, now: datetime) -> None:
        """Give a reservation that Stripe does not know its last word (`abandoned`, `failed`)."""
        await tx.execute(
            """
            UPDATE refunds SET status = $2, revision = revision + 1, updated_at = $3
            WHERE id = $1 AND stripe_refund_id IS NULL
            """,
            refund_id,
            status,
            now,
        )
