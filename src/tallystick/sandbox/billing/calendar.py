"""Billing periods: whole intervals from the anchor, at the day nearest to the anchor's; all in UTC.

Stripe's rule: an anchor of 31 January bills on 28 February, 31 March, 30 April. The n-th boundary is therefore
counted from the anchor, never from the boundary before it.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Cycle", "Period", "configured_anchor"]

_FIXED = {"day": 86400, "week": 7 * 86400}
_MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until just before `end`, in Unix seconds."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """Every `count` intervals, from `anchor` on in both directions.

    `day` is the wanted day of the month where that is another than the anchor's own (the 31st, anchored in a
    shorter month).
    """

    anchor: int
    interval: str
    count: int = 1
    day: int | None = None

    def boundary(self, number: int) -> int:
        """The `number`-th boundary; the anchor itself is number 0."""
        if self.interval in _FIXED:
            return self.anchor + number * self.count * _FIXED[self.interval]
        start = datetime.fromtimestamp(self.anchor, UTC)
        months = start.year * 12 + start.month - 1 + number * self.count * _MONTHS[self.interval]
        return _at_day(start, months, self.day or start.day)

    def period_at(self, moment: int) -> Period:
        """The period that `moment` lies in."""
        number = self._guess(moment)
        while self.boundary(number) > moment:
            number -= 1
        while self.boundary(number + 1) <= moment:
            number += 1
        return Period(self.boundary(number), self.boundary(number + 1))

    def _guess(self, moment: int) -> int:
        if self.interval in _FIXED:
            return (moment - self.anchor) // (self.count * _FIXED[self.interval])
        start, now = datetime.fromtimestamp(self.anchor, UTC), datetime.fromtimestamp(moment, UTC)
        months = (now.year - start.year) * 12 + now.month - start.month
        return months // (self.count * _MONTHS[self.interval])


def configured_anchor(created: int, config: dict[str, int | None]) -> int:
    """The first moment after `created` that fits `billing_cycle_anchor_config`."""
    start = datetime.fromtimestamp(created, UTC)
    hour, minute, second = (config.get(key) for key in ("hour", "minute", "second"))
    start = start.replace(
        hour=start.hour if hour is None else hour,
        minute=start.minute if minute is None else minute,
        second=start.second if second is None else second,
    )
    wanted = config.get("day_of_month") or start.day
    month = config.get("month")
    step = 1
    months = start.year * 12 + start.month - 1
    if month is not None:
        months, step = start.year * 12 + month - 1, 12
    while (moment := _at_day(start, months, wanted)) < created:
        months += step
    return moment


def _at_day(like: datetime, months: int, day: int) -> int:
    year, month = divmod(months, 12)
    last = monthrange(year, month + 1)[1]
    return int(like.replace(year=year, month=month + 1, day=min(day, last)).timestamp())
