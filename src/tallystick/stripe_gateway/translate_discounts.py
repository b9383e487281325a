"""Stripe's coupons, promotion codes and discounts into our objects, for every API version, by the fields present."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.objects_discounts import Coupon, Discount, PromotionCode
from tallystick.stripe_gateway.translate import metadata, optional_reference, optional_time, reference

__all__ = ["coupon", "discount", "promotion_code"]

Json = Mapping[str, Any]


def coupon(obj: Json, *, deleted: bool = False) -> Coupon:
    """A coupon, or the stub of a deleted one."""
    created = obj.get("created")
    return Coupon(
        id=obj["id"],
        created=None if created is None else from_unix(created),
        metadata=metadata(obj),
        deleted=deleted or bool(obj.get("deleted")),
        name=obj.get("name", UNSET),
        amount_off=obj.get("amount_off", UNSET),
        currency=obj.get("currency", UNSET),
        percent_off=_percent(obj),
        duration=obj.get("duration", UNSET),
        duration_in_months=obj.get("duration_in_months", UNSET),
        max_redemptions=obj.get("max_redemptions", UNSET),
        times_redeemed=obj.get("times_redeemed", UNSET),
        redeem_by=optional_time(obj, "redeem_by"),
        valid=obj.get("valid", UNSET),
    )


def _percent(obj: Json) -> str | None | UnsetType:
    if "percent_off" not in obj:
        return UNSET
    value = obj["percent_off"]
    return None if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def promotion_code(obj: Json) -> PromotionCode:
    """A promotion code; before clover its coupon stood in full where now `promotion` names it."""
    promotion = obj.get("promotion") or {}
    return PromotionCode(
        id=obj["id"],
        code=obj["code"],
        coupon=reference(promotion.get("coupon", obj.get("coupon"))),
        active=bool(obj["active"]),
        created=from_unix(obj["created"]),
        metadata=metadata(obj),
        customer=optional_reference(obj, "customer"),
        expires_at=optional_time(obj, "expires_at"),
        max_redemptions=obj.get("max_redemptions", UNSET),
        times_redeemed=obj.get("times_redeemed", UNSET),
    )


def discount(obj: Json, *, deleted: bool = False) -> Discount:
    """A discount; before clover its coupon stood in full where now `source` names it."""
    source = obj.get("source") or {}
    end = obj.get("end")
    return Discount(
        id=obj["id"],
        coupon=reference(source.get("coupon", obj.get("coupon"))),
        promotion_code=reference(obj.get("promotion_code")),
        customer=reference(obj.get("customer")),
        subscription=reference(obj.get("subscription")),
        start=from_unix(obj["start"]),
        end=None if end is None else from_unix(end),
        deleted=deleted or bool(obj.get("deleted")),
    )
