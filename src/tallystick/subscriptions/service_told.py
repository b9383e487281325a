"""What a change of a subscription is worth telling: the mails it causes, and the facts for the host application.

Pure. What is told of the whole life of a subscription (welcome, its end) is known by the subscription, what is told of
one change by the event that tells it: so each is told once, whatever comes twice or in the wrong order.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from tallystick.core.clock import from_unix, to_unix
from tallystick.subscriptions.models import UNPAID_COMMENT, HistoryRow, SubscriptionFacts, SubscriptionRow
from tallystick.subscriptions.service_facts import Told
from tallystick.subscriptions.service_mails import Draft
from tallystick.subscriptions.states import ACTIVE, CREATED, text_of

__all__ = ["TRIAL_ENDING", "News", "begins", "news_of_change", "news_of_life", "news_of_notice"]

TRIAL_ENDING = "customer.subscription.trial_will_end"
_KINDS = {"customer.subscription.paused": "paused", "customer.subscription.resumed": "resumed"}
_REASONS = {
    "cancellation_requested": "requested",
    "payment_failed": "payment_failed",
    "payment_disputed": "dispute",
}


class News(Struct, frozen=True):
    """Mails and facts."""

    mails: list[Draft] = []
    facts: list[Told] = []

    def __add__(self, other: "News") -> "News":
        return News(self.mails + other.mails, self.facts + other.facts)


def begins(fact: SubscriptionFacts, *, claimed: bool) -> bool:
    """Whether a fact shows that a subscription began to be active or trialing while we were there.

    One that is not of our making may be years old when we first hear of it.
    """
    if fact.value.status not in ACTIVE:
        return False
    before = fact.before.status if fact.before else None
    return claimed or fact.source.origin == "answer" or fact.source.event_type == CREATED or before == "incomplete"


def news_of_life(row: SubscriptionRow, *, began: bool) -> News:
    """What is told once in the life of a subscription, as far as `row` shows it."""
    facts = [Told(row, "subscription.created", str(row.id), row.created_at)]
    mails = []
    if began and row.activated_at is not None:
        facts.append(Told(row, "subscription.activated", str(row.id), row.activated_at))
        key = f"subscription_welcome:{row.id}"
        mails.append(Draft(row, key, "subscription_welcome", _welcome(row), row.activated_at))
    if row.status == "canceled":
        ended_at = row.ended_at or row.canceled_at or row.updated_at
        facts.append(Told(row, "subscription.canceled", str(row.id), ended_at))
        if row.activated_at is not None:
            context = {"ended_at": text_of(ended_at), "reason": _reason(row, ended_at)}
            mails.append(Draft(row, f"subscription_canceled:{row.id}", "subscription_canceled", context, ended_at))
    return News(mails, facts)


def news_of_change(row: SubscriptionRow, told: HistoryRow, *, paused_keep: bool) -> News:
    """What one change that an event told is worth, by the event's own content."""
    assert told.new_values is not None
    change = {"action": told.action, "old": told.old_values, "new": told.new_values}
    at, new = told.performed_at, told.new_values
    news = News([], [Told(row, "subscription.updated", str(told.stripe_event_id), at, {"change": change})])
    if told.action == "cancel_scheduled":
        context = {
            "ends_at": new.get("cancel_at") or text_of(row.cancel_at or row.current_period_end),
            "requested_at": new.get("canceled_at") or text_of(at),
        }
        key = f"subscription_cancel_scheduled:{told.stripe_event_id}"
        return news + News([Draft(row, key, "subscription_cancel_scheduled", context, at)])
    if told.action in ("paused", "resumed"):
        return news + _pause(row, told.action, at, new.get("pause_collection"), paused_keep=paused_keep)
    return news


def news_of_notice(row: SubscriptionRow, fact: SubscriptionFacts, *, paused_keep: bool) -> News:
    """What an event tells that is no change: that a trial ends soon; or a pause, which a change may tell as well."""
    kind, at = fact.source.event_type or "", fact.source.at
    if kind in _KINDS:
        return _pause(row, _KINDS[kind], at, None, paused_keep=paused_keep)
    trial_end = fact.value.trial_end
    if kind != TRIAL_ENDING or not isinstance(trial_end, datetime):
        return News()
    key = f"{row.id}:{to_unix(trial_end)}"
    context = {"trial_end": text_of(trial_end), "without_card": row.trial_without_method or "create_invoice"}
    return News(
        [Draft(row, f"trial_ending:{key}", "trial_ending", context, at)],
        [Told(row, "subscription.trial_ending", key, at)],
    )


def _pause(
    row: SubscriptionRow, what: str, at: datetime, pause: Mapping[str, Any] | None, *, paused_keep: bool
) -> News:
    key = f"{row.id}:{to_unix(at)}"
    facts = [Told(row, f"subscription.{what}", key, at)]
    if what == "resumed":
        context = {"resumed_at": text_of(at)}
        return News([Draft(row, f"subscription_resumed:{key}", "subscription_resumed", context, at)], facts)
    if pause is None:
        # Stripe's own status `paused` ends access, and the mail about that says it.
        return News([], facts)
    resumes_at = pause.get("resumes_at")
    paused = {
        "paused_at": text_of(at),
        "resumes_at": text_of(from_unix(resumes_at)) if resumes_at else None,
        "access": paused_keep,
    }
    return News([Draft(row, f"subscription_paused:{key}", "subscription_paused", paused, at)], facts)


def _welcome(row: SubscriptionRow) -> dict[str, Any]:
    trialing = row.status == "trialing"
    due = row.trial_end if trialing else row.current_period_end
    return {
        "status": "trialing" if trialing else "active",
        "trial_end": text_of(row.trial_end) if trialing else None,
        "next_payment_at": None if row.cancel_at_period_end or row.cancel_at else text_of(due),
    }


def _reason(row: SubscriptionRow, ended_at: datetime) -> str:
    """Why it ended. A trial that ends for want of a payment method ends at its time, and nobody asked for that."""
    unasked = row.canceled_at is None or row.canceled_at == ended_at
    if row.trial_end is not None and abs((row.trial_end - ended_at).total_seconds()) <= 1 and unasked:
        return "trial_over"
    if row.cancellation_comment == UNPAID_COMMENT:
        return "payment_failed"
    return _REASONS.get(row.cancellation_reason or "", "other")
