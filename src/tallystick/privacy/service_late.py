"""`LateNews`: what Stripe tells of an erased person after the erasure, doubled, late, fetched, imported or repaired.

News is redacted where it enters: an event in the transaction that applies it, before any handler sees it; an object
that was fetched in the transaction that recorded it. So neither the mirror nor a mail, a fact or the stored payload
brings anybody back. Which objects were an erased person's is one look-up a batch, and next to nothing where nobody
was ever erased.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct

from tallystick.core.clock import Clock
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.work import enqueue
from tallystick.privacy.lines import LINE, Texts, fact_with_texts, invoices_in, with_texts
from tallystick.privacy.places import BY_STRIPE_ID
from tallystick.privacy.redaction import META_ERASED, Fact, Redaction, redact, redact_fact
from tallystick.privacy.repository import ErasureRepository
from tallystick.privacy.repository_events import ErasedEventRepository
from tallystick.privacy.service import RESTORED_WORK
from tallystick.privacy.theirs import NAMES
from tallystick.webhooks.models import Applied, ClaimedEvent

__all__ = ["LateNews"]

log = structlog.get_logger()

_NAME = re.compile(r'"((?:cus|pi|ch|py|pm|seti|sub|in)_[A-Za-z0-9_]+)"')
_STRIPE_ID = re.compile(r"[a-z]+_[A-Za-z0-9_]+\Z")
# What belongs to nobody, though an event about it may name a customer.
_SHARED = ("prod_", "price_", "plan_", "txr_", "evt_")


class LateNews:
    """Redacts what is about erased persons, and nothing else; see `webhooks.models.Redactor`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events = ErasedEventRepository()
        self._repository = ErasureRepository()
        self._anybody = False

    async def events(self, tx: Transaction, events: Sequence[ClaimedEvent]) -> Sequence[ClaimedEvent]:
        """Claimed events as they may be applied; what was taken out of them is taken out of their rows, too."""
        await self._look_for_marks(tx, events)
        if not await self._anybody_erased(tx):
            return events
        named = {event.id: _named(event) for event in events}
        erased = await self._events.erased(tx, set().union(*named.values()) if named else set())
        hits = {event.id: _first(named[event.id], erased) for event in events}
        if not any(hits.values()):
            return events
        who = await self._whom(tx, hits.values())
        told = [_read(event) for event in events if hits[event.id] and f'"{LINE}"' in (event.data or "")]
        texts = await self._texts(tx, invoices_in(told))
        clean: dict[UUID, ClaimedEvent] = {}
        for event in events:
            if (erasure := hits[event.id]) is None or event.data is None:
                continue
            clean[event.id] = replace(event, data=_clean(event, who[erasure], texts))
            if event.object_id is not None and _own(event.object_id):
                await self._events.add_objects(tx, erasure, {event.object_id})
            await self._events.note(tx, erasure, self._clock.wall())
        readable = {event_id: event.data for event_id, event in clean.items() if event.data is not None}
        await self._events.rewrite_data(tx, list(readable), list(readable.values()))
        return [clean.get(event.id, event) for event in events]

    async def applied(self, tx: Transaction, applied: Sequence[Applied]) -> Sequence[Applied]:
        """Objects that were just recorded in `tx`, as they may be stored; their rows are redacted, too."""
        if not await self._anybody_erased(tx):
            return applied
        named = [{one.object_id, one.object_key, *_named_in(one.obj)} for one in applied]
        erased = await self._events.erased(tx, set().union(*named) if named else set())
        if not erased:
            return applied
        who = await self._whom(tx, erased.values())
        theirs = [one.obj for one, names in zip(applied, named, strict=True) if _first(names, erased)]
        texts = await self._texts(tx, invoices_in(theirs))
        found = []
        for one, names in zip(applied, named, strict=True):
            erasure = _first(names, erased)
            if erasure is None:
                found.append(one)
                continue
            found.append(replace(one, obj=with_texts(redact(one.obj, who[erasure]), texts)))
            await self._events.add_objects(tx, erasure, {one.object_id})
            for place in BY_STRIPE_ID.values():
                await self._repository.redact_object(tx, place, one.object_id, who[erasure])
        return found

    async def facts(self, connection: Connection, facts: Sequence[Fact]) -> list[Fact]:
        """Facts of objects that were fetched, listed or answered, as they may be recorded or compared."""
        if not await self._anybody_erased(connection):
            return list(facts)
        named = [_named_by(fact) for fact in facts]
        erased = await self._events.erased(connection, set().union(*named) if named else set())
        if not erased:
            return list(facts)
        who = await self._whom(connection, erased.values())
        texts = await self._texts(connection, set().union(*named))
        return [
            fact_with_texts(redact_fact(fact, who[erasure]), texts) if (erasure := _first(names, erased)) else fact
            for fact, names in zip(facts, named, strict=True)
        ]

    async def _anybody_erased(self, connection: Connection) -> bool:
        # What was erased stays erased: only a no has to be asked for again.
        self._anybody = self._anybody or await self._events.any(connection)
        return self._anybody

    async def _texts(self, connection: Connection, names: Collection[str]) -> Texts:
        invoices = {name for name in names if name.startswith("in_")}
        return await self._events.line_texts(connection, invoices) if invoices else {}

    async def _whom(self, connection: Connection, erasures: Collection[UUID | None]) -> dict[UUID, Redaction]:
        found = await self._events.pseudonyms(connection, {erasure for erasure in erasures if erasure})
        return {erasure: Redaction(pseudonym) for erasure, pseudonym in found.items()}

    async def _look_for_marks(self, tx: Transaction, events: Sequence[ClaimedEvent]) -> None:
        """A customer that was erased, which this database does not know: it was restored from before then."""
        marked = [
            str(event.object_id)
            for event in events
            if event.type == "customer.updated" and META_ERASED in (event.data or "")
        ]
        erased = await self._events.erased(tx, marked) if marked else {}
        for customer in marked:
            if customer not in erased:
                key = f"{RESTORED_WORK}:{customer}"
                await enqueue(tx, RESTORED_WORK, key, {"customer": customer}, due_at=self._clock.now())


