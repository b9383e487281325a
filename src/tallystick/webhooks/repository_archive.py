"""SQL of the archive: payloads of old events, in a partition for each month (UTC) in which events were received."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from asyncpg.cursor import Cursor

from tallystick.core.ids import first_id
from tallystick.platform.database import Connection, Record, Transaction
from tallystick.webhooks.models import Archived, ClaimedEvent

__all__ = ["ARCHIVED_PAYLOAD", "ArchiveRepository", "months_before"]

_TABLE = "webhook_payloads"
_LONG_S = 600.0
_NAME = re.compile(_TABLE + r"_(\d{4})_(\d{2})\Z")
_OVER = "e.state IN ('processed', 'unhandled', 'discarded') AND e.updated_at < $1 AND e.created_at < $1"

ARCHIVED_PAYLOAD = f"""
    LEFT JOIN LATERAL (
        SELECT p.payload, p.raw FROM {_TABLE} p
        WHERE e.archived_at IS NOT NULL AND p.received_at = e.created_at AND p.event_id = e.id
    ) a ON true
"""
"""A join to the archived payload `a` of an event `e`; no partition is read for one whose payload is in its row."""

# Locked before they are judged: nobody replays one of them meanwhile.
_WALK = f"""
    SELECT e.id, e.created_at, {_OVER} AS over FROM webhook_events e
    WHERE e.id > $2 AND e.id < $3 ORDER BY e.id LIMIT $4 FOR NO KEY UPDATE
"""
_LATER = f"""
    SELECT e.id, e.created_at, true AS over FROM webhook_events e
    WHERE e.archive_later AND {_OVER} ORDER BY e.id LIMIT $2 FOR NO KEY UPDATE
"""
_MOVE = f"""
    WITH copied AS (
        INSERT INTO {_TABLE} (event_id, received_at, payload, raw)
        SELECT id, created_at, payload, raw FROM webhook_events
        WHERE id = ANY($1) AND (payload IS NOT NULL OR raw IS NOT NULL)
        RETURNING event_id
    )
    UPDATE webhook_events SET payload = NULL, raw = NULL, archived_at = $2, archive_later = false
    FROM copied WHERE id = event_id
