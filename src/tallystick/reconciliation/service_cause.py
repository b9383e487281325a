"""Why a row differs from Stripe's object: by what the inbox was told, what Stripe's log tells, what is under way."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from tallystick.core.clock import Clock, from_unix
from tallystick.platform.database import Connection, Database
from tallystick.reconciliation.compare import ROW, FieldDifference, expected_of, plain
from tallystick.reconciliation.compare_rules import Row
from tallystick.reconciliation.kinds import Json, Kind
from tallystick.reconciliation.models import Cause
from tallystick.reconciliation.repository_mirror import Evidence
from tallystick.reconciliation.service_ask import StripeReader
from tallystick.stripe_gateway.translate import reference

__all__ = ["CauseFinder", "MissedEvents"]

log = structlog.get_logger()

_KEPT_BY_STRIPE = timedelta(days=30)
_UNDER_WAY = timedelta(minutes=15)
"""What began longer ago (wall time) and is still not done is no longer on its way: it is stuck, and our fault."""

_DELIVERY = timedelta(seconds=60)
"""How long a webhook may take (business time) before it is missed."""
_MOST_MISSED = 10_000
"""More of them are not kept in memory; the differences that the others would explain count as the dashboard's."""


class MissedEvents:
    """The events of Stripe's log that never reached the inbox, by object.

    An incremental run tells by `add` what it has read of the log. For the first object of which that has none, the
    whole log is read, as far back as Stripe keeps events; for each later one what has come since.
    """

    def __init__(self, database: Database, clock: Clock, reader: StripeReader, handled: frozenset[str]) -> None:
        self._database = database
        self._clock = clock
        self._reader = reader
        self._handled = handled
        self._evidence = Evidence()
        self._by_object: dict[str, list[Json]] = {}
        self._read_until: datetime | None = None
        self._too_many = False

    async def of(self, object_id: str) -> list[Json]:
        """The missed events about an object, newest first."""
        if object_id not in self._by_object and not self._too_many:
            now = self._clock.now()
            since = self._read_until - _DELIVERY if self._read_until else now - _KEPT_BY_STRIPE
            # Stripe's clock may be ahead of ours, and it is the last seconds that count.
            await self._read(since, now + _DELIVERY)
            self._read_until = now
        return self._by_object.get(object_id, [])

    async def add(self, events: Sequence[Json]) -> None:
        """Events of the log, newest first: those that the inbox does not have are kept."""
        told = [event for event in events if event.get("type") in self._handled]
        async with self._database.connection() as connection:
            missing = await self._evidence.missing(connection, [str(event["id"]) for event in told])
        for event in told:
            object_id = reference(event["data"]["object"].get("id"))
            if event["id"] in missing and object_id is not None:
                known = self._by_object.setdefault(object_id, [])
                if all(other["id"] != event["id"] for other in known):
                    known.append(event)
                    known.sort(key=lambda one: int(one["created"]), reverse=True)

    async def _read(self, since: datetime, until: datetime) -> None:
        after, more = None, True
        while more:
            if sum(map(len, self._by_object.values())) > _MOST_MISSED:
                self._too_many = True
                log.warning("reconcile.many_missed", hint="let catching up do its work, and reconcile again")
                return
            page, more = await self._reader.events(since, until, after)
            await self.add([event.raw for event in page])
            after, more = (page[-1].id, more) if page else (None, False)


