"""Which of two states of one of Stripe's objects is the newer one, where nothing but time and the event can tell.

Stripe's events carry whole seconds and come in any order. Within a second, that an event's `previous_attributes` are
what the row shows proves nothing: a name may go from A to B and back, and the row show the second A. What is certain is
that a row which shows all that an event changed has no need of it. Whatever else would change a row of the same second
is applied, marked unsure, and fetched. Objects whose states have an order of their own (payment intents) have rules of
their own.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Protocol

from msgspec import Struct

__all__ = ["Mirrored", "Source", "Verdict", "as_before", "fetched", "judge", "later"]


class Source(Struct, frozen=True):
    """Where facts come from. `at` is Stripe's time of the state; `base_revision` the row's revision before a call.

    `previous` is an event's `previous_attributes`, `request_key` the idempotency key of the request that caused it
    (`requested`: some request did, ours or not; else time or Stripe itself). `repair` marks a fetch that found the row
    to be wrong: where nothing moved the row since, its state is taken even where no event could lead to it.
    """

    origin: Literal["event", "answer", "fetch"]
    at: datetime
    event_id: str | None = None
    event_type: str | None = None
    base_revision: int | None = None
    previous: Mapping[str, Any] | None = None
    request_key: str | None = None
    requested: bool = False
    repair: bool = False

    def unmoved(self, revision: int) -> bool:
        """Whether nothing changed the row since before the call that answered these facts."""
        return self.base_revision is not None and self.base_revision == revision

    def mends(self, revision: int) -> bool:
        """Whether these facts replace what the row shows, final or not."""
        return self.repair and self.unmoved(revision)


class Mirrored(Protocol):
    """A row that mirrors one of Stripe's objects; `state_at` is None where nothing was told of that yet."""

    @property
    def revision(self) -> int: ...

    @property
    def state_at(self) -> datetime | None: ...


def fetched(at: datetime, row: Mirrored | None) -> Source:
    """Where a state comes from that Stripe was asked for `at`, its row having been read before (None: there was none).

    What the row was told before Stripe was asked is in what Stripe shows, so the state is never older than the row's.
    The time of asking is a lower bound, in whole seconds.
    """
    if row is None:
        return Source("fetch", at)
    return Source("fetch", max(at, row.state_at) if row.state_at else at, base_revision=row.revision)


class Verdict(Enum):
    """What to do with a state: it replaces the row's, it does not, or nobody can tell."""

    APPLY = "apply"
    KEEP = "keep"
    UNSURE = "unsure"


def judge(
    source: Source, *, row_at: datetime | None, revision: int, shown: Mapping[str, Any], state: Mapping[str, Any]
) -> Verdict:
    """A state against its row: `state` and `shown` are the same fields of the two, under Stripe's names."""
    if row_at is None or source.unmoved(revision):
        return Verdict.APPLY
    if source.at < row_at:
        return Verdict.KEEP
    # A write's answer bears the time at which it left Stripe: what moved the row since it was asked for may be newer.
    if source.at > row_at and (source.origin == "event" or shown == state):
        return Verdict.APPLY
    if shown == state or (source.event_type or "").endswith(".created"):
        return Verdict.KEEP
    changed = [name for name in source.previous or () if name in shown]
    if changed and all(shown[name] == state[name] for name in changed):
        return Verdict.KEEP
    return Verdict.UNSURE


def later(at: datetime | None, source: Source) -> datetime:
    """The time of a row's state once `source` has been applied: what comes late never turns it back; a repair may."""
    return source.at if at is None or source.repair else max(at, source.at)


def as_before(obj: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """An event's object as it was before the event, by its `previous_attributes`."""
    whole = dict(obj)
    for name, old in previous.items():
        new = whole.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            whole[name] = as_before(new, old)
        else:
            whole[name] = old
    if isinstance(metadata := whole.get("metadata"), Mapping):
        whole["metadata"] = {key: value for key, value in metadata.items() if value is not None}
    return whole
