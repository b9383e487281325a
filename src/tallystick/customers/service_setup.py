"""Setup intents: the mirror of them, and making one, by which a payment method is kept for later charges.

`succeeded` and `canceled` are final. What else two events of one second leave open is fetched.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from tallystick.attempts.models import SECRET_OF, Attempt, Refusal, Settled
from tallystick.attempts.service import AttemptService
from tallystick.core.clock import Clock, to_unix
from tallystick.core.errors import DomainError, GatewayConfigError, Unavailable
from tallystick.core.ids import new_id
from tallystick.customers.errors import CustomerDeleted, CustomerRejected
from tallystick.customers.models import SetupFacts, SetupRow
from tallystick.customers.repository_setup import SETUPS, find_setup
from tallystick.customers.service import StripeCustomerService
from tallystick.customers.views import setup_view
from tallystick.platform.auth import Actor
from tallystick.platform.database import Connection, Database, Transaction, await_makers
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.objects import Answer, pick
from tallystick.stripe_gateway.objects_billing import SetupIntent
from tallystick.stripe_gateway.ordering import Source, Verdict, fetched, judge, later
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_setup_intents import SetupIntentCalls
from tallystick.webhooks.service import StripeWebhookService, queue_fetches

__all__ = ["CREATE_SETUP", "SetupCommands", "SetupOperation", "SetupRecorder", "SetupRefresher"]

CREATE_SETUP = "setup_intent.create"
_META_ATTEMPT = "tallystick_setup"
_FINAL = frozenset({"succeeded", "canceled"})
# A database that was restored may repeat what Stripe has done while it still knows the key: a day at least.
_LOOK_BACK = timedelta(days=30)


class SetupRecorder:
    """Applies setup intents to the mirror."""

    def __init__(self, clock: Clock, customers: StripeCustomerService) -> None:
        self._clock = clock
        self._customers = customers

    async def record(self, tx: Transaction, facts: Sequence[SetupFacts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing."""
        ids = [fact.value.id for fact in facts]
        rows = await SETUPS.lock(tx, ids)
        if await await_makers(tx, set(ids) - rows.keys()):
            rows = await SETUPS.lock(tx, ids)
        changed: dict[str, SetupRow] = {}
        for fact in facts:
            row = rows.get(fact.value.id)
            verdict = _judge(row, fact) if row else Verdict.APPLY
            if verdict is not Verdict.KEEP:
                new = await self._row(tx, row, fact, verdict)
                changed[fact.value.id] = rows[fact.value.id] = new
        await SETUPS.save(tx, list(changed.values()))
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)

    async def _row(self, tx: Transaction, row: SetupRow | None, fact: SetupFacts, verdict: Verdict) -> SetupRow:
        intent = fact.value
        customer = pick(intent.customer, row.stripe_customer_id if row else None)
        user_id = row.user_id if row else None
        if user_id is None and customer is not None:
            user_id = await self._customers.record_owner(tx, None, customer)
        return SetupRow(
            id=row.id if row else new_id(),
            stripe_setup_intent_id=intent.id,
            user_id=user_id,
            stripe_customer_id=customer,
            payment_method=pick(intent.payment_method, row.payment_method if row else None),
            status=intent.status,
            usage=pick(intent.usage, row.usage if row else None),
            error_code=pick(intent.error_code, row.error_code if row else None),
            decline_code=pick(intent.decline_code, row.decline_code if row else None),
            metadata=intent.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            unsure=verdict is Verdict.UNSURE,
            created_at=intent.created,
            updated_at=self._clock.now(),
        )


def _judge(row: SetupRow, fact: SetupFacts) -> Verdict:
    intent = fact.value
    if fact.source.mends(row.revision):
        return Verdict.APPLY
    if row.status in _FINAL:
        return Verdict.KEEP
    if intent.status in _FINAL:
        return Verdict.APPLY
    shown = {"status": row.status, "payment_method": row.payment_method, "error_code": row.error_code}
    state = {
        "status": intent.status,
        "payment_method": pick(intent.payment_method, row.payment_method),
        "error_code": pick(intent.error_code, row.error_code),
    }
    return judge(fact.source, row_at=row.state_at, revision=row.revision, shown=shown, state=state)


