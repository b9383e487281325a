"""For each alert a moment in which it must not fire yet, and one in which it must: made once, seen by both evaluators.

A moment is made by the calls that count (`note_…`) and by what the database would tell. From it come the signals of the
built-in evaluator, and the very samples that `/metrics` would show, for Prometheus.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from tallystick.metrics.exposition import Told, families
from tallystick.metrics.repository_health import Health, Queue, Window
from tallystick.metrics.signals import Signals
from tallystick.platform import telemetry
from tallystick.platform.telemetry import (
    note_applied,
    note_database_error,
    note_request,
    note_stripe,
    note_webhook,
    take_tally,
)

__all__ = ["CALM", "CASES", "Moment", "samples_of", "signals_of"]

_EMPTY = Queue(due=0, oldest_s=0, dead=0)
_WELL = Health(
    events=_EMPTY,
    parked=0,
    work=_EMPTY,
    mails=_EMPTY,
    outbound=_EMPTY,
    endpoints_disabled=0,
    attempts_open=0,
    attempts_oldest_s=0,
    processing_payments=0,
    differences_open=0,
    catch_up_age_s=60,
    last_event_age_s=30,
    violations=0,
    connections=10,
    connections_max=100,
    stripe_live_calls=5,
    stripe_background_calls=1,
    stripe_paused_s=0,
    endpoint_enabled=True,
    own_connections={("api", "idle"): 3},
)
_HOUR = Window(charges=0, declines=0, events=0, events_retried=0, dunning_mails_dead=0, payment_seconds=None)


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Moment:
    """What differs from a calm moment; `counted` makes ten minutes' worth of calls."""

    health: Mapping[str, Any] = field(default_factory=dict)
    hour: Mapping[str, Any] = field(default_factory=dict)
    counted: Callable[[], None] = _nothing


CALM = Moment()


def _requests(route: str, **statuses: int) -> Callable[[], None]:
    """So many requests by status (`s200=5`), each of them quick."""

    def make() -> None:
        for name, count in statuses.items():
            for _ in range(count):
                note_request(route, "POST", int(name[1:]), 0.1)

    return make


def _timed(quick: int, slow: int) -> Callable[[], None]:
    def make() -> None:
        for number in range(quick + slow):
            note_request("/api/products", "GET", 200, 0.02 if number < quick else 6.0)

    return make


def _events(**outcomes: int) -> Callable[[], None]:
    def make() -> None:
        for outcome, count in outcomes.items():
            note_applied(outcome, count)

    return make


def _webhooks(outcome: str, count: int) -> Callable[[], None]:
    def make() -> None:
        for _ in range(count):
            note_webhook(outcome, 0.01)

    return make


def _calls(**outcomes: int) -> Callable[[], None]:
    def make() -> None:
        for outcome, count in outcomes.items():
            for _ in range(count):
                note_stripe("/v1/refunds", "post", outcome, 0.2)

    return make


def _broken(kind: str, count: int) -> Callable[[], None]:
    def make() -> None:
        for _ in range(count):
            note_database_error(kind)

    return make


_PAY = "/api/payments/payment-intent"

CASES: Mapping[str, tuple[Moment, Moment]] = {
    # 10 % is not more than 10 %.
    "HighDeclineRate": (Moment(hour={"charges": 18, "declines": 2}), Moment(hour={"charges": 17, "declines": 3})),
    "PaymentRequestsFail": (
        Moment(counted=_requests(_PAY, s200=9, s402=9)),
        Moment(counted=_requests(_PAY, s200=9, s500=1)),
    ),
    "PaymentsSlow": (Moment(health={"attempts_oldest_s": 29.0}), Moment(health={"attempts_oldest_s": 31.0})),
    "WebhookProcessingFails": (
        Moment(counted=_events(processed=30, unhandled=1, waiting=9, retried=2)),
        Moment(counted=_events(processed=36, retried=3, dead=1)),
    ),
    "HighRetryRate": (
        Moment(hour={"events": 40, "events_retried": 8}),
        Moment(hour={"events": 40, "events_retried": 9}),
    ),
    "WebhookBacklog": (
        Moment(health={"events": Queue(900, 119, 0)}),
        Moment(health={"events": Queue(900, 121, 0)}),
    ),
    "WebhooksRefused": (Moment(counted=_webhooks("accepted", 30)), Moment(counted=_webhooks("unavailable", 1))),
    "WebhookSignaturesWrong": (Moment(counted=_webhooks("unsigned", 9)), Moment(counted=_webhooks("unsigned", 11))),
    # Deadlocks are contention: they are done again, and nobody is called for them.
    "DatabaseErrors": (Moment(counted=_broken("contention", 50)), Moment(counted=_broken("lost", 6))),
    "StripeErrors": (
        Moment(counted=_calls(done=36, declined=4, unavailable=2)),
        Moment(counted=_calls(done=38, unavailable=1, unknown=2)),
    ),
    "ApiSlow": (Moment(counted=_timed(40, 2)), Moment(counted=_timed(37, 3))),
    "DeadLetters": (Moment(health={"mails": Queue(0, 0, 1)}), Moment(health={"events": Queue(0, 0, 1)})),
    "Drift": (CALM, Moment(health={"differences_open": 1})),
    "InvariantViolated": (CALM, Moment(health={"violations": 1})),
    "EndpointDisabledByStripe": (
        Moment(health={"endpoint_enabled": None}),
        Moment(health={"endpoint_enabled": False}),
    ),
    "NoEvents": (Moment(health={"last_event_age_s": 86_400.0}), Moment(health={"last_event_age_s": 86_401.0})),
    "CatchUpStands": (Moment(health={"catch_up_age_s": None}), Moment(health={"catch_up_age_s": 3_601.0})),
    "DunningMailsFail": (CALM, Moment(hour={"dunning_mails_dead": 1})),
    "OutboundEndpointOff": (CALM, Moment(health={"endpoints_disabled": 1})),
    "ConnectionsRunOut": (Moment(health={"connections": 85}), Moment(health={"connections": 86})),
}
"""By the alert's name: as close to it as can be, and over it."""


def signals_of(moment: Moment) -> Signals:
    """What the built-in evaluator looks at."""
    take_tally()
    moment.counted()
    return Signals(health=replace(_WELL, **moment.health), hour=replace(_HOUR, **moment.hour), minutes=take_tally())


def samples_of(moment: Moment) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """What Prometheus reads: gauges as they stand, and by how much counters grow in ten minutes; by name and labels."""
    before = _samples(telemetry.REGISTRY)
    signals = signals_of(moment)
    grown = {name: value - before.get(name, 0) for name, value in _samples(telemetry.REGISTRY).items()}
    told = _samples(families(Told(signals, {}, {}, None, 20)))
    return told, grown


def _samples(source: CollectorRegistry | list[Metric]) -> dict[str, float]:
    found = source.collect() if isinstance(source, CollectorRegistry) else source
    return {_series(sample.name, sample.labels): sample.value for family in found for sample in family.samples}


def _series(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}"
