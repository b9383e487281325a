"""Days put together into days, weeks (from Monday) and months. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from msgspec import Struct

__all__ = ["By", "Period", "periods_of"]

By = Literal["day", "week", "month"]


class Period(Struct, frozen=True):
    """The days from `start` to `end`, both with them."""

    start: date
    end: date


def periods_of(start: date, end: date, by: By) -> Sequence[Period]:
    """The periods from `start` to `end`; the first and the last may be cut short."""
    periods: list[Period] = []
    while start <= end:
        last = min(_last(start, by), end)
        periods.append(Period(start, last))
        start = last + timedelta(days=1)
    return periods


def _last(day: date, by: By) -> date:
    if by == "week":
        return day + timedelta(days=6 - day.weekday())
    if by == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return day
