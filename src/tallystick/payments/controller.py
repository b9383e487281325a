"""`PaymentController`: the payment routes. Parse, authorise, call one service method, shape the answer."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from tallystick.attempts.models import Settled
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.payments.models_requests import (
    CancelRequest,
    CaptureRequest,
    ConfirmRequest,
    HistoryRequest,
    PaymentRequest,
    RefundRequest,
)
from tallystick.payments.schemas import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    CreatePayment,
    CreateRefund,
    PaymentDetails,
    PaymentPage,
    PaymentView,
    RefundView,
)
from tallystick.payments.service import StripePaymentService
from tallystick.payments.views import charge_view, dispute_view, payment_view, refund_view
from tallystick.platform.auth import Actor
from tallystick.platform.direct import DirectRead
from tallystick.platform.http import (
    IdempotencyKey,
    Moment,
    idempotent_request,
    json_response,
    problem_response,
    problems,
    request_id_of,
)
from tallystick.platform.idempotency import IdempotentRequest

__all__ = ["PaymentController"]

Authenticate = Callable[..., Awaitable[Actor]]
Key = IdempotencyKey
PaymentId = Annotated[str, Path(alias="id", max_length=255, description="ours or Stripe's")]
Cursor = Annotated[str | None, Query(max_length=255, description="a payment's id, ours or Stripe's; exclusive")]
_BASE = "/payment-intent"
_DIRECT_ONE = re.compile(rf"/api/payments{_BASE}/(?P<id>[A-Za-z0-9_-]{{1,255}})")
_DIRECT_PAGE = re.compile(
    r"/api/payments/history(?:\?limit=(?P<limit>[1-9][0-9]?)(?:&starting_after=(?P<after>[A-Za-z0-9_-]{1,255}))?)?"
)
_WRITE_ERRORS = problems(401, 402, 403, 404, 409, 413, 422, 500, 502, 503)
_WRITTEN: dict[int | str, dict[str, Any]] = {
    202: {"model": PaymentView, "description": "Not known yet whether it happened; repeat with the same key"},
    **_WRITE_ERRORS,
}


class PaymentController:
    """Routes under `/api/payments`."""

    def __init__(self, service: StripePaymentService, authenticate: Authenticate, default_currency: str) -> None:
        self._service = service
        self._default_currency = default_currency
        self.router = APIRouter(prefix="/api/payments", tags=["payments"])
        self._route_charging(authenticate)
        self._route_ending(authenticate)
        self._route_refund(authenticate)
        self._route_reads(authenticate)
        self.direct = [
            DirectRead(f"/api/payments{_BASE}/{{id}}", "get_payment_intent", _DIRECT_ONE, self._one_directly),
            DirectRead("/api/payments/history", "payment_history", _DIRECT_PAGE, self._page_directly),
        ]

    def _route_charging(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        post = self.router.post

        @post(_BASE, status_code=201, response_model=PaymentView, responses=_WRITTEN)
        async def create_payment_intent(request: Request, who: actor, body: CreatePayment, key: Key = None) -> Response:
            """Create a payment. The `client_secret` in the answer is for Stripe.js in the customer's browser."""
            who.require_shop("What a payment amounts to")
            wanted = PaymentRequest(**{**body.model_dump(), "currency": body.currency or self._default_currency})
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            return await self._answer(request, sent, self._service.create(who, sent, wanted))

        @post(f"{_BASE}/{{id}}/confirm", response_model=PaymentView, responses=_WRITTEN)
        async def confirm_payment_intent(
            request: Request,
            who: actor,
            payment_id: PaymentId,
            body: ConfirmPayment | None = None,
            key: Key = None,
        ) -> Response:
            """Try to charge a payment; a failed one is confirmed again with another method."""
            body = body or ConfirmPayment()
            wanted = ConfirmRequest(**body.model_dump())
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            return await self._answer(request, sent, self._service.confirm(who, payment_id, sent, wanted))

    def _route_ending(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        post = self.router.post

        @post(f"{_BASE}/{{id}}/capture", response_model=PaymentView, responses=_WRITTEN)
        async def capture_payment_intent(
            request: Request,
            who: actor,
            payment_id: PaymentId,
            body: CapturePayment | None = None,
            key: Key = None,
        ) -> Response:
            """Capture an authorised payment, whole or in part."""
            who.require_shop("What is captured")
            body = body or CapturePayment()
            wanted = CaptureRequest(**body.model_dump())
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            return await self._answer(request, sent, self._service.capture(who, payment_id, sent, wanted))

        @post(f"{_BASE}/{{id}}/cancel", response_model=PaymentView, responses=_WRITTEN)
        async def cancel_payment_intent(
            request: Request,
            who: actor,
            payment_id: PaymentId,
            body: CancelPayment | None = None,
            key: Key = None,
        ) -> Response:
            """Cancel a payment that has not succeeded; what it held is released."""
            body = body or CancelPayment()
            wanted = CancelRequest(**body.model_dump())
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            return await self._answer(request, sent, self._service.cancel(who, payment_id, sent, wanted))

    def _route_refund(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]

        @self.router.post(
            f"{_BASE}/{{id}}/refund",
            response_model=RefundView,
            responses={202: {"model": RefundView}, **_WRITE_ERRORS},
        )
        async def refund_payment_intent(
            request: Request,
            who: actor,
            payment_id: PaymentId,
            body: CreateRefund | None = None,
            key: Key = None,
        ) -> Response:
            """Refund a payment, whole or in part, several times up to what was captured."""
            who.require_shop("What is refunded")
            body = body or CreateRefund()
            wanted = RefundRequest(**body.model_dump())
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            return await self._answer(request, sent, self._service.refund(who, payment_id, sent, wanted))

    def _route_reads(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        get = self.router.get

        @get("/payment-intent/{id}", response_model=PaymentDetails, responses=problems(401, 404, 500, 503))
        async def get_payment_intent(who: actor, payment_id: PaymentId) -> Response:
            """A payment with its charges and refunds, by our id or Stripe's."""
            return await self._one(who, payment_id)

        @get("/history", response_model=PaymentPage, responses=problems(401, 404, 422, 500, 503))
        async def payment_history(
            who: actor,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Cursor = None,
            ending_before: Cursor = None,
            status: Annotated[str | None, Query(max_length=40)] = None,
            currency: Annotated[str | None, Query(pattern=r"^[a-z]{3}$")] = None,
            created_from: Annotated[Moment | None, Query(description="inclusive, RFC 3339")] = None,
            created_until: Annotated[Moment | None, Query(description="exclusive, RFC 3339")] = None,
        ) -> Response:
            """Payments, newest first; staff see everybody's."""
            wanted = HistoryRequest(
                limit=limit,
                starting_after=starting_after,
                ending_before=ending_before,
                status=status,
                currency=currency,
                created_from=created_from,
                created_until=created_until,
            )
            return await self._page(who, wanted)

    async def _one_directly(self, who: Actor, asked: "re.Match[str]") -> Response:
        return await self._one(who, asked["id"])

    async def _page_directly(self, who: Actor, asked: "re.Match[str]") -> Response:
        limit = int(asked["limit"] or LIMIT_DEFAULT)
        return await self._page(who, HistoryRequest(limit=limit, starting_after=asked["after"]))

    async def _page(self, who: Actor, wanted: HistoryRequest) -> Response:
        page = await self._service.history(who, wanted)
        data = [payment_view(payment, staff=who.staff) for payment in page.data]
        return json_response({"data": data, "has_more": page.has_more})

    async def _one(self, who: Actor, payment_id: str) -> Response:
        payment, charges, refunds, disputes = await self._service.get_whole(who, payment_id)
        view = payment_view(payment, staff=who.staff)
        view["charges"] = [charge_view(charge, staff=who.staff) for charge in charges]
        view["refunds"] = [refund_view(refund) for refund in refunds]
        if who.staff:
            view["disputes"] = [dispute_view(dispute) for dispute in disputes]
        return json_response(view)

    async def _answer(self, request: Request, sent: IdempotentRequest, work: Awaitable[Settled]) -> Response:
        settled = await work
        body = await self._service.reveal(settled)
        headers = {"Idempotency-Key": sent.key}
        if settled.status >= 400:
            return problem_response({**body, "request_id": request_id_of(request.scope)}, headers)
        return json_response(body, settled.status, headers)
