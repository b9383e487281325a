"""`Examiner`: one object that seemed to differ, looked at again before it counts; named, repaired, and noted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.platform.database import Database, Transaction, is_weather
from tallystick.reconciliation.compare import ROW, FieldDifference
from tallystick.reconciliation.compare_rules import Row
from tallystick.reconciliation.kinds import Json, Kind, kind_named
from tallystick.reconciliation.models import Cause, Found, Progress, Result, Run, State
from tallystick.reconciliation.repository import DifferenceRepository
from tallystick.reconciliation.repository_mirror import MirrorReader
from tallystick.reconciliation.service_ask import Stopped, StripeReader
from tallystick.reconciliation.service_cause import CauseFinder, MissedEvents
from tallystick.reconciliation.service_compare import Comparer
from tallystick.reconciliation.service_repair import Repairer, RowMoved
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.objects import Answer

__all__ = ["Examiner", "Look"]

log = structlog.get_logger()

_LOOKS = 3
_KEPT_IN_MEMORY = 10_000


@dataclass
class Look:
    """One run: who asked for it, what it may do, and what it has done. Without a `run` nothing of it is written."""

    reader: StripeReader
    missed: MissedEvents
    by: str
    mark: datetime
    policy: frozenset[Cause]
    run: Run | None
    report: Callable[[Progress], None] = lambda _: None
    total: int = 0
    result: Result = field(default_factory=Result)
    seen: set[tuple[str, str]] = field(default_factory=set)
    run_id: UUID = field(default_factory=new_id)

    def count(self, kind: Kind, fields: int) -> None:
        """An object of which so many fields were compared."""
        self.result.objects += 1
        self.result.fields += fields
        self.result.by_kind[kind.object] = self.result.by_kind.get(kind.object, 0) + 1

    def add(self, found: Found) -> None:
        """An object that differs, and what became of it."""
        result, number = self.result, len(found.differences)
        result.differences += number
        if found.state == "repaired":
            result.repaired += number
        elif found.worst == "in_flight":
            result.in_flight += number
        else:
            result.left_open += number
        if len(result.found) < _KEPT_IN_MEMORY:
            result.found.append(found)

    def tell(self, kind: str, waiting_s: float = 0.0) -> None:
        """Report how far it has come."""
        result = self.result
        result.calls = self.reader.calls
        self.report(Progress(kind, result.objects, self.total, result.differences, result.repaired, waiting_s))


@dataclass(frozen=True)
class _Seen:
    """Stripe's answer (None: it knows no such object), and the row as it was before and after."""

    answer: Answer[Any] | None
    row: Row | None
    moved: bool


