"""`Terms`: what a subscription may be to (prices, promotion codes, payment methods), checked before anything is sent.

What changes at Stripe between this and the call is refused by Stripe, and told in the same words.
"""

import re
from uuid import UUID

from msgspec import Struct

from tallystick.core.declines import PaymentMethodNotUsable
from tallystick.core.errors import InvalidRequest, NotFound, Unavailable
from tallystick.core.ids import is_stripe_id
from tallystick.products.models import PriceRow, ProductRow
from tallystick.products.service import ProductService
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import PriceNotUsable, PromotionCodeNotUsable
from tallystick.subscriptions.models_requests import CreateRequest

__all__ = ["QUANTITY_MAX", "Terms", "Wish", "check_quantity", "is_metered", "wrong_currency"]

QUANTITY_MAX = 999_999
_CODE = re.compile(r"[A-Za-z0-9_-]{1,500}\Z")


class Wish(Struct, frozen=True):
    """What is wanted of a new subscription, with what is known of it: `code` and `method` are Stripe's ids."""

    wanted: CreateRequest
    price: PriceRow
    customer: str
    code: str | None
    method: str | None
    attach: bool
    our_id: UUID


class Terms:
    """Checks against the mirror, and where the mirror cannot know, at Stripe."""

    def __init__(self, stripe: StripeService, calls: SubscriptionCalls, products: ProductService) -> None:
        self._stripe = stripe
        self._calls = calls
        self._products = products

    async def price(self, price_id: str, *, currency: str | None = None) -> PriceRow:
        """A price that can be subscribed to, by our id or Stripe's; `currency` is the one that is paid in already.

        Raises:
            PriceNotUsable, Unavailable.
        """
        price, product = await self._find_price(price_id)
        if price.deleted or not price.active or (product is not None and not product.active):
            raise PriceNotUsable("This price is not on offer any more.", field="price")
        if price.recurring is None:
            raise PriceNotUsable("This price is for a single payment.", field="price")
        if currency is not None and price.currency != currency:
            raise wrong_currency(price, currency)
        return price

    async def _find_price(self, price_id: str) -> tuple[PriceRow, ProductRow | None]:
        try:
            return await self._products.find_price(price_id)
        except NotFound:
            # Made a moment ago, and its event is still on its way.
            if is_stripe_id(price_id, "price_"):
                await self._products.refresh(price_id)
        try:
            return await self._products.find_price(price_id)
        except NotFound as error:
            raise PriceNotUsable("There is no such price.", field="price") from error

    async def promotion_code(self, code: str, customer_id: str) -> str:
        """The id at Stripe of what a customer typed, or of a `promo_…`; raises `PromotionCodeNotUsable`."""
        if not _CODE.match(code):
            raise PromotionCodeNotUsable("There is no such promotion code.", field="promotion_code")
        try:
            if is_stripe_id(code, "promo_"):
                found = [(await self._calls.retrieve_promotion_code(code)).value]
            else:
                found = await self._calls.promotion_codes(code)
        except GatewayRejected as error:
            raise PromotionCodeNotUsable("There is no such promotion code.", field="promotion_code") from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        theirs = [item for item in found if item.customer in (None, customer_id)]
        usable = [item for item in theirs if item.active]
        if usable:
            return max(usable, key=lambda item: item.customer is not None).id
        words = "This promotion code has expired, or is used up." if theirs else "There is no such promotion code."
        raise PromotionCodeNotUsable(words, field="promotion_code")

    async def method(self, method_id: str, customer_id: str) -> tuple[str, bool]:
        """A payment method's id, and whether it has to be attached first; raises `PaymentMethodNotUsable`.

        A test token stands for a fresh method, which only Stripe can name.
        """
        try:
            method = (await self._stripe.retrieve_payment_method(method_id)).value
        except GatewayRejected as error:
            raise PaymentMethodNotUsable(field="payment_method") from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        if method.customer and method.customer != customer_id:
            raise PaymentMethodNotUsable(field="payment_method")
        return method.id, not method.customer


def is_metered(price: PriceRow) -> bool:
    """Whether a price is billed by usage, and takes no quantity."""
    return (price.recurring or {}).get("usage_type") == "metered"


def check_quantity(price: PriceRow, quantity: int | None) -> None:
    """Raise `InvalidRequest` unless this price takes this quantity."""
    if is_metered(price) and quantity not in (None, 1):
        raise InvalidRequest("This price is billed by usage and takes no quantity.", field="quantity")


def wrong_currency(price: PriceRow, currency: str) -> PriceNotUsable:
    """Stripe takes one currency of a customer."""
    words = f"This price is in {price.currency.upper()}; you pay in {currency.upper()} already."
    return PriceNotUsable(words, field="price")
