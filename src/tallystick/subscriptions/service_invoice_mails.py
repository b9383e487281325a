"""Which mail an invoice's fact causes, and under which key, so that each is queued once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct
from msgspec.structs import replace

from tallystick.core.clock import Clock, to_unix
from tallystick.core.declines import decline_of
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.models import InvoiceChange, InvoiceFacts, InvoiceRow, LineRow
from tallystick.invoices.service import InvoiceService
from tallystick.notifications.models import MailRequest
from tallystick.notifications.service import NotificationService
from tallystick.payments.models import Payment
from tallystick.payments.service import StripePaymentService
from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.products.service import ProductService
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.subscriptions.access import AccessRules, access_of
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.service_mails import plan_context

__all__ = ["FAILED", "NEEDS_ACTION", "RECEIPT", "InvoiceMails", "attempt_name", "failure_of", "invoice_mail"]

RECEIPT = "invoice_receipt"
FAILED = "invoice_payment_failed"
NEEDS_ACTION = "invoice_action_required"
_AUTHENTICATE = "AUTHENTICATION_REQUIRED"
_LINES_MOST = 20
_NO_PLAN: Mapping[str, Any] = {
    "subscription_id": None,
    "plan_name": None,
    "quantity": None,
    "amount": None,
    "interval": None,
    "interval_count": None,
    "manage_url": None,
}


class Draft(Struct, frozen=True):
    """A mail before it is known what else is said in it."""

    template: str
    business_key: str
    change: InvoiceChange


class Known(Struct, frozen=True):
    """What the mails of one transaction are about, by Stripe's ids (lines: by our invoice id)."""

    subscriptions: Mapping[str, SubscriptionRow]
    payments: Mapping[str, Payment]
    cards: Mapping[str, tuple[str | None, str | None]]
    unpaid: Mapping[str, Sequence[InvoiceRow]]
    lines: Mapping[UUID, Sequence[LineRow]]
    product_names: Mapping[str, str]


class InvoiceMails:
    """Fills drafts about our users' invoices and queues them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        invoices: InvoiceService,
        customers: StripeCustomerService,
        products: ProductService,
        payments: StripePaymentService,
        notifications: NotificationService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._rules = AccessRules(timedelta(days=settings.grace_period_days), settings.paused_subscriptions_keep_access)
        self._invoices = invoices
        self._customers = customers
        self._products = products
        self._payments = payments
        self._notifications = notifications

    async def queue(
        self, tx: Transaction, changes: Sequence[InvoiceChange], subscriptions: Mapping[str, SubscriptionRow]
    ) -> None:
        """Queue what these changes are worth; an owner without an address gets none."""
        drafts = [draft for change in changes if change.new.user_id and (draft := invoice_mail(change))]
        if not drafts:
            return
        users = await self._customers.find_many(tx, [user_id for d in drafts if (user_id := d.change.new.user_id)])
        known = await self._known(tx, drafts, subscriptions)
        requests = []
        for draft in drafts:
            user = users.get(draft.change.new.user_id) if draft.change.new.user_id else None
            if user is None or not user.email:
                continue
            template, context = self._fill(draft, known)
            requests.append(
                MailRequest(
                    business_key=draft.business_key,
                    template=template,
                    recipient=user.email,
                    locale=user.locale,
                    context=context,
                    user_id=user.id,
                    due_at=self._clock.now(),
                )
            )
        await self._notifications.queue_mails(tx, requests)

    async def still_unpaid(self, context: Mapping[str, Any]) -> bool:
        """A mail that asks for money is pointless once it has come, or is not asked for any more."""
        async with self._database.connection() as connection:
            row = await self._invoices.find(connection, UUID(context["invoice_id"]))
        return row is None or (row.status in ("draft", "open", "uncollectible") and not row.deleted)

    async def _known(
        self, tx: Transaction, drafts: Sequence[Draft], subscriptions: Mapping[str, SubscriptionRow]
    ) -> Known:
        rows = [draft.change.new for draft in drafts]
        payments = await self._payments.of_intents(tx, [row.payment_intent_id for row in rows if row.payment_intent_id])
        concerned = [row.stripe_subscription_id for row in rows if row.stripe_subscription_id in subscriptions]
        products = {item["product"] for id_ in concerned if id_ for item in subscriptions[id_].items}
        return Known(
            subscriptions=subscriptions,
            payments=payments,
            cards=await self._payments.cards_of(tx, list(payments.values())),
            unpaid=await self._invoices.unpaid_of(tx, [id_ for id_ in concerned if id_]),
            lines=await self._invoices.lines_of(tx, [row.id for row in rows]),
            product_names=await self._products.names(tx, sorted(products)) if products else {},
        )

    def _fill(self, draft: Draft, known: Known) -> tuple[str, dict[str, Any]]:
        """Template and context. A failure that asks for the customer's confirmation is told as that."""
        row = draft.change.new
        subscription = known.subscriptions.get(row.stripe_subscription_id or "")
        plan = plan_context(subscription, known.product_names) if subscription else _NO_PLAN
        context = {**plan, "currency": row.currency, "invoice_id": str(row.id), "number": row.number}
        if draft.template == RECEIPT:
            return RECEIPT, {**context, **_receipt(draft.change, known)}
        context |= self._trouble(draft.change, subscription, known)
        code = failure_of(known.payments.get(row.payment_intent_id or ""))
        if draft.template == NEEDS_ACTION or code == _AUTHENTICATE:
            return NEEDS_ACTION, context
        return FAILED, {**context, "error_code": code}

    def _trouble(self, change: InvoiceChange, subscription: SubscriptionRow | None, known: Known) -> dict[str, Any]:
        invoice, at = change.fact.value, change.fact.source.at
        next_attempt = None if invoice.next_payment_attempt is UNSET else invoice.next_payment_attempt
        return {
            "amount_due": invoice.amount_remaining,
            "failed_at": _text(at),
            "attempt": max(invoice.attempt_count, 1),
            "next_attempt_at": _text(next_attempt),
            "access_until": _text(self._access_until(change.new, subscription, known, at)),
            "pay_url": change.new.hosted_invoice_url,
        }

    def _access_until(
        self, row: InvoiceRow, subscription: SubscriptionRow | None, known: Known, at: datetime
    ) -> datetime | None:
        """The last moment of access if nothing is paid; None where there is none now."""
        if subscription is None or row.stripe_subscription_id is None:
            return None
        # That the subscription is past due is told after the failure.
        past_due = subscription.status in ("active", "trialing")
        settled = replace(subscription, status="past_due") if past_due else subscription
        unpaid = known.unpaid.get(row.stripe_subscription_id) or [row]
        access = access_of(settled, unpaid, self._rules, customer_has_method=True)
        return access.until if access.access and access.until and access.until > at else None


