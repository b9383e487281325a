"""`PayloadArchiver`: keeps the inbox small. Payloads of events that are over move to an archive by months.

The rows stay, with Stripe's ids: what was once heard is known for ever. A batch is one transaction, so that a payload
is in one of the two places whatever is killed when; who holds the archive's one row does the next batch.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from tallystick.core.clock import Clock
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.platform.work import pause
from tallystick.webhooks.models import Archived
from tallystick.webhooks.repository_archive import ArchiveRepository, months_before

__all__ = ["PayloadArchiver"]

log = structlog.get_logger()

_EVERY_S = 600.0
_BATCH = 200
# Between batches, so that a first run over years of events leaves the server to others.
_BREATH_S = 0.02


class PayloadArchiver:
    """Archives payloads by wall time, in small batches; any number of workers may run one."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, repository: ArchiveRepository | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(days=settings.keep_payloads_days)
        self._months = settings.keep_archive_months
        self._repository = repository or ArchiveRepository()

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every ten minutes until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.sweep(stop)
            except WEATHER as error:
                log.warning("archive.weather", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def sweep(self, stop: asyncio.Event | None = None) -> int:
        """Archive all that is old enough, or as much as there is time for until `stop`; how many payloads moved."""
        before, total = self._clock.wall() - self._keep, 0
        for step in (self._walk, self._catch_up):
            more = True
            while more and not (stop is not None and stop.is_set()):
                async with self._database.transaction() as tx:
                    moved, more = await step(tx, before)
                total += moved
                await asyncio.sleep(_BREATH_S if more else 0)
        if total:
            log.info("archive.moved", payloads=total)
        await self._drop()
        return total

    async def _walk(self, tx: Transaction, before: datetime) -> tuple[int, bool]:
        """One batch in the order of arrival: how many moved, and whether there is more."""
        passed = await self._repository.take_turn(tx)
        if passed is None:
            return 0, False
        events = await self._repository.walk(tx, passed, before, _BATCH)
        if not events:
            return 0, False
        moved = await self._move(tx, [event for event in events if event.over])
        await self._repository.leave(tx, [event for event in events if not event.over])
        await self._repository.pass_to(tx, events[-1].id)
        return moved, len(events) == _BATCH

    async def _catch_up(self, tx: Transaction, before: datetime) -> tuple[int, bool]:
        """One batch of those that were not over when their turn was."""
        if await self._repository.take_turn(tx) is None:
            return 0, False
        events = await self._repository.passed_over(tx, before, _BATCH)
        return await self._move(tx, events), len(events) == _BATCH

    async def _move(self, tx: Transaction, events: Sequence[Archived]) -> int:
        if not events:
            return 0
        months = {months_before(event.created_at, 0) for event in events}
        for month in sorted(months - await self._repository.months(tx)):
            await self._repository.add_month(tx, month)
        return await self._repository.move(tx, events, self._clock.wall())

    async def _drop(self) -> None:
        """Forget the months that are too old, one a transaction."""
        if not self._months:
            return
        oldest = months_before(self._clock.wall(), self._months)
        async with self._database.connection() as connection:
            months = sorted(await self._repository.months(connection))
        for month in (month for month in months if month < oldest):
            async with self._database.transaction() as tx:
                if await self._repository.take_turn(tx) is not None and month in await self._repository.months(tx):
                    await self._repository.drop_month(tx, month)
                    log.info("archive.dropped", month=f"{month:%Y-%m}")
