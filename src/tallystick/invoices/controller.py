"""`InvoiceController`: the routes of invoices. Parse, authorise, call one service method, shape the answer."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.invoices.models_requests import InvoicesRequest
from tallystick.invoices.schemas import InvoicePage, InvoiceView, PayInvoice
from tallystick.invoices.service import InvoiceService
from tallystick.invoices.views import invoice_view
from tallystick.platform.auth import Actor
from tallystick.platform.http import (
    IdempotencyKey,
    idempotent_request,
    json_response,
    problem_response,
    problems,
    request_id_of,
)

__all__ = ["InvoiceController"]

Authenticate = Callable[..., Awaitable[Actor]]
InvoiceId = Annotated[str, Path(alias="id", max_length=255, description="ours or Stripe's")]
Cursor = Annotated[str | None, Query(max_length=255, description="an invoice's id, ours or Stripe's; exclusive")]
Status = Literal["draft", "open", "paid", "uncollectible", "void"]


class InvoiceController:
    """Routes under `/api/invoices`."""

    def __init__(self, service: InvoiceService, authenticate: Authenticate) -> None:
        self._service = service
        self.router = APIRouter(prefix="/api/invoices", tags=["invoices"])
        self._route_reads(authenticate)
        self._route_pay(authenticate)

    def _route_reads(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        get = self.router.get

        @get("", response_model=InvoicePage, responses=problems(401, 403, 404, 422, 500, 503))
        async def list_invoices(
            who: actor,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Cursor = None,
            ending_before: Cursor = None,
            status: Status | None = None,
            subscription: Annotated[str | None, Query(max_length=255, description="ours or Stripe's")] = None,
            user: Annotated[str | None, Query(max_length=255, description="staff only: whose, by your own id")] = None,
        ) -> Response:
            """Invoices with their lines, newest first; staff see everybody's. `status=open` is what is owed."""
            wanted = InvoicesRequest(limit, starting_after, ending_before, status, subscription, user)
            page, lines = await self._service.listed(who, wanted)
            data = [invoice_view(row, lines[row.id], staff=who.staff) for row in page.data]
            return json_response({"data": data, "has_more": page.has_more})

        @get("/{id}", response_model=InvoiceView, responses=problems(401, 404, 500, 503))
        async def get_invoice(who: actor, invoice_id: InvoiceId) -> Response:
            """An invoice with its lines, from the mirror."""
            row, lines = await self._service.get(who, invoice_id)
            return json_response(invoice_view(row, lines, staff=who.staff))

    def _route_pay(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        accepted: dict[int | str, dict[str, Any]] = {
            202: {"model": InvoiceView, "description": "Not known yet whether it happened; repeat with the same key"}
        }

        @self.router.post(
            "/{id}/pay",
            response_model=InvoiceView,
            responses={**accepted, **problems(401, 402, 403, 404, 409, 413, 422, 500, 502, 503)},
        )
        async def pay_invoice(
            request: Request,
            who: actor,
            invoice_id: InvoiceId,
            body: PayInvoice | None = None,
            key: IdempotencyKey = None,
        ) -> Response:
            """Pay an open invoice now. 402 `AUTHENTICATION_REQUIRED` bears the `client_secret` to confirm it with."""
            body = body or PayInvoice()
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            settled = await self._service.pay(who, invoice_id, sent, body.payment_method)
            answer = await self._service.reveal(invoice_id, settled)
            headers = {"Idempotency-Key": sent.key}
            if settled.status >= 400:
                return problem_response({**answer, "request_id": request_id_of(request.scope)}, headers)
            return json_response(answer, settled.status, headers)
