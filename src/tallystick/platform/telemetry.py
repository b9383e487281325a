"""What this process counts and times, for Prometheus. Names and units follow its conventions.

Where PROMETHEUS_MULTIPROC_DIR names a folder, all processes of the machine count in files there, and any of them shows
the sums. What can be read off the database is not counted here: `metrics/exposition.py` adds it.

What alerts look at is tallied beside that, and kept by the minute in the database (`metrics/service_minutes.py`), so
that alerts need no Prometheus and see all processes of all machines.
"""

import os
from collections import Counter as Counter_
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = [
    "REGISTRY", "exposed", "note_applied", "note_database_error", "note_delay", "note_mail", "note_outbound",
    "note_rate_limited", "note_refused", "note_request", "note_stripe", "note_webhook", "note_work", "put_tally_back",
    "resource_of", "take_tally",
]  # fmt: skip

if _folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # The library opens files there as soon as there is a metric.
    Path(_folder).mkdir(parents=True, exist_ok=True)

# A second series for each, which tells when it was born: nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types there

REGISTRY = CollectorRegistry()
"""Ours alone: no other library of the host application shows up in it."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# The words of Stripe's paths that we call; whatever else stands in one is an id.
_WORDS = frozenset({
    "v1", "account", "active_entitlements", "attach", "billing_portal", "cancel", "capture", "charges", "checkout",
    "configurations", "confirm", "coupons", "create_preview", "customers", "detach", "disputes", "entitlements",
    "events", "exchange_rates", "features", "finalize", "invoiceitems", "invoices", "lines", "pay", "payment_intents",
    "payment_methods", "prices", "products", "promotion_codes", "refunds", "release", "resume", "search", "sessions",
    "setup_intents", "subscription_items", "subscription_schedules", "subscriptions", "test_clocks", "test_helpers",
    "upcoming", "void", "webhook_endpoints",
})  # fmt: skip

HTTP_REQUESTS = Counter(
    "tallystick_http_requests_total",
    "Requests that were answered, by route template; unknown addresses are one route.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "tallystick_http_request_duration_seconds",
    "From the request's first byte to the answer's last.",
    ["route", "method"],
    buckets=_FAST,
    registry=REGISTRY,
)
PAYMENT_ERRORS = Counter(
    "tallystick_payment_request_errors_total",
    "Requests about payments that ended with a 5xx: our failing, or Stripe's.",
    registry=REGISTRY,
)
WEBHOOKS_RECEIVED = Counter(
    "tallystick_webhooks_received_total",
    "Webhooks by answer: accepted (also when known already), unsigned (not Stripe's signature), invalid, unavailable.",
    ["outcome"],
    registry=REGISTRY,
)
INGEST_SECONDS = Histogram(
    "tallystick_webhook_accept_duration_seconds",
    "From a webhook's first byte to its commit.",
    buckets=_FAST,
    registry=REGISTRY,
)
EVENTS_APPLIED = Counter(
    "tallystick_events_applied_total",
    "Tries to apply an event: processed, unhandled (no handler for it), waiting (for its parent), retried, dead.",
    ["outcome"],
    registry=REGISTRY,
)
APPLY_DELAY = Histogram(
    "tallystick_event_apply_delay_seconds",
    "Until an event was applied, counted from when Stripe made it (created) or from when it came (received).",
    ["since"],
    buckets=_SLOW,
    registry=REGISTRY,
)
STRIPE_REQUESTS = Counter(
    "tallystick_stripe_requests_total",
    "Calls to Stripe, the tries of one together: done, declined, rejected, unavailable, unknown.",
    ["resource", "method", "outcome"],
    registry=REGISTRY,
)
STRIPE_SECONDS = Histogram(
    "tallystick_stripe_request_duration_seconds",
    "One call to Stripe, its tries together.",
    ["resource", "method"],
    buckets=_FAST,
    registry=REGISTRY,
)
STRIPE_LIMITED = Counter(
    "tallystick_stripe_rate_limited_total",
    "Tries that Stripe turned away for there being too many (429).",
    registry=REGISTRY,
)
REFUSED = Counter(
    "tallystick_requests_refused_total",
    "Requests that were over a limit of ours, by policy.",
    ["policy"],
    registry=REGISTRY,
)
MAILS = Counter(
    "tallystick_mails_total",
    "Tries to send a mail: sent, delayed, dead (given up), superseded (no longer true).",
    ["template", "outcome"],
    registry=REGISTRY,
)
OUTBOUND = Counter(
    "tallystick_outbound_webhooks_total",
    "Deliveries to the host application: delivered, failed.",
    ["outcome"],
    registry=REGISTRY,
)
WORK = Counter(
    "tallystick_work_total",
    "Tries of due work: done, later (a timer that is due again), retried, dead.",
    ["kind", "outcome"],
    registry=REGISTRY,
)
DATABASE_ERRORS = Counter(
    "tallystick_database_errors_total",
    "What PostgreSQL, or the way to it, broke off: lost (connections and all else), contention (deadlocks, locks).",
    ["kind"],
    registry=REGISTRY,
)

# A series that is born at 1 shows no increase: these are there from the start.
_received = {
    outcome: WEBHOOKS_RECEIVED.labels(outcome) for outcome in ("accepted", "unsigned", "invalid", "unavailable")
}
_since_received, _since_created = APPLY_DELAY.labels("received"), APPLY_DELAY.labels("created")
for _outcome in ("processed", "unhandled", "waiting", "retried", "dead"):
    EVENTS_APPLIED.labels(_outcome)
for _outcome in ("delivered", "failed"):
    OUTBOUND.labels(_outcome)
for _kind in ("lost", "contention"):
    DATABASE_ERRORS.labels(_kind)

_SLOW_S = 5.0
_tally: Counter_[str] = Counter_()


def take_tally() -> dict[str, int]:
    """What was tallied since the last time."""
    taken = dict(_tally)
    _tally.clear()
    return taken


def put_tally_back(taken: Mapping[str, int]) -> None:
    """Keep for later what could not be stored."""
    _tally.update(taken)


def note_request(route: str, method: str, status: int, seconds: float) -> None:
    """A request was answered."""
    method = method if method in _METHODS else "other"
    count, timing = _of_requests(route, method, status)
    count.inc()
    timing.observe(seconds)
    _tally["http_requests"] += 1
    if status >= 500:
        _tally["http_errors"] += 1
        if route.startswith("/api/payments/"):
            PAYMENT_ERRORS.inc()
            _tally["payment_errors"] += 1
    if seconds > _SLOW_S:
        _tally["http_slow"] += 1


@cache
def _of_requests(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """The series of a route's answers: finding them costs more than counting. Routes are templates, so they are few."""
    return HTTP_REQUESTS.labels(route, method, str(status)), HTTP_SECONDS.labels(route, method)


