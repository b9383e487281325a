"""SQL of catching up: the cursor, the events that are here already, and gaps."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tallystick.catch_up.models import CatchUpState, Gap
from tallystick.core.ids import new_id
from tallystick.platform.database import Connection, Transaction

__all__ = ["CursorRepository", "GapRepository"]

_EVENTS = "events"
_GAP = "id, from_at, until_at, found_at, walked_at"


class CursorRepository:
    """The row `events` of `event_cursors`."""

    async def start(self, tx: Transaction, at: datetime, wall: datetime) -> datetime:
        """Where reading goes on; the first time, at `at`."""
        await tx.execute(
            "INSERT INTO event_cursors (name, cursor_at, updated_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            _EVENTS,
            at,
            wall,
        )
        found: datetime = await tx.fetchval("SELECT cursor_at FROM event_cursors WHERE name = $1", _EVENTS)
        return found

    async def advance(self, tx: Transaction, to: datetime, wall: datetime) -> None:
        """Move the cursor forward, never back."""
        await tx.execute(
            "UPDATE event_cursors SET cursor_at = greatest(cursor_at, $2), updated_at = $3 WHERE name = $1",
            _EVENTS,
            to,
            wall,
        )

    async def count_recovered(self, tx: Transaction, events: int, wall: datetime) -> None:
        await tx.execute(
            "UPDATE event_cursors SET recovered = recovered + $2, recovered_at = $3 WHERE name = $1",
            _EVENTS,
            events,
            wall,
        )

    async def note_end(self, connection: Connection, wall: datetime) -> None:
        """The list was read to its end."""
        await connection.execute("UPDATE event_cursors SET read_at = $2 WHERE name = $1", _EVENTS, wall)

    async def state(self, connection: Connection) -> CatchUpState | None:
        row = await connection.fetchrow(
            "SELECT cursor_at, read_at, recovered, recovered_at FROM event_cursors WHERE name = $1", _EVENTS
        )
        return CatchUpState(*row) if row else None

    async def known(self, connection: Connection, event_ids: Sequence[str]) -> set[str]:
        """Which of these events are in the inbox."""
        rows = await connection.fetch(
            "SELECT stripe_event_id FROM webhook_events WHERE stripe_event_id = ANY($1)", event_ids
        )
        return {row["stripe_event_id"] for row in rows}


class GapRepository:
    """The table `event_gaps`."""

    async def add(self, tx: Transaction, from_at: datetime, until_at: datetime, wall: datetime) -> Gap:
        gap = Gap(new_id(), from_at, until_at, wall, None)
        await tx.execute(
            f"INSERT INTO event_gaps ({_GAP}) VALUES ($1, $2, $3, $4, NULL)", gap.id, from_at, until_at, wall
        )
        return gap

    async def open(self, connection: Connection) -> list[Gap]:
        """Those whose lists are still to be walked, oldest first."""
        rows = await connection.fetch(f"SELECT {_GAP} FROM event_gaps WHERE walked_at IS NULL ORDER BY found_at, id")
        return [Gap(*row) for row in rows]

    async def close(self, tx: Transaction, gap_ids: Sequence[UUID], wall: datetime) -> None:
        await tx.execute("UPDATE event_gaps SET walked_at = $2 WHERE id = ANY($1)", gap_ids, wall)
