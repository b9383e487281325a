"""Rounding, in one place: exact fractions until a line's amount is fixed."""

import math
from fractions import Fraction

from tallystick.core.currencies import CURRENCIES

__all__ = ["rounded", "share"]

_HALF = Fraction(1, 2)


def rounded(amount: Fraction | int, currency: str) -> int:
    """To the nearest amount that can be charged; a half goes towards minus infinity, on signed amounts.

    Recorded: −2.5 is −3, 4.5 is 4, 7.5 is 7. KWD moves in steps of ten, ISK in whole units.
    """
    step = CURRENCIES[currency].step
    return math.ceil(Fraction(amount) / step - _HALF) * step


def share(amount: Fraction | int, start: int, end: int, moment: int) -> Fraction:
    """The part of `amount`, which pays for `start` to `end`, that falls after `moment`; to the second."""
    if end <= start or moment >= end:
        return Fraction(0)
    return Fraction(amount) * Fraction(end - max(moment, start), end - start)
