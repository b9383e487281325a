"""Which mail a fact about a payment causes, and under which key, so that each is queued once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.core.clock import Clock
from tallystick.customers.models import User
from tallystick.notifications.models import MailRequest
from tallystick.notifications.service import NotificationService
from tallystick.payments.errors import decline_of
from tallystick.payments.models import IntentFacts, Payment, RefundFacts
from tallystick.payments.repository_mirror import cards_of
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.objects import Failure
from tallystick.stripe_gateway.ordering import Source

__all__ = ["Draft", "PaymentMails", "failure_key", "intent_mail", "refund_mail"]


class Draft(Struct, frozen=True):
    """A mail before its recipient is known; `at` is when that happened which it tells, `event_id` who told it."""

    payment: Payment
    business_key: str
    template: str
    context: dict[str, Any]
    at: datetime
    event_id: str | None


class PaymentMails:
    """Addresses drafts to the owners of their payments and queues them."""

    def __init__(self, clock: Clock, notifications: NotificationService) -> None:
        self._clock = clock
        self._notifications = notifications

    async def queue(self, tx: Transaction, drafts: Sequence[Draft], users: Mapping[UUID, User]) -> None:
        """Queue the drafts about payments that we made to their `users`; an owner without an address gets none."""
        drafts = [draft for draft in drafts if draft.payment.claimed and draft.payment.user_id]
        if not drafts:
            return
        charge_ids = {draft.payment.latest_charge_id for draft in drafts if draft.payment.latest_charge_id}
        cards = await cards_of(tx, list(charge_ids))
        requests = []
        for draft in drafts:
            user = users[draft.payment.user_id] if draft.payment.user_id else None
            if user is None or not user.email:
                continue
            brand, last4 = cards.get(draft.payment.latest_charge_id or "", (None, None))
            requests.append(
                MailRequest(
                    business_key=draft.business_key,
                    template=draft.template,
                    recipient=user.email,
                    locale=user.locale,
                    context={**draft.context, "card_brand": brand, "card_last4": last4},
                    user_id=user.id,
                    due_at=self._clock.now(),
                    happened_at=draft.at,
                    event_id=draft.event_id,
                )
            )
        if requests:
            await self._notifications.queue_mails(tx, requests)


def intent_mail(payment: Payment, fact: IntentFacts) -> Draft | None:
    """The mail that a payment intent's state is worth: its success, or the failure of one attempt on it."""
    intent, at = fact.value, _text(fact.source.at)
    if intent.status == "succeeded":
        key = f"payment_confirmation:{payment.id}"
        context = {**_context(payment), "amount": _received(payment), "paid_at": at}
        happened_at = _happened(fact.source, payment.created_at)
        return Draft(payment, key, "payment_confirmation", context, happened_at, fact.source.event_id)
    if not isinstance(intent.failure, Failure):
        return None
    key_of_failure = failure_key(fact, intent.failure)
    if key_of_failure is None:
        return None
    decline = decline_of(intent.failure.code, intent.failure.decline_code)
    context = {**_context(payment), "error_code": decline.code, "failed_at": at}
    happened_at = _happened(fact.source, payment.created_at)
    key = f"payment_failed:{key_of_failure}"
    return Draft(payment, key, "payment_failed", context, happened_at, fact.source.event_id)


def refund_mail(payment: Payment, fact: RefundFacts, refund_id: UUID | None) -> Draft | None:
    """The mail that a refund's state is worth: that it is on its way, or that it came back."""
    refund = fact.value
    if refund.release:
        return None
    context = {
        **_context(payment),
        "refund_id": str(refund_id or refund.id),
        "amount": refund.amount,
        "payment_amount": _received(payment),
        "refunded_at": _text(refund.created),
    }
    if refund.status in ("pending", "succeeded"):
        return Draft(payment, f"refund:{refund.id}", "refund", context, refund.created, fact.source.event_id)
    if refund.status == "failed":
        happened_at = _happened(fact.source, refund.created)
        key = f"refund_failed:{refund.id}"
        return Draft(payment, key, "refund_failed", context, happened_at, fact.source.event_id)
    return None


def failure_key(fact: IntentFacts, failure: Failure) -> str | None:
    """What names one failed attempt: its charge, or where none was made the event that tells of it."""
    if failure.charge_id:
        return failure.charge_id
    if fact.source.event_type == "payment_intent.payment_failed":
        return fact.source.event_id
    return None


def _happened(source: Source, began_at: datetime) -> datetime:
    """When a state came about: a fetch knows only that it was after the beginning."""
    return began_at if source.origin == "fetch" else source.at


def _context(payment: Payment) -> dict[str, Any]:
    return {
        "payment_id": str(payment.id),
        "amount": payment.amount,
        "currency": payment.currency,
        "description": payment.description,
    }


def _received(payment: Payment) -> int:
    """What was taken: less than the payment's amount after a partial capture."""
    return payment.amount_received or payment.amount


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
