"""Which facts about invoices the host application hears of, and under which key, so that each is told once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from tallystick.core.declines import decline_of
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.models import InvoiceChange, InvoiceFacts
from tallystick.invoices.service import InvoiceService
from tallystick.invoices.views import invoice_view
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_models import FactType, NewFact
from tallystick.payments.models import Payment
from tallystick.payments.service import StripePaymentService
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.subscriptions.models import SubscriptionRow

__all__ = ["INVOICE_FACT_TYPES", "InvoiceTeller"]

_TOLD_BY_EVENT = {
    "invoice.payment_failed": "invoice.payment_failed",
    "invoice.payment_action_required": "invoice.action_required",
}


class InvoiceTeller:
    """Hands facts about our users' invoices to the outbox, with the invoice as it is after the transaction."""

    def __init__(
        self,
        invoices: InvoiceService,
        customers: StripeCustomerService,
        payments: StripePaymentService,
        outbound: OutboundService,
    ) -> None:
        self._invoices = invoices
        self._customers = customers
        self._payments = payments
        self._outbound = outbound

    async def record(
        self, tx: Transaction, changes: Sequence[InvoiceChange], subscriptions: Mapping[str, SubscriptionRow]
    ) -> None:
        told = [(change, fact) for change in changes if change.new.user_id and (fact := _told(change.fact))]
        if not told:
            return
        rows = [change.new for change, _ in told]
        users = await self._customers.find_many(tx, list({row.user_id for row in rows if row.user_id}))
        lines = await self._invoices.lines_of(tx, [row.id for row in rows])
        payments = await self._payments.of_intents(tx, [row.payment_intent_id for row in rows if row.payment_intent_id])
        facts = []
        for change, (type_, key, at) in told:
            row = change.new
            subscription = subscriptions.get(row.stripe_subscription_id or "")
            user = users.get(row.user_id) if row.user_id else None
            data: dict[str, Any] = {
                "user": user.external_id if user else None,
                "subscription_id": subscription.id if subscription else None,
                "invoice": invoice_view(row, lines[row.id]),
            }
            if type_ == "invoice.payment_failed":
                data["failure"] = _failure(payments.get(row.payment_intent_id or ""))
            object_key = str(subscription.id if subscription else row.id)
            facts.append(NewFact(type_, f"{type_}:{key}", object_key, at, data, change.fact.source.event_id))
        await self._outbound.record_facts(tx, facts)

    async def record_upcoming(
        self, tx: Transaction, upcoming: Sequence[InvoiceFacts], subscriptions: Mapping[str, SubscriptionRow]
    ) -> None:
        """That a renewal is near: what it will cost as things are now."""
        owners = await self._customers.owners(tx, [fact.value.customer for fact in upcoming if fact.value.customer])
        users = await self._customers.find_many(tx, list({user_id for user_id in owners.values() if user_id}))
        facts = []
        for fact in upcoming:
            owner = owners.get(fact.value.customer or "")
            subscription = subscriptions.get(fact.value.subscription or "")
            if owner is None or subscription is None:
                continue
            data = {
                "user": users[owner].external_id,
                "subscription_id": subscription.id,
                "upcoming_invoice": _upcoming_view(fact.value),
            }
            key = f"invoice.upcoming:{fact.source.event_id}"
            source = fact.source
            facts.append(NewFact("invoice.upcoming", key, str(subscription.id), source.at, data, source.event_id))
        if facts:
            await self._outbound.record_facts(tx, facts)


def _told(fact: InvoiceFacts) -> tuple[str, str, datetime] | None:
    """Type, key and time of what a fact tells."""
    invoice, source = fact.value, fact.source
    if type_ := _TOLD_BY_EVENT.get(source.event_type or ""):
        return type_, str(source.event_id), source.at
    if invoice.status == "paid":
        paid_at = invoice.paid_at if isinstance(invoice.paid_at, datetime) else source.at
        return "invoice.paid", invoice.id, paid_at
    return None


def _failure(payment: Payment | None) -> dict[str, str]:
    decline = decline_of(payment.error_code, payment.decline_code) if payment else decline_of(None, None)
    return {"code": decline.code, "message": decline.message, "suggested_action": decline.action}


