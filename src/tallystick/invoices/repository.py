"""SQL of invoices and their lines."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.invoices.models import InvoiceRow, LineRow
from tallystick.platform.database import Connection, Record, Transaction

__all__ = ["InvoiceFilter", "InvoiceRepository"]

_MONEY = frozenset(
    {
        "subtotal",
        "discount",
        "tax",
        "total",
        "amount",
        "amount_due",
        "amount_paid",
        "amount_remaining",
        "starting_balance",
        "ending_balance",
    }
)
_NAMES = InvoiceRow.__struct_fields__
_LINE_NAMES = LineRow.__struct_fields__


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f"{name}::bigint AS {name}" if name in _MONEY else name for name in names)


def _marks(names: Sequence[str]) -> str:
    return ", ".join(f"${n}" for n in range(1, len(names) + 1))


_SELECT = f"SELECT {_columns(_NAMES)} FROM invoices"
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in ("id", "created_at"))
_UPSERT = f"""
    INSERT INTO invoices ({", ".join(_NAMES)}) VALUES ({_marks(_NAMES)})
    ON CONFLICT (stripe_invoice_id) DO UPDATE SET {_CHANGES}
"""
_INSERT_LINE = f"INSERT INTO invoice_lines ({', '.join(_LINE_NAMES)}) VALUES ({_marks(_LINE_NAMES)})"


def _invoice(row: Record) -> InvoiceRow:
    return InvoiceRow(*row)


class InvoiceFilter:
    """What a list asks for: an owner (None: everybody), and optional status and subscription (our id or Stripe's)."""

    def __init__(
        self, *, owner: UUID | None, status: str | None = None, subscription: UUID | str | None = None
    ) -> None:
        column = "stripe_subscription_id = {}"
        if isinstance(subscription, UUID):
            column = "stripe_subscription_id = (SELECT stripe_subscription_id FROM subscriptions WHERE id = {})"
        self.conditions: list[tuple[str, Any]] = [
            (condition, value)
            for condition, value in (("user_id = {}", owner), ("status = {}", status), (column, subscription))
            if value is not None
        ]


class InvoiceRepository:
    """Reads and writes `invoices` and `invoice_lines` in the transaction it is given."""

    async def find(
        self, connection: Connection, invoice_id: UUID | str, owner: UUID | None = None
    ) -> InvoiceRow | None:
        """An invoice by our id or Stripe's, deleted ones too, if `owner` (None: everybody) may see it."""
        column = "id" if isinstance(invoice_id, UUID) else "stripe_invoice_id"
        row = await connection.fetchrow(
            f"{_SELECT} WHERE {column} = $1 AND ($2::uuid IS NULL OR user_id = $2)", invoice_id, owner
        )
        return _invoice(row) if row else None

    async def lock_many(self, tx: Transaction, stripe_ids: Collection[str]) -> dict[str, InvoiceRow]:
        """The rows of these Stripe ids, locked in id order."""
        rows = await tx.fetch(f"{_SELECT} WHERE stripe_invoice_id = ANY($1) ORDER BY id FOR UPDATE", list(stripe_ids))
        return {row["stripe_invoice_id"]: _invoice(row) for row in rows}

    async def save(self, tx: Transaction, rows: Sequence[InvoiceRow]) -> None:
        """Insert or update whole rows."""
        await tx.executemany(_UPSERT, [[getattr(row, name) for name in _NAMES] for row in rows])

    async def save_lines(self, tx: Transaction, lines: Mapping[UUID, Sequence[LineRow]]) -> None:
        """Put these lines in the place of those that the invoices had."""
        await tx.execute("DELETE FROM invoice_lines WHERE invoice_id = ANY($1)", list(lines))
        found = [line for of_one in lines.values() for line in of_one]
        await tx.executemany(_INSERT_LINE, [[getattr(line, name) for name in _LINE_NAMES] for line in found])

    async def lines_of(self, connection: Connection, invoice_ids: Sequence[UUID]) -> dict[UUID, list[LineRow]]:
        """The lines of these invoices, in order; an invoice without any has an empty list."""
        rows = await connection.fetch(
            f"""
            SELECT {_columns(_LINE_NAMES)} FROM invoice_lines
            WHERE invoice_id = ANY($1) ORDER BY invoice_id, position
            """,
            invoice_ids,
        )
        lines: dict[UUID, list[LineRow]] = {invoice_id: [] for invoice_id in invoice_ids}
        for row in rows:
            lines[row["invoice_id"]].append(LineRow(*row))
        return lines

    async def unpaid_of(self, connection: Connection, stripe_subscription_ids: Sequence[str]) -> list[InvoiceRow]:
        """The open invoices of these subscriptions with money to come; what failed first comes first."""
        rows = await connection.fetch(
            f"""
            {_SELECT} WHERE stripe_subscription_id = ANY($1) AND status = 'open' AND amount_remaining > 0
            ORDER BY coalesce(first_failed_at, created_at), id
            """,
            stripe_subscription_ids,
        )
        return [_invoice(row) for row in rows]

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
        conditions, values = ["NOT deleted"], []
        for condition, value in wanted.conditions:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
        edge, comparison, direction = (before, ">", "ASC") if before else (after, "<", "DESC")
        if edge is not None:
            values += [edge.created_at, edge.id]
            conditions.append(f"(created_at, id) {comparison} (${len(values) - 1}, ${len(values)})")
        values.append(limit + 1)
        rows = await connection.fetch(
            f"""
            {_SELECT} WHERE {" AND ".join(conditions)}
            ORDER BY created_at {direction}, id {direction} LIMIT ${len(values)}
            """,
            *values,
        )
        found = [_invoice(row) for row in rows[:limit]]
        return Page(found[::-1] if before else found, len(rows) > limit)
