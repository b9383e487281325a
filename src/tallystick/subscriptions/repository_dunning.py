"""SQL of `dunning_runs`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import RowTable
from tallystick.subscriptions.models import DunningRow

__all__ = ["DunningRepository"]

_RUNS = RowTable("dunning_runs", DunningRow, ["stripe_invoice_id"])


class DunningRepository:
    """Reads and writes `dunning_runs`; who writes has the subscription locked."""

    async def runs_of(self, connection: Connection, stripe_invoice_ids: Sequence[str]) -> dict[str, DunningRow]:
        rows = await connection.fetch(f"{_RUNS.select} WHERE stripe_invoice_id = ANY($1)", stripe_invoice_ids)
        return {row[0]: _RUNS.read(row) for row in rows}

    async def save(self, tx: Transaction, run: DunningRow) -> None:
        await _RUNS.save(tx, [run])

    async def has_earlier(
        self, connection: Connection, kind: str, stripe_invoice_id: str, step: int, now: datetime
    ) -> bool:
        """Whether work of this kind is due for an earlier step of an invoice, or for a new payment method."""
        return bool(
            await connection.fetchval(
                """
                SELECT EXISTS (
                    SELECT FROM work WHERE state = 'queued' AND due_at <= $4 AND kind = $1
                    AND payload ->> 'invoice' = $2 AND ((payload ->> 'step')::int < $3 OR payload ? 'method')
                )
                """,
                kind,
                stripe_invoice_id,
                step,
                now,
            )
        )

    async def past_due(
        self, connection: Connection, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[tuple[datetime, UUID, str]]:
        """Time, id and Stripe's id of subscriptions that are past due, oldest first, beyond `after`."""
        rows = await connection.fetch(
            """
            SELECT created_at, id, stripe_subscription_id FROM subscriptions
            WHERE status = 'past_due' AND ($1::timestamptz IS NULL OR (created_at, id) > ($1, $2))
            ORDER BY created_at, id LIMIT $3
            """,
            after[0] if after else None,
            after[1] if after else None,
            limit,
        )
        return [(row[0], row[1], row[2]) for row in rows]
