"""The two ways to look at the mirror: all there is, list by list; and what has changed since the last time.

Both compare a page at a time. What seems to differ is examined one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from tallystick.platform.database import Database
from tallystick.reconciliation.compare import COMPARED
from tallystick.reconciliation.kinds import KINDS, Json, Kind, kind_named, kind_of, kind_of_id
from tallystick.reconciliation.models import Scope
from tallystick.reconciliation.repository import DifferenceRepository, RunRepository
from tallystick.reconciliation.repository_mirror import Evidence, MirrorReader
from tallystick.reconciliation.service_ask import Position
from tallystick.reconciliation.service_compare import Comparer
from tallystick.reconciliation.service_examine import Examiner, Look

__all__ = ["ChangeWalk", "FullWalk", "Pages"]

log = structlog.get_logger()

_ROWS = 200
_FETCHED = 500
_STILL_OPEN = 500
# Events become visible a little after their `created`.
_OVERLAP = timedelta(seconds=60)
_FIRST = UUID(int=0)


class Pages:
    """Compares many objects with their rows at once."""

    def __init__(self, database: Database, comparer: Comparer, examiner: Examiner) -> None:
        self._database = database
        self._comparer = comparer
        self._examiner = examiner
        self._mirror = MirrorReader()

    async def compare(self, look: Look, kind: Kind, objects: Sequence[Json]) -> None:
        """Count what is equal; examine what is not, and what its page does not show whole."""
        read = [value for obj in objects if (value := _read(kind, obj)) is not None]
        values = await self._comparer.all_kept(kind, read)
        async with self._database.connection() as connection:
            rows = await self._mirror.rows(connection, kind, [value.id for value in values])
        for value in values:
            if getattr(value, "more_lines", False):
                await self._examiner.examine(look, kind, value.id, count=True)
                continue
            compared = self._comparer.compare(kind, value, rows.get(value.id))
            if compared is None:
                continue
            look.count(kind, compared.fields)
            if not compared.equal:
                await self._examiner.examine(look, kind, value.id, count=False)


class FullWalk:
    """Every list, then the rows that no list showed. A run that was killed goes on where it was."""

    def __init__(self, database: Database, pages: Pages, examiner: Examiner) -> None:
        self._database = database
        self._pages = pages
        self._examiner = examiner
        self._mirror = MirrorReader()
        self._runs = RunRepository()

    async def walk(self, look: Look, scope: Scope, cursor: Mapping[str, Any]) -> None:
        """Look at what the scope names, from where the cursor stands.

        What a list does not show is not gone (objects of test clocks are not listed): such rows are asked for by id.
        """
        kinds = [kind for kind in KINDS if kind.object in COMPARED and (not scope.kinds or kind.object in scope.kinds)]
        stage, at = str(cursor.get("stage", "lists")), cursor.get("kind")
        names = [kind.object for kind in kinds]
        first = names.index(at) if at in names else 0
        if stage == "lists":
            for kind in kinds[first:]:
                await self._lists(look, kind, scope, cursor if kind.object == at else {})
            first = 0
        for kind in kinds[first:]:
            await self._rows(look, kind, scope, cursor if stage == "rows" and kind.object == at else {})

    async def _lists(self, look: Look, kind: Kind, scope: Scope, cursor: Mapping[str, Any]) -> None:
        if not kind.per_customer:
            await self._list(look, kind, scope, Position(cursor.get("after"), cursor.get("created")))
            return
        row_id = UUID(cursor["customer"]) if "customer" in cursor else _FIRST
        while True:
            async with self._database.connection() as connection:
                customers = await self._mirror.customers(connection, scope.since, row_id, _ROWS)
            if not customers:
                return
            for row_id, customer in customers:
                await self._list(look, kind, scope, Position(), customer=customer)
                await self._save(look, {"stage": "lists", "kind": kind.object, "customer": str(row_id)})

    async def _list(
        self, look: Look, kind: Kind, scope: Scope, position: Position, customer: str | None = None
    ) -> None:
        more = True
        while more:
            look.tell(kind.object)
            page, more = await look.reader.page(kind, position, customer=customer, since=scope.since)
            if not page:
                return
            await self._pages.compare(look, kind, page)
            position = Position(str(page[-1]["id"]), page[-1].get("created"))
            await self._saw(look, kind, page)
            if customer is None:
                await self._save(
                    look,
                    {"stage": "lists", "kind": kind.object, "after": position.after, "created": position.created},
                )

    async def _rows(self, look: Look, kind: Kind, scope: Scope, cursor: Mapping[str, Any]) -> None:
        row_id = UUID(cursor["row"]) if "row" in cursor else _FIRST
        while True:
            async with self._database.connection() as connection:
                rows = await self._mirror.not_seen(connection, kind, look.run_id, scope.since, row_id, _ROWS)
            if not rows:
                return
            for row_id, stripe_id in rows:
                if (kind.object, stripe_id) in look.seen:
                    continue
                look.tell(kind.object)
                await self._examiner.examine(look, kind, stripe_id, count=True)
                await self._save(look, {"stage": "rows", "kind": kind.object, "row": str(row_id)})

    async def _saw(self, look: Look, kind: Kind, page: Sequence[Json]) -> None:
        ids = [str(obj["id"]) for obj in page]
        if look.run is None:
            look.seen.update((kind.object, object_id) for object_id in ids)
            return
        async with self._database.connection() as connection:
            await self._runs.saw(connection, look.run_id, kind.object, ids)

    async def _save(self, look: Look, cursor: Mapping[str, Any]) -> None:
        if look.run is not None:
            async with self._database.connection() as connection:
                await self._runs.save(connection, look.run_id, cursor, look.result.counts())


class ChangeWalk:
    """What has changed: by Stripe's log of events, whose newest snapshot of an object the mirror must show; and what
    was fetched meanwhile, which no event may tell."""

    def __init__(self, database: Database, pages: Pages, examiner: Examiner) -> None:
        self._database = database
        self._pages = pages
        self._examiner = examiner
        self._evidence = Evidence()
        self._differences = DifferenceRepository()

    async def walk(self, look: Look, since: datetime, until: datetime, fetched_from: UUID | None) -> UUID:
        """Look at what changed between these moments (business time) and since that row of the inbox (None: none).

        Answers the row of the inbox up to which it was looked at.
        """
        seen: set[tuple[str, str]] = set()
        await self._events(look, since, until, seen)
        async with self._database.connection() as connection:
            newest = await self._evidence.newest(connection)
            start = newest if fetched_from is None else fetched_from
            fetched, last = await self._evidence.fetched_since(connection, start, _FETCHED)
        for object_id in fetched:
            kind = kind_of_id(object_id)
            if kind is not None and kind.object in COMPARED and (kind.object, object_id) not in seen:
                look.tell(kind.object)
                await self._examiner.examine(look, kind, object_id, count=True)
        return last if last is not None and len(fetched) >= _FETCHED // 2 else newest

    async def still_open(self, look: Look) -> None:
        """Look at what earlier runs saw to differ: a page that shows it equal has not closed that."""
        async with self._database.connection() as connection:
            objects = await self._differences.open_objects(connection, look.run_id, _STILL_OPEN)
        for name, object_id in objects:
            look.tell(name)
            await self._examiner.examine(look, kind_named(name), object_id, count=False)

    async def _events(self, look: Look, since: datetime, until: datetime, seen: set[tuple[str, str]]) -> None:
        after, more = None, True
        while more:
            look.tell("event")
            page, more = await look.reader.events(since - _OVERLAP, until, after)
            if not page:
                return
            after = page[-1].id
            await look.missed.add([event.raw for event in page])
            await self._snapshots(look, [event.raw for event in page], since, until, seen)

    async def _snapshots(
        self, look: Look, events: Iterable[Json], since: datetime, until: datetime, seen: set[tuple[str, str]]
    ) -> None:
        """Compare the newest snapshot of each object; events come newest first."""
        newest: dict[str, list[Json]] = {}
        for event in events:
            obj = event["data"]["object"]
            kind = kind_of(obj)
            if kind is None or kind.object not in COMPARED or event["type"] == "invoice.upcoming":
                continue
            if not obj.get("id") or (kind.object, obj["id"]) in seen:
                continue
            seen.add((kind.object, obj["id"]))
            if str(event["type"]).endswith(".deleted") and kind.object != "subscription":
                # Such a snapshot shows what there was.
                await self._examiner.examine(look, kind, str(obj["id"]), count=True)
                continue
            newest.setdefault(kind.object, []).append(obj)
            if since.timestamp() <= obj.get("created", 0) < until.timestamp():
                look.result.added += 1
        for kind in KINDS:
            if objects := newest.get(kind.object):
                await self._pages.compare(look, kind, objects)


def _read(kind: Kind, obj: Json) -> Any | None:
    try:
        return kind.read(obj)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("reconcile.unreadable", object=kind.object, id=obj.get("id"), error=type(error).__name__)
        return None
