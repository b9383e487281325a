"""The shapes of requests and answers about invoices, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["InvoicePage", "InvoiceView", "LineView", "PayInvoice"]

PaymentMethodId = Annotated[
    str, StringConstraints(strict=True, max_length=255, pattern=r"^(pm|card|src|ba)_[A-Za-z0-9_]+$")
]


class PayInvoice(BaseModel):
    """Pay an invoice now."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"payment_method": "pm_card_visa"}]})

    payment_method: PaymentMethodId | None = Field(
        default=None, description="for this payment only; the subscription's or the customer's default if absent"
    )


class LineView(BaseModel):
    """A line of an invoice; amounts in minor units."""

    description: str | None
    quantity: int | None
    amount: int = Field(description="before its discount; negative where something is credited")
    discount: int
    period_start: datetime | None = Field(description="what the line is for")
    period_end: datetime | None
    price: str | None
    product: str | None
    proration: bool


class AttemptView(BaseModel):
    """Where a write to Stripe stands whose outcome is not known yet."""

    id: UUID
    kind: str
    state: str


class InvoiceView(BaseModel):
    """An invoice; amounts in minor units, times in UTC."""

    id: UUID
    object: Literal["invoice"]
    stripe_invoice_id: str
    stripe_subscription_id: str | None
    number: str | None
    status: str | None = Field(description="draft, open, paid, uncollectible, void")
    billing_reason: str | None
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    starting_balance: int = Field(description="the customer's balance before; negative is credit")
    ending_balance: int | None
    amount_due: int
    amount_paid: int
    amount_remaining: int
    attempt_count: int
    next_payment_attempt: datetime | None
    first_failed_at: datetime | None
    collection_method: str | None
    due_date: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    finalized_at: datetime | None
    paid_at: datetime | None
    hosted_invoice_url: str | None
    invoice_pdf: str | None
    metadata: dict[str, str]
    lines: list[LineView]
    more_lines: bool = Field(description="not all of the lines are here yet")
    created_at: datetime
    updated_at: datetime
    attempt: AttemptView | None = Field(default=None, description="only with 202")
    user_id: UUID | None = Field(default=None, description="staff only")
    stripe_customer_id: str | None = Field(default=None, description="staff only")
    stripe_payment_intent_id: str | None = Field(default=None, description="staff only")


class InvoicePage(BaseModel):
    """A page of invoices, newest first."""

    data: list[InvoiceView]
    has_more: bool
