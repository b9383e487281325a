"""Stripe's events about invoices, each into typed facts. What they mean is decided by the recorder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tallystick.invoices.models import InvoiceFacts, InvoicePaymentFacts
from tallystick.stripe_gateway import translate_billing
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS"]


def on_invoice(event: StoredEvent) -> Sequence[InvoiceFacts]:
    deleted = event.type == "invoice.deleted"
    return [InvoiceFacts(translate_billing.invoice(event.object, deleted=deleted), source_of(event))]


def on_invoice_payment(event: StoredEvent) -> Sequence[InvoicePaymentFacts]:
    return [InvoicePaymentFacts(translate_billing.invoice_payment(event.object), source_of(event))]


def _all(handler: Callable[[StoredEvent], Sequence[Any]], names: str) -> Mapping[str, Any]:
    return dict.fromkeys(names.split(), handler)


HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[Any]]] = {
    **_all(
        on_invoice,
        "invoice.created invoice.updated invoice.finalized invoice.finalization_failed invoice.paid "
        "invoice.payment_succeeded invoice.payment_failed invoice.payment_action_required invoice.upcoming "
        "invoice.overdue invoice.voided invoice.marked_uncollectible invoice.deleted",
    ),
    **_all(on_invoice_payment, "invoice_payment.paid"),
}
