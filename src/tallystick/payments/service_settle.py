"""`AttemptSettler`: sending an attempt, recording how it ended, and finding out where nobody knows.

The three steps of a write that moves money: (1) the attempt is stored and committed; (2) it is sent, with no
transaction open; (3) its outcome and the answer are stored together. An attempt left behind by a crash, or whose
outcome is unknown, is repeated with the same key for ten minutes, and after that only looked for.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog

from tallystick.core.clock import Clock, to_unix
from tallystick.core.errors import DomainError, Unavailable, problem
from tallystick.payments.errors import AttemptAbandoned, PaymentDeclined, decline_of
from tallystick.payments.models import Attempt, ChargeFacts, Facts, IntentFacts, RefundFacts, Source
from tallystick.payments.rejections import is_ours_to_mend, rejection
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.repository_mirror import REFUNDS, RefundRepository
from tallystick.payments.service_record import META_PAYMENT, META_REFUND, PaymentRecorder
from tallystick.payments.views import SECRET_OF, attempt_view, payment_view, refund_view
from tallystick.platform import idempotency
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.platform.work import backoff, pause
from tallystick.stripe_gateway.errors import (
    GatewayDeclined,
    GatewayError,
    GatewayOutcomeUnknown,
    GatewayRejected,
    GatewayUnavailable,
)
from tallystick.stripe_gateway.objects import Answer, Failure, PaymentIntent, Refund
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["AttemptSettler", "Settled"]

log = structlog.get_logger()

REPEAT_WITHIN = timedelta(minutes=10)
_POLL_S = 2.0
_BATCH = 8

Outcome: TypeAlias = Answer[PaymentIntent] | Answer[Refund] | GatewayError


@dataclass(frozen=True, slots=True)
class Settled:
    """An attempt's answer: HTTP status, stored body, and the intent whose secret may join it."""

    status: int
    body: dict[str, Any]
    intent: PaymentIntent | None = None


