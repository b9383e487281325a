"""`GapKeeper`: where Stripe does not list the events any more, the lists of the objects are walked instead."""

import asyncio
from datetime import datetime
from typing import Protocol

import structlog

from tallystick.catch_up.repository import GapRepository
from tallystick.core.clock import Clock
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.leases import Lease
from tallystick.platform.work import pause
from tallystick.stripe_gateway.errors import GatewayError

__all__ = ["GapKeeper", "ListWalk"]

log = structlog.get_logger()


class ListWalk(Protocol):
    """Makes the mirror equal to Stripe by the lists of all objects."""

    async def walk_lists(self, since: datetime, stop: asyncio.Event | None = None) -> bool:
        """Bring what was created or changed since then up to date; False where there was no time for all until `stop`.

        A walk that was cut off goes on where it was. Raises the errors of the gateway.
        """


class GapKeeper:
    """Has the lists walked for each gap that catching up has found, and closes it."""

    def __init__(self, database: Database, clock: Clock, walk: ListWalk, *, every_s: float) -> None:
        self._database = database
        self._clock = clock
        self._walk = walk
        self._every_s = every_s
        self._lease = Lease(database, clock, "events.gaps")
        self._gaps = GapRepository()

    async def run(self, stop: asyncio.Event) -> None:
        """Look for gaps every so often until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.close_gaps(stop)
            except (GatewayError, *WEATHER) as error:
                log.warning("gap.walk_failed", error=type(error).__name__)
            await pause(self._every_s, stop, wake)

    async def close_gaps(self, stop: asyncio.Event | None = None) -> int:
        """Walk the lists for all gaps that are open, by one process at a time; how many gaps were closed."""
        async with self._database.connection() as connection:
            gaps = await self._gaps.open(connection)
        if not gaps:
            return 0
        async with self._lease.held() as mine:
            if not mine or not await self._walk.walk_lists(min(gap.from_at for gap in gaps), stop):
                return 0
        async with self._database.transaction() as tx:
            await self._gaps.close(tx, [gap.id for gap in gaps], self._clock.wall())
        log.info("gap.walked", gaps=len(gaps))
        return len(gaps)
