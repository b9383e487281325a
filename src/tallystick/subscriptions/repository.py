"""SQL of subscriptions and their history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import MirrorTable, RowTable
from tallystick.subscriptions.models import LIVE, TERMINAL, HistoryRow, SubscriptionRow

__all__ = ["SubscriptionFilter", "SubscriptionRepository"]

_SUBSCRIPTIONS = MirrorTable("subscriptions", SubscriptionRow, "stripe_subscription_id", key="id")
_HISTORY = RowTable("subscription_history", HistoryRow, ["id"])


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
        return await _SUBSCRIPTIONS.find(connection, subscription_id)

    async def lock(self, tx: Transaction, subscription_id: UUID) -> SubscriptionRow | None:
        row = await tx.fetchrow(f"{_SUBSCRIPTIONS.select} WHERE id = $1 FOR UPDATE", subscription_id)
        return _SUBSCRIPTIONS.read(row) if row else None

    async def lock_many(
        self, tx: Transaction, stripe_ids: Sequence[str], ids: Sequence[UUID] = ()
    ) -> list[SubscriptionRow]:
        """The rows of these Stripe ids, and those of these ids whose Stripe id is not known yet, locked in id order."""
        return await _SUBSCRIPTIONS.lock_ours(tx, stripe_ids, ids)

    async def save(self, tx: Transaction, rows: Sequence[SubscriptionRow]) -> None:
        """Insert or update whole rows."""
        await _SUBSCRIPTIONS.save(tx, rows)

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
            f"{_SUBSCRIPTIONS.select} WHERE stripe_customer_id = $1 ORDER BY created_at DESC, id DESC",
            stripe_customer_id,
        )
        return [_SUBSCRIPTIONS.read(row) for row in rows]

    async def _of_user(
        self, connection: Connection, user_id: UUID, condition: str, statuses: Sequence[str]
    ) -> list[SubscriptionRow]:
        rows = await connection.fetch(
            f"{_SUBSCRIPTIONS.select} WHERE user_id = $1 AND {condition} ORDER BY created_at, id", user_id, statuses
        )
        return [_SUBSCRIPTIONS.read(row) for row in rows]

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
        return await _SUBSCRIPTIONS.page(connection, wanted.conditions, limit=limit, after=after, before=before)

    async def flag(self, tx: Transaction, subscription_id: UUID) -> bool:
        """Mark a second one; False where it was marked before."""
        done = await tx.execute(
            "UPDATE subscriptions SET flagged = true WHERE id = $1 AND NOT flagged", subscription_id
        )
        return done == "UPDATE 1"

    # History

    async def history_around(self, tx: Transaction, moments: Sequence[tuple[UUID, datetime]]) -> list[HistoryRow]:
        """What is known of these subscriptions at these very seconds."""
        rows = await tx.fetch(
            f"""
            {_HISTORY.select} WHERE (subscription_id, performed_at) IN (
                SELECT * FROM unnest($1::uuid[], $2::timestamptz[])
            )
            """,
            [subscription_id for subscription_id, _ in moments],
            [at for _, at in moments],
        )
        return [_HISTORY.read(row) for row in rows]

    async def whole_stories(
        self, tx: Transaction, ids: Sequence[UUID], moving: Sequence[UUID]
    ) -> dict[UUID, list[HistoryRow]]:
        """The whole history of the `moving`, and of those of `ids` in whose history a row may change: oldest first."""
        rows = await tx.fetch(
            f"""
            {_HISTORY.select} WHERE subscription_id = ANY($2) OR subscription_id IN (
                SELECT subscription_id FROM subscription_history WHERE subscription_id = ANY($1) AND provisional
                UNION SELECT id FROM subscriptions WHERE id = ANY($1) AND status = ANY($3)
            )
            ORDER BY performed_at, id
            """,
            ids,
            moving,
            list(TERMINAL),
        )
        stories: dict[UUID, list[HistoryRow]] = {}
        for row in rows:
            history = _HISTORY.read(row)
            stories.setdefault(history.subscription_id, []).append(history)
        return stories

    async def delete_history(self, tx: Transaction, ids: Sequence[UUID]) -> None:
        """Remove provisional rows that gave way."""
        if ids:
            await tx.execute("DELETE FROM subscription_history WHERE id = ANY($1)", ids)

    async def save_history(self, tx: Transaction, rows: Sequence[HistoryRow]) -> None:
        """Insert or update whole rows."""
        await _HISTORY.save(tx, rows)

    async def insert_history(self, tx: Transaction, rows: Sequence[HistoryRow]) -> None:
        """Store history; a row whose business key is taken is left alone."""
        await tx.executemany(
            f"{_HISTORY.insert} ON CONFLICT (business_key) DO NOTHING", [_HISTORY.values(row) for row in rows]
        )

    async def find_history(self, connection: Connection, subscription_id: UUID, row_id: UUID) -> HistoryRow | None:
        """One change of a subscription."""
        row = await connection.fetchrow(
            f"{_HISTORY.select} WHERE subscription_id = $1 AND id = $2", subscription_id, row_id
        )
        return _HISTORY.read(row) if row else None

    async def history_of(
        self, connection: Connection, subscription_id: UUID, *, limit: int, after: HistoryRow | None = None
    ) -> Page[HistoryRow]:
        """One page of a subscription's history, newest first, beyond `after` (exclusive)."""
        rows = await connection.fetch(
            f"""
            {_HISTORY.select}
            WHERE subscription_id = $1 AND ($2::timestamptz IS NULL OR (performed_at, id) < ($2, $3::uuid))
            ORDER BY performed_at DESC, id DESC LIMIT $4
            """,
            subscription_id,
            after.performed_at if after else None,
            after.id if after else None,
            limit + 1,
        )
        return Page([_HISTORY.read(row) for row in rows[:limit]], len(rows) > limit)
