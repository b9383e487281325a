"""`RangeWalker`: one range of one list, page by page, each page and how far it brought the range in one transaction."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog
from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.errors import Unavailable
from tallystick.importing.errors import ImportTaken
from tallystick.importing.models import Counts, Range, Refusal
from tallystick.importing.repository import ImportRepository
from tallystick.importing.service_record import PageRecorder
from tallystick.notifications.silence import silent
from tallystick.platform.database import Database, Transaction, is_weather
from tallystick.platform.work import Retry
from tallystick.reconciliation.kinds import Json, Kind, kind_named
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.errors import GatewayRejected, GatewayUnavailable
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_invoices import InvoiceCalls
from tallystick.stripe_gateway.translate import reference
from tallystick.webhooks.errors import ParentMissing

__all__ = ["RangeWalker", "Watcher"]

log = structlog.get_logger()
Result = TypeVar("Result")

Watcher = Callable[[Range, str | None], None]
"""Told how far a range has come, and for what it waits (None: for nothing)."""

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_CUSTOMERS_AT_ONCE = 25
_NEEDS_CUSTOMER = frozenset({"subscription", "invoice", "subscription_schedule"})
"""Kinds whose recorders want the customer to be here; a deleted one is in no list."""


class RangeWalker:
    """Walks ranges for one import under its owner's lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        stripe: StripeService,
        dialect: Dialect,
        invoices: InvoiceCalls,
        recorder: PageRecorder,
        fetch: Callable[[str], Awaitable[None]],
    ) -> None:
        """`fetch` brings one object by its id into the mirror; it raises `Retry` where Stripe is away."""
        self._database = database
        self._clock = clock
        self._stripe = stripe
        self._dialect = dialect
        self._invoices = invoices
        self._recorder = recorder
        self._fetch = fetch
        self._repository = ImportRepository()

    async def walk(self, import_id: UUID, owner: str, one: Range, watch: Watcher) -> None:
        """Walk a range from where it was left to its end, however long Stripe is away meanwhile.

        Raises:
            ImportTaken: the import is not this owner's any more.
            GatewayRejected: the key may not read this list.
        """
        kind = kind_named(one.object)
        read = self._customers_page if kind.per_customer else self._page
        while not one.done:
            waits = partial(watch, one)
            page, after, at = await self.patiently(partial(read, kind, one), waits)
            if kind.object == "invoice":
                page = [await self.patiently(partial(self._whole, obj), waits) for obj in page]
            one = await self._store(import_id, owner, kind, after, page, at, waits)
            watch(one, None)

    async def page(self, path: str, params: Mapping[str, Any]) -> tuple[Sequence[Json], bool, datetime | None]:
        """One page of a list with these parameters: its objects, whether there are more, and Stripe's time."""
        answer = await self._stripe.list_page(path, params, dict)
        return answer.value, bool(answer.raw.get("has_more")), answer.at

    async def patiently(self, work: Callable[[], Awaitable[Result]], waits: Callable[[str], None]) -> Result:
        """`work`, again and again while Stripe is away or the database is; `waits` is told why."""
        delay = _FIRST_WAIT_S
        while True:
            try:
                return await work()
            except (GatewayUnavailable, Retry, Unavailable) as error:
                if isinstance(error, Retry) and error.counted:
                    raise
                reason = str(error) or "Stripe is away"
            except Exception as error:
                if not is_weather(error):
                    raise
                reason = f"the database is away ({type(error).__name__})"
            waits(reason)
            await asyncio.sleep(delay * (1 + random.random() / 4))
            delay = min(delay * 2, _LONGEST_WAIT_S)

    # Reading

    async def _page(self, kind: Kind, one: Range) -> tuple[Sequence[Json], Range, datetime]:
        """The next page of a range, and the range as that page leaves it."""
        params = {**kind.list_params(self._dialect), **one.narrowed}
        bounds = {"gte": one.created_from, "lt": one.created_until}
        if created := {name: value for name, value in bounds.items() if value is not None}:
            params["created"] = created
        if one.cursor:
            params["starting_after"] = one.cursor
        assert kind.path is not None
        try:
            page, more, at = await self.page(kind.path, params)
        except GatewayRejected as error:
            if one.cursor is None or error.param != "starting_after":
                raise
            # The last object of the last page was deleted since: on by the time at which it was made.
            log.info("import.cursor_gone", object=kind.object, cursor=one.cursor)
            until = one.created_until if one.cursor_created is None else one.cursor_created + 1
            return [], replace(one, cursor=None, created_until=until), self._clock.now()
        if page:
            created_at = page[-1].get("created")
            one = replace(one, cursor=page[-1]["id"], cursor_created=None if created_at is None else int(created_at))
        return page, replace(one, done=not more or not page), at or self._clock.now()

    async def _customers_page(self, kind: Kind, one: Range) -> tuple[Sequence[Json], Range, datetime]:
        """All objects of the next few customers."""
        async with self._database.connection() as connection:
            customers = await self._repository.customers_after(connection, one.cursor or "", _CUSTOMERS_AT_ONCE)
        found = await asyncio.gather(*(self._of_customer(kind, customer) for customer in customers))
        objects = [obj for of_one, _ in found for obj in of_one]
        at = min((at for _, at in found if at is not None), default=self._clock.now())
        cursor = customers[-1] if customers else one.cursor
        return objects, replace(one, cursor=cursor, done=len(customers) < _CUSTOMERS_AT_ONCE), at

    async def _of_customer(self, kind: Kind, customer_id: str) -> tuple[list[Json], datetime | None]:
        assert kind.path is not None
        path, params = kind.path.replace("{customer}", customer_id), dict(kind.list_params(self._dialect))
        found: list[Json] = []
        first_at: datetime | None = None
        while True:
            try:
                answer = await self._stripe.list_page(path, params, dict)
            except GatewayRejected as error:
                if error.missing:
                    return found, first_at
                raise
            found += answer.value
            first_at = first_at or answer.at
            if not answer.raw.get("has_more") or not answer.value:
                return found, first_at
            params["starting_after"] = answer.value[-1]["id"]

    async def _whole(self, obj: Json) -> Json:
        """An invoice with all of its lines; a list shows the first ten."""
        if not (obj.get("lines") or {}).get("has_more"):
            return obj
        async with self._database.connection() as connection:
            known = await self._repository.revisions(connection, kind_named("invoice"), [obj["id"]])
        if known:
            return obj
        try:
            return (await self._invoices.retrieve(obj["id"])).raw
        except GatewayRejected as error:
            if not error.missing:
                raise
            # A draft that was deleted since, of which an event tells.
            return obj

    # Writing

    async def _store(
        self,
        import_id: UUID,
        owner: str,
        kind: Kind,
        one: Range,
        page: Sequence[Json],
        at: datetime,
        waits: Callable[[str], None],
    ) -> Range:
        if kind.object in _NEEDS_CUSTOMER:
            await self._bring_customers(page, waits)
        brought: set[str] = set()
        orphans = False

        async def store(tx: Transaction) -> Range:
            if not await self._repository.holds(tx, import_id, owner):
                raise ImportTaken
            counts, refusals = Counts(), list[Refusal]()
            if page:
                counts, refusals = await self._recorder.record(tx, kind, page, at, orphans=orphans)
            new = replace(one, counts=one.counts + counts)
            await self._repository.save_range(tx, new)
            await self._repository.add_refusals(tx, import_id, refusals)
            return new

        while True:
            try:
                return await self.patiently(partial(self._database.run, store), waits)
            except ParentMissing as missing:
                orphans = missing.parent_id in brought
                brought.add(missing.parent_id)
                if not orphans:
                    await self._bring(missing.parent_id, waits)

    async def _bring_customers(self, page: Sequence[Json], waits: Callable[[str], None]) -> None:
        """Fetch the customers of these objects that no list has shown."""
        wanted = {customer for obj in page if (customer := reference(obj.get("customer")))}

        async def known() -> set[str]:
            async with self._database.connection() as connection:
                return await self._repository.known_customers(connection, sorted(wanted))

        for customer in sorted(wanted - await self.patiently(known, waits)):
            await self._bring(customer, waits)

    async def _bring(self, object_id: str, waits: Callable[[str], None]) -> None:
        async def fetch() -> None:
            async with self._database.connection() as connection:
                news = await self._recorder.has_news(connection, object_id)
            with silent(unless=news):
                await self._fetch(object_id)

        try:
            await self.patiently(fetch, waits)
        except (LookupError, Retry) as error:
            log.info("import.not_brought", object_id=object_id, error=str(error))