class Examiner:
    """Looks at objects by their ids, and does what follows."""

    def __init__(
        self, database: Database, clock: Clock, comparer: Comparer, causes: CauseFinder, repairer: Repairer
    ) -> None:
        self._database = database
        self._clock = clock
        self._comparer = comparer
        self._causes = causes
        self._repairer = repairer
        self._mirror = MirrorReader()
        self._differences = DifferenceRepository()

    async def examine(self, look: Look, kind: Kind, object_id: str, *, count: bool) -> None:
        """Compare one object with its row, both as they are now; `count` it, if nobody has yet.

        What cannot be done to one object does not end the run.
        """
        try:
            for _ in range(_LOOKS):
                try:
                    return await self._examine(look, kind, object_id, count=count)
                except RowMoved:
                    count = False
            await self._leave(look, kind, object_id, "in_flight")
        except (GatewayError, Stopped):
            raise
        except Exception as error:
            if is_weather(error):
                raise
            log.exception("reconcile.failed", object=kind.object, id=object_id)
            await self._leave(look, kind, object_id, "ours")

    async def _examine(self, look: Look, kind: Kind, object_id: str, *, count: bool) -> None:
        seen = await self._look(look, kind, object_id)
        if seen.answer is None:
            await self._examine_unknown(look, kind, object_id, seen, count=count)
            return
        value = await self._comparer.kept(kind, seen.answer.value)
        compared = self._comparer.compare(kind, value, seen.row)
        if compared is not None and count:
            look.count(kind, compared.fields)
        if compared is None or compared.equal:
            await self._note(look, Found(kind.object, object_id, [], {}, "passed"))
            return
        differences = compared.differences
        raw = seen.answer.raw
        causes: dict[str, Cause] = (
            {one.field: "in_flight" for one in differences}
            if seen.moved
            else await self._causes.of_fields(kind, object_id, differences, raw, seen.row, look.missed)
        )
        found = Found(kind.object, object_id, differences, causes, "open")
        if not self._may_repair(look, found) or not await self._mend(look, kind, found, value, raw, seen):
            await self._note(look, found)
            look.add(found)

    async def _examine_unknown(self, look: Look, kind: Kind, object_id: str, seen: _Seen, *, count: bool) -> None:
        """A row of an object that Stripe does not know, or (any more) neither of them."""
        row = seen.row
        unknown = await self._causes.of_unknown(kind, object_id, row, look.missed) if row is not None else None
        if row is None or unknown is None:
            if row is not None and count:
                look.count(kind, 1)
            await self._note(look, Found(kind.object, object_id, [], {}, "passed"))
            return
        difference, cause, raw = unknown
        if difference.field != ROW and count:
            look.count(kind, 1)
        found = Found(kind.object, object_id, [difference], {difference.field: cause}, "open")
        if self._may_repair(look, found):
            if raw is not None:
                deleted = await self._comparer.kept(kind, replace(kind.read(raw), deleted=True))
                if await self._mend(look, kind, found, deleted, raw, seen):
                    return
            elif cause == "foreign" and await self._remove(look, kind, object_id, row):
                return
        await self._note(look, found)
        look.add(found)

    async def _look(self, look: Look, kind: Kind, object_id: str) -> _Seen:
        """Stripe's object between two looks at its row: a row that moves meanwhile is looked at again."""
        for _ in range(_LOOKS):
            before = await self._row(kind, object_id)
            answer = await look.reader.retrieve(kind, object_id)
            row = await self._row(kind, object_id)
            if (before or {}).get("revision") == (row or {}).get("revision"):
                return _Seen(answer, row, moved=False)
        return _Seen(answer, row, moved=True)

    async def _row(self, kind: Kind, object_id: str) -> Row | None:
        async with self._database.connection() as connection:
            return (await self._mirror.rows(connection, kind, [object_id])).get(object_id)

    def _may_repair(self, look: Look, found: Found) -> bool:
        return look.run is not None and found.worst in look.policy

    async def _mend(self, look: Look, kind: Kind, found: Found, value: Any, raw: Json, seen: _Seen) -> bool:
        """Repair, and note it in the same transaction; whether the row is right then."""
        now = self._clock.now()
        at = (seen.answer.at if seen.answer else None) or now
        row_at = seen.row.get("state_at") if seen.row else None
        if row_at is not None and row_at <= now:
            # What the row was told before Stripe was asked is in what Stripe shows.
            at = max(at, row_at)
        missed: Sequence[Json] = await look.missed.of(found.stripe_id) if found.worst == "missed_event" else ()
        state: State = "open"

        async def conclude(tx: Transaction) -> None:
            nonlocal state
            row = (await self._mirror.rows(tx, kind, [found.stripe_id])).get(found.stripe_id)
            if seen.answer is None:
                state = "repaired" if row is not None and row["deleted"] else "open"
            else:
                compared = self._comparer.compare(kind, value, row)
                state = "repaired" if compared is None or compared.equal else "open"
            await self._write(tx, look, Found(found.object, found.stripe_id, found.differences, found.causes, state))

        if not await self._repairer.mend(kind, value, raw, seen.row, at, missed, look.mark, conclude):
            return False
        look.add(Found(found.object, found.stripe_id, found.differences, found.causes, state))
        return True

    async def _remove(self, look: Look, kind: Kind, object_id: str, row: Row) -> bool:
        """Remove a foreign row, and keep all of it in its difference; False where something real hangs on it."""
        async with self._database.connection() as connection:
            children = await self._mirror.children(connection, kind, row["id"])
        for name, child in children:
            if child is None or await look.reader.retrieve(kind_named(name), child) is not None:
                return False
        gone: list[Found] = []

        async def conclude(tx: Transaction, removed: dict[str, Any]) -> None:
            difference = FieldDifference(ROW, removed, None)
            gone.append(Found(kind.object, object_id, [difference], {ROW: "foreign"}, "repaired"))
            await self._write(tx, look, gone[-1])

        await self._repairer.remove(kind, row, conclude)
        look.add(gone[-1])
        if kind.object == "refund" and row["payment_id"]:
            # What was refunded of the payment is less now.
            await self._examine(look, kind_named("payment_intent"), row["payment_id"], count=False)
        return True

    async def _note(self, look: Look, found: Found) -> None:
        if look.run is not None:
            async with self._database.transaction() as tx:
                await self._write(tx, look, found)

    async def _leave(self, look: Look, kind: Kind, object_id: str, cause: Cause) -> None:
        """Something is wrong with an object, and nobody can say which of its fields."""
        found = Found(kind.object, object_id, [FieldDifference(ROW, None, None)], {ROW: cause}, "open")
        await self._note(look, found)
        look.add(found)

    async def _write(self, tx: Transaction, look: Look, found: Found) -> None:
        if look.run is not None:
            await self._differences.note(tx, look.run.id, found, look.by, self._clock.wall())
