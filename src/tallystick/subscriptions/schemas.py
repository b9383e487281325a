"""The shapes of requests and answers about subscriptions, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from tallystick.subscriptions.service_terms import QUANTITY_MAX

__all__ = [
    "CancelSubscription",
    "CreateSubscription",
    "HistoryPage",
    "NoFields",
    "PauseSubscription",
    "ResumeSubscription",
    "SubscriptionDetails",
    "SubscriptionPage",
    "SubscriptionView",
    "UpcomingInvoice",
    "UpdateSubscription",
]

PriceId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]+$")]
Quantity = Annotated[StrictInt, Field(ge=1, le=QUANTITY_MAX)]
PaymentMethodId = Annotated[
    str, StringConstraints(strict=True, max_length=255, pattern=r"^(pm|card|src|ba)_[A-Za-z0-9_]+$")
]
Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500)]
Text = Annotated[str, StringConstraints(strict=True, max_length=500)]
Metadata = dict[
    Annotated[str, StringConstraints(strict=True)],
    Annotated[str, StringConstraints(strict=True)],
]
Behavior = Literal["create_prorations", "always_invoice", "none"]
Feedback = Literal[
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
]

_PRICE = "price_1MoBy5LkdIwHu7ix"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoFields(_Request):
    """Nothing."""


class CreateSubscription(_Request):
    """A new subscription."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"price": _PRICE},
                {"price": _PRICE, "quantity": 3, "payment_method": "pm_card_visa", "trial_period_days": 0},
                {"price": _PRICE, "promotion_code": "SPRING25", "payment_method": "pm_card_visa"},
            ]
        },
    )

    price: PriceId = Field(description="ours or Stripe's id of a recurring price that is on offer")
    quantity: Quantity = 1
    trial_period_days: Annotated[StrictInt, Field(ge=0, le=730)] | None = Field(
        default=None, description="DEFAULT_TRIAL_DAYS if absent, 0 for none; a user gets one trial in all"
    )
    payment_method: PaymentMethodId | None = Field(
        default=None, description="charged at once, and kept as the subscription's; the customer's default if absent"
    )
    promotion_code: Code | None = Field(default=None, description="as customers type it, or Stripe's `promo_…`")
    metadata: Metadata = Field(default_factory=dict)


class UpdateSubscription(_Request):
    """A change; what is absent stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"price": _PRICE, "proration_behavior": "always_invoice"},
                {"preview_token": "WyIwMTk…"},
                {"quantity": 5},
                {"payment_method": "pm_card_visa"},
                {"cancel_at_period_end": False},
            ]
        },
    )

    price: PriceId | None = None
    quantity: Quantity | None = None
    payment_method: PaymentMethodId | None = Field(default=None, description="kept as the subscription's")
    promotion_code: Code | None = Field(default=None, description="in place of what discount there is; null for none")
    cancel_at_period_end: Literal[False] | None = Field(
        default=None, description="false undoes a cancellation that is to come; DELETE makes one"
    )
    proration_behavior: Behavior | None = Field(
        default=None,
        description="PRORATION_BEHAVIOR if absent. `always_invoice` bills now, `create_prorations` with the renewal",
    )
    when: Literal["now", "period_end"] = Field(
        default="now", description="`period_end`: price and quantity change with the renewal"
    )
    only_if_paid: StrictBool = Field(
        default=True, description="a change that is billed now is made only when its payment succeeds"
    )
    preview_token: Annotated[str, StringConstraints(strict=True, max_length=2000)] | None = Field(
        default=None, description="of a preview: makes that change, for exactly what was shown"
    )
    metadata: Metadata | None = Field(default=None, description="merged into what is there; an empty text removes")
    reason: Text | None = Field(default=None, description="kept in the history")


class CancelSubscription(_Request):
    """Cancel."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{}, {"when": "now", "reason": "too_expensive", "comment": "see you in May"}]},
    )

    when: Literal["period_end", "now"] = "period_end"
    reason: Feedback | None = None
    comment: Text | None = None


class PauseSubscription(_Request):
    """Stop collecting for a while."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"resumes_at": "2027-01-01T00:00Z"}]})

    resumes_at: AwareDatetime | None = Field(default=None, description="until then; until it is resumed if absent")
    reason: Text | None = None


class ResumeSubscription(_Request):
    """Collect again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    reason: Text | None = None


class AttemptView(BaseModel):
    """Where a write to Stripe stands whose outcome is not known yet."""

    id: UUID
    kind: str
    state: str


class ItemView(BaseModel):
    """One price of a subscription; `unit_amount` in minor units."""

    id: str
    price: str
    product: str | None
    quantity: int | None
    unit_amount: int | None
    unit_amount_decimal: str | None
    currency: str | None
    interval: str | None
    interval_count: int | None


