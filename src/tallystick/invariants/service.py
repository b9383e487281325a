"""`InvariantKeeper`: looks every hour whether what always holds still does, and tells staff once when it does not."""

import asyncio
from datetime import datetime, timedelta

import structlog

from tallystick.core.clock import Clock
from tallystick.invariants.checks import INVARIANTS, scope_of
from tallystick.invariants.models import Invariant, Scope
from tallystick.invariants.repository import InvariantRepository
from tallystick.platform.database import WEATHER, Database, is_weather
from tallystick.platform.leases import Lease
from tallystick.platform.settings import Settings
from tallystick.platform.work import enqueue, pause

__all__ = ["ALERT", "InvariantKeeper"]

log = structlog.get_logger()

ALERT = "alert.invariant"
_EVERY = timedelta(hours=1)
_POLL_S = 60.0
# What was written while the last look was taken is looked at again; after a long rest a day is enough for one look.
_OVERLAP, _MOST = timedelta(hours=1), timedelta(hours=26)
_SIGHT = timedelta(days=30)
_LEASE_S = 600.0


class InvariantKeeper:
    """By wall time, one process at a time. Only what has happened since the last look is read."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._several = settings.allow_multiple_subscriptions
        self._repository = InvariantRepository()
        self._lease = Lease(database, clock, "invariants", for_s=_LEASE_S)

    async def run(self, stop: asyncio.Event) -> None:
        """Look when an hour has passed since anybody looked, until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.look_due()
            except WEATHER as error:
                log.warning("invariants.weather", error=type(error).__name__)
            await pause(_POLL_S, stop, wake)

    async def look_due(self) -> dict[str, int] | None:
        """Look if it is time; how much offends each invariant, None where it is not time or another process looks."""
        async with self._database.connection() as connection:
            last = await self._repository.last(connection)
        if last is not None and self._clock.wall() - last < _EVERY:
            return None
        async with self._lease.held() as ours:
            return await self._look(last) if ours else None

    async def _look(self, last: datetime | None) -> dict[str, int]:
        async with self._database.connection() as connection:
            violated = await self._repository.violated_since(connection)
        wall, found = self._clock.wall(), dict[str, int]()
        newer_than = min(wall - last + _OVERLAP, _MOST) if last else _MOST
        for one in INVARIANTS:
            # What holds only in quiet is not for a worker, which never knows.
            if not one.quiet:
                # What was found stays in sight until it is mended.
                back = min(wall - violated[one.name] + _MOST, _SIGHT) if one.name in violated else newer_than
                scope = scope_of(self._clock, back, allow_multiple_subscriptions=self._several)
                try:
                    found[one.name] = await self._look_at(one, scope)
                except Exception as error:
                    if is_weather(error):
                        raise
                    # Who watches must not stop the work that he watches.
                    log.exception("invariant.failed", name=one.name)
        return found

    async def _look_at(self, invariant: Invariant, scope: Scope) -> int:
        async with self._database.connection() as connection:
            found = await invariant.find(connection, scope)
        if found:
            log.error("invariant.violated", name=invariant.name, number=invariant.number, found=list(found))
        async with self._database.transaction() as tx:
            now = self._clock.wall()
            if await self._repository.note(tx, invariant.name, now, len(found)):
                payload = {
                    "invariant": invariant.name,
                    "reason": invariant.sentence,
                    "error": "; ".join(found)[:500],
                }
                # Named by the beginning of the incident: when it ends and begins anew, staff are told anew.
                key = f"{ALERT}:{invariant.name}:{int(now.timestamp())}"
                await enqueue(tx, ALERT, key, payload, due_at=self._clock.now())
        return len(found)
