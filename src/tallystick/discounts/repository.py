"""SQL of coupons, promotion codes and discounts."""

from tallystick.discounts.models import CodeRow, CouponRow, DiscountRow
from tallystick.platform.mirror_table import MirrorTable

__all__ = ["CODES", "COUPONS", "DISCOUNTS"]

COUPONS = MirrorTable("coupons", CouponRow, "stripe_coupon_id")
CODES = MirrorTable("promotion_codes", CodeRow, "stripe_promotion_code_id")
DISCOUNTS = MirrorTable("discounts", DiscountRow, "stripe_discount_id")
