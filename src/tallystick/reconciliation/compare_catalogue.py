"""What the rows of products, prices, coupons and promotion codes must show."""

from tallystick.reconciliation.compare_rules import Expected, Mirrored, printed
from tallystick.stripe_gateway.objects import Price, Product
from tallystick.stripe_gateway.objects_discounts import Coupon, PromotionCode

__all__ = ["COUPON", "PRICE", "PRODUCT", "PROMOTION_CODE"]


def _product(product: Product, installation: str) -> Expected:
    return printed(
        {
            "name": product.name,
            "active": product.active,
            "deleted": product.deleted,
            "description": product.description,
            "unit_label": product.unit_label,
            "default_price_id": product.default_price,
            "images": product.images,
            "features": product.features,
            "metadata": product.metadata,
            "created_at": product.created,
        }
    )


def _price(price: Price, installation: str) -> Expected:
    return printed(
        {
            "stripe_product_id": price.product,
            "active": price.active,
            "deleted": price.deleted,
            "currency": price.currency,
            "type": price.type,
            "billing_scheme": price.billing_scheme,
            "unit_amount": price.unit_amount,
            "unit_amount_decimal": price.unit_amount_decimal,
            "recurring": price.recurring,
            "tiers_mode": price.tiers_mode,
            "tiers": price.tiers,
            "transform_quantity": price.transform_quantity,
            "nickname": price.nickname,
            "lookup_key": price.lookup_key,
            "tax_behavior": price.tax_behavior,
            "metadata": price.metadata,
            "created_at": price.created,
        }
    )


def _coupon(coupon: Coupon, installation: str) -> Expected:
    return printed(
        {
            "name": coupon.name,
            "amount_off": coupon.amount_off,
            "currency": coupon.currency,
            "percent_off": coupon.percent_off,
            "duration": coupon.duration,
            "duration_in_months": coupon.duration_in_months,
            "max_redemptions": coupon.max_redemptions,
            "times_redeemed": coupon.times_redeemed,
            "redeem_by": coupon.redeem_by,
            "valid": False if coupon.deleted else coupon.valid,
            "deleted": coupon.deleted,
            "metadata": coupon.metadata,
            **({"created_at": coupon.created} if coupon.created else {}),
        }
    )


def _promotion_code(code: PromotionCode, installation: str) -> Expected:
    return printed(
        {
            "code": code.code,
            "stripe_coupon_id": code.coupon,
            "stripe_customer_id": code.customer,
            "active": code.active,
            "expires_at": code.expires_at,
            "max_redemptions": code.max_redemptions,
            "times_redeemed": code.times_redeemed,
            "metadata": code.metadata,
            "created_at": code.created,
        }
    )


PRODUCT = Mirrored(_product)
PRICE = Mirrored(_price)
COUPON = Mirrored(_coupon)
PROMOTION_CODE = Mirrored(_promotion_code)
