"""What we know of Stripe's coupons, promotion codes and discounts: as `objects.py`."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from tallystick.stripe_gateway.objects import MaybeInt, MaybeText

__all__ = ["Coupon", "Discount", "PromotionCode"]


class Coupon(Struct, frozen=True, kw_only=True):
    """A coupon: `amount_off` in minor units of `currency`, or `percent_off` as Stripe prints it ("12.5").

    `times_redeemed` only grows. `valid` is what Stripe says it is at the time.
    """

    id: str
    created: datetime | None
    metadata: dict[str, str]
    deleted: bool = False
    name: MaybeText = UNSET
    amount_off: MaybeInt = UNSET
    currency: MaybeText = UNSET
    percent_off: MaybeText = UNSET
    duration: str | UnsetType = UNSET
    duration_in_months: MaybeInt = UNSET
    max_redemptions: MaybeInt = UNSET
    times_redeemed: int | UnsetType = UNSET
    redeem_by: datetime | None | UnsetType = UNSET
    valid: bool | UnsetType = UNSET


class PromotionCode(Struct, frozen=True, kw_only=True):
    """A code that customers type, for a coupon; `times_redeemed` only grows."""

    id: str
    code: str
    coupon: str | None
    active: bool
    created: datetime
    metadata: dict[str, str]
    customer: MaybeText = UNSET
    expires_at: datetime | None | UnsetType = UNSET
    max_redemptions: MaybeInt = UNSET
    times_redeemed: int | UnsetType = UNSET


class Discount(Struct, frozen=True, kw_only=True):
    """A coupon as it applies to a customer or a subscription, from `start` to `end` (None: for ever)."""

    id: str
    coupon: str | None
    promotion_code: str | None
    customer: str | None
    subscription: str | None
    start: datetime
    end: datetime | None
    deleted: bool = False
