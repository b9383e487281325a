"""What the rows of payments and of what hangs on them must show. Amounts in minor units."""

from msgspec import UNSET

from tallystick.reconciliation.compare_rules import Expected, Mirrored, printed
from tallystick.stripe_gateway.objects import Charge, Dispute, Failure, PaymentIntent, Refund

__all__ = ["CHARGE", "DISPUTE", "PAYMENT_INTENT", "REFUND"]

_PARENT = "(SELECT p.stripe_payment_intent_id FROM payments p WHERE p.id = t.payment_id) AS payment_id"
_REFUNDED = """
    (SELECT coalesce(sum(r.amount), 0) FROM refunds r WHERE r.payment_id = t.id AND NOT r.release
     AND r.status IN ('pending', 'requires_action', 'succeeded')) AS expected_amount_refunded
"""


def _payment_intent(intent: PaymentIntent, installation: str) -> Expected:
    expected = {
        "stripe_customer_id": intent.customer,
        "amount": intent.amount,
        "currency": intent.currency,
        "stripe_status": intent.status,
        "payment_method": intent.payment_method,
        "description": intent.description,
        "metadata": intent.metadata,
        "capture_method": intent.capture_method,
        "setup_future_usage": intent.setup_future_usage,
        "amount_capturable": intent.amount_capturable,
        "amount_received": intent.amount_received,
        "latest_charge_id": intent.latest_charge,
        "cancellation_reason": intent.cancellation_reason,
        "canceled_at": intent.canceled_at,
    }
    if intent.failure is not UNSET:
        failure = intent.failure if isinstance(intent.failure, Failure) else None
        failed = intent.status == "requires_payment_method" and failure is not None
        expected["status"] = "failed" if failed else intent.status
        expected["error_code"] = failure.code if failure else None
        expected["decline_code"] = failure.decline_code if failure else None
    if intent.metadata.get("tallystick_installation") == installation and "tallystick_payment" in intent.metadata:
        expected["claimed"] = True
    return printed(expected)


def _charge(charge: Charge, installation: str) -> Expected:
    return printed(
        {
            "payment_id": charge.payment_intent,
            "stripe_payment_intent_id": charge.payment_intent,
            "amount": charge.amount,
            "amount_captured": charge.amount_captured,
            "amount_refunded": charge.amount_refunded,
            "currency": charge.currency,
            "status": charge.status,
            "captured": charge.captured,
            "disputed": charge.disputed,
            "payment_method": charge.payment_method,
            "card_brand": charge.card_brand,
            "card_last4": charge.card_last4,
            "error_code": charge.failure_code,
            "decline_code": charge.decline_code,
            "created_at": charge.created,
        }
    )


def _refund(refund: Refund, installation: str) -> Expected:
    return printed(
        {
            "payment_id": refund.payment_intent,
            "amount": refund.amount,
            "currency": refund.currency,
            "status": refund.status,
            "release": refund.release,
            "reason": refund.reason,
            "failure_reason": refund.failure_reason,
            "metadata": refund.metadata,
        }
    )


def _dispute(dispute: Dispute, installation: str) -> Expected:
    return printed(
        {
            "payment_id": dispute.payment_intent,
            "stripe_charge_id": dispute.charge,
            "amount": dispute.amount,
            "currency": dispute.currency,
            "reason": dispute.reason,
            "status": dispute.status,
            "evidence_due_at": dispute.evidence_due_at,
            "created_at": dispute.created,
        }
    )


# Payments and refunds are stored before Stripe knows of them, so when they were made is ours to say.
PAYMENT_INTENT = Mirrored(_payment_intent, own=frozenset({"created_at"}), derived=("amount_refunded",), extra=_REFUNDED)
CHARGE = Mirrored(_charge, extra=_PARENT)
# No event tells of what was authorised and let go of, nor is a refund of a charge without an intent ours.
REFUND = Mirrored(
    _refund,
    own=frozenset({"created_at"}),
    extra=_PARENT,
    kept=lambda refund: refund.payment_intent is not None and not refund.release,
)
DISPUTE = Mirrored(_dispute, extra=_PARENT)
