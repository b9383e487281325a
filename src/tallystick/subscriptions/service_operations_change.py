"""Changing, canceling, pausing and resuming a subscription at Stripe; see `service_operations`."""

from collections.abc import Mapping
from typing import Any

from tallystick.attempts.models import Attempt, Operation
from tallystick.core.clock import Clock
from tallystick.customers.service import StripeCustomerService
from tallystick.stripe_gateway.errors import GatewayRejected
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_billing import Subscription
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import SubscriptionBegun
from tallystick.subscriptions.models import TERMINAL
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_operations import (
    CREATE,
    TAKE_UP,
    CreateOperation,
    SubscriptionOperation,
    TakeUpOperation,
    something_happened,
)
from tallystick.subscriptions.service_payment import Done, StateRefused, done, payment_of
from tallystick.subscriptions.service_record import SubscriptionRecorder
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["CANCEL", "CANCEL_LATER", "CHANGE", "GIVE_UP", "PAUSE", "RESUME", "UNPAUSE", "subscription_operations"]

CHANGE = "subscription.change"
CANCEL, CANCEL_LATER = "subscription.cancel", "subscription.cancel_later"
GIVE_UP = "subscription.give_up"
PAUSE, UNPAUSE, RESUME = "subscription.pause", "subscription.unpause", "subscription.resume"


def subscription_operations(
    clock: Clock,
    stripe: StripeService,
    calls: SubscriptionCalls,
    customers: StripeCustomerService,
    repository: SubscriptionRepository,
    recorder: SubscriptionRecorder,
    webhooks: StripeWebhookService,
) -> dict[str, Operation]:
    """The operations of all kinds of attempts on subscriptions."""
    made: dict[str, type[SubscriptionOperation]] = {
        CREATE: CreateOperation,
        TAKE_UP: TakeUpOperation,
        CHANGE: _Change,
        CANCEL: _Cancel,
        CANCEL_LATER: _Update,
        GIVE_UP: _GiveUp,
        PAUSE: _Update,
        UNPAUSE: _Update,
        RESUME: _Resume,
    }
    return {kind: make(clock, stripe, calls, customers, repository, recorder, webhooks) for kind, make in made.items()}


class _Update(SubscriptionOperation):
    """One update that bills nothing. `request`: `params`."""

    async def send(self, attempt: Attempt) -> Answer[Done]:
        subscription_id, params = attempt.request["subscription"], attempt.request["params"]
        answer = await self._calls.update(subscription_id, params, attempt.stripe_idempotency_key)
        async with something_happened():
            return done(await self.fresh(answer))

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve_with_secrets(attempt.request["subscription"])
        return done(answer) if _shows(answer.value, attempt.request["params"]) else None


class _Change(SubscriptionOperation):
    """Settings first, then what is billed at once, under a key of its own. `request`: `settings`, `params`, `bills`.

    `pending_if_incomplete` takes nothing but what is billed: a change that its payment does not follow is kept by
    Stripe as `pending_update`, and the subscription stays as it was. The settings (a new card among them) stay.
    """

    async def send(self, attempt: Attempt) -> Answer[Done]:
        subscription_id, key = attempt.request["subscription"], attempt.stripe_idempotency_key
        settings, params, bills = (attempt.request[name] for name in ("settings", "params", "bills"))
        await self.attach(attempt)
        if not params:
            answer = await self._calls.update(subscription_id, settings, key)
        elif not settings:
            answer = await self._calls.update(subscription_id, params, key)
        else:
            await self._calls.update(subscription_id, settings, f"{key}-settings")
            async with something_happened():
                answer = await self._calls.update(subscription_id, params, key)
        async with something_happened():
            answer = await self.fresh(answer)
            return await payment_of(self._stripe, answer, tried=True) if bills else done(answer)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve_with_secrets(attempt.request["subscription"])
        wanted = {**attempt.request["settings"], **attempt.request["params"]}
        told = await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key)
        if not told and not _shows(answer.value, wanted):
            return None
        return await payment_of(self._stripe, answer, tried=True) if attempt.request["bills"] else done(answer)


class _Cancel(SubscriptionOperation):
    """Cancel now. It bears no idempotency key: a repeat finds what the first time left. `request`: `params`."""

    async def send(self, attempt: Attempt) -> Answer[Done]:
        try:
            return done(await self._calls.cancel(attempt.request["subscription"], attempt.request["params"]))
        except GatewayRejected as error:
            if error.missing and (found := await self.look(attempt)):
                return found
            raise

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve(attempt.request["subscription"])
        return done(answer) if answer.value.status in TERMINAL else None


class _GiveUp(SubscriptionOperation):
    """Let what was never paid expire, by voiding its first invoice: to cancel it could end one paid this second."""

    async def send(self, attempt: Attempt) -> Answer[Done]:
        subscription_id = attempt.request["subscription"]
        found = await self._calls.retrieve(subscription_id)
        if found.value.status in TERMINAL:
            return done(found)
        if found.value.status != "incomplete" or not isinstance(found.value.latest_invoice, str):
            raise StateRefused(SubscriptionBegun(), found)
        try:
            await self._calls.void_invoice(found.value.latest_invoice, attempt.stripe_idempotency_key)
        except GatewayRejected as error:
            raise StateRefused(SubscriptionBegun(), await self._calls.retrieve(subscription_id)) from error
        async with something_happened():
            return done(await self._calls.retrieve(subscription_id))

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve(attempt.request["subscription"])
        return done(answer) if answer.value.status in TERMINAL else None


class _Resume(SubscriptionOperation):
    """Out of Stripe's status `paused`, by paying what the new period costs."""

    async def send(self, attempt: Attempt) -> Answer[Done]:
        answer = await self._calls.resume(attempt.request["subscription"], attempt.stripe_idempotency_key)
        async with something_happened():
            return await payment_of(self._stripe, await self.fresh(answer), tried=True)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve_with_secrets(attempt.request["subscription"])
        told = await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key)
        if not told and answer.value.status == "paused":
            return None
        return await payment_of(self._stripe, answer, tried=True)


def _shows(subscription: Subscription, params: Mapping[str, Any]) -> bool:
    """Whether a subscription shows what these parameters ask for; of a promotion code nobody could tell."""
    if params.keys() & {"discounts", "promotion_code", "coupon"}:
        return False
    shown = {
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "default_payment_method": subscription.default_payment_method,
    }
    if any(params[name] != shown[name] for name in shown.keys() & params.keys()):
        return False
    metadata = params.get("metadata") or {}
    if any(subscription.metadata.get(key, "") != value for key, value in metadata.items()):
        return False
    if "pause_collection" in params and bool(params["pause_collection"]) != bool(subscription.pause_collection):
        return False
    items = {item.id: {"price": item.price.id, "quantity": item.quantity} for item in subscription.items}
    return all(
        items.get(wanted["id"], {}).get(name) == wanted[name]
        for wanted in params.get("items", ())
        for name in wanted.keys() - {"id"}
    )
