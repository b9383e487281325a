"""`AccessKeeper`: what subscriptions grant, kept in step with them and with their invoices."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from tallystick.core.clock import Clock, to_unix
from tallystick.customers.service import StripeCustomerService
from tallystick.entitlements.models import Grant
from tallystick.entitlements.service import PATIENCE, EntitlementService
from tallystick.invoices.models import InvoiceRow
from tallystick.invoices.service import InvoiceService
from tallystick.notifications.silence import is_silent, silent
from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.platform.work import Retry, WorkItem, enqueue
from tallystick.subscriptions.access import Access, AccessRules, access_of
from tallystick.subscriptions.models import LIVE, TERMINAL, SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_access_told import AccessTeller

__all__ = ["ACCESS_WORK", "AccessKeeper", "AccessWork", "Follower"]

log = structlog.get_logger()

ACCESS_WORK = "subscription.access"
_INVOICE_COMES = timedelta(minutes=5)

Follower: TypeAlias = Callable[[Transaction, SubscriptionRow, Sequence[InvoiceRow]], Awaitable[None]]
"""What else is planned when a subscription or one of its invoices has changed; given its unpaid invoices."""


class AccessKeeper:
    """Computes access anew whenever a subscription or one of its invoices has changed."""

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        invoices: InvoiceService,
        customers: StripeCustomerService,
        entitlements: EntitlementService,
        teller: AccessTeller,
        followers: Sequence[Follower] = (),
    ) -> None:
        self._clock = clock
        self._rules = AccessRules(timedelta(days=settings.grace_period_days), settings.paused_subscriptions_keep_access)
        self._invoices = invoices
        self._customers = customers
        self._entitlements = entitlements
        self._teller = teller
        self._followers = followers

    async def settle(self, tx: Transaction, rows: Sequence[SubscriptionRow], at: datetime) -> None:
        """Bring the grants of these subscriptions up to date; the caller has them locked, and saved.

        `at` is Stripe's time of what changed. Doing it again changes nothing.
        """
        await self._settle(tx, rows, at, None)

    async def settle_customer(self, tx: Transaction, rows: Sequence[SubscriptionRow]) -> None:
        """The same after a customer's way to pay has changed, which no subscription shows."""
        await self._settle(tx, rows, self._clock.now(), None)

    async def settle_asked(self, tx: Transaction, row: SubscriptionRow, asked_at: datetime) -> None:
        """The same after Stripe was asked: access that should have ended by `asked_at` is lost."""
        await self._settle(tx, [row], asked_at, asked_at)

    async def _settle(
        self, tx: Transaction, rows: Sequence[SubscriptionRow], at: datetime, asked_at: datetime | None
    ) -> None:
        rows = [row for row in rows if row.user_id and row.stripe_subscription_id]
        if not rows:
            return
        unpaid = await self._invoices.unpaid_of(tx, [str(row.stripe_subscription_id) for row in rows])
        trialing = [row.stripe_customer_id for row in rows if row.stripe_customer_id and row.status == "trialing"]
        methods = await self._customers.default_methods(tx, trialing) if trialing else {}
        known = await self._entitlements.grants_of(tx, [row.id for row in rows])
        for row in rows:
            owed, old = unpaid.get(str(row.stripe_subscription_id), []), known.get(row.id, {})
            has_method = row.stripe_customer_id in methods
            moment = _Moment(
                access_of(row, owed, self._rules, customer_has_method=has_method), at, asked_at, self._clock.now()
            )
            products = _products(row)
            new = [
                moment.grant(row, product, products.get(product), old.get(product))
                for product in sorted(products.keys() | old.keys())
            ]
            await self._entitlements.record(tx, [grant for grant in new if grant != old.get(grant.stripe_product_id)])
            await self._set_timers(tx, row, old, new)
            await self._teller.tell(tx, row, list(old.values()), new, owed)
            for follow in self._followers:
                await follow(tx, row, owed)

    async def _set_timers(
        self, tx: Transaction, row: SubscriptionRow, old: Mapping[str, Grant], new: Sequence[Grant]
    ) -> None:
        """Look again when access ends by itself. A timer set for an end that has moved finds that it came too early."""
        news = [grant for grant in new if grant.access and grant != old.get(grant.stripe_product_id)]
        ends = {grant.access_until for grant in news if grant.access_until is not None}
        # Its invoice should be here any moment.
        if any(grant.state == "past_due" for grant in news) and not _any_past_due(old.values()):
            ends.add(self._clock.now() + _INVOICE_COMES)
        for until in ends:
            key = f"{ACCESS_WORK}:{row.id}:{to_unix(until)}"
            # An end that is past when a subscription is imported is as old news as the rest.
            silently = is_silent() and until <= self._clock.now()
            payload = {"subscription": str(row.id), **({"silent": True} if silently else {})}
            await enqueue(tx, ACCESS_WORK, key, payload, due_at=until)


def _any_past_due(grants: Iterable[Grant]) -> bool:
    """Whether a grant is of a subscription that is past due with no unpaid invoice known."""
    return any(grant.access and grant.state == "past_due" for grant in grants)


