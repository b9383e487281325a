"""Payments as the API shows them. A client secret joins only the answer itself, never what is stored."""

from typing import Any

from tallystick.payments.errors import decline_of
from tallystick.payments.models import ChargeRow, DisputeRow, Payment, RefundRow

__all__ = [
    "charge_view",
    "dispute_view",
    "payment_view",
    "refund_view",
]

_OURS = "tallystick_"


def payment_view(payment: Payment, *, staff: bool = False) -> dict[str, Any]:
    """A payment; amounts in minor units. Staff also see Stripe's exact words for a decline, and whose it is."""
    view: dict[str, Any] = {
        "id": payment.id,
        "object": "payment",
        "stripe_payment_intent_id": payment.stripe_payment_intent_id,
        "status": payment.status,
        "stripe_status": payment.stripe_status,
        "amount": payment.amount,
        "currency": payment.currency,
        "amount_capturable": payment.amount_capturable,
        "amount_received": payment.amount_received,
        "amount_refunded": payment.amount_refunded,
        "capture_method": payment.capture_method,
        "setup_future_usage": payment.setup_future_usage,
        "payment_method": payment.payment_method,
        "description": payment.description,
        "metadata": _public(payment.metadata),
        "cancellation_reason": payment.cancellation_reason,
        "canceled_at": payment.canceled_at,
        "last_error": _last_error(payment, staff=staff),
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
    }
    if staff:
        view["user_id"] = payment.user_id
        view["stripe_customer_id"] = payment.stripe_customer_id
    return view


def _public(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if not name.startswith(_OURS)}


def _last_error(payment: Payment, *, staff: bool) -> dict[str, Any] | None:
    if payment.error_code is None:
        return None
    decline = decline_of(payment.error_code, payment.decline_code)
    shown: dict[str, Any] = {"code": decline.code, "message": decline.message, "suggested_action": decline.action}
    if staff:
        shown |= {"stripe_code": payment.error_code, "decline_code": payment.decline_code}
    return shown


def refund_view(refund: RefundRow) -> dict[str, Any]:
    """A refund; `amount` in minor units."""
    return {
        "id": refund.id,
        "object": "refund",
        "stripe_refund_id": refund.stripe_refund_id,
        "payment_id": refund.payment_id,
        "status": refund.status,
        "amount": refund.amount,
        "currency": refund.currency,
        "reason": refund.reason,
        "failure_reason": refund.failure_reason,
        "metadata": _public(refund.metadata),
        "created_at": refund.created_at,
        "updated_at": refund.updated_at,
    }


def charge_view(charge: ChargeRow, *, staff: bool) -> dict[str, Any]:
    """One attempt on a payment that reached the card network."""
    view: dict[str, Any] = {
        "stripe_charge_id": charge.stripe_charge_id,
        "status": charge.status,
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "card_brand": charge.card_brand,
        "card_last4": charge.card_last4,
        "created_at": charge.created_at,
    }
    if staff:
        view |= {"stripe_code": charge.error_code, "decline_code": charge.decline_code}
    return view


def dispute_view(dispute: DisputeRow) -> dict[str, Any]:
    """A dispute; only staff see it."""
    return {
        "stripe_dispute_id": dispute.stripe_dispute_id,
        "status": dispute.status,
        "reason": dispute.reason,
        "amount": dispute.amount,
        "currency": dispute.currency,
        "evidence_due_at": dispute.evidence_due_at,
        "created_at": dispute.created_at,
    }