def note_webhook(outcome: str, seconds: float) -> None:
    """A webhook was answered: `accepted`, `unsigned`, `invalid` or `unavailable`."""
    _received[outcome].inc()
    if outcome == "accepted":
        INGEST_SECONDS.observe(seconds)
    _tally[f"webhooks_{outcome}"] += 1


def note_applied(outcome: str, count: int = 1) -> None:
    """Events were tried: `processed`, `unhandled`, `waiting`, `retried` or `dead`."""
    EVENTS_APPLIED.labels(outcome).inc(count)
    _tally[f"events_{outcome}"] += count


def note_delay(since_received: float, since_created: float) -> None:
    """An event was applied, so many seconds after it came, and after Stripe made it."""
    _since_received.observe(max(since_received, 0.0))
    _since_created.observe(max(since_created, 0.0))


def note_stripe(path: str, method: str, outcome: str, seconds: float) -> None:
    """A call to Stripe ended: `done`, `declined`, `rejected`, `unavailable` or `unknown`."""
    resource = resource_of(path)
    STRIPE_REQUESTS.labels(resource, method, outcome).inc()
    STRIPE_SECONDS.labels(resource, method).observe(seconds)
    _tally["stripe_requests"] += 1
    if outcome in ("unavailable", "unknown"):
        _tally["stripe_errors"] += 1


def resource_of(path: str) -> str:
    """A path of Stripe's without its ids: `/v1/refunds/{id}`."""
    return "/".join(part if part in _WORDS or not part else "{id}" for part in path.split("/"))


def note_rate_limited() -> None:
    """Stripe said 429."""
    STRIPE_LIMITED.inc()


def note_refused(policy: str) -> None:
    """A caller was over a limit of ours."""
    REFUSED.labels(policy).inc()


def note_mail(template: str, outcome: str) -> None:
    """A mail was tried: `sent`, `delayed`, `dead` or `superseded`."""
    MAILS.labels(template, outcome).inc()


def note_outbound(outcome: str) -> None:
    """A fact was `delivered`, or `failed` to be."""
    OUTBOUND.labels(outcome).inc()


def note_work(kind: str, outcome: str) -> None:
    """A piece of due work was tried: `done`, `later`, `retried` or `dead`."""
    WORK.labels(kind, outcome).inc()


def note_database_error(kind: str) -> None:
    """PostgreSQL, or the way to it, broke something off: `lost`, or by `contention`, which passes."""
    DATABASE_ERRORS.labels(kind).inc()
    if kind == "lost":
        _tally["database_errors"] += 1


def exposed() -> bytes:
    """What is counted, in Prometheus' text format: by this process, or by all of the machine's."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types there
    return generate_latest(registry)
