"""Stripe's events about subscription schedules, each into typed facts."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.stripe_gateway import translate_schedules
from tallystick.subscriptions.models_schedules import ScheduleFacts
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["SCHEDULE_HANDLERS"]


def on_schedule(event: StoredEvent) -> Sequence[ScheduleFacts]:
    return [ScheduleFacts(translate_schedules.schedule(event.object), source_of(event))]


SCHEDULE_HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[ScheduleFacts]]] = {
    f"subscription_schedule.{what}": on_schedule
    for what in ("aborted", "canceled", "completed", "created", "expiring", "released", "updated")
}
