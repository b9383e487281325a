"""SQL of the writes to our webhook endpoints at Stripe."""

from datetime import datetime

from tallystick.platform.database import Connection, Transaction
from tallystick.webhooks.models import EndpointWrite

__all__ = ["EndpointWriteRepository", "prune_endpoint_writes"]


class EndpointWriteRepository:
    """Reads and writes `webhook_endpoint_writes`; all times are wall time."""

    async def find_open(
        self, connection: Connection, purpose: str, fingerprint: str, since: datetime
    ) -> EndpointWrite | None:
        """This very write, where it was begun after `since` and is not done."""
        row = await connection.fetchrow(
            """
            SELECT purpose, stripe_idempotency_key, created_at FROM webhook_endpoint_writes
            WHERE purpose = $1 AND fingerprint = $2 AND created_at > $3 AND done_at IS NULL
            """,
            purpose,
            fingerprint,
            since,
        )
        return EndpointWrite(**row, repeated=True) if row else None

    async def store(self, tx: Transaction, write: EndpointWrite, fingerprint: str) -> None:
        """Store a write in the place of the last one of its purpose."""
        await tx.execute(
            """
            INSERT INTO webhook_endpoint_writes (purpose, stripe_idempotency_key, fingerprint, created_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (purpose) DO UPDATE SET
                stripe_idempotency_key = excluded.stripe_idempotency_key,
                fingerprint = excluded.fingerprint,
                created_at = excluded.created_at,
                done_at = NULL
            """,
            write.purpose,
            write.stripe_idempotency_key,
            fingerprint,
            write.created_at,
        )

    async def end(self, tx: Transaction, purpose: str, at: datetime) -> None:
        """Its key is not sent again."""
        await tx.execute(
            "UPDATE webhook_endpoint_writes SET done_at = $2 WHERE purpose = $1 AND done_at IS NULL", purpose, at
        )


async def prune_endpoint_writes(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget writes that were begun before then (wall time), at most `limit`; how many."""
    rows = await tx.fetch(
        """
        DELETE FROM webhook_endpoint_writes WHERE purpose IN (
            SELECT purpose FROM webhook_endpoint_writes WHERE created_at < $1
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
        """,
        before,
        limit,
    )
    return len(rows)