"""


class ArchiveRepository:
    """Moves payloads to the archive and back, and drops its months."""

    async def take_turn(self, tx: Transaction) -> UUID | None:
        """The id up to which the archive has come, held until `tx` ends; None while another process archives."""
        # Short: whoever waits for a lock has others wait behind him.
        await tx.execute("SET LOCAL lock_timeout = '1s'")
        found: UUID | None = await tx.fetchval("SELECT passed FROM webhook_archive FOR UPDATE SKIP LOCKED")
        return found

    async def walk(self, tx: Transaction, passed: UUID, before: datetime, limit: int) -> Sequence[Archived]:
        """The next events in the order of arrival that were received before then, over or not, locked."""
        rows = await tx.fetch(_WALK, before, passed, first_id(before), limit)
        return [Archived(**row) for row in rows]

    async def passed_over(self, tx: Transaction, before: datetime, limit: int) -> Sequence[Archived]:
        """Events that the walk had to leave, and that are over by now, locked."""
        return [Archived(**row) for row in await tx.fetch(_LATER, before, limit)]

    async def move(self, tx: Transaction, events: Sequence[Archived], now: datetime) -> int:
        """Move the payloads of these events, into months that are there; how many had one."""
        status = await tx.execute(_MOVE, [event.id for event in events], now)
        return int(status.removeprefix("UPDATE "))

    async def leave(self, tx: Transaction, events: Sequence[Archived]) -> None:
        """Look at these again later."""
        if events:
            await tx.execute(
                "UPDATE webhook_events SET archive_later = true WHERE id = ANY($1) AND archived_at IS NULL",
                [event.id for event in events],
            )

    async def pass_to(self, tx: Transaction, event_id: UUID) -> None:
        """The walk has come as far as this event."""
        await tx.execute("UPDATE webhook_archive SET passed = $1", event_id)

    async def restore(self, tx: Transaction, event_ids: Sequence[UUID]) -> None:
        """Move payloads back to their events; those whose month was dropped stay without."""
        await tx.execute(
            f"""
            WITH back AS (
                DELETE FROM {_TABLE} p USING webhook_events e
                WHERE e.id = ANY($1) AND e.archived_at IS NOT NULL
                    AND p.received_at = e.created_at AND p.event_id = e.id
                RETURNING p.event_id, p.payload, p.raw
            )
            UPDATE webhook_events e
            SET payload = back.payload, raw = back.raw, archived_at = NULL, archive_later = true
            FROM back WHERE e.id = back.event_id
            """,
            event_ids,
        )

    async def dropped(self, connection: Connection) -> int:
        """How many events have lost their payload with a month of the archive."""
        archived = await connection.fetchval(
            "SELECT count(*) FROM webhook_events WHERE archived_at IS NOT NULL", timeout=_LONG_S
        )
        kept: int = await connection.fetchval(f"SELECT count(*) FROM {_TABLE}", timeout=_LONG_S)
        return int(archived) - kept

    # All that was ever applied

    async def applied_ids(self, tx: Transaction) -> "Cursor[Record]":
        """The ids of all events that were applied, in the order of arrival, as of `tx`."""
        # Narrow rows: the server sorts all of them.
        return await tx.cursor("SELECT id FROM webhook_events WHERE state = 'processed' ORDER BY seq", timeout=_LONG_S)

    async def count_applied(self, tx: Transaction) -> int:
        found: int = await tx.fetchval("SELECT count(*) FROM webhook_events WHERE state = 'processed'", timeout=_LONG_S)
        return found

    async def read(self, connection: Connection, event_ids: Sequence[UUID]) -> Sequence[ClaimedEvent]:
        """Events with their data, wherever that is, in the order of arrival."""
        rows = await connection.fetch(
            f"""
            SELECT e.id, e.stripe_event_id, e.event_type AS type, e.event_created_at AS created, e.api_version,
                e.object_key, e.object_id, (coalesce(e.payload, a.payload) -> 'data')::text AS data,
                e.request_idempotency_key, e.source, e.retry_count, e.created_at AS received_at, e.error_message,
                NULL::uuid AS parked_by, coalesce(e.payload, a.payload) #>> '{{request,id}}' IS NOT NULL AS requested
            FROM webhook_events e {ARCHIVED_PAYLOAD} WHERE e.id = ANY($1) ORDER BY e.seq
            """,
            event_ids,
        )
        return [ClaimedEvent(**row) for row in rows]

    # Months

    async def months(self, connection: Connection) -> set[datetime]:
        """The first moments of the months that the archive has."""
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass($1)",
            _TABLE,
        )
        found = (_NAME.match(row["relname"]) for row in rows)
        return {datetime(int(name[1]), int(name[2]), 1, tzinfo=UTC) for name in found if name}

    async def add_month(self, tx: Transaction, month: datetime) -> None:
        """Make a month. Attached, not created in place: that would lock out whoever reads the archive."""
        name, end = _name(month), _next(month)
        await tx.execute(f"CREATE TABLE {name} (LIKE {_TABLE} INCLUDING ALL)")
        await tx.execute(
            f"ALTER TABLE {_TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{month:%Y-%m-%d 00:00:00+00}') "
            f"TO ('{end:%Y-%m-%d 00:00:00+00}')"
        )

    async def drop_month(self, tx: Transaction, month: datetime) -> None:
        """Forget a month, whatever its size in the time of one."""
        await tx.execute(f"DROP TABLE {_name(month)}")


def months_before(moment: datetime, count: int) -> datetime:
    """The first moment of the month so many months before that of `moment`."""
    months = moment.astimezone(UTC).year * 12 + moment.astimezone(UTC).month - 1 - count
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)


def _name(month: datetime) -> str:
    return f"{_TABLE}_{month:%Y_%m}"
