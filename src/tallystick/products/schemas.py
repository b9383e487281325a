"""The shapes of requests and answers about the catalogue, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

__all__ = ["PriceList", "PriceView", "ProductPage", "ProductView"]


class RecurringView(BaseModel):
    """How often a recurring price is billed."""

    interval: Literal["day", "week", "month", "year"] | str
    interval_count: int
    usage_type: str


class TierView(BaseModel):
    """One tier of a tiered price; `up_to` is null for the last."""

    up_to: int | None
    unit_amount: int | None
    unit_amount_decimal: str | None
    flat_amount: int | None
    flat_amount_decimal: str | None


class PriceView(BaseModel):
    """A price; amounts in minor units of `currency`."""

    id: UUID
    object: Literal["price"]
    stripe_price_id: str
    product: str
    active: bool
    currency: str
    type: str = Field(description="one_time or recurring")
    billing_scheme: str = Field(description="per_unit or tiered")
    unit_amount: int | None
    unit_amount_decimal: str | None
    recurring: RecurringView | None
    tiers_mode: str | None = Field(description="graduated or volume")
    tiers: list[TierView] | None
    transform_quantity: dict[str, Any] | None
    nickname: str | None
    lookup_key: str | None
    tax_behavior: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime


class ProductView(BaseModel):
    """A product with its prices on offer."""

    id: UUID
    object: Literal["product"]
    stripe_product_id: str
    name: str
    description: str | None
    active: bool
    unit_label: str | None
    images: list[str]
    features: list[str]
    default_price: str | None
    metadata: dict[str, str]
    prices: list[PriceView]
    created_at: datetime
    updated_at: datetime


class ProductPage(BaseModel):
    """A page of products, newest first."""

    data: list[ProductView]
    has_more: bool


class PriceList(BaseModel):
    """All prices on offer of a product, newest first."""

    data: list[PriceView]
    has_more: bool
