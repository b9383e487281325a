"""A subscription's state: how Stripe's object becomes a row, and which of two states is the newer one.

Pure. Times of events are whole seconds, so within one second the event's own `previous_attributes` decide; what stays
open is applied, marked unsure, and fetched.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from tallystick.stripe_gateway.objects import pick
from tallystick.stripe_gateway.objects_billing import Subscription, SubscriptionItem
from tallystick.stripe_gateway.ordering import Verdict
from tallystick.subscriptions.models import TERMINAL, SubscriptionFacts, SubscriptionRow

__all__ = ["ACTIVE", "CREATED", "DELETED", "STATE", "UPDATED", "blank", "judge", "text_of", "with_state"]

CREATED = "customer.subscription.created"
UPDATED = "customer.subscription.updated"
DELETED = "customer.subscription.deleted"

ACTIVE = frozenset({"active", "trialing"})
"""Statuses with which a subscription begins to be worth something."""

STATE = (
    "stripe_customer_id", "status", "current_period_start", "current_period_end", "trial_start", "trial_end",
    "cancel_at_period_end", "canceled_at", "metadata", "currency", "items", "discounts", "start_date",
    "billing_cycle_anchor", "trial_without_method", "cancel_at", "ended_at", "cancellation_reason",
    "cancellation_feedback", "cancellation_comment", "collection_method", "days_until_due", "default_payment_method",
    "latest_invoice_id", "pending_setup_intent_id", "schedule_id", "pause_collection", "pending_update",
)  # fmt: skip
"""The columns that mirror Stripe's object (product, price and quantity follow from the items)."""


