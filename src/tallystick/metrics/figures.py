"""What periods show, from what days show. Pure; docs/metrics.md has each definition."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction

from msgspec import Struct

from tallystick.metrics.exchange import Exchange
from tallystick.metrics.models import ALL_CURRENCIES, COUNTS, MOVEMENTS, DayFigure, Kind
from tallystick.metrics.periods import Period

__all__ = [
    "WINDOW", "Days", "MoneyPeriod", "MrrPeriod", "SubscriberPeriod", "TrialPeriod", "ratio", "window_of",
]  # fmt: skip

WINDOW = timedelta(days=30)
"""Rates look back so far, the day itself with them."""


class MrrPeriod(Struct, frozen=True):
    """Monthly recurring revenue at a period's end, and how it came there: the movements and the effect of exchange
    rates lead from the end of the period before to it. `contraction` and `churn` are negative.
    """

    start: date
    end: date
    new: int
    reactivation: int
    expansion: int
    contraction: int
    churn: int
    currency_effect: int
    mrr: int


class SubscriberPeriod(Struct, frozen=True):
    """Customers who pay: who came, came back and left, how many there are at the end, and the rate at which they left
    in the 30 days before the end (None: there was nobody)."""

    start: date
    end: date
    new: int
    reactivated: int
    churned: int
    active: int
    churn_rate: float | None


class TrialPeriod(Struct, frozen=True):
    """Subscriptions' trials: begun, ended, and ended in a subscription that counts."""

    start: date
    end: date
    started: int
    ended: int
    converted: int
    conversion_rate: float | None


class MoneyPeriod(Struct, frozen=True):
    """What was charged, given back and lost to disputes. `charges` and `declines` are counts of attempts.

    `failed` is what the renewals asked for whose first payment failed in the period, `recovered` what of it was paid
    later.
    """

    start: date
    end: date
    charged: int
    refunded: int
    disputed: int
    net: int
    charges: int
    declines: int
    success_rate: float | None
    failed: int
    recovered: int
    recovery_rate: float | None


def ratio(part: int | Fraction, whole: int | Fraction) -> float | None:
    """A share, to six digits; None of nothing."""
    return round(float(Fraction(part) / Fraction(whole)), 6) if whole else None


class _Sums:
    """Sums of all days up to each one."""

    def __init__(self, start: int = 0) -> None:
        self._days: list[date] = []
        self._sums: list[int] = [start]

    def add(self, day: date, amount: int) -> None:
        """Days come in their order."""
        self._days.append(day)
        self._sums.append(self._sums[-1] + amount)

    def until(self, day: date) -> int:
        """The sum of all days up to this one, with it."""
        return self._sums[bisect_right(self._days, day)]

    def within(self, period: Period) -> int:
        return self.until(period.end) - self.until(period.start - timedelta(days=1))


