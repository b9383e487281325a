"""How long after a fault the service works again, and how long until all that was under way then has ended."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from chaos.faults import Fault
from chaos.traffic import Traffic
from chaos.world import World
from tallystick.platform.database import WEATHER

__all__ = ["Recovery"]

_LOOK_S = 0.1


@dataclass
class Recovery:
    """Watches each fault from its lifting (a kill: from the kill) on. Later faults may draw everything out.

    It *works again* when what was hit is up, and both a request and an event that came later are done. It has *caught
    up* when every request and every event that were waiting at the lifting are done, too.
    """

    world: World
    traffic: Traffic
    works_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    caught_up_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _pending: frozenset[UUID] = frozenset()
    _looked: float = 0.0
    _applied: float = 0.0
    _watches: set["asyncio.Task[None]"] = field(default_factory=set)

    async def look(self) -> None:
        """Look at the inbox again and again; for all watches at once, as looking is work for the database, too."""
        while True:
            with contextlib.suppress(*WEATHER, asyncpg.PostgresError):
                rows = await self.traffic.system.fetch("SELECT id FROM webhook_events WHERE state = 'pending'")
                found = frozenset(row["id"] for row in rows)
                self._looked = time.monotonic()
                if self._pending - found or not found:
                    self._applied = self._looked
                self._pending = found
            await asyncio.sleep(_LOOK_S)

    def watch(self, fault: Fault) -> None:
        task = asyncio.create_task(self._watch(fault, time.monotonic()))
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def finish(self, timeout_s: float) -> int:
        """Wait for the rest; how many of them never came."""
        if self._watches:
            _, late = await asyncio.wait(self._watches, timeout=timeout_s)
            for task in late:
                task.cancel()
            return len(late)
        return 0

    async def _watch(self, fault: Fault, began: float) -> None:
        requests = set(self.traffic.under_way)
        await _until(lambda: self._looked > began)
        events = self._pending
        while not await self._is_up(fault, began):
            await asyncio.sleep(_LOOK_S)
        await _until(lambda: not self.traffic.begins_more or self.traffic.last_begun_and_answered > began)
        await _until(lambda: not self.traffic.begins_more or self._applied > began)
        self.works_s[fault.label].append(time.monotonic() - began)
        await _until(lambda: not requests & self.traffic.under_way.keys() and not events & self._pending)
        self.caught_up_s[fault.label].append(time.monotonic() - began)

    async def _is_up(self, fault: Fault, began: float) -> bool:
        if fault.target == "postgres":
            return await self.world.postgres.is_up()
        part = self.world.parts.get(fault.target)
        if part is None:
            return True
        return (fault.kind != "kill" or part.started_at > began) and await part.is_up()


async def _until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(_LOOK_S)
