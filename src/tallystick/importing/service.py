"""`ImportService`: an existing Stripe account into the mirror.

The database knows at any moment how far it has come: an import that was killed goes on where it stopped, and of two at
once the second stops. What is created while it runs is told by events, from the installation's mark on, which is set
before the first list is read.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial

from tallystick.core.clock import Clock, to_unix
from tallystick.core.ids import new_id
from tallystick.importing.errors import ImportRefused, ImportTaken
from tallystick.importing.models import Counts, Import, ImportOptions, KindSummary, Matched, Range, Summary
from tallystick.importing.repository import ImportRepository
from tallystick.importing.service_clocks import clock_ranges
from tallystick.importing.service_match import CustomerMatcher
from tallystick.importing.service_plan import plan_ranges
from tallystick.importing.service_walk import RangeWalker
from tallystick.installation.service import InstallationService
from tallystick.notifications.silence import silent
from tallystick.platform.database import WEATHER, Database
from tallystick.reconciliation.kinds import KINDS, Json, Kind, kind_named
from tallystick.stripe_gateway.dialect import NEWEST, OLDEST, Dialect
from tallystick.stripe_gateway.service import StripeService

__all__ = ["LEASE_S", "ImportProgress", "ImportService"]

LEASE_S = 20.0
_BEAT_S = 5.0
_REFUSALS_SHOWN = 100

_STAGES: tuple[tuple[str, ...], ...] = (
    ("product", "price", "coupon", "promotion_code", "customer"),
    ("payment_method", "setup_intent", "payment_intent"),
    ("charge", "subscription"),
    ("refund", "dispute", "invoice", "subscription_schedule"),
)
"""What is walked at once; what hangs on another is walked after it."""

_OWNED = frozenset({"customer", "payment_method", "setup_intent", "payment_intent", "subscription", "invoice"})


class ImportProgress:
    """How far an import has come, for whoever watches: ranges by id, and what is waited for."""

    def __init__(self) -> None:
        self.ranges: dict[str, Range] = {}
        self.waits: str | None = None
        self.phase = "starting"
        self.walking = False
        self.matched = Matched()

    def note(self, one: Range, waits: str | None = None) -> None:
        """A range has come this far, or waits for something."""
        self.ranges[str(one.id)] = one
        self.waits = waits

    def wait(self, reason: str) -> None:
        """It waits for Stripe, or for the database."""
        self.waits = reason

    def by_kind(self) -> dict[str, tuple[Counts, int, bool]]:
        """Of each kind that is planned: its counts, about how many are expected, and whether all is done."""
        found: dict[str, tuple[Counts, int, bool]] = {}
        for one in list(self.ranges.values()):
            counts, expected, done = found.get(one.object, (Counts(), 0, True))
            rest = one.counts.listed if one.done else max(one.expected, one.counts.listed)
            found[one.object] = (counts + one.counts, expected + rest, done and one.done)
        return {kind.object: found[kind.object] for kind in KINDS if kind.object in found}


class ImportService:
    """Begins an import or goes on with it, and tells what it did."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        api_version: str,
        stripe: StripeService,
        installation: InstallationService,
        walker: RangeWalker,
        matcher: CustomerMatcher,
    ) -> None:
        self._database = database
        self._clock = clock
        self._api_version = api_version
        self._stripe = stripe
        self._installation = installation
        self._walker = walker
        self.matcher = matcher
        self._repository = ImportRepository()
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"

    async def run(
        self,
        options: ImportOptions,
        pairs: Sequence[tuple[str, str]] = (),
        *,
        restart: bool = False,
        concurrency: int = 4,
        progress: ImportProgress | None = None,
    ) -> Summary:
        """Import, or go on with what was begun; `pairs` are (user of the host application, customer).

        An import that was begun keeps the options it was begun with.

        Raises:
            ImportRefused: another one runs, or this API version is not known.
            ImportTaken: another process has gone on with it meanwhile.
            WrongInstallation: the key is of another account.
            GatewayError: Stripe cannot be asked at the start, or refuses a list to this key.
        """
        progress = progress or ImportProgress()
        if not Dialect(self._api_version).known:
            raise ImportRefused(
                f"STRIPE_API_VERSION is {self._api_version}, whose objects this program does not know. "
                f"Set one from {OLDEST} to {NEWEST}."
            )
        with silent():
            async with self._stripe.background():
                # The mark is set here, before anything is listed.
                await self._installation.verify()
                _, _, at = await self._walker.page("/v1/products", {"limit": 1})
                # An answer bears the time at which it was asked for at the latest: none of the last second is left out.
                now = self._clock.now()
                running = await self._begin(options, max(at or now, now), restart=restart)
                async with self._leased(running):
                    await self._carry_out(running, pairs, concurrency, progress)
        return await self.summary(running, progress)

    async def match(self, options: ImportOptions, pairs: Sequence[tuple[str, str]]) -> Summary:
        """Match customers that have no user, and list nothing. Raises WrongInstallation."""
        await self._installation.current()
        progress = ImportProgress()
        with silent():
            await self._match(options, pairs, progress)
        reasons = dict(await self.matcher.reasons())
        return Summary(None, "done", 0.0, [], progress.matched, reasons, [])

    # Whose it is

    async def _begin(self, options: ImportOptions, at: datetime, *, restart: bool) -> Import:
        async with self._database.transaction() as tx:
            now = self._clock.wall()
            found = await self._repository.running(tx, lock=True)
            if found is not None and restart and self._free(found):
                await self._repository.finish(tx, found.id, "abandoned", now)
                found = None
            if found is None:
                await self._repository.begin(tx, at, options, now)
                found = await self._repository.running(tx, lock=True)
                assert found is not None
            if not self._free(found):
                host, pid, _ = (found.owner or "::").split(":", 2)
                raise ImportRefused(
                    f"An import runs already: process {pid} on {host}, begun {found.started_at:%Y-%m-%d %H:%M} UTC. "
                    f"Wait for it, or stop it. If it is dead, this works again within {LEASE_S:.0f} seconds."
                )
            await self._repository.take(tx, found.id, self._owner, now + timedelta(seconds=LEASE_S))
        return found

    def _free(self, found: Import) -> bool:
        if found.owner is None or found.lease_until is None or found.lease_until < self._clock.wall():
            return True
        host, pid, _ = found.owner.split(":", 2)
        # One of this machine need not be waited for. Whoever is wrong about that is stopped at his next page.
        return host == socket.gethostname() and not _alive(int(pid))

    @asynccontextmanager
    async def _leased(self, running: Import) -> AsyncIterator[None]:
        """Keep the import for as long as the block lasts; raises ImportTaken inside of it when it is lost."""
        beat = self._clock.monotonic()

        def worked_ms() -> int:
            nonlocal beat
            before, beat = beat, self._clock.monotonic()
            return round((beat - before) * 1000)

        async def keep() -> None:
            while True:
                await asyncio.sleep(_BEAT_S)
                until = self._clock.wall() + timedelta(seconds=LEASE_S)
                with suppress(*WEATHER):
                    async with self._database.transaction() as tx:
                        if not await self._repository.prolong(tx, running.id, self._owner, until, worked_ms()):
                            raise ImportTaken

        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(keep())
                yield
                keeper.cancel()
        except ExceptionGroup as problems:
            raise _first(problems) from None
        finally:
            with suppress(*WEATHER):
                async with self._database.transaction() as tx:
                    await self._repository.let_go(tx, running.id, self._owner, worked_ms())

    # What it does

    async def _carry_out(
        self, running: Import, pairs: Sequence[tuple[str, str]], concurrency: int, progress: ImportProgress
    ) -> None:
        async with self._database.connection() as connection:
            for one in await self._repository.ranges(connection, running.id):
                progress.note(one)
        wanted = [kind for kind in KINDS if kind.path and kind.object not in running.options.without]
        progress.phase = "looking how much there is"
        listed = [kind for kind in wanted if not kind.per_customer]
        await self._all(concurrency, [partial(self._plan, running, kind, progress) for kind in listed])
        for number, stage in enumerate(_STAGES):
            kinds = [kind for kind in wanted if kind.object in stage]
            await self._plan_late(running, kinds, progress)
            progress.phase, progress.walking = "importing", True
            names = {kind.object for kind in kinds}
            rest = [one for one in progress.ranges.values() if one.object in names and not one.done]
            await self._all(concurrency, [partial(self._walk, running, one, progress) for one in _mixed(rest)])
            if number == 0:
                progress.phase = "matching users"
                await self._match(running.options, pairs, progress)
        async with self._database.transaction() as tx:
            await self._repository.finish(tx, running.id, "done", self._clock.wall())

    async def _all(self, concurrency: int, works: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Do these works in their order, so many at once."""
        waiting = iter(works)

        async def worker() -> None:
            for work in waiting:
                await work()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(works))):
                group.create_task(worker())

    async def _walk(self, running: Import, one: Range, progress: ImportProgress) -> None:
        await self._walker.walk(running.id, self._owner, one, progress.note)

    async def _match(self, options: ImportOptions, pairs: Sequence[tuple[str, str]], progress: ImportProgress) -> None:
        by_map = await self.matcher.by_map(pairs)
        by_email = await self.matcher.by_email() if options.match_emails else 0
        progress.matched = Matched(by_map, by_email)

    # Planning

    async def _plan(self, running: Import, kind: Kind, progress: ImportProgress) -> None:
        if any(one.object == kind.object for one in progress.ranges.values()):
            return

        assert kind.path is not None
        path = kind.path

        async def look(params: Mapping[str, object]) -> tuple[Sequence[Json], bool]:
            return await self._patient_page(progress, path, {**kind.params, **params})

        ranges = await plan_ranges(kind, to_unix(running.until) + 1, look)
        await self._keep(running, ranges, progress)

    async def _patient_page(
        self, progress: ImportProgress, path: str, params: Mapping[str, object]
    ) -> tuple[Sequence[Json], bool]:
        read = partial(self._walker.page, path, params)
        found, more, _ = await self._walker.patiently(read, progress.wait)
        return found, more

    async def _plan_late(self, running: Import, kinds: Sequence[Kind], progress: ImportProgress) -> None:
        """Ranges that are known only once customers are: what is listed by customer, and the objects of test clocks."""
        for kind in kinds:
            if kind.per_customer and not any(one.object == kind.object for one in progress.ranges.values()):
                async with self._database.connection() as connection:
                    customers = await self._repository.count_customers(connection)
                whole = Range(new_id(), kind.object, None, None, None, customers)
                await self._keep(running, [whole], progress)
        if running.options.test_clocks:
            known = [one for one in progress.ranges.values() if one.scope]
            page = partial(self._patient_page, progress)
            await self._keep(running, await clock_ranges(page, kinds, known), progress)

    async def _keep(self, running: Import, ranges: Sequence[Range], progress: ImportProgress) -> None:
        async with self._database.transaction() as tx:
            if not await self._repository.holds(tx, running.id, self._owner):
                raise ImportTaken
            await self._repository.add_ranges(tx, running.id, ranges)
        for one in ranges:
            progress.note(one)

    # What it tells

    async def summary(self, running: Import, progress: ImportProgress) -> Summary:
        """What an import did."""
        async with self._database.connection() as connection:
            now = await self._repository.find(connection, running.id)
            refused = await self._repository.count_refusals(connection, running.id)
            refusals = await self._repository.refusals(connection, running.id, _REFUSALS_SHOWN)
            kinds = [
                KindSummary(
                    name,
                    counts,
                    expected,
                    refused.get(name, 0),
                    await self._repository.count_without_user(connection, kind_named(name)) if name in _OWNED else None,
                )
                for name, (counts, expected, _) in progress.by_kind().items()
            ]
        return Summary(
            import_id=str(now.id),
            state=now.state,
            took_s=now.took_ms / 1000,
            kinds=kinds,
            matched=progress.matched,
            unmatched=dict(await self.matcher.reasons()),
            refusals=refusals,
        )


def _first(problems: ExceptionGroup[Exception]) -> Exception:
    found = problems.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found


def _mixed(ranges: Sequence[Range]) -> list[Range]:
    """Ranges of different kinds in turns, so that all kinds come on."""
    turns: dict[str, int] = {}
    numbered = []
    for one in ranges:
        turns[one.object] = turns.get(one.object, 0) + 1
        numbered.append((turns[one.object], one))
    return [one for _, one in sorted(numbered, key=lambda pair: pair[0])]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
