"""Amounts of many currencies in one. Pure; exact until the sum, which is rounded once, half to even.

All rates are written over one denominator, so that sums over years are sums of integers.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date

from tallystick.core.currencies import CURRENCIES
from tallystick.metrics.models import ALL_CURRENCIES

__all__ = ["Exchange"]


class Exchange:
    """What amounts are worth in `base` on a day: by the rate of that day, or the last one before."""

    def __init__(self, base: str, rates: Mapping[str, Sequence[tuple[date, str]]]) -> None:
        self.base = base
        self._days = {currency: [day for day, _ in listed] for currency, listed in rates.items()}
        steps = {currency: CURRENCIES[base].exponent - CURRENCIES[currency].exponent for currency in rates}
        decimals = max((len(rate.partition(".")[2]) for listed in rates.values() for _, rate in listed), default=0)
        places = decimals - min([0, *steps.values()])
        self.parts = int(10**places)
        """Into so many parts `worth` divides a minor unit of `base`."""
        self._rates = {
            currency: [_shifted(rate, places + steps[currency]) for _, rate in listed]
            for currency, listed in rates.items()
        }
        self.without_rate: set[str] = set()
        """The currencies that were asked for on a day without a rate: their amounts are left out."""

    def worth(self, amount: int, currency: str, day: date) -> int:
        """An amount, in `parts` of a minor unit of `base`."""
        if currency in (self.base, ALL_CURRENCIES) or not amount:
            return amount * self.parts
        place = bisect_right(self._days.get(currency, []), day)
        if place == 0:
            self.without_rate.add(currency)
            return 0
        return amount * self._rates[currency][place - 1]


def _shifted(rate: str, places: int) -> int:
    """A decimal number times ten to the power of `places`, which is whole."""
    whole, _, fraction = rate.partition(".")
    return int(int(whole + fraction) * 10 ** (places - len(fraction)))
