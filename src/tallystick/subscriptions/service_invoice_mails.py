"""Which mail an invoice's fact causes, and under which key, so that each is queued once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct

from tallystick.attempts.models import Attempt
from tallystick.attempts.service import AttemptService
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
from tallystick.products.models import PriceRow
from tallystick.products.service import ProductService
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.subscriptions.dunning import Dunning
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.service_dunning import DunningKeeper
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
    tries: Mapping[str, int]
    dunning: Mapping[str, Dunning | None]
    lines: Mapping[UUID, Sequence[LineRow]]
    product_names: Mapping[str, str]
    prices: Mapping[str, PriceRow]


class InvoiceMails:
    """Fills drafts about our users' invoices and queues them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        invoices: InvoiceService,
        customers: StripeCustomerService,
        products: ProductService,
        payments: StripePaymentService,
        attempts: AttemptService,
        dunning: DunningKeeper,
        notifications: NotificationService,
        manage_url: str | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._invoices = invoices
        self._customers = customers
        self._products = products
        self._payments = payments
        self._attempts = attempts
        self._dunning = dunning
        self._notifications = notifications
        self._manage_url = manage_url

    async def queue(
        self, tx: Transaction, changes: Sequence[InvoiceChange], subscriptions: Mapping[str, SubscriptionRow]
    ) -> None:
        """Queue what these changes are worth; an owner without an address gets none."""
        drafts = [draft for change in changes if change.new.user_id and (draft := invoice_mail(change))]
        keys = {key for draft in drafts if (key := draft.change.fact.source.request_key)}
        ours = await self._attempts.by_stripe_keys(tx, keys) if keys else {}
        drafts = [draft for draft in drafts if not _customer_was_there(draft, subscriptions, ours)]
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
            if template == RECEIPT:
                brand, last4 = await self._card(tx, draft.change, known, ours)
                context |= {"card_brand": brand, "card_last4": last4}
            requests.append(
                MailRequest(
                    business_key=draft.business_key,
                    template=template,
                    recipient=user.email,
                    locale=user.locale,
                    context=context,
                    user_id=user.id,
                    due_at=self._clock.now(),
                    happened_at=_happened(draft),
                    event_id=draft.change.fact.source.event_id,
                )
            )
        await self._notifications.queue_mails(tx, requests)

    async def still_unpaid(self, context: Mapping[str, Any]) -> bool:
        """A mail that asks for money is pointless once it has come, or is not asked for any more."""
        async with self._database.connection() as connection:
            row = await self._invoices.find(connection, UUID(context["invoice_id"]))
        return row is None or row.status == "open"

    async def _card(
        self, tx: Transaction, change: InvoiceChange, known: Known, ours: Mapping[str, Attempt]
    ) -> tuple[str | None, str | None]:
        """The card that was charged: as its payment tells, else the one that is charged unless another is named.

        None where nobody can tell: the customer may have paid on Stripe's page, after a failure above all.
        """
        row, source = change.new, change.fact.source
        if not row.amount_paid:
            return None, None
        if charged := known.cards.get(row.payment_intent_id or ""):
            return charged
        attempt = ours.get(source.request_key or "")
        by_itself = source.origin == "event" and not source.requested and row.first_failed_at is None
        if attempt is None and not by_itself:
            return None, None
        named = attempt.request.get("params", {}).get("payment_method") if attempt else None
        subscription = known.subscriptions.get(row.stripe_subscription_id or "")
        default = row.default_payment_method or (subscription.default_payment_method if subscription else None)
        return await self._customers.card_of(tx, row.stripe_customer_id, named or default)

    async def _known(
        self, tx: Transaction, drafts: Sequence[Draft], subscriptions: Mapping[str, SubscriptionRow]
    ) -> Known:
        rows = [draft.change.new for draft in drafts]
        payments = await self._payments.of_intents(tx, [row.payment_intent_id for row in rows if row.payment_intent_id])
        stripe_ids = {row.stripe_subscription_id for row in rows}
        concerned = {stripe_id: row for stripe_id, row in subscriptions.items() if stripe_id in stripe_ids}
        products = {item["product"] for subscription in concerned.values() for item in subscription.items}
        prices = {item["price"] for subscription in concerned.values() for item in subscription.items}
        return Known(
            subscriptions=subscriptions,
            payments=payments,
            # Until the news of the payment is here, its charge is the one that failed before.
            cards=await self._payments.cards_of(tx, [row for row in payments.values() if row.status == "succeeded"]),
            dunning=await self._calendars(
                tx, {d.change.new.stripe_subscription_id for d in drafts if d.template != RECEIPT}, concerned
            ),
            tries=await self._dunning.tries(tx, [row.stripe_invoice_id for row in rows]),
            lines=await self._invoices.lines_of(tx, [row.id for row in rows]),
            product_names=await self._products.names(tx, sorted(products)) if products else {},
            prices=await self._products.prices(tx, sorted(prices)) if prices else {},
        )

    async def _calendars(
        self, tx: Transaction, failing: Collection[str | None], subscriptions: Mapping[str, SubscriptionRow]
    ) -> dict[str, Dunning | None]:
        rows = {stripe_id: row for stripe_id, row in subscriptions.items() if stripe_id in failing}
        unpaid = await self._invoices.unpaid_of(tx, list(rows)) if rows else {}
        return {
            stripe_id: await self._dunning.calendar(tx, row, unpaid.get(stripe_id, []))
            for stripe_id, row in rows.items()
        }

    def _fill(self, draft: Draft, known: Known) -> tuple[str, dict[str, Any]]:
        """Template and context. A failure that asks for the customer's confirmation is told as that."""
        row = draft.change.new
        subscription = known.subscriptions.get(row.stripe_subscription_id or "")
        if subscription:
            plan = plan_context(subscription, known.product_names, known.prices, self._manage_url)
        else:
            plan = {**_NO_PLAN, "manage_url": self._manage_url}
        context = {**plan, "currency": row.currency, "invoice_id": str(row.id), "number": row.number}
        if draft.template == RECEIPT:
            return RECEIPT, {**context, **_receipt(draft.change, known.lines.get(row.id, ()))}
        calendar = known.dunning.get(row.stripe_subscription_id or "")
        context |= _trouble(draft.change, calendar, known.tries.get(row.stripe_invoice_id))
        context |= _access(draft.change, calendar, subscription)
        code = failure_of(known.payments.get(row.payment_intent_id or ""))
        if draft.template == NEEDS_ACTION or code == _AUTHENTICATE:
            return NEEDS_ACTION, context
        return FAILED, {**context, "error_code": code}


