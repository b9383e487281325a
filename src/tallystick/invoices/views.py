"""Invoices as the API and outbound webhooks show them."""

from collections.abc import Sequence
from typing import Any

from tallystick.invoices.models import InvoiceRow, LineRow

__all__ = ["invoice_view", "line_view"]

_OURS = "tallystick_"
_SHOWN = (
    "stripe_invoice_id",
    "stripe_subscription_id",
    "number",
    "status",
    "billing_reason",
    "currency",
    "subtotal",
    "discount",
    "tax",
    "total",
    "starting_balance",
    "ending_balance",
    "amount_due",
    "amount_paid",
    "amount_remaining",
    "attempt_count",
    "next_payment_attempt",
    "first_failed_at",
    "collection_method",
    "due_date",
    "period_start",
    "period_end",
    "finalized_at",
    "paid_at",
    "hosted_invoice_url",
    "invoice_pdf",
)


def invoice_view(invoice: InvoiceRow, lines: Sequence[LineRow], *, staff: bool = False) -> dict[str, Any]:
    """An invoice with its lines; amounts in minor units. Staff also see whose it is."""
    view: dict[str, Any] = {
        "id": invoice.id,
        "object": "invoice",
        **{name: getattr(invoice, name) for name in _SHOWN},
        "metadata": {name: value for name, value in invoice.metadata.items() if not name.startswith(_OURS)},
        "lines": [line_view(line) for line in lines],
        "more_lines": invoice.more_lines,
        "created_at": invoice.created_at,
        "updated_at": invoice.updated_at,
    }
    if staff:
        view["user_id"] = invoice.user_id
        view["stripe_customer_id"] = invoice.stripe_customer_id
        view["stripe_payment_intent_id"] = invoice.payment_intent_id
    return view


def line_view(line: LineRow) -> dict[str, Any]:
    """A line; `amount` before `discount`, both in minor units."""
    return {
        "description": line.description,
        "quantity": line.quantity,
        "amount": line.amount,
        "discount": line.discount,
        "period_start": line.period_start,
        "period_end": line.period_end,
        "price": line.price_id,
        "product": line.product_id,
        "proration": line.proration,
    }
