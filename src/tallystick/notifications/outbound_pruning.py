"""Forgetting deliveries. Facts keep their business key for good, so that none is ever told a second time."""

from datetime import datetime

from tallystick.platform.database import Transaction

__all__ = ["prune_deliveries", "prune_fact_data"]


async def prune_deliveries(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget deliveries that ended before then, at most `limit`; how many. What is queued stays."""
    return len(
        await tx.fetch(
            """
            DELETE FROM outbound_deliveries WHERE id IN (
                SELECT id FROM outbound_deliveries WHERE state <> 'queued' AND finished_at < $1
                ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
            )
            RETURNING 1
            """,
            before,
            limit,
        )
    )


async def prune_fact_data(tx: Transaction, before: datetime, limit: int) -> int:
    """Empty facts from before then that no delivery refers to any more, at most `limit`; how many."""
    return len(
        await tx.fetch(
            """
            UPDATE outbound_facts SET data = '{}' WHERE id IN (
                SELECT f.id FROM outbound_facts f
                WHERE f.data <> '{}' AND f.created_at < $1
                  AND NOT EXISTS (SELECT FROM outbound_deliveries d WHERE d.fact_id = f.id)
                ORDER BY f.created_at LIMIT $2 FOR UPDATE SKIP LOCKED
            )
            RETURNING 1
            """,
            before,
            limit,
        )
    )
