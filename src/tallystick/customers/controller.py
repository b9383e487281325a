"""`CustomerController`: the routes of customers and their payment methods."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel
from starlette.responses import Response

from tallystick.attempts.models import Settled
from tallystick.customers.schemas import (
    AttachPaymentMethod,
    CustomerFields,
    CustomerView,
    NoFields,
    PaymentMethodList,
    PaymentMethodView,
    SetupIntentView,
)
from tallystick.customers.service_commands import CustomerCommands
from tallystick.customers.service_setup import SetupCommands
from tallystick.customers.views import customer_view, method_view
from tallystick.platform.auth import Actor
from tallystick.platform.http import (
    IdempotencyKey,
    idempotent_request,
    json_response,
    problem_response,
    problems,
    request_id_of,
)
from tallystick.platform.idempotency import IdempotentRequest

__all__ = ["CustomerController"]

Authenticate = Callable[..., Awaitable[Actor]]
Key = IdempotencyKey
CustomerId = Annotated[str, Path(alias="id", max_length=255, description="ours, Stripe's, or `me`")]
MethodId = Annotated[str, Path(alias="payment_method", max_length=255, description="ours or Stripe's")]
_READ = (401, 404, 422, 500, 503)
_WRITE = (401, 403, 404, 409, 413, 422, 500, 502, 503)


def _answers(view: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    unknown = {"model": view, "description": "Not known yet whether it happened; repeat with the same key"}
    return {202: unknown, **problems(*statuses)}


class CustomerController:
    """Routes under `/api/customers`."""

    def __init__(self, commands: CustomerCommands, setups: SetupCommands, authenticate: Authenticate) -> None:
        self.router = APIRouter(prefix="/api/customers", tags=["customers"])
        self._route_customers(commands, authenticate)
        self._route_methods(commands, authenticate)
        self._route_setups(commands, setups, authenticate)

    def _route_customers(self, commands: CustomerCommands, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        route = self.router
        existed: dict[int | str, dict[str, Any]] = {
            200: {"model": CustomerView, "description": "There was one, and it was updated"}
        }
        written = _answers(CustomerView, *_WRITE)

        @route.post("", status_code=201, response_model=CustomerView, responses={**existed, **written})
        async def create_customer(
            request: Request, who: actor, body: CustomerFields | None = None, key: Key = None
        ) -> Response:
            """Your one customer with these fields: made, or updated where there is one."""
            sent, wanted = _fields(request, who, key, body or CustomerFields())
            return await _answer(request, sent, commands.create(who, sent, wanted))

        @route.get("/{id}", response_model=CustomerView, responses=problems(*_READ))
        async def get_customer(who: actor, customer_id: CustomerId) -> Response:
            """A customer, from the mirror."""
            return json_response(customer_view(await commands.get(who, customer_id), staff=who.staff))

        @route.put("/{id}", response_model=CustomerView, responses=written)
        async def update_customer(
            request: Request, who: actor, customer_id: CustomerId, body: CustomerFields, key: Key = None
        ) -> Response:
            """Change what the body has; the rest stays."""
            sent, wanted = _fields(request, who, key, body)
            return await _answer(request, sent, commands.update(who, customer_id, sent, wanted))

        @route.delete("/{id}", response_model=CustomerView, responses=written)
        async def delete_customer(request: Request, who: actor, customer_id: CustomerId, key: Key = None) -> Response:
            """Delete a customer for good, with its subscriptions and payment methods."""
            sent = idempotent_request(request, f"user:{who.subject}", key, NoFields())
            return await _answer(request, sent, commands.delete(who, customer_id, sent))

    def _route_methods(self, commands: CustomerCommands, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        route = self.router
        base = "/{id}/payment-methods"
        written = _answers(PaymentMethodView, *_WRITE)
        attached = _answers(PaymentMethodView, 402, *_WRITE)

        @route.get(base, response_model=PaymentMethodList, responses=problems(*_READ))
        async def list_payment_methods(who: actor, customer_id: CustomerId) -> Response:
            """The customer's payment methods, from the mirror."""
            customer, page = await commands.methods(who, customer_id)
            default = customer.default_payment_method
            data = [method_view(row, default=row.stripe_payment_method_id == default) for row in page.data]
            return json_response({"data": data, "has_more": page.has_more})

        @route.post(base, response_model=PaymentMethodView, responses=attached)
        async def attach_payment_method(
            request: Request, who: actor, customer_id: CustomerId, body: AttachPaymentMethod, key: Key = None
        ) -> Response:
            """Keep a payment method for later; a card that its bank refuses is 402."""
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            work = commands.attach(who, customer_id, sent, body.payment_method, default=body.default)
            return await _answer(request, sent, work)

        @route.post(f"{base}/{{payment_method}}/default", response_model=PaymentMethodView, responses=written)
        async def set_default_payment_method(
            request: Request, who: actor, customer_id: CustomerId, method_id: MethodId, key: Key = None
        ) -> Response:
            """Make a payment method the default for subscriptions and invoices."""
            sent = idempotent_request(request, f"user:{who.subject}", key, NoFields())
            return await _answer(request, sent, commands.set_default(who, customer_id, method_id, sent))

        @route.delete(f"{base}/{{payment_method}}", response_model=PaymentMethodView, responses=written)
        async def detach_payment_method(
            request: Request, who: actor, customer_id: CustomerId, method_id: MethodId, key: Key = None
        ) -> Response:
            """Detach a payment method for good."""
            sent = idempotent_request(request, f"user:{who.subject}", key, NoFields())
            return await _answer(request, sent, commands.detach(who, customer_id, method_id, sent))

    def _route_setups(self, commands: CustomerCommands, setups: SetupCommands, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]

        @self.router.post(
            "/{id}/setup-intents",
            status_code=201,
            response_model=SetupIntentView,
            responses=_answers(SetupIntentView, *_WRITE),
        )
        async def create_setup_intent(
            request: Request, who: actor, customer_id: CustomerId, key: Key = None
        ) -> Response:
            """Begin to keep a payment method, with 3D Secure where its bank asks for it; the browser does the rest."""
            customer = await commands.own(who, customer_id)
            sent = idempotent_request(request, f"user:{who.subject}", key, NoFields())
            settled = await setups.create(who, customer.stripe_customer_id, sent)
            headers = {"Idempotency-Key": sent.key}
            if settled.status >= 400:
                return problem_response({**settled.body, "request_id": request_id_of(request.scope)}, headers)
            return json_response(await setups.reveal(settled), settled.status, headers)


def _fields(
    request: Request, who: Actor, key: str | None, body: CustomerFields
) -> tuple[IdempotentRequest, dict[str, Any]]:
    """The request and what it wants; a field that is absent and one that is null are two different wishes."""
    wanted = body.model_dump(exclude_unset=True)
    return replace(idempotent_request(request, f"user:{who.subject}", key, body), body=wanted), wanted


async def _answer(request: Request, sent: IdempotentRequest, work: Awaitable[Settled]) -> Response:
    settled = await work
    headers = {"Idempotency-Key": sent.key}
    if settled.status >= 400:
        return problem_response({**settled.body, "request_id": request_id_of(request.scope)}, headers)
    return json_response(settled.body, settled.status, headers)
