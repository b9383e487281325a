"""`StripeReader`: what reconcile asks of Stripe, page by page and one by one, in the background's share of the budget.

Where Stripe is away or limits us, it is asked again, in an hour's time at most: a walk that is far on is not given up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from tallystick.core.clock import to_unix
from tallystick.reconciliation.kinds import Json, Kind
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.errors import GatewayRejected, GatewayUnavailable
from tallystick.stripe_gateway.objects import Answer, StripeEvent
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_invoices import InvoiceCalls

__all__ = ["Position", "Stopped", "StripeReader"]

Value = TypeVar("Value")
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, *[60.0] * 60)


class Stopped(Exception):
    """Whoever asked does not want the rest any more; what was done so far stands."""


class Position:
    """Where a walk through a list stands: after this object, which was made then (Unix seconds)."""

    def __init__(self, after: str | None = None, created: int | None = None) -> None:
        self.after = after
        self.created = created


class StripeReader:
    """Reads of one run. `stop` ends it at the next call; `waiting` is told how long it waits for Stripe."""

    def __init__(
        self,
        stripe: StripeService,
        dialect: Dialect,
        *,
        stop: asyncio.Event | None = None,
        waiting: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._stripe = stripe
        self._dialect = dialect
        self._invoices = InvoiceCalls(stripe, dialect)
        self._stop = stop or asyncio.Event()
        self._waiting = waiting
        self.calls = 0

    async def retrieve(self, kind: Kind, object_id: str) -> Answer[Any] | None:
        """One object as it is now, whole; None where Stripe does not know it."""

        async def ask() -> Answer[Any]:
            if kind.object == "invoice":
                return await self._invoices.retrieve(object_id)
            one = kind.one(object_id, self._dialect)
            assert one is not None, kind.object
            return await self._stripe.read(one[0], one[1], kind.read)

        try:
            return await self._patiently(ask)
        except GatewayRejected as error:
            if error.missing:
                return None
            raise

    async def page(
        self, kind: Kind, position: Position, *, customer: str | None = None, since: datetime | None = None
    ) -> tuple[list[Json], bool]:
        """A hundred objects of a list, newest first, and whether there are more.

        Of a customer whom Stripe does not know, none. The object that the position names may have been deleted.
        """
        assert kind.path is not None, kind.object
        path = kind.path.format(customer=customer)
        try:
            return await self._page(path, self._params(kind, position, since))
        except GatewayRejected as error:
            if error.missing and customer is not None:
                return [], False
            if error.param != "starting_after" or position.created is None:
                raise
        return await self._page(path, self._params(kind, Position(created=position.created), since))

    async def events(self, since: datetime, until: datetime, after: str | None) -> tuple[list[StripeEvent], bool]:
        """A hundred events created from `since` until `until`, newest first; and whether there are more."""
        start, end = to_unix(since), to_unix(until) + 1

        async def ask() -> tuple[list[StripeEvent], bool]:
            answer = await self._stripe.list_events(created_from=start, created_until=end, starting_after=after)
            return answer.value, bool(answer.raw.get("has_more"))

        return await self._patiently(ask)

    def _params(self, kind: Kind, position: Position, since: datetime | None) -> dict[str, Any]:
        params = kind.list_params(self._dialect)
        if position.after is not None:
            params["starting_after"] = position.after
        bounds = {"gte": to_unix(since)} if since is not None else {}
        if position.after is None and position.created is not None:
            bounds["lte"] = position.created
        if bounds and not kind.per_customer:
            params["created"] = bounds
        return params

    async def _page(self, path: str, params: dict[str, Any]) -> tuple[list[Json], bool]:
        async def ask() -> tuple[list[Json], bool]:
            answer = await self._stripe.list_page(path, params, lambda raw: raw)
            return answer.value, bool(answer.raw.get("has_more"))

        return await self._patiently(ask)

    async def _patiently(self, ask: Callable[[], Awaitable[Value]]) -> Value:
        for wait_s in _WAITS_S:
            if self._stop.is_set():
                raise Stopped
            try:
                self.calls += 1
                async with self._stripe.background():
                    return await ask()
            except GatewayUnavailable:
                self._waiting(wait_s)
                try:
                    await asyncio.wait_for(self._stop.wait(), wait_s)
                except TimeoutError:
                    self._waiting(0.0)
        async with self._stripe.background():
            return await ask()
