"""Typed records of the catalogue. Amounts are minor units of their currency."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.stripe_gateway.objects import Price, Product
from tallystick.stripe_gateway.ordering import Source

__all__ = ["CatalogueFacts", "PriceFacts", "PriceRow", "ProductFacts", "ProductRow", "charged"]


class ProductRow(Struct, frozen=True):
    """A row of `products`."""

    id: UUID
    stripe_product_id: str
    name: str
    active: bool
    deleted: bool
    description: str | None
    unit_label: str | None
    default_price_id: str | None
    images: list[str]
    features: list[str]
    metadata: dict[str, str]
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime


class PriceRow(Struct, frozen=True):
    """A row of `prices`; `tiers` is None where they are not known yet."""

    id: UUID
    stripe_price_id: str
    stripe_product_id: str
    active: bool
    deleted: bool
    currency: str
    type: str
    billing_scheme: str
    unit_amount: int | None
    unit_amount_decimal: str | None
    recurring: dict[str, Any] | None
    tiers_mode: str | None
    tiers: list[dict[str, Any]] | None
    transform_quantity: dict[str, Any] | None
    nickname: str | None
    lookup_key: str | None
    tax_behavior: str | None
    metadata: dict[str, str]
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime

    def charged(self, quantity: int) -> int:
        """How often the unit amount is charged for a quantity: once each, or once for so many of them."""
        return charged(self.transform_quantity, quantity)


class ProductFacts(Struct, frozen=True):
    """A product as it was at `source.at`."""

    value: Product
    source: Source


class PriceFacts(Struct, frozen=True):
    """A price as it was at `source.at`."""

    value: Price
    source: Source


CatalogueFacts: TypeAlias = ProductFacts | PriceFacts


def charged(transform_quantity: Mapping[str, Any] | None, quantity: int) -> int:
    """How often a unit amount is charged for a quantity, by the price's `transform_quantity` (packs)."""
    if transform_quantity is None:
        return quantity
    whole, rest = divmod(quantity, int(transform_quantity["divide_by"]))
    return whole + bool(rest and transform_quantity["round"] == "up")