class CancellationView(BaseModel):
    """Why it was canceled."""

    reason: str | None
    feedback: str | None
    comment: str | None


class PauseView(BaseModel):
    """What becomes of invoices while collection is paused."""

    behavior: str
    resumes_at: datetime | None


class PendingItem(BaseModel):
    """What an item becomes once its change is paid."""

    id: str
    price: str
    quantity: int | None


class PendingUpdate(BaseModel):
    """A change that waits for its payment."""

    expires_at: datetime | None
    items: list[PendingItem]


class SubscriptionView(BaseModel):
    """A subscription; times in UTC. `price`, `product` and `quantity` are those of its first item."""

    id: UUID
    object: Literal["subscription"]
    stripe_subscription_id: str | None
    status: str = Field(
        description="incomplete, incomplete_expired, trialing, active, past_due, unpaid, paused, canceled"
    )
    price: str | None
    product: str | None
    quantity: int | None
    currency: str | None
    items: list[ItemView]
    discounts: list[str]
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_start: datetime | None
    trial_end: datetime | None = Field(description="null: it began without a trial")
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    cancellation: CancellationView
    pause_collection: PauseView | None
    pending_update: PendingUpdate | None
    default_payment_method: str | None
    latest_invoice_id: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    client_secret: str | None = Field(
        default=None, description="to pay what waits for the customer, by Stripe.js; only in the answers of commands"
    )
    next_action: dict[str, Any] | None = Field(default=None, description="what the customer has to do")
    setup_client_secret: str | None = Field(
        default=None, description="to save a payment method before the trial ends, by Stripe.js"
    )
    attempt: AttemptView | None = Field(default=None, description="only with 202")
    user_id: UUID | None = Field(default=None, description="staff only")
    stripe_customer_id: str | None = Field(default=None, description="staff only")
    flagged: bool | None = Field(default=None, description="staff only: made elsewhere beside another live one")


class AccessView(BaseModel):
    """What it gives. `until`: when that ends by itself."""

    access: bool
    state: str
    until: datetime | None


class DunningView(BaseModel):
    """The calendar of a renewal that was not paid."""

    first_failed_at: datetime
    attempts: int
    attempts_left: int
    next_payment_attempt: datetime | None
    access_until: datetime
    amount_due: int
    currency: str
    stripe_invoice_id: str
    pay_url: str | None


class ScheduledItem(BaseModel):
    """A price, and how many of it."""

    price: str = Field(description="Stripe's id")
    quantity: int | None


class ScheduledChangeView(BaseModel):
    """What the subscription becomes at the end of its period."""

    at: datetime
    items: list[ScheduledItem]


class SubscriptionDetails(SubscriptionView):
    """A subscription with what it gives, and what is done about an unpaid renewal."""

    access: AccessView
    dunning: DunningView | None
    scheduled_change: ScheduledChangeView | None


class SubscriptionPage(BaseModel):
    """A page of subscriptions, newest first."""

    data: list[SubscriptionView]
    has_more: bool


class ChangeView(BaseModel):
    """One change: the fields that are different, before and after, who made it and why."""

    id: UUID
    object: Literal["subscription_change"]
    subscription_id: UUID
    action: str
    old_values: dict[str, Any] | None
    new_values: dict[str, Any] | None
    actor: str
    cause: str = Field(description="api, dashboard, stripe (time), repair")
    reason: str | None
    performed_at: datetime
    performed_by: UUID | None = Field(default=None, description="staff only")
    stripe_event_id: str | None = Field(default=None, description="staff only")


class HistoryPage(BaseModel):
    """A page of changes, newest first."""

    data: list[ChangeView]
    has_more: bool


class PreviewLine(BaseModel):
    """A line; amounts in minor units, negative where something is credited."""

    description: str | None
    amount: int
    discount: int
    currency: str
    quantity: int | None
    price: str | None
    product: str | None
    proration: bool
    period_start: datetime | None
    period_end: datetime | None


class AmountNow(BaseModel):
    """What is charged when the change is made."""

    amount: int


class AmountThen(BaseModel):
    """What is charged with the renewal."""

    amount: int
    at: datetime | None


class UpcomingInvoice(BaseModel):
    """An invoice that does not exist yet; amounts in minor units."""

    object: Literal["upcoming_invoice"]
    subscription_id: UUID
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    starting_balance: int = Field(description="what the customer has to their credit (negative), or owes")
    amount_due: int
    lines: list[PreviewLine]
    more_lines: bool
    due_now: AmountNow | None = Field(description="null: nothing is billed before the renewal")
    due_at_renewal: AmountThen | None
    proration_date: datetime | None
    preview_token: str | None = Field(description="makes this change by PUT, for what is shown; holds for an hour")
