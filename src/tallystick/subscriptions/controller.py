"""`SubscriptionController`: the routes of subscriptions. Parse, authorise, call one method, shape the answer."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from msgspec import UNSET
from starlette.responses import Response

from tallystick.attempts.models import Settled
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
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
from tallystick.subscriptions.models_requests import (
    CancelRequest,
    ChangeRequest,
    CreateRequest,
    ListRequest,
    PauseRequest,
    ResumeRequest,
)
from tallystick.subscriptions.schemas import (
    CancelSubscription,
    CreateSubscription,
    HistoryPage,
    NoFields,
    PauseSubscription,
    ResumeSubscription,
    SubscriptionDetails,
    SubscriptionPage,
    SubscriptionView,
    UpcomingInvoice,
    UpdateSubscription,
)
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.subscriptions.service_terms import QUANTITY_MAX
from tallystick.subscriptions.views import details_view, history_view, subscription_view

__all__ = ["SubscriptionController"]

Authenticate = Callable[..., Awaitable[Actor]]
Key = IdempotencyKey
SubscriptionId = Annotated[str, Path(alias="id", max_length=255, description="ours or Stripe's")]
Cursor = Annotated[str | None, Query(max_length=255, description="a subscription's id, ours or Stripe's; exclusive")]
Status = Literal["incomplete", "incomplete_expired", "trialing", "active", "past_due", "unpaid", "paused", "canceled"]
_READ = (401, 404, 422, 500, 503)
_WRITE = (401, 402, 403, 404, 409, 413, 422, 500, 502, 503)
_WRITTEN: dict[int | str, dict[str, Any]] = {
    202: {"model": SubscriptionView, "description": "Not known yet whether it happened; repeat with the same key"},
    **problems(*_WRITE),
}


class SubscriptionController:
    """Routes under `/api/subscriptions`."""

    def __init__(self, service: StripeSubscriptionService, authenticate: Authenticate) -> None:
        self._service = service
        self.router = APIRouter(prefix="/api/subscriptions", tags=["subscriptions"])
        self._route_writes(authenticate)
        self._route_ends(authenticate)
        self._route_pauses(authenticate)
        self._route_reads(authenticate)
        self._route_preview(authenticate)

    def _route_writes(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        route, service = self.router, self._service
        again: dict[int | str, dict[str, Any]] = {
            200: {"model": SubscriptionView, "description": "One that waits for its first payment was taken up again"}
        }

        @route.post("", status_code=201, response_model=SubscriptionView, responses={**again, **_WRITTEN})
        async def create_subscription(
            request: Request, who: actor, body: CreateSubscription, key: Key = None
        ) -> Response:
            """Subscribe. What waits for the customer (a first payment, a card for later) is told with its secret."""
            if body.trial_period_days:
                who.require_shop("A trial", "trial_period_days")
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            return await self._answer(request, sent, service.create(who, sent, CreateRequest(**body.model_dump())))

        @route.put("/{id}", response_model=SubscriptionView, responses=_WRITTEN)
        async def update_subscription(
            request: Request, who: actor, subscription_id: SubscriptionId, body: UpdateSubscription, key: Key = None
        ) -> Response:
            """Change plan, quantity, payment method, discount or metadata, or undo a cancellation that is to come."""
            if body.proration_behavior:
                who.require_shop("How a change is prorated", "proration_behavior")
            if not body.only_if_paid:
                who.require_shop("Whether a change waits for its payment", "only_if_paid")
            fields = body.model_dump(exclude_unset=True)
            # An absent promotion code and one that is null are two different wishes.
            sent = replace(idempotent_request(request, f"user:{who.subject}", key, body), body=_json(body))
            return await self._answer(
                request, sent, service.change(who, subscription_id, sent, ChangeRequest(**fields))
            )

    def _route_ends(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        route, service = self.router, self._service

        @route.delete("/{id}", response_model=SubscriptionView, responses=_WRITTEN)
        async def cancel_subscription(
            request: Request,
            who: actor,
            subscription_id: SubscriptionId,
            body: CancelSubscription | None = None,
            key: Key = None,
        ) -> Response:
            """Cancel at the end of the running period, or now."""
            body = body or CancelSubscription()
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            wanted = CancelRequest(**body.model_dump())
            return await self._answer(request, sent, service.cancel(who, subscription_id, sent, wanted))

    def _route_pauses(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        route, service = self.router, self._service

        @route.delete("/{id}/scheduled-change", response_model=SubscriptionView, responses=_WRITTEN)
        async def take_back_scheduled_change(
            request: Request, who: actor, subscription_id: SubscriptionId, key: Key = None
        ) -> Response:
            """Take back the change that waits for the end of the period."""
            sent = idempotent_request(request, f"user:{who.subject}", key, NoFields())
            return await self._answer(request, sent, service.take_back(who, subscription_id, sent))

        @route.post("/{id}/pause", response_model=SubscriptionView, responses=_WRITTEN)
        async def pause_subscription(
            request: Request,
            who: actor,
            subscription_id: SubscriptionId,
            body: PauseSubscription | None = None,
            key: Key = None,
        ) -> Response:
            """Stop collecting; access goes too, unless PAUSED_SUBSCRIPTIONS_KEEP_ACCESS."""
            who.require_shop("A pause")
            body = body or PauseSubscription()
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            wanted = PauseRequest(**body.model_dump())
            return await self._answer(request, sent, service.pause(who, subscription_id, sent, wanted))

        @route.post("/{id}/resume", response_model=SubscriptionView, responses=_WRITTEN)
        async def resume_subscription(
            request: Request,
            who: actor,
            subscription_id: SubscriptionId,
            body: ResumeSubscription | None = None,
            key: Key = None,
        ) -> Response:
            """Collect again; out of the status `paused`, a new period begins and is charged."""
            body = body or ResumeSubscription()
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            wanted = ResumeRequest(**body.model_dump())
            return await self._answer(request, sent, service.resume(who, subscription_id, sent, wanted))

    def _route_reads(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        get, service = self.router.get, self._service

        @get("", response_model=SubscriptionPage, responses=problems(*_READ))
        async def list_subscriptions(
            who: actor,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Cursor = None,
            ending_before: Cursor = None,
            status: Status | None = None,
        ) -> Response:
            """Subscriptions, ended ones too, newest first; staff see everybody's."""
            wanted = ListRequest(limit=limit, starting_after=starting_after, ending_before=ending_before, status=status)
            page = await service.listed(who, wanted)
            data = [subscription_view(row, staff=who.staff) for row in page.data]
            return json_response({"data": data, "has_more": page.has_more})

        @get("/{id}", response_model=SubscriptionDetails, responses=problems(*_READ))
        async def get_subscription(who: actor, subscription_id: SubscriptionId) -> Response:
            """A subscription with what it gives now, and the calendar of a renewal that was not paid."""
            row, grants, dunning = await service.get(who, subscription_id)
            scheduled = await service.scheduled(row)
            return json_response(details_view(row, grants, dunning, scheduled, staff=who.staff))

        @get("/{id}/history", response_model=HistoryPage, responses=problems(*_READ))
        async def subscription_history(
            who: actor,
            subscription_id: SubscriptionId,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Annotated[str | None, Query(max_length=36, description="a change's id; exclusive")] = None,
        ) -> Response:
            """Every change, newest first: what was different, who made it, and why."""
            page = await service.history(who, subscription_id, limit=limit, starting_after=starting_after)
            data = [history_view(row, staff=who.staff) for row in page.data]
            return json_response({"data": data, "has_more": page.has_more})

    def _route_preview(self, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]

        @self.router.get(
            "/{id}/upcoming-invoice",
            response_model=UpcomingInvoice,
            responses=problems(401, 403, 404, 409, 422, 500, 503),
        )
        async def upcoming_invoice(
            who: actor,
            subscription_id: SubscriptionId,
            price: Annotated[str | None, Query(max_length=255, pattern=r"^[A-Za-z0-9_-]+$")] = None,
            quantity: Annotated[int | None, Query(ge=1, le=QUANTITY_MAX)] = None,
            proration_behavior: Literal["create_prorations", "always_invoice", "none"] | None = None,
            promotion_code: Annotated[str | None, Query(max_length=500, description="empty: no discount")] = None,
            when: Literal["now", "period_end"] = "now",
        ) -> Response:
            """What will be billed next; with a change, what it costs now and then, and a token to make just that."""
            if proration_behavior:
                who.require_shop("How a change is prorated", "proration_behavior")
            wanted = ChangeRequest(
                price=price,
                quantity=quantity,
                proration_behavior=proration_behavior,
                promotion_code=UNSET if promotion_code is None else promotion_code or None,
                when=when,
            )
            return json_response(await self._service.preview(who, subscription_id, wanted))

    async def _answer(self, request: Request, sent: IdempotentRequest, work: Awaitable[Settled]) -> Response:
        settled = await work
        body = await self._service.reveal(settled)
        headers = {"Idempotency-Key": sent.key}
        if settled.status >= 400:
            return problem_response({**body, "request_id": request_id_of(request.scope)}, headers)
        return json_response(body, settled.status, headers)


def _json(body: UpdateSubscription) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude_unset=True)
