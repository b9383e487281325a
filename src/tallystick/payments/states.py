"""Which state is the newer one. Pure rules; everything that changes a mirrored row asks them.

Stripe's events carry whole seconds and come in any order, so "newer `created` wins" does not decide the normal
case in which an intent is created, charged and done within one second. What time leaves open, the state machine
decides where it can (a final state is never left); what both leave open is applied, marked unsure, and fetched.
"""

from datetime import datetime

from msgspec import UNSET

from tallystick.payments.models import (
    ChargeFacts,
    ChargeRow,
    DisputeFacts,
    DisputeRow,
    IntentFacts,
    Payment,
    RefundFacts,
    RefundRow,
)
from tallystick.stripe_gateway.objects import Failure, PaymentIntent
from tallystick.stripe_gateway.ordering import Source, Verdict

__all__ = [
    "FINAL",
    "REFUND_COUNTED",
    "REFUND_RESERVED",
    "judge_charge",
    "judge_dispute",
    "judge_intent",
    "judge_refund",
    "payment_status",
]

FINAL = frozenset({"succeeded", "canceled"})
REFUND_COUNTED = ("pending", "requires_action", "succeeded")
REFUND_RESERVED = ("requested", "unknown", *REFUND_COUNTED)


def payment_status(intent: PaymentIntent) -> str:
    """Our status: Stripe's, but `failed` where the last attempt failed and a new method is awaited."""
    if intent.status == "requires_payment_method" and isinstance(intent.failure, Failure):
        return "failed"
    return intent.status


def _told_later(row_at: datetime, source: Source) -> bool:
    """Whether an event tells a state that is newer than the row's for certain.

    The time of a write's answer is the one at which it left Stripe: what has moved the row since it was asked for may
    be newer than the state that it shows.
    """
    return source.at > row_at and source.origin == "event"


def judge_intent(row: Payment, facts: IntentFacts) -> Verdict:
    """A payment intent's state against its row (state machine: docs.stripe.com/payments/paymentintents/lifecycle)."""
    new, old = facts.value.status, row.stripe_status
    if row.state_at is None or old is None:
        return Verdict.APPLY
    if facts.source.mends(row.revision):
        return Verdict.APPLY
    if (old in FINAL) != (new in FINAL):
        return Verdict.APPLY if new in FINAL else Verdict.KEEP
    if facts.source.unmoved(row.revision) or _told_later(row.state_at, facts.source):
        return Verdict.APPLY
    if facts.source.at < row.state_at:
        return Verdict.KEEP
    return _judge_same_second(row, facts)


def _judge_same_second(row: Payment, facts: IntentFacts) -> Verdict:
    intent, old = facts.value, row.stripe_status
    if _same_intent(row, intent) or facts.source.event_type == "payment_intent.created":
        return Verdict.KEEP
    if old in FINAL or (old == "requires_capture") != (intent.status == "requires_capture"):
        # From requires_capture an intent only ends; so of two open states of a second it is the later one.
        return Verdict.APPLY if intent.status == "requires_capture" or old in FINAL else Verdict.KEEP
    if _as_created(row) and row.state_at == intent.created:
        return Verdict.APPLY
    return Verdict.UNSURE


def _same_intent(row: Payment, intent: PaymentIntent) -> bool:
    failure = intent.failure if isinstance(intent.failure, Failure) else None
    return (
        row.stripe_status == intent.status
        and intent.amount_capturable in (UNSET, row.amount_capturable)
        and intent.amount_received in (UNSET, row.amount_received)
        and intent.latest_charge in (UNSET, row.latest_charge_id)
        and intent.payment_method in (UNSET, row.payment_method)
        and row.error_code == (failure.code if failure else None)
        and row.decline_code == (failure.decline_code if failure else None)
    )


def _as_created(row: Payment) -> bool:
    """Whether the row shows an intent on which nothing was tried yet."""
    return (
        row.status in ("requires_payment_method", "requires_confirmation")
        and row.latest_charge_id is None
        and row.error_code is None
    )


_REFUND_RANK = {
    "requested": -1,
    "unknown": -1,
    "pending": 0,
    "requires_action": 0,
    "succeeded": 1,
    "failed": 2,
    "canceled": 2,
}


def judge_refund(row: RefundRow, facts: RefundFacts) -> Verdict:
    """A refund goes pending → succeeded → (sometimes) failed, never back; a rejected reservation counts as nothing."""
    if row.stripe_refund_id is None or row.state_at is None or facts.source.mends(row.revision):
        return Verdict.APPLY
    old, new = _REFUND_RANK.get(row.status, 0), _REFUND_RANK.get(facts.value.status, 0)
    if old != new:
        return Verdict.APPLY if new > old else Verdict.KEEP
    if facts.source.unmoved(row.revision) or _told_later(row.state_at, facts.source):
        return Verdict.APPLY
    if facts.source.at < row.state_at or row.status == facts.value.status:
        return Verdict.KEEP
    return Verdict.UNSURE


_DISPUTE_RANK = {
    "warning_needs_response": 0,
    "warning_under_review": 1,
    "needs_response": 2,
    "under_review": 3,
    "won": 4,
    "lost": 4,
    "warning_closed": 4,
    "prevented": 4,
}


def judge_dispute(row: DisputeRow, facts: DisputeFacts) -> Verdict:
    """Newer wins; within a second the later stage does (a lost dispute may be appealed, so none is final for ever)."""
    if facts.source.unmoved(row.revision) or _told_later(row.state_at, facts.source):
        return Verdict.APPLY
    if facts.source.at < row.state_at or row.status == facts.value.status:
        return Verdict.KEEP
    old, new = _DISPUTE_RANK.get(row.status, 5), _DISPUTE_RANK.get(facts.value.status, 5)
    if old == new or (new < old and facts.source.at > row.state_at):
        return Verdict.UNSURE
    return Verdict.APPLY if new > old else Verdict.KEEP


def judge_charge(row: ChargeRow, facts: ChargeFacts) -> Verdict:
    """Newer wins; within a second the state that went further, if it went further in everything."""
    charge = facts.value
    if facts.source.unmoved(row.revision) or _told_later(row.state_at, facts.source):
        return Verdict.APPLY
    if facts.source.at < row.state_at:
        return Verdict.KEEP
    old = (row.status != "pending", row.captured, row.amount_captured, row.amount_refunded, row.disputed)
    new = (
        charge.status != "pending",
        charge.captured,
        row.amount_captured if charge.amount_captured is UNSET else charge.amount_captured,
        row.amount_refunded if charge.amount_refunded is UNSET else charge.amount_refunded,
        row.disputed if charge.disputed is UNSET else charge.disputed,
    )
    if new == old:
        return Verdict.KEEP
    if all(ours <= theirs for ours, theirs in zip(old, new, strict=True)):
        return Verdict.APPLY
    if facts.source.at == row.state_at and all(ours >= theirs for ours, theirs in zip(old, new, strict=True)):
        return Verdict.KEEP
    return Verdict.UNSURE