class AttemptSettler:
    """Sends and settles attempts, for the request that made them and for the worker that finds them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        stripe: StripeService,
        payments: PaymentRepository,
        recorder: PaymentRecorder,
        webhooks: StripeWebhookService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._stripe = stripe
        self._payments = payments
        self._refunds = RefundRepository()
        self._recorder = recorder
        self._webhooks = webhooks

    @property
    def lease(self) -> timedelta:
        """How long an attempt belongs to whoever sends it."""
        return timedelta(seconds=self._stripe.longest_call_s + 10)

    # Step 2

    async def send(self, attempt: Attempt) -> Outcome:
        """Send the attempt under its stored key. What goes wrong is an outcome, not an exception."""
        key, params = attempt.stripe_idempotency_key, attempt.request["params"]
        intent_id = attempt.request.get("intent", "")
        try:
            if known := await self._known(attempt):
                return known
            match attempt.kind:
                case "payment.create":
                    return await self._stripe.create_payment_intent(params, key)
                case "payment.confirm":
                    return await self._stripe.confirm_payment_intent(intent_id, params, key)
                case "payment.capture":
                    return await self._stripe.capture_payment_intent(intent_id, params, key)
                case "payment.cancel":
                    return await self._stripe.cancel_payment_intent(intent_id, params, key)
                case "refund.create":
                    return await self._stripe.create_refund(params, key)
        except GatewayError as error:
            return error
        raise AssertionError(f"an attempt of unknown kind {attempt.kind}")

    # Step 3

    async def settle(self, attempt: Attempt, outcome: Outcome) -> Settled:
        """Record how the attempt ended, and store the answer under its key.

        Raises:
            Unavailable: nothing happened, and the key is free again.
        """
        if isinstance(outcome, GatewayOutcomeUnknown):
            return await self.stand(attempt, postpone=True)

        async def record(tx: Transaction) -> Settled | None:
            if await self._payments.lock_open_attempt(tx, attempt.id) is None:
                return None
            return await self._end(tx, attempt, outcome)

        settled = await self._database.run(record)
        if settled is None:
            return await self.stand(attempt)
        if settled.status == Unavailable.status:
            raise Unavailable(retry_after_s=1)
        return settled

    async def stand(self, attempt: Attempt, *, postpone: bool = False) -> Settled:
        """Where an attempt stands that this caller cannot settle: its stored answer, else 202 with what is known."""
        async with self._database.transaction() as tx:
            if postpone:
                await self._payments.postpone_attempt(tx, attempt.id, self._clock.wall() + timedelta(seconds=2))
            stored = None
            if attempt.idempotency_key_id:
                stored = await idempotency.stored(tx, attempt.idempotency_key_id)
            if stored is not None:
                return Settled(stored.status, stored.body)
            return Settled(202, await self._view(tx, attempt, attempt_view(attempt) | {"state": "unknown"}))

    async def _end(self, tx: Transaction, attempt: Attempt, outcome: Outcome) -> Settled:
        now = self._clock.now()
        if isinstance(outcome, GatewayUnavailable) or (
            isinstance(outcome, GatewayRejected) and is_ours_to_mend(outcome)
        ):
            await self._undo(tx, attempt)
            await self._payments.delete_attempt(tx, attempt.id)
            if attempt.idempotency_key_id:
                await idempotency.release(tx, attempt.idempotency_key_id)
            if isinstance(outcome, GatewayRejected):
                log.error("stripe.misconfigured", http_status=outcome.status, stripe_code=outcome.code)
                raise_later = rejection(attempt.kind, outcome)
                return Settled(raise_later.status, problem(raise_later))
            return Settled(Unavailable.status, {})
        if isinstance(outcome, GatewayDeclined):
            return await self._end_declined(tx, attempt, outcome, now)
        if isinstance(outcome, GatewayRejected):
            return await self._end_rejected(tx, attempt, outcome, now)
        if isinstance(outcome, GatewayError):
            raise TypeError("an unknown outcome is never settled") from outcome
        await self._record(tx, attempt, outcome)
        await self._payments.end_attempt(tx, attempt.id, "succeeded", now, request_id=outcome.request_id)
        body = await self._view(tx, attempt)
        intent = outcome.value if isinstance(outcome.value, PaymentIntent) else None
        if intent and attempt.kind in ("payment.create", "payment.confirm"):
            body[SECRET_OF] = intent.id
        return await self._complete(tx, attempt, 201 if attempt.kind == "payment.create" else 200, body, intent)

    async def _end_declined(
        self, tx: Transaction, attempt: Attempt, declined: GatewayDeclined, now: datetime
    ) -> Settled:
        if declined.payment_intent:
            await self._record_intent(tx, attempt, declined.payment_intent, declined.at)
        else:
            await self._undo(tx, attempt)
        await self._payments.end_attempt(
            tx,
            attempt.id,
            "declined",
            now,
            error_code=declined.code,
            decline_code=declined.decline_code,
            request_id=declined.request_id,
        )
        error = PaymentDeclined(decline_of(declined.code, declined.decline_code))
        body = problem(error)
        if declined.payment_intent:
            body["payment"] = await self._view(tx, attempt)
        return await self._complete(tx, attempt, error.status, body)

    async def _end_rejected(
        self, tx: Transaction, attempt: Attempt, rejected: GatewayRejected, now: datetime
    ) -> Settled:
        if rejected.payment_intent and attempt.kind != "payment.create":
            await self._record_intent(tx, attempt, rejected.payment_intent, rejected.at)
        await self._undo(tx, attempt)
        await self._payments.end_attempt(
            tx, attempt.id, "rejected", now, error_code=rejected.code, request_id=rejected.request_id
        )
        error = rejection(attempt.kind, rejected)
        return await self._complete(tx, attempt, error.status, problem(error))

    async def _undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Remove what step 1 made for something that does not exist at Stripe."""
        if attempt.kind == "payment.create" and attempt.payment_id:
            await self._payments.detach_attempt(tx, attempt.id)
            await self._payments.delete(tx, attempt.payment_id)
        if attempt.kind == "refund.create" and attempt.refund_id:
            await self._payments.detach_attempt(tx, attempt.id)
            await self._refunds.delete_reservation(tx, attempt.refund_id)

    async def _complete(
        self,
        tx: Transaction,
        attempt: Attempt,
        status: int,
        body: dict[str, Any],
        intent: PaymentIntent | None = None,
    ) -> Settled:
        if attempt.idempotency_key_id:
            await idempotency.complete(tx, attempt.idempotency_key_id, status, body)
        return Settled(status, body, intent)

    async def _record(self, tx: Transaction, attempt: Attempt, answer: Answer[PaymentIntent] | Answer[Refund]) -> None:
        value = answer.value
        if isinstance(value, PaymentIntent):
            await self._record_intent(tx, attempt, value, answer.at)
        else:
            source = Source("answer", answer.at or value.created)
            await self._recorder.record(tx, [RefundFacts(value, source)])

    async def _record_intent(
        self, tx: Transaction, attempt: Attempt, intent: PaymentIntent, at: datetime | None
    ) -> None:
        if at is None:
            # A replayed answer: old, nobody knows how old.
            at = intent.expanded_charge.created if intent.expanded_charge else intent.created
        facts: list[Facts] = [IntentFacts(intent, Source("answer", at, base_revision=attempt.request.get("revision")))]
        if intent.expanded_charge:
            facts.append(ChargeFacts(intent.expanded_charge, Source("answer", at)))
        await self._recorder.record(tx, facts)

    async def _view(self, tx: Transaction, attempt: Attempt, standing: dict[str, Any] | None = None) -> dict[str, Any]:
        extra = {"attempt": standing} if standing else {}
        if attempt.kind == "refund.create" and attempt.refund_id:
            refund = await REFUNDS.get(tx, attempt.refund_id)
            return {**(refund_view(refund) if refund else {}), **extra}
        payment = await self._payments.find(tx, attempt.payment_id, None) if attempt.payment_id else None
        return {**(payment_view(payment) if payment else {}), **extra}

    # What nobody waits for any more

    async def run(self, stop: asyncio.Event) -> None:
        """Settle open attempts whose lease has run out, until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                if await self.settle_due() < _BATCH:
                    await pause(_POLL_S, stop, wake)
            except WEATHER as error:
                log.warning("attempts.weather", error=type(error).__name__)
                await pause(_POLL_S, stop, wake)

    async def settle_due(self) -> int:
        """One round over open attempts; how many there were."""
        wall = self._clock.wall()
        async with self._database.connection() as connection:
            due = await self._payments.take_open_attempts(connection, wall, wall + self.lease, _BATCH)
        for attempt in due:
            try:
                await self._settle_open(attempt)
            except (DomainError, GatewayError) as error:
                log.warning("attempt.postponed", attempt=str(attempt.id), error=type(error).__name__)
                await self._postpone(attempt)
        return len(due)

    async def _settle_open(self, attempt: Attempt) -> None:
        async with self._stripe.background():
            if self._clock.wall() - attempt.sent_at <= REPEAT_WITHIN:
                outcome: Outcome | None = await self.send(attempt)
            else:
                outcome = await self._look(attempt)
        if outcome is None:
            await self._abandon(attempt)
        elif isinstance(outcome, GatewayUnavailable | GatewayOutcomeUnknown) or (
            isinstance(outcome, GatewayRejected) and is_ours_to_mend(outcome)
        ):
            # That this try did not get through says nothing about the first.
            await self._postpone(attempt)
        else:
            settled = await self.settle(attempt, outcome)
            log.info("attempt.settled", attempt=str(attempt.id), kind=attempt.kind, status=settled.status)

    async def _postpone(self, attempt: Attempt) -> None:
        delay = backoff(attempt.looks, timedelta(seconds=2), most=timedelta(minutes=5))
        async with self._database.connection() as connection:
            await self._payments.postpone_attempt(connection, attempt.id, self._clock.wall() + delay)

    async def _look(self, attempt: Attempt) -> Outcome | None:
        """What became of an attempt that is too old to repeat; None when Stripe shows no trace of it.

        Lists are consistent at Stripe, search is not and is therefore never asked.
        """
        try:
            if known := await self._known(attempt):
                return known
            if attempt.kind == "payment.create":
                return await self._look_for_intent(attempt)
            if attempt.kind == "refund.create":
                return await self._look_for_refund(attempt)
            answer = await self._stripe.retrieve_payment_intent(attempt.request["intent"])
        except GatewayError as error:
            return error
        return _as_answered(attempt, answer) if await self._shows(attempt, answer.value) else None

    async def _known(self, attempt: Attempt) -> Outcome | None:
        """What became of a create whose object was known before it was sent: this request had made it before."""
        if attempt.kind == "payment.create" and (intent_id := attempt.request.get("intent")):
            return _as_answered(attempt, await self._stripe.retrieve_payment_intent(intent_id))
        if attempt.kind == "refund.create" and (refund_id := attempt.request.get("refund")):
            return await self._stripe.retrieve_refund(refund_id)
        return None

    async def _look_for_intent(self, attempt: Attempt) -> Outcome | None:
        intent_id = await self._event_object(attempt, "pi_")
        if intent_id is None:
            since = to_unix(attempt.sent_at - timedelta(hours=1))
            customer = str(attempt.request["params"].get("customer", ""))
            for intent in await self._stripe.list_payment_intents(customer, created_from=since):
                if intent.metadata.get(META_PAYMENT) == str(attempt.payment_id):
                    intent_id = intent.id
        if intent_id is None:
            return None
        return _as_answered(attempt, await self._stripe.retrieve_payment_intent(intent_id))

    async def _look_for_refund(self, attempt: Attempt) -> Answer[Refund] | None:
        for refund in await self._stripe.list_refunds(attempt.request["params"]["payment_intent"]):
            if refund.metadata.get(META_REFUND) == str(attempt.refund_id):
                return await self._stripe.retrieve_refund(refund.id)
        return None

    async def _event_object(self, attempt: Attempt, prefix: str) -> str | None:
        for event in await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key):
            if str(event.object.get("id", "")).startswith(prefix):
                return str(event.object["id"])
        return None

    async def _shows(self, attempt: Attempt, intent: PaymentIntent) -> bool:
        """Whether the intent's state shows that this confirm, capture or cancel took place."""
        if attempt.kind == "payment.cancel":
            return intent.status == "canceled"
        if attempt.kind == "payment.capture":
            return intent.status == "succeeded"
        if await self._event_object(attempt, "") is not None:
            return True
        return intent.status in ("requires_action", "processing", "requires_capture", "succeeded")

    async def _abandon(self, attempt: Attempt) -> None:
        now = self._clock.now()

        async def record(tx: Transaction) -> None:
            if await self._payments.lock_open_attempt(tx, attempt.id) is None:
                return
            await self._payments.end_attempt(tx, attempt.id, "abandoned", now)
            if attempt.kind == "payment.create" and attempt.payment_id:
                await self._payments.set_status(tx, attempt.payment_id, "abandoned", now)
            if attempt.kind == "refund.create" and attempt.refund_id:
                await self._refunds.end_reservation(tx, attempt.refund_id, "abandoned", now)
            if attempt.idempotency_key_id:
                error = AttemptAbandoned()
                await idempotency.complete(tx, attempt.idempotency_key_id, error.status, problem(error))

        await self._database.run(record)
        log.warning("attempt.abandoned", attempt=str(attempt.id), kind=attempt.kind)


def _as_answered(attempt: Attempt, answer: Answer[PaymentIntent]) -> Outcome:
    """A retrieved intent as the answer to the attempt: a decline, where it was to charge and that failed."""
    intent = answer.value
    charges = attempt.kind == "payment.confirm" or bool(attempt.request["params"].get("confirm"))
    if not charges or intent.status != "requires_payment_method" or not isinstance(intent.failure, Failure):
        return answer
    return GatewayDeclined(
        intent.failure.code,
        intent.failure.decline_code,
        charge_id=intent.failure.charge_id,
        payment_intent=intent,
        at=answer.at,
        request_id=answer.request_id,
    )
