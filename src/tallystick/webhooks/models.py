"""The shapes of an event: as it arrives, as a worker takes it, as a handler sees it, as an operator reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from tallystick.platform.database import Connection, Transaction

__all__ = [
    "LANES",
    "STATES",
    "Applied",
    "Archived",
    "ClaimedEvent",
    "EndpointWrite",
    "Envelope",
    "EventDetail",
    "EventFilter",
    "EventSummary",
    "Parked",
    "Redactor",
    "StoredEvent",
]

LANES = 16
"""How many lanes there are; the table `webhook_lanes` has a row for each."""

STATES = ("pending", "processed", "unhandled", "dead", "discarded", "parked")
"""Of a row. `parked` (unlike an object that is parked) is a body that jsonb refuses; `dead` waits for an operator."""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """An event on its way into the inbox: `payload` is the whole event as JSON text, its secrets already taken out.

    `created` is Stripe's time in unix seconds; `object_id` is None for the few objects that have none.
    """

    stripe_event_id: str
    type: str
    created: int
    api_version: str | None
    lane: int
    object_key: str
    object_id: str | None
    request_idempotency_key: str | None
    payload: str
    source: str


@dataclass(frozen=True, slots=True)
class Applied:
    """An object as it was applied at `at`, of no event of Stripe's; see `StripeWebhookService.record_applied`."""

    event_type: str
    object_id: str
    object_key: str
    obj: Mapping[str, Any]
    at: datetime
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as handlers see it.

    `created` is Stripe's time, `object` is `data.object`, `previous` is `data.previous_attributes`, `object_key`
    names what its order is kept by, `request_idempotency_key` is the key of the request that caused it, `source`
    is `webhook`, `poll`, `fetch` …, `retry_count` is how often it was tried again because of its own fault.
    `requested`: some request caused it, with a key or without; else time did, or Stripe.
    """

    id: UUID
    stripe_event_id: str
    type: str
    created: datetime
    api_version: str | None
    object_key: str
    object: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    request_idempotency_key: str | None
    source: str
    retry_count: int
    requested: bool = False


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """A row that a worker has taken. `data` is the event's `data` as JSON text: decoding it may fail, and such a
    failure is this event's own. `received_at`, `parked_by` (the event that holds its object up) and `waits_since` (when
    that is itself, since when) are ours, and wall time.
    """

    id: UUID
    stripe_event_id: str
    type: str
    created: datetime
    api_version: str | None
    object_key: str
    object_id: str | None
    data: str | None
    request_idempotency_key: str | None
    source: str
    retry_count: int
    received_at: datetime
    error_message: str | None
    parked_by: UUID | None
    requested: bool = False
    waits_since: datetime | None = None

    def open(self) -> StoredEvent:
        """The event with its data decoded; raises ValueError when there is none or it cannot be."""
        if self.data is None:
            raise ValueError("the payload is not here any more")
        data = msgspec.json.decode(self.data)
        return StoredEvent(
            id=self.id,
            stripe_event_id=self.stripe_event_id,
            type=self.type,
            created=self.created,
            api_version=self.api_version,
            object_key=self.object_key,
            object=data.get("object") or {},
            previous=data.get("previous_attributes"),
            request_idempotency_key=self.request_idempotency_key,
            source=self.source,
            retry_count=self.retry_count,
            requested=self.requested,
        )


Fact = TypeVar("Fact", bound=msgspec.Struct)


class Redactor(Protocol):
    """Takes out of news what may not be kept of persons who were erased; a part of an area above."""

    async def events(self, tx: Transaction, events: Sequence[ClaimedEvent]) -> Sequence[ClaimedEvent]:
        """Claimed events as handlers may see them, in the same order; their stored payloads are changed likewise."""

    async def facts(self, connection: Connection, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Facts of objects that no event brought as recorders may see them, in the same order."""

    async def applied(self, tx: Transaction, applied: Sequence[Applied]) -> Sequence[Applied]:
        """Objects recorded in `tx` as they may be stored, in the same order; their rows are changed likewise."""


@dataclass(frozen=True, slots=True)
class Parked:
    """An object that an event holds up: all events of its key, but for those about what that event `waits_for`.

    A charge's events have the key of their payment intent. Behind a charge that waits for its intent, the intent
    itself would wait.
    """

    event_id: UUID
    waits_for: str | None

    def holds(self, event: ClaimedEvent) -> bool:
        """Whether an event of this object has to wait."""
        return event.id != self.event_id and (self.waits_for is None or event.object_id != self.waits_for)


@dataclass(frozen=True, slots=True)
class EventSummary:
    """A row of a list for operators. `created` is Stripe's time, `received_at` ours; `not_before` is wall time, and
    None while the event waits for another one of its object."""

    id: UUID
    stripe_event_id: str
    type: str
    state: str
    source: str
    object_id: str | None
    object_key: str
    created: datetime
    received_at: datetime
    processed_at: datetime | None
    not_before: datetime | None
    retry_count: int
    error_message: str | None


@dataclass(frozen=True, slots=True)
class EventDetail:
    """One event, whole. `payload` is None where jsonb refused it; `raw` is the body then.

    `archived_at` is when its payload moved to the archive; with neither there, that month has been dropped since.
    """

    summary: EventSummary
    api_version: str | None
    request_idempotency_key: str | None
    payload: Mapping[str, Any] | None
    raw: bytes | None
    parked_by: UUID | None
    archived_at: datetime | None = None

    @property
    def gone(self) -> bool:
        """Whether the payload was dropped with its month of the archive."""
        return self.archived_at is not None and self.payload is None and self.raw is None


@dataclass(frozen=True, slots=True)
class Archived:
    """An event that archiving has come to. `over`: nothing will happen with it unless somebody replays it."""

    id: UUID
    created_at: datetime
    over: bool


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: of this type, about this object of Stripe's, in this state, and (bounds: from, until, exclusive)
    received by us or created at Stripe then."""

    type: str | None = None
    object_id: str | None = None
    state: str | None = None
    received: tuple[datetime | None, datetime | None] = (None, None)
    created: tuple[datetime | None, datetime | None] = (None, None)


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """When a secret of ours has last verified an event (wall time, to the minute), and of which API version."""

    fingerprint: str
    verified_at: datetime
    api_version: str | None


@dataclass(frozen=True, slots=True)
class EndpointWrite:
    """A write to an endpoint of ours at Stripe. `created_at` (wall time) is before its first sending; `repeated` tells
    that there may have been one."""

    purpose: str
    stripe_idempotency_key: str
    created_at: datetime
    repeated: bool
