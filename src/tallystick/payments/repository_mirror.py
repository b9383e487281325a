"""SQL of what hangs on a payment at Stripe: charges, refunds, disputes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tallystick.payments.models import ChargeRow, DisputeRow, RefundRow
from tallystick.platform.database import Connection, Record, Transaction
from tallystick.platform.mirror_table import MirrorTable

__all__ = ["CHARGES", "DISPUTES", "PARTS", "REFUNDS", "RefundRepository", "cards_of", "parts_of"]

# By our id: a refund is stored before Stripe knows of it.
CHARGES = MirrorTable("charges", ChargeRow, "stripe_charge_id", key="id")
REFUNDS = MirrorTable("refunds", RefundRow, "stripe_refund_id", key="id")
DISPUTES = MirrorTable("disputes", DisputeRow, "stripe_dispute_id", key="id")


PARTS = ", ".join(
    f"""
    ARRAY(SELECT part FROM (SELECT {table.columns} FROM {table.table} WHERE payment_id = payments.id) part
          ORDER BY part.created_at DESC, part.id)
    """
    for table in (CHARGES, REFUNDS, DISPUTES)
)
"""Columns of a query of `payments`: all charges, refunds and disputes, newest first (Stripe bounds their number)."""


def parts_of(row: Record) -> tuple[list[ChargeRow], list[RefundRow], list[DisputeRow]]:
    """What a row tells that ends with `PARTS`."""
    charges, refunds, disputes = row[-3:]
    return (
        [CHARGES.read(part) for part in charges],
        [REFUNDS.read(part) for part in refunds],
        [DISPUTES.read(part) for part in disputes],
    )


async def cards_of(
    connection: Connection, stripe_charge_ids: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Brand and last four digits of the cards behind these charges."""
    if not stripe_charge_ids:
        return {}
    rows = await connection.fetch(
        "SELECT stripe_charge_id, card_brand, card_last4 FROM charges WHERE stripe_charge_id = ANY($1)",
        stripe_charge_ids,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


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
