"""`TimelineController`: what happened to a user or an object (staff)."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from tallystick.core.errors import Forbidden, InvalidRequest
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.platform.auth import Identity
from tallystick.platform.http import json_response, problems
from tallystick.timeline.schemas import TimelinePage, timeline_view
from tallystick.timeline.service import TimelineService

__all__ = ["TimelineController"]

Identify = Callable[..., Awaitable[Identity]]
Reference = Annotated[
    str, Path(alias="id", max_length=255, description="ours or Stripe's id of an object, or `user:` and your id")
]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Before = Annotated[str | None, Query(max_length=300, description="`next` of the page that followed")]
_READ = problems(401, 403, 404, 422, 500, 503)


class TimelineController:
    """Routes under `/api/timeline`."""

    def __init__(self, service: TimelineService, identify: Identify) -> None:
        self.router = APIRouter(prefix="/api/timeline", tags=["timeline"])
        who = Annotated[Identity, Depends(identify)]

        @self.router.get("/{id}", response_model=TimelinePage, responses=_READ)
        async def get_timeline(
            staff: who, reference: Reference, limit: Limit = LIMIT_DEFAULT, before: Before = None
        ) -> Response:
            """What happened to an object, or to `user:<your id>`, the last thing first (administrators, support)."""
            _require_staff(staff)
            return json_response(timeline_view(await service.tell(reference, before=before, limit=limit)))

        @self.router.get("", response_model=TimelinePage, responses=_READ)
        async def get_timeline_of_user(
            staff: who,
            user: Annotated[str | None, Query(max_length=255, description="your id of a user")] = None,
            limit: Limit = LIMIT_DEFAULT,
            before: Before = None,
        ) -> Response:
            """The same of a user, whatever is in the id."""
            _require_staff(staff)
            if not user:
                raise InvalidRequest("Say whose timeline is meant.", field="user")
            return json_response(timeline_view(await service.tell(f"user:{user}", before=before, limit=limit)))


def _require_staff(who: Identity) -> None:
    if not who.roles & {"admin", "support"}:
        raise Forbidden
