"""Products and prices as the API shows them."""

from collections.abc import Sequence
from typing import Any

from tallystick.products.models import PriceRow, ProductRow

__all__ = ["price_view", "product_view"]


def product_view(product: ProductRow, prices: Sequence[PriceRow]) -> dict[str, Any]:
    """A product with its prices on offer."""
    return {
        "id": product.id,
        "object": "product",
        "stripe_product_id": product.stripe_product_id,
        "name": product.name,
        "description": product.description,
        "active": product.active,
        "unit_label": product.unit_label,
        "images": product.images,
        "features": product.features,
        "default_price": product.default_price_id,
        "metadata": product.metadata,
        "prices": [price_view(price) for price in prices],
        "created_at": product.created_at,
        "updated_at": product.updated_at,
    }


def price_view(price: PriceRow) -> dict[str, Any]:
    """A price. `unit_amount` is null where it is tiered, or `unit_amount_decimal` has fractions of the minor unit."""
    return {
        "id": price.id,
        "object": "price",
        "stripe_price_id": price.stripe_price_id,
        "product": price.stripe_product_id,
        "active": price.active,
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
        "created_at": price.created_at,
        "updated_at": price.updated_at,
    }
