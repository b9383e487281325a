"""SQL of `alerts`: which rules hold, since when, and who was told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from tallystick.platform.database import Connection, Transaction

__all__ = ["Alert", "AlertRepository"]


class Alert(Struct, frozen=True):
    """A row: a rule that holds (`pending` until it has for long enough, then `firing`), or held once (`over`)."""

    name: str
    state: str
    since: datetime
    value: float | None
    incident: UUID | None
    told_at: datetime | None
    over_at: datetime | None


class AlertRepository:
    """Reads and writes `alerts`."""

    async def lock_all(self, tx: Transaction) -> Mapping[str, Alert]:
        """Every row, by name; until `tx` ends nobody else reads them so, even where there is none yet."""
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext('alerts'))")
        rows = await tx.fetch(f"SELECT {', '.join(Alert.__struct_fields__)} FROM alerts ORDER BY name")
        return {row["name"]: Alert(*row) for row in rows}

    async def listed(self, connection: Connection) -> Sequence[Alert]:
        """Every row, those that fire first."""
        rows = await connection.fetch(
            f"SELECT {', '.join(Alert.__struct_fields__)} FROM alerts ORDER BY state <> 'firing', since DESC"
        )
        return [Alert(*row) for row in rows]

    async def save(self, tx: Transaction, alert: Alert) -> None:
        """Insert or replace a row."""
        await tx.execute(
            """
            INSERT INTO alerts (name, state, since, value, incident, told_at, over_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (name) DO UPDATE SET state = excluded.state, since = excluded.since, value = excluded.value,
                incident = excluded.incident, told_at = excluded.told_at, over_at = excluded.over_at
            """,
            *(getattr(alert, name) for name in Alert.__struct_fields__),
        )

    async def delete(self, tx: Transaction, name: str) -> None:
        """Forget a rule that held for too short a time to fire."""
        await tx.execute("DELETE FROM alerts WHERE name = $1", name)
