"""What we know of Stripe's billing objects: as `objects.py`, for subscriptions, invoices and setup intents."""

from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from tallystick.stripe_gateway.objects import Maybe, MaybeInt, MaybeText, Price

__all__ = [
    "Invoice",
    "InvoiceLine",
    "InvoicePayment",
    "PromotionCode",
    "SetupIntent",
    "Subscription",
    "SubscriptionItem",
]


class SubscriptionItem(Struct, frozen=True, kw_only=True):
    """One item: a price and how many of it (None where it is metered).

    Before basil the period stood on the subscription; here it stands on the items, whatever the version.
    """

    id: str
    price: Price
    quantity: int | None
    current_period_start: datetime | None
    current_period_end: datetime | None


class Subscription(Struct, frozen=True, kw_only=True):
    """A subscription.

    `pause_collection` is `{behavior, resumes_at}`; `pending_update` is Stripe's own hash; `discounts` are ids.
    `client_secret` (of the first invoice's payment) and `setup_secret` (of the pending setup intent) are there only
    where the call asked Stripe to expand them; they are answered, never stored. So is `expanded_invoice`.
    """

    id: str
    status: str
    created: datetime
    metadata: dict[str, str]
    items: list[SubscriptionItem]
    customer: str | None
    currency: MaybeText = UNSET
    start_date: Maybe[datetime] = UNSET
    billing_cycle_anchor: Maybe[datetime] = UNSET
    trial_start: Maybe[datetime] = UNSET
    trial_end: Maybe[datetime] = UNSET
    trial_without_method: MaybeText = UNSET
    cancel_at: Maybe[datetime] = UNSET
    cancel_at_period_end: bool | UnsetType = UNSET
    canceled_at: Maybe[datetime] = UNSET
    ended_at: Maybe[datetime] = UNSET
    cancellation_reason: MaybeText = UNSET
    cancellation_feedback: MaybeText = UNSET
    cancellation_comment: MaybeText = UNSET
    collection_method: str | UnsetType = UNSET
    days_until_due: MaybeInt = UNSET
    default_payment_method: MaybeText = UNSET
    latest_invoice: MaybeText = UNSET
    pending_setup_intent: MaybeText = UNSET
    pause_collection: dict[str, Any] | None | UnsetType = UNSET
    pending_update: dict[str, Any] | None | UnsetType = UNSET
    discounts: list[str] | UnsetType = UNSET
    schedule: MaybeText = UNSET
    test_clock: MaybeText = UNSET
    client_secret: str | None = None
    setup_secret: str | None = None
    expanded_invoice: "Invoice | None" = None

    def __repr__(self) -> str:
        return f"Subscription({self.id}, {self.status})"


class InvoiceLine(Struct, frozen=True, kw_only=True):
    """A line; `amount` in minor units before discounts on the line, `discount` what they take off (not negative)."""

    id: str
    amount: int
    currency: str
    description: str | None
    quantity: int | None
    period_start: datetime | None
    period_end: datetime | None
    price: str | None
    product: str | None
    proration: bool
    subscription: str | None
    subscription_item: str | None
    discount: int


class Invoice(Struct, frozen=True, kw_only=True):
    """An invoice; amounts in minor units. A preview has no id of its own (""), and no status.

    `payment_intent` is that of its default payment (from basil on only where `payments` was expanded).
    `lines` are the first of them (Stripe prints ten), `more_lines` whether there are others.
    `discount` and `tax` are totals. `client_secret` is answered, never stored.
    """

    id: str
    status: str | None
    currency: str
    created: datetime
    customer: str | None
    subscription: str | None
    billing_reason: str | None
    metadata: dict[str, str]
    subtotal: int
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    discount: int
    tax: int
    starting_balance: int
    ending_balance: int | None
    attempted: bool
    attempt_count: int
    lines: list[InvoiceLine]
    more_lines: bool
    number: MaybeText = UNSET
    next_payment_attempt: Maybe[datetime] = UNSET
    auto_advance: Maybe[bool] = UNSET
    collection_method: str | UnsetType = UNSET
    due_date: Maybe[datetime] = UNSET
    period_start: Maybe[datetime] = UNSET
    period_end: Maybe[datetime] = UNSET
    finalized_at: Maybe[datetime] = UNSET
    paid_at: Maybe[datetime] = UNSET
    voided_at: Maybe[datetime] = UNSET
    marked_uncollectible_at: Maybe[datetime] = UNSET
    hosted_invoice_url: MaybeText = UNSET
    invoice_pdf: MaybeText = UNSET
    payment_intent: MaybeText = UNSET
    default_payment_method: MaybeText = UNSET
    proration_date: Maybe[datetime] = UNSET
    deleted: bool = False
    client_secret: str | None = None

    def __repr__(self) -> str:
        return f"Invoice({self.id}, {self.status}, {self.total} {self.currency})"


class InvoicePayment(Struct, frozen=True, kw_only=True):
    """A payment of an invoice (basil and later); `amount_paid` is None until it is paid."""

    id: str
    invoice: str | None
    payment_intent: str | None
    status: str
    amount_paid: int | None
    currency: str
    created: datetime


class SetupIntent(Struct, frozen=True, kw_only=True):
    """A setup intent; `client_secret` and `next_action` are answered, never stored."""

    id: str
    status: str
    created: datetime
    metadata: dict[str, str]
    customer: MaybeText = UNSET
    payment_method: MaybeText = UNSET
    usage: MaybeText = UNSET
    error_code: MaybeText = UNSET
    decline_code: MaybeText = UNSET
    client_secret: str | None = None
    next_action: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"SetupIntent({self.id}, {self.status})"


class PromotionCode(Struct, frozen=True, kw_only=True):
    """What customers type to get a discount; `customer` is whom it is for (None: everybody)."""

    id: str
    code: str
    active: bool
    customer: str | None
