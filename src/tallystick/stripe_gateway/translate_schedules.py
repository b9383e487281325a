"""Stripe's subscription schedules into our objects, for every API version."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.objects_schedules import Phase, Schedule
from tallystick.stripe_gateway.translate import metadata, reference

__all__ = ["schedule"]


def schedule(obj: Mapping[str, Any]) -> Schedule:
    """A subscription schedule; one that is released names its subscription elsewhere."""
    current = obj.get("current_phase")
    return Schedule(
        id=obj["id"],
        status=obj["status"],
        created=from_unix(obj["created"]),
        metadata=metadata(obj),
        customer=reference(obj.get("customer")),
        subscription=reference(obj.get("subscription") or obj.get("released_subscription")),
        end_behavior=obj["end_behavior"],
        current_start=from_unix(current["start_date"]) if current else None,
        phases=[_phase(phase) for phase in obj["phases"]],
    )


def _phase(phase: Mapping[str, Any]) -> Phase:
    return Phase(
        start=from_unix(phase["start_date"]),
        end=from_unix(phase["end_date"]),
        items=[(reference(item["price"]) or "", item.get("quantity")) for item in phase["items"]],
        trial_end=from_unix(phase["trial_end"]) if phase.get("trial_end") else None,
        tax_rates=_references(phase.get("default_tax_rates")),
        item_tax_rates=[_references(item.get("tax_rates")) for item in phase["items"]],
    )


def _references(values: Sequence[Any] | None) -> list[str]:
    return [found for value in values or () if (found := reference(value))]
