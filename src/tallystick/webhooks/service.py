"""What the rest of the program and its operators do with events; also how one event is stored whatever is in it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import structlog

from tallystick.core.clock import Clock, to_unix
from tallystick.core.ids import lane_of, new_id, parse_uuid
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX, Page
from tallystick.platform.database import Connection, Database, Transaction
from tallystick.platform.logging import scrub
from tallystick.platform.work import enqueue
from tallystick.webhooks.envelope import encode_event, read_envelope, without_secrets
from tallystick.webhooks.errors import EventNotFound, EventStateConflict
from tallystick.webhooks.models import (
    LANES,
    Applied,
    ClaimedEvent,
    Envelope,
    EventDetail,
    EventSummary,
    Fact,
    Redactor,
    StoredEvent,
)
from tallystick.webhooks.repository import WebhookEventRepository

__all__ = [
    "REFUSED",
    "Fetches",
    "StripeWebhookService",
    "event_key",
    "queue_alert",
    "queue_fetch",
    "queue_fetches",
    "store_one",
]

log = structlog.get_logger()

REFUSED = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What PostgreSQL says to a payload that is JSON but no jsonb (`\\u0000`, lone surrogates, absurd numbers, depth)."""

_REFUSED_MESSAGE = "PostgreSQL's jsonb refuses this payload; the body is kept as it came"
_DISCARDABLE = ("pending", "dead", "parked")


class Fetches(Protocol):
    """What the service needs of the registry, which is above it."""

    redactor: Redactor | None

    def can_fetch(self, object_id: str) -> bool:
        """Whether somebody registered to fetch objects of this kind."""


class StripeWebhookService:
    """The inbox from inside: feed it, look into it, and decide about its dead letters."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        registry: Fetches,
        repository: WebhookEventRepository | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._registry = registry
        self._repository = repository or WebhookEventRepository()

    # Recorders

    async def ingest(self, tx: Transaction, events: Sequence[Mapping[str, Any]], source: str) -> int:
        """Store events that were polled or imported, as if Stripe had delivered them; returns how many were new.

        Raises NotAnEvent when one of them is no event object.
        """
        envelopes = [read_envelope(encode_event(event), source) for event in events]
        if not envelopes:
            return 0
        try:
            async with tx.transaction():
                return await self._repository.insert(tx, envelopes, self._clock.wall())
        except REFUSED:
            ordered = sorted(envelopes, key=lambda envelope: envelope.stripe_event_id)
            return sum([await store_one(self._repository, tx, envelope, self._clock) for envelope in ordered])

    async def record_applied(
        self,
        tx: Transaction,
        *,
        source: str = "fetch",
        event_type: str,
        object_id: str,
        object_key: str,
        obj: Mapping[str, Any],
        at: datetime,
        request_key: str | None = None,
    ) -> str:
        """Store what a fetch, a repair or an import applied in `tx`, so that the mirror can be rebuilt from the inbox.

        So are answers that no event tells of (source `answer`, with the key of their request). `at` is the time of the
        state that `obj` shows. Returns the id of the row's own making, `fetch_<uuid>`.
        """
        [applied] = await self._redacted(tx, [Applied(event_type, object_id, object_key, obj, at, request_key)])
        envelope = _envelope(applied, source)
        await self._repository.insert_applied(tx, envelope, self._clock.wall())
        return envelope.stripe_event_id

    async def record_many_applied(self, tx: Transaction, applied: Sequence[Applied], *, source: str) -> None:
        """The same for many objects, in one statement; one that jsonb refuses is left out, and the log says so."""
        if not applied:
            return
        applied, now = await self._redacted(tx, applied), self._clock.wall()
        envelopes = [_envelope(each, source) for each in applied]
        try:
            async with tx.transaction():
                await self._repository.insert_many_applied(tx, envelopes, now)
        except REFUSED:
            for envelope in envelopes:
                try:
                    async with tx.transaction():
                        await self._repository.insert_applied(tx, envelope, now)
                except REFUSED:
                    log.warning("inbox.not_kept", object_id=envelope.object_id, source=source)

    async def redacted(self, connection: Connection, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Facts of fetched or listed objects without what may not be kept of erased persons; then they are recorded."""
        return await self._registry.redactor.facts(connection, facts) if self._registry.redactor else facts

    async def _redacted(self, tx: Transaction, applied: Sequence[Applied]) -> Sequence[Applied]:
        return await self._registry.redactor.applied(tx, applied) if self._registry.redactor else applied

    # Commands and reads

    async def list(
        self,
        *,
        state: str | None = None,
        event_type: str | None = None,
        limit: int = LIMIT_DEFAULT,
        starting_after: str | None = None,
    ) -> Page[EventSummary]:
        """Events, the last received first; `starting_after` is the id of the last one seen."""
        limit = max(1, min(limit, LIMIT_MAX))
        before = (await self.get(starting_after)).summary.id if starting_after is not None else None
        async with self._database.connection() as connection:
            found = await self._repository.page(
                connection, state=state, event_type=event_type, before=before, limit=limit + 1
            )
        return Page(found[:limit], has_more=len(found) > limit)

    async def get(self, event_id: str | UUID) -> EventDetail:
        """One event by our id or by Stripe's; raises EventNotFound."""
        async with self._database.connection() as connection:
            found = await self._repository.find(connection, event_key(event_id))
        if found is None:
            raise EventNotFound
        return found

    async def find_by_request_key(self, key: str) -> Sequence[StoredEvent]:
        """The events that the request with this idempotency key caused, oldest first; tells what became of it."""
        async with self._database.connection() as connection:
            return await self._repository.caused_by(connection, key)

    async def backlog(self) -> Mapping[str, int]:
        """How many events are in each state that is not an end: `pending`, `dead`, `parked` (none: no entry)."""
        async with self._database.connection() as connection:
            return await self._repository.backlog(connection)

    async def discard(self, event_id: str | UUID, reason: str) -> EventDetail:
        """Never apply an event; its object goes on without it, with a fetch where there is one for it.

        Raises:
            EventNotFound: there is none.
            EventStateConflict: it is over already.
        """
        async with self._database.transaction() as tx:
            event = await self._held(tx, event_id)
            summary, now = event.summary, self._clock.wall()
            if summary.state not in _DISCARDABLE:
                raise EventStateConflict(f"An event that is {summary.state} cannot be discarded.")
            message = f"discarded: {reason}" + (f" (was: {summary.error_message})" if summary.error_message else "")
            await self._repository.discard(tx, summary.id, scrub(message)[:500], now)
            await self._repository.release(tx, [summary.id], now)
            await queue_fetch(tx, self._registry, (summary.object_id, summary.object_key), self._clock)
        return await self.get(summary.id)

    async def _held(self, tx: Transaction, event_id: str | UUID) -> EventDetail:
        """The event, with its lane locked, so that no worker applies it while an operator decides."""
        key = event_key(event_id)
        lane = await self._repository.lane_of_event(tx, key)
        if lane is None:
            raise EventNotFound
        await self._repository.lock_lane(tx, lane)
        found = await self._repository.find(tx, key)
        if found is None:
            raise EventNotFound
        return found


