"""Typed records of payments and the facts that change them. All amounts are minor units of their currency."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.stripe_gateway.objects import Charge, Dispute, PaymentIntent, Refund
from tallystick.stripe_gateway.ordering import Source

__all__ = [
    "ChargeFacts",
    "ChargeRow",
    "DisputeFacts",
    "DisputeRow",
    "Facts",
    "IntentFacts",
    "Payment",
    "RefundFacts",
    "RefundRow",
]


class Payment(Struct, frozen=True):
    """A row of `payments`. `status` is ours, `stripe_status` Stripe's own; `revision` rises with every change."""

    id: UUID
    stripe_payment_intent_id: str | None
    user_id: UUID | None
    stripe_customer_id: str | None
    amount: int
    currency: str
    status: str
    stripe_status: str | None
    payment_method: str | None
    description: str | None
    metadata: dict[str, str]
    capture_method: str
    setup_future_usage: str | None
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    latest_charge_id: str | None
    error_code: str | None
    decline_code: str | None
    cancellation_reason: str | None
    canceled_at: datetime | None
    claimed: bool
    revision: int
    state_at: datetime | None
    unsure: bool
    created_at: datetime
    updated_at: datetime


class ChargeRow(Struct, frozen=True):
    """A row of `charges`: one attempt that reached the card network."""

    id: UUID
    stripe_charge_id: str
    payment_id: UUID | None
    stripe_payment_intent_id: str | None
    amount: int
    amount_captured: int
    amount_refunded: int
    currency: str
    status: str
    captured: bool
    disputed: bool
    payment_method: str | None
    card_brand: str | None
    card_last4: str | None
    error_code: str | None
    decline_code: str | None
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime


class RefundRow(Struct, frozen=True):
    """A row of `refunds`; without a `stripe_refund_id` it is a reservation whose outcome is not known yet."""

    id: UUID
    stripe_refund_id: str | None
    payment_id: UUID
    amount: int
    currency: str
    status: str
    release: bool
    reason: str | None
    failure_reason: str | None
    metadata: dict[str, str]
    revision: int
    state_at: datetime | None
    unsure: bool
    created_at: datetime
    updated_at: datetime


class DisputeRow(Struct, frozen=True):
    """A row of `disputes`."""

    id: UUID
    stripe_dispute_id: str
    payment_id: UUID | None
    stripe_charge_id: str | None
    amount: int
    currency: str
    reason: str
    status: str
    evidence_due_at: datetime | None
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime


class IntentFacts(Struct, frozen=True):
    """A payment intent as it was at `source.at`."""

    value: PaymentIntent
    source: Source


class ChargeFacts(Struct, frozen=True):
    """A charge as it was at `source.at`."""

    value: Charge
    source: Source


class RefundFacts(Struct, frozen=True):
    """A refund as it was at `source.at`."""

    value: Refund
    source: Source


class DisputeFacts(Struct, frozen=True):
    """A dispute as it was at `source.at`."""

    value: Dispute
    source: Source


Facts: TypeAlias = IntentFacts | ChargeFacts | RefundFacts | DisputeFacts
