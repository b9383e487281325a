"""Records of outbound webhooks: facts, endpoints and deliveries."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

__all__ = ["Delivery", "DeliveryRow", "Endpoint", "FactType", "FactTypes", "NewFact", "fact_body", "webhook_id"]

EVERYTHING = "*"


class FactType(Struct, frozen=True):
    """A type of facts; `example` is the `data` of one."""

    name: str
    description: str
    example: Mapping[str, Any]


TEST = FactType("webhook.test", "A test that an administrator asked for; it goes to one endpoint.", {"test": True})


class FactTypes:
    """The types of facts there are. Each area registers its own."""

    def __init__(self) -> None:
        self._types: dict[str, FactType] = {TEST.name: TEST}

    def register(self, types: Iterable[FactType]) -> None:
        self._types |= {type_.name: type_ for type_ in types}

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def listed(self) -> list[FactType]:
        """All of them, by name."""
        return [self._types[name] for name in sorted(self._types)]


class NewFact(Struct, frozen=True):
    """A fact to be told, once for each `business_key`.

    `object_key` names the object whose facts are told in order; `occurred_at` is when it happened; `data` is JSON.
    `event_id` is Stripe's event that told it, where one did.
    """

    type: str
    business_key: str
    object_key: str
    occurred_at: datetime
    data: Mapping[str, Any]
    event_id: str | None = None


class Endpoint(Struct, frozen=True):
    """A row of `webhook_endpoints`. `failing_since` and `previous_secret_until` are wall time."""

    id: UUID
    url: str
    events: list[str]
    description: str | None
    enabled: bool
    disabled_reason: str | None
    secret: str
    previous_secret: str | None
    previous_secret_until: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class Delivery(Struct, frozen=True):
    """A delivery that is due, leased to this process; an `endpoint_id`, `url` and `secrets`, or a hook's receiver."""

    id: UUID
    receiver: str
    leased_until: datetime
    first_tried_at: datetime
    attempts: int
    fact_id: UUID
    type: str
    occurred_at: datetime
    data: dict[str, Any]
    endpoint_id: UUID | None
    url: str | None
    secrets: list[str]
    trace: bytes | None = None


class DeliveryRow(Struct, frozen=True):
    """A delivery to an endpoint, as it is listed."""

    id: UUID
    seq: int
    fact_id: UUID
    type: str
    occurred_at: datetime
    data: dict[str, Any]
    state: str
    attempts: int
    not_before: datetime
    last_error: str | None
    response_status: int | None
    response_body: str | None
    created_at: datetime
    finished_at: datetime | None


def webhook_id(fact_id: UUID) -> str:
    """What a receiver knows a fact by, the same in every delivery of it."""
    return f"fact_{fact_id.hex}"


def fact_body(fact_id: UUID, type_: str, occurred_at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a webhook, in the form that Standard Webhooks recommends."""
    return {"id": webhook_id(fact_id), "type": type_, "timestamp": occurred_at, "data": data}
