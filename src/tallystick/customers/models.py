"""Users of the host application, their customers at Stripe, and how those pay."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.stripe_gateway.objects import Customer, PaymentMethod
from tallystick.stripe_gateway.objects_billing import SetupIntent
from tallystick.stripe_gateway.ordering import Source

__all__ = ["CustomerFacts", "CustomerRow", "Facts", "MethodFacts", "MethodRow", "SetupFacts", "SetupRow", "User"]


@dataclass(frozen=True, slots=True)
class User:
    """`external_id` is the host application's id (the token's `sub`); `generation` rises with a deleted customer."""

    id: UUID
    external_id: str
    email: str | None
    name: str | None
    locale: str | None
    stripe_customer_id: str | None
    generation: int


class CustomerRow(Struct, frozen=True):
    """A row of `customers`. Of a deleted one nothing personal is left."""

    id: UUID
    stripe_customer_id: str
    user_id: UUID | None
    email: str | None
    name: str | None
    phone: str | None
    address: dict[str, Any] | None
    metadata: dict[str, str]
    default_payment_method: str | None
    deleted: bool
    flagged: bool
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime


class MethodRow(Struct, frozen=True):
    """A row of `payment_methods`; one that is detached has neither customer nor user."""

    id: UUID
    stripe_payment_method_id: str
    user_id: UUID | None
    stripe_customer_id: str | None
    type: str
    card_brand: str | None
    card_last4: str | None
    card_exp_month: int | None
    card_exp_year: int | None
    card_funding: str | None
    card_country: str | None
    card_fingerprint: str | None
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime


class SetupRow(Struct, frozen=True):
    """A row of `setup_intents`: the way to a payment method that can be charged later."""

    id: UUID
    stripe_setup_intent_id: str
    user_id: UUID | None
    stripe_customer_id: str | None
    payment_method: str | None
    status: str
    usage: str | None
    error_code: str | None
    decline_code: str | None
    metadata: dict[str, str]
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime


class CustomerFacts(Struct, frozen=True):
    """A customer as it was at `source.at`."""

    value: Customer
    source: Source


class MethodFacts(Struct, frozen=True):
    """A payment method as it was at `source.at`."""

    value: PaymentMethod
    source: Source


class SetupFacts(Struct, frozen=True):
    """A setup intent as it was at `source.at`."""

    value: SetupIntent
    source: Source


Facts: TypeAlias = CustomerFacts | MethodFacts
