"""What a handler works with: one request (or one due moment) inside one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallystick.sandbox import versions
from tallystick.sandbox.clock import SandboxClock
from tallystick.sandbox.errors import no_such
from tallystick.sandbox.events import Cause, EventLog
from tallystick.sandbox.ids import IdMaker
from tallystick.sandbox.settings import Settings
from tallystick.sandbox.shapes import Json, encode
from tallystick.sandbox.store import Store

__all__ = ["Context"]


@dataclass(slots=True)
class Context:
    """The store and clock, who asks, and at which version.

    `publishable` marks a browser's call. `base_url` is where the caller reached the sandbox.
    """

    store: Store
    clock: SandboxClock
    ids: IdMaker
    settings: Settings
    events: EventLog
    cause: Cause
    version: str
    base_url: str
    publishable: bool = False
    moment: int | None = None
    """The time of a test clock, or of the due moment that is happening; else it is now."""
    test_clock: str | None = None
    """The test clock that due moments made here belong to."""
    silent: bool = False
    """What happens is only tried out, so it makes no events."""
    follow_ups: "Mapping[str, Callable[[Context, Json], None]]" = field(default_factory=dict)
    """What else happens at the end of the transaction when an event of this type was made."""
    happened: list[tuple[str, Json]] = field(default_factory=list)

    @property
    def now(self) -> int:
        """Business time in Unix seconds."""
        return self.clock.unix() if self.moment is None else self.moment

    @property
    def behaviour(self) -> versions.Behaviour:
        """How the request's version behaves."""
        return versions.behaviour(self.version)

    def find(self, kind: str, object_id: str) -> Json | None:
        """The object if it is there, of this kind, and not deleted."""
        found = self.store.get(object_id)
        if found is None or found["object"] != kind or found.get("deleted"):
            return None
        return found

    def require(self, kind: str, object_id: str, *, param: str, status: int = 404) -> Json:
        """The object, or `resource_missing` about `param`."""
        found = self.find(kind, object_id)
        if found is None:
            raise no_such(kind, object_id, param=param, status=status)
        return found

    def save(self, value: Json) -> None:
        """Store a new or changed object; searchable kinds enter the search index after the lag."""
        seq = self.store.put(value)
        # Payments without metadata cannot be told apart by a search, so the index is spared them.
        if value["object"] in _SEARCHABLE and (value.get("metadata") or value["object"] in _FINDABLE):
            self.store.execute(
                "INSERT OR IGNORE INTO search_pending VALUES (?, ?, ?)",
                seq,
                value["object"],
                self.clock.wall_unix() + self.settings.search_lag_s,
            )

    def emit(self, kind: str, value: Json, before: Json | None = None) -> None:
        """An event about the object as it is now; `before` gives it `previous_attributes`."""
        if self.silent:
            return
        self.events.emit(self.cause, kind, value, before)
        if kind in self.follow_ups:
            self.happened.append((kind, value))

    def follow_up(self) -> None:
        """Let happen what follows from the events made so far, and from those that this makes."""
        while self.happened:
            kind, value = self.happened.pop(0)
            self.follow_ups[kind](self, value)

    def save_updated(self, kind: str, value: Json) -> None:
        """Store a change and emit the `*.updated` event, if anything did change."""
        before = self.store.stored(value["id"])
        if before == value:
            return
        self.save(value)
        self.emit(kind, value, before)

    def later(self, delay_s: float, kind: str, ref: str, **data: Any) -> None:
        """A due moment `delay_s` of business time from now, about object `ref`; `jobs.py` knows the kinds."""
        self.at(self.clock.exact() + delay_s, kind, ref, **data)

    def at(self, due_at: float, kind: str, ref: str, **data: Any) -> None:
        """A due moment in business time."""
        self.store.execute(
            "INSERT INTO jobs (due_at, kind, ref, data) VALUES (?, ?, ?, ?)",
            due_at,
            kind,
            ref,
            encode(data).decode(),
        )

    def plan(self, due_at: int, kind: str, ref: str, **data: Any) -> None:
        """A due moment of billing, on the test clock if there is one; its job is told the time it was due."""
        if self.test_clock is None:
            self.at(due_at, kind, ref, at=due_at, **data)
            return
        self.store.execute(
            "INSERT INTO clock_jobs (clock, due_at, kind, ref, data) VALUES (?, ?, ?, ?, ?)",
            self.test_clock, due_at, kind, ref, encode({"at": due_at, **data}).decode(),
        )  # fmt: skip

    def unplan(self, ref: str) -> None:
        """Forget the due moments of an object."""
        self.store.execute("DELETE FROM jobs WHERE ref = ?", ref)
        self.store.execute("DELETE FROM clock_jobs WHERE ref = ?", ref)


_FINDABLE = frozenset({"customer", "invoice", "price", "product", "subscription"})
_SEARCHABLE = _FINDABLE | {"charge", "payment_intent"}
