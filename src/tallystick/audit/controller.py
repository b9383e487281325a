"""`AuditController`: the audit log, for administrators."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from tallystick.audit.models import AuditEntry, AuditFilter
from tallystick.audit.schemas import AuditPage
from tallystick.audit.service import AuditService
from tallystick.core.errors import Forbidden
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.platform.auth import Identity
from tallystick.platform.http import Moment, json_response, problems

__all__ = ["AuditController", "entry_view"]

Identify = Callable[..., Awaitable[Identity]]
When = Annotated[Moment | None, Query(description="RFC 3339")]


class AuditController:
    """`GET /api/audit`."""

    def __init__(self, service: AuditService, identify: Identify) -> None:
        self.router = APIRouter(prefix="/api/audit", tags=["audit"])
        identity = Annotated[Identity, Depends(identify)]

        @self.router.get("", response_model=AuditPage, responses=problems(401, 403, 422, 500, 503))
        async def list_audit_entries(
            who: identity,
            actor: Annotated[str | None, Query(max_length=300, examples=["admin:grace"])] = None,
            action: Annotated[str | None, Query(max_length=100)] = None,
            object_id: Annotated[str | None, Query(alias="object", max_length=255)] = None,
            since: When = None,
            until: When = None,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Annotated[str | None, Query(max_length=64)] = None,
        ) -> Response:
            """Who did what, the last first."""
            if "admin" not in who.roles:
                raise Forbidden("This needs the role admin.")
            wanted = AuditFilter(actor, action, object_id, since, until)
            page = await service.listed(wanted, limit=limit, starting_after=starting_after)
            return json_response({"data": [entry_view(entry) for entry in page.data], "has_more": page.has_more})


def entry_view(entry: AuditEntry) -> dict[str, Any]:
    """An entry as the API shows it."""
    return {"object": "audit_entry", **msgspec.structs.asdict(entry)}
