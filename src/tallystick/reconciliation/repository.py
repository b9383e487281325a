"""SQL of the catch-up's cursor."""

from datetime import datetime

from tallystick.platform.database import Connection, Transaction

__all__ = ["CursorRepository"]


class CursorRepository:
    """Reads and writes `event_cursors`; a cursor is the time up to which Stripe's events were read."""

    async def find(self, connection: Connection, name: str) -> datetime | None:
        found: datetime | None = await connection.fetchval("SELECT cursor_at FROM event_cursors WHERE name = $1", name)
        return found

    async def advance(self, tx: Transaction, name: str, to: datetime, now: datetime) -> None:
        """Move the cursor forward, never back."""
        await tx.execute(
            """
            INSERT INTO event_cursors (name, cursor_at, updated_at) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET
                cursor_at = greatest(event_cursors.cursor_at, excluded.cursor_at), updated_at = $3
            """,
            name,
            to,
            now,
        )
