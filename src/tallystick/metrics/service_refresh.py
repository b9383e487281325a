"""`MetricsRefresher`: works out anew whatever a change in the mirror made stale, and nothing else."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog

from tallystick.metrics.models import DayFigure, Kind, Movement, Trial
from tallystick.metrics.mrr import changes_of, levels_of, movements_of, trial_of
from tallystick.metrics.repository import MetricsRepository
from tallystick.metrics.repository_sources import SourceRepository
from tallystick.metrics.stories import told_by
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.platform.work import pause

__all__ = ["MONEY_KINDS", "MetricsRefresher"]

log = structlog.get_logger()

MONEY_KINDS = (Kind.CHARGED, Kind.DECLINED, Kind.REFUNDED, Kind.DISPUTED, Kind.FAILED, Kind.RECOVERED)
_EVERY_S = 5.0
_BATCH = 500


class MetricsRefresher:
    """Keeps the days' figures true, a few seconds behind the mirror. One process at a time does so; any may."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._zone = ZoneInfo(settings.metrics_time_zone)
        self._durations = {"forever": ["forever"], "all": ["forever", "repeating", "once"], "none": []}[
            settings.metrics_discounts
        ]
        self._repository = MetricsRepository()
        self._sources = SourceRepository()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                await self.refresh()
            except WEATHER as error:
                log.warning("metrics.weather", error=type(error).__name__)
            await pause(_EVERY_S, stop, wake)

    async def refresh(self) -> int:
        """Work out all that is stale now; how many marks there were. 0 where another process is at it."""
        total = 0
        while True:
            async with self._database.transaction() as tx:
                taken = await self._refresh_some(tx)
            total += taken
            if taken < _BATCH:
                return total

    async def _refresh_some(self, tx: Transaction) -> int:
        if not await self._repository.try_turn(tx):
            return 0
        marks, customers, hours = await self._repository.take_stale(tx, _BATCH)
        for customer in sorted(customers):
            await self._customer(tx, customer)
        for day in sorted({day for hour in hours for day in self._days_of(hour)}):
            await self._money_of(tx, day)
        return marks

    async def _customer(self, tx: Transaction, customer_id: str) -> None:
        was = await self._repository.customer(tx, customer_id)
        is_ = await self._figures(tx, customer_id)
        if _same(was, is_):
            return
        await self._repository.replace_customer(tx, customer_id, *is_)
        gone = [_negative(figure) for figure in self._of_days(*was)]
        await self._repository.add(tx, _summed([*gone, *self._of_days(*is_)]))

    async def _figures(self, tx: Transaction, customer_id: str) -> tuple[list[Movement], list[Trial]]:
        """A customer's movements and trials, by what the mirror says now."""
        stories = [(story.subscription_id, told_by(story)) for story in await self._sources.stories(tx, customer_id)]
        ids = {item["price"] for _, told in stories for state in told for item in state.items}
        prices = await self._sources.prices(tx, ids)
        named, standing = await self._sources.offs(tx, customer_id, self._durations)
        changes = [
            change
            for subscription_id, told in stories
            for change in changes_of(subscription_id, levels_of(told, prices, named, standing))
        ]
        trials = [found for subscription_id, told in stories if (found := trial_of(subscription_id, told))]
        return movements_of(changes), trials

    async def _money_of(self, tx: Transaction, day: date) -> None:
        start, end = (datetime.combine(each, time(), self._zone) for each in (day, day + timedelta(days=1)))
        found = await self._sources.money(tx, start.astimezone(UTC), end.astimezone(UTC))
        figures = [DayFigure(day, one.currency, Kind(one.kind), one.amount, one.count) for one in found]
        await self._repository.replace_day(tx, day, MONEY_KINDS, figures)
        declines = await self._sources.declines(tx, start.astimezone(UTC), end.astimezone(UTC))
        await self._repository.replace_declines(tx, day, declines)

    def _of_days(self, movements: Sequence[Movement], trials: Sequence[Trial]) -> list[DayFigure]:
        figures = [DayFigure(self._day(one.at), one.currency, one.kind, one.amount, 1) for one in movements]
        for trial in trials:
            figures.append(DayFigure(self._day(trial.started_at), "", Kind.TRIAL_STARTED, 0, 1))
            if trial.ended_at is not None:
                figures.append(DayFigure(self._day(trial.ended_at), "", Kind.TRIAL_ENDED, 0, 1))
            if trial.ended_at is not None and trial.converted:
                figures.append(DayFigure(self._day(trial.ended_at), "", Kind.TRIAL_CONVERTED, 0, 1))
        return figures

    def _day(self, at: datetime) -> date:
        return at.astimezone(self._zone).date()

    def _days_of(self, hour: datetime) -> set[date]:
        """The days that an hour is part of: in some zones an hour of UTC is of two."""
        return {self._day(hour), self._day(hour + timedelta(minutes=59, seconds=59))}


def _same(was: tuple[list[Movement], list[Trial]], is_: tuple[list[Movement], list[Trial]]) -> bool:
    return Counter(was[0]) == Counter(is_[0]) and Counter(was[1]) == Counter(is_[1])


def _negative(figure: DayFigure) -> DayFigure:
    return DayFigure(figure.day, figure.currency, figure.kind, -figure.amount, -figure.count)


def _summed(figures: Iterable[DayFigure]) -> list[DayFigure]:
    sums: dict[tuple[date, str, Kind], tuple[int, int]] = {}
    for one in figures:
        amount, count = sums.get((one.day, one.currency, one.kind), (0, 0))
        sums[one.day, one.currency, one.kind] = amount + one.amount, count + one.count
    return [DayFigure(*key, *value) for key, value in sorted(sums.items()) if value != (0, 0)]
