"""`SubscriptionQuotes`: what a subscription would cost that there is not yet, and what a new one waits for.

Stripe counts: tiers, discounts, taxes and credit are its business, and a preview stores nothing.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct

from tallystick.core.clock import Clock
from tallystick.core.errors import Unavailable
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.objects_discounts import Coupon
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import PriceNotUsable
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.models_requests import CreateRequest
from tallystick.subscriptions.service_create import SubscriptionCreation, Wish
from tallystick.subscriptions.service_refresh import SubscriptionRefresher
from tallystick.subscriptions.service_terms import is_metered

__all__ = ["Quote", "SubscriptionQuotes", "Waiting"]

_DAY = timedelta(days=1)
_UNPAID = ("incomplete", "past_due", "unpaid")


class Quote(Struct, frozen=True, kw_only=True):
    """What a new subscription costs, in minor units of `currency`.

    `due` is due now: nothing while it is free for `trial_days`. Of a whole period, `subtotal` less `discount` plus
    `tax` is charged; `credit` of the customer's is taken off what is due (a debt: negative). `metered`: billed by use.
    `discount_duration` is once, repeating (for `discount_months`), forever, or None.
    """

    currency: str
    product: str
    interval: str
    interval_count: int
    metered: bool
    trial_days: int
    due: int
    subtotal: int
    discount: int
    tax: int
    credit: int
    discount_duration: str | None = None
    discount_months: int | None = None


class Waiting(Struct, frozen=True):
    """What a new subscription waits for: to be paid what is `due`, or for a card. Without a secret, for nothing."""

    status: str
    due: int
    payment_secret: str | None
    setup_secret: str | None


class SubscriptionQuotes:
    """Asks Stripe what would be due, and what is."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        calls: SubscriptionCalls,
        creation: SubscriptionCreation,
        refresher: SubscriptionRefresher,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calls = calls
        self._creation = creation
        self._refresher = refresher

    async def quote(self, actor: Actor, wanted: CreateRequest) -> Quote:
        """What `wanted` costs this actor, who may have had a trial.

        Raises:
            InvalidRequest, PriceNotUsable, PromotionCodeNotUsable: bad input.
            Unavailable: Stripe is away.
        """
        wish = await self._creation.wish(actor, wanted, UUID(int=0))
        async with self._database.connection() as connection:
            days, begun = await self._creation.trial(connection, actor, wish)
        if begun is not None and begun.waits_for_card:
            days = _days_until(begun.trial_end, self._clock.now())
        try:
            invoice = await self._preview(wish)
            coupon = await self._calls.coupon_of(wish.code) if wish.code else None
        except GatewayRejected as error:
            raise PriceNotUsable(field="price") from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        return _quote(wish, invoice, days, coupon)

    async def _preview(self, wish: Wish) -> Invoice:
        item: dict[str, Any] = {"price": wish.price.stripe_price_id}
        if not is_metered(wish.price):
            item["quantity"] = wish.wanted.quantity
        more = {"discounts": self._calls.dialect.discounts(wish.code)} if wish.code else {}
        return (await self._calls.preview_new(wish.customer, [item], more)).value

    async def waiting(self, row: SubscriptionRow) -> Waiting:
        """What a subscription that was just begun waits for; raises `Unavailable`."""
        try:
            shown = (await self._calls.retrieve_with_secrets(str(row.stripe_subscription_id))).value
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        if shown.status != row.status:
            await self._refresher.refresh(shown.id)
        invoice = shown.expanded_invoice
        if shown.status in _UNPAID and invoice is not None and invoice.status == "open":
            return Waiting(shown.status, invoice.amount_remaining, shown.client_secret, None)
        free = shown.status in ("trialing", "active") and shown.default_payment_method is None
        return Waiting(shown.status, 0, None, shown.setup_secret if free else None)


def _quote(wish: Wish, invoice: Invoice, days: int, coupon: Coupon | None) -> Quote:
    recurring = wish.price.recurring or {}
    duration = coupon.duration if coupon and isinstance(coupon.duration, str) else None
    months = coupon.duration_in_months if coupon else None
    return Quote(
        currency=invoice.currency,
        product=wish.price.stripe_product_id,
        interval=str(recurring.get("interval", "month")),
        interval_count=int(recurring.get("interval_count", 1)),
        metered=is_metered(wish.price),
        trial_days=days,
        due=0 if days else invoice.amount_due,
        subtotal=invoice.subtotal,
        discount=invoice.discount,
        tax=invoice.tax,
        credit=0 if days else invoice.total - invoice.amount_due,
        discount_duration=duration,
        discount_months=None if months is UNSET else months,
    )


def _days_until(end: datetime | None, now: datetime) -> int:
    return max(ceil((end - now) / _DAY), 1) if end else 0
