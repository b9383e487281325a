"""Prorations: credits for time paid and not used, debits for the rest of the period; to the second, per line."""

from dataclasses import dataclass
from fractions import Fraction

from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.billing.money import rounded, share
from tallystick.sandbox.shapes import Json

__all__ = ["Billed", "Credit", "credit_of", "debit_of"]


@dataclass(frozen=True, slots=True)
class Billed:
    """What an item was debited, net of discounts, for a span of time, and where: on an invoice or pending."""

    amount: int
    start: int
    end: int
    price: str
    quantity: int | None
    invoice: str | None = None
    line: str | None = None
    invoice_item: str | None = None

    @classmethod
    def of(cls, kept: Json) -> "Billed":
        return cls(**kept)

    def kept(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Credit:
    """A credit for one debit."""

    amount: int
    billed: Billed


def credit_of(billed: Billed, moment: int, currency: str) -> Credit:
    """What is given back of a debit when it ends at `moment`: the flexible rule, from the amount debited."""
    return Credit(rounded(-share(billed.amount, billed.start, billed.end, moment), currency), billed)


def debit_of(amount: Fraction | int, period: Period, moment: int, currency: str) -> int:
    """What the rest of `period` costs at `amount` a period."""
    return rounded(share(amount, period.start, period.end, moment), currency)
