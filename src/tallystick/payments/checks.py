"""Bounds on what a caller may send: amounts by settings and by Stripe. What is checked of all texts is in the core."""

from tallystick.core.checks import check_metadata, check_text, holds_card_number
from tallystick.core.money import AmountProblem, check_amount, format_money
from tallystick.payments.errors import AmountError
from tallystick.platform.settings import Settings

__all__ = ["check_amount_allowed", "check_metadata", "check_text", "holds_card_number"]


def check_amount_allowed(amount: int, currency: str, settings: Settings) -> None:
    """Raise `AmountError` unless a payment of this amount is inside our limits and Stripe's."""
    low, high = settings.amount_limits(currency)
    problem = check_amount(amount, currency, minimum=low, maximum=high)
    if problem is None:
        return
    if problem is AmountProblem.UNKNOWN_CURRENCY:
        raise AmountError("Stripe does not take this currency.", field="currency", limit="unknown_currency")
    words = {
        AmountProblem.NOT_POSITIVE: "The amount is not positive.",
        AmountProblem.TOO_SMALL: "The amount is below the minimum.",
        AmountProblem.TOO_LARGE: f"The amount is above the maximum of {format_money(high, currency)}.",
        AmountProblem.NOT_A_STEP: f"Amounts in {currency.upper()} end in a zero.",
    }
    raise AmountError(words[problem], field="amount", limit=problem.value)