def _read(event: ClaimedEvent) -> Any:
    """What an event says; nothing where that cannot be read."""
    try:
        return json.loads(event.data or "")
    except (ValueError, RecursionError):
        return None


def _clean(event: ClaimedEvent, who: Redaction, texts: Texts) -> str | None:
    """An event's data, redacted. None where that fails: the event is not applied then, and the rest of its lane is."""
    try:
        return json.dumps(with_texts(redact(json.loads(event.data or ""), who), texts))
    except (ValueError, TypeError, RecursionError):
        log.exception("erasure.event_not_redacted", event_id=str(event.id))
        return None


def _named(event: ClaimedEvent) -> set[str]:
    """What an event is about: its object, what that hangs on, and every customer, payment, card and so on it names."""
    names = {event.object_key, *_NAME.findall(event.data or "")}
    return names | {event.object_id} if event.object_id else names


def _named_by(fact: Struct) -> set[str]:
    value = getattr(fact, "value", None)
    names = {getattr(value, name, None) for name in ("id", *NAMES)}
    return {name for name in names if isinstance(name, str)}


def _named_in(obj: Mapping[str, Any]) -> set[str]:
    named = (obj.get(name) for name in NAMES)
    ids = (one.get("id") if isinstance(one, Mapping) else one for one in named)
    return {one for one in ids if isinstance(one, str)}


def _first(names: Collection[str], erased: Mapping[str, UUID]) -> UUID | None:
    return next((erased[name] for name in sorted(names) if name in erased), None)


def _own(object_id: str) -> bool:
    return _STRIPE_ID.match(object_id) is not None and not object_id.startswith(_SHARED)
