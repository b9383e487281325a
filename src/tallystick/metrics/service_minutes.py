"""`MinuteKeeper`: what this process tallied, into the minutes that all processes share."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from tallystick.core.clock import Clock
from tallystick.platform.database import Connection, Database, Transaction, is_weather
from tallystick.platform.telemetry import put_tally_back, take_tally
from tallystick.platform.work import pause

__all__ = ["MinuteKeeper", "counted_since", "prune_minutes"]

log = structlog.get_logger()

_EVERY_S = 15.0


class MinuteKeeper:
    """Stores the tally every quarter of a minute; what could not be stored waits for the next time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, and once more then."""
        wake = asyncio.Event()
        while not stop.is_set():
            await pause(_EVERY_S, stop, wake)
            await self.store()

    async def store(self) -> None:
        """Store what was tallied since the last time."""
        tally = take_tally()
        if not tally:
            return
        try:
            minute = self._clock.wall().replace(second=0, microsecond=0)
            async with self._database.transaction() as tx:
                # In an order that all processes share.
                await tx.executemany(
                    """
                    INSERT INTO telemetry_minutes AS t (minute, name, amount) VALUES ($1, $2, $3)
                    ON CONFLICT (minute, name) DO UPDATE SET amount = t.amount + excluded.amount
                    """,
                    [(minute, name, amount) for name, amount in sorted(tally.items())],
                )
        except Exception as error:
            put_tally_back(tally)
            # Nobody waits for this task: ended, it would be missed only by alerts that never fire.
            if is_weather(error):
                log.warning("minutes.weather", error=type(error).__name__)
            else:
                log.exception("minutes.failed")


async def counted_since(connection: Connection, since: datetime) -> Mapping[str, int]:
    """What all processes counted from then on, by name."""
    rows = await connection.fetch(
        "SELECT name, sum(amount)::bigint AS amount FROM telemetry_minutes WHERE minute >= $1 GROUP BY name",
        since - timedelta(minutes=1),
    )
    return {row["name"]: row["amount"] for row in rows}


async def prune_minutes(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget minutes before then."""
    rows = await tx.fetch(
        """
        DELETE FROM telemetry_minutes WHERE ctid IN (
            SELECT ctid FROM telemetry_minutes WHERE minute < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
        """,
        before,
        limit,
    )
    return len(rows)
