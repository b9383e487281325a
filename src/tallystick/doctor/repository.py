"""SQL of what the doctor looks at: PostgreSQL itself, queues, and writes of which nobody knows. Reads only.

Counts stop at ten thousand: more than that is "too many" whatever the figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.platform.database import Connection

__all__ = ["COUNT_MOST", "Backlog", "DoctorRepository", "Server"]

COUNT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL: its version as a number (150004), its limits, who is connected, and how durable it is."""

    version: int
    connections_most: int
    connections: int
    workers: int
    clock: datetime
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of a queue is due and since when, how much waits for its object, and how much was given up."""

    due: int
    oldest_due_at: datetime | None
    waiting: int
    dead: int


_SERVER = """
    SELECT current_setting('server_version_num')::int,
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int,
        (SELECT count(*) FROM pg_stat_activity
         WHERE application_name IN ('tallystick worker', 'tallystick worker listening')
             AND datname = current_database())::int,
        clock_timestamp(), current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean,
        -- What this connection may have set for itself says nothing about the others.
        (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit')
"""

_BACKLOGS = {
    "events": """
        SELECT (SELECT count(*) FROM (
                SELECT FROM webhook_events WHERE state = 'pending' AND not_before <= $1 AND not_before < 'infinity'
                LIMIT $4) AS due),
            (SELECT min(not_before) FROM webhook_events
             WHERE state = 'pending' AND not_before <= $1 AND not_before < 'infinity'),
            (SELECT count(*) FROM (SELECT FROM webhook_parked_objects LIMIT $4) AS parked),
            (SELECT count(*) FROM (
                SELECT FROM webhook_events WHERE state IN ('dead', 'parked') LIMIT $4) AS dead)
        WHERE $2::timestamptz IS NOT NULL AND $3::uuid IS NOT NULL
    """,
    "work": """
        SELECT (SELECT count(*) FROM (
                SELECT FROM work WHERE state = 'queued' AND due_at <= $2 AND not_before <= $1 LIMIT $4) AS due),
            (SELECT min(due_at) FROM work WHERE state = 'queued' AND due_at <= $2 AND not_before <= $1), 0,
            (SELECT count(*) FROM (SELECT FROM work WHERE id >= $3 AND state = 'dead' LIMIT $4) AS dead)
    """,
    "mails": """
        SELECT (SELECT count(*) FROM (
                SELECT FROM mails WHERE state = 'queued' AND due_at <= $2 AND not_before <= $1 LIMIT $4) AS due),
            (SELECT min(due_at) FROM mails WHERE state = 'queued' AND due_at <= $2 AND not_before <= $1), 0,
            (SELECT count(*) FROM (SELECT FROM mails WHERE id >= $3 AND state = 'dead' LIMIT $4) AS dead)
    """,
    "deliveries": """
        SELECT (SELECT count(*) FROM (
                SELECT FROM outbound_deliveries d
                WHERE state = 'queued' AND due_at <= $2 AND not_before <= $1 AND attempts = 0 LIMIT $4) AS due),
            (SELECT min(due_at) FROM outbound_deliveries
             WHERE state = 'queued' AND due_at <= $2 AND not_before <= $1 AND attempts = 0), 0,
            (SELECT count(*) FROM (
                SELECT FROM outbound_deliveries WHERE id >= $3 AND state = 'dead' LIMIT $4) AS dead)
    """,
}
"""$1: wall time, $2: business time, $3: the first id of the last thirty days, $4: where counting stops."""

_OPEN_ATTEMPTS = """
    SELECT count(*), min(sent_at), min(kind || ' ' || id) FROM attempts
    WHERE state IN ('requested', 'unknown') AND sent_at < $1
"""

_PROCESSING = "SELECT count(*), min(created_at) FROM payments WHERE status = 'processing' AND created_at < $1"


class DoctorRepository:
    """What an operator would ask the database."""

    async def server(self, connection: Connection) -> Server:
        return Server(*await self._row(connection, _SERVER))

    async def events_of(self, connection: Connection, object_id: str) -> Sequence[str]:
        """Whence the events about an object came that were applied."""
        rows = await connection.fetch(
            "SELECT DISTINCT source FROM webhook_events"
            " WHERE object_key = $1 AND state = 'processed' AND source IN ('webhook', 'poll')",
            object_id,
        )
        return [row[0] for row in rows]

    async def behind_s(self, connection: Connection) -> float | None:
        """How many seconds a standby is behind what it has received; None where it is none."""
        found: float | None = await connection.fetchval(
            """
            SELECT CASE
                WHEN NOT pg_is_in_recovery() THEN NULL
                WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
                ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8
            """
        )
        return found

    async def revision(self, connection: Connection) -> str | None:
        """The schema's revision; None where there is no schema."""
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return found

    async def unfilled(self, connection: Connection) -> list[str]:
        """The back-fills that were begun and are not done."""
        rows = await connection.fetch("SELECT name FROM backfills WHERE done_at IS NULL ORDER BY started_at")
        return [row["name"] for row in rows]

    async def backlog(
        self, connection: Connection, queue: str, wall: datetime, now: datetime, first_id: UUID
    ) -> Backlog:
        """Of `events`, `work`, `mails` or `deliveries`; what was given up counts if it is newer than `first_id`."""
        return Backlog(*await self._row(connection, _BACKLOGS[queue], wall, now, first_id, COUNT_MOST))

    async def open_attempts(
        self, connection: Connection, sent_before: datetime
    ) -> tuple[int, datetime | None, str | None]:
        """Writes to Stripe without an end that were sent before then: how many, since when, and one of them."""
        count, since, one = await self._row(connection, _OPEN_ATTEMPTS, sent_before)
        return count, since, one

    async def processing(self, connection: Connection, made_before: datetime) -> tuple[int, datetime | None]:
        """Payments that are still under way: how many, and since when the oldest."""
        count, since = await self._row(connection, _PROCESSING, made_before)
        return count, since

    async def _row(self, connection: Connection, sql: str, *values: object) -> tuple[Any, ...]:
        row = await connection.fetchrow(sql, *values)
        assert row is not None
        return tuple(row)
