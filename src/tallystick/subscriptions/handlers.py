"""Stripe's events about subscriptions, each into typed facts. What they mean is decided by the recorder."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.ordering import Source, as_before
from tallystick.subscriptions.models import SubscriptionFacts
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS"]


def on_subscription(event: StoredEvent) -> Sequence[SubscriptionFacts]:
    source = Source(
        "event",
        event.created,
        event_id=event.stripe_event_id,
        event_type=event.type,
        previous=event.previous,
        request_key=event.request_idempotency_key,
        requested=event.requested,
    )
    before = as_before(event.object, event.previous) if event.previous else None
    return [
        SubscriptionFacts(
            translate_billing.subscription(event.object),
            source,
            translate_billing.subscription(before) if before else None,
        )
    ]


_KINDS = "created updated deleted paused resumed trial_will_end pending_update_applied pending_update_expired"
HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[SubscriptionFacts]]] = {
    f"customer.subscription.{kind}": on_subscription for kind in _KINDS.split()
}
