"""The shapes of requests and answers about payments, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from tallystick.core.currencies import MAX_AMOUNT

__all__ = [
    "AttemptView",
    "CancelPayment",
    "CapturePayment",
    "ConfirmPayment",
    "CreatePayment",
    "CreateRefund",
    "PaymentDetails",
    "PaymentPage",
    "PaymentView",
    "RefundView",
]

Amount = Annotated[StrictInt, Field(gt=0, le=MAX_AMOUNT, description="minor units of the currency: 10.50 usd is 1050")]
Text = Annotated[str, StringConstraints(strict=True, max_length=1000)]
CurrencyCode = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{3}$")]
PaymentMethodId = Annotated[
    str, StringConstraints(strict=True, max_length=255, pattern=r"^(pm|card|src|ba)_[A-Za-z0-9_]+$")
]
ReturnUrl = Annotated[str, StringConstraints(strict=True, max_length=2000, pattern=r"^https?://[^\s\x00]+$")]
Metadata = dict[
    Annotated[str, StringConstraints(strict=True)],
    Annotated[str, StringConstraints(strict=True)],
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreatePayment(_Request):
    """A new payment."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"amount": 1050, "currency": "usd", "description": "Order 1001"}]},
    )

    amount: Amount
    currency: CurrencyCode | None = Field(default=None, description="lower-case ISO code; DEFAULT_CURRENCY if absent")
    description: Text | None = None
    metadata: Metadata = Field(default_factory=dict)
    payment_method: PaymentMethodId | None = None
    capture_method: Literal["automatic", "manual"] | None = Field(
        default=None, description="`manual` authorises now and captures later; AUTO_CAPTURE_PAYMENTS decides if absent"
    )
    setup_future_usage: Literal["on_session", "off_session"] | None = Field(
        default=None, description="save the payment method for later"
    )
    confirm: StrictBool = Field(default=False, description="charge `payment_method` at once")
    off_session: StrictBool = Field(default=False, description="the customer is not there to authenticate")
    return_url: ReturnUrl | None = Field(default=None, description="where the customer comes back to after 3D Secure")


class ConfirmPayment(_Request):
    """Try to charge a payment."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"payment_method": "pm_card_visa"}]})

    payment_method: PaymentMethodId | None = None
    off_session: StrictBool = False
    return_url: ReturnUrl | None = None


class CapturePayment(_Request):
    """Capture what was authorised."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"amount": 500}]})

    amount: Amount | None = Field(default=None, description="all if absent; a part releases the rest")


class CancelPayment(_Request):
    """Cancel a payment that has not succeeded."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "requested_by_customer"}]})

    reason: Literal["abandoned", "duplicate", "fraudulent", "requested_by_customer"] | None = None


class CreateRefund(_Request):
    """Refund a payment."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"amount": 500, "reason": "requested_by_customer"}]}
    )

    amount: Amount | None = Field(default=None, description="all that is left if absent")
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    metadata: Metadata = Field(default_factory=dict)


class AttemptView(BaseModel):
    """Where a write to Stripe stands whose outcome is not known yet."""

    id: UUID
    kind: str
    state: str


class FailureView(BaseModel):
    """Why the last attempt failed. `stripe_code` and `decline_code` are shown to staff only."""

    code: str
    message: str
    suggested_action: str
    stripe_code: str | None = None
    decline_code: str | None = None


class PaymentView(BaseModel):
    """A payment; amounts in minor units, times in UTC."""

    id: UUID
    object: Literal["payment"]
    stripe_payment_intent_id: str | None
    status: str = Field(
        description="requested, requires_payment_method, requires_confirmation, requires_action, processing, "
        "requires_capture, succeeded, canceled, failed, abandoned"
    )
    stripe_status: str | None
    amount: int
    currency: str
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    capture_method: str
    setup_future_usage: str | None
    payment_method: str | None
    description: str | None
    metadata: dict[str, str]
    cancellation_reason: str | None
    canceled_at: datetime | None
    last_error: FailureView | None
    created_at: datetime
    updated_at: datetime
    client_secret: str | None = Field(
        default=None, description="for Stripe.js in this customer's browser; only in the answers of create and confirm"
    )
    next_action: dict[str, Any] | None = Field(
        default=None, description="what the customer has to do, as Stripe has it"
    )
    attempt: AttemptView | None = Field(default=None, description="only with 202")
    user_id: UUID | None = Field(default=None, description="staff only")
    stripe_customer_id: str | None = Field(default=None, description="staff only")


class RefundView(BaseModel):
    """A refund."""

    id: UUID
    object: Literal["refund"]
    stripe_refund_id: str | None
    payment_id: UUID
    status: str
    amount: int
    currency: str
    reason: str | None
    failure_reason: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    attempt: AttemptView | None = None


class ChargeView(BaseModel):
    """One attempt on a payment that reached the card network."""

    stripe_charge_id: str
    status: str
    amount: int
    amount_captured: int
    card_brand: str | None
    card_last4: str | None
    created_at: datetime
    stripe_code: str | None = Field(default=None, description="staff only")
    decline_code: str | None = Field(default=None, description="staff only")


class DisputeView(BaseModel):
    """A dispute; staff only."""

    stripe_dispute_id: str
    status: str
    reason: str
    amount: int
    currency: str
    evidence_due_at: datetime | None
    created_at: datetime


class PaymentDetails(PaymentView):
    """A payment with its charges and refunds; staff also see its disputes."""

    charges: list[ChargeView]
    refunds: list[RefundView]
    disputes: list[DisputeView] | None = None


class PaymentPage(BaseModel):
    """A page of payments, newest first."""

    data: list[PaymentView]
    has_more: bool
