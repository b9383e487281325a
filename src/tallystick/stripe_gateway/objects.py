"""What we know of Stripe's objects: frozen, only the fields we use, `UNSET` where a version does not print them.

Absent is not null: a field that is UNSET never clears a column. Subscriptions and invoices are in `objects_billing.py`.
"""

from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import UNSET, Struct, UnsetType

__all__ = [
    "Answer",
    "Charge",
    "Customer",
    "Dispute",
    "Failure",
    "Maybe",
    "MaybeInt",
    "MaybeText",
    "PaymentIntent",
    "PaymentMethod",
    "Price",
    "Product",
    "Refund",
    "StripeEvent",
    "pick",
]

Value = TypeVar("Value")
Maybe: TypeAlias = Value | None | UnsetType
MaybeText: TypeAlias = str | None | UnsetType
MaybeInt: TypeAlias = int | None | UnsetType


def pick(new: Value | UnsetType, old: Value) -> Value:
    """Absent is not null: what a payload does not have stays as it was."""
    return old if isinstance(new, UnsetType) else new


class Failure(Struct, frozen=True):
    """Why the last attempt failed, in Stripe's words, and with which method; `charge_id` is None without a charge."""

    code: str
    decline_code: str | None
    charge_id: str | None
    payment_method: str | None = None


class PaymentIntent(Struct, frozen=True, kw_only=True):
    """A payment intent; amounts in minor units. `client_secret` and `next_action` are answered, never stored.

    `expanded_charge` is the latest charge where the call asked Stripe to expand it.
    """

    id: str
    amount: int
    currency: str
    status: str
    created: datetime
    metadata: dict[str, str]
    customer: MaybeText = UNSET
    payment_method: MaybeText = UNSET
    description: MaybeText = UNSET
    capture_method: str | UnsetType = UNSET
    setup_future_usage: MaybeText = UNSET
    amount_capturable: int | UnsetType = UNSET
    amount_received: int | UnsetType = UNSET
    latest_charge: MaybeText = UNSET
    failure: Failure | None | UnsetType = UNSET
    cancellation_reason: MaybeText = UNSET
    canceled_at: datetime | None | UnsetType = UNSET
    client_secret: str | None = None
    next_action: dict[str, Any] | None = None
    expanded_charge: "Charge | None" = None

    def __repr__(self) -> str:
        return f"PaymentIntent({self.id}, {self.status}, {self.amount} {self.currency})"


class Charge(Struct, frozen=True, kw_only=True):
    """One attempt on a payment intent that reached the card network; amounts in minor units."""

    id: str
    amount: int
    currency: str
    status: str
    created: datetime
    captured: bool
    payment_intent: MaybeText = UNSET
    amount_captured: int | UnsetType = UNSET
    amount_refunded: int | UnsetType = UNSET
    disputed: bool | UnsetType = UNSET
    payment_method: MaybeText = UNSET
    card_brand: MaybeText = UNSET
    card_last4: MaybeText = UNSET
    failure_code: MaybeText = UNSET
    decline_code: MaybeText = UNSET


class Refund(Struct, frozen=True, kw_only=True):
    """A refund; `amount` in minor units of `currency`.

    `release` marks what API versions before 2025-03-31.basil call a refund though no money went back: the letting go
    of what was authorised and not captured.
    """

    id: str
    amount: int
    currency: str
    status: str
    created: datetime
    metadata: dict[str, str]
    payment_intent: str | None
    charge: str | None
    reason: MaybeText = UNSET
    failure_reason: MaybeText = UNSET
    release: bool = False


class Dispute(Struct, frozen=True, kw_only=True):
    """A dispute; `amount` in minor units of `currency`."""

    id: str
    amount: int
    currency: str
    status: str
    reason: str
    created: datetime
    payment_intent: str | None
    charge: str | None
    evidence_due_at: datetime | None | UnsetType = UNSET


class PaymentMethod(Struct, frozen=True, kw_only=True):
    """A saved or fresh payment method; of a card only what may be kept."""

    id: str
    type: str
    created: datetime
    customer: MaybeText = UNSET
    card_brand: MaybeText = UNSET
    card_last4: MaybeText = UNSET
    card_exp_month: MaybeInt = UNSET
    card_exp_year: MaybeInt = UNSET
    card_funding: MaybeText = UNSET
    card_country: MaybeText = UNSET
    card_fingerprint: MaybeText = UNSET


class Customer(Struct, frozen=True, kw_only=True):
    """A customer, or the stub of a deleted one."""

    id: str
    metadata: dict[str, str]
    deleted: bool = False
    created: datetime | None = None
    email: MaybeText = UNSET
    name: MaybeText = UNSET
    phone: MaybeText = UNSET
    address: dict[str, Any] | None | UnsetType = UNSET
    default_payment_method: MaybeText = UNSET


class Product(Struct, frozen=True, kw_only=True):
    """A product; `features` are the marketing bullet points."""

    id: str
    name: str
    active: bool
    metadata: dict[str, str]
    created: datetime
    deleted: bool = False
    description: MaybeText = UNSET
    unit_label: MaybeText = UNSET
    default_price: MaybeText = UNSET
    images: list[str] | UnsetType = UNSET
    features: list[str] | UnsetType = UNSET


class Price(Struct, frozen=True, kw_only=True):
    """A price. `unit_amount` in minor units, None where it is tiered or has fractions of the minor unit.

    `recurring` is None for a one-time price, else `{interval, interval_count, usage_type}`. `tiers` is UNSET where the
    answer did not print them (they come only when asked for).
    """

    id: str
    product: str
    active: bool
    currency: str
    type: str
    billing_scheme: str
    metadata: dict[str, str]
    created: datetime
    unit_amount: int | None
    unit_amount_decimal: str | None
    recurring: dict[str, Any] | None
    tiers_mode: str | None
    transform_quantity: dict[str, Any] | None
    tiers: list[dict[str, Any]] | UnsetType = UNSET
    deleted: bool = False
    nickname: MaybeText = UNSET
    lookup_key: MaybeText = UNSET
    tax_behavior: MaybeText = UNSET


class StripeEvent(Struct, frozen=True, kw_only=True):
    """An event as the Events API lists it: `raw` is the whole JSON object."""

    id: str
    created: datetime
    raw: dict[str, Any]


class Answer(Struct, Generic[Value], frozen=True):
    """An object as a call answered it.

    `at` is the time of the state that it shows by Stripe's own clock (whole seconds), so that it compares with the
    `created` of events: of a write when the answer left (its `Date` header), of what was read when it was asked for.
    None when the answer bore no readable date. `raw` is the JSON that was answered.
    """

    value: Value
    at: datetime | None
    request_id: str | None
    raw: dict[str, Any]
