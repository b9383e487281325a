"""`PortalSessionController`: the application's route to a link to the billing pages."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tallystick.pages.billing.models import PortalRequest
from tallystick.pages.billing.schemas import CreatePortalSession, PortalSessionView
from tallystick.pages.billing.service import PortalService
from tallystick.platform.auth import Actor
from tallystick.platform.http import json_response, problems

__all__ = ["PortalSessionController"]

Authenticate = Callable[..., Awaitable[Actor]]


class PortalSessionController:
    """The route `/api/portal-sessions`."""

    def __init__(self, service: PortalService, authenticate: Authenticate) -> None:
        self.router = APIRouter(prefix="/api/portal-sessions", tags=["billing pages"])
        actor = Annotated[Actor, Depends(authenticate)]

        @self.router.post(
            "", status_code=201, response_model=PortalSessionView, responses=problems(401, 403, 413, 422, 500, 503)
        )
        async def create_portal_session(who: actor, body: CreatePortalSession | None = None) -> Response:
            """Make a link to your own billing pages; it is opened once, within five minutes."""
            wanted = PortalRequest(**body.model_dump()) if body else PortalRequest()
            url, expires_at = await service.create(who, wanted)
            return json_response({"object": "portal_session", "url": url, "expires_at": expires_at}, 201)
