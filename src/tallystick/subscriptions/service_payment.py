"""What a subscription's newest invoice waits for: its payment, as Stripe shows it, with the secrets for the browser."""

from typing import Any

from msgspec import Struct

from tallystick.core.errors import DomainError
from tallystick.stripe_gateway.errors import GatewayDeclined, GatewayRejected
from tallystick.stripe_gateway.objects import Answer, Failure
from tallystick.stripe_gateway.objects_billing import Subscription
from tallystick.stripe_gateway.service import StripeService

__all__ = ["Done", "PaymentRefused", "StateRefused", "done", "payment_of"]


class Done(Struct, frozen=True):
    """A subscription after a write, the secrets of what waits for the customer, and others that the write changed."""

    subscription: Subscription
    secrets: dict[str, Any] = {}
    others: list[Subscription] = []


class PaymentRefused(GatewayDeclined):
    """The payment of a subscription's newest invoice failed; `subscription` is how that left it."""

    def __init__(self, subscription: Answer[Subscription], code: str, decline_code: str | None) -> None:
        super().__init__(code, decline_code, at=subscription.at, request_id=subscription.request_id)
        self.subscription = subscription


class StateRefused(GatewayRejected):
    """Stripe was asked first, and what it shows forbids the write; `subscription` is what it shows."""

    def __init__(self, error: DomainError, subscription: Answer[Subscription]) -> None:
        super().__init__(error.code, status=error.status, at=subscription.at, request_id=subscription.request_id)
        self.error = error
        self.subscription = subscription


def done(answer: Answer[Subscription]) -> Answer[Done]:
    """A write that asks for no payment."""
    return Answer(Done(answer.value), answer.at, answer.request_id, answer.raw)


async def payment_of(
    stripe: StripeService, answer: Answer[Subscription], *, tried: bool, refuse: bool = True
) -> Answer[Done]:
    """The subscription with what its newest invoice waits for; the payment is read where one was `tried`.

    Raises:
        PaymentRefused: it was tried, and failed (unless not to `refuse`).
    """
    subscription = answer.value
    secrets: dict[str, Any] = {}
    invoice = subscription.expanded_invoice
    if invoice is not None and invoice.status == "open":
        secrets = {"client_secret": subscription.client_secret, "next_action": None}
        if tried and isinstance(invoice.payment_intent, str):
            intent = (await stripe.retrieve_payment_intent(invoice.payment_intent)).value
            failure = intent.failure if refuse and intent.status == "requires_payment_method" else None
            if isinstance(failure, Failure):
                raise PaymentRefused(answer, failure.code, failure.decline_code)
            secrets = {"client_secret": intent.client_secret, "next_action": intent.next_action}
    if subscription.setup_secret:
        secrets["setup_client_secret"] = subscription.setup_secret
    return Answer(Done(subscription, secrets), answer.at, answer.request_id, answer.raw)
