"""The board for Grafana, as data: `tallystick alerts board` prints it; a test holds deploy/grafana/tallystick.json."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

__all__ = ["ROWS", "Panel", "board"]

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT = 8, 7
_SUCCESS = (
    'max(tallystick_charges_last_hour{outcome="succeeded"}) / sum(max by (outcome) (tallystick_charges_last_hour))'
)


class Panel(Struct, frozen=True):
    """One graph: what it is measured in (Grafana's name of a unit), and its queries, each with its legend."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]


def _rate(name: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({name}{where}[$__rate_interval]))"


def _share(part: str, whole: str) -> str:
    return f"sum(rate({part}[$__rate_interval])) / sum(rate({whole}[$__rate_interval]))"


def _late(name: str, by: str = "", quantile: float = 0.95) -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({name}_bucket[$__rate_interval])))"


def _same_for_all(name: str, by: str) -> str:
    """What every process reads off the one database is shown once."""
    return f"max by ({by}) ({name})" if by else f"max({name})"


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Payments",
        (
            Panel(
                "Charges of the last hour",
                "short",
                [(_same_for_all("tallystick_charges_last_hour", "outcome"), "{{outcome}}")],
            ),
            Panel(
                "Success rate",
                "percentunit",
                [(_SUCCESS, "of charges")],
            ),
            Panel(
                "Volume a day",
                "short",
                [("max by (kind, currency) (delta(tallystick_volume[1d]))", "{{kind}} {{currency}}")],
            ),
            Panel(
                "Declines by code", "short", [("max by (code) (increase(tallystick_declines_total[1h]))", "{{code}}")]
            ),
            Panel(
                "From creation to charge",
                "s",
                [(_same_for_all("tallystick_payment_last_hour_seconds", "percentile"), "{{percentile}} %")],
            ),
            Panel(
                "On their way",
                "short",
                [
                    (_same_for_all("tallystick_payments_processing", ""), "processing"),
                    (_same_for_all("tallystick_attempts_open", ""), "calls without an outcome"),
                ],
            ),
        ),
    ),
    (
        "Webhooks",
        (
            Panel("Received", "reqps", [(_rate("tallystick_webhooks_received_total", "outcome"), "{{outcome}}")]),
            Panel("Applied", "ops", [(_rate("tallystick_events_applied_total", "outcome"), "{{outcome}}")]),
            Panel(
                "Share of tries that failed",
                "percentunit",
                [
                    (
                        _share(
                            'tallystick_events_applied_total{outcome=~"retried|dead"}',
                            "tallystick_events_applied_total",
                        ),
                        "failed",
                    )
                ],
            ),
            Panel(
                "Until applied (95 %)",
                "s",
                [(_late("tallystick_event_apply_delay_seconds", "since"), "since {{since}}")],
            ),
            Panel("Until stored (95 %)", "s", [(_late("tallystick_webhook_accept_duration_seconds"), "accepted")]),
            Panel(
                "Last event, last look at Stripe's list",
                "s",
                [
                    ("min(tallystick_last_event_age_seconds)", "last event"),
                    ("max(tallystick_catch_up_age_seconds)", "list of events"),
                ],
            ),
        ),
    ),
    (
        "Stripe",
        (
            Panel("Calls", "reqps", [(_rate("tallystick_stripe_requests_total", "outcome"), "{{outcome}}")]),
            Panel(
                "Calls by resource", "reqps", [(_rate("tallystick_stripe_requests_total", "resource"), "{{resource}}")]
            ),
            Panel(
                "How long (95 %)",
                "s",
                [(_late("tallystick_stripe_request_duration_seconds", "resource"), "{{resource}}")],
            ),
            Panel(
                "Rate budget",
                "reqps",
                [
                    ("max by (kind) (tallystick_stripe_calls_last_minute) / 60", "{{kind}}"),
                    (_same_for_all("tallystick_stripe_calls_limit_per_second", ""), "limit"),
                    ("sum(rate(tallystick_stripe_rate_limited_total[$__rate_interval]))", "turned away (429)"),
                ],
            ),
            Panel("Background calls pause", "s", [(_same_for_all("tallystick_stripe_paused_seconds", ""), "still")]),
            Panel(
                "Equal to Stripe",
                "percentunit",
                [("min(tallystick_mirror_equal_share)", "of the mirror")],
            ),
        ),
    ),
    (
        "Queues and mails",
        (
            Panel("Due", "short", [(_same_for_all("tallystick_queue_due", "queue"), "{{queue}}")]),
            Panel("Oldest", "s", [(_same_for_all("tallystick_queue_oldest_seconds", "queue"), "{{queue}}")]),
            Panel("Given up", "short", [(_same_for_all("tallystick_queue_dead", "queue"), "{{queue}}")]),
            Panel("Mails", "ops", [(_rate("tallystick_mails_total", "outcome"), "{{outcome}}")]),
            Panel(
                "Outbound webhooks", "ops", [(_rate("tallystick_outbound_webhooks_total", "outcome"), "{{outcome}}")]
            ),
            Panel("Due work", "ops", [(_rate("tallystick_work_total", "kind, outcome"), "{{kind}} {{outcome}}")]),
        ),
    ),
    (
        "API and database",
        (
            Panel("Requests", "reqps", [(_rate("tallystick_http_requests_total", "status"), "{{status}}")]),
            Panel("How long (95 %)", "s", [(_late("tallystick_http_request_duration_seconds", "route"), "{{route}}")]),
            Panel(
                "Requests about payments that end with a 5xx",
                "reqps",
                [("sum(rate(tallystick_payment_request_errors_total[$__rate_interval]))", "5xx")],
            ),
            Panel(
                "Connections",
                "short",
                [
                    (_same_for_all("tallystick_database_own_connections", "program, state"), "{{program}} {{state}}"),
                    (_same_for_all("tallystick_database_connections_limit", ""), "limit"),
                ],
            ),
            Panel("Broken off", "ops", [(_rate("tallystick_database_errors_total", "kind"), "{{kind}}")]),
            Panel(
                "What must always hold",
                "short",
                [
                    (_same_for_all("tallystick_invariant_violations", ""), "violations"),
                    (_same_for_all("tallystick_differences_open", ""), "differences"),
                ],
            ),
        ),
    ),
)


def board() -> dict[str, Any]:
    """The board as Grafana imports it; it asks for the source of its data."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": []}
            | {"gridPos": {"x": 0, "y": top, "w": 24, "h": 1}}
        )
        top += 1
        for number, panel in enumerate(row):
            place = {"x": number % 3 * _WIDTH, "y": top + number // 3 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append(_panel(panel, len(panels) + 1) | {"gridPos": place})
        top += -(-len(row) // 3) * _HEIGHT
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "tallystick",
        "title": "Tallystick",
        "tags": ["tallystick"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }
