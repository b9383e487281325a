"""Stripe's events about subscriptions, each into typed facts. What they mean is decided by the recorder."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.ordering import as_before
from tallystick.subscriptions.models import SubscriptionFacts
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS"]


def on_subscription(event: StoredEvent) -> Sequence[SubscriptionFacts]:
    before = as_before(event.object, event.previous) if event.previous else None
    return [
        SubscriptionFacts(
            translate_billing.subscription(event.object),
            source_of(event),
            translate_billing.subscription(before) if before else None,
        )
    ]


_KINDS = "created updated deleted paused resumed trial_will_end pending_update_applied pending_update_expired"
HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[SubscriptionFacts]]] = {
    f"customer.subscription.{kind}": on_subscription for kind in _KINDS.split()
}
