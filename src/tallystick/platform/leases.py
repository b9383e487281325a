"""`Lease`: work that one process does at a time, whichever comes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.platform.database import WEATHER, Database

__all__ = ["Lease"]


class Lease:
    """A named right that one holder has until it runs out (wall time).

    Whoever is slower than his lease is not stopped: what is done under one must bear being done twice.
    """

    def __init__(self, database: Database, clock: Clock, name: str, *, for_s: float = 30) -> None:
        self._database = database
        self._clock = clock
        self._name = name
        self._for = timedelta(seconds=for_s)
        self._holder = new_id()

    async def take(self) -> bool:
        """Have it for `for_s` seconds from now on; False while somebody else has it."""
        wall = self._clock.wall()
        async with self._database.connection() as connection:
            taken = await connection.fetchval(
                """
                INSERT INTO leases AS l (name, holder, leased_until) VALUES ($1, $2, $4)
                ON CONFLICT (name) DO UPDATE SET holder = $2, leased_until = $4
                WHERE l.holder = $2 OR l.leased_until < $3
                RETURNING true
                """,
                self._name,
                self._holder,
                wall,
                wall + self._for,
            )
        return taken is not None

    async def give_back(self) -> None:
        """Let the next one take it at once."""
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM leases WHERE name = $1 AND holder = $2", self._name, self._holder)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """For a block, however long it takes: whether the caller has it. The end of the block gives it back."""
        if not await self.take():
            yield False
            return
        keeping = asyncio.create_task(self._keep(), name=f"lease.{self._name}")
        try:
            yield True
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            with suppress(*WEATHER):
                await self.give_back()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._for.total_seconds() / 3)
            with suppress(*WEATHER):
                await self.take()
