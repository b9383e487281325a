"""What the handlers of every area need."""

from tallystick.stripe_gateway.ordering import Source
from tallystick.webhooks.models import StoredEvent

__all__ = ["source_of"]


def source_of(event: StoredEvent) -> Source:
    """Where the facts of an event come from."""
    return Source(
        "event",
        event.created,
        event_id=event.stripe_event_id,
        event_type=event.type,
        previous=event.previous,
        request_key=event.request_idempotency_key,
        requested=event.requested,
    )
