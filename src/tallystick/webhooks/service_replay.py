"""`EventReplayer`: stored events back into the line, archived ones too; one, or all that a filter means.

Recorders bear an event twice, so what it did stays single: no row, mail or webhook comes again.
"""

from collections.abc import Callable
from uuid import UUID

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.platform.database import Database
from tallystick.webhooks.errors import EventNotFound, EventStateConflict
from tallystick.webhooks.models import EventDetail, EventFilter
from tallystick.webhooks.repository import WebhookEventRepository
from tallystick.webhooks.repository_archive import ArchiveRepository
from tallystick.webhooks.repository_replay import ReplayRepository
from tallystick.webhooks.service import event_key

__all__ = ["EventReplayer"]

_BATCH = 200


class EventReplayer:
    """Puts events back into the line; the workers apply them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._events = WebhookEventRepository()
        self._archive = ArchiveRepository()
        self._replays = ReplayRepository()

    async def replay(self, event_id: str | UUID) -> EventDetail:
        """Have an event applied (again), with all its tries.

        Raises:
            EventNotFound: there is none.
            EventStateConflict: it is none of Stripe's, or has no readable payload: there is nothing to apply.
        """
        key = event_key(event_id)
        async with self._database.transaction() as tx:
            lane = await self._events.lane_of_event(tx, key)
            if lane is None:
                raise EventNotFound
            # No worker applies it meanwhile.
            await self._events.lock_lane(tx, lane)
            event = await self._events.find(tx, key)
            if event is None:
                raise EventNotFound
            _assert_replayable(event)
            await self._archive.restore(tx, [event.summary.id])
            await self._replays.reopen(tx, [event.summary.id], self._clock.wall())
            found = await self._events.find(tx, key)
        assert found is not None
        return found

    async def count(self, wanted: EventFilter) -> int:
        """How many events would be replayed: all that the filter means but those that wait to be applied anyway."""
        async with self._database.connection() as connection:
            return await self._replays.count(connection, wanted)

    async def replay_all(self, wanted: EventFilter, progress: Callable[[int], None] = lambda _: None) -> int:
        """Replay what a filter means, in the order of arrival and in small transactions; how many.

        `progress` is told after each of them how many it looked at. What arrives meanwhile is not replayed, and an
        event whose payload was dropped with the archive is left as it is.
        """
        last, until, total = UUID(int=0), new_id(), 0
        while True:
            async with self._database.transaction() as tx:
                batch = await self._replays.after(tx, wanted, last, until, _BATCH)
                if not batch:
                    return total
                for lane in sorted({lane for _, lane in batch}):
                    await self._events.lock_lane(tx, lane)
                ids = [event_id for event_id, _ in batch]
                await self._archive.restore(tx, ids)
                total += await self._replays.reopen(tx, ids, self._clock.wall())
            last = ids[-1]
            progress(len(ids))


def _assert_replayable(event: EventDetail) -> None:
    summary = event.summary
    if summary.stripe_event_id.startswith(f"{summary.source}_"):
        raise EventStateConflict(
            "This is no event of Stripe's: it keeps what was read from Stripe at that moment, and was applied then."
        )
    if event.gone:
        raise EventStateConflict("Its payload was dropped with its month of the archive (KEEP_ARCHIVE_MONTHS).")
    if event.payload is None:
        raise EventStateConflict("There is no readable payload to apply; this event can only be discarded.")
