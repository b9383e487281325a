"""docs/reference/metrics.md and alerts.md: what Prometheus sees, and what is alerted on."""

from typing import Any, get_args, get_origin

import msgspec
from prometheus_client.core import Metric

from reference.markdown import cell, code, page, table
from tallystick.metrics.alerts import RULES
from tallystick.metrics.exposition import Told, families
from tallystick.metrics.repository_health import Health, Window
from tallystick.metrics.signals import Signals
from tallystick.platform.telemetry import REGISTRY

__all__ = ["alerts_page", "metrics_page"]


def metrics_page() -> str:
    """The page."""
    told = families(Told(Signals(_blank(Health), _blank(Window), {}), {}, {}, 1.0, 20))
    counted = list(REGISTRY.collect())
    up = (code("tallystick_up"), "", "The database answers.")
    return page(
        "Metrics",
        "What `/metrics` shows; [monitoring](../monitoring.md) says how to scrape it. No label holds an address, an "
        "id, an amount or a secret.",
        "## What each process counts",
        "Sum these over all processes. Histograms have buckets, a sum and a count by the usual names.",
        table(("metric", "labels", "what"), (_row(family, _counted_labels(family)) for family in counted)),
        "## What the database tells",
        "Every process tells these alike: take the greatest, never the sum. `tallystick_charges_total` and "
        "`tallystick_declines_total` count all days that are in the database, so they do not begin again when a "
        "process does.",
        table(("metric", "labels", "what"), [*(_row(family, _told_labels(family)) for family in told), up]),
    )


def alerts_page() -> str:
    """The page."""
    rows = [(code(rule.name), rule.severity, cell(rule.summary), cell(rule.todo)) for rule in RULES]
    expressions = [f"**{rule.name}**{_held(rule.for_s)}\n\n```text\n{rule.expression}\n```" for rule in RULES]
    return page(
        "Alerts",
        "*page*: somebody has to look now. *ticket*: somebody has to look today. The worker evaluates them by itself, "
        "or Prometheus does; [monitoring](../monitoring.md) says how. Addresses are of the [console](../console.md).",
        table(("alert", "severity", "when", "what to do"), rows),
        "## For Prometheus",
        "`tallystick alerts rules` prints them as a file of rules.",
        *expressions,
    )


def _row(family: Metric, labels: str) -> tuple[str, str, str]:
    name = family.name + ("_total" if family.type == "counter" else "")
    return code(name), labels, cell(family.documentation)


def _counted_labels(family: Metric) -> str:
    collector = REGISTRY._names_to_collectors[family.name]
    return ", ".join(getattr(collector, "_labelnames", ()))


def _told_labels(family: Metric) -> str:
    return ", ".join(getattr(family, "_labelnames", ()))


def _held(for_s: int) -> str:
    return f", when it has held for {for_s} seconds" if for_s else ""


def _blank(kind: type[Any]) -> Any:
    """A struct whose figures are all there, and zero."""
    return kind(**{field.name: _zero(field.type) for field in msgspec.structs.fields(kind)})


def _zero(kind: Any) -> Any:
    if get_origin(kind) is not None and type(None) not in get_args(kind):
        return {}
    if type(None) in get_args(kind):
        return _zero(next(part for part in get_args(kind) if part is not type(None)))
    return _blank(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else kind()
