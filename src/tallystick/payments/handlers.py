"""Stripe's events about payments, each into typed facts. What they mean is decided by the recorder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tallystick.payments.models import ChargeFacts, DisputeFacts, Facts, IntentFacts, RefundFacts
from tallystick.stripe_gateway import translate
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS"]


def on_payment_intent(event: StoredEvent) -> Sequence[Facts]:
    return [IntentFacts(translate.payment_intent(event.object), source_of(event))]


def on_charge(event: StoredEvent) -> Sequence[Facts]:
    return [ChargeFacts(translate.charge(event.object), source_of(event))]


def on_refund(event: StoredEvent) -> Sequence[Facts]:
    return [RefundFacts(translate.refund(event.object), source_of(event))]


def on_dispute(event: StoredEvent) -> Sequence[Facts]:
    return [DisputeFacts(translate.dispute(event.object), source_of(event))]


def _all(handler: Callable[[StoredEvent], Sequence[Facts]], names: str) -> Mapping[str, Any]:
    return dict.fromkeys(names.split(), handler)


HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[Facts]]] = {
    **_all(
        on_payment_intent,
        "payment_intent.created payment_intent.processing payment_intent.requires_action payment_intent.succeeded "
        "payment_intent.payment_failed payment_intent.canceled payment_intent.amount_capturable_updated "
        "payment_intent.partially_funded",
    ),
    **_all(
        on_charge,
        "charge.succeeded charge.failed charge.pending charge.captured charge.expired charge.updated charge.refunded",
    ),
    **_all(on_refund, "refund.created refund.updated refund.failed charge.refund.updated"),
    **_all(
        on_dispute,
        "charge.dispute.created charge.dispute.updated charge.dispute.closed charge.dispute.funds_withdrawn "
        "charge.dispute.funds_reinstated",
    ),
}