def invoice_mail(change: InvoiceChange) -> Draft | None:
    """The mail that a fact is worth: that an invoice is paid, or that an attempt to pay it failed."""
    fact, row = change.fact, change.new
    if fact.value.status == "paid" and _billed(fact.value):
        return Draft(RECEIPT, f"{RECEIPT}:{row.stripe_invoice_id}", change)
    # One attempt that waits for the customer may be told twice, as that and as failed: it is one mail.
    key = f"invoice_unpaid:{row.stripe_invoice_id}:{attempt_name(fact)}"
    if fact.source.event_type == "invoice.payment_action_required":
        return Draft(NEEDS_ACTION, key, change)
    if fact.source.event_type == "invoice.payment_failed":
        return Draft(FAILED, key, change)
    return None


def attempt_name(fact: InvoiceFacts) -> str:
    """What names one attempt to pay an invoice, the same in all events of it.

    Stripe counts only attempts of its own (and the very first); the others are requests.
    """
    if fact.source.request_key:
        return fact.source.request_key
    return f"{fact.value.attempt_count}:{to_unix(fact.source.at)}" if fact.source.requested else str(
        fact.value.attempt_count
    )


def failure_of(payment: Payment | None) -> str:
    """The code that tells why the last attempt on a payment failed; a general one where nobody knows."""
    if payment is not None and payment.stripe_status == "requires_action":
        return _AUTHENTICATE
    known = payment is not None and payment.error_code is not None
    return decline_of(payment.error_code, payment.decline_code).code if payment and known else decline_of(None, None).code


def _billed(invoice: Invoice) -> bool:
    """Whether there is anything to give a receipt for: the start of a trial costs nothing, a full discount does."""
    return bool(invoice.total or invoice.amount_paid or any(line.amount for line in invoice.lines))


def _receipt(change: InvoiceChange, known: Known) -> dict[str, Any]:
    row, invoice = change.new, change.fact.value
    lines = known.lines.get(row.id, ())
    paid_at = invoice.paid_at if isinstance(invoice.paid_at, datetime) else change.fact.source.at
    brand, last4 = known.cards.get(row.payment_intent_id or "", (None, None))
    ending = invoice.starting_balance if invoice.ending_balance is None else invoice.ending_balance
    return {
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "tax": invoice.tax,
        "total": invoice.total,
        "amount_paid": invoice.amount_paid,
        "credit": ending - invoice.starting_balance,
        "lines": [
            {
                "description": line.description,
                "quantity": line.quantity,
                "amount": line.amount,
                "period_start": _text(line.period_start),
                "period_end": _text(line.period_end),
            }
            for line in lines[:_LINES_MOST]
        ],
        "more_lines": max(len(lines) - _LINES_MOST, 0),
        "paid_at": _text(paid_at),
        "card_brand": brand,
        "card_last4": last4,
        "invoice_url": row.hosted_invoice_url,
        "recovered": _recovered(row),
    }


def _recovered(row: InvoiceRow) -> bool:
    """Whether a renewal is paid at last that had failed before."""
    failed = row.first_failed_at is not None or row.attempt_count > 1
    return failed and row.stripe_subscription_id is not None and row.billing_reason != "subscription_create"


def _text(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
