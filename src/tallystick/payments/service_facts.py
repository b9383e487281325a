"""Which facts about payments the host application hears of, and under which key, so that each is told once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, UnsetType

from tallystick.customers.models import User
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_models import FactType, NewFact
from tallystick.payments.errors import decline_of
from tallystick.payments.models import DisputeFacts, DisputeRow, IntentFacts, Payment, RefundFacts, RefundRow
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.service_mails import failure_key
from tallystick.payments.views import dispute_view, payment_view, refund_view
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.objects import Failure

__all__ = ["FACT_TYPES", "PaymentFacts", "Told", "dispute_told", "intent_told", "refund_told"]

_CLOSED = frozenset({"won", "lost", "warning_closed", "prevented"})


class Told(Struct, frozen=True):
    """A fact before the payment's owner is known; `part` joins the payment in its data, `event_id` told it."""

    intent_id: str
    type: str
    key: str
    at: datetime
    part: dict[str, Any]
    event_id: str | None


class PaymentFacts:
    """Hands facts about payments that we made to the outbox, with the payment as it is after the transaction."""

    def __init__(self, payments: PaymentRepository, outbound: OutboundService) -> None:
        self._payments = payments
        self._outbound = outbound

    async def record(
        self, tx: Transaction, payments: dict[str, Payment], told: Iterable[Told], users: Mapping[UUID, User]
    ) -> None:
        """`users` are the owners of the payments."""
        told = [fact for fact in told if payments[fact.intent_id].claimed]
        if not told:
            return
        # Refunds change their payment's row by SQL: what is told is what the row says at the end.
        stale = {fact.intent_id for fact in told if "refund" in fact.part}
        if stale:
            rows = await self._payments.lock_many(tx, sorted(stale), [])
            payments = {**payments, **{str(row.stripe_payment_intent_id): row for row in rows}}
        facts = []
        for fact in told:
            payment = payments[fact.intent_id]
            user = users.get(payment.user_id) if payment.user_id else None
            data = {"user": user.external_id if user else None, "payment": payment_view(payment), **fact.part}
            key = f"{fact.type}:{fact.key}"
            facts.append(NewFact(fact.type, key, f"payment:{payment.id}", fact.at, data, fact.event_id))
        await self._outbound.record_facts(tx, facts)


def intent_told(payment: Payment, fact: IntentFacts) -> list[Told]:
    """What a payment intent's state tells."""
    intent, at, event_id = fact.value, fact.source.at, fact.source.event_id
    if intent.status == "succeeded":
        return [Told(intent.id, "payment.succeeded", str(payment.id), at, {}, event_id)]
    if intent.status == "canceled":
        canceled_at = None if isinstance(intent.canceled_at, UnsetType) else intent.canceled_at
        return [Told(intent.id, "payment.canceled", str(payment.id), canceled_at or at, {}, event_id)]
    told = []
    if fact.source.event_type == "payment_intent.requires_action" and event_id:
        told.append(Told(intent.id, "payment.requires_action", event_id, at, {}, event_id))
    if isinstance(intent.failure, Failure) and (key := failure_key(fact, intent.failure)):
        decline = decline_of(intent.failure.code, intent.failure.decline_code)
        failure = {"code": decline.code, "message": decline.message, "suggested_action": decline.action}
        told.append(Told(intent.id, "payment.failed", key, at, {"failure": failure}, event_id))
    return told


def refund_told(facts: Sequence[RefundFacts], rows: dict[str, RefundRow]) -> list[Told]:
    """What refunds' states tell; a released authorisation is no refund."""
    told = []
    for fact in facts:
        refund, row = fact.value, rows.get(fact.value.id)
        if refund.release or row is None or refund.payment_intent is None:
            continue
        part, event_id = {"refund": refund_view(row)}, fact.source.event_id
        if refund.status in ("pending", "succeeded"):
            told.append(Told(refund.payment_intent, "payment.refunded", refund.id, refund.created, part, event_id))
        elif refund.status == "failed":
            told.append(Told(refund.payment_intent, "refund.failed", refund.id, fact.source.at, part, event_id))
    return told


