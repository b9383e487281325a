"""What the rows of subscriptions with their items, of invoices with their lines, and of schedules must show."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET

from tallystick.core.clock import to_unix
from tallystick.reconciliation.compare_rules import Expected, Mirrored, printed
from tallystick.stripe_gateway.objects_billing import Invoice, InvoiceLine, Subscription, SubscriptionItem
from tallystick.stripe_gateway.objects_schedules import Schedule

__all__ = ["INVOICE", "SCHEDULE", "SUBSCRIPTION"]

_LINES = """
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', l.stripe_line_id, 'amount', l.amount::bigint, 'discount', l.discount::bigint, 'currency', l.currency,
        'description', l.description, 'quantity', l.quantity, 'start', extract(epoch FROM l.period_start)::bigint,
        'end', extract(epoch FROM l.period_end)::bigint, 'price', l.price_id, 'product', l.product_id,
        'proration', l.proration, 'subscription', l.stripe_subscription_id, 'subscription_item', l.subscription_item
        ) ORDER BY l.position), '[]') FROM invoice_lines l WHERE l.invoice_id = t.id) AS lines
"""
_SAME_NAME = (
    "status", "metadata", "currency", "start_date", "billing_cycle_anchor", "trial_start", "trial_end",
    "trial_without_method", "cancel_at", "cancel_at_period_end", "canceled_at", "ended_at", "cancellation_reason",
    "cancellation_feedback", "cancellation_comment", "collection_method", "days_until_due", "default_payment_method",
    "discounts",
)  # fmt: skip
_INVOICE_SAME_NAME = (
    "number", "status", "billing_reason", "currency", "subtotal", "discount", "tax", "total", "amount_due",
    "amount_paid", "amount_remaining", "starting_balance", "ending_balance", "attempted", "attempt_count",
    "next_payment_attempt", "auto_advance", "collection_method", "due_date", "period_start", "period_end",
    "finalized_at", "paid_at", "voided_at", "marked_uncollectible_at", "hosted_invoice_url", "invoice_pdf",
    "default_payment_method", "metadata", "deleted",
)  # fmt: skip


def _subscription(subscription: Subscription, installation: str) -> Expected:
    expected = {
        **{name: getattr(subscription, name) for name in _SAME_NAME},
        "stripe_customer_id": subscription.customer,
        "latest_invoice_id": subscription.latest_invoice,
        "pending_setup_intent_id": subscription.pending_setup_intent,
        "schedule_id": subscription.schedule,
        "pause_collection": subscription.pause_collection,
        "pending_update": UNSET
        if subscription.pending_update is UNSET
        else _pending(subscription.pending_update or {}),
        "created_at": subscription.created,
    }
    if subscription.items:
        first = subscription.items[0]
        expected["items"] = [_item(item) for item in subscription.items]
        expected |= {"product_id": first.price.product, "price_id": first.price.id, "quantity": first.quantity}
    periods = [item for item in subscription.items if item.current_period_end is not None]
    if periods:
        next_billed = min(periods, key=lambda item: to_unix(item.current_period_end or subscription.created))
        expected["current_period_start"] = next_billed.current_period_start
        expected["current_period_end"] = next_billed.current_period_end
    metadata = subscription.metadata
    if metadata.get("tallystick_installation") == installation and "tallystick_subscription" in metadata:
        expected["claimed"] = True
    return printed(expected)


def _item(item: SubscriptionItem) -> dict[str, Any]:
    price = item.price
    every = price.recurring or {}
    return {
        "id": item.id,
        "price": price.id,
        "product": price.product,
        "quantity": item.quantity,
        "currency": price.currency,
        "unit_amount": price.unit_amount,
        "unit_amount_decimal": price.unit_amount_decimal,
        "billing_scheme": price.billing_scheme,
        "interval": every.get("interval"),
        "interval_count": every.get("interval_count"),
        "usage_type": every.get("usage_type"),
        "current_period_start": _text(item.current_period_start),
        "current_period_end": _text(item.current_period_end),
    }


def _pending(update: Mapping[str, Any]) -> dict[str, Any] | None:
    told = {name: value for name, value in update.items() if value is not None}
    if told.get("subscription_items"):
        told["subscription_items"] = [
            {"id": one.get("id"), "price": {"id": one["price"]["id"]}, "quantity": one.get("quantity")}
            for one in told["subscription_items"]
        ]
    return told or None


def _invoice(invoice: Invoice, installation: str) -> Expected:
    return printed(
        {
            **{name: getattr(invoice, name) for name in _INVOICE_SAME_NAME},
            "stripe_customer_id": invoice.customer,
            "stripe_subscription_id": invoice.subscription,
            "payment_intent_id": invoice.payment_intent,
            # Of the first of them nothing follows about the others: whoever compares asks for all.
            "lines": UNSET if invoice.more_lines else [_line(line) for line in invoice.lines],
            "created_at": invoice.created,
        }
    )


def _line(line: InvoiceLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "amount": line.amount,
        "discount": line.discount,
        "currency": line.currency,
        "description": line.description,
        "quantity": line.quantity,
        "start": None if line.period_start is None else to_unix(line.period_start),
        "end": None if line.period_end is None else to_unix(line.period_end),
        "price": line.price,
        "product": line.product,
        "proration": line.proration,
        "subscription": line.subscription,
        "subscription_item": line.subscription_item,
    }


def _schedule(schedule: Schedule, installation: str) -> Expected:
    return {
        # One that was canceled names its subscription no more, and the row keeps it.
        **({"stripe_subscription_id": schedule.subscription} if schedule.subscription else {}),
        "stripe_customer_id": schedule.customer,
        "status": schedule.status,
        "end_behavior": schedule.end_behavior,
        "current_start": schedule.current_start,
        "phases": [
            {"start": to_unix(phase.start), "end": to_unix(phase.end), "items": [list(item) for item in phase.items]}
            for phase in schedule.phases
        ],
        "metadata": schedule.metadata,
        "created_at": schedule.created,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


SUBSCRIPTION = Mirrored(_subscription, own=frozenset({"flagged", "activated_at"}))
INVOICE = Mirrored(_invoice, own=frozenset({"more_lines", "first_failed_at"}), extra=_LINES)
SCHEDULE = Mirrored(_schedule)
