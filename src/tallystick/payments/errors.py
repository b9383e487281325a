"""What can go wrong with a payment: stable codes, words for the customer, and what to do next."""

from tallystick.core.checks import CardNumberRefused
from tallystick.core.declines import Decline, PaymentDeclined, PaymentMethodNotUsable, decline_of
from tallystick.core.errors import Conflict, DomainError, GatewayConfigError

__all__ = [
    "AmountError",
    "CardNumberRefused",
    "ChargeDisputed",
    "Decline",
    "GatewayConfigError",
    "PaymentDeclined",
    "PaymentMethodNotUsable",
    "PaymentNotCancelable",
    "PaymentNotCapturable",
    "PaymentNotConfirmable",
    "PaymentNotRefundable",
    "PaymentRejected",
    "RefundExceedsRemaining",
    "decline_of",
]


class AmountError(DomainError):
    code, status = "AMOUNT_ERROR", 422
    title = "The amount cannot be charged"
    action = "Send an amount inside the limits, in whole minor units of a currency that Stripe takes."


class PaymentNotConfirmable(Conflict):
    code = "PAYMENT_NOT_CONFIRMABLE"
    title = "This payment cannot be confirmed in its present state"


class PaymentNotCapturable(Conflict):
    code = "PAYMENT_NOT_CAPTURABLE"
    title = "This payment has nothing to capture"


class PaymentNotCancelable(Conflict):
    code = "PAYMENT_NOT_CANCELABLE"
    title = "This payment can no longer be canceled"
    action = "Refund it instead, if it succeeded."


class PaymentNotRefundable(Conflict):
    code = "PAYMENT_NOT_REFUNDABLE"
    title = "Only a payment that succeeded can be refunded"
    action = "Cancel the payment instead, if it has not been captured."


class RefundExceedsRemaining(Conflict):
    code = "REFUND_EXCEEDS_REMAINING"
    title = "The refund is larger than what is left of the payment"
    action = "Refund at most `remaining`."


class ChargeDisputed(Conflict):
    code = "CHARGE_DISPUTED"
    title = "This payment is disputed and cannot be refunded"
    action = "Answer the dispute in Stripe's dashboard."


class PaymentRejected(DomainError):
    code, status = "PAYMENT_REJECTED", 422
    title = "Stripe does not accept this request"
    action = "Check the request; if it persists, report the request id."
