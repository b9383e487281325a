"""What each kind of write on a customer does: how it is sent, recorded, and looked for when nobody knows.

An answer that Stripe repeats for an idempotency key shows the state of its first time; what is there now is asked for.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.attempts.models import Attempt, Operation, Refusal
from tallystick.core.clock import Clock
from tallystick.core.declines import PaymentDeclined, PaymentMethodNotUsable, decline_of
from tallystick.core.errors import DomainError, GatewayConfigError
from tallystick.customers.errors import CustomerDeleted, CustomerRejected
from tallystick.customers.models import CustomerFacts, CustomerRow, Facts, MethodFacts
from tallystick.customers.repository import CustomerRepository
from tallystick.customers.service import StripeCustomerService
from tallystick.customers.service_record import CustomerRecorder
from tallystick.customers.service_refresh import retrieve_customer
from tallystick.customers.views import customer_view, method_view
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.errors import (
    GatewayDeclined,
    GatewayOutcomeUnknown,
    GatewayRejected,
    GatewayUnavailable,
)
from tallystick.stripe_gateway.objects import Answer, Customer, PaymentMethod
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service import StripeService

__all__ = ["ATTACH", "CREATE", "DELETE", "DETACH", "SET_DEFAULT", "UPDATE", "customer_operations"]

CREATE, UPDATE, DELETE = "customer.create", "customer.update", "customer.delete"
SET_DEFAULT = "customer.set_default"
ATTACH, DETACH = "payment_method.attach", "payment_method.detach"
_METHOD_KINDS = frozenset({SET_DEFAULT, ATTACH, DETACH})


class Done(Struct, frozen=True):
    """What a write on a customer shows of it and of one of its methods.

    `base_revision` is the customer's before the call, where the attempt could not know it.
    """

    customer: Customer | None = None
    method: PaymentMethod | None = None
    base_revision: int | None = None


def customer_operations(
    clock: Clock,
    stripe: StripeService,
    customers: StripeCustomerService,
    repository: CustomerRepository,
    recorder: CustomerRecorder,
) -> dict[str, Operation]:
    """The operations of all kinds of attempts on customers."""
    made: dict[str, type[_Operation]] = {
        CREATE: _Create,
        UPDATE: _Update,
        DELETE: _Delete,
        SET_DEFAULT: _SetDefault,
        ATTACH: _Attach,
        DETACH: _Detach,
    }
    return {kind: make(kind, clock, stripe, customers, repository, recorder) for kind, make in made.items()}


class _Operation:
    """What the kinds have in common. `request`: `customer` (Stripe's id), `params`, `revision`, `payment_method`."""

    success_status = 200

    def __init__(
        self,
        kind: str,
        clock: Clock,
        stripe: StripeService,
        customers: StripeCustomerService,
        repository: CustomerRepository,
        recorder: CustomerRecorder,
    ) -> None:
        self._kind = kind
        self._clock = clock
        self._stripe = stripe
        self._customers = customers
        self._repository = repository
        self._recorder = recorder

    async def send(self, attempt: Attempt) -> Answer[Done]:
        raise NotImplementedError

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        raise NotImplementedError

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Done]) -> None:
        done, facts = answer.value, list[Facts]()
        revision = attempt.request.get("revision", done.base_revision)
        if done.customer is not None:
            at = answer.at or done.customer.created or self._clock.now()
            facts.append(CustomerFacts(done.customer, Source("answer", at, base_revision=revision)))
        if done.method is not None:
            at = answer.at or done.method.created
            base = attempt.request.get("method_revision")
            facts.append(MethodFacts(done.method, Source("answer", at, base_revision=base)))
        await self._recorder.record(tx, facts)

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        if _customer_gone(refusal) and (stripe_id := attempt.request.get("customer")):
            gone = Customer(id=stripe_id, metadata={}, deleted=True)
            await self._recorder.record(tx, [CustomerFacts(gone, Source("answer", self._clock.now()))])

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    def error(self, refusal: Refusal) -> DomainError:
        if isinstance(refusal, GatewayDeclined):
            return PaymentDeclined(decline_of(refusal.code, refusal.decline_code))
        if refusal.status in (401, 403):
            return GatewayConfigError()
        if _customer_gone(refusal):
            return CustomerDeleted()
        if self._kind in _METHOD_KINDS:
            return PaymentMethodNotUsable(field="payment_method")
        return CustomerRejected(field=(refusal.param or "").partition("[")[0] or None)

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        row = await self._row(tx, attempt)
        if self._kind not in _METHOD_KINDS:
            return customer_view(row) if row else {}
        method_id = attempt.request["payment_method"]
        method = await self._repository.find_method(tx, method_id)
        default = row is not None and row.default_payment_method == method_id
        return method_view(method, default=default) if method else {}

    def secret_of(self, answer: Answer[Done]) -> tuple[str, dict[str, Any]] | None:
        return None

    async def _row(self, tx: Transaction, attempt: Attempt) -> CustomerRow | None:
        if attempt.subject_id is not None:
            return await self._repository.find(tx, attempt.subject_id)
        return await self._repository.of_user(tx, attempt.user_id or UUID(int=0))

    async def _customer(self, customer_id: str) -> Answer[Done]:
        return _as_done(await self._stripe.retrieve_customer(customer_id))

    async def _method(self, method_id: str) -> Answer[Done]:
        return _as_done(await self._stripe.retrieve_payment_method(method_id))

    async def _update(self, customer_id: str, params: dict[str, Any], key: str) -> Answer[Done]:
        if not params:
            return await self._customer(customer_id)
        answer = await self._stripe.update_customer(customer_id, params, key)
        return _as_done(answer) if answer.at is not None else await self._customer(customer_id)


