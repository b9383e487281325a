"""What may be done with a PaymentIntent, and how it is refused."""

from tallystick.core.currencies import CURRENCIES, MAX_AMOUNT
from tallystick.core.money import format_money
from tallystick.sandbox.errors import ApiError, invalid, unexpected_state
from tallystick.sandbox.shapes import Json

__all__ = ["CONFIRMABLE", "check_amount", "check_owner", "missing_method", "not_confirmable", "refuse_update"]

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_ALWAYS_UPDATABLE = frozenset({"description", "expand", "metadata", "receipt_email", "shipping", "client_secret"})


def check_owner(method: Json, customer: str | None, intent: Json | None = None) -> None:
    """Raises 400 for a method that belongs to another customer than `customer`."""
    owner = method["customer"]
    details = {"payment_intent": intent} if intent else {}
    if owner is None or owner == customer:
        return
    if customer is None:
        raise ApiError(
            400,
            f"The `payment_method` parameter supplied {method['id']} belongs to the Customer {owner}. Please "
            "include the Customer in the `customer` parameter on the PaymentIntent.",
            code="parameter_missing", param="source", details=details,
        )  # fmt: skip
    raise ApiError(
        400,
        f"The PaymentMethod {method['id']} does not belong to the Customer you supplied {customer}. Please use "
        "this PaymentMethod with the Customer that it belongs to instead.",
        param="payment_method", details=details,
    )  # fmt: skip


def missing_method(intent: Json) -> str:
    """Why an intent without a method cannot be confirmed."""
    start = "You cannot confirm this PaymentIntent because it's missing a payment method. "
    if intent["customer"]:
        return start + (
            f"To confirm the PaymentIntent with {intent['customer']}, specify a payment method attached to this "
            "customer along with the customer ID."
        )
    return start + (
        "You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it "
        "again directly with a payment method or ConfirmationToken."
    )


def not_confirmable(status: str) -> str:
    """Why an intent of this status cannot be confirmed."""
    if status == "succeeded":
        return (
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
        )
    return (
        f"You cannot confirm this PaymentIntent because it has a status of {status}. Only a PaymentIntent with "
        "one of the following statuses may be confirmed: requires_confirmation, requires_action, "
        "requires_payment_method."
    )


def refuse_update(intent: Json, params: Json) -> None:
    """Raises 400 for a parameter that cannot be changed any more."""
    for name in params:
        if name not in _ALWAYS_UPDATABLE:
            raise unexpected_state(
                f"This PaymentIntent's {name} could not be updated because it has a status of "
                f"{intent['status']}. You may only update the {name} of a PaymentIntent with one of the following "
                f"statuses: {', '.join(CONFIRMABLE)}.",
                intent,
                param=name,
            )


def check_amount(amount: int, code: str) -> None:
    """Raises 400 for an amount that the currency does not have, or Stripe does not take."""
    known = CURRENCIES[code]
    if amount < 1:
        raise invalid(
            "The amount must be greater than or equal to the minimum charge amount allowed for your account and "
            "the currency set (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).  If you "
            "want to save a Payment Method for future use without an immediate payment, use a Setup Intent "
            "instead: https://docs.stripe.com/payments/save-and-reuse",
            code="parameter_invalid_integer",
            param="amount",
        )
    if amount < known.minimum:
        raise invalid(
            f"Amount must be at least {format_money(known.minimum, code)} {code}",
            code="amount_too_small",
            param="amount",
        )
    if amount > MAX_AMOUNT:
        raise invalid(
            f"Amount must be no more than {format_money(MAX_AMOUNT, code)}",
            code="amount_too_large",
            param="amount",
        )
    if amount % known.step:
        raise invalid(f"Amount must be a multiple of {known.step} for {code}", param="amount")