def dispute_told(facts: Sequence[DisputeFacts], rows: dict[str, DisputeRow]) -> list[Told]:
    """What disputes' states tell: that there is one, and each time that it is closed (a lost one may be appealed)."""
    told = []
    for fact in facts:
        dispute, row = fact.value, rows.get(fact.value.id)
        if row is None or dispute.payment_intent is None:
            continue
        part, event_id = {"dispute": dispute_view(row)}, fact.source.event_id
        told.append(Told(dispute.payment_intent, "dispute.created", dispute.id, dispute.created, part, event_id))
        if dispute.status in _CLOSED:
            key = f"{dispute.id}:{dispute.status}"
            told.append(Told(dispute.payment_intent, "dispute.closed", key, fact.source.at, part, event_id))
    return told


_PAYMENT: dict[str, Any] = {
    "id": "0193f0c2-8a5d-7c3e-9f10-a1b2c3d4e5f6",
    "object": "payment",
    "stripe_payment_intent_id": "pi_3NXaXXLkdIwHu7ix0AAAAAAA",
    "status": "succeeded",
    "stripe_status": "succeeded",
    "amount": 1050,
    "currency": "usd",
    "amount_capturable": 0,
    "amount_received": 1050,
    "amount_refunded": 0,
    "capture_method": "automatic",
    "setup_future_usage": None,
    "payment_method": "pm_1NXaXXLkdIwHu7ixAAAAAAAA",
    "description": "Order 1001",
    "metadata": {"order": "1001"},
    "cancellation_reason": None,
    "canceled_at": None,
    "last_error": None,
    "created_at": "2026-01-31T11:59:58Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
_FAILURE = {
    "code": "INSUFFICIENT_FUNDS",
    "message": "The card has insufficient funds.",
    "suggested_action": "Use another card.",
}
_REFUND: dict[str, Any] = {
    "id": "0193f0c2-9b6e-7d4f-8a21-b2c3d4e5f6a7",
    "object": "refund",
    "stripe_refund_id": "re_3NXaXXLkdIwHu7ix0BBBBBBB",
    "payment_id": _PAYMENT["id"],
    "status": "succeeded",
    "amount": 500,
    "currency": "usd",
    "reason": "requested_by_customer",
    "failure_reason": None,
    "metadata": {},
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}
_DISPUTE: dict[str, Any] = {
    "stripe_dispute_id": "du_1NXaXXLkdIwHu7ixCCCCCCCC",
    "status": "needs_response",
    "reason": "fraudulent",
    "amount": 1050,
    "currency": "usd",
    "evidence_due_at": "2026-02-09T23:59:59Z",
    "created_at": "2026-01-31T12:00:00Z",
}


def _example(status: str, **part: Any) -> dict[str, Any]:
    changed = {"status": status, "stripe_status": "requires_payment_method" if status == "failed" else status}
    return {"user": "user-42", "payment": {**_PAYMENT, **changed}, **part}


FACT_TYPES = (
    FactType("payment.succeeded", "The money of a payment was taken.", _example("succeeded")),
    FactType(
        "payment.failed",
        "An attempt to pay failed; the payment can be tried again.",
        _example("failed", failure=_FAILURE),
    ),
    FactType("payment.canceled", "A payment was canceled; nothing was or will be taken.", _example("canceled")),
    FactType(
        "payment.requires_action", "The customer has to confirm a payment (3D Secure).", _example("requires_action")
    ),
    FactType(
        "payment.refunded",
        "A refund of a payment, or of a part of it, is on its way.",
        _example("succeeded", refund=_REFUND),
    ),
    FactType(
        "refund.failed",
        "A refund came back: the customer does not have the money.",
        _example("succeeded", refund={**_REFUND, "status": "failed", "failure_reason": "lost_or_stolen_card"}),
    ),
    FactType("dispute.created", "A customer disputes a payment.", _example("succeeded", dispute=_DISPUTE)),
    FactType(
        "dispute.closed",
        "A dispute was decided: see its status.",
        _example("succeeded", dispute={**_DISPUTE, "status": "lost"}),
    ),
)
