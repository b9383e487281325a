"""`Exposition`: `/metrics` for Prometheus: what processes count, and what the database tells, read at most every five
seconds however often it is asked for.
"""

import hmac
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import Receive, Scope, Send

from tallystick.core.clock import Clock
from tallystick.core.money import Money
from tallystick.metrics.models import Kind
from tallystick.metrics.repository import MetricsRepository
from tallystick.metrics.repository_health import QUANTILES, Health, Window
from tallystick.metrics.service_alerts import AlertKeeper
from tallystick.metrics.service_refresh import MONEY_KINDS
from tallystick.metrics.signals import Signals
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import exposed

__all__ = ["METRICS_PATH", "Exposition", "Told", "families"]

METRICS_PATH = "/metrics"
_FRESH_S = 5.0
_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# What Stripe's codes look like; whatever else came would be a series of its own for each.
_CODE = re.compile(r"[a-z_]{1,50}")

Sums = Mapping[tuple[str, Kind], tuple[int, int]]
Declines = Mapping[tuple[str, str], int]


class Told(Struct, frozen=True):
    """What the database tells: `days` are sums of money by currency and kind, `declines` by code and currency."""

    signals: Signals
    days: Sums
    declines: Declines
    equal_share: float | None
    calls_a_second: int


class Exposition:
    """The ASGI application at `/metrics`. Closed in production unless METRICS_TOKEN is set, and asked for by it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        alerts: AlertKeeper,
        equal_share: Callable[[], Awaitable[float | None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
        self._open = settings.environment != "production"
        self._alerts = alerts
        self._equal_share = equal_share
        self._calls_a_second = settings.calls_a_second
        self._repository = MetricsRepository()
        self._read: tuple[float, bytes] = (-_FRESH_S, b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = (200, await self.text()) if self.may(scope["headers"]) else (404, b"")
        headers = [(b"content-type", _TYPE), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        read_at, told = self._read
        if self._clock.monotonic() - read_at > _FRESH_S:
            told = await self._told()
            self._read = self._clock.monotonic(), told
        return exposed() + told

    def may(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether whoever sends these headers may read it."""
        if self._token is None:
            return self._open
        given = next((value for name, value in headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    async def _told(self) -> bytes:
        registry = CollectorRegistry()
        try:
            registry.register(_Collected([*families(await self.read()), _gauge("up", "The database answers.", 1)]))
        except WEATHER:
            registry.register(_Collected([_gauge("up", "The database answers.", 0)]))
        return generate_latest(registry)

    async def read(self) -> Told:
        """Read all that the database tells, now."""
        signals, share = await self._alerts.signals(), await self._equal_share()
        before = self._clock.now().date() + timedelta(days=2)
        async with self._database.connection() as connection:
            days = await self._repository.sums(connection, MONEY_KINDS, before)
            declines = await self._repository.declines(connection)
        return Told(signals, days, declines, share, self._calls_a_second)


class _Collected:
    """Families that are there already, as the library's registry takes them."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield from self._found


def families(told: Told) -> list[Metric]:
    """What the database tells."""
    return [
        *_health(told.signals.health),
        *_hour(told.signals.hour),
        *_money(told.days),
        *_declines(told.declines),
        *_stripe(told.signals.health, told.calls_a_second),
        *_known({"mirror_equal_share": ("The part of the mirror that equals Stripe's objects.", told.equal_share)}),
    ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tallystick_{name}", text, value=value)


def _known(gauges: Mapping[str, tuple[str, float | None]]) -> list[Metric]:
    return [_gauge(name, text, value) for name, (text, value) in gauges.items() if value is not None]


def _by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"tallystick_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _health(health: Health) -> list[Metric]:
    queues = {"events": health.events, "work": health.work, "mails": health.mails, "outbound": health.outbound}
    connections = GaugeMetricFamily(
        "tallystick_database_own_connections",
        "Connections of our processes, by program and what they do.",
        labels=["program", "state"],
    )
    for (program, state), count in sorted(health.own_connections.items()):
        connections.add_metric([program, state], count)
    return [
        _by_label("queue_due", "What is due and not done.", "queue", {n: q.due for n, q in queues.items()}),
        _by_label(
            "queue_oldest_seconds", "How long the oldest of it has been due.", "queue",
            {name: queue.oldest_s for name, queue in queues.items()},
        ),
        _by_label(
            "queue_dead", "What was given up and waits for somebody.", "queue",
            {name: queue.dead for name, queue in queues.items()},
        ),
        _gauge("events_parked_objects", "Objects whose events wait for one that failed.", health.parked),
        _gauge("attempts_open", "Calls to Stripe without an outcome.", health.attempts_open),
        _gauge("attempts_oldest_seconds", "How long the oldest of them has been so.", health.attempts_oldest_s),
        _gauge("payments_processing", "Payments on their way through a bank.", health.processing_payments),
        _gauge("differences_open", "Objects that differ from Stripe's.", health.differences_open),
        _gauge("invariant_violations", "Rows that break what must always hold.", health.violations),
        _gauge(
            "outbound_endpoints_disabled",
            "Endpoints that were switched off for failing, or for being gone.",
            health.endpoints_disabled,
        ),
        _gauge("database_connections", "Connections of all clients of the server.", health.connections),
        _gauge("database_connections_limit", "How many PostgreSQL allows.", health.connections_max),
        connections,
        *_known({
            "catch_up_age_seconds": ("Since Stripe's list of events was read to its end.", health.catch_up_age_s),
            "last_event_age_seconds": ("Since an event came.", health.last_event_age_s),
        }),
    ]  # fmt: skip


def _hour(hour: Window) -> list[Metric]:
    seconds = {f"{100 * share:g}": value for share, value in zip(QUANTILES, hour.payment_seconds or (), strict=False)}
    return [
        _by_label(
            "charges_last_hour",
            "Charges of the last hour: succeeded (also when only authorised), declined.",
            "outcome",
            {"succeeded": hour.charges, "declined": hour.declines},
        ),
        _by_label(
            "payment_last_hour_seconds",
            "From a payment's creation to its charge that succeeded, to Stripe's second, in the last hour.",
            "percentile",
            seconds,
        ),
        _gauge("events_last_hour", "Events that came in the last hour.", hour.events),
        _gauge("events_retried_last_hour", "Of them, those that were tried again.", hour.events_retried),
        _gauge("dunning_mails_dead_last_hour", "Mails that ask for money, given up.", hour.dunning_mails_dead),
    ]


def _money(days: Sums) -> list[Metric]:
    charges = CounterMetricFamily(
        "tallystick_charges", "Charges that were captured or declined.", labels=["outcome", "currency"]
    )
    volume = GaugeMetricFamily(
        "tallystick_volume",
        "Charged, refunded, disputed in all, in main units; refunds that fail and disputes that are won go out again.",
        labels=["kind", "currency"],
    )
    for (currency, kind), (amount, count) in sorted(days.items()):
        if kind in (Kind.CHARGED, Kind.DECLINED):
            charges.add_metric(["succeeded" if kind is Kind.CHARGED else "declined", currency], count)
        if kind in (Kind.CHARGED, Kind.REFUNDED, Kind.DISPUTED):
            volume.add_metric([kind.value, currency], float(Money(amount, currency).major()))
    return [charges, volume]


def _declines(declines: Declines) -> list[Metric]:
    family = CounterMetricFamily(
        "tallystick_declines", "Charges that were declined, by Stripe's code.", labels=["code", "currency"]
    )
    sums: Counter[tuple[str, str]] = Counter()
    for (code, currency), count in declines.items():
        sums[code if _CODE.fullmatch(code) else "other", currency] += count
    for labels, count in sorted(sums.items()):
        family.add_metric(labels, count)
    return [family]


def _stripe(health: Health, calls_a_second: int) -> list[Metric]:
    calls = {"live": health.stripe_live_calls, "background": health.stripe_background_calls}
    enabled = None if health.endpoint_enabled is None else float(health.endpoint_enabled)
    return [
        _by_label("stripe_calls_last_minute", "Calls of all processes, as the budget counts them.", "kind", calls),
        _gauge("stripe_calls_limit_per_second", "How many calls a second all processes may make.", calls_a_second),
        _gauge(
            "stripe_paused_seconds", "For how long background calls still pause, after a 429.", health.stripe_paused_s
        ),
        *_known({"stripe_endpoint_enabled": ("Whether Stripe sends webhooks to us.", enabled)}),
    ]
