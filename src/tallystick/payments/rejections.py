"""What a rejection by Stripe means for the caller: its code and parameter into one of our errors."""

from tallystick.core.errors import DomainError
from tallystick.payments.errors import (
    AmountError,
    ChargeDisputed,
    GatewayConfigError,
    PaymentMethodNotUsable,
    PaymentNotCancelable,
    PaymentNotCapturable,
    PaymentNotConfirmable,
    PaymentNotRefundable,
    PaymentRejected,
    RefundExceedsRemaining,
)
from tallystick.stripe_gateway.errors import GatewayRejected

__all__ = ["is_ours_to_mend", "rejection"]

_AMOUNT_CODES = frozenset({"amount_too_large", "amount_too_small", "invalid_charge_amount"})
_METHOD_PARAMS = frozenset({"payment_method", "source", "payment_method_types"})
_STATE = {
    "payment.confirm": PaymentNotConfirmable,
    "payment.capture": PaymentNotCapturable,
    "payment.cancel": PaymentNotCancelable,
    "refund.create": PaymentNotRefundable,
}
_STATE_CODES = frozenset(
    {
        "payment_intent_unexpected_state",
        "intent_invalid_state",
        "charge_already_captured",
        "charge_expired_for_capture",
        "capture_charge_authorization_expired",
        "charge_not_refundable",
    }
)


def is_ours_to_mend(rejected: GatewayRejected) -> bool:
    """Whether the operator must mend it (keys, permissions) and the same request may then succeed."""
    return rejected.status in (401, 403)


def rejection(kind: str, rejected: GatewayRejected) -> DomainError:
    """The error that answers an attempt of this kind; Stripe's own message is never passed on."""
    code, param = rejected.code, rejected.param
    if is_ours_to_mend(rejected):
        return GatewayConfigError()
    if code == "charge_disputed":
        return ChargeDisputed()
    if code == "charge_already_refunded" or (kind == "refund.create" and param == "amount"):
        return RefundExceedsRemaining(field="amount")
    if code in _AMOUNT_CODES or param in ("amount", "amount_to_capture", "currency"):
        return AmountError(field="currency" if param == "currency" else "amount")
    if code in _STATE_CODES and kind in _STATE:
        if "missing a payment method" in str(rejected):
            return PaymentMethodNotUsable("The payment has no payment method yet.", field="payment_method")
        return _STATE[kind]()
    if param in _METHOD_PARAMS or (code or "").startswith("payment_method_"):
        return PaymentMethodNotUsable(field="payment_method")
    return PaymentRejected()
