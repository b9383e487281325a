"""The shapes of requests and answers about features and entitlements, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

__all__ = [
    "DeletedFeature",
    "EntitlementCheck",
    "EntitlementsView",
    "FeatureFields",
    "FeatureList",
    "FeatureView",
    "ProductFeatureFields",
    "ProductFeatureList",
]

KEY_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,79}$"
_TEXT = r"^[^\x00-\x1f]*$"
Key = Annotated[str, StringConstraints(strict=True, pattern=KEY_PATTERN)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, pattern=_TEXT)]
# Beyond 2^53 a number in JSON is not the same number in every language.
Whole = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Value = Annotated[
    StrictBool | Whole | Text | None,
    Field(description="a limit, on or off, a level's name, or null: it is there"),
]
State = Annotated[
    Literal["trialing", "active", "grace", "past_due"],
    Field(
        description="`grace`: an invoice is unpaid, access goes on for a while; `past_due`: which one is not known yet"
    ),
]
Until = Annotated[datetime | None, Field(description="when it ends by itself; null: not by itself")]


class FeatureFields(BaseModel):
    """A feature's fields."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Seats"}]})

    name: Text


class ProductFeature(BaseModel):
    """A feature for a product."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    value: Value = None


class ProductFeatureFields(BaseModel):
    """All features that a product is to have."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"features": [{"key": "seats", "value": 10}]}]}
    )

    features: Annotated[list[ProductFeature], Field(max_length=100)]


class FeatureView(BaseModel):
    """A feature."""

    key: str
    object: Literal["feature"]
    name: str
    created_at: datetime
    updated_at: datetime


class FeatureList(BaseModel):
    """All features, by key."""

    data: list[FeatureView]
    has_more: bool


class DeletedFeature(BaseModel):
    """A feature that is no more."""

    key: str
    object: Literal["feature"]
    deleted: Literal[True]


class ProductFeatureView(BaseModel):
    """A feature as a product has it."""

    key: str
    name: str
    value: Value


class ProductFeatureList(BaseModel):
    """All features of a product, by key."""

    product: str = Field(description="Stripe's id")
    data: list[ProductFeatureView]
    has_more: bool


class GrantedProductView(BaseModel):
    """A product that a user may use, by one subscription."""

    product: str = Field(description="Stripe's id")
    name: str | None
    subscription: UUID
    price: str | None = Field(description="Stripe's id")
    quantity: int | None = Field(description="null where it is metered")
    state: State
    until: Until
    since: datetime


class GrantedFeatureView(BaseModel):
    """A feature that a user may use: the best that one of the user's subscriptions gives."""

    feature: str
    name: str
    value: Value
    product: str = Field(description="Stripe's id")
    subscription: UUID
    quantity: int | None
    state: State
    until: Until


class EntitlementsView(BaseModel):
    """What a user may use at `as_of`, and until when."""

    user: str = Field(description="the host application's id")
    as_of: datetime
    data: list[GrantedFeatureView]
    products: list[GrantedProductView]


class EntitlementCheck(BaseModel):
    """Whether a user may use a feature; what is not null tells by what."""

    user: str
    as_of: datetime
    feature: str
    entitled: bool
    value: Value
    product: str | None
    subscription: UUID | None
    quantity: int | None
    state: State | None
    until: Until
