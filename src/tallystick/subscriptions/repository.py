"""SQL of subscriptions and their history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.platform.database import Connection, Transaction
from tallystick.subscriptions.models import LIVE, TERMINAL, HistoryRow, SubscriptionRow

__all__ = ["SubscriptionFilter", "SubscriptionRepository"]

_NAMES = SubscriptionRow.__struct_fields__
_COLUMNS = ", ".join(_NAMES)
_MARKS = ", ".join(f"${n}" for n in range(1, len(_NAMES) + 1))
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in ("id", "created_at"))
_SELECT = f"SELECT {_COLUMNS} FROM subscriptions"

_HISTORY_NAMES = HistoryRow.__struct_fields__
_HISTORY_COLUMNS = ", ".join(_HISTORY_NAMES)
_HISTORY_MARKS = ", ".join(f"${n}" for n in range(1, len(_HISTORY_NAMES) + 1))
_SELECT_HISTORY = f"SELECT {_HISTORY_COLUMNS} FROM subscription_history"


class SubscriptionFilter:
    """What a list asks for: an owner (None: everybody), and optional customer, status and time bounds."""

    def __init__(
        self,
        *,
        owner: UUID | None,
        stripe_customer_id: str | None = None,
        status: str | None = None,
        created_from: datetime | None = None,
        created_until: datetime | None = None,
    ) -> None:
        self.conditions: list[tuple[str, Any]] = [
            (condition, value)
            for condition, value in (
                ("user_id = {}", owner),
                ("stripe_customer_id = {}", stripe_customer_id),
                ("status = {}", status),
                ("created_at >= {}", created_from),
                ("created_at < {}", created_until),
            )
            if value is not None
        ]


class SubscriptionRepository:
    """Reads and writes `subscriptions` and `subscription_history` in the transaction it is given."""

    async def find(self, connection: Connection, subscription_id: UUID | str) -> SubscriptionRow | None:
        """A subscription by our id or Stripe's."""
        column = "id" if isinstance(subscription_id, UUID) else "stripe_subscription_id"
        row = await connection.fetchrow(f"{_SELECT} WHERE {column} = $1", subscription_id)
        return SubscriptionRow(*row) if row else None

    async def lock(self, tx: Transaction, subscription_id: UUID) -> SubscriptionRow | None:
        row = await tx.fetchrow(f"{_SELECT} WHERE id = $1 FOR UPDATE", subscription_id)
        return SubscriptionRow(*row) if row else None

    async def lock_many(
        self, tx: Transaction, stripe_ids: Sequence[str], ids: Sequence[UUID] = ()
    ) -> list[SubscriptionRow]:
        """The rows of these Stripe ids, and those of these ids whose Stripe id is not known yet, locked in id order."""
        rows = await tx.fetch(
            f"""
            {_SELECT} WHERE stripe_subscription_id = ANY($1) OR (id = ANY($2) AND stripe_subscription_id IS NULL)
            ORDER BY id FOR UPDATE
            """,
            stripe_ids,
            ids,
        )
        return [SubscriptionRow(*row) for row in rows]

    async def save(self, tx: Transaction, rows: Sequence[SubscriptionRow]) -> None:
        """Insert or update whole rows."""
        await tx.executemany(
            f"INSERT INTO subscriptions ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT (id) DO UPDATE SET {_CHANGES}",
            [[getattr(row, name) for name in _NAMES] for row in rows],
        )

    async def delete(self, tx: Transaction, subscription_id: UUID) -> None:
        """Remove a subscription of which nothing exists at Stripe."""
        await tx.execute("DELETE FROM subscriptions WHERE id = $1 AND stripe_subscription_id IS NULL", subscription_id)

    async def live_of(self, connection: Connection, user_id: UUID) -> list[SubscriptionRow]:
        """The user's live subscriptions, oldest first."""
        return await self._of_user(connection, user_id, "status = ANY($2)", list(LIVE))

    async def open_of(self, connection: Connection, user_id: UUID) -> list[SubscriptionRow]:
        """The user's subscriptions that have not ended: live ones, and those whose first payment is not made."""
        return await self._of_user(connection, user_id, "status <> ALL($2)", list(TERMINAL))

    async def had_trial(self, connection: Connection, user_id: UUID) -> bool:
        """Whether any subscription of the user, ended or not, has or had a trial."""
        found: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM subscriptions WHERE user_id = $1 AND trial_start IS NOT NULL)", user_id
        )
        return found

    async def of_customer(self, connection: Connection, stripe_customer_id: str) -> list[SubscriptionRow]:
        """All of a customer at Stripe, newest first."""
        rows = await connection.fetch(
            f"{_SELECT} WHERE stripe_customer_id = $1 ORDER BY created_at DESC, id DESC", stripe_customer_id
        )
        return [SubscriptionRow(*row) for row in rows]

    async def _of_user(
        self, connection: Connection, user_id: UUID, condition: str, statuses: Sequence[str]
    ) -> list[SubscriptionRow]:
        rows = await connection.fetch(
            f"{_SELECT} WHERE user_id = $1 AND {condition} ORDER BY created_at, id", user_id, statuses
        )
        return [SubscriptionRow(*row) for row in rows]

    async def listed(
        self,
        connection: Connection,
        wanted: SubscriptionFilter,
        *,
        limit: int,
        after: SubscriptionRow | None = None,
        before: SubscriptionRow | None = None,
    ) -> Page[SubscriptionRow]:
        """One page, newest first, beyond `after` (older) or `before` (newer), both exclusive."""
        conditions, values = [], []
        for condition, value in wanted.conditions:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
        edge, comparison, direction = (before, ">", "ASC") if before else (after, "<", "DESC")
        if edge is not None:
            values += [edge.created_at, edge.id]
            conditions.append(f"(created_at, id) {comparison} (${len(values) - 1}, ${len(values)})")
        values.append(limit + 1)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = await connection.fetch(
            f"{_SELECT} {where} ORDER BY created_at {direction}, id {direction} LIMIT ${len(values)}", *values
        )
        found = [SubscriptionRow(*row) for row in rows[:limit]]
        return Page(found[::-1] if before else found, len(rows) > limit)

    # History

    async def insert_history(self, tx: Transaction, rows: Sequence[HistoryRow]) -> None:
        """Store history; a row whose business key is taken is left alone."""
        await tx.executemany(
            f"""
            INSERT INTO subscription_history ({_HISTORY_COLUMNS}) VALUES ({_HISTORY_MARKS})
            ON CONFLICT (business_key) DO NOTHING
            """,
            [[getattr(row, name) for name in _HISTORY_NAMES] for row in rows],
        )

    async def history_of(
        self, connection: Connection, subscription_id: UUID, *, limit: int, after: HistoryRow | None = None
    ) -> Page[HistoryRow]:
        """One page of a subscription's history, newest first, beyond `after` (exclusive)."""
        rows = await connection.fetch(
            f"""
            {_SELECT_HISTORY}
            WHERE subscription_id = $1 AND ($2::timestamptz IS NULL OR (performed_at, id) < ($2, $3::uuid))
            ORDER BY performed_at DESC, id DESC LIMIT $4
            """,
            subscription_id,
            after.performed_at if after else None,
            after.id if after else None,
            limit + 1,
        )
        return Page([HistoryRow(*row) for row in rows[:limit]], len(rows) > limit)
