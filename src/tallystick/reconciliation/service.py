"""`EventPoller`: Stripe's events by `GET /v1/events` into the inbox, for a laptop that no webhook can reach."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from tallystick.core.clock import Clock, to_unix
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.work import pause
from tallystick.reconciliation.repository import CursorRepository
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.objects import StripeEvent
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["EventPoller"]

log = structlog.get_logger()

_CURSOR = "events"
_EVERY_S = 2.0
_WINDOW = timedelta(minutes=15)
_CHUNK = 100
# Events become visible a little after their `created`; the inbox drops what it has already.
_OVERLAP = timedelta(seconds=60)


class EventPoller:
    """Follows the events of the account; every event enters the inbox once, whichever way it comes."""

    def __init__(self, database: Database, clock: Clock, stripe: StripeService, webhooks: StripeWebhookService) -> None:
        self._database = database
        self._clock = clock
        self._stripe = stripe
        self._webhooks = webhooks
        self._cursors = CursorRepository()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll every two seconds until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.poll()
            except (GatewayError, *WEATHER) as error:
                log.warning("poll.failed", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def poll(self) -> int:
        """Read what is new and store it, oldest first; how many events were new to the inbox.

        Long gaps are read window by window, so that the cursor never passes over an event that was not stored.
        """
        start = await self._cursor() - _OVERLAP
        now = self._clock.now()
        new = 0
        while True:
            end = start + _WINDOW
            events = await self._between(start, end)
            new += await self._store(events)
            if end >= now:
                newest = max((event.created for event in events), default=start)
                await self._advance(newest)
                return new
            await self._advance(end)
            start = end

    async def _store(self, events: Sequence[StripeEvent]) -> int:
        oldest_first, new = list(reversed(events)), 0
        for first in range(0, len(oldest_first), _CHUNK):
            async with self._database.transaction() as tx:
                chunk = [event.raw for event in oldest_first[first : first + _CHUNK]]
                new += await self._webhooks.ingest(tx, chunk, "poll")
        return new

    async def _advance(self, to: datetime) -> None:
        async with self._database.transaction() as tx:
            await self._cursors.advance(tx, _CURSOR, to, self._clock.wall())

    async def _cursor(self) -> datetime:
        async with self._database.transaction() as tx:
            found = await self._cursors.find(tx, _CURSOR)
            if found is None:
                found = self._clock.now()
                await self._cursors.advance(tx, _CURSOR, found, self._clock.wall())
        return found

    async def _between(self, start: datetime, end: datetime) -> list[StripeEvent]:
        """All events created at or after `start` and before `end`, newest first."""
        events: list[StripeEvent] = []
        last: str | None = None
        while True:
            page, more = await self._stripe.list_events(
                created_from=to_unix(start), created_until=to_unix(end), starting_after=last
            )
            events += page
            if not more or not page:
                return events
            last = page[-1].id
