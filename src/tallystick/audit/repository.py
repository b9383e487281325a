"""SQL of `audit_log`. Rows are added and read; a trigger refuses the rest, but for retention and erasure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.audit.models import AuditEntry, AuditFilter, NewEntry
from tallystick.core.ids import new_id
from tallystick.platform.database import Connection, Transaction

__all__ = ["AuditRepository", "prune_audit"]

_COLUMNS = ", ".join(AuditEntry.__struct_fields__)
_INSERT = f"""
    INSERT INTO audit_log ({_COLUMNS})
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""
# The setting holds for this one statement and its commit.
_INSERT_SOON = f"""
    WITH soon AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO audit_log ({_COLUMNS})
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM soon
"""


class AuditRepository:
    """Adds and reads entries."""

    async def add(
        self, connection: Connection, entry: NewEntry, *, wall: datetime, now: datetime, soon: bool = False
    ) -> None:
        """`soon` does not wait until the row is on disk: a crash of the server within a second may lose it."""
        await connection.execute(
            _INSERT_SOON if soon else _INSERT,
            new_id(),
            entry.actor,
            sorted(entry.roles),
            entry.user_id,
            entry.action,
            entry.object_kind,
            entry.object_id,
            entry.outcome,
            entry.status,
            entry.error_code,
            entry.request_id,
            entry.address,
            dict(entry.details),
            wall,
            now,
        )

    async def find(self, connection: Connection, entry_id: UUID) -> AuditEntry | None:
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM audit_log WHERE id = $1", entry_id)
        return AuditEntry(*row) if row else None

    async def page(
        self, connection: Connection, wanted: AuditFilter, *, before: UUID | None, limit: int
    ) -> Sequence[AuditEntry]:
        """The newest `limit` entries before the entry `before`; our ids sort by time."""
        conditions, values = ["true"], list[Any]()
        for condition, value in (
            ("actor = {}", wanted.actor),
            ("action = {}", wanted.action),
            ("object_id = {}", wanted.object_id),
            ("happened_at >= {}", wanted.since),
            ("happened_at < {}", wanted.until),
            ("id < {}", before),
        ):
            if value is not None:
                values.append(value)
                conditions.append(condition.format(f"${len(values)}"))
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT {limit:d}",
            *values,
        )
        return [AuditEntry(*row) for row in rows]


async def prune_audit(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget entries from before then (wall time), at most `limit`; how many."""
    await tx.execute("SET LOCAL tallystick.audit = 'prune'")
    rows = await tx.fetch(
        """
        DELETE FROM audit_log WHERE id IN (
            SELECT id FROM audit_log WHERE happened_at < $1 ORDER BY happened_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
        """,
        before,
        limit,
    )
    return len(rows)
