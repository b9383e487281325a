"""`OverviewReader`: the first page, and the pages of alerts and figures, as the templates draw them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from tallystick.console.repository_objects import ObjectRepository
from tallystick.console.service_lists import csv_line
from tallystick.console.service_objects import Actors
from tallystick.core.clock import Clock
from tallystick.core.errors import NotFound
from tallystick.core.money import format_money
from tallystick.metrics.alerts import RULES
from tallystick.metrics.periods import By
from tallystick.metrics.repository_alerts import AlertRepository
from tallystick.metrics.repository_health import Health, HealthRepository
from tallystick.metrics.service import MetricsService, Report, Span
from tallystick.platform.auth import Identity
from tallystick.platform.database import Database
from tallystick.reconciliation.models import EqualShare
from tallystick.reconciliation.service_read import Overview, ReconcileService
from tallystick.ui.charts import Chart, Series, draw

__all__ = ["OverviewReader"]

_SPANS: Mapping[str, tuple[int, By]] = {
    "30d": (30, "day"),
    "90d": (90, "week"),
    "1y": (365, "month"),
    "3y": (1095, "month"),
}
_USUAL = "90d"
_REPORTS = ("mrr", "subscribers", "trials", "money")


class Watched(Struct, frozen=True):
    """A rule of the alerts, and how it stands; `since` and `over` are wall time."""

    name: str
    severity: str
    summary: str
    todo: str
    state: str = "quiet"
    since: datetime | None = None
    over: datetime | None = None


class OverviewReader:
    """Reads figures, health and alerts."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: MetricsService,
        reconcile: ReconcileService,
        actors: Actors,
        *,
        built_in: bool,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._reconcile = reconcile
        self._actors = actors
        self._built_in = built_in
        self._health = HealthRepository()
        self._alerts = AlertRepository()
        self._objects = ObjectRepository()

    async def home(self, identity: Identity, *, charts: bool) -> dict[str, Any]:
        """What the first page shows: tiles, what needs somebody, and (they change once a day) three charts."""
        actor = await self._actors.actor(identity, None)
        health, standing = await self.health(), await self.standing(identity)
        drawn = []
        if charts:
            month = Span(by="day")
            money, mrr = await self._metrics.money(actor, month), await self._metrics.mrr(actor, month)
            drawn = [_net(money), _attempts(money), _mrr(mrr)]
        return {
            "figures": await self._metrics.overview(actor),
            "health": health,
            "share": standing.share,
            "firing": [one for one in await self._watched() if one.state == "firing"],
            "needs": _needs(health, standing.share),
            "charts": drawn,
        }

    async def health(self) -> Health:
        """How the system does now."""
        async with self._database.connection() as connection:
            return await self._health.health(connection, now=self._clock.now(), wall=self._clock.wall())

    async def standing(self, identity: Identity) -> Overview:
        """How the mirror stands to Stripe: the share that is equal, and the runs that found it out."""
        return await self._reconcile.overview(identity)

    async def alerts(self) -> dict[str, Any]:
        """What the page of alerts shows: every rule, those that fire first."""
        watched = await self._watched()
        return {
            "built_in": self._built_in,
            "firing": [one for one in watched if one.state in ("firing", "pending")],
            "over": [one for one in watched if one.state == "over"],
            "quiet": [one for one in watched if one.state == "quiet"],
        }

    async def _watched(self) -> list[Watched]:
        async with self._database.connection() as connection:
            held = {alert.name: alert for alert in await self._alerts.listed(connection)}
        found = []
        for rule in RULES:
            alert = held.get(rule.name)
            told = (alert.state, alert.since, alert.over_at) if alert else ()
            found.append(Watched(rule.name, rule.severity, rule.summary, rule.todo, *told))
        return sorted(found, key=lambda one: ("firing", "pending", "over", "quiet").index(one.state))

    async def figures(self, identity: Identity, wanted: Mapping[str, str]) -> dict[str, Any]:
        """What the page of figures shows: a span of time, all currencies or one. Raises UnknownCurrency."""
        actor = await self._actors.actor(identity, None)
        name, span = self._span(wanted)
        assert span.start
        assert span.end
        reports = await self._metrics.reports(actor, span)
        mrr, subscribers, trials, money = reports.mrr, reports.subscribers, reports.trials, reports.money
        async with self._database.reading() as connection:
            currencies = await self._objects.currencies(connection, span.start, span.end)
        return {
            "figures": await self._metrics.overview(actor, currency=span.currency),
            "spans": list(_SPANS),
            "span": name,
            "currency": span.currency,
            "currencies": sorted({*currencies, *([span.currency] if span.currency else ())}),
            "base": self._metrics.base,
            "reports": _REPORTS,
            "without_rate": mrr.without_rate,
            "charts": [
                _mrr(mrr), _movements(mrr), _subscribers(subscribers), _churn(subscribers), _trials(trials),
                _net(money), _attempts(money), _recovery(money),
            ],
        }  # fmt: skip

    async def report_csv(self, identity: Identity, wanted: Mapping[str, str]) -> str:
        """One of the reports that the page draws, as CSV. Raises NotFound, UnknownCurrency."""
        if wanted.get("report") not in _REPORTS:
            raise NotFound(f"There is no such report; there are {', '.join(_REPORTS)}.", field="report")
        actor = await self._actors.actor(identity, None)
        report: Report = await getattr(self._metrics, wanted["report"])(actor, self._span(wanted)[1])
        rows = [msgspec.to_builtins(row) for row in report.data]
        heads = ["currency", *(rows[0] if rows else ())]
        lines = [["" if value is None else str(value) for value in row.values()] for row in rows]
        return "".join([csv_line(heads), *(csv_line([report.currency, *line]) for line in lines)])

    def _span(self, wanted: Mapping[str, str]) -> tuple[str, Span]:
        name = wanted.get("span", "")
        name = name if name in _SPANS else _USUAL
        days, by = _SPANS[name]
        end = self._metrics.today()
        return name, Span(end - timedelta(days=days - 1), end, by, wanted.get("currency") or None)


