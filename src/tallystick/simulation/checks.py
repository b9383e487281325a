"""What must hold: invariants after every step, and in quiet that the mirror is Stripe and that the book is kept."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tallystick.invariants.checks import ALWAYS, INVARIANTS, check, scope_of
from tallystick.platform.database import Database
from tallystick.simulation.facts import Facts, find_untold, read_facts
from tallystick.simulation.ledger import Ledger, find_wrong
from tallystick.simulation.mirror import assert_same, mirror_rows, stripe_rows
from tallystick.simulation.mirror_billing import (
    invoice_rows,
    stripe_invoices,
    stripe_subscriptions,
    subscription_rows,
)
from tallystick.simulation.mirror_customers import customer_rows, stripe_customers
from tallystick.simulation.tending import tend_endpoint
from tallystick.simulation.world import INSTALLATION, World

__all__ = ["Checker", "Failure"]

_BACK = timedelta(minutes=1)
_ARRIVED = 6
_LOOKS = 3
_LISTED = timedelta(days=29)


@dataclass(frozen=True, slots=True)
class Failure:
    """What does not hold, by name, and what offends it."""

    name: str
    found: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {'; '.join(self.found[:5])}"


@dataclass
class Checker:
    """Looks at a world; `done` counts the checks."""

    world: World
    database: Database
    done: int = 0
    _looked_at: datetime | None = None
    _rested_at: datetime | None = None
    _facts: Facts = field(default_factory=Facts)
    known: set[str] = field(default_factory=set)

    async def after_step(self) -> list[Failure]:
        """What always holds, looked at where something has happened since the last look."""
        looked, self._looked_at = self._looked_at, self.world.timeline.now()
        return self._accidents() + await self._invariants(ALWAYS, looked)

    async def at_quiet(self, *, last: bool = False) -> list[Failure]:
        """Everything, once the world has come to rest; `last`: of all rows."""
        accidents, since = [], None if last else self._rested_at
        for _ in range(_LOOKS):
            restless = await self._rest(last=last)
            accidents += self._accidents()
            self._rested_at, next_at = self.world.timeline.now(), await self.world.next_moment(own=True)
            found = await self._all(since, restless)
            # Time runs on: where something fell due while it was looked at, no one moment was compared.
            if restless or not found or next_at is None or next_at > self.world.timeline.now():
                break
        return accidents + found

    async def _all(self, since: datetime | None, restless: Failure | None) -> list[Failure]:
        found = await self._invariants(None, None if restless else since)
        lists = _once(self.world.stripe)
        ledger = await Ledger.read(lists)
        wrong = find_wrong(ledger, self.world.book, self.world.mail_server.mails)
        found += [Failure("the book", tuple(wrong))] if wrong else []
        self._facts = await read_facts(self.world.pool, self.world.engine, self._facts)
        untold = find_untold(ledger, self.world.receiver, self._facts, self.world.replayed)
        found += [Failure("what the host heard", tuple(untold))] if untold else []
        self.done += 4
        # What has not come to rest need not be equal yet.
        return [restless, *found] if restless else found + await self._mirror(lists)

    def _accidents(self) -> list[Failure]:
        found, self.world.accidents = self.world.accidents, []
        return [Failure("accidents", tuple(found))] if found else []

    async def _invariants(self, names: Sequence[str] | None, since: datetime | None) -> list[Failure]:
        clock = self.world.timeline.clock
        several = self.world.settings.allow_multiple_subscriptions
        scope = scope_of(clock, clock.wall() - since + _BACK if since else timedelta(days=20_000),
                         allow_multiple_subscriptions=several)  # fmt: skip
        async with self.database.connection() as connection:
            violations = await check(connection, names, scope)
        self.done += len(INVARIANTS if names is None else names)
        return [Failure(one.invariant.name, one.found) for one in violations]

    async def _rest(self, *, last: bool) -> Failure | None:
        """Bring the world to rest, until every order is answered and every event has come."""
        world = self.world
        for _ in range(_ARRIVED):
            if not await world.settle():
                return Failure("rest", (await world.unrest(),))
            for order in world.book.open():
                await world.send(order)
            await tend_endpoint(world)
            # What no webhook brought is read from the list of events, a little later.
            world.leap(world.timeline.now() + timedelta(seconds=150))
            if last:
                await world.pass_time(timedelta(hours=1), punctual=False)
            if not await world.caught_up() or not await world.settle():
                return Failure("rest", (await world.unrest(),))
            if not world.book.open() and not await self._missing() and not await tend_endpoint(world):
                # They may have come in this very moment.
                return None if await world.settle() else Failure("rest", (await world.unrest(),))
        unanswered = [f"order {one.number} ({one.path}) is not answered: {one.last}" for one in world.book.open()]
        return Failure("acknowledged events", tuple(unanswered + await self._missing()))

    async def _missing(self) -> list[str]:
        # What Stripe does not list any more comes by the lists of all objects instead, which the mirror shows.
        listed = int((self.world.timeline.now() - _LISTED).timestamp())
        sql = "SELECT id FROM objects WHERE object = 'event' AND created >= ?"
        happened = {row[0] for row in self.world.engine.store.execute(sql, listed)}
        rows = await self.world.pool.fetch("SELECT stripe_event_id FROM webhook_events")
        return [f"event {one} never arrived" for one in sorted(happened - {row[0] for row in rows})]

    async def _mirror(self, lists: Callable[[str], Awaitable[dict[str, Any]]]) -> list[Failure]:
        url = self.world.settings.database_url.get_secret_value()
        customers = await customer_rows(url)
        pairs = (
            (await mirror_rows(url), await stripe_rows(lists, INSTALLATION)),
            (await subscription_rows(url), await stripe_subscriptions(lists)),
            (await invoice_rows(url), await stripe_invoices(lists)),
            (customers, await stripe_customers(lists, INSTALLATION, customers)),
        )
        found = []
        for ours, theirs in pairs:
            try:
                assert_same(ours, theirs)
            except AssertionError as error:
                found.append(Failure("the mirror is Stripe", tuple(str(error).splitlines()[1:])))
        return found


def _once(get: Callable[[str], Awaitable[dict[str, Any]]]) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """Each page of Stripe's lists is read once, whoever wants it."""
    known: dict[str, dict[str, Any]] = {}

    async def read(path: str) -> dict[str, Any]:
        if path not in known:
            known[path] = await get(path)
        return known[path]

    return read
