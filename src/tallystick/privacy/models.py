"""Erasures: what is asked, how far one has come, and what stood in its way."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

__all__ = ["ErasedEvent", "Erasure", "NamingEvent", "Person", "Standing"]


@dataclass(frozen=True, slots=True)
class Person:
    """A user, erased or not. `external_id` is a pseudonym once `erased_at` is set."""

    id: UUID
    external_id: str
    email: str | None
    name: str | None
    locale: str | None
    stripe_customer_id: str | None
    created_at: datetime
    erased_at: datetime | None


class Erasure(Struct, frozen=True):
    """A row of `erasures`. `known` is what is looked for, and empty once it is done.

    `removed` counts rows by table; `kept` what law and Stripe require: how many payments, invoices and so on.
    """

    id: UUID
    user_id: UUID
    requested_by: str
    cancel_subscriptions: bool
    state: str
    step: str
    place: str | None
    cursor: str | None
    known: dict[str, Any]
    removed: dict[str, int]
    kept: dict[str, int]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a person is not over: our ids. The payments of `unpaid` can be canceled, those of `open` cannot."""

    subscriptions: list[UUID]
    unpaid: list[UUID]
    open: list[UUID]
    disputes: list[UUID]
    attempts: list[UUID]


@dataclass(frozen=True, slots=True)
class NamingEvent:
    """A stored event and all of Stripe's ids that it goes by: its order key, and what its object hangs on."""

    id: UUID
    object_key: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class ErasedEvent:
    """A stored event of an erased person, wherever its payload is."""

    id: UUID
    received_at: datetime
    seq: int
    object_key: str
    payload: str | None
    raw: bytes | None
    error_message: str | None
    archived: bool
