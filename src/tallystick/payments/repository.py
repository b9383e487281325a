"""SQL of payments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.payments.models import ChargeRow, DisputeRow, Payment, RefundRow
from tallystick.payments.repository_mirror import PARTS, parts_of
from tallystick.payments.states import REFUND_COUNTED, REFUND_RESERVED
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import MirrorTable

__all__ = ["HistoryFilter", "PaymentRepository"]

_PAYMENTS = MirrorTable("payments", Payment, "stripe_payment_intent_id", key="id")
_OPEN = ["requires_payment_method", "requires_confirmation", "requires_action", "failed"]
# What a state carries; our id and the creation never change once they are known.
_STATE = {
    "stripe_payment_intent_id": "text",
    "user_id": "uuid",
    "stripe_customer_id": "text",
    "amount": "bigint",
    "currency": "text",
    "status": "text",
    "stripe_status": "text",
    "payment_method": "text",
    "description": "text",
    "metadata": "jsonb",
    "capture_method": "text",
    "setup_future_usage": "text",
    "amount_capturable": "bigint",
    "amount_received": "bigint",
    "latest_charge_id": "text",
    "error_code": "text",
    "decline_code": "text",
    "cancellation_reason": "text",
    "canceled_at": "timestamptz",
    "claimed": "boolean",
    "revision": "bigint",
    "state_at": "timestamptz",
    "unsure": "boolean",
    "updated_at": "timestamptz",
}
# One statement for a batch: each of many costs as much again as what it does.
_UPDATE = f"""
    UPDATE payments SET {", ".join(f"{name} = new.{name}" for name in _STATE)}
    FROM unnest($1::uuid[], {", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(_STATE.values(), 2))})
        AS new (id, {", ".join(_STATE)})
    WHERE payments.id = new.id
"""


class HistoryFilter:
    """What a history asks for: an owner (None: everybody), and optional status, currency and time bounds."""

    def __init__(
        self,
        *,
        owner: UUID | None,
        status: str | None = None,
        currency: str | None = None,
        created_from: datetime | None = None,
        created_until: datetime | None = None,
    ) -> None:
        self.conditions: list[tuple[str, Any]] = [
            (condition, value)
            for condition, value in (
                ("user_id = {}", owner),
                ("status = {}", status),
                ("currency = {}", currency),
                ("created_at >= {}", created_from),
                ("created_at < {}", created_until),
            )
            if value is not None
        ]


class PaymentRepository:
    """Reads and writes `payments` in the transaction it is given."""

    async def find(self, connection: Connection, payment_id: UUID | str, owner: UUID | None) -> Payment | None:
        """A payment by our id or the intent's, if `owner` (None: everybody) may see it."""
        column = "id" if isinstance(payment_id, UUID) else "stripe_payment_intent_id"
        row = await connection.fetchrow(
            f"{_PAYMENTS.select} WHERE {column} = $1 AND ($2::uuid IS NULL OR user_id = $2)",
            payment_id,
            owner,
        )
        return _PAYMENTS.read(row) if row else None

    async def find_whole(
        self, connection: Connection, payment_id: UUID | str, owner: UUID | None
    ) -> tuple[Payment, list[ChargeRow], list[RefundRow], list[DisputeRow]] | None:
        """The same with its charges, refunds and disputes, newest first, in one round trip."""
        column = "id" if isinstance(payment_id, UUID) else "stripe_payment_intent_id"
        row = await connection.fetchrow(
            f"""
            SELECT {_PAYMENTS.columns}, {PARTS} FROM payments
            WHERE {column} = $1 AND ($2::uuid IS NULL OR user_id = $2)
            """,
            payment_id,
            owner,
        )
        return (_PAYMENTS.read(row[:-3]), *parts_of(row)) if row else None

    async def lock(self, tx: Transaction, payment_id: UUID) -> Payment | None:
        row = await tx.fetchrow(f"{_PAYMENTS.select} WHERE id = $1 FOR UPDATE", payment_id)
        return _PAYMENTS.read(row) if row else None

    async def lock_many(self, tx: Transaction, intent_ids: Sequence[str], ids: Sequence[UUID]) -> list[Payment]:
        """The payments of these intents, and those of these ids whose intent is not known yet, locked in id order."""
        return await _PAYMENTS.lock_ours(tx, intent_ids, ids)

    async def of_intents(self, connection: Connection, intent_ids: Sequence[str]) -> list[Payment]:
        """The payments of these intents, not locked."""
        rows = await connection.fetch(f"{_PAYMENTS.select} WHERE stripe_payment_intent_id = ANY($1)", intent_ids)
        return [_PAYMENTS.read(row) for row in rows]

    async def insert(self, tx: Transaction, payment: Payment) -> bool:
        """Insert; False when the id or the intent is there already."""
        row = await tx.fetchval(f"{_PAYMENTS.insert} ON CONFLICT DO NOTHING RETURNING id", *_PAYMENTS.values(payment))
        return row is not None

    async def update_many(self, tx: Transaction, payments: Sequence[Payment]) -> None:
        """Write the states of locked payments."""
        columns = ([getattr(payment, name) for payment in payments] for name in ("id", *_STATE))
        await tx.execute(_UPDATE, *columns)

    async def delete(self, tx: Transaction, payment_id: UUID) -> None:
        """Remove a payment of which nothing exists at Stripe."""
        await tx.execute("DELETE FROM payments WHERE id = $1 AND stripe_payment_intent_id IS NULL", payment_id)

    async def claim(self, tx: Transaction, stripe_customer_id: str, user_id: UUID) -> None:
        """Give the payments of a customer that were nobody's to a user."""
        await tx.execute(
            "UPDATE payments SET user_id = $2 WHERE stripe_customer_id = $1 AND user_id IS NULL",
            stripe_customer_id,
            user_id,
        )

    async def set_status(self, tx: Transaction, payment_id: UUID, status: str, now: datetime) -> None:
        """Set our own word for a payment that Stripe does not know (`abandoned`)."""
        await tx.execute(
            """
            UPDATE payments SET status = $2, revision = revision + 1, updated_at = $3
            WHERE id = $1 AND stripe_payment_intent_id IS NULL
            """,
            payment_id,
            status,
            now,
        )

    async def sum_refunds(self, tx: Transaction, payment_ids: Sequence[UUID]) -> None:
        """Bring `amount_refunded` of these payments up to their refunds."""
        await tx.execute(
            """
            UPDATE payments SET amount_refunded = coalesce((
                SELECT sum(amount) FROM refunds
                WHERE payment_id = payments.id AND status = ANY($2) AND NOT release
            ), 0)
            WHERE id = ANY($1)
            """,
            payment_ids,
            REFUND_COUNTED,
        )

    async def reserved(self, tx: Transaction, payment_id: UUID) -> int:
        """What refunds, requested and unknown ones too, take of a payment."""
        total: int = await tx.fetchval(
            """
            SELECT coalesce(sum(amount), 0)::bigint FROM refunds
            WHERE payment_id = $1 AND status = ANY($2) AND NOT release
            """,
            payment_id,
            REFUND_RESERVED,
        )
        return total

    async def history(
        self,
        connection: Connection,
        wanted: HistoryFilter,
        *,
        limit: int,
        after: Payment | None = None,
        before: Payment | None = None,
    ) -> Page[Payment]:
        """One page, newest first, beyond `after` (older) or `before` (newer), both exclusive."""
        return await _PAYMENTS.page(connection, wanted.conditions, limit=limit, after=after, before=before)

    async def oldest_open(self, connection: Connection, created_from: datetime) -> datetime | None:
        """When the oldest payment was made that is open and not yet one of `stale_open`."""
        found: datetime | None = await connection.fetchval(
            """
            SELECT min(created_at) FROM payments
            WHERE status = ANY($1) AND created_at >= $2 AND claimed AND stripe_payment_intent_id IS NOT NULL
            """,
            _OPEN,
            created_from,
        )
        return found

    async def stale_open(self, connection: Connection, created_until: datetime, limit: int) -> list[Payment]:
        """Payments of ours on which nobody acts any more: open, and made before `created_until`."""
        rows = await connection.fetch(
            f"""
            {_PAYMENTS.select}
            WHERE status = ANY($1) AND created_at < $2 AND claimed AND stripe_payment_intent_id IS NOT NULL
            ORDER BY created_at DESC LIMIT $3
            """,
            _OPEN,
            created_until,
            limit,
        )
        return [_PAYMENTS.read(row) for row in rows]