class _Moment:
    """One settling: the access computed, Stripe's time of its cause, and when Stripe was asked about it."""

    def __init__(self, access: Access, at: datetime, asked_at: datetime | None, now: datetime) -> None:
        self._access = access
        self._at = at
        self._asked_at = asked_at
        self._now = now

    def grant(
        self, row: SubscriptionRow, product: str, item: tuple[str | None, int | None] | None, old: Grant | None
    ) -> Grant:
        """What the subscription says about one product: one that it has (`item`), or had."""
        access = self._access
        if item is None:
            assert old is not None
            item, access = (old.price_id, old.quantity), Access("replaced", access=False)
        asked = max((at for at in (self._asked_at, old.asked_at if old else None) if at), default=None)
        over = access.until is not None and asked is not None and asked >= access.until
        has = access.access and not over
        changed = has != (old is not None and old.access)
        assert row.user_id is not None
        grant = Grant(
            subscription_id=row.id,
            stripe_product_id=product,
            user_id=row.user_id,
            price_id=item[0],
            quantity=item[1],
            state=(access.ends_as or access.state) if over else access.state,
            access=has,
            access_until=access.until,
            asked_at=asked if over else None,
            since=self._since(access.until if over else None, old, changed=changed),
            changes=(old.changes if old else 0) + changed,
            updated_at=old.updated_at if old else self._now,
        )
        if old is not None and over and not changed:
            grant = replace(grant, asked_at=old.asked_at)
        return grant if grant == old else replace(grant, updated_at=self._now)

    def _since(self, ended_at: datetime | None, old: Grant | None, *, changed: bool) -> datetime:
        moment = ended_at or self._at
        if old is None:
            return moment
        return max(moment, old.since) if changed else old.since


class AccessWork:
    """The works by which access is settled with no news of a subscription: its end, and another way to pay."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        repository: SubscriptionRepository,
        entitlements: EntitlementService,
        invoices: InvoiceService,
        keeper: AccessKeeper,
        fetch: Callable[[str], Awaitable[None]],
    ) -> None:
        """`fetch` brings our record of one of Stripe's objects up to date; it raises `Retry` where it cannot."""
        self._database = database
        self._clock = clock
        self._repository = repository
        self._entitlements = entitlements
        self._invoices = invoices
        self._keeper = keeper
        self._fetch = fetch

    async def due(self, item: WorkItem) -> None:
        """The work `subscription.access`: settle access that has come to its end, once Stripe was asked whether it has.

        Raises `Retry` while Stripe is away. Reads deny access after an hour, whatever Stripe does: then it is
        lost, and told so.
        """
        subscription_id = UUID(item.payload["subscription"])
        doubt = await self._doubt(subscription_id)
        if doubt is None:
            return
        asked_at = self._clock.now()
        try:
            for object_id in doubt.objects:
                await self._fetch(object_id)
        except Retry as retry:
            if doubt.ended is None or self._clock.now() < doubt.ended + PATIENCE:
                raise Retry(str(retry), after=retry.after, counted=False) from retry
            log.warning("access.not_asked", subscription=str(subscription_id), reason=str(retry))

        async def settle(tx: Transaction) -> None:
            for row in await self._repository.lock_many(tx, doubt.objects[:1]):
                await self._keeper.settle_asked(tx, row, asked_at)

        with silent() if item.payload.get("silent") else nullcontext():
            await self._database.run(settle)

    async def settle_ended(self, tx: Transaction, stripe_ids: Sequence[str], at: datetime) -> None:
        """Settle the access of subscriptions whose end has passed by `at` with no one asked, as Stripe was before."""
        for row in await self._repository.lock_many(tx, stripe_ids):
            await self._keeper.settle_asked(tx, row, at)

    async def payment_changed(self, item: WorkItem) -> None:
        """The work `customer.payment_changed`: settle what this customer subscribes to."""

        async def settle(tx: Transaction) -> None:
            rows = await self._repository.of_customer(tx, item.payload["customer"])
            live = [str(row.stripe_subscription_id) for row in rows if row.status in LIVE]
            await self._keeper.settle_customer(tx, await self._repository.lock_many(tx, live))

        await self._database.run(settle)

    async def still_lost(self, context: Mapping[str, Any]) -> bool:
        """The mail that access is lost is pointless once it is back, or the subscription has ended, which is told."""
        subscription_id = UUID(context["subscription_id"])
        async with self._database.connection() as connection:
            row = await self._repository.find(connection, subscription_id)
            known = await self._entitlements.grants_of(connection, [subscription_id])
        if row is None or row.status in TERMINAL:
            return False
        return not any(grant.access for grant in known.get(subscription_id, {}).values())

    async def _doubt(self, subscription_id: UUID) -> "_Doubt | None":
        """What is to be asked about a subscription; None where its access has no end that is past."""
        async with self._database.connection() as connection:
            row = await self._repository.find(connection, subscription_id)
            if row is None or row.stripe_subscription_id is None:
                return None
            known = await self._entitlements.grants_of(connection, [subscription_id])
            unpaid = await self._invoices.unpaid_of(connection, [row.stripe_subscription_id])
        grants = [grant for grant in known.get(subscription_id, {}).values() if grant.access]
        ends = [
            grant.access_until for grant in grants if grant.access_until and grant.access_until <= self._clock.now()
        ]
        if not ends and not _any_past_due(grants):
            return None
        invoices = [invoice.stripe_invoice_id for invoice in unpaid.get(row.stripe_subscription_id, [])]
        objects = [row.stripe_subscription_id, *invoices, *([row.latest_invoice_id] if row.latest_invoice_id else ())]
        return _Doubt(min(ends, default=None), list(dict.fromkeys(objects)))


class _Doubt(Struct, frozen=True):
    """Access that has `ended` (None: of which it is not known whether), and whom to ask Stripe for."""

    ended: datetime | None
    objects: list[str]


def _products(row: SubscriptionRow) -> dict[str, tuple[str | None, int | None]]:
    """Price and quantity for each product; items of one product add up."""
    products: dict[str, tuple[str | None, int | None]] = {}
    for item in row.items:
        price, quantity = item["price"], item["quantity"]
        if item["product"] in products:
            price, before = products[item["product"]]
            quantity = None if before is None and quantity is None else (before or 0) + (quantity or 0)
        products[item["product"]] = (price, quantity)
    return products
