"""`ReconcileTimer`: when to reconcile, by wall time: what has changed every few minutes, and all of it every night.

Every worker has one. Whoever comes first runs; for the others there is nothing to do then. What was asked for through
the API, and runs that were killed, are taken up within seconds.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from tallystick.core.clock import Clock
from tallystick.installation.service import InstallationService
from tallystick.platform.database import WEATHER
from tallystick.platform.work import pause
from tallystick.reconciliation.errors import ReconcileRunning
from tallystick.reconciliation.models import Mode
from tallystick.reconciliation.service import Reconciler
from tallystick.stripe_gateway.errors import GatewayError

__all__ = ["ReconcileTimer", "next_at"]

log = structlog.get_logger()

_POLL_S = 5.0


class ReconcileTimer:
    """Runs the reconciler in a worker."""

    def __init__(
        self, clock: Clock, reconciler: Reconciler, installation: InstallationService, every_s: float, full_hour: int
    ) -> None:
        self._clock = clock
        self._reconciler = reconciler
        self._installation = installation
        self._every = timedelta(seconds=every_s)
        self._hour = full_hour
        self._began = clock.wall()

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds what is due, until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            await pause(_POLL_S, stop, wake)
            if stop.is_set():
                return
            try:
                if not await self._reconciler.continue_queued(stop) and (mode := await self.due()) is not None:
                    await self._reconciler.reconcile(mode, by="timer", stop=stop)
            except ReconcileRunning:
                continue
            except (GatewayError, *WEATHER) as error:
                log.warning("reconcile.failed", error=type(error).__name__)

    async def due(self) -> Mode | None:
        """What is due now: a full run at its hour, unless one began since; else an incremental one; or nothing.

        What was never run is due for the first time a while after the beginning, not at once.
        """
        now = self._clock.wall()
        if self._hour >= 0:
            last = await self._reconciler.last_began("full") or (await self._installation.current()).created_at
            if now >= next_at(self._hour, last):
                return "full"
        if self._every:
            last = await self._reconciler.last_began("incremental") or self._began
            if now >= last + self._every:
                return "incremental"
        return None


def next_at(hour: int, after: datetime) -> datetime:
    """The first time that it is this hour (UTC) after a moment."""
    found = after.replace(hour=hour, minute=0, second=0, microsecond=0)
    return found if found > after else found + timedelta(days=1)
