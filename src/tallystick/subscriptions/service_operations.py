"""What each kind of write on a subscription does: how it is sent, recorded, and looked for when nobody knows.

Here is what all have in common, and creation. Stripe's answer to a repeated request shows the state of its first time:
what is there now is asked for. `request` of every attempt holds `actor` and `reason`, which the history tells.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from tallystick.attempts.models import Attempt, Refusal
from tallystick.core.clock import Clock
from tallystick.core.declines import PaymentDeclined, PaymentMethodNotUsable, decline_of
from tallystick.core.errors import DomainError, GatewayConfigError
from tallystick.customers.errors import CustomerDeleted
from tallystick.customers.service import StripeCustomerService
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.errors import (
    GatewayDeclined,
    GatewayOutcomeUnknown,
    GatewayRejected,
    GatewayUnavailable,
)
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_billing import Subscription
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import (
    PriceNotUsable,
    PromotionCodeNotUsable,
    SubscriptionEnded,
    SubscriptionExists,
    SubscriptionRejected,
)
from tallystick.subscriptions.models import LIVE, TERMINAL, SubscriptionFacts
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_payment import Done, PaymentRefused, StateRefused, done, payment_of
from tallystick.subscriptions.service_record import META_SUBSCRIPTION, SubscriptionRecorder
from tallystick.subscriptions.views import subscription_view
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["CREATE", "TAKE_UP", "CreateOperation", "SubscriptionOperation", "TakeUpOperation", "something_happened"]

CREATE, TAKE_UP = "subscription.create", "subscription.take_up"


class SubscriptionOperation:
    """What the kinds have in common. `request`: `subscription` (Stripe's id), `revision`, and what each kind needs."""

    success_status = 200

    def __init__(
        self,
        clock: Clock,
        stripe: StripeService,
        calls: SubscriptionCalls,
        customers: StripeCustomerService,
        repository: SubscriptionRepository,
        recorder: SubscriptionRecorder,
        webhooks: StripeWebhookService,
    ) -> None:
        self._clock = clock
        self._stripe = stripe
        self._calls = calls
        self._customers = customers
        self._repository = repository
        self._recorder = recorder
        self._webhooks = webhooks

    async def send(self, attempt: Attempt) -> Answer[Done]:
        raise NotImplementedError

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        raise NotImplementedError

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Done]) -> None:
        facts = [self._facts(attempt, answer, answer.value.subscription)]
        for place, other in enumerate(answer.value.others):
            fact = self._facts(attempt, answer, other)
            key = f"{attempt.stripe_idempotency_key}-void-{place}"
            facts.append(replace(fact, source=replace(fact.source, base_revision=None, request_key=key)))
        await self._recorder.record(tx, facts)
        await self._keep_end(tx, facts[0], answer.raw)

    async def _keep_end(self, tx: Transaction, fact: SubscriptionFacts, raw: dict[str, Any]) -> None:
        """Who asked for an end: Stripe's event bears no key of the request, so that only the answer tells."""
        if fact.value.status in TERMINAL:
            await self._webhooks.record_applied(
                tx,
                source="answer",
                event_type="subscription.answered",
                object_id=fact.value.id,
                object_key=fact.value.id,
                obj=raw,
                at=fact.source.at,
                request_key=fact.source.request_key,
            )

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        if isinstance(refusal, PaymentRefused | StateRefused):
            shown = refusal.subscription
            await self._recorder.record(tx, [self._facts(attempt, shown, shown.value)])
        elif _customer_gone(refusal):
            await self._customers.record_gone(tx, attempt.request["customer"])

    def _facts(self, attempt: Attempt, answer: Answer[Any], subscription: Subscription) -> SubscriptionFacts:
        source = Source(
            "answer",
            answer.at or subscription.created,
            base_revision=attempt.request.get("revision"),
            request_key=attempt.stripe_idempotency_key,
            requested=True,
        )
        return SubscriptionFacts(subscription, source)

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    def error(self, refusal: Refusal) -> DomainError:
        if isinstance(refusal, StateRefused):
            return refusal.error
        if isinstance(refusal, GatewayDeclined):
            return PaymentDeclined(decline_of(refusal.code, refusal.decline_code))
        return _rejection(refusal)

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        row = await self._repository.find(tx, attempt.subject_id or UUID(int=0))
        return subscription_view(row) if row else {}

    def secret_of(self, answer: Answer[Done]) -> tuple[str, dict[str, Any]] | None:
        secrets = answer.value.secrets
        return (answer.value.subscription.id, secrets) if any(secrets.values()) else None

    async def fresh(self, answer: Answer[Subscription]) -> Answer[Subscription]:
        """The answer, or what is there now where it is one that Stripe has repeated."""
        return answer if answer.at is not None else await self._calls.retrieve_with_secrets(answer.value.id)

    async def attach(self, attempt: Attempt) -> None:
        """Attach the method that the attempt brings along. Raises GatewayDeclined where its bank refuses it."""
        if attempt.request.get("attach"):
            method, customer = attempt.request["payment_method"], attempt.request["customer"]
            await self._stripe.attach_payment_method(method, customer, f"{attempt.stripe_idempotency_key}-attach")


@asynccontextmanager
async def something_happened() -> AsyncIterator[None]:
    """Around what follows a first part that is done: of this part nothing happened, of the request something did."""
    try:
        yield
    except GatewayUnavailable as error:
        raise GatewayOutcomeUnknown(str(error), request_id=error.request_id) from error


