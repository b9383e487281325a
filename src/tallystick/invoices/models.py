"""Invoices as rows, as facts from Stripe, and as what a fact changed."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from tallystick.stripe_gateway.objects_billing import Invoice, InvoicePayment
from tallystick.stripe_gateway.ordering import Source

__all__ = ["InvoiceChange", "InvoiceFacts", "InvoicePaymentFacts", "InvoiceRow", "LineRow"]


class InvoiceRow(Struct, frozen=True):
    """A row of `invoices`. Amounts in minor units; `total` and the balances may be negative."""

    id: UUID
    stripe_invoice_id: str
    user_id: UUID | None
    stripe_customer_id: str | None
    stripe_subscription_id: str | None
    number: str | None
    status: str | None
    billing_reason: str | None
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    starting_balance: int
    ending_balance: int | None
    attempted: bool
    attempt_count: int
    next_payment_attempt: datetime | None
    auto_advance: bool | None
    collection_method: str | None
    due_date: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    finalized_at: datetime | None
    paid_at: datetime | None
    voided_at: datetime | None
    marked_uncollectible_at: datetime | None
    hosted_invoice_url: str | None
    invoice_pdf: str | None
    payment_intent_id: str | None
    default_payment_method: str | None
    metadata: dict[str, str]
    more_lines: bool
    first_failed_at: datetime | None
    deleted: bool
    revision: int
    state_at: datetime
    unsure: bool
    created_at: datetime
    updated_at: datetime

    @property
    def unpaid(self) -> bool:
        """Whether money is asked for with it, and has not come."""
        return self.status == "open" and self.amount_remaining > 0


class LineRow(Struct, frozen=True):
    """A row of `invoice_lines`, in the order in which Stripe prints them."""

    invoice_id: UUID
    position: int
    stripe_line_id: str
    amount: int
    discount: int
    currency: str
    description: str | None
    quantity: int | None
    period_start: datetime | None
    period_end: datetime | None
    price_id: str | None
    product_id: str | None
    proration: bool
    stripe_subscription_id: str | None
    subscription_item: str | None


class InvoiceFacts(Struct, frozen=True):
    """An invoice as it was at `source.at`."""

    value: Invoice
    source: Source


class InvoicePaymentFacts(Struct, frozen=True):
    """A payment of an invoice as it was at `source.at`."""

    value: InvoicePayment
    source: Source


class InvoiceChange(Struct, frozen=True):
    """What a fact did to its invoice. `applied` is False where the row was newer already: the fact still happened.

    `new` is the row as the whole transaction leaves it, `old` as the fact found it.
    """

    old: InvoiceRow | None
    new: InvoiceRow
    fact: InvoiceFacts
    applied: bool
