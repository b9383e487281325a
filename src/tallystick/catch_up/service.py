"""`EventCatchUp`: Stripe's list of events into the inbox, so that what no webhook brought arrives all the same.

Every so often one process reads what was created since it was last read, and a little before that, as events become
visible late. What the inbox has is left alone. The cursor moves only over what is stored: whoever dies in the middle is
followed by another who goes on from there.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from tallystick.catch_up.models import CatchUpState
from tallystick.catch_up.repository import CursorRepository, GapRepository
from tallystick.catch_up.service_read import EventReader
from tallystick.core.clock import Clock, from_unix, to_unix
from tallystick.installation.service import InstallationService
from tallystick.notifications.alerts import queue_alert
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.leases import Lease
from tallystick.platform.work import Retry, WorkItem, pause
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.objects import StripeEvent
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["CATCH_UP_TIMER", "LISTED_FOR", "EventCatchUp"]

log = structlog.get_logger()

CATCH_UP_TIMER = "events.catch_up"
LISTED_FOR = timedelta(days=30)
"""For so long Stripe lists an event."""

# So much before that it counts as forgotten: reading takes a while, and what is read must be listed until it was.
_SLACK = timedelta(hours=1)
_OVERLAP = timedelta(minutes=2)
# Where webhooks come, they come first: what is read after that was missed.
_HEAD_START = timedelta(seconds=20)
# Business time may be moved on by years: it is read again before the list forgets.
_AT_LEAST_EVERY = timedelta(days=20)
_CHUNK = 100


class EventCatchUp:
    """Follows the events of the account; every event enters the inbox once, whichever way it comes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        stripe: StripeService,
        webhooks: StripeWebhookService,
        installation: InstallationService,
        *,
        every_s: float,
        head_start: bool = True,
    ) -> None:
        """Without a `head_start` the newest events are read, too, although their webhooks may be on their way."""
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._installation = installation
        self._every_s = every_s
        self._head_start = _HEAD_START if head_start else timedelta()
        self._reader = EventReader(stripe)
        self._lease = Lease(database, clock, "events.catch_up")
        self._cursor = CursorRepository()
        self._gaps = GapRepository()

    async def run(self, stop: asyncio.Event) -> None:
        """Catch up now, and then every so often until `stop`. Raises WrongInstallation."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.catch_up(stop)
            except (GatewayError, *WEATHER) as error:
                log.warning("catch_up.failed", error=type(error).__name__)
            await pause(self._every_s, stop, wake)

    async def due(self, _: WorkItem) -> datetime:
        """The timer `events.catch_up`: so that no leap of business time passes over what the list forgets."""
        try:
            if await self.catch_up() is None:
                raise Retry("another process is at it", after=timedelta(seconds=1), counted=False)
        except GatewayError as error:
            raise Retry(type(error).__name__, counted=False) from error
        return self._clock.now() + _AT_LEAST_EVERY

    async def catch_up(self, stop: asyncio.Event | None = None) -> int | None:
        """Read what is new, or as much as there is time for until `stop`; how many events were new to the inbox.

        None where another process is at it. Raises WrongInstallation, and the errors of the gateway.
        """
        installation = await self._installation.verify()
        async with self._lease.held() as mine:
            return await self._read(installation.mark, stop) if mine else None

    async def state(self) -> CatchUpState | None:
        """Where it stands, with the gaps that are open; None before the first time."""
        async with self._database.connection() as connection:
            found = await self._cursor.state(connection)
            return replace(found, gaps=await self._gaps.open(connection)) if found else None

    async def _read(self, mark: datetime, stop: asyncio.Event | None) -> int:
        end = self._clock.now() - self._head_start
        start = await self._start(mark, end)
        new = 0
        edge = start
        async with aclosing(self._reader.read(to_unix(start), to_unix(end))) as windows:
            async for window in windows:
                new += await self._store(window.events)
                if edge < self._clock.now() - LISTED_FOR:
                    # We stood still while it was asked for, and some of it was listed no more.
                    return new + await self._read(mark, stop)
                edge = from_unix(window.until)
                await self._advance(edge)
                if stop is not None and stop.is_set():
                    return new
        async with self._database.connection() as connection:
            await self._cursor.note_end(connection, self._clock.wall())
        if new:
            log.info("catch_up.recovered", events=new)
        return new

    async def _start(self, mark: datetime, end: datetime) -> datetime:
        """From when on to read: a little before the cursor, and not before what Stripe lists for some time yet."""
        wall, listed = self._clock.wall(), end - LISTED_FOR + _SLACK
        async with self._database.transaction() as tx:
            cursor = await self._cursor.start(tx, mark, wall)
            if cursor >= listed:
                return max(cursor - _OVERLAP, listed)
            gap = await self._gaps.add(tx, cursor, listed, wall)
            await self._cursor.advance(tx, listed, wall)
            facts = {"missing_from": cursor.isoformat(), "missing_until": listed.isoformat()}
            await queue_alert(tx, "events_missed", str(gap.id), facts, due_at=self._clock.now())
        log.error("catch_up.gap", **facts, hint="Stripe lists events for 30 days; the lists are walked instead")
        return listed

    async def _store(self, events: Sequence[StripeEvent]) -> int:
        """Into the inbox what is not there, oldest first; only that much is sent to the database."""
        new = 0
        for first in range(0, len(events), _CHUNK):
            chunk = events[first : first + _CHUNK]
            async with self._database.transaction() as tx:
                known = await self._cursor.known(tx, [event.id for event in chunk])
                missing = [event.raw for event in chunk if event.id not in known]
                stored = await self._webhooks.ingest(tx, missing, "poll")
                if stored:
                    await self._cursor.count_recovered(tx, stored, self._clock.wall())
            new += stored
        return new

    async def _advance(self, to: datetime) -> None:
        async with self._database.transaction() as tx:
            await self._cursor.advance(tx, to, self._clock.wall())
