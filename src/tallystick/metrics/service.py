"""`MetricsService`: money figures, for any day and by day, week or month."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from msgspec import Struct

from tallystick.core.clock import Clock
from tallystick.core.currencies import find_currency
from tallystick.core.errors import Forbidden
from tallystick.metrics.errors import RateInvalid, RateOfBase, SpanInvalid, UnknownCurrency
from tallystick.metrics.exchange import Exchange
from tallystick.metrics.figures import WINDOW, Days, MoneyPeriod, MrrPeriod, SubscriberPeriod, TrialPeriod, window_of
from tallystick.metrics.models import ALL_CURRENCIES, COUNTS, MOVEMENTS, Kind
from tallystick.metrics.periods import By, Period, periods_of
from tallystick.metrics.repository import MetricsRepository
from tallystick.metrics.service_refresh import MONEY_KINDS
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.platform.settings import Settings

__all__ = ["MetricsService", "Overview", "Report", "Reports", "Span"]

_LONGEST = timedelta(days=366 * 10)
_PERIODS_MAX = 1200
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")

_Make = Callable[[Days, Sequence[Period], str], Sequence[MrrPeriod | SubscriberPeriod | TrialPeriod | MoneyPeriod]]


class Span(Struct, frozen=True):
    """What is asked for: days (None: the last 30, or until today), how they are put together, one currency or all."""

    start: date | None = None
    end: date | None = None
    by: By = "day"
    currency: str | None = None


class Overview(Struct, frozen=True):
    """The figures of one day; what looks back looks back 30 days. Amounts are minor units of `currency`.

    `arpu` and `ltv` are None where nobody pays, or nobody leaves.
    """

    day: date
    currency: str
    mrr: int
    subscribers: int
    arpu: int | None
    churn_rate: float | None
    revenue_churn_rate: float | None
    ltv: int | None
    trials: TrialPeriod
    money: MoneyPeriod
    without_rate: list[str]
    stale: int


class Report(Struct, frozen=True):
    """Periods, in `currency`; amounts in the currencies `without_rate` are left out. `stale`: changes not in it yet."""

    currency: str
    by: By
    data: Sequence[MrrPeriod | SubscriberPeriod | TrialPeriod | MoneyPeriod]
    without_rate: list[str]
    stale: int


class Reports(Struct, frozen=True):
    """The reports of one span."""

    mrr: Report
    subscribers: Report
    trials: Report
    money: Report


class MetricsService:
    """Reads the days' figures for staff. Raises Forbidden for others, SpanInvalid and UnknownCurrency."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._zone = ZoneInfo(settings.metrics_time_zone)
        self._base = settings.metrics_currency or settings.default_currency
        self._repository = MetricsRepository()

    @property
    def base(self) -> str:
        """The currency that all others are converted to."""
        return self._base

    def today(self) -> date:
        """The day that it is where figures are reported."""
        return self._clock.now().astimezone(self._zone).date()

    async def overview(self, actor: Actor, day: date | None = None, currency: str | None = None) -> Overview:
        """All figures of one day (None: today)."""
        day = day or self.today()
        kinds = [*MOVEMENTS, *COUNTS, *MONEY_KINDS]
        days, exchange, stale = await self._days(actor, kinds, day - WINDOW, day, currency)
        counted = currency or ALL_CURRENCIES
        window = window_of(day)
        mrr, active, churn = days.worth(day), days.active(day, counted), days.churn_rate(day, counted)
        arpu = Fraction(mrr) / active if active else None
        return Overview(
            day=day,
            currency=exchange.base,
            mrr=round(mrr),
            subscribers=active,
            arpu=None if arpu is None else round(arpu),
            churn_rate=churn,
            revenue_churn_rate=days.revenue_churn_rate(day),
            ltv=round(arpu / Fraction(str(churn))) if arpu is not None and churn else None,
            trials=days.trials([window])[0],
            money=days.money([window])[0],
            without_rate=sorted(exchange.without_rate),
            stale=stale,
        )

    async def mrr(self, actor: Actor, span: Span) -> Report:
        """Monthly recurring revenue and its movements."""
        return await self._report(actor, span, MOVEMENTS, _mrr)

    async def subscribers(self, actor: Actor, span: Span) -> Report:
        """Customers who pay, who came and who left."""
        return await self._report(actor, span, MOVEMENTS, Days.subscribers, back=WINDOW)

    async def trials(self, actor: Actor, span: Span) -> Report:
        """Trials and what became of them."""
        return await self._report(actor, span, COUNTS, _trials)

    async def money(self, actor: Actor, span: Span) -> Report:
        """What was charged and given back, and the renewals that failed."""
        return await self._report(actor, span, MONEY_KINDS, _money)

    async def reports(self, actor: Actor, span: Span) -> Reports:
        """All of them, from one reading."""
        made = await self._reports(
            actor, span, [*MOVEMENTS, *COUNTS, *MONEY_KINDS], [_mrr, Days.subscribers, _trials, _money], back=WINDOW
        )
        return Reports(*made)

    async def save_rates(self, actor: Actor, day: date, rates: Mapping[str, str]) -> Mapping[str, str]:
        """Keep a day's exchange rates; they hold until the next day that has some.

        Raises:
            Forbidden: only administrators may.
            UnknownCurrency, RateOfBase, RateInvalid: what is wrong with one of them.
        """
        actor.require_admin()
        for currency, rate in rates.items():
            _check_currency(currency, field="rates")
            if currency == self._base:
                raise RateOfBase(field="rates")
            if not _RATE.fullmatch(rate) or not Fraction(rate):
                raise RateInvalid(f"{currency}: {rate[:40]!r}", field="rates")
        async with self._database.transaction() as tx:
            await self._repository.save_rates(tx, day, self._base, rates)
        return rates

    async def _report(
        self, actor: Actor, span: Span, kinds: Sequence[Kind], make: _Make, *, back: timedelta = timedelta()
    ) -> Report:
        [report] = await self._reports(actor, span, kinds, [make], back=back)
        return report

    async def _reports(
        self, actor: Actor, span: Span, kinds: Sequence[Kind], makes: Sequence[_Make], *, back: timedelta
    ) -> Sequence[Report]:
        end = span.end or self.today()
        start = span.start or end - WINDOW + timedelta(days=1)
        if start > end or end - start > _LONGEST:
            raise SpanInvalid(field="start")
        periods = periods_of(start, end, span.by)
        if len(periods) > _PERIODS_MAX:
            raise SpanInvalid(field="by")
        days, exchange, stale = await self._days(actor, kinds, start - back, end, span.currency)
        made = [make(days, periods, span.currency or ALL_CURRENCIES) for make in makes]
        without_rate = sorted(exchange.without_rate)
        return [Report(exchange.base, span.by, data, without_rate, stale) for data in made]

    async def _days(
        self, actor: Actor, kinds: Sequence[Kind], start: date, end: date, currency: str | None
    ) -> tuple[Days, Exchange, int]:
        if not actor.staff:
            raise Forbidden("Figures are for staff.")
        if currency is not None:
            _check_currency(currency, field="currency")
        async with self._database.reading() as connection:
            before = await self._repository.sums(connection, [kind for kind in kinds if kind in MOVEMENTS], start)
            figures = await self._repository.days(connection, kinds, start, end)
            rates = await self._repository.rates(connection, self._base, start, end) if currency is None else {}
            stale = await self._repository.stale(connection)
        if currency is not None:
            wanted = (currency, ALL_CURRENCIES)
            before = {key: value for key, value in before.items() if key[0] in wanted}
            figures = [one for one in figures if one.currency in wanted]
        exchange = Exchange(currency or self._base, rates)
        return Days(before, figures, exchange), exchange, stale


def _mrr(days: Days, periods: Sequence[Period], _: str) -> Sequence[MrrPeriod]:
    return days.mrr(periods)


def _trials(days: Days, periods: Sequence[Period], _: str) -> Sequence[TrialPeriod]:
    return days.trials(periods)


def _money(days: Days, periods: Sequence[Period], _: str) -> Sequence[MoneyPeriod]:
    return days.money(periods)


def _check_currency(currency: str, *, field: str) -> None:
    if find_currency(currency) is None:
        raise UnknownCurrency(currency[:10], field=field)
