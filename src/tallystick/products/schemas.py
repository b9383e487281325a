"""The shapes of requests and answers about the catalogue, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from tallystick.core.currencies import MAX_AMOUNT

__all__ = ["CreateProduct", "PriceList", "PriceView", "ProductPage", "ProductView"]


Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=250)]
Metadata = dict[
    Annotated[str, StringConstraints(strict=True, min_length=1, max_length=40)],
    Annotated[str, StringConstraints(strict=True, max_length=500)],
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreateRecurring(_Request):
    """How often a new price is billed; at most every three years."""

    interval: Literal["day", "week", "month", "year"]
    interval_count: Annotated[StrictInt, Field(ge=1, le=156)] = 1


class CreatePrice(_Request):
    """A price of a new product; without `recurring` it is paid once."""

    unit_amount: Annotated[StrictInt, Field(ge=0, le=MAX_AMOUNT, description="minor units of the currency")]
    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{3}$")]
    recurring: CreateRecurring | None = None
    nickname: Text | None = None
    lookup_key: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)] | None = None
    metadata: Metadata = Field(default_factory=dict, max_length=45)


class CreateProduct(_Request):
    """A new product with its prices."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Team",
                    "prices": [{"unit_amount": 1500, "currency": "usd", "recurring": {"interval": "month"}}],
                }
            ]
        },
    )

    name: Text
    description: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1000)] | None = None
    unit_label: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=12)] | None = None
    metadata: Metadata = Field(default_factory=dict, max_length=45)
    prices: list[CreatePrice] = Field(default_factory=list, max_length=20)


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
