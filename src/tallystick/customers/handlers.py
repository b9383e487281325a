"""Stripe's events about customers, payment methods and setup intents, each into typed facts."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.customers.models import CustomerFacts, Facts, MethodFacts, SetupFacts
from tallystick.stripe_gateway import translate, translate_billing
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS", "SETUP_HANDLERS"]


def on_customer(event: StoredEvent) -> Sequence[Facts]:
    deleted = event.type == "customer.deleted"
    return [CustomerFacts(translate.customer(event.object, deleted=deleted), source_of(event))]


def on_payment_method(event: StoredEvent) -> Sequence[Facts]:
    return [MethodFacts(translate.payment_method(event.object), source_of(event))]


def on_setup_intent(event: StoredEvent) -> Sequence[SetupFacts]:
    return [SetupFacts(translate_billing.setup_intent(event.object), source_of(event))]


HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[Facts]]] = {
    "customer.created": on_customer,
    "customer.updated": on_customer,
    "customer.deleted": on_customer,
    "payment_method.attached": on_payment_method,
    "payment_method.detached": on_payment_method,
    "payment_method.updated": on_payment_method,
    "payment_method.automatically_updated": on_payment_method,
}

SETUP_HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[SetupFacts]]] = {
    "setup_intent.created": on_setup_intent,
    "setup_intent.requires_action": on_setup_intent,
    "setup_intent.succeeded": on_setup_intent,
    "setup_intent.setup_failed": on_setup_intent,
    "setup_intent.canceled": on_setup_intent,
}
