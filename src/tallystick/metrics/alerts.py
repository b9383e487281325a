"""The alerts, as data: each with the expression that Prometheus evaluates, and the same for the built-in evaluator.

`rules_file()` is deploy/prometheus/tallystick.rules.yml; a test holds the file against it.
"""

import json
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from tallystick.metrics.signals import Signals

__all__ = ["RULES", "Rule", "rules_file"]

Severity = Literal["page", "ticket"]


class Rule(Struct, frozen=True):
    """One alert. It fires when `value` has been above `above` for `for_s` seconds; a `value` of None never is.

    `expression` is PromQL that gives a sample while it holds; `todo` says what to do, and where.
    """

    name: str
    severity: Severity
    summary: str
    todo: str
    value: Callable[[Signals], float | None]
    above: float
    expression: str
    for_s: int = 0

    def holds(self, signals: Signals) -> float | None:
        """The value if it is too high, else None."""
        found = self.value(signals)
        return found if found is not None and found > self.above else None


def _share(part: float, whole: float, least: float) -> float | None:
    """A share, where there is enough to tell by."""
    return part / whole if whole >= least else None


def _counted(name: str) -> Callable[[Signals], float]:
    return lambda signals: signals.count(name)


def _ratio(part: str, whole: str, least: int) -> Callable[[Signals], float | None]:
    return lambda signals: _share(signals.count(part), signals.count(whole), least)


_TRIES = ("processed", "unhandled", "waiting", "retried", "dead")