class CauseFinder:
    """Names the cause of each field that differs."""

    def __init__(self, database: Database, clock: Clock, installation_id: str) -> None:
        self._database = database
        self._clock = clock
        self._installation = installation_id
        self._evidence = Evidence()

    async def of_fields(
        self, kind: Kind, object_id: str, differences: Sequence[FieldDifference], raw: Json, row: Row | None,
        missed: MissedEvents,
    ) -> dict[str, Cause]:  # fmt: skip
        """The cause of each of these differences between a row and Stripe's object."""
        keys = _keys(object_id, raw, row)
        async with self._database.connection() as connection:
            if await self._under_way(connection, object_id, keys, row):
                return {difference.field: "in_flight" for difference in differences}
            snapshots = await self._evidence.snapshots(connection, object_id, keys)
        told = [(at, self._expected(kind, snapshot)) for at, snapshot in snapshots]
        if row is None and told:
            return {ROW: "ours"}
        ours = {difference.field for difference in differences if _was_told(difference, told)}
        if len(ours) == len(differences):
            return dict.fromkeys(ours, "ours")
        untold = self._untold(await missed.of(object_id))
        return {one.field: "ours" if one.field in ours else untold for one in differences}

    async def of_unknown(
        self, kind: Kind, object_id: str, row: Row, missed: MissedEvents
    ) -> tuple[FieldDifference, Cause, Json | None] | None:
        """What differs where Stripe does not know the object of a row, why, and what was told of it last if it was
        deleted; None where nothing differs.

        Stripe forgets what is deleted; what it once told of was there. Where neither the inbox nor a call of ours tells
        of it, it never was.
        """
        keys = _keys(object_id, {}, row)
        async with self._database.connection() as connection:
            busy = await self._under_way(connection, object_id, keys, row)
            snapshots = await self._evidence.snapshots(connection, object_id, keys)
            types = await self._evidence.told_types(connection, object_id, keys)
            known = bool(types) or await self._evidence.asked_for(connection, object_id, row["id"])
        if row.get("deleted") and known:
            return None
        extra = FieldDifference(ROW, {name: plain(value) for name, value in row.items()}, None)
        if busy:
            return extra, "in_flight", None
        events = await missed.of(object_id)
        if self._untold(events) == "in_flight":
            return extra, "in_flight", None
        if row.get("deleted") is False and (snapshots or events):
            newest = snapshots[0][1] if snapshots else events[0]["data"]["object"]
            cause: Cause = "ours" if any(name.endswith(".deleted") for name in types) else "dashboard"
            if any(str(event["type"]).endswith(".deleted") for event in events):
                cause = "missed_event"
            return FieldDifference("deleted", row["deleted"], True), cause, newest
        return extra, "gone" if known or events else "foreign", None

    def _untold(self, missed: Sequence[Json]) -> Cause:
        """The cause of what the inbox was not told: by the events about it that it lacks, newest first."""
        if not missed:
            return "dashboard"
        fresh = from_unix(missed[0]["created"]) > self._clock.now() - _DELIVERY
        return "in_flight" if fresh else "missed_event"

    async def _under_way(self, connection: Connection, object_id: str, keys: Sequence[str], row: Row | None) -> bool:
        since = self._clock.wall() - _UNDER_WAY
        return await self._evidence.under_way(connection, object_id, keys, row["id"] if row else None, since)

    def _expected(self, kind: Kind, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return expected_of(kind.object, kind.read(snapshot), self._installation)
        except (KeyError, TypeError, ValueError):
            return {}  # the stub of an object that was deleted, or a thing that cannot be read


def _was_told(difference: FieldDifference, told: Sequence[tuple[datetime, Mapping[str, Any]]]) -> bool:
    """Whether the newest that the inbox was told of a field is what Stripe says. Of one second nobody knows the order.

    What no snapshot ever prints follows from what they do print, so it is ours to have right.
    """
    printing = [(at, state[difference.field]) for at, state in told if difference.field in state]
    if not printing:
        return bool(told)
    newest = printing[0][0]
    return any(plain(value) == difference.stripe for at, value in printing if at == newest)


def _keys(object_id: str, raw: Json, row: Row | None) -> list[str]:
    """Under which of the inbox's keys the events of an object may be (see `webhooks/envelope.py`)."""
    named = [reference(raw.get("payment_intent")), reference(raw.get("charge"))]
    if row is not None:
        named += [row.get(name) for name in ("stripe_payment_intent_id", "stripe_charge_id")]
        if isinstance(row.get("payment_id"), str):
            named.append(row["payment_id"])
    return list(dict.fromkeys([object_id, *(key for key in named if key)]))
