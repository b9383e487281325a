"""Subscriptions as rows, their history, facts from Stripe, and what a fact changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.stripe_gateway.objects_billing import Subscription
from tallystick.stripe_gateway.ordering import Source

__all__ = [
    "LIVE",
    "OVERDUE",
    "TERMINAL",
    "UNPAID_COMMENT",
    "DunningRow",
    "HistoryRow",
    "SubscriptionChange",
    "SubscriptionFacts",
    "SubscriptionRow",
]

TERMINAL = frozenset({"canceled", "incomplete_expired"})
"""Statuses that are never left."""

LIVE = frozenset({"trialing", "active", "past_due", "unpaid", "paused"})
"""Statuses of which a user has one subscription, unless ALLOW_MULTIPLE_SUBSCRIPTIONS."""

OVERDUE = frozenset({"past_due", "unpaid"})
"""Statuses of which the running period is not paid for."""

UNPAID_COMMENT = "The renewal stayed unpaid."
"""What Stripe is told of a subscription that we cancel for that: its own reason is that somebody asked."""


class SubscriptionRow(Struct, frozen=True):
    """A row of `subscriptions`.

    `items` are `{id, price, product, quantity, currency, unit_amount, unit_amount_decimal, billing_scheme, interval,
    interval_count, usage_type, current_period_start, current_period_end}` (times RFC 3339); `product_id`, `price_id`
    and `quantity` are those of the first. The period is that of the whole: the earliest end among the items.
    `discounts` are Stripe's ids. `pause_collection` is `{behavior, resumes_at}`; `pending_update` is what is set of
    Stripe's own hash, with `subscription_items` as `[{id, price: {id}, quantity}]`.
    """

    id: UUID
    stripe_subscription_id: str | None
    user_id: UUID | None
    stripe_customer_id: str | None
    product_id: str | None
    price_id: str | None
    status: str
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_start: datetime | None
    trial_end: datetime | None
    cancel_at_period_end: bool
    canceled_at: datetime | None
    quantity: int | None
    metadata: dict[str, str]
    claimed: bool
    flagged: bool
    currency: str | None
    items: list[dict[str, Any]]
    discounts: list[str]
    start_date: datetime | None
    billing_cycle_anchor: datetime | None
    trial_without_method: str | None
    cancel_at: datetime | None
    ended_at: datetime | None
    cancellation_reason: str | None
    cancellation_feedback: str | None
    cancellation_comment: str | None
    collection_method: str | None
    days_until_due: int | None
    default_payment_method: str | None
    latest_invoice_id: str | None
    pending_setup_intent_id: str | None
    schedule_id: str | None
    pause_collection: dict[str, Any] | None
    pending_update: dict[str, Any] | None
    activated_at: datetime | None
    revision: int
    state_at: datetime | None
    unsure: bool
    created_at: datetime
    updated_at: datetime

    @property
    def waits_for_card(self) -> bool:
        """Whether it has begun with nothing to pay, and a card is still to be saved for what comes later."""
        free = self.status in ("trialing", "active")
        return free and self.pending_setup_intent_id is not None and self.default_payment_method is None


class HistoryRow(Struct, frozen=True):
    """A row of `subscription_history`: the fields that changed, before and after; see the table's comments.

    `provisional`: seen in an answer or a fetch; it gives way to the rows of the events that tell the same.
    """

    id: UUID
    subscription_id: UUID
    action: str
    old_values: dict[str, Any] | None
    new_values: dict[str, Any] | None
    performed_by: UUID | None
    performed_at: datetime
    business_key: str
    actor: str
    cause: str
    reason: str | None
    stripe_event_id: str | None
    request_key: str | None
    provisional: bool


class DunningRow(Struct, frozen=True):
    """A row of `dunning_runs`; see the comments on the table."""

    stripe_invoice_id: str
    subscription_id: UUID
    step: int
    attempts: int
    next_at: datetime | None
    tried_method: str | None
    seen_method: str | None
    updated_at: datetime


class SubscriptionFacts(Struct, frozen=True):
    """A subscription as it was at `source.at`; `before` is what it was before the event that tells of a change."""

    value: Subscription
    source: Source
    before: Subscription | None = None


class SubscriptionChange(Struct, frozen=True):
    """What a fact did to its subscription. `applied` is False where the row was newer already: it still happened."""

    old: SubscriptionRow | None
    new: SubscriptionRow
    fact: SubscriptionFacts
    applied: bool
