"""Stripe's events about subscription schedules, each into typed facts."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.stripe_gateway import translate_schedules
from tallystick.stripe_gateway.ordering import Source
from tallystick.subscriptions.models_schedules import ScheduleFacts
from tallystick.webhooks.models import StoredEvent

__all__ = ["SCHEDULE_HANDLERS"]


def on_schedule(event: StoredEvent) -> Sequence[ScheduleFacts]:
    source = Source(
        "event", event.created, event_id=event.stripe_event_id, event_type=event.type, previous=event.previous
    )
    return [ScheduleFacts(translate_schedules.schedule(event.object), source)]


SCHEDULE_HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[ScheduleFacts]]] = {
    f"subscription_schedule.{what}": on_schedule
    for what in ("aborted", "canceled", "completed", "created", "expiring", "released", "updated")
}
