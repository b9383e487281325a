"""Amounts of many currencies in one. Pure; exact until the sum, which is rounded once, half to even."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction

from tallystick.core.currencies import CURRENCIES
from tallystick.metrics.models import ALL_CURRENCIES

__all__ = ["Exchange"]


class Exchange:
    """What amounts are worth in `base` on a day: by the rate of that day, or the last one before."""

    def __init__(self, base: str, rates: Mapping[str, Sequence[tuple[date, str]]]) -> None:
        self.base = base
        self._days = {currency: [day for day, _ in listed] for currency, listed in rates.items()}
        self._rates = {currency: self._between_minor_units(currency, listed) for currency, listed in rates.items()}
        self.without_rate: set[str] = set()
        """The currencies that were asked for on a day without a rate: their amounts are left out."""

    def worth(self, amount: int, currency: str, day: date) -> Fraction | int:
        """An amount in minor units of `base`."""
        if currency in (self.base, ALL_CURRENCIES) or not amount:
            return amount
        place = bisect_right(self._days.get(currency, []), day)
        if place == 0:
            self.without_rate.add(currency)
            return 0
        return amount * self._rates[currency][place - 1]

    def _between_minor_units(self, currency: str, listed: Sequence[tuple[date, str]]) -> list[Fraction]:
        step = Fraction(10) ** (CURRENCIES[self.base].exponent - CURRENCIES[currency].exponent)
        return [Fraction(rate) * step for _, rate in listed]
