"""`EndpointWatch`: asks Stripe now and then whether it still sends us webhooks, and keeps the answer for all."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tallystick.core.clock import Clock
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.leases import Lease
from tallystick.platform.work import pause

__all__ = ["EndpointWatch", "Probe"]

log = structlog.get_logger()

_EVERY_S = 600.0

Probe = Callable[[], Awaitable[bool | None]]
"""Whether Stripe's endpoint for us is enabled; None where nobody knows."""


class EndpointWatch:
    """One process asks, every ten minutes."""

    def __init__(self, database: Database, clock: Clock, probe: Probe) -> None:
        self._database = database
        self._clock = clock
        self._probe = probe
        self._lease = Lease(database, clock, "endpoint watch", for_s=_EVERY_S * 1.5)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                if await self._lease.take():
                    await self.look()
            except WEATHER as error:
                log.warning("endpoint_watch.weather", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def look(self) -> None:
        """Ask once, and keep the answer."""
        enabled = await self._probe()
        async with self._database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO watched (name, value, read_at) VALUES ('stripe_endpoint_enabled', $1, $2)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value, read_at = excluded.read_at
                """,
                None if enabled is None else float(enabled),
                self._clock.wall(),
            )
