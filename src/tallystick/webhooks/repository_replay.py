"""SQL of replaying: which events a filter means, and putting them back into the line."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tallystick.core.ids import first_id
from tallystick.platform.database import Connection, Transaction
from tallystick.webhooks.models import EventFilter
from tallystick.webhooks.repository import CHANNEL

__all__ = ["ReplayRepository"]

# What is waiting is applied anyway; what we stored of our own fetches tells of its moment only; and a body that jsonb
# refuses cannot be applied.
_REPLAYABLE = "state NOT IN ('pending', 'parked') AND NOT starts_with(stripe_event_id, source || '_')"
# Between an id and the time of receipt lies a queue; and hosts differ.
_SLACK = timedelta(hours=1)


class ReplayRepository:
    """Reads and reopens events in the transaction it is given."""

    async def count(self, connection: Connection, wanted: EventFilter) -> int:
        """How many events a filter means."""
        where, values = _where(wanted)
        found: int = await connection.fetchval(f"SELECT count(*) FROM webhook_events WHERE {where}", *values)
        return found

    async def after(
        self, connection: Connection, wanted: EventFilter, event_id: UUID, until: UUID, limit: int
    ) -> Sequence[tuple[UUID, int]]:
        """The next events (id and lane) in the order of arrival, behind `event_id` and up to `until`."""
        where, values = _where(wanted)
        n = len(values)
        rows = await connection.fetch(
            f"""
            SELECT id, lane FROM webhook_events
            WHERE {where} AND id > ${n + 1} AND id < ${n + 2} ORDER BY id LIMIT {limit:d}
            """,
            *values,
            event_id,
            until,
        )
        return [(row["id"], row["lane"]) for row in rows]

    async def reopen(self, tx: Transaction, event_ids: Sequence[UUID], now: datetime) -> int:
        """Put events back into the line as if they had just come; how many, as one without a payload stays."""
        count: int = await tx.fetchval(
            f"""
            WITH opened AS (
                UPDATE webhook_events
                SET state = 'pending', processed = false, processed_at = NULL, retry_count = 0, error_message = NULL,
                    not_before = $2, updated_at = $2
                WHERE id = ANY($1) AND payload IS NOT NULL
                RETURNING 1
            ), told AS (
                SELECT pg_notify('{CHANNEL}', '') FROM opened LIMIT 1
            )
            SELECT (SELECT count(*) FROM opened) + 0 * (SELECT count(*) FROM told)
            """,
            event_ids,
            now,
        )
        return count


def _where(wanted: EventFilter) -> tuple[str, list[Any]]:
    values: list[Any] = []
    conditions = [_REPLAYABLE]

    def add(condition: str, value: Any) -> None:
        if value is not None:
            values.append(value)
            conditions.append(condition.replace("?", f"${len(values)}"))

    add("event_type = ?", wanted.type)
    add("(object_key = ? OR object_id = ?)", wanted.object_id)
    add("state = ?", wanted.state)
    since, until = wanted.received
    add("created_at >= ?", since)
    add("created_at < ?", until)
    # Ids grow with time and have an index; the time of receipt has none.
    add("id >= ?", first_id(since - _SLACK) if since else None)
    add("id < ?", first_id(until + _SLACK) if until else None)
    since, until = wanted.created
    add("event_created_at >= ?", since)
    add("event_created_at < ?", until)
    return " AND ".join(conditions), values
