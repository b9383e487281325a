"""Stripe's events about coupons, promotion codes and discounts, each into typed facts."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.discounts.models import CodeFacts, CouponFacts, DiscountFacts, Facts
from tallystick.stripe_gateway import translate_discounts as translate
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS"]


def on_coupon(event: StoredEvent) -> Sequence[Facts]:
    deleted = event.type == "coupon.deleted"
    return [CouponFacts(translate.coupon(event.object, deleted=deleted), source_of(event))]


def on_promotion_code(event: StoredEvent) -> Sequence[Facts]:
    return [CodeFacts(translate.promotion_code(event.object), source_of(event))]


def on_discount(event: StoredEvent) -> Sequence[Facts]:
    deleted = event.type == "customer.discount.deleted"
    return [DiscountFacts(translate.discount(event.object, deleted=deleted), source_of(event))]


HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[Facts]]] = {
    "coupon.created": on_coupon,
    "coupon.updated": on_coupon,
    "coupon.deleted": on_coupon,
    "promotion_code.created": on_promotion_code,
    "promotion_code.updated": on_promotion_code,
    "customer.discount.created": on_discount,
    "customer.discount.updated": on_discount,
    "customer.discount.deleted": on_discount,
}