class SetupRefresher:
    """Fetches setup intents."""

    PREFIX = "seti_"

    def __init__(
        self, database: Database, stripe: StripeService, recorder: SetupRecorder, webhooks: StripeWebhookService
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._calls = SetupIntentCalls(stripe)
        self._recorder = recorder
        self._webhooks = webhooks

    async def fetch(self, object_id: str) -> None:
        """Fetch one in the background; raises `Retry` where that must be done again."""
        async with fetching(self._stripe, object_id):
            async with self._database.connection() as connection:
                row = await SETUPS.find(connection, object_id)
            answer = await self._calls.retrieve(object_id)
            fact = SetupFacts(answer.value, fetched(answer.at or answer.value.created, row))

            async def record(tx: Transaction) -> None:
                await self._recorder.record(tx, await self._webhooks.redacted(tx, [fact]))
                await self._webhooks.record_applied(
                    tx,
                    event_type="setup_intent.fetched",
                    object_id=object_id,
                    object_key=object_id,
                    obj=answer.raw,
                    at=fact.source.at,
                )

            await self._database.run(record)


class SetupCommands:
    """Making setup intents for the browser to confirm."""

    def __init__(
        self, stripe: StripeService, customers: StripeCustomerService, attempts: AttemptService, installation_id: str
    ) -> None:
        self._calls = SetupIntentCalls(stripe)
        self._customers = customers
        self._attempts = attempts
        self._installation = installation_id

    async def create(self, actor: Actor, customer_id: str, request: IdempotentRequest) -> Settled:
        """A setup intent for this customer (Stripe's id), which the caller has seen to be the actor's."""
        actor.require_write()
        # A database that was restored repeats the request with the same parameters, or Stripe refuses its key.
        setup_id = str(request.derive_id("setup", self._installation))

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            params = {"customer": customer_id, "usage": "off_session", "metadata": {_META_ATTEMPT: setup_id}}
            return await self._attempts.store(
                tx, request, key_id, CREATE_SETUP, {"params": params}, user_id=actor.user_id, subject_id=None
            )

        return await self._attempts.execute(request, prepare)

    async def find(self, connection: Connection, stripe_setup_intent_id: str) -> SetupRow | None:
        """A setup intent of the mirror; for other areas, in their transaction."""
        return await SETUPS.find(connection, stripe_setup_intent_id)

    async def reveal(self, settled: Settled) -> dict[str, Any]:
        """The body to answer with: the client secret, which is never stored, joins it."""
        body = dict(settled.body)
        intent_id = body.pop(SECRET_OF, None)
        if intent_id is None:
            return body
        if settled.secrets is not None:
            return {**body, **settled.secrets}
        try:
            intent = (await self._calls.retrieve(intent_id)).value
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        return {**body, "client_secret": intent.client_secret}


class SetupOperation:
    """Creating a setup intent; nothing is charged by it."""

    success_status = 201

    def __init__(self, clock: Clock, stripe: StripeService, recorder: SetupRecorder) -> None:
        self._clock = clock
        self._calls = SetupIntentCalls(stripe)
        self._recorder = recorder

    async def send(self, attempt: Attempt) -> Answer[SetupIntent]:
        return await self._calls.create(attempt.request["params"], attempt.stripe_idempotency_key)

    async def look(self, attempt: Attempt) -> Answer[SetupIntent] | None:
        params = attempt.request["params"]
        since = to_unix(attempt.sent_at - _LOOK_BACK)
        for intent in await self._calls.list_of_customer(params["customer"], created_from=since):
            if intent.metadata.get(_META_ATTEMPT) == params["metadata"][_META_ATTEMPT]:
                return await self._calls.retrieve(intent.id)
        return None

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[SetupIntent]) -> None:
        at = answer.at or answer.value.created
        await self._recorder.record(tx, [SetupFacts(answer.value, Source("answer", at))])

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        """Nothing was stored beside the attempt."""

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    def error(self, refusal: Refusal) -> DomainError:
        if isinstance(refusal, GatewayRejected):
            if refusal.status in (401, 403):
                return GatewayConfigError()
            if refusal.missing:
                return CustomerDeleted()
        return CustomerRejected()

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        params = attempt.request["params"]
        row = await find_setup(tx, params["customer"], _META_ATTEMPT, params["metadata"][_META_ATTEMPT])
        return setup_view(row) if row else {}

    def secret_of(self, answer: Answer[SetupIntent]) -> tuple[str, dict[str, Any]] | None:
        return answer.value.id, {"client_secret": answer.value.client_secret}
