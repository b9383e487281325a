"""`PageRecorder`: a page of one of Stripe's lists into the mirror, in one transaction.

What the mirror lacks is recorded by the recorders of the areas, and kept in the inbox. What it has and shows otherwise
is fetched, never overwritten by a page: a webhook may have been quicker than the list. Fetched is also what the mirror
lacks while an event tells of it that was not applied: after a silent record nobody would hear of that any more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from tallystick.core.clock import Clock, to_unix
from tallystick.importing.models import Counts, Refusal
from tallystick.importing.repository import ImportRepository
from tallystick.notifications.silence import ReadMark
from tallystick.platform.database import Connection, Transaction, is_weather
from tallystick.platform.logging import scrub
from tallystick.reconciliation.kinds import Json, Kind, discounts_in, kind_named
from tallystick.reconciliation.repository_mirror import Evidence
from tallystick.stripe_gateway.ordering import Source
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.models import Applied
from tallystick.webhooks.registry import Record, Registry
from tallystick.webhooks.service import StripeWebhookService, queue_fetches

__all__ = ["PageRecorder"]

log = structlog.get_logger()

_ON_ITS_WAY = timedelta(minutes=2)
"""An object that was made so lately (business time) may be told of by an event that has not come yet."""

_TOLD = frozenset({"payment_intent", "charge", "refund", "dispute", "subscription", "subscription_schedule", "invoice"})
"""Kinds that people are told of, with what hangs on them: an object is never recorded before what it hangs on."""


class PageRecorder:
    """Records pages; what is recorded is told to nobody where the caller is `silent()`."""

    def __init__(self, clock: Clock, registry: Registry, webhooks: StripeWebhookService, mark: ReadMark) -> None:
        self._clock = clock
        self._registry = registry
        self._webhooks = webhooks
        self._mark = mark
        self._repository = ImportRepository()
        self._evidence = Evidence()

    async def record(
        self, tx: Transaction, kind: Kind, page: Sequence[Json], at: datetime, *, orphans: bool = False
    ) -> tuple[Counts, list[Refusal]]:
        """Apply a page that Stripe showed at `at`; what it was to the mirror, and what could not be stored.

        Raises:
            ParentMissing: an object whose parent is not here; with `orphans` it is refused instead.
        """
        counts, refusals, waiting = await self._record(tx, kind, page, at, orphans=orphans)
        if inner := discounts_in([obj for obj in page if obj["id"] not in waiting]):
            _, refused, _ = await self._record(tx, kind_named("discount"), inner, at, orphans=orphans)
            refusals += refused
        return counts, refusals

    async def has_news(self, connection: Connection, object_id: str) -> bool:
        """Whether the inbox has an event of this object that is to be told and was not applied."""
        mark = await self._mark(connection)
        return mark is not None and bool(await self._evidence.unapplied(connection, [object_id], mark))

    async def _record(
        self, tx: Transaction, kind: Kind, page: Sequence[Json], at: datetime, *, orphans: bool
    ) -> tuple[Counts, list[Refusal], set[str]]:
        """Also the objects that are left to their events."""
        objects = {str(obj["id"]): obj for obj in page}
        known = await self._repository.revisions(tx, kind, list(objects))
        lacking = [obj for object_id, obj in objects.items() if object_id not in known]
        waiting = await self._waiting(tx, kind, lacking, at) if lacking else set()
        fresh = [obj for obj in lacking if obj["id"] not in waiting]
        refusals = await self._add(tx, kind, fresh, at, orphans=orphans) if fresh else []
        added = await self._keep(tx, kind, fresh, at) if fresh else 0
        # A row that was moved after the list was read is the newer one.
        seen = [objects[object_id] for object_id, (_, state_at) in known.items() if state_at is None or state_at <= at]
        changed = await self._changed(tx, kind, seen, known, at) if seen else set()
        # After the rows, as the recorders of events do: two that lock in different orders wait for each other.
        await queue_fetches(tx, waiting | {id_ for id_ in changed if self._registry.can_fetch(id_)}, self._clock)
        counts = Counts(
            listed=len(objects),
            added=added,
            same=len(known) - len(changed),
            changed=len(changed) + len(waiting),
            left_out=len(fresh) - added - len(refusals),
        )
        return counts, refusals, waiting

    async def _waiting(self, tx: Transaction, kind: Kind, objects: Sequence[Json], at: datetime) -> set[str]:
        """Those of these objects of which an event, since the mark, is in the inbox and not applied, or on its way."""
        mark = await self._mark(tx) if kind.object in _TOLD else None
        if mark is None:
            return set()
        unapplied = await self._evidence.unapplied(tx, [_key(kind, obj) for obj in objects], mark)
        found = {str(obj["id"]) for obj in objects if obj["id"] in unapplied or _just_made(obj, mark, at)}
        return {object_id for object_id in found if self._registry.can_fetch(object_id)}

    # What the mirror lacks

    async def _add(
        self, tx: Transaction, kind: Kind, objects: Sequence[Json], at: datetime, *, orphans: bool
    ) -> list[Refusal]:
        record = self._recorder(kind)
        try:
            async with tx.transaction():
                await record(tx, [kind.fact(kind.read(obj), Source("fetch", at)) for obj in objects])
        except ParentMissing:
            if not orphans:
                raise
        except Exception as error:
            if is_weather(error) or tx.is_closed():
                raise
            log.info("import.page_failed", object=kind.object, error=type(error).__name__)
        else:
            return []
        return await self._add_one_by_one(tx, kind, objects, at)

    async def _add_one_by_one(
        self, tx: Transaction, kind: Kind, objects: Sequence[Json], at: datetime
    ) -> list[Refusal]:
        refusals, record = [], self._recorder(kind)
        for obj in objects:
            try:
                async with tx.transaction():
                    await record(tx, [kind.fact(kind.read(obj), Source("fetch", at))])
            except ParentMissing as missing:
                reason = f"hangs on {missing.parent_id}, which is not at Stripe"
                refusals.append(Refusal(kind.object, str(obj["id"]), reason))
            except Exception as error:
                if is_weather(error) or tx.is_closed():
                    raise
                refusals.append(Refusal(kind.object, str(obj["id"]), scrub(f"{type(error).__name__}: {error}")[:300]))
        return refusals

    async def _keep(self, tx: Transaction, kind: Kind, objects: Sequence[Json], at: datetime) -> int:
        """Store in the inbox what has become rows; how many have."""
        ids = [str(obj["id"]) for obj in objects]
        rows = await self._repository.revisions(tx, kind, ids)
        applied = [_applied(kind, obj, at) for obj in objects if obj["id"] in rows]
        await self._webhooks.record_many_applied(tx, applied, source="import")
        return len(applied)

    # What it has

    async def _changed(
        self, tx: Transaction, kind: Kind, objects: Sequence[Json], known: Mapping[str, tuple[int, Any]], at: datetime
    ) -> set[str]:
        """The objects that differ from their rows. Those that cannot be fetched are recorded, the others not."""
        differing = await self._differing(tx, kind, objects, known, at)
        # Coupons and their like have no fetch: nothing hangs on them, and the list shows them whole.
        direct = [obj for obj in objects if obj["id"] in differing and not self._registry.can_fetch(obj["id"])]
        if direct:
            await self._recorder(kind)(tx, [_mend(kind, obj, known, at) for obj in direct])
            applied = [_applied(kind, obj, at) for obj in direct]
            await self._webhooks.record_many_applied(tx, applied, source="import")
        return differing

    async def _differing(
        self, tx: Transaction, kind: Kind, objects: Sequence[Json], known: Mapping[str, tuple[int, Any]], at: datetime
    ) -> set[str]:
        """The objects that would change their rows: seen by recording them, and taking that back."""
        ids = [str(obj["id"]) for obj in objects]
        before = await self._repository.shown(tx, kind, ids)
        savepoint = tx.transaction()
        await savepoint.start()
        try:
            await self._recorder(kind)(tx, [_mend(kind, obj, known, at) for obj in objects])
            after = await self._repository.shown(tx, kind, ids)
        except Exception as error:
            if is_weather(error) or tx.is_closed():
                raise
            # Which one it is, its own fetch will tell.
            return set(ids)
        finally:
            await savepoint.rollback()
        return {object_id for object_id in ids if before.get(object_id) != after.get(object_id)}

    def _recorder(self, kind: Kind) -> Record:
        handler = self._registry.find(kind.event_type)
        assert handler is not None, kind.event_type
        recorder = handler.record

        async def record(tx: Transaction, facts: Sequence[Any]) -> None:
            await recorder(tx, await self._webhooks.redacted(tx, facts))

        return record


def _mend(kind: Kind, obj: Json, known: Mapping[str, tuple[int, Any]], at: datetime) -> Any:
    return kind.fact(kind.read(obj), Source("fetch", at, base_revision=known[obj["id"]][0], repair=True))


def _applied(kind: Kind, obj: Json, at: datetime) -> Applied:
    return Applied(f"{kind.object}.imported", str(obj["id"]), _key(kind, obj), obj, at)


def _just_made(obj: Json, mark: datetime, at: datetime) -> bool:
    created = obj.get("created")
    if not isinstance(created, int) or created < to_unix(mark):
        return False
    return abs(created - to_unix(at)) < _ON_ITS_WAY.total_seconds()


def _key(kind: Kind, obj: Json) -> str:
    """Under which key of the inbox the events of an object are."""
    intent = obj.get("payment_intent") if kind.table in ("charges", "refunds", "disputes") else None
    key = intent.get("id") if isinstance(intent, Mapping) else intent
    return str(key or obj["id"])