def _needs(health: Health, share: EqualShare) -> list[tuple[str, str, str]]:
    """What needs somebody: how bad, in words, and where."""
    found = [
        (health.events.dead, "bad", "event{s} could not be applied", "/console/events?state=dead"),
        (health.differences_open, "bad", "object{s} differ from Stripe's", "/console/differences?state=open"),
        (health.mails.dead, "bad", "mail{s} could not be sent", "/console/mails?state=dead"),
        (health.outbound.dead, "warn", "outbound webhook{s} were given up", "/console/deliveries?state=dead"),
        (health.endpoints_disabled, "bad", "outbound endpoint{s} switched off", "/console/endpoints"),
        (health.violations, "bad", "invariant{s} violated: tallystick doctor says which", "/console/alerts"),
        (health.work.dead, "warn", "piece{s} of due work given up: tallystick doctor says which", "/console/alerts"),
    ]
    needs = [
        (tone, f"{count:,} {text.format(s='' if count == 1 else 's')}", link)
        for count, tone, text, link in found
        if count
    ]
    if health.events.oldest_s > 60:
        needs.append(("warn", f"the inbox is {health.events.oldest_s:,.0f} s behind", "/console/events?state=pending"))
    if share.share is None:
        needs.append(("plain", "the mirror was not compared with Stripe yet", "/console/differences"))
    return needs


def _labels(report: Report) -> list[str]:
    shown = "%b %Y" if report.by == "month" else "%b %d"
    return [row.start.strftime(shown) for row in report.data]


def _values(report: Report, name: str) -> list[float | None]:
    return [getattr(row, name) for row in report.data]


def _money(report: Report) -> Callable[[float], str]:
    return lambda amount: format_money(round(amount), report.currency)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _chart(
    report: Report,
    title: str,
    text: Callable[[float], str],
    series: Sequence[tuple[str, str]],
    empty: str,
    kind: str = "bar",
) -> Any:
    lines = [Series(label, _values(report, name)) for name, label in series]
    some = any(value for line in lines for value in line.values)
    return draw(Chart(title, _labels(report) if some else [], lines, text, empty, kind, whole=text is _count))


def _mrr(report: Report) -> Any:
    lines = [("mrr", "MRR")]
    return _chart(report, "Monthly recurring revenue", _money(report), lines, "Nobody subscribes yet.", "line")


def _movements(report: Report) -> Any:
    names = ("new", "reactivation", "expansion", "contraction", "churn")
    series = [(name, name.capitalize()) for name in names]
    return _chart(report, "Movements of MRR", _money(report), series, "Nothing moved.")


def _subscribers(report: Report) -> Any:
    return _chart(report, "Subscribers", _count, [("active", "Active")], "Nobody subscribes yet.", "line")


def _churn(report: Report) -> Any:
    series = [("churn_rate", "Churn rate")]
    return _chart(report, "Churn rate (30 days)", _share, series, "Nobody left.", "line")


def _trials(report: Report) -> Any:
    series = [("started", "Started"), ("ended", "Ended"), ("converted", "Converted")]
    return _chart(report, "Trials", _count, series, "There was no trial.")


def _net(report: Report) -> Any:
    return _chart(report, "Net volume", _money(report), [("net", "Net")], "Nothing was charged.")


def _attempts(report: Report) -> Any:
    series = [("charges", "Succeeded"), ("declines", "Declined")]
    return _chart(report, "Charges", _count, series, "No card was charged.")


def _recovery(report: Report) -> Any:
    series = [("failed", "Failed"), ("recovered", "Recovered")]
    return _chart(report, "Renewals that failed", _money(report), series, "No renewal failed.")
