"""`PrivacyController`: what is held about a user, and its erasure."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from tallystick.core.errors import Forbidden
from tallystick.platform.auth import Identity
from tallystick.platform.http import json_response, problems
from tallystick.privacy.models import Person
from tallystick.privacy.schemas import EraseUser, ErasureView, erasure_view, preview_view
from tallystick.privacy.service import ErasureService
from tallystick.privacy.service_export import ExportService

__all__ = ["PrivacyController"]

Identify = Callable[..., Awaitable[Identity]]
UserId = Annotated[str, Path(alias="id", max_length=255, description="your own id of the user, or ours")]
Payloads = Annotated[bool, Query(description="events with all that Stripe told")]
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "One JSON object; its last field is `complete`", "content": {"application/json": {}}}
}


class PrivacyController:
    """Routes under `/api/users`, and `/api/me/export`."""

    def __init__(self, erasures: ErasureService, exports: ExportService, identify: Identify) -> None:
        self._erasures = erasures
        self._exports = exports
        self.router = APIRouter(prefix="/api", tags=["privacy"])
        self._route_export(identify)
        self._route_erasure(identify)

    def _route_export(self, identify: Identify) -> None:
        identity = Annotated[Identity, Depends(identify)]
        get = self.router.get

        @get(
            "/users/{id}/export",
            response_class=StreamingResponse,
            responses=_EXPORTED | problems(401, 403, 404, 422, 500, 503),
        )
        async def export_user(request: Request, who: identity, user_id: UserId, payloads: Payloads = False) -> Response:
            """Everything that is held about a user."""
            _require(who, "admin", "service")
            person = await self._audited(request, user_id)
            request.state.reads_personal_data = True
            return StreamingResponse(self._exports.export(person, payloads=payloads), media_type="application/json")

        @get(
            "/me/export",
            response_class=StreamingResponse,
            responses=_EXPORTED | problems(401, 404, 422, 500, 503),
        )
        async def export_own(who: identity, payloads: Payloads = False) -> Response:
            """Everything that is held about you."""
            # A token names its user by the host application's id only: whoever it calls by one of ours is nobody else.
            person = await self._erasures.person(who.subject, ours=False)
            return StreamingResponse(self._exports.export(person, payloads=payloads), media_type="application/json")

    def _route_erasure(self, identify: Identify) -> None:
        identity = Annotated[Identity, Depends(identify)]
        answers: dict[int | str, dict[str, Any]] = {200: {"model": ErasureView, "description": "Done, or a dry run"}}

        @self.router.post(
            "/users/{id}/erase",
            status_code=202,
            response_model=ErasureView,
            responses=answers | problems(401, 403, 404, 409, 413, 422, 500, 503),
        )
        async def erase_user(
            request: Request, who: identity, user_id: UserId, body: EraseUser | None = None
        ) -> Response:
            """Erase a user: begun when this answers 202, done a little later. A repeat tells how far it has come."""
            _require(who, "admin")
            wanted = body or EraseUser()
            person = await self._audited(request, user_id)
            if wanted.dry_run:
                standing, kept = await self._erasures.preview(person, cancel_subscriptions=wanted.cancel_subscriptions)
                return json_response(preview_view(person, standing, kept))
            erasure = await self._erasures.begin(
                person, f"admin:{who.subject}", cancel_subscriptions=wanted.cancel_subscriptions
            )
            return json_response(erasure_view(erasure), 200 if erasure.state == "done" else 202)

        @self.router.get(
            "/users/{id}/erasure", response_model=ErasureView, responses=problems(401, 403, 404, 422, 500, 503)
        )
        async def get_erasure(request: Request, who: identity, user_id: UserId) -> Response:
            """How far an erasure has come; an erased user is known by our id only."""
            _require(who, "admin")
            return json_response(erasure_view(await self._erasures.erasure_of(await self._audited(request, user_id))))

    async def _audited(self, request: Request, user_id: str) -> Person:
        """The person; the audit log names it by our id, which tells nobody who it is."""
        person = await self._erasures.person(user_id)
        request.state.audited_object = ("user", str(person.id))
        return person


def _require(who: Identity, *roles: str) -> None:
    if not who.roles & set(roles):
        raise Forbidden(f"This needs the role {' or '.join(roles)}.")
