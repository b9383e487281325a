"""`AccountReader`: what a customer has, by our own record; Stripe is asked for the next invoice, and what is late."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, NotFound
from tallystick.core.pages import LIMIT_MAX, Page
from tallystick.customers.models import MethodRow
from tallystick.customers.service_commands import ME, CustomerCommands
from tallystick.invoices.models import InvoiceRow
from tallystick.invoices.models_requests import InvoicesRequest
from tallystick.invoices.service import InvoiceService
from tallystick.pages.billing.models import RENEWING, Account, InvoiceDetails, Offer, Price, Scheduled, Subscribed
from tallystick.payments.service import StripePaymentService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.platform.work import Retry
from tallystick.products.models import PriceRow
from tallystick.products.service import ProductService
from tallystick.subscriptions.models import LIVE, TERMINAL, SubscriptionRow
from tallystick.subscriptions.models_requests import ChangeRequest, ListRequest
from tallystick.subscriptions.service import StripeSubscriptionService

__all__ = ["AccountReader"]

log = structlog.get_logger()

_INVOICES_SHOWN = 5
_PATIENCE_S = 5.0
_INVOICES_A_PAGE = 25


class AccountReader:
    """Reads; nothing here changes anything but how fresh our record is."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        subscriptions: StripeSubscriptionService,
        invoices: InvoiceService,
        customers: CustomerCommands,
        payments: StripePaymentService,
        products: ProductService,
        fetch: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._subscriptions = subscriptions
        self._invoices = invoices
        self._customers = customers
        self._payments = payments
        self._products = products
        self._fetch = fetch

    async def account(self, actor: Actor) -> Account:
        """Everything that the first page shows."""
        methods, default = await self.methods(actor)
        rows = (await self._subscriptions.listed(actor, ListRequest(limit=LIMIT_MAX))).data
        shown = [row for row in rows if row.status not in TERMINAL] or rows[:1]
        subscriptions = [await self._subscribed(actor, row, methods, default) for row in shown]
        page, _ = await self._invoices.listed(actor, InvoicesRequest(limit=LIMIT_MAX))
        invoices = [row for row in page.data if row.status != "draft"]
        waiting = {found.unpaid.id for found in subscriptions if found.unpaid}
        return Account(
            subscriptions=subscriptions,
            methods=methods,
            default=_charged(subscriptions) or default,
            spare=all(row.status not in LIVE for row in shown),
            invoices=invoices[:_INVOICES_SHOWN],
            more_invoices=len(invoices) > _INVOICES_SHOWN,
            overdue=[row for row in reversed(invoices) if row.id not in waiting and self._overdue(row)],
        )

    async def subscribed(self, actor: Actor, subscription_id: str) -> Subscribed:
        """One of the actor's subscriptions; raises `NotFound`."""
        methods, default = await self.methods(actor)
        row, _, _ = await self._subscriptions.get(actor, subscription_id)
        return await self._subscribed(actor, row, methods, default)

    async def current(self, actor: Actor) -> SubscriptionRow | None:
        """The newest subscription that is not over."""
        rows = (await self._subscriptions.listed(actor, ListRequest(limit=LIMIT_MAX))).data
        return next((row for row in rows if row.status not in TERMINAL), None)

    async def methods(self, actor: Actor) -> tuple[list[MethodRow], str | None]:
        """The actor's payment methods, and Stripe's id of the customer's default one."""
        try:
            customer, page = await self._customers.methods(actor, ME)
        except NotFound:
            return [], None
        return list(page.data), customer.default_payment_method

    async def offers(self, currency: str | None) -> list[Offer]:
        """What can be subscribed to, in this currency or in any."""
        page, prices = await self._products.listed(limit=LIMIT_MAX, starting_after=None, ending_before=None)
        offers = []
        for product in page.data:
            found = [
                _price(price, product.name)
                for price in prices
                if price.stripe_product_id == product.stripe_product_id
                and price.active
                and price.recurring
                and currency in (None, price.currency)
            ]
            if found:
                found.sort(key=lambda price: (price.amount is None, price.amount or 0))
                offers.append(Offer(product.name, product.description, found))
        return sorted(offers, key=lambda offer: (offer.prices[0].amount is None, offer.prices[0].amount or 0))

    async def price(self, price_id: str) -> Price:
        """A price by Stripe's id or ours; raises `NotFound`."""
        price, product = await self._products.find_price(price_id)
        if price.recurring is None:
            raise NotFound("There is no such price.", field="price")
        return _price(price, product.name if product else "")

    async def invoice(self, actor: Actor, invoice_id: str) -> InvoiceDetails:
        """One of the actor's invoices, fetched where our record does not have it yet; raises `NotFound`."""
        try:
            row, lines = await self._invoices.get(actor, invoice_id)
        except NotFound:
            newest = await self.current(actor)
            if newest is None or newest.latest_invoice_id != invoice_id:
                raise
            await self.refresh(invoice_id)
            row, lines = await self._invoices.get(actor, invoice_id)
        async with self._database.connection() as connection:
            payments = await self._payments.of_intents(connection, [row.payment_intent_id or ""])
            paid = [payment for payment in payments.values() if payment.status == "succeeded"]
            cards = await self._payments.cards_of(connection, paid)
        return InvoiceDetails(row, lines, cards.get(row.payment_intent_id or "", (None, None)))

    async def settled(self, actor: Actor, invoice_id: str) -> InvoiceDetails:
        """One of the actor's invoices after its browser has paid it: Stripe is asked, for its subscription too."""
        details = await self.invoice(actor, invoice_id)
        if details.row.unpaid:
            await self.refresh(details.row.stripe_invoice_id)
            details = await self.invoice(actor, invoice_id)
        if details.row.status == "paid" and details.row.stripe_subscription_id is not None:
            await self.refresh(details.row.stripe_subscription_id)
        return details

    async def invoices(self, actor: Actor, after: str | None) -> Page[InvoiceRow]:
        """A page of the actor's invoices, newest first; raises `InvalidRequest`."""
        wanted = InvoicesRequest(limit=_INVOICES_A_PAGE, starting_after=after)
        page, _ = await self._invoices.listed(actor, wanted)
        return Page([row for row in page.data if row.status != "draft"], page.has_more)

    async def client_secret(self, actor: Actor, invoice_id: str) -> str | None:
        """See `InvoiceService.client_secret`."""
        return await self._invoices.client_secret(actor, invoice_id)

    async def refresh(self, stripe_id: str) -> None:
        """Ask Stripe what became of an object; where that fails, its webhook will tell."""
        try:
            await self._fetch(stripe_id)
        except (Retry, DomainError) as error:
            log.warning("billing.not_refreshed", object=stripe_id, error=type(error).__name__)

    def _overdue(self, row: InvoiceRow) -> bool:
        late = row.due_date is not None and row.due_date <= self._clock.now()
        return row.unpaid and (row.first_failed_at is not None or late)

    async def _subscribed(
        self, actor: Actor, row: SubscriptionRow, methods: Sequence[MethodRow], default: str | None
    ) -> Subscribed:
        # The preview brings our record up to date, so it comes first.
        upcoming = await self._upcoming(actor, row)
        row, grants, dunning = await self._subscriptions.get(actor, str(row.id))
        charged = row.default_payment_method or default
        waiting = row.status in ("incomplete", "paused") or row.pending_update is not None
        return Subscribed(
            row=row,
            plan=await self._plan(row),
            grants=grants,
            dunning=dunning,
            upcoming=upcoming,
            method=next((method for method in methods if method.stripe_payment_method_id == charged), None),
            unpaid=await self._latest(actor, row) if waiting else None,
            pending=await self._pending(row),
            scheduled=await self._scheduled(row),
        )

    async def _upcoming(self, actor: Actor, row: SubscriptionRow) -> Mapping[str, Any] | None:
        if row.status not in RENEWING or row.cancel_at_period_end or row.pause_collection is not None:
            return None
        with suppress(DomainError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                return await self._subscriptions.preview(actor, str(row.id), ChangeRequest())
        return None

    async def _latest(self, actor: Actor, row: SubscriptionRow) -> InvoiceRow | None:
        if row.latest_invoice_id is None:
            return None
        try:
            found = (await self._invoices.get(actor, row.latest_invoice_id))[0]
        except NotFound:
            await self.refresh(row.latest_invoice_id)
            with suppress(NotFound):
                found = (await self._invoices.get(actor, row.latest_invoice_id))[0]
                return found if found.unpaid else None
            return None
        return found if found.unpaid else None

    async def _plan(self, row: SubscriptionRow) -> Price | None:
        if not row.items:
            return None
        item = row.items[0]
        name, packs = "", None
        with suppress(NotFound):
            price, product = await self._products.find_price(item["price"])
            name, packs = product.name if product else "", price.transform_quantity
        return Price(
            id=item["price"],
            product=item["product"],
            name=name,
            amount=item["unit_amount"],
            currency=item["currency"],
            interval=item["interval"] or "month",
            interval_count=item["interval_count"] or 1,
            metered=item.get("usage_type") == "metered",
            transform_quantity=packs,
        )

    async def _pending(self, row: SubscriptionRow) -> Price | None:
        items = (row.pending_update or {}).get("subscription_items") or []
        if not items:
            return None
        with suppress(NotFound):
            return await self.price(items[0]["price"]["id"])
        return None

    async def _scheduled(self, row: SubscriptionRow) -> Scheduled | None:
        change = await self._subscriptions.scheduled(row) if row.schedule_id else None
        if change is None:
            return None
        plan, quantity = None, None
        if len(change.items) == 1:
            ((price, quantity),) = change.items
            with suppress(NotFound):
                plan = await self.price(price)
        return Scheduled(change.at, plan, quantity)


def _price(row: PriceRow, name: str) -> Price:
    recurring = row.recurring or {}
    return Price(
        id=row.stripe_price_id,
        product=row.stripe_product_id,
        name=name,
        amount=row.unit_amount if row.billing_scheme == "per_unit" else None,
        currency=row.currency,
        interval=recurring.get("interval") or "month",
        interval_count=recurring.get("interval_count") or 1,
        metered=recurring.get("usage_type") == "metered",
        transform_quantity=row.transform_quantity,
    )


def _charged(subscriptions: Sequence[Subscribed]) -> str | None:
    """The method that the newest running subscription is paid with."""
    for found in subscriptions:
        if found.row.status not in TERMINAL and found.row.default_payment_method:
            return found.row.default_payment_method
    return None
