"""`SubscriptionQuotes`: what a subscription would cost that there is not yet."""

from datetime import datetime, timedelta
from math import ceil
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
from tallystick.subscriptions.models_requests import CreateRequest
from tallystick.subscriptions.service_create import SubscriptionCreation
from tallystick.subscriptions.service_first_invoice import FirstInvoices
from tallystick.subscriptions.service_terms import Wish, is_metered

__all__ = ["Quote", "SubscriptionQuotes"]

_DAY = timedelta(days=1)


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


class SubscriptionQuotes:
    """Asks Stripe what would be due now, and what later."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        calls: SubscriptionCalls,
        creation: SubscriptionCreation,
        first_invoices: FirstInvoices,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calls = calls
        self._creation = creation
        self._first_invoices = first_invoices

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
        invoice = await self._first_invoices.preview(wish)
        due = await self._first_invoices.due(days, begun, invoice)
        try:
            coupon = await self._calls.coupon_of(wish.code) if wish.code else None
        except GatewayRejected as error:
            raise PriceNotUsable(field="price") from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        return _quote(wish, invoice, due, days, coupon)


def _quote(wish: Wish, invoice: Invoice, due: int, days: int, coupon: Coupon | None) -> Quote:
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
        due=due,
        subtotal=invoice.subtotal,
        discount=invoice.discount,
        tax=invoice.tax,
        credit=0 if days else invoice.total - due,
        discount_duration=duration,
        discount_months=None if months is UNSET else months,
    )


def _days_until(end: datetime | None, now: datetime) -> int:
    return max(ceil((end - now) / _DAY), 1) if end else 0
