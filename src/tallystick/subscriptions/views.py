"""Subscriptions as the API shows them. A client secret joins only the answer itself, never what is stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tallystick.core.clock import from_unix
from tallystick.customers.views import RESERVED
from tallystick.entitlements.models import Grant
from tallystick.stripe_gateway.objects_billing import Invoice, InvoiceLine
from tallystick.subscriptions.dunning import Dunning
from tallystick.subscriptions.models import HistoryRow, SubscriptionRow
from tallystick.subscriptions.models_schedules import ScheduledChange

__all__ = ["details_view", "history_view", "line_view", "preview_view", "subscription_view"]

_ITEM = ("id", "price", "product", "quantity", "unit_amount", "unit_amount_decimal", "currency", "interval")


def subscription_view(row: SubscriptionRow, *, staff: bool = False) -> dict[str, Any]:
    """A subscription; amounts in minor units. Staff also see whose it is."""
    view: dict[str, Any] = {
        "id": row.id,
        "object": "subscription",
        "stripe_subscription_id": row.stripe_subscription_id,
        "status": row.status,
        "price": row.price_id,
        "product": row.product_id,
        "quantity": row.quantity,
        "currency": row.currency,
        "items": [{name: item.get(name) for name in (*_ITEM, "interval_count")} for item in row.items],
        "discounts": row.discounts,
        "current_period_start": row.current_period_start,
        "current_period_end": row.current_period_end,
        "trial_start": row.trial_start,
        "trial_end": row.trial_end,
        "cancel_at_period_end": row.cancel_at_period_end,
        "cancel_at": row.cancel_at,
        "canceled_at": row.canceled_at,
        "ended_at": row.ended_at,
        "cancellation": {
            "reason": row.cancellation_reason,
            "feedback": row.cancellation_feedback,
            "comment": row.cancellation_comment,
        },
        "pause_collection": _pause(row.pause_collection),
        "pending_update": _pending(row.pending_update),
        "default_payment_method": row.default_payment_method,
        "latest_invoice_id": row.latest_invoice_id,
        "metadata": {key: value for key, value in row.metadata.items() if not key.startswith(RESERVED)},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
    if staff:
        view |= {"user_id": row.user_id, "stripe_customer_id": row.stripe_customer_id, "flagged": row.flagged}
    return view


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_unix(value)


def _pause(pause: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not pause:
        return None
    return {"behavior": pause.get("behavior"), "resumes_at": _time(pause.get("resumes_at"))}


def _pending(pending: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A change that waits for its payment."""
    if not pending:
        return None
    items = [
        {"id": item["id"], "price": item["price"]["id"], "quantity": item.get("quantity")}
        for item in pending.get("subscription_items") or ()
    ]
    return {"expires_at": _time(pending.get("expires_at")), "items": items}


def details_view(
    row: SubscriptionRow,
    grants: Sequence[Grant],
    dunning: Dunning | None,
    scheduled: ScheduledChange | None,
    *,
    staff: bool = False,
) -> dict[str, Any]:
    """A subscription with what it gives, and the calendar of an unpaid renewal."""
    best = max(grants, key=lambda grant: (grant.access, grant.stripe_product_id == row.product_id), default=None)
    access = {
        "access": best is not None and best.access,
        "state": best.state if best else row.status,
        "until": best.access_until if best else None,
    }
    return {
        **subscription_view(row, staff=staff),
        "access": access,
        "dunning": dunning and _dunning(dunning),
        "scheduled_change": scheduled and _scheduled(scheduled),
    }


def _scheduled(change: ScheduledChange) -> dict[str, Any]:
    return {"at": change.at, "items": [{"price": price, "quantity": quantity} for price, quantity in change.items]}


def _dunning(dunning: Dunning) -> dict[str, Any]:
    return {
        "first_failed_at": dunning.first_failed_at,
        "attempts": dunning.attempts,
        "attempts_left": dunning.attempts_left,
        "next_payment_attempt": dunning.next_payment_attempt,
        "access_until": dunning.access_until,
        "amount_due": dunning.amount_due,
        "currency": dunning.currency,
        "stripe_invoice_id": dunning.stripe_invoice_id,
        "pay_url": dunning.pay_url,
    }


def history_view(row: HistoryRow, *, staff: bool = False) -> dict[str, Any]:
    """One change. Staff also see the event and the user behind it."""
    view: dict[str, Any] = {
        "id": row.id,
        "object": "subscription_change",
        "subscription_id": row.subscription_id,
        "action": row.action,
        "old_values": row.old_values,
        "new_values": row.new_values,
        "actor": row.actor,
        "cause": row.cause,
        "reason": row.reason,
        "performed_at": row.performed_at,
    }
    if staff:
        view |= {"performed_by": row.performed_by, "stripe_event_id": row.stripe_event_id}
    return view


def line_view(line: InvoiceLine) -> dict[str, Any]:
    """A line of a preview; `amount` before `discount`, both in minor units."""
    return {
        "description": line.description,
        "amount": line.amount,
        "discount": line.discount,
        "currency": line.currency,
        "quantity": line.quantity,
        "price": line.price,
        "product": line.product,
        "proration": line.proration,
        "period_start": line.period_start,
        "period_end": line.period_end,
    }


def preview_view(row: SubscriptionRow, invoice: Invoice, more: Mapping[str, Any]) -> dict[str, Any]:
    """An invoice that does not exist yet; `more` says what of it is due when."""
    lines: Sequence[InvoiceLine] = invoice.lines
    return {
        "object": "upcoming_invoice",
        "subscription_id": row.id,
        "currency": invoice.currency,
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "tax": invoice.tax,
        "total": invoice.total,
        "starting_balance": invoice.starting_balance,
        "amount_due": invoice.amount_due,
        "lines": [line_view(line) for line in lines],
        "more_lines": invoice.more_lines,
        **more,
    }
