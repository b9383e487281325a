"""SQL of invoices and their lines."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.invoices.models import InvoiceRow, LineRow
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import MirrorTable, RowTable

__all__ = ["InvoiceFilter", "InvoiceRepository"]
_INVOICES = MirrorTable("invoices", InvoiceRow, "stripe_invoice_id")
_LINES = RowTable("invoice_lines", LineRow, ["invoice_id", "position"])


class InvoiceFilter:
    """What a list asks for: an owner (None: everybody), and optional status and subscription (our id or Stripe's)."""

    def __init__(
        self, *, owner: UUID | None, status: str | None = None, subscription: UUID | str | None = None
    ) -> None:
        column = "stripe_subscription_id = {}"
        if isinstance(subscription, UUID):
            column = "stripe_subscription_id = (SELECT stripe_subscription_id FROM subscriptions WHERE id = {})"
        self.conditions: list[tuple[Any, ...]] = [
            ("NOT deleted",),
            *(
                (condition, value)
                for condition, value in (("user_id = {}", owner), ("status = {}", status), (column, subscription))
                if value is not None
            ),
        ]


class InvoiceRepository:
    """Reads and writes `invoices` and `invoice_lines` in the transaction it is given."""

    async def find(
        self, connection: Connection, invoice_id: UUID | str, owner: UUID | None = None
    ) -> InvoiceRow | None:
        """An invoice by our id or Stripe's, deleted ones too, if `owner` (None: everybody) may see it."""
        column = "id" if isinstance(invoice_id, UUID) else "stripe_invoice_id"
        row = await connection.fetchrow(
            f"{_INVOICES.select} WHERE {column} = $1 AND ($2::uuid IS NULL OR user_id = $2)", invoice_id, owner
        )
        return _INVOICES.read(row) if row else None

    async def lock_many(self, tx: Transaction, stripe_ids: Collection[str]) -> dict[str, InvoiceRow]:
        """The rows of these Stripe ids, locked in id order."""
        return await _INVOICES.lock(tx, list(stripe_ids))

    async def save(self, tx: Transaction, rows: Sequence[InvoiceRow]) -> None:
        """Insert or update whole rows."""
        await _INVOICES.save(tx, rows)

    async def claim(self, tx: Transaction, stripe_customer_id: str, user_id: UUID) -> None:
        """Give the invoices of a customer that were nobody's to a user."""
        await tx.execute(
            "UPDATE invoices SET user_id = $2 WHERE stripe_customer_id = $1 AND user_id IS NULL",
            stripe_customer_id,
            user_id,
        )

    async def save_lines(self, tx: Transaction, lines: Mapping[UUID, Sequence[LineRow]]) -> None:
        """Put these lines in the place of those that the invoices had."""
        await tx.execute("DELETE FROM invoice_lines WHERE invoice_id = ANY($1)", list(lines))
        found = [line for of_one in lines.values() for line in of_one]
        await tx.executemany(_LINES.insert, [_LINES.values(line) for line in found])

    async def lines_of(self, connection: Connection, invoice_ids: Sequence[UUID]) -> dict[UUID, list[LineRow]]:
        """The lines of these invoices, in order; an invoice without any has an empty list."""
        rows = await connection.fetch(
            f"{_LINES.select} WHERE invoice_id = ANY($1) ORDER BY invoice_id, position", invoice_ids
        )
        lines: dict[UUID, list[LineRow]] = {invoice_id: [] for invoice_id in invoice_ids}
        for row in rows:
            lines[row["invoice_id"]].append(_LINES.read(row))
        return lines

    async def unpaid_of(self, connection: Connection, stripe_subscription_ids: Sequence[str]) -> list[InvoiceRow]:
        """The open invoices of these subscriptions with money to come; what failed first comes first."""
        rows = await connection.fetch(
            f"""
            {_INVOICES.select} WHERE stripe_subscription_id = ANY($1) AND status = 'open' AND amount_remaining > 0
            ORDER BY coalesce(first_failed_at, created_at), id
            """,
            stripe_subscription_ids,
        )
        return [_INVOICES.read(row) for row in rows]

    async def listed(
        self,
        connection: Connection,
        wanted: InvoiceFilter,
        *,
        limit: int,
        after: InvoiceRow | None = None,
        before: InvoiceRow | None = None,
    ) -> Page[InvoiceRow]:
        """One page, newest first, beyond `after` (older) or `before` (newer), both exclusive; no deleted ones."""
        return await _INVOICES.page(connection, wanted.conditions, limit=limit, after=after, before=before)
