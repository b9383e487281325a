"""An entry of the audit log, and how entries are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

__all__ = ["AuditEntry", "AuditFilter", "NewEntry", "Outcome"]

Outcome: TypeAlias = Literal["done", "refused", "failed"]
"""`refused`: answered with an error of the caller's (4xx); `failed`: with one of ours (5xx), or it broke off."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What somebody did. `details` has no secret, no card data and no e-mail address in it."""

    actor: str
    action: str
    outcome: Outcome
    roles: frozenset[str] = frozenset()
    user_id: UUID | None = None
    object_kind: str | None = None
    object_id: str | None = None
    status: int | None = None
    error_code: str | None = None
    request_id: str | None = None
    address: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class AuditEntry(Struct, frozen=True):
    """A row of `audit_log`. `happened_at` is wall time, `business_at` business time."""

    id: UUID
    actor: str
    roles: list[str]
    user_id: UUID | None
    action: str
    object_kind: str | None
    object_id: str | None
    outcome: str
    status: int | None
    error_code: str | None
    request_id: str | None
    address: str | None
    details: dict[str, Any]
    happened_at: datetime
    business_at: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; None asks for all. `object_id` is ours or Stripe's, as it was named."""

    actor: str | None = None
    action: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
