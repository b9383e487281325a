"""Failed payments and refused cards as the customer is told of them: Stripe's codes into stable codes and words."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tallystick.core.errors import DomainError

__all__ = ["Decline", "PaymentDeclined", "PaymentMethodNotUsable", "decline_of", "worth_retrying"]


@dataclass(frozen=True, slots=True)
class Decline:
    """How one kind of failed payment is told to the customer."""

    code: str
    message: str
    action: str


class PaymentDeclined(DomainError):
    """A decline as an answer; its code is that of the decline."""

    status: ClassVar[int] = 402
    title = "The payment failed"

    def __init__(self, decline: Decline, **extra: Any) -> None:
        super().__init__(decline.message, action=decline.action, **extra)
        self.code = decline.code


class PaymentMethodNotUsable(DomainError):
    code, status = "PAYMENT_METHOD_NOT_USABLE", 422
    title = "This payment method cannot be used here"
    action = "Use a payment method of this customer, or one that belongs to nobody yet."


_DECLINED = Decline(
    "CARD_DECLINED", "Your card was declined.", "Use another payment method, or ask your bank and try again."
)
_INSUFFICIENT = Decline(
    "INSUFFICIENT_FUNDS", "Your card has insufficient funds.", "Use another payment method, or try again later."
)
_PROCESSING = Decline(
    "PROCESSING_ERROR", "The payment could not be processed.", "Try again in a moment; then use another payment method."
)
_AUTHENTICATE = Decline(
    "AUTHENTICATION_REQUIRED", "Your bank asks you to confirm this payment.", "Confirm the payment with your bank."
)
_NOT_AUTHENTICATED = Decline(
    "AUTHENTICATION_FAILED",
    "The payment was not confirmed with your bank.",
    "Try again and complete the confirmation, or use another payment method.",
)
_AMOUNT = Decline("AMOUNT_ERROR", "This amount cannot be charged to your card.", "Use another card, or another amount.")
_DUPLICATE = Decline(
    "DUPLICATE_TRANSACTION",
    "A payment of the same amount was made with this card just now.",
    "Check whether you have already paid before you try again.",
)


def _invalid(message: str, action: str = "Check the card's details and try again, or use another card.") -> Decline:
    return Decline("INVALID_CARD", message, action)


# Stripe's decline codes and error codes (docs.stripe.com/declines/codes). What is not here is CARD_DECLINED, and
# so are fraudulent, lost_card, stolen_card, pickup_card, restricted_card, security_violation and
# merchant_blacklist: the customer must not learn which it was.
_DECLINES: dict[str, Decline] = {
    "insufficient_funds": _INSUFFICIENT,
    "card_velocity_exceeded": _INSUFFICIENT,
    "withdrawal_count_limit_exceeded": _INSUFFICIENT,
    "expired_card": _invalid("Your card has expired.", "Use another card."),
    "expired_payment_method": _invalid("Your card has expired.", "Use another card."),
    "incorrect_cvc": _invalid("Your card's security code is incorrect."),
    "invalid_cvc": _invalid("Your card's security code is incorrect."),
    "incorrect_number": _invalid("Your card number is incorrect."),
    "invalid_number": _invalid("Your card number is incorrect."),
    "invalid_expiry_month": _invalid("Your card's expiration month is invalid."),
    "invalid_expiry_year": _invalid("Your card's expiration year is invalid."),
    "incorrect_zip": _invalid("Your card's postal code is incorrect."),
    "incorrect_postal_code": _invalid("Your card's postal code is incorrect."),
    "incorrect_address": _invalid("Your card's address is incorrect."),
    "incorrect_pin": _invalid("The PIN is incorrect."),
    "invalid_pin": _invalid("The PIN is incorrect."),
    "invalid_account": _invalid("Your card, or its account, is invalid.", "Ask your bank, or use another card."),
    "card_not_supported": _invalid("Your card does not support this kind of purchase.", "Use another card."),
    "new_account_information_available": _invalid("Your card, or its account, is invalid.", "Use your new card."),
    "payment_method_restricted": _invalid("This card cannot be used here.", "Use another card."),
    "processing_error": _PROCESSING,
    "issuer_not_available": _PROCESSING,
    "reenter_transaction": _PROCESSING,
    "try_again_later": _PROCESSING,
    "payment_method_provider_timeout": _PROCESSING,
    "payment_method_not_available": _PROCESSING,
    "authentication_required": _AUTHENTICATE,
    "authentication_not_handled": _AUTHENTICATE,
    "mobile_device_authentication_required": _AUTHENTICATE,
    "payment_intent_action_required": _AUTHENTICATE,
    "payment_intent_authentication_failure": _NOT_AUTHENTICATED,
    "setup_intent_authentication_failure": _NOT_AUTHENTICATED,
    "authentication_failure": _NOT_AUTHENTICATED,
    "currency_not_supported": _AMOUNT,
    "payment_method_currency_mismatch": _AMOUNT,
    "invalid_amount": _AMOUNT,
    "charge_exceeds_source_limit": _AMOUNT,
    "charge_exceeds_transaction_limit": _AMOUNT,
    "duplicate_transaction": _DUPLICATE,
}


def decline_of(stripe_code: str | None, decline_code: str | None) -> Decline:
    """How a failure with these codes of Stripe is told; the decline code says more and is asked first."""
    for code in (decline_code, stripe_code):
        if code is not None and code in _DECLINES:
            return _DECLINES[code]
    return _DECLINED


# Of these the networks say that the same card is not to be tried again; Stripe does not either.
_HOPELESS = frozenset(
    {
        "authentication_required",
        "highest_risk_level",
        "incorrect_number",
        "invalid_account",
        "invalid_number",
        "lost_card",
        "payment_intent_authentication_failure",
        "pickup_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "stop_payment_order",
        "transaction_not_allowed",
    }
)


def worth_retrying(stripe_code: str | None, decline_code: str | None) -> bool:
    """Whether the same payment method may succeed later, with nobody there to do anything about it."""
    return not {stripe_code, decline_code} & _HOPELESS