def _customer_was_there(
    draft: Draft, subscriptions: Mapping[str, SubscriptionRow], ours: Mapping[str, Attempt]
) -> bool:
    """Whether a failure is no news to the customer: the answer to the request, or the page, has told it already."""
    if draft.template == RECEIPT:
        return False
    subscription = subscriptions.get(draft.change.new.stripe_subscription_id or "")
    if subscription is not None and subscription.status == "incomplete":
        return True
    attempt = ours.get(draft.change.fact.source.request_key or "")
    return attempt is not None and not attempt.request.get("params", {}).get("off_session")


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


def _happened(draft: Draft) -> datetime:
    paid_at, at = draft.change.fact.value.paid_at, draft.change.fact.source.at
    return paid_at if draft.template == RECEIPT and isinstance(paid_at, datetime) else at


def attempt_name(fact: InvoiceFacts) -> str:
    """What names one attempt to pay an invoice, the same in all events of it.

    Stripe counts only attempts of its own (and the very first); the others are requests.
    """
    if fact.source.request_key:
        return fact.source.request_key
    return (
        f"{fact.value.attempt_count}:{to_unix(fact.source.at)}"
        if fact.source.requested
        else str(fact.value.attempt_count)
    )


def failure_of(payment: Payment | None) -> str:
    """The code that tells why the last attempt on a payment failed; a general one where nobody knows."""
    if payment is not None and payment.stripe_status == "requires_action":
        return _AUTHENTICATE
    known = payment is not None and payment.error_code is not None
    return (
        decline_of(payment.error_code, payment.decline_code).code if payment and known else decline_of(None, None).code
    )


def _billed(invoice: Invoice) -> bool:
    """Whether there is anything to give a receipt for: the start of a trial costs nothing, a full discount does."""
    return bool(invoice.total or invoice.amount_paid or any(line.amount for line in invoice.lines))


def _trouble(change: InvoiceChange, dunning: Dunning | None, tries: int | None) -> dict[str, Any]:
    """What failed, and what comes next: from the calendar of the subscription, else from the invoice itself."""
    row, invoice, at = change.new, change.fact.value, change.fact.source.at
    own = dunning is not None and dunning.stripe_invoice_id == row.stripe_invoice_id
    next_at = None if invoice.next_payment_attempt is UNSET else invoice.next_payment_attempt
    if own and next_at is None and dunning:
        next_at = dunning.next_payment_attempt
    return {
        "amount_due": invoice.amount_remaining,
        "failed_at": _text(at),
        "attempt": dunning.attempts if own and dunning else max(tries or invoice.attempt_count, 1),
        "next_attempt_at": _text(next_at if next_at and next_at > at else None),
        "pay_url": row.hosted_invoice_url,
    }


def _access(change: InvoiceChange, dunning: Dunning | None, subscription: SubscriptionRow | None) -> dict[str, Any]:
    """Until when there is access, or that there is none: nothing where access does not hang on what is overdue."""
    ends = dunning.access_until if dunning and subscription and _is_behind(change.new, subscription) else None
    gone = ends is not None and ends <= change.fact.source.at
    return {"access_until": None if gone else _text(ends), "access_gone": gone}


def _is_behind(row: InvoiceRow, subscription: SubscriptionRow) -> bool:
    """Whether a subscription is past due, or about to be: the failure of its newest invoice may be heard of first."""
    if subscription.pause_collection is not None:
        return False
    newest = subscription.latest_invoice_id == row.stripe_invoice_id and subscription.pending_update is None
    return subscription.status == "past_due" or (subscription.status == "active" and newest)


def _receipt(change: InvoiceChange, lines: Sequence[LineRow]) -> dict[str, Any]:
    row, invoice = change.new, change.fact.value
    paid_at = invoice.paid_at if isinstance(invoice.paid_at, datetime) else change.fact.source.at
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
        "more_lines": None if row.more_lines else max(len(lines) - _LINES_MOST, 0),
        "paid_at": _text(paid_at),
        "invoice_url": row.hosted_invoice_url,
        "recovered": _recovered(row),
    }


def _recovered(row: InvoiceRow) -> bool:
    """Whether a renewal is paid at last that had failed before."""
    failed = row.first_failed_at is not None or row.attempt_count > 1
    return failed and row.stripe_subscription_id is not None and row.billing_reason != "subscription_create"


def _text(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
