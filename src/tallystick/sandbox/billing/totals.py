"""What an invoice comes to: discounts, the customer's balance, and amounts too small to charge."""

from dataclasses import dataclass

from tallystick.core.currencies import CURRENCIES

__all__ = ["Due", "due"]


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be paid, and the customer's balance after it."""

    amount: int
    ending_balance: int


def due(total: int, balance: int, currency: str) -> Due:
    """A credit (a negative balance) pays first; what is left below the smallest charge is owed with the next one.

    Recorded: a total of 4 is paid with an ending balance of 4, a total of −334 with one of −334.
    """
    amount = total + balance
    if amount < CURRENCIES[currency].minimum:
        return Due(0, amount)
    return Due(amount, 0)
