"""Features, which of them a product has, and what a subscription grants."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

__all__ = ["Entitlement", "Feature", "FeatureValue", "Grant", "GrantedFeature", "GrantedProduct", "ProductFeature"]

FeatureValue: TypeAlias = bool | int | str | None
"""How much of a feature: a limit, on or off, a level's name, or just that it is there."""


class Feature(Struct, frozen=True):
    """A row of `features`."""

    id: UUID
    key: str
    name: str
    created_at: datetime
    updated_at: datetime


class ProductFeature(Struct, frozen=True):
    """A feature as a product has it."""

    key: str
    name: str
    value: FeatureValue


class Grant(Struct, frozen=True):
    """A row of `access_grants`: what one subscription says about one product.

    `access` ends by itself at `access_until` (None: not by itself), once Stripe was asked (`asked_at`). `changes`
    counts how often `access` began or ended; `since` is the last time. All times are business time.
    """

    subscription_id: UUID
    stripe_product_id: str
    user_id: UUID
    price_id: str | None
    quantity: int | None
    state: str
    access: bool
    access_until: datetime | None
    asked_at: datetime | None
    since: datetime
    changes: int
    updated_at: datetime


class GrantedProduct(Struct, frozen=True):
    """A product that a user may use now, by one subscription."""

    product: str
    name: str | None
    subscription: UUID
    price: str | None
    quantity: int | None
    state: str
    until: datetime | None
    since: datetime


class GrantedFeature(Struct, frozen=True):
    """A feature that a user may use now, by one product."""

    feature: str
    name: str
    value: FeatureValue
    by: GrantedProduct


class Entitlement(Struct, frozen=True):
    """What a user may use now: products, and of each feature the best that one of them gives."""

    products: list[GrantedProduct]
    features: list[GrantedFeature]