class CreateOperation(SubscriptionOperation):
    """Create a subscription. `request`: `customer`, `params`, `payment_method`, `attach`, and `void`.

    With a method to charge, its first payment is tried at once (`allow_incomplete`): `error_if_incomplete` would
    refuse every card that wants 3D Secure. What could not be charged stays `incomplete` for 23 hours, gives no access,
    and is what the next try is made on, so that no second one comes into being. `default_incomplete` is for a customer
    without a method: the browser makes the first payment.
    """

    success_status = 201

    async def send(self, attempt: Attempt) -> Answer[Done]:
        if known := attempt.request.get("subscription"):
            # This request had made it before: its database was restored.
            return await self._as_answered(attempt, await self._calls.retrieve_with_secrets(known))
        others = [await self._void(attempt, place) for place in range(len(attempt.request["void"]))]
        await self.attach(attempt)
        answer = await self._make(attempt)
        async with something_happened():
            made = await self._as_answered(attempt, await self.fresh(answer))
        return Answer(replace(made.value, others=others), made.at, made.request_id, made.raw)

    async def _void(self, attempt: Attempt, place: int) -> Subscription:
        """End an incomplete one by voiding its first invoice; to cancel it could end one that is paid this second."""
        subscription_id, invoice_id = attempt.request["void"][place]
        try:
            await self._calls.void_invoice(invoice_id, f"{attempt.stripe_idempotency_key}-void-{place}")
        except GatewayRejected as error:
            found = await self._calls.retrieve(subscription_id)
            if found.value.status in LIVE:
                raise StateRefused(SubscriptionExists(stripe_subscription_id=subscription_id), found) from error
        return (await self._calls.retrieve(subscription_id)).value

    async def _make(self, attempt: Attempt) -> Answer[Subscription]:
        key, params = attempt.stripe_idempotency_key, attempt.request["params"]
        try:
            return await self._calls.create(params, key)
        except GatewayRejected as error:
            # The customer's default method went away since it was looked up: the browser has to bring one.
            if params["payment_behavior"] != "allow_incomplete" or not _wants_method(error):
                raise
            return await self._calls.create({**params, "payment_behavior": "default_incomplete"}, f"{key}-browser")

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        for found in await self._calls.of_customer(attempt.request["customer"]):
            if found.value.metadata.get(META_SUBSCRIPTION) == str(attempt.subject_id):
                return await self._as_answered(attempt, await self._calls.retrieve_with_secrets(found.value.id))
        return None

    async def _as_answered(self, attempt: Attempt, answer: Answer[Subscription]) -> Answer[Done]:
        tried = attempt.request["params"]["payment_behavior"] == "allow_incomplete"
        return await payment_of(self._stripe, answer, tried=tried and answer.value.status == "incomplete")


class TakeUpOperation(SubscriptionOperation):
    """Take up an `incomplete` subscription again, and try its first payment with `payment_method`, if one is named.

    Without one the browser goes on where it was: nothing is charged that nobody named.
    """

    async def send(self, attempt: Attempt) -> Answer[Done]:
        subscription_id, method = attempt.request["subscription"], attempt.request["payment_method"]
        answer = await self._calls.retrieve_with_secrets(subscription_id)
        if answer.value.status in TERMINAL:
            raise StateRefused(SubscriptionEnded(), answer)
        if answer.value.status != "incomplete" or method is None:
            return await payment_of(self._stripe, answer, tried=False)
        await self.attach(attempt)
        await self._confirm(attempt, answer, method)
        async with something_happened():
            answer = await self._calls.retrieve_with_secrets(subscription_id)
            return await payment_of(self._stripe, answer, tried=True)

    async def _confirm(self, attempt: Attempt, answer: Answer[Subscription], method: str) -> None:
        invoice = answer.value.expanded_invoice
        if invoice is None or not isinstance(invoice.payment_intent, str):
            return
        intent = (await self._stripe.retrieve_payment_intent(invoice.payment_intent)).value
        if intent.status == "requires_action" and intent.payment_method == method:
            return  # the customer is asked to confirm this very payment already
        try:
            await self._stripe.confirm_payment_intent(
                intent.id, {"payment_method": method}, attempt.stripe_idempotency_key
            )
        except GatewayDeclined as error:
            async with something_happened():
                shown = await self._calls.retrieve(attempt.request["subscription"])
            raise PaymentRefused(shown, error.code, error.decline_code) from error

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve_with_secrets(attempt.request["subscription"])
        if answer.value.status in LIVE:
            return done(answer)
        if not await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key):
            return None
        return await payment_of(self._stripe, answer, tried=True)


def _customer_gone(refusal: Refusal) -> bool:
    return isinstance(refusal, GatewayRejected) and refusal.missing and refusal.param == "customer"


def _wants_method(rejected: GatewayRejected) -> bool:
    """Whether Stripe found nothing to charge: `resource_missing` of nothing in particular."""
    return rejected.code == "resource_missing" and rejected.param is None


def _rejection(rejected: GatewayRejected) -> DomainError:
    """The error that answers a rejection; Stripe's own message is never passed on."""
    param = rejected.param or ""
    if rejected.status in (401, 403):
        return GatewayConfigError()
    if _customer_gone(rejected):
        return CustomerDeleted()
    if rejected.code == "invalid_canceled_subscription_fields" or (rejected.missing and param == "id"):
        return SubscriptionEnded()
    named = f"{param} {rejected.code}"
    if "promotion_code" in named or "coupon" in named or param.startswith("discounts"):
        return PromotionCodeNotUsable(field="promotion_code")
    if "payment_method" in param or _wants_method(rejected):
        return PaymentMethodNotUsable(field="payment_method")
    if "combine currencies" in str(rejected):
        return PriceNotUsable("You pay in another currency already.", field="price")
    if param.startswith("items") and not param.endswith("[quantity]"):
        return PriceNotUsable(field="price")
    return SubscriptionRejected(field="quantity" if param.endswith("[quantity]") else None)
