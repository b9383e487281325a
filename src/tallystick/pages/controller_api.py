"""`CheckoutController`: the application's routes of checkout sessions."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from tallystick.pages.models import CheckoutRequest, Look
from tallystick.pages.schemas import CheckoutSessionView, CreateCheckoutSession
from tallystick.pages.service import CheckoutService
from tallystick.pages.views import session_view
from tallystick.platform.auth import Actor
from tallystick.platform.http import IdempotencyKey, idempotent_request, json_response, problems

__all__ = ["CheckoutController"]

Authenticate = Callable[..., Awaitable[Actor]]
SessionId = Annotated[str, Path(alias="id", max_length=36)]


class CheckoutController:
    """Routes under `/api/checkout-sessions`."""

    def __init__(self, service: CheckoutService, authenticate: Authenticate) -> None:
        self.router = APIRouter(prefix="/api/checkout-sessions", tags=["checkout"])
        post, get = self.router.post, self.router.get
        actor = Annotated[Actor, Depends(authenticate)]

        @post(
            "",
            status_code=201,
            response_model=CheckoutSessionView,
            responses=problems(401, 403, 404, 409, 413, 422, 500, 502, 503),
        )
        async def create_checkout_session(
            request: Request, who: actor, body: CreateCheckoutSession, key: IdempotencyKey = None
        ) -> Response:
            """Make a page on which the customer pays, once. Send the customer to its `url`."""
            if body.amount is not None:
                who.require_shop("What a payment amounts to", "amount")
            if body.trial_period_days:
                who.require_shop("A trial", "trial_period_days")
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            settled = await service.create(who, sent, CheckoutRequest(**body.model_dump()))
            url = await service.link(UUID(str(settled.body["id"])))
            return json_response({**settled.body, "url": url}, settled.status, {"Idempotency-Key": sent.key})

        @get("/{id}", response_model=CheckoutSessionView, responses=problems(401, 404, 500, 503))
        async def get_checkout_session(who: actor, session_id: SessionId) -> Response:
            """A checkout session, as it is now."""
            return json_response(_view(await service.get(who, session_id)))

        @post("/{id}/expire", response_model=CheckoutSessionView, responses=problems(401, 403, 404, 409, 500, 503))
        async def expire_checkout_session(who: actor, session_id: SessionId) -> Response:
            """End an open session before its time. Its link is dead then, and nobody can pay it any more."""
            return json_response(_view(await service.expire(who, session_id)))


def _view(look: Look) -> dict[str, Any]:
    return session_view(look.session, begun=look.progress.state != "none")
