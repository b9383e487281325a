"""Coupons, promotion codes and discounts as rows, and as facts from Stripe."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.stripe_gateway.objects_discounts import Coupon, Discount, PromotionCode
from tallystick.stripe_gateway.ordering import Source

__all__ = ["CodeFacts", "CodeRow", "CouponFacts", "CouponRow", "DiscountFacts", "DiscountRow", "Facts"]


class CouponRow(Struct, frozen=True):
    """A row of `coupons`. `percent_off` is text, as a percentage is no money and no float ("12.5")."""

    id: UUID
    stripe_coupon_id: str
    name: str | None
    amount_off: int | None
    currency: str | None
    percent_off: str | None
    duration: str | None
    duration_in_months: int | None
    max_redemptions: int | None
    times_redeemed: int
    redeem_by: datetime | None
    valid: bool
    deleted: bool
    metadata: dict[str, str]
    revision: int
    state_at: datetime
    created_at: datetime
    updated_at: datetime


class CodeRow(Struct, frozen=True):
    """A row of `promotion_codes`."""

    id: UUID
    stripe_promotion_code_id: str
    code: str
    stripe_coupon_id: str | None
    stripe_customer_id: str | None
    active: bool
    expires_at: datetime | None
    max_redemptions: int | None
    times_redeemed: int
    metadata: dict[str, str]
    revision: int
    state_at: datetime
    created_at: datetime
    updated_at: datetime


class DiscountRow(Struct, frozen=True):
    """A row of `discounts`; a deleted one does not apply any more."""

    id: UUID
    stripe_discount_id: str
    stripe_coupon_id: str | None
    stripe_promotion_code_id: str | None
    stripe_customer_id: str | None
    stripe_subscription_id: str | None
    start_at: datetime
    end_at: datetime | None
    deleted: bool
    revision: int
    state_at: datetime
    created_at: datetime
    updated_at: datetime


class CouponFacts(Struct, frozen=True):
    """A coupon as it was at `source.at`."""

    value: Coupon
    source: Source


class CodeFacts(Struct, frozen=True):
    """A promotion code as it was at `source.at`."""

    value: PromotionCode
    source: Source


class DiscountFacts(Struct, frozen=True):
    """A discount as it was at `source.at`."""

    value: Discount
    source: Source


Facts: TypeAlias = CouponFacts | CodeFacts | DiscountFacts
