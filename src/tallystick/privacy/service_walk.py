"""`ErasureWalk`: goes through every place where a person may stand, a few hundred rows a transaction.

Each transaction notes how far it came, so that whoever goes on after a crash repeats nothing and leaves nothing out.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.core.ids import lane_of
from tallystick.platform.database import Database, Transaction
from tallystick.privacy.models import ErasedEvent, Erasure
from tallystick.privacy.places import PLACES
from tallystick.privacy.redaction import Redaction, known_values, redact
from tallystick.privacy.repository import ErasureRepository
from tallystick.privacy.repository_events import ErasedEventRepository, names_in
from tallystick.webhooks.models import LANES

__all__ = ["ErasureWalk"]

log = structlog.get_logger()

_BATCH = 500
_OBJECTS = 100
_LOOKED_AT = 2000
_START = UUID(int=0)


class ErasureWalk:
    """The local half of an erasure: steps `places`, `events`, `unmirrored`, `audit`, `done`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._repository = ErasureRepository()
        self._events = ErasedEventRepository()

    async def run(self, erasure_id: UUID) -> None:
        """Go on until it is done."""
        more = True
        while more:
            more = await self.advance(erasure_id)

    async def advance(self, erasure_id: UUID) -> bool:
        """One transaction of it; False when there is nothing left."""
        steps = {
            "places": self._places,
            "events": self._stored_events,
            "unmirrored": self._unmirrored,
            "audit": self._audit,
        }
        async with self._database.transaction() as tx:
            erasure = await self._repository.lock(tx, erasure_id)
            if erasure.step not in steps:
                return False
            await steps[erasure.step](tx, erasure, _redaction(erasure))
        return True

    async def _places(self, tx: Transaction, erasure: Erasure, who: Redaction) -> None:
        number = int(erasure.place or 0)
        place = PLACES[number]
        if place.delete:
            rows = await self._repository.delete_rows(tx, place, erasure, _BATCH)
            cursor = str(_START) if rows == _BATCH else None
        else:
            rows, cursor = await self._repository.redact_rows(
                tx, place, erasure, who, after=erasure.cursor, limit=_BATCH
            )
        removed = {place.table: rows}
        if cursor is not None:
            await self._note(tx, erasure, "places", str(number), cursor, removed)
        elif number + 1 < len(PLACES):
            await self._note(tx, erasure, "places", str(number + 1), None, removed)
        else:
            await self._note(tx, erasure, "events", None, None, removed)

    async def _stored_events(self, tx: Transaction, erasure: Erasure, who: Redaction) -> None:
        objects = await self._events.next_objects(tx, erasure.id, erasure.cursor or "", _OBJECTS)
        ids, changed = await self._events.events_of(tx, objects), 0
        for first in range(0, len(ids), _BATCH):
            changed += await self._redact(tx, await self._events.events(tx, ids[first : first + _BATCH]), who)
        more = len(objects) == _OBJECTS
        await self._note(
            tx,
            erasure,
            "events" if more else "unmirrored",
            None,
            objects[-1] if more else None,
            {"webhook_events": changed},
        )

    async def _unmirrored(self, tx: Transaction, erasure: Erasure, who: Redaction) -> None:
        """Events about what the mirror has no rows of, and that name a customer, a payment or a card of theirs."""
        customers = await self._events.customers_of(tx, erasure.id)
        lanes = sorted({lane_of(customer, LANES) for customer in customers})
        after = UUID(erasure.cursor) if erasure.cursor else _START
        looked_at, last = await self._events.next_unmirrored(tx, lanes, after, _LOOKED_AT)
        theirs = await self._events.theirs(tx, erasure.id, names_in(looked_at))
        found = await self._events.events(tx, [event.id for event in looked_at if theirs & event.names])
        removed = {"webhook_events": await self._redact(tx, found, who)}
        await self._events.add_objects(tx, erasure.id, {event.object_key for event in found})
        if last is not None:
            await self._note(tx, erasure, "unmirrored", None, str(last), removed)
        else:
            await self._note(tx, erasure, "audit", None, None, removed)

    async def _audit(self, tx: Transaction, erasure: Erasure, who: Redaction) -> None:
        renamed = await self._repository.rename_in_audit(tx, str(who.external_id), who.pseudonym)
        await self._note(tx, erasure, "audit", None, None, {"audit_log": renamed})
        await self._repository.finish(tx, erasure, self._clock.wall())
        log.info("erasure.done", erasure=str(erasure.id))

    async def _redact(self, tx: Transaction, events: Sequence[ErasedEvent], who: Redaction) -> int:
        changed = []
        for event in events:
            raw = (_clean(event.raw.decode("utf-8", "replace"), who) or "{}").encode() if event.raw else None
            message = who.text(event.error_message) if event.error_message else event.error_message
            left = replace(event, payload=_clean(event.payload, who), raw=raw, error_message=message)
            if left != event:
                changed.append(left)
        await self._events.rewrite(tx, changed)
        return len(changed)

    async def _note(
        self,
        tx: Transaction,
        erasure: Erasure,
        step: str,
        place: str | None,
        cursor: str | None,
        removed: dict[str, int],
    ) -> None:
        await self._repository.advance(
            tx, erasure, step=step, place=place, cursor=cursor, removed=removed, wall=self._clock.wall()
        )


def _redaction(erasure: Erasure) -> Redaction:
    return Redaction(
        f"erased:{erasure.user_id}",
        erasure.known.get("external_id"),
        known_values(erasure.known.get("values", ())),
    )


def _clean(text: str | None, who: Redaction) -> str | None:
    """A payload without what tells who it is about, the same where nothing does; of no JSON nothing is left."""
    if text is None:
        return None
    try:
        # Not msgspec: a payload may hold numbers beyond 64 bits, and surrogates.
        content = json.loads(text)
    except ValueError:
        return "{}"
    found = redact(content, who)
    return text if found == content else json.dumps(found)
