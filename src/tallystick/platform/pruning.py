"""`Pruner`: forgets, hourly and in small steps, what nobody asks for any more."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from tallystick.core.clock import Clock
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.platform.work import pause

__all__ = ["Pruner", "Retention", "prune_done_work"]

log = structlog.get_logger()

_EVERY_S = 3600.0
_BATCH = 1000

Prune = Callable[[Transaction, datetime, int], Awaitable[int]]
"""Deletes at most so many rows that are older than this moment, and says how many."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long rows of one kind are kept; `wall` tells by which of the two clocks they are dated."""

    name: str
    keep: timedelta
    prune: Prune
    wall: bool = False


class Pruner:
    """Applies retentions, a thousand rows a transaction; any number of workers may do so at once."""

    def __init__(self, database: Database, clock: Clock, retentions: Sequence[Retention]) -> None:
        self._database = database
        self._clock = clock
        self._retentions = retentions

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every hour until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.sweep(stop)
            except WEATHER as error:
                log.warning("pruning.weather", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def sweep(self, stop: asyncio.Event | None = None) -> dict[str, int]:
        """Forget all that is too old, or as much as there is time for until `stop`; how many rows of each kind."""
        return {retention.name: await self._apply(retention, stop) for retention in self._retentions}

    async def _apply(self, retention: Retention, stop: asyncio.Event | None) -> int:
        before = (self._clock.wall() if retention.wall else self._clock.now()) - retention.keep
        total = 0
        while stop is None or not stop.is_set():
            async with self._database.transaction() as tx:
                pruned = await retention.prune(tx, before, _BATCH)
            total += pruned
            if pruned < _BATCH:
                break
        if total:
            log.info("pruning.done", what=retention.name, rows=total)
        return total


async def prune_done_work(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget work that was done before then; what is queued or dead stays."""
    return len(
        await tx.fetch(
            """
            DELETE FROM work WHERE id IN (
                SELECT id FROM work WHERE state = 'done' AND finished_at < $1
                ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
            )
            RETURNING 1
            """,
            before,
            limit,
        )
    )
