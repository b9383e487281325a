"""What each kind of write on a payment does: how it is sent, recorded, undone, and looked for when nobody knows."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tallystick.attempts.models import Attempt, Operation, Refusal
from tallystick.core.clock import Clock, to_unix
from tallystick.core.errors import DomainError
from tallystick.payments.errors import PaymentDeclined, decline_of
from tallystick.payments.models import ChargeFacts, Facts, IntentFacts, Payment, RefundFacts
from tallystick.payments.rejections import rejection
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.repository_mirror import REFUNDS, RefundRepository
from tallystick.payments.service_record import META_PAYMENT, META_REFUND, PaymentRecorder
from tallystick.payments.views import payment_view, refund_view
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.errors import GatewayDeclined
from tallystick.stripe_gateway.objects import Answer, Failure, PaymentIntent, Refund
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["payment_operations"]

# A database that was restored may repeat what Stripe has done while it still knows the key: a day at least.
_LOOK_BACK = timedelta(days=30)


def payment_operations(
    clock: Clock,
    stripe: StripeService,
    payments: PaymentRepository,
    recorder: PaymentRecorder,
    webhooks: StripeWebhookService,
) -> dict[str, Operation]:
    """The operations of all kinds of attempts on payments."""
    kinds = ("payment.create", "payment.confirm", "payment.capture", "payment.cancel")
    operations: dict[str, Operation] = {
        kind: _IntentOperation(kind, clock, stripe, payments, recorder, webhooks) for kind in kinds
    }
    operations["refund.create"] = _RefundOperation(clock, stripe, recorder)
    return operations


def _error(kind: str, refusal: Refusal) -> DomainError:
    if isinstance(refusal, GatewayDeclined):
        return PaymentDeclined(decline_of(refusal.code, refusal.decline_code))
    return rejection(kind, refusal)


def _as_answered(attempt: Attempt, answer: Answer[PaymentIntent]) -> Answer[PaymentIntent]:
    """A retrieved intent as the answer to the attempt; raises GatewayDeclined where it should charge and failed to."""
    intent = answer.value
    charges = attempt.kind == "payment.confirm" or bool(attempt.request["params"].get("confirm"))
    if not charges or intent.status != "requires_payment_method" or not isinstance(intent.failure, Failure):
        return answer
    raise GatewayDeclined(
        intent.failure.code,
        intent.failure.decline_code,
        charge_id=intent.failure.charge_id,
        payment_intent=intent,
        at=answer.at,
        request_id=answer.request_id,
    )


class _IntentOperation:
    """Create, confirm, capture or cancel a payment intent."""

    def __init__(
        self,
        kind: str,
        clock: Clock,
        stripe: StripeService,
        payments: PaymentRepository,
        recorder: PaymentRecorder,
        webhooks: StripeWebhookService,
    ) -> None:
        self._kind = kind
        self._clock = clock
        self._stripe = stripe
        self._payments = payments
        self._recorder = recorder
        self._webhooks = webhooks
        self.success_status = 201 if kind == "payment.create" else 200

    async def send(self, attempt: Attempt) -> Answer[PaymentIntent]:
        key, params = attempt.stripe_idempotency_key, attempt.request["params"]
        if self._kind == "payment.create":
            if known := await self._known(attempt):
                return known
            return await self._stripe.create_payment_intent(params, key)
        call = {
            "payment.confirm": self._stripe.confirm_payment_intent,
            "payment.capture": self._stripe.capture_payment_intent,
            "payment.cancel": self._stripe.cancel_payment_intent,
        }[self._kind]
        return await call(attempt.request["intent"], params, key)

    async def look(self, attempt: Attempt) -> Answer[PaymentIntent] | None:
        if self._kind == "payment.create":
            if known := await self._known(attempt):
                return known
            intent_id = await self._find_created(attempt)
            return _as_answered(attempt, await self._stripe.retrieve_payment_intent(intent_id)) if intent_id else None
        answer = await self._stripe.retrieve_payment_intent(attempt.request["intent"])
        return _as_answered(attempt, answer) if await self._shows(attempt, answer.value) else None

    async def _known(self, attempt: Attempt) -> Answer[PaymentIntent] | None:
        """The intent that was known before the create was sent: this request had made it before."""
        if intent_id := attempt.request.get("intent"):
            return _as_answered(attempt, await self._stripe.retrieve_payment_intent(intent_id))
        return None

    async def _find_created(self, attempt: Attempt) -> str | None:
        """The created intent's id: from an event, else from the list (consistent at Stripe, which search is not)."""
        for event in await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key):
            if str(event.object.get("id", "")).startswith("pi_"):
                return str(event.object["id"])
        since = to_unix(attempt.sent_at - _LOOK_BACK)
        customer = str(attempt.request["params"].get("customer", ""))
        for intent in await self._stripe.list_payment_intents(customer, created_from=since):
            if intent.metadata.get(META_PAYMENT) == str(attempt.subject_id):
                return intent.id
        return None

    async def _shows(self, attempt: Attempt, intent: PaymentIntent) -> bool:
        """Whether the intent's state shows that this confirm, capture or cancel took place."""
        if self._kind == "payment.cancel":
            return intent.status == "canceled"
        if self._kind == "payment.capture":
            return intent.status == "succeeded"
        if await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key):
            return True
        return intent.status in ("requires_action", "processing", "requires_capture", "succeeded")

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[PaymentIntent]) -> dict[str, Any] | None:
        payment = await self._record(tx, attempt, answer.value, answer.at)
        return payment_view(payment) if payment.id == attempt.subject_id else None

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        shown = refusal.payment_intent
        # A refused create shows an intent only where a charge was tried on it; a rejected one made none.
        if shown is not None and (self._kind != "payment.create" or isinstance(refusal, GatewayDeclined)):
            await self._record(tx, attempt, shown, refusal.at)
        else:
            await self.undo(tx, attempt)

    async def _record(self, tx: Transaction, attempt: Attempt, intent: PaymentIntent, at: datetime | None) -> Payment:
        if at is None:
            # A replayed answer: old, nobody knows how old.
            at = intent.expanded_charge.created if intent.expanded_charge else intent.created
        facts: list[Facts] = [IntentFacts(intent, Source("answer", at, base_revision=attempt.request.get("revision")))]
        if intent.expanded_charge:
            facts.append(ChargeFacts(intent.expanded_charge, Source("answer", at)))
        return (await self._recorder.record_and_show(tx, facts))[intent.id]

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        if self._kind == "payment.create" and attempt.subject_id:
            await self._payments.delete(tx, attempt.subject_id)

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        if self._kind == "payment.create" and attempt.subject_id:
            await self._payments.set_status(tx, attempt.subject_id, "abandoned", self._clock.now())

    def error(self, refusal: Refusal) -> DomainError:
        return _error(self._kind, refusal)

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        payment = await self._payments.find(tx, attempt.subject_id or UUID(int=0), None)
        return payment_view(payment) if payment else {}

    def secret_of(self, answer: Answer[PaymentIntent]) -> tuple[str, dict[str, Any]] | None:
        if self._kind not in ("payment.create", "payment.confirm"):
            return None
        intent = answer.value
        return intent.id, {"client_secret": intent.client_secret, "next_action": intent.next_action}


