"""Reconcile runs and what they find."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.reconciliation.compare import FieldDifference

__all__ = [
    "CAUSES",
    "EVERYTHING",
    "Cause",
    "Difference",
    "DifferenceFilter",
    "EqualShare",
    "Found",
    "Mode",
    "Progress",
    "Result",
    "Run",
    "Scope",
    "State",
]

Cause: TypeAlias = Literal["in_flight", "missed_event", "ours", "dashboard", "foreign", "gone"]
State: TypeAlias = Literal["open", "repaired", "passed"]
Mode: TypeAlias = Literal["incremental", "full"]

CAUSES: Mapping[Cause, str] = {
    "in_flight": "something about the object is under way to the mirror: an event, a fetch, a call of ours",
    "missed_event": "an event about it is at Stripe and has never reached the inbox",
    "ours": "what the inbox has been told is what Stripe says, and the row shows something else",
    "dashboard": "changed at Stripe, and no event of the last 30 days tells it",
    "foreign": "a row of an object that Stripe does not know, and of which nothing here tells either",
    "gone": "a row of an object that Stripe once told of and does not know any more",
}


class Scope(Struct, frozen=True, omit_defaults=True):
    """What a full run walks: kinds by Stripe's word (none: all), and objects made since (None: ever); or just `ids`."""

    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    ids: tuple[str, ...] = ()


EVERYTHING = Scope()


class Run(Struct, frozen=True):
    """A row of `reconcile_runs`. Times are wall time, but for `from_at` and `until_at`."""

    id: UUID
    mode: Mode
    state: str
    scope: Scope
    requested_by: str
    cursor: dict[str, Any]
    from_at: datetime | None
    until_at: datetime | None
    objects: int
    fields: int
    added: int
    differences: int
    repaired: int
    left_open: int
    in_flight: int
    calls: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Difference(Struct, frozen=True):
    """A row of `reconcile_differences`; times are wall time."""

    id: UUID
    object: str
    stripe_id: str
    field: str
    ours: Any
    stripe: Any
    cause: Cause
    state: State
    times_seen: int
    found_at: datetime
    seen_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    run_id: UUID | None
    history: list[dict[str, Any]]


class DifferenceFilter(Struct, frozen=True):
    """Which differences; None: whatever."""

    state: str | None = None
    cause: str | None = None
    object: str | None = None
    stripe_id: str | None = None
    run_id: UUID | None = None


class Found(Struct, frozen=True):
    """What was found of one object: its differences, all of one cause but where `cause_of` says another one."""

    object: str
    stripe_id: str
    differences: list[FieldDifference]
    causes: dict[str, Cause]
    state: State

    @property
    def worst(self) -> Cause:
        """The cause that decides about the repair: what is under way is waited for."""
        found = set(self.causes.values())
        return next(cause for cause in CAUSES if cause in found)


class EqualShare(Struct, frozen=True):
    """How many of the objects that were compared are equal to Stripe's, as of when (business time).

    `full_as_of` is when all of them were compared the last time. All three are None before that was done once.
    """

    equal: int | None
    compared: int | None
    as_of: datetime | None
    full_as_of: datetime | None

    @property
    def share(self) -> float | None:
        """From 0 to 1; 1 only where all are equal."""
        if self.compared is None or self.equal is None:
            return None
        return self.equal / self.compared if self.compared else 1.0


class Progress(Struct, frozen=True):
    """How far a run has come: `done` of about `total` objects (0: nobody knows), in this `kind`."""

    kind: str
    done: int
    total: int
    differences: int
    repaired: int
    waiting_s: float = 0.0


class Result(Struct):
    """What a run has done so far; `finished`: all of it. `found` holds the first ten thousand objects that differ."""

    finished: bool = False
    objects: int = 0
    fields: int = 0
    added: int = 0
    differences: int = 0
    repaired: int = 0
    left_open: int = 0
    in_flight: int = 0
    calls: int = 0
    by_kind: dict[str, int] = {}
    found: list[Found] = []

    def counts(self) -> dict[str, int]:
        """What is kept in the run's row."""
        names = ("objects", "fields", "added", "differences", "repaired", "left_open", "in_flight", "calls")
        return {name: getattr(self, name) for name in names}
