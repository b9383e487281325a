"""`ReconcileService`: what the API and the console say of reconcile, and its being asked for."""

from datetime import timedelta

from msgspec import Struct

from tallystick.core.clock import Clock
from tallystick.core.errors import Forbidden
from tallystick.core.ids import parse_uuid
from tallystick.core.pages import Page
from tallystick.platform.auth import Identity
from tallystick.platform.database import Database
from tallystick.reconciliation.errors import DifferenceNotFound, ReconcileRunning, RunNotFound
from tallystick.reconciliation.models import (
    EVERYTHING,
    Difference,
    DifferenceFilter,
    EqualShare,
    Mode,
    Run,
)
from tallystick.reconciliation.repository import DifferenceRepository, RunRepository
from tallystick.reconciliation.service import Reconciler

__all__ = ["Overview", "ReconcileService"]

_STALE = timedelta(hours=1)


class Overview(Struct, frozen=True):
    """The one number, what differs by cause, and the runs: those under way, and the last ones that are over."""

    share: EqualShare
    open_by_cause: dict[str, int]
    open_runs: list[Run]
    last_full: Run | None
    last_incremental: Run | None


class ReconcileService:
    """Reads for staff, and starts for administrators; raises `Forbidden` for anybody else."""

    def __init__(self, database: Database, clock: Clock, reconciler: Reconciler) -> None:
        self._database = database
        self._clock = clock
        self._reconciler = reconciler
        self._runs = RunRepository()
        self._differences = DifferenceRepository()

    async def overview(self, who: Identity) -> Overview:
        """How the mirror stands."""
        _require_staff(who)
        share = await self._reconciler.share()
        async with self._database.connection() as connection:
            return Overview(
                share,
                await self._differences.by_cause(connection),
                await self._runs.open(connection),
                await self._runs.last(connection, "full", whole=True),
                await self._runs.last(connection, "incremental"),
            )

    async def differences(
        self, who: Identity, wanted: DifferenceFilter, *, limit: int, starting_after: str | None
    ) -> Page[Difference]:
        """Differences, the last seen first, beyond the one of this id; raises DifferenceNotFound."""
        _require_staff(who)
        async with self._database.connection() as connection:
            after = None
            if starting_after is not None:
                known = parse_uuid(starting_after)
                after = await self._differences.find(connection, known) if known else None
                if after is None:
                    raise DifferenceNotFound(field="starting_after")
            found = await self._differences.page(connection, wanted, after=after, limit=limit + 1)
        return Page(found[:limit], has_more=len(found) > limit)

    async def run(self, who: Identity, run_id: str) -> Run:
        """One run; raises RunNotFound."""
        _require_staff(who)
        known = parse_uuid(run_id)
        async with self._database.connection() as connection:
            run = await self._runs.find(connection, known) if known else None
        if run is None:
            raise RunNotFound
        return run

    async def start(self, who: Identity, mode: Mode) -> Run:
        """Ask for a run; a worker takes it up within seconds. Raises ReconcileRunning while one is under way."""
        if "admin" not in who.roles:
            raise Forbidden("This needs the role admin.")
        now = self._clock.wall()
        async with self._database.transaction() as tx:
            # Two who ask at once would not see each other's.
            await tx.execute("LOCK TABLE reconcile_runs IN SHARE ROW EXCLUSIVE MODE")
            if any(run.created_at > now - _STALE for run in await self._runs.open(tx)):
                raise ReconcileRunning
            return await self._runs.insert(tx, mode, EVERYTHING, f"admin:{who.subject}", now, state="queued")


def _require_staff(who: Identity) -> None:
    if not who.roles & {"admin", "support"}:
        raise Forbidden("This needs the role admin or support.")
