"""Who applies which event, and who fetches which object: the areas above register, `app.py` sees to it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tallystick.platform.database import Transaction
from tallystick.webhooks.models import Redactor, StoredEvent

__all__ = ["Fetch", "Handler", "Record", "Registry", "Translate"]

Translate: TypeAlias = Callable[[StoredEvent], Sequence[Any]]
Record: TypeAlias = Callable[[Transaction, Sequence[Any]], Awaitable[None]]
Fetch: TypeAlias = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """How one type of event is applied.

    `translate` is pure: an event in, typed facts out. `record` applies facts of many events, in the order given, in
    the caller's transaction, and bears doing so twice. `rank` says which recorder goes first within a batch.
    """

    translate: Translate
    record: Record
    rank: int


class Registry:
    """Handlers by event type and fetchers by the prefix of Stripe's ids; filled once at the start.

    Recorders run in the order in which they are first registered, so parents (payments) are registered before what
    hangs on them (refunds). `redactor` sees what is stored and applied first, where there is one.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._ranks: dict[Record, int] = {}
        self._fetches: dict[str, Fetch] = {}
        self.redactor: Redactor | None = None

    def register(self, event_type: str, translate: Translate, record: Record) -> None:
        """Apply events of `event_type` by these two; a second handler for a type is a ValueError."""
        if event_type in self._handlers:
            raise ValueError(f"{event_type} has a handler already")
        rank = self._ranks.setdefault(record, len(self._ranks))
        self._handlers[event_type] = Handler(translate, record, rank)

    def find(self, event_type: str) -> Handler | None:
        """The handler of a type, or None: such events are stored and marked `unhandled`."""
        return self._handlers.get(event_type)

    def event_types(self) -> tuple[str, ...]:
        """All types that have a handler, sorted; what a webhook endpoint should subscribe to."""
        return tuple(sorted(self._handlers))

    def register_fetch(self, prefix: str, fetch: Fetch) -> None:
        """Get objects whose id begins with `prefix` (`pi_`) by `fetch`, which asks Stripe outside any transaction and
        records the answer; a second one for a prefix is a ValueError."""
        if prefix in self._fetches:
            raise ValueError(f"{prefix} has a fetch already")
        self._fetches[prefix] = fetch

    def can_fetch(self, object_id: str) -> bool:
        """Whether somebody registered to fetch objects of this kind."""
        return self._fetch_of(object_id) is not None

    async def fetch(self, object_id: str) -> None:
        """Bring our record of this object up to date; raises LookupError for a kind that nobody fetches."""
        fetch = self._fetch_of(object_id)
        if fetch is None:
            raise LookupError(f"nobody fetches objects like {object_id}")
        await fetch(object_id)

    def _fetch_of(self, object_id: str) -> Fetch | None:
        # A subscription's id begins as a subscription schedule's does: the longer prefix is meant.
        fitting = [prefix for prefix in self._fetches if object_id.startswith(prefix)]
        return self._fetches[max(fitting, key=len)] if fitting else None