async def store_one(
    repository: WebhookEventRepository, connection: Connection, envelope: Envelope, clock: Clock
) -> bool:
    """Store one event in a transaction (or savepoint) of its own, as raw bytes where jsonb refuses it; True if new.

    What is kept raw is never applied, so the administrator is told.
    """
    try:
        async with connection.transaction():
            return await repository.insert(connection, [envelope], clock.wall()) == 1
    except REFUSED:
        async with connection.transaction():
            new = await repository.insert_refused(connection, envelope, _REFUSED_MESSAGE, clock.wall())
            if new:
                await queue_alert(connection, envelope, _REFUSED_MESSAGE, clock)
        return new


async def queue_alert(tx: Transaction, event: Envelope | ClaimedEvent, error: str, clock: Clock) -> None:
    """Have the administrator told, once, that an event was not applied."""
    payload = {
        "event_id": event.stripe_event_id,
        "event_type": event.type,
        "object_key": event.object_key,
        "error": error,
    }
    key = f"alert.dead_letter:{event.stripe_event_id}"
    await enqueue(tx, "alert.dead_letter", key, payload, due_at=clock.now())


async def queue_fetch(tx: Transaction, registry: Fetches, candidates: Sequence[str | None], clock: Clock) -> bool:
    """Have the first of these objects fetched that somebody fetches at all; whether there is one."""
    for object_id in candidates:
        if object_id is not None and registry.can_fetch(object_id):
            await queue_fetches(tx, [object_id], clock)
            return True
    return False


async def queue_fetches(tx: Transaction, object_ids: Iterable[str], clock: Clock) -> None:
    """Have these objects fetched, as the mirror is not sure of them or lacks a part."""
    # In an order that all lanes share.
    for object_id in sorted(set(object_ids)):
        await enqueue(tx, "stripe.fetch", f"stripe.fetch:{object_id}", {"object": object_id}, due_at=clock.now())


def _envelope(applied: Applied, source: str) -> Envelope:
    """A row of our own making: `<source>_<uuid>`, and the object as if an event had brought it."""
    event_id = f"{source}_{new_id()}"
    event = {
        "id": event_id,
        "object": "event",
        "type": applied.event_type,
        "created": to_unix(applied.at),
        "data": {"object": applied.obj},
    }
    return Envelope(
        stripe_event_id=event_id,
        type=applied.event_type,
        created=to_unix(applied.at),
        api_version=None,
        lane=lane_of(applied.object_key, LANES),
        object_key=applied.object_key,
        object_id=applied.object_id,
        request_idempotency_key=applied.request_key,
        payload=without_secrets(encode_event(event)).decode(),
        source=source,
    )


def event_key(event_id: str | UUID) -> str | UUID:
    """Our id of an event as one, Stripe's as it is."""
    return event_id if isinstance(event_id, UUID) else parse_uuid(event_id) or event_id
