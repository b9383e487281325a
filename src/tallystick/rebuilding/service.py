"""`Rebuilder`: the mirror once more, from the stored events alone, in a schema of its own.

Every event that was applied is applied again by the same recorders, in the order of arrival, and silently. What comes
out should be the live mirror; `service_compare.py` says where it is not. The live schema is read in one
snapshot, in which each event is either applied or not, so that traffic may go on meanwhile.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.clock import Clock
from tallystick.notifications.silence import silent
from tallystick.platform.database import Database, Transaction
from tallystick.rebuilding.errors import SchemaRefused
from tallystick.rebuilding.models import COPIED, MARK, Progress, Rebuilt, ReplayClock
from tallystick.rebuilding.repository import RebuildRepository
from tallystick.rebuilding.service_compare import compare
from tallystick.reconciliation.kinds import Kind, kind_of
from tallystick.stripe_gateway.ordering import Source
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.models import ClaimedEvent, StoredEvent
from tallystick.webhooks.registry import Record, Registry
from tallystick.webhooks.service_stored import StoredEvents

__all__ = ["Rebuilder", "drop_schema", "prepare_schema"]

_BATCH = 200
_COPIED_AT_ONCE = 2000
# After so many batches, events whose parent was not there are tried again.
_LOOK_BACK = 25

Settle = Callable[[Transaction, Sequence[str], datetime], Awaitable[None]]


async def prepare_schema(database: Database, schema: str, *, replace: bool) -> None:
    """Make the empty schema to rebuild into; `replace` allows to drop the one that a rebuild has left.

    Raises SchemaRefused for the live schema, and for one that is there and is not ours to drop.
    """
    repository = RebuildRepository()
    if schema == database.schema:
        raise SchemaRefused(f"{schema!r} is the live schema; a rebuild needs one of its own.")
    async with database.transaction() as tx:
        there, comment = await repository.comment_of(tx, schema)
        if there:
            if not (comment or "").startswith(MARK):
                raise SchemaRefused(f"The schema {schema!r} is there, and no rebuild has made it.")
            if not replace:
                raise SchemaRefused(f"The schema {schema!r} is there from an earlier rebuild; --replace drops it.")
            await repository.drop(tx, schema)
        await repository.create(tx, schema, database.schema)


async def drop_schema(database: Database, schema: str) -> None:
    """Drop a schema that a rebuild has made."""
    async with database.transaction() as tx:
        _, comment = await RebuildRepository().comment_of(tx, schema)
        if (comment or "").startswith(MARK):
            await RebuildRepository().drop(tx, schema)


class Rebuilder:
    """Rebuilds into `scratch`, a migrated and empty schema, by the recorders of `registry`, which write there."""

    def __init__(
        self,
        live: Database,
        scratch: Database,
        registry: Registry,
        clock: ReplayClock,
        live_clock: Clock,
        settle_access: Settle,
    ) -> None:
        """`settle_access` ends the access of these subscriptions, as of then: what ends by time, no event tells."""
        self._live = live
        self._scratch = scratch
        self._registry = registry
        self._clock = clock
        self._live_clock = live_clock
        self._settle_access = settle_access
        self._events = StoredEvents()
        self._repository = RebuildRepository()

    async def run(self, progress: Progress, *, comparing: bool = True) -> Rebuilt:
        """Rebuild, and compare with the live mirror as it was at the beginning."""
        result = Rebuilt(self._scratch.schema)
        async with self._live.transaction() as snapshot:
            await self._repository.freeze(snapshot)
            now = self._live_clock.now()
            result.gone = await self._events.dropped(snapshot)
            with silent():
                await self._copy(snapshot)
                await self._replay(snapshot, result, progress)
                await self._end_access(now)
            if comparing:
                await compare(snapshot, self._scratch, self._repository, result, progress)
        return result

    async def _copy(self, snapshot: Transaction) -> None:
        for table, sql in COPIED.items():
            cursor = await self._repository.rows(snapshot, sql)
            while rows := await cursor.fetch(_COPIED_AT_ONCE):
                async with self._scratch.transaction() as tx:
                    await self._repository.put(tx, table, rows)

    async def _replay(self, snapshot: Transaction, result: Rebuilt, progress: Progress) -> None:
        progress.phase("replay", await self._events.count(snapshot))
        waiting: dict[UUID, str] = {}
        number = 0
        async for batch in self._events.batches(snapshot, _BATCH):
            await self._apply_all([event for event in batch if event.data is not None], waiting, result)
            progress.advance(len(batch))
            number += 1
            if waiting and number % _LOOK_BACK == 0:
                await self._look_back(snapshot, waiting, result)
        while waiting and await self._look_back(snapshot, waiting, result):
            pass
        result.failures += [(stripe_event_id, "its parent never came") for stripe_event_id in waiting.values()]

    async def _end_access(self, now: datetime) -> None:
        """Access whose end has passed. The worker saw to that in the live schema, after it had asked Stripe."""
        self._clock.at = now
        last = ""
        while True:
            async with self._scratch.transaction() as tx:
                ended = await self._repository.ended(tx, now, last, _BATCH)
                if not ended:
                    return
                await self._settle_access(tx, ended, now)
            last = ended[-1]

    async def _look_back(self, snapshot: Transaction, waiting: dict[UUID, str], result: Rebuilt) -> bool:
        """Try those again whose parent was not there; whether one of them was applied."""
        before, ids = len(waiting), sorted(waiting)
        waiting.clear()
        for first in range(0, len(ids), _BATCH):
            events = await self._events.read(snapshot, ids[first : first + _BATCH])
            await self._apply_all(events, waiting, result)
        return len(waiting) < before

    async def _apply_all(self, events: Sequence[ClaimedEvent], waiting: dict[UUID, str], result: Rebuilt) -> None:
        """Events in one transaction; where one cannot be applied, one by one."""
        if not events:
            return
        self._clock.at = max(event.created for event in events)
        try:
            async with self._scratch.transaction() as tx:
                own = await self._apply(tx, events)
        except Exception:
            await self._apply_one_by_one(events, waiting, result)
        else:
            result.events += len(events) - own
            result.own += own

    async def _apply_one_by_one(
        self, events: Sequence[ClaimedEvent], waiting: dict[UUID, str], result: Rebuilt
    ) -> None:
        for event in events:
            self._clock.at = event.created
            try:
                async with self._scratch.transaction() as tx:
                    own = await self._apply(tx, [event])
            except ParentMissing:
                waiting[event.id] = event.stripe_event_id
            except Exception as error:
                result.failures.append((event.stripe_event_id, f"{type(error).__name__}: {error}"))
            else:
                result.events += 1 - own
                result.own += own

    async def _apply(self, tx: Transaction, events: Sequence[ClaimedEvent]) -> int:
        """The effects of events, each run of Stripe's own at once; how many are of our own making."""
        facts: dict[int, tuple[Record, list[Any]]] = {}
        own = 0
        for claimed in events:
            event = claimed.open()
            if handler := self._registry.find(event.type):
                facts.setdefault(handler.rank, (handler.record, []))[1].extend(handler.translate(event))
            elif event.stripe_event_id.startswith(f"{event.source}_"):
                await _record_all(tx, facts)
                facts.clear()
                await self._apply_own(tx, event)
                own += 1
        await _record_all(tx, facts)
        return own

    async def _apply_own(self, tx: Transaction, event: StoredEvent) -> None:
        """What a fetch, an import or a repair has brought."""
        kind = kind_of(event.object)
        handler = self._registry.find(kind.event_type) if kind else None
        if kind is None or handler is None:
            return
        source = await self._source_of(tx, kind, event)
        await handler.record(tx, [kind.fact(kind.read(event.object), source)])

    async def _source_of(self, tx: Transaction, kind: Kind, event: StoredEvent) -> Source:
        if event.source == "answer":
            key = event.request_idempotency_key
            return Source("answer", event.created, request_key=key, requested=key is not None)
        known = await self._repository.state_of(tx, kind.table, kind.stripe_id, str(event.object.get("id")))
        repair = event.source == "repair"
        # Where a newer state was there before the answer came, that one stayed.
        fits = known is not None and (repair or known[1] is None or event.created >= known[1])
        return Source("fetch", event.created, base_revision=known[0] if known and fits else None, repair=repair)


async def _record_all(tx: Transaction, facts: dict[int, tuple[Record, list[Any]]]) -> None:
    for rank in sorted(facts):
        record, found = facts[rank]
        await record(tx, found)