class Days:
    """Figures of days in their order, and the sums of all days before the first of them."""

    def __init__(
        self,
        before: Mapping[tuple[str, Kind], tuple[int, int]],
        figures: Sequence[DayFigure],
        exchange: Exchange,
    ) -> None:
        self._exchange = exchange
        self._amounts: dict[Kind, _Sums] = {}
        self._figures: dict[Kind, list[DayFigure]] = defaultdict(list)
        self._counts: dict[tuple[Kind, str], _Sums] = defaultdict(_Sums)
        self._levels: dict[str, _Sums] = defaultdict(_Sums)
        for currency in {currency for currency, _ in before}:
            known = (before[each][0] for each in before if each[0] == currency and each[1] in MOVEMENTS)
            self._levels[currency] = _Sums(sum(known))
        for (currency, kind), (_, count) in before.items():
            self._counts[kind, currency] = _Sums(count)
        for one in figures:
            self._figures[one.kind].append(one)
            self._counts[one.kind, one.currency].add(one.day, one.count)
            if one.kind in MOVEMENTS:
                self._levels[one.currency].add(one.day, one.amount)

    def amount(self, kind: Kind, period: Period) -> Fraction:
        """The sum of a kind's amounts in a period, each at its day's rate."""
        if kind not in self._amounts:
            # Exchanged when they are asked for: most of what counts customers never is.
            self._amounts[kind] = sums = _Sums()
            for one in self._figures.get(kind, ()):
                sums.add(one.day, self._exchange.worth(one.amount, one.currency, one.day))
        return Fraction(self._amounts[kind].within(period), self._exchange.parts)

    def count(self, kind: Kind, period: Period, currency: str) -> int:
        """How many of a kind there were in a period, of one currency."""
        sums = self._counts.get((kind, currency))
        return sums.within(period) if sums else 0

    def counts(self, kind: Kind, period: Period) -> int:
        """How many of a kind there were in a period, of all currencies."""
        return sum(sums.within(period) for (each, _), sums in self._counts.items() if each == kind)

    def worth(self, day: date) -> Fraction:
        """The monthly recurring revenue at the end of a day, at that day's rates."""
        levels = ((sums.until(day), currency) for currency, sums in self._levels.items())
        return Fraction(sum(self._exchange.worth(*level, day) for level in levels), self._exchange.parts)

    def active(self, day: date, currency: str) -> int:
        """How many customers paid at the end of a day."""
        signs = {Kind.NEW: 1, Kind.REACTIVATION: 1, Kind.CHURN: -1}
        found = ((sign, self._counts.get((kind, currency))) for kind, sign in signs.items())
        return sum(sign * sums.until(day) for sign, sums in found if sums)

    def churn_rate(self, day: date, currency: str) -> float | None:
        """Churned in the last 30 days ÷ (active 30 days ago + new in the last 30 days)."""
        window = window_of(day)
        came = self.count(Kind.NEW, window, currency)
        return ratio(self.count(Kind.CHURN, window, currency), self.active(day - WINDOW, currency) + came)

    def revenue_churn_rate(self, day: date) -> float | None:
        """What was churned and contracted in the last 30 days ÷ the monthly recurring revenue 30 days ago."""
        window = window_of(day)
        lost = -(self.amount(Kind.CHURN, window) + self.amount(Kind.CONTRACTION, window))
        return ratio(lost, self.worth(day - WINDOW))

    def mrr(self, periods: Sequence[Period]) -> list[MrrPeriod]:
        """The monthly recurring revenue of periods that follow each other."""
        found: list[MrrPeriod] = []
        last = round(self.worth(periods[0].start - timedelta(days=1))) if periods else 0
        for period in periods:
            moved = {kind.value: round(self.amount(kind, period)) for kind in MOVEMENTS}
            mrr = round(self.worth(period.end))
            effect = mrr - last - sum(moved.values())
            found.append(MrrPeriod(period.start, period.end, **moved, currency_effect=effect, mrr=mrr))
            last = mrr
        return found

    def subscribers(self, periods: Sequence[Period], currency: str) -> list[SubscriberPeriod]:
        """The customers of periods; of one currency, or (`ALL_CURRENCIES`) whatever they pay in."""
        return [
            SubscriberPeriod(
                period.start,
                period.end,
                new=self.count(Kind.NEW, period, currency),
                reactivated=self.count(Kind.REACTIVATION, period, currency),
                churned=self.count(Kind.CHURN, period, currency),
                active=self.active(period.end, currency),
                churn_rate=self.churn_rate(period.end, currency),
            )
            for period in periods
        ]

    def trials(self, periods: Sequence[Period]) -> list[TrialPeriod]:
        """The trials of periods."""
        return [self._trials(period) for period in periods]

    def _trials(self, period: Period) -> TrialPeriod:
        started, ended, converted = (self.count(kind, period, ALL_CURRENCIES) for kind in COUNTS)
        return TrialPeriod(period.start, period.end, started, ended, converted, ratio(converted, ended))

    def money(self, periods: Sequence[Period]) -> list[MoneyPeriod]:
        """What was charged and given back in periods."""
        return [self._money(period) for period in periods]

    def _money(self, period: Period) -> MoneyPeriod:
        charged, refunded, disputed, failed, recovered = (
            round(self.amount(kind, period))
            for kind in (Kind.CHARGED, Kind.REFUNDED, Kind.DISPUTED, Kind.FAILED, Kind.RECOVERED)
        )
        through, declined = self.counts(Kind.CHARGED, period), self.counts(Kind.DECLINED, period)
        return MoneyPeriod(
            period.start,
            period.end,
            charged=charged,
            refunded=refunded,
            disputed=disputed,
            net=charged - refunded - disputed,
            charges=through,
            declines=declined,
            success_rate=ratio(through, through + declined),
            failed=failed,
            recovered=recovered,
            recovery_rate=ratio(recovered, failed),
        )


def window_of(day: date) -> Period:
    """The 30 days that end with this one."""
    return Period(day - WINDOW + timedelta(days=1), day)