RULES: Sequence[Rule] = (
    Rule(
        "HighDeclineRate",
        "ticket",
        "More than 10 % of the charges of the last hour were declined.",
        "Look at the codes: /console/payments?status=failed. All the same: a bank is away, or cards are being tested.",
        lambda signals: _share(signals.hour.declines, signals.hour.charges + signals.hour.declines, 10),
        0.10,
        'max(tallystick_charges_last_hour{outcome="declined"}) '
        "/ sum(max by (outcome) (tallystick_charges_last_hour)) > 0.10 "
        "and sum(max by (outcome) (tallystick_charges_last_hour)) >= 10",
    ),
    Rule(
        "PaymentRequestsFail",
        "page",
        "Requests about payments end with a 5xx.",
        "Look at the log for level error, then at Stripe's status page and at the database.",
        _counted("payment_errors"),
        0,
        "sum(increase(tallystick_payment_request_errors_total[10m])) > 0",
    ),
    Rule(
        "PaymentsSlow",
        "page",
        "A call to Stripe has been without an outcome for more than 30 seconds.",
        "The worker settles it; see whether it runs, and Stripe's status page: tallystick doctor.",
        lambda signals: signals.health.attempts_oldest_s,
        30,
        "max(tallystick_attempts_oldest_seconds) > 30",
        for_s=60,
    ),
    Rule(
        "WebhookProcessingFails",
        "ticket",
        "More than 5 % of the tries to apply an event failed.",
        "Read the errors: /console/events?state=pending.",
        lambda signals: _share(
            signals.count("events_retried") + signals.count("events_dead"),
            sum(signals.count(f"events_{outcome}") for outcome in _TRIES),
            20,
        ),
        0.05,
        'sum(increase(tallystick_events_applied_total{outcome=~"retried|dead"}[10m])) '
        "/ sum(increase(tallystick_events_applied_total[10m])) > 0.05 "
        "and sum(increase(tallystick_events_applied_total[10m])) >= 20",
    ),
    Rule(
        "HighRetryRate",
        "ticket",
        "More than 20 % of the events of the last hour had to be tried again.",
        "Read the errors: /console/events.",
        lambda signals: _share(signals.hour.events_retried, signals.hour.events, 20),
        0.20,
        "max(tallystick_events_retried_last_hour) / max(tallystick_events_last_hour) > 0.20 "
        "and max(tallystick_events_last_hour) >= 20",
    ),
    Rule(
        "WebhookBacklog",
        "page",
        "Events wait for more than two minutes to be applied.",
        "Is a worker running? tallystick doctor. If they all do, start another one.",
        lambda signals: signals.health.events.oldest_s,
        120,
        'max(tallystick_queue_oldest_seconds{queue="events"}) > 120',
        for_s=60,
    ),
    Rule(
        "WebhooksRefused",
        "page",
        "Webhooks are turned away, as the database is away or slow.",
        "Stripe sends them again. See to the database: tallystick doctor.",
        _counted("webhooks_unavailable"),
        0,
        'sum(increase(tallystick_webhooks_received_total{outcome="unavailable"}[10m])) > 0',
    ),
    Rule(
        "WebhookSignaturesWrong",
        "page",
        "Many webhooks bear a signature that is not Stripe's.",
        "Was the endpoint's secret rolled? tallystick webhooks list. If not, somebody forges events, in vain.",
        _counted("webhooks_unsigned"),
        10,
        'sum(increase(tallystick_webhooks_received_total{outcome="unsigned"}[10m])) > 10',
    ),
    Rule(
        "DatabaseErrors",
        "page",
        "PostgreSQL broke off connections or transactions.",
        "Look at its log, its disk and its connections: tallystick doctor.",
        _counted("database_errors"),
        5,
        'sum(increase(tallystick_database_errors_total{kind="lost"}[10m])) > 5',
    ),
    Rule(
        "StripeErrors",
        "page",
        "More than 5 % of the calls to Stripe fail.",
        "See Stripe's status page. Payments go on when it is back; unknown outcomes are settled by the worker.",
        _ratio("stripe_errors", "stripe_requests", 20),
        0.05,
        'sum(increase(tallystick_stripe_requests_total{outcome=~"unavailable|unknown"}[10m])) '
        "/ sum(increase(tallystick_stripe_requests_total[10m])) > 0.05 "
        "and sum(increase(tallystick_stripe_requests_total[10m])) >= 20",
    ),
    Rule(
        "ApiSlow",
        "page",
        "More than 5 % of the requests take longer than five seconds.",
        "Look at the database and at Stripe's latency on the board.",
        _ratio("http_slow", "http_requests", 20),
        0.05,
        '1 - sum(increase(tallystick_http_request_duration_seconds_bucket{le="5.0"}[10m])) '
        "/ sum(increase(tallystick_http_request_duration_seconds_count[10m])) > 0.05 "
        "and sum(increase(tallystick_http_request_duration_seconds_count[10m])) >= 20",
    ),
    Rule(
        "DeadLetters",
        "ticket",
        "Events could not be applied, and wait for somebody.",
        "Review, replay or discard them: /console/events?state=dead.",
        lambda signals: signals.health.events.dead,
        0,
        'max(tallystick_queue_dead{queue="events"}) > 0',
    ),
    Rule(
        "Drift",
        "page",
        "Objects differ from Stripe's.",
        "See which, and why: /console/differences?state=open, or tallystick reconcile.",
        lambda signals: signals.health.differences_open,
        0,
        "max(tallystick_differences_open) > 0",
        for_s=1800,
    ),
    Rule(
        "InvariantViolated",
        "page",
        "What must always hold does not.",
        "tallystick doctor says which, and what to do.",
        lambda signals: signals.health.violations,
        0,
        "max(tallystick_invariant_violations) > 0",
    ),
    Rule(
        "EndpointDisabledByStripe",
        "page",
        "Stripe does not send webhooks any more: its endpoint is disabled.",
        "Enable it in the dashboard, or run tallystick webhooks install; the worker catches up on what was missed.",
        lambda signals: None if signals.health.endpoint_enabled is None else float(not signals.health.endpoint_enabled),
        0,
        "min(tallystick_stripe_endpoint_enabled) == 0",
    ),
    Rule(
        "NoEvents",
        "ticket",
        "No event has come for a day.",
        "Does Stripe reach us? tallystick doctor looks at the endpoint.",
        lambda signals: signals.health.last_event_age_s,
        86_400,
        "min(tallystick_last_event_age_seconds) > 86400",
    ),
    Rule(
        "CatchUpStands",
        "ticket",
        "Stripe's list of events has not been read for an hour.",
        "Is a worker running, and does its key allow reading events? tallystick doctor.",
        lambda signals: signals.health.catch_up_age_s,
        3_600,
        "max(tallystick_catch_up_age_seconds) > 3600",
        # A machine that slept reads it soon after.
        for_s=300,
    ),
    Rule(
        "DunningMailsFail",
        "ticket",
        "Mails that ask for a payment could not be sent.",
        "See the mail server's answer: /console/mails?state=dead.",
        lambda signals: signals.hour.dunning_mails_dead,
        0,
        "max(tallystick_dunning_mails_dead_last_hour) > 0",
    ),
    Rule(
        "OutboundEndpointOff",
        "ticket",
        "An endpoint of your application was switched off: it failed for long, or said that it is gone.",
        "Mend it, then enable it: /console/endpoints, or PUT /api/webhook-endpoints/:id.",
        lambda signals: signals.health.endpoints_disabled,
        0,
        "max(tallystick_outbound_endpoints_disabled) > 0",
    ),
    Rule(
        "ConnectionsRunOut",
        "page",
        "More than 85 % of the database's connections are taken.",
        "Run fewer processes, make DATABASE_POOL_SIZE smaller, or max_connections larger.",
        lambda signals: signals.health.connections / signals.health.connections_max,
        0.85,
        "max(tallystick_database_connections / tallystick_database_connections_limit) > 0.85",
        for_s=120,
    ),
)


def rules_file() -> str:
    """The rules as Prometheus reads them: YAML, every text of it quoted as JSON quotes it."""
    lines = [
        "# Made by `tallystick alerts rules`, from src/tallystick/metrics/alerts.py.",
        "groups:",
        '  - name: "tallystick"',
        '    interval: "30s"',
        "    rules:",
    ]
    for rule in RULES:
        lines += [
            f"      - alert: {json.dumps(rule.name)}",
            f"        expr: {json.dumps(rule.expression)}",
            f'        for: "{rule.for_s}s"',
            "        labels:",
            f"          severity: {json.dumps(rule.severity)}",
            '          service: "tallystick"',
            "        annotations:",
            f"          summary: {json.dumps(rule.summary)}",
            f"          description: {json.dumps(rule.todo)}",
        ]
    return "\n".join(lines) + "\n"