def text_of(at: datetime | None) -> str | None:
    """A time as it stands in our JSON: RFC 3339."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def blank(row_id: UUID, value: Subscription, now: datetime) -> SubscriptionRow:
    """A row of which no state is known yet."""
    empty: dict[str, Any] = dict.fromkeys(SubscriptionRow.__struct_fields__)
    empty |= {"status": value.status, "cancel_at_period_end": False, "metadata": {}, "items": [], "discounts": []}
    empty |= {"claimed": False, "flagged": False, "revision": 0, "unsure": False}
    known = {"id": row_id, "stripe_subscription_id": value.id, "created_at": value.created, "updated_at": now}
    return SubscriptionRow(**{**empty, **known})


def with_state(row: SubscriptionRow, value: Subscription) -> SubscriptionRow:
    """The row as `value` shows it; a field that its payload did not have stays as it was."""
    items = [_item(item) for item in value.items] or row.items
    first = items[0] if items else {}
    start, end = _period(value.items) or (row.current_period_start, row.current_period_end)
    return replace(
        row,
        stripe_subscription_id=value.id,
        stripe_customer_id=value.customer or row.stripe_customer_id,
        status=value.status,
        product_id=first.get("product"),
        price_id=first.get("price"),
        quantity=first.get("quantity"),
        items=items,
        current_period_start=start,
        current_period_end=end,
        metadata=value.metadata,
        currency=pick(value.currency, row.currency),
        start_date=pick(value.start_date, row.start_date),
        billing_cycle_anchor=pick(value.billing_cycle_anchor, row.billing_cycle_anchor),
        trial_start=pick(value.trial_start, row.trial_start),
        trial_end=pick(value.trial_end, row.trial_end),
        trial_without_method=pick(value.trial_without_method, row.trial_without_method),
        cancel_at=pick(value.cancel_at, row.cancel_at),
        cancel_at_period_end=pick(value.cancel_at_period_end, row.cancel_at_period_end),
        canceled_at=pick(value.canceled_at, row.canceled_at),
        ended_at=pick(value.ended_at, row.ended_at),
        cancellation_reason=pick(value.cancellation_reason, row.cancellation_reason),
        cancellation_feedback=pick(value.cancellation_feedback, row.cancellation_feedback),
        cancellation_comment=pick(value.cancellation_comment, row.cancellation_comment),
        collection_method=pick(value.collection_method, row.collection_method),
        days_until_due=pick(value.days_until_due, row.days_until_due),
        default_payment_method=pick(value.default_payment_method, row.default_payment_method),
        latest_invoice_id=pick(value.latest_invoice, row.latest_invoice_id),
        pending_setup_intent_id=pick(value.pending_setup_intent, row.pending_setup_intent_id),
        schedule_id=pick(value.schedule, row.schedule_id),
        pause_collection=pick(value.pause_collection, row.pause_collection),
        pending_update=_pending(pick(value.pending_update, row.pending_update)),
        discounts=pick(value.discounts, row.discounts),
    )


def judge(row: SubscriptionRow, fact: SubscriptionFacts, *, left: bool) -> Verdict:
    """What a state does to its row. `left`: another event of the same second leads away from what this one leads to.

    A status that is final is never left, and comes through whatever its time; the state in which a subscription was
    made is older than any other.
    """
    value, source = fact.value, fact.source
    if row.state_at is None or source.mends(row.revision):
        return Verdict.APPLY
    if (value.status in TERMINAL) != (row.status in TERMINAL):
        return Verdict.APPLY if value.status in TERMINAL else Verdict.KEEP
    if source.event_type == CREATED:
        return Verdict.KEEP
    if source.unmoved(row.revision):
        return Verdict.APPLY
    if source.at > row.state_at:
        return Verdict.UNSURE if _overtaken(row, fact) else Verdict.APPLY
    if source.at < row.state_at:
        return Verdict.KEEP
    return _within_the_second(row, fact, left=left)


def _overtaken(row: SubscriptionRow, fact: SubscriptionFacts) -> bool:
    """Whether an answer's time may deceive: it is the time at which it left Stripe, not that of the state it shows.

    What moved the row since the request was sent may have come between the two.
    """
    asked_before = fact.source.origin != "event" and fact.source.base_revision is not None
    return asked_before and _state(row) != _state(with_state(row, fact.value))


def _within_the_second(row: SubscriptionRow, fact: SubscriptionFacts, *, left: bool) -> Verdict:
    shown, state = _state(row), _state(with_state(row, fact.value))
    if shown == state:
        return Verdict.UNSURE if left else Verdict.KEEP
    if fact.before is None:
        return Verdict.UNSURE
    before = _state(with_state(row, fact.before))
    changed = {name for name in STATE if before[name] != state[name]}
    if _equal(shown, before, changed) and _equal(shown, state, set(STATE) - changed) and not left:
        # What follows a state that is in doubt is in doubt.
        return Verdict.UNSURE if row.unsure else Verdict.APPLY
    if changed and _equal(shown, state, changed):
        return Verdict.UNSURE if left else Verdict.KEEP
    return Verdict.UNSURE


def _state(row: SubscriptionRow) -> Mapping[str, Any]:
    return {name: getattr(row, name) for name in STATE}


def _equal(one: Mapping[str, Any], other: Mapping[str, Any], names: Collection[str]) -> bool:
    return all(one[name] == other[name] for name in names)


def _item(item: SubscriptionItem) -> dict[str, Any]:
    price, recurring = item.price, item.price.recurring or {}
    return {
        "id": item.id,
        "price": price.id,
        "product": price.product,
        "quantity": item.quantity,
        "currency": price.currency,
        "unit_amount": price.unit_amount,
        "unit_amount_decimal": price.unit_amount_decimal,
        "billing_scheme": price.billing_scheme,
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "usage_type": recurring.get("usage_type"),
        "current_period_start": text_of(item.current_period_start),
        "current_period_end": text_of(item.current_period_end),
    }


def _pending(update: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What of a pending update is the same at every version: what is set, and of its items what they are to be."""
    if not update:
        return None
    kept = {name: value for name, value in update.items() if value is not None}
    if items := kept.get("subscription_items"):
        kept["subscription_items"] = [
            {"id": item.get("id"), "price": {"id": item["price"]["id"]}, "quantity": item.get("quantity")}
            for item in items
        ]
    return kept


def _period(items: Sequence[SubscriptionItem]) -> tuple[datetime | None, datetime] | None:
    """That of the item which is billed next."""
    ends = [(item.current_period_end, item.current_period_start) for item in items if item.current_period_end]
    if not ends:
        return None
    end, start = min(ends, key=lambda period: period[0])
    return start, end
