"""`Reconciler`: the running proof that the mirror equals Stripe, and its repair. One run at a time.

A run looks (`service_walk.py`), examines what differs (`service_examine.py`), names the cause
(`service_cause.py`) and repairs (`service_repair.py`). `EqualShare` is its one number.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.installation.service import InstallationService
from tallystick.platform.database import Database, is_weather
from tallystick.platform.leases import Lease
from tallystick.platform.settings import Settings
from tallystick.reconciliation.compare import COMPARED
from tallystick.reconciliation.errors import ReconcileRunning
from tallystick.reconciliation.kinds import KINDS, Kind, kind_named, kind_of_id
from tallystick.reconciliation.models import EVERYTHING, EqualShare, Mode, Progress, Result, Run, Scope
from tallystick.reconciliation.repository import DifferenceRepository, RunRepository
from tallystick.reconciliation.repository_mirror import MirrorReader
from tallystick.reconciliation.service_ask import Stopped, StripeReader
from tallystick.reconciliation.service_cause import CauseFinder, MissedEvents
from tallystick.reconciliation.service_compare import Comparer
from tallystick.reconciliation.service_examine import Examiner, Look
from tallystick.reconciliation.service_repair import Repairer
from tallystick.reconciliation.service_walk import ChangeWalk, FullWalk, Pages
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["BY_COMMAND", "Reconciler"]

log = structlog.get_logger()

_KEPT_BY_STRIPE = timedelta(days=30)
_RUNS_KEPT = timedelta(days=90)
_LEFT = timedelta(days=1)
"""A run that was left behind longer ago is begun anew: it would be as true as its beginning."""

BY_COMMAND = "command"

Report = Callable[[Progress], None]


class Reconciler:
    """Runs that compare, and that repair what the settings say (`RECONCILE_REPAIR`)."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        stripe: StripeService,
        registry: Registry,
        webhooks: StripeWebhookService,
        installation: InstallationService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._stripe = stripe
        self._registry = registry
        self._installation = installation
        self._dialect = Dialect(settings.stripe_api_version)
        self._policy = frozenset(settings.reconcile_repair)
        self._runs = RunRepository()
        self._differences = DifferenceRepository()
        self._mirror = MirrorReader()
        ours = settings.installation_id
        causes = CauseFinder(database, clock, ours)
        comparer = Comparer(database, clock, ours, webhooks)
        self._examiner = Examiner(database, clock, comparer, causes, Repairer(database, registry, webhooks))
        pages = Pages(database, comparer, self._examiner)
        self._full = FullWalk(database, pages, self._examiner)
        self._changes = ChangeWalk(database, pages, self._examiner)

    async def reconcile(
        self,
        mode: Mode,
        scope: Scope = EVERYTHING,
        *,
        by: str,
        dry_run: bool = False,
        report: Report = lambda _: None,
        stop: asyncio.Event | None = None,
    ) -> Result:
        """Run until all is looked at. A full run of the same scope that was left behind in the middle is taken up.

        An incremental run of which Stripe's log does not go back far enough, or before which there was none, is a full
        one. A `dry_run` writes nothing. When `stop` is set, the run is left as it is, to be gone on with.

        Raises:
            ReconcileRunning: another process is at it.
            WrongInstallation: the key is of another account.
            GatewayError: Stripe refuses, or has been away for an hour.
        """
        await self._installation.verify()
        # One for each run: this process's other runs are others, too.
        async with Lease(self._database, self._clock, "reconcile").held() as alone:
            if not alone:
                raise ReconcileRunning
            since = await self._since() if mode == "incremental" else None
            if since is None or since < self._clock.now() - _KEPT_BY_STRIPE:
                mode = "full"
            run = None if dry_run else await self._begin(mode, scope, by)
            look = await self._look(run, by, report, stop)
            try:
                await self._walk(look, mode, scope, since)
                await self._changes.still_open(look)
            except Stopped:
                log.info("reconcile.stopped", mode=mode)
            except BaseException as error:
                await self._fail(run, error)
                raise
            else:
                await self._finish(look)
                look.result.finished = True
            look.tell("")
            return look.result

    async def check(self, object_ids: Sequence[str], *, by: str, dry_run: bool = False) -> Result:
        """Compare, and repair, just these objects, whatever else runs: Stripe's ids, or `coupon:SUMMER`.

        Raises:
            KeyError: an id of which nobody knows the kind.
            WrongInstallation: the key is of another account.
        """
        named = [_named(object_id) for object_id in object_ids]
        await self._installation.verify()
        run = None
        if not dry_run:
            async with self._database.connection() as connection:
                scope = Scope(ids=tuple(object_ids))
                run = await self._runs.insert(connection, "full", scope, by, self._clock.wall(), state="running")
        look = await self._look(run, by, lambda _: None, None)
        for kind, object_id in named:
            await self._examiner.examine(look, kind, object_id, count=True)
        await self._finish(look)
        look.result.finished = True
        return look.result

    async def walk_lists(self, since: datetime, stop: asyncio.Event | None = None) -> bool:
        """Compare and repair all that Stripe's lists show, for an outage longer than its log of events.

        What was made before `since` may have changed since, which no list can tell: so all of it is walked. False: it
        was stopped, or another run is on.
        """
        log.warning("reconcile.outage", since=since.isoformat())
        try:
            return (await self.reconcile("full", by="catch-up", stop=stop)).finished
        except ReconcileRunning:
            return False

    async def share(self) -> EqualShare:
        """How much of the mirror equals Stripe, as far as is known."""
        async with self._database.connection() as connection:
            full = await self._runs.last(connection, "full", whole=True)
            if full is None:
                return EqualShare(None, None, None, None)
            change = await self._runs.last(connection, "incremental")
            compared = full.objects + await self._runs.added_since(connection, full.id)
            unequal = await self._differences.unequal(connection)
        moments = [run.until_at for run in (full, change) if run is not None and run.until_at is not None]
        return EqualShare(max(compared - unequal, 0), compared, max(moments), full.until_at)

    async def last_began(self, mode: Mode) -> datetime | None:
        """When (wall time) the last run of a mode began that was to look at all there is, however it ended."""
        async with self._database.connection() as connection:
            return await self._runs.last_began(connection, mode)

    async def continue_queued(self, stop: asyncio.Event) -> bool:
        """Run what was asked for through the API, and what was left in the middle; whether there was any.

        What a person has stopped waits for that person.
        """
        async with self._database.connection() as connection:
            waiting = [run for run in await self._runs.open(connection) if run.requested_by != BY_COMMAND]
        if not waiting:
            return False
        first = waiting[0]
        await self.reconcile(first.mode, first.scope, by=first.requested_by, stop=stop)
        return True

    # Inside

    async def _since(self) -> datetime | None:
        """Up to when the last run has looked."""
        async with self._database.connection() as connection:
            change = await self._runs.last(connection, "incremental")
            full = await self._runs.last(connection, "full", whole=True)
        if full is None:
            return None
        moments = [run.until_at for run in (change, full) if run is not None and run.until_at is not None]
        return max(moments, default=None)

    async def _begin(self, mode: Mode, scope: Scope, by: str) -> Run:
        async with self._database.connection() as connection:
            now = self._clock.wall()
            await self._runs.forget(connection, now - _RUNS_KEPT)
            run = None
            for left in await self._runs.open(connection):
                if left.created_at < now - _LEFT:
                    await self._runs.finish(connection, left.id, now, "left behind")
                elif run is None and (left.mode, left.scope) == (mode, scope):
                    run = left
            if run is None:
                run = await self._runs.insert(connection, mode, scope, by, now, state="running")
            await self._runs.begin(connection, run.id, now)
            return run

    async def _look(self, run: Run | None, by: str, report: Report, stop: asyncio.Event | None) -> Look:
        def waiting(seconds: float) -> None:
            look.tell("", seconds)

        reader = StripeReader(self._stripe, self._dialect, stop=stop, waiting=waiting)
        missed = MissedEvents(self._database, self._clock, reader, frozenset(self._registry.event_types()))
        async with self._database.transaction() as tx:
            mark = await self._installation.mark(tx)
        look = Look(reader, missed, by, mark, self._policy, run, report)
        async with self._database.connection() as connection:
            look.total = await self._mirror.estimate(connection, [k.table for k in KINDS if k.object in COMPARED])
        if run is not None:
            look.run_id = run.id
            for name in look.result.counts():
                setattr(look.result, name, getattr(run, name))
        return look

    async def _walk(self, look: Look, mode: Mode, scope: Scope, since: datetime | None) -> None:
        now = self._clock.now()
        cursor: dict[str, Any] = look.run.cursor if look.run is not None else {}
        # One that goes on is as true as its beginning.
        until = (look.run.until_at if look.run is not None else None) or now
        if look.run is not None:
            async with self._database.connection() as connection:
                await self._runs.reach(connection, look.run_id, since, until)
        if mode == "full":
            await self._full.walk(look, scope, cursor)
            if scope.since is not None:
                await self._changes.walk(look, max(scope.since, now - _KEPT_BY_STRIPE), now, None)
            return
        assert since is not None
        inbox = await self._changes.walk(look, since, now, await self._inbox_from())
        if look.run is not None:
            async with self._database.connection() as connection:
                await self._runs.save(connection, look.run_id, {"inbox": str(inbox)}, look.result.counts())

    async def _inbox_from(self) -> UUID | None:
        async with self._database.connection() as connection:
            last = await self._runs.last(connection, "incremental")
        return UUID(last.cursor["inbox"]) if last is not None and "inbox" in last.cursor else None

    async def _finish(self, look: Look) -> None:
        result, run = look.result, look.run
        if run is None:
            return
        async with self._database.transaction() as tx:
            current = await self._runs.find(tx, run.id)
            await self._runs.save(tx, run.id, current.cursor if current else {}, result.counts())
            await self._runs.finish(tx, run.id, self._clock.wall())
        log.info("reconcile.done", mode=run.mode, **result.counts())

    async def _fail(self, run: Run | None, error: BaseException) -> None:
        """A run that fails is over; one that was killed or lost its database is gone on with."""
        log.warning("reconcile.failed", error=type(error).__name__)
        if run is not None and isinstance(error, Exception) and not is_weather(error):
            async with self._database.transaction() as tx:
                await self._runs.finish(tx, run.id, self._clock.wall(), f"{type(error).__name__}: {error}"[:300])


def _named(text: str) -> tuple[Kind, str]:
    """The kind and the id that this names; raises KeyError."""
    name, _, object_id = text.partition(":")
    if object_id and name in COMPARED:
        return kind_named(name), object_id
    kind = kind_of_id(text)
    if kind is None or kind.object not in COMPARED:
        raise KeyError(text)
    return kind, text
