"""Events: rendered once when they happen, stored with their due deliveries in the change's own transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from tallystick.sandbox.clock import SandboxClock
from tallystick.sandbox.faults import Faults
from tallystick.sandbox.ids import IdMaker
from tallystick.sandbox.settings import Settings
from tallystick.sandbox.shapes import Json, canonical, decode, encode
from tallystick.sandbox.store import Store
from tallystick.sandbox.versions import knows_event, render

__all__ = ["RETENTION_S", "STRIPE_ITSELF", "Cause", "Delivery", "Endpoint", "EventLog", "previous_attributes"]

RETENTION_S = 30 * 86400
"""The Events API keeps events for 30 days."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The request behind an event; both None when Stripe acted by itself."""

    request_id: str | None
    idempotency_key: str | None


STRIPE_ITSELF = Cause(None, None)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint as the deliverer needs it."""

    id: str
    url: str
    secret: str
    version: str | None
    types: frozenset[str]

    def wants(self, kind: str) -> bool:
        return "*" in self.types or kind in self.types


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint, due at a moment of business time."""

    id: int
    endpoint: str
    due_at: float


class EventLog:
    """Writes events and their deliveries, and hands fresh deliveries on once they are committed."""

    def __init__(
        self, store: Store, clock: SandboxClock, ids: IdMaker, settings: Callable[[], Settings], faults: Faults
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._faults = faults
        self._endpoints: dict[str, Endpoint] | None = None
        self._fresh: list[Delivery] = []
        self._types: set[str] | None = None

    def endpoints(self) -> dict[str, Endpoint]:
        """The enabled endpoints by id."""
        if self._endpoints is None:
            self._endpoints = self._load_endpoints()
        return self._endpoints

    def endpoints_changed(self) -> None:
        """Read the endpoints again on the next use."""
        self._endpoints = None

    def types(self) -> set[str]:
        """The event types that have happened so far: what `type=charge.*` can match."""
        if self._types is None:
            rows = self._store.execute("SELECT DISTINCT value FROM refs WHERE object = 'event' AND field = 'type'")
            self._types = {row[0] for row in rows}
        return self._types

    def hidden(self) -> dict[str, float]:
        """The event types that a fault keeps out of the list, and for how many seconds."""
        return {kind: hidden_s for kind in self.types() if (hidden_s := self._faults.hidden(kind))}

    def take_fresh(self) -> list[Delivery]:
        """The deliveries made by the transaction that has just been committed."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def discard(self) -> None:
        """The transaction was rolled back."""
        self._fresh.clear()
        self._endpoints = None

    def emit(self, cause: Cause, kind: str, value: Json, before: Json | None = None) -> None:
        """Store one event in the account's default version, and once more for each other version wanted."""
        default = self._settings().api_version
        targets = [
            endpoint
            for endpoint in self.endpoints().values()
            if endpoint.wants(kind) and knows_event(endpoint.version or default, kind)
        ]
        if not targets and not knows_event(default, kind):
            return
        event: Json = {
            "id": self._ids.long("evt_"),
            "object": "event",
            "api_version": default,
            "created": self._clock.unix(),
            "data": self._data(value, before, default),
            "livemode": False,
            "pending_webhooks": len(targets),
            "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
            "type": kind,
        }
        seq = self._store.put(event, encode(event))
        self.types().add(kind)
        if targets:
            self._plan(event, seq, targets, value, before)

    def body(self, event_id: str, version: str) -> bytes | None:
        """The event as an endpoint of `version` gets it."""
        row = self._store.execute(
            "SELECT body FROM event_bodies WHERE event = ? AND version = ?", event_id, version
        ).fetchone()
        if row is None:
            row = self._store.execute("SELECT body FROM objects WHERE id = ?", event_id).fetchone()
        return row[0] if row else None

    def deliveries(self, event_id: str) -> list[Json]:
        """The deliveries of an event, oldest first: each with its `tries`, moments of business time."""
        rows = self._store.execute(
            "SELECT id, endpoint, version, due_at, state, tries FROM deliveries WHERE event = ? ORDER BY id", event_id
        ).fetchall()
        names = ("id", "endpoint", "api_version", "due_at", "state", "tries")
        return [dict(zip(names, (*row[:5], decode(row[5])), strict=True)) for row in rows]

    def resend(self, event_id: str, endpoints: list[Endpoint]) -> int:
        """New deliveries of an old event, as rendered then where that was kept; answers how many."""
        seq = self._store.seq_of(event_id)
        if seq is None:
            return 0
        now = self._clock.exact()
        for endpoint in endpoints:
            self._insert(event_id, seq, endpoint, endpoint.version or self._settings().api_version, now)
        return len(endpoints)

    def _plan(self, event: Json, seq: int, targets: list[Endpoint], value: Json, before: Json | None) -> None:
        now = self._clock.exact()
        for endpoint in targets:
            for planned in self._faults.deliveries(event["type"], now):
                version = endpoint.version or event["api_version"]
                if planned.version is not None and knows_event(planned.version, event["type"]):
                    version = planned.version
                self._keep_body(event, version, value, before)
                state = "dropped" if planned.dropped else "pending"
                self._insert(event["id"], seq, endpoint, version, planned.due_at, state)

    def _keep_body(self, event: Json, version: str, value: Json, before: Json | None) -> None:
        if version == event["api_version"]:
            return
        rendered = {**event, "api_version": version, "data": self._data(value, before, version)}
        self._store.execute(
            "INSERT OR IGNORE INTO event_bodies VALUES (?, ?, ?)",
            event["id"],
            version,
            encode(rendered),
        )

    def _insert(
        self, event_id: str, seq: int, endpoint: Endpoint, version: str, due_at: float, state: str = "pending"
    ) -> None:
        row = self._store.execute(
            "INSERT INTO deliveries (event, event_seq, endpoint, version, due_at, first_at, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            event_id, seq, endpoint.id, version, due_at, due_at, state,
        ).fetchone()  # fmt: skip
        if state == "pending":
            self._fresh.append(Delivery(row[0], endpoint.id, due_at))

    def _data(self, value: Json, before: Json | None, version: str) -> Json:
        """The snapshot as it was stored, which has Stripe's order of keys."""
        known = self._store.known(value.get("id"))
        after = render(self._store.stored(value["id"]) if known else canonical(value), version, self._store.last_form)
        if before is None:
            return {"object": after}
        return {
            "object": after,
            "previous_attributes": canonical(
                previous_attributes(render(before, version, self._store.last_form), after)
            ),
        }

    def _load_endpoints(self) -> dict[str, Endpoint]:
        found = {}
        rows = self._store.execute(
            "SELECT body FROM objects WHERE object = 'webhook_endpoint' AND NOT deleted ORDER BY seq"
        ).fetchall()
        for (body,) in rows:
            value: Json = decode(body)
            if value["status"] == "enabled":
                secret = self._store.note(value["id"], "secret") or ""
                types = frozenset(value["enabled_events"])
                found[value["id"]] = Endpoint(value["id"], value["url"], secret, value["api_version"], types)
        return found


def previous_attributes(before: Json, after: Json) -> Json:
    """The old values of what changed: of a hash only its changed keys, of an array the whole old one."""
    changed: Json = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[key] = previous_attributes(old, new)
        else:
            changed[key] = old
    return changed