def _upcoming_view(invoice: Invoice) -> dict[str, Any]:
    def known(value: datetime | None | UnsetType) -> datetime | None:
        return None if value is UNSET or isinstance(value, UnsetType) else value

    return {
        "currency": invoice.currency,
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "tax": invoice.tax,
        "total": invoice.total,
        "starting_balance": invoice.starting_balance,
        "amount_due": invoice.amount_due,
        "next_payment_attempt": known(invoice.next_payment_attempt),
        "period_start": known(invoice.period_start),
        "period_end": known(invoice.period_end),
        "lines": [
            {
                "description": line.description,
                "quantity": line.quantity,
                "amount": line.amount,
                "discount": line.discount,
                "period_start": line.period_start,
                "period_end": line.period_end,
                "price": line.price,
                "product": line.product,
                "proration": line.proration,
            }
            for line in invoice.lines
        ],
    }


_LINE: dict[str, Any] = {
    "description": "1 × Gold (at $10.00 / month)",
    "quantity": 1,
    "amount": 1000,
    "discount": 0,
    "period_start": "2026-01-31T12:00:00Z",
    "period_end": "2026-02-28T12:00:00Z",
    "price": "price_1NXaXXLkdIwHu7ixDDDDDDDD",
    "product": "prod_NXaXXLkdIwHu7i",
    "proration": False,
}
_INVOICE: dict[str, Any] = {
    "id": "0193f0c2-7c8d-7e6f-8a21-c3d4e5f6a7b8",
    "object": "invoice",
    "stripe_invoice_id": "in_1NXaXXLkdIwHu7ixEEEEEEEE",
    "stripe_subscription_id": "sub_1NXaXXLkdIwHu7ixFFFFFFFF",
    "number": "A1B2C3D4-0007",
    "status": "paid",
    "billing_reason": "subscription_cycle",
    "currency": "usd",
    "subtotal": 1000,
    "discount": 0,
    "tax": 0,
    "total": 1000,
    "starting_balance": 0,
    "ending_balance": 0,
    "amount_due": 1000,
    "amount_paid": 1000,
    "amount_remaining": 0,
    "attempt_count": 1,
    "next_payment_attempt": None,
    "first_failed_at": None,
    "collection_method": "charge_automatically",
    "due_date": None,
    "period_start": "2025-12-31T12:00:00Z",
    "period_end": "2026-01-31T12:00:00Z",
    "finalized_at": "2026-01-31T13:00:00Z",
    "paid_at": "2026-01-31T13:00:00Z",
    "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1/test_1",
    "invoice_pdf": "https://pay.stripe.com/invoice/acct_1/test_1/pdf",
    "metadata": {},
    "lines": [_LINE],
    "more_lines": False,
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T13:00:00Z",
}
_UNPAID: dict[str, Any] = {
    "status": "open",
    "amount_paid": 0,
    "amount_remaining": 1000,
    "next_payment_attempt": "2026-02-03T13:00:00Z",
    "first_failed_at": "2026-01-31T13:00:00Z",
    "paid_at": None,
}
_UPCOMING: dict[str, Any] = {
    "currency": "usd",
    "subtotal": 1000,
    "discount": 0,
    "tax": 0,
    "total": 1000,
    "starting_balance": 0,
    "amount_due": 1000,
    "next_payment_attempt": "2026-02-28T13:00:00Z",
    "period_start": "2026-01-31T12:00:00Z",
    "period_end": "2026-02-28T12:00:00Z",
    "lines": [_LINE],
}
_WHOSE: dict[str, Any] = {"user": "user-42", "subscription_id": "0193f0c2-6b7c-7d5e-9f10-b2c3d4e5f6a7"}

INVOICE_FACT_TYPES = (
    FactType("invoice.paid", "An invoice is paid, or there was nothing to pay.", {**_WHOSE, "invoice": _INVOICE}),
    FactType(
        "invoice.payment_failed",
        "An attempt to pay an invoice failed; it tells when the next one is.",
        {
            **_WHOSE,
            "invoice": {**_INVOICE, **_UNPAID},
            "failure": {
                "code": "INSUFFICIENT_FUNDS",
                "message": "Your card has insufficient funds.",
                "suggested_action": "Use another payment method, or try again later.",
            },
        },
    ),
    FactType(
        "invoice.action_required",
        "The customer has to confirm the payment of an invoice with the bank.",
        {**_WHOSE, "invoice": {**_INVOICE, **_UNPAID}},
    ),
    FactType(
        "invoice.upcoming",
        "A subscription renews in some days (how many is set at Stripe); what it costs as things are now.",
        {**_WHOSE, "upcoming_invoice": _UPCOMING},
    ),
)