class _RefundOperation:
    """Refund a payment."""

    success_status = 200

    def __init__(self, clock: Clock, stripe: StripeService, recorder: PaymentRecorder) -> None:
        self._clock = clock
        self._stripe = stripe
        self._recorder = recorder
        self._refunds = RefundRepository()

    async def send(self, attempt: Attempt) -> Answer[Refund]:
        if known := attempt.request.get("refund"):
            # This request had made it before: its database was restored.
            return await self._stripe.retrieve_refund(known)
        return await self._stripe.create_refund(attempt.request["params"], attempt.stripe_idempotency_key)

    async def look(self, attempt: Attempt) -> Answer[Refund] | None:
        if known := attempt.request.get("refund"):
            return await self._stripe.retrieve_refund(known)
        for refund in await self._stripe.list_refunds(attempt.request["params"]["payment_intent"]):
            if refund.metadata.get(META_REFUND) == str(attempt.part_id):
                return await self._stripe.retrieve_refund(refund.id)
        return None

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Refund]) -> None:
        source = Source("answer", answer.at or answer.value.created)
        await self._recorder.record(tx, [RefundFacts(answer.value, source)])

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        await self.undo(tx, attempt)

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        if attempt.part_id:
            await self._refunds.delete_reservation(tx, attempt.part_id)

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        if attempt.part_id:
            await self._refunds.end_reservation(tx, attempt.part_id, "abandoned", self._clock.now())

    def error(self, refusal: Refusal) -> DomainError:
        return _error("refund.create", refusal)

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        refund = await REFUNDS.find(tx, attempt.part_id or UUID(int=0))
        return refund_view(refund) if refund else {}

    def secret_of(self, answer: Answer[Refund]) -> tuple[str, dict[str, Any]] | None:
        return None