class _Update(_Operation):
    async def send(self, attempt: Attempt) -> Answer[Done]:
        return await self._update(
            attempt.request["customer"], attempt.request["params"], attempt.stripe_idempotency_key
        )

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        return await self._look_at(attempt.request["customer"], attempt)

    async def _look_at(self, customer_id: str, attempt: Attempt) -> Answer[Done] | None:
        answer = _as_done(await retrieve_customer(self._stripe, customer_id))
        return answer if _shows(answer.raw, attempt.request["params"]) else None


class _Create(_Update):
    success_status = 201

    async def send(self, attempt: Attempt) -> Answer[Done]:
        customer_id = await self._customers.ensure_customer(attempt.user_id or UUID(int=0))
        revision = await self._customers.revision_of(customer_id)
        try:
            answer = await self._update(customer_id, attempt.request["params"], attempt.stripe_idempotency_key)
        except GatewayUnavailable as error:
            # Of this update nothing happened; of the request as a whole something did.
            raise GatewayOutcomeUnknown(str(error), request_id=error.request_id) from error
        return Answer(Done(answer.value.customer, None, revision), answer.at, answer.request_id, answer.raw)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        customer_id = await self._customers.customer_of(attempt.user_id or UUID(int=0))
        return await self._look_at(customer_id, attempt) if customer_id else None


class _Delete(_Operation):
    async def send(self, attempt: Attempt) -> Answer[Done]:
        try:
            return _as_done(await self._stripe.delete_customer(attempt.request["customer"]))
        except GatewayRejected as error:
            # There is no idempotency key for this: a repeat finds what the first time left.
            if error.missing and (done := await self.look(attempt)):
                return done
            raise

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await retrieve_customer(self._stripe, attempt.request["customer"])
        return _as_done(answer) if answer.value.deleted else None


class _SetDefault(_Operation):
    async def send(self, attempt: Attempt) -> Answer[Done]:
        params = _default(attempt.request["payment_method"])
        return await self._update(attempt.request["customer"], params, attempt.stripe_idempotency_key)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = _as_done(await retrieve_customer(self._stripe, attempt.request["customer"]))
        return answer if _shows(answer.raw, _default(attempt.request["payment_method"])) else None


class _Attach(_Operation):
    async def send(self, attempt: Attempt) -> Answer[Done]:
        method_id, customer_id = attempt.request["payment_method"], attempt.request["customer"]
        key = attempt.stripe_idempotency_key
        answer = await self._stripe.attach_payment_method(method_id, customer_id, key)
        attached = _as_done(answer) if answer.at is not None else await self._method(method_id)
        if not attempt.request["default"]:
            return attached
        try:
            made = await self._update(customer_id, _default(method_id), f"{key}-default")
        except GatewayUnavailable as error:
            # Of this part nothing happened; of the request as a whole something did.
            raise GatewayOutcomeUnknown(str(error), request_id=error.request_id) from error
        return Answer(Done(made.value.customer, attached.value.method), made.at, made.request_id, attached.raw)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        customer_id = attempt.request["customer"]
        found = await self._method(attempt.request["payment_method"])
        if found.value.method is None or found.value.method.customer != customer_id:
            return None
        if not attempt.request["default"]:
            return found
        customer = _as_done(await retrieve_customer(self._stripe, customer_id))
        if not _shows(customer.raw, _default(attempt.request["payment_method"])):
            return None
        return Answer(Done(customer.value.customer, found.value.method), found.at, found.request_id, found.raw)


class _Detach(_Operation):
    async def send(self, attempt: Attempt) -> Answer[Done]:
        method_id = attempt.request["payment_method"]
        try:
            answer = await self._stripe.detach_payment_method(method_id, attempt.stripe_idempotency_key)
        except GatewayRejected as error:
            # Detached already, by another way.
            if error.status == 400 and (done := await self.look(attempt)):
                return done
            raise
        return _as_done(answer) if answer.at is not None else await self._method(method_id)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        found = await self._method(attempt.request["payment_method"])
        return found if found.value.method is not None and found.value.method.customer is None else None


def _as_done(answer: Answer[Customer] | Answer[PaymentMethod]) -> Answer[Done]:
    value = answer.value
    done = Done(customer=value) if isinstance(value, Customer) else Done(method=value)
    return Answer(done, answer.at, answer.request_id, answer.raw)


def _default(method_id: str) -> dict[str, Any]:
    return {"invoice_settings": {"default_payment_method": method_id}}


def _customer_gone(refusal: Refusal) -> bool:
    return isinstance(refusal, GatewayRejected) and refusal.missing and refusal.param in ("id", "customer")


def _shows(raw: Any, params: dict[str, Any]) -> bool:
    """Whether an object shows what these parameters ask for; an empty text asks for nothing to be there."""
    for name, wanted in params.items():
        shown = (raw or {}).get(name)
        if isinstance(wanted, dict):
            if not _shows(shown, wanted):
                return False
        elif (shown or "") != wanted:
            return False
    return True
