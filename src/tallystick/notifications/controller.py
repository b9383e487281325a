"""`WebhookEndpointController`: the routes by which outbound webhooks are managed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from tallystick.core.errors import Forbidden
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.notifications.outbound_endpoints import EndpointService
from tallystick.notifications.outbound_models import DeliveryRow, Endpoint, FactType, fact_body, webhook_id
from tallystick.notifications.schemas import (
    CreateEndpoint,
    DeletedEndpoint,
    DeliveryPage,
    DeliveryView,
    EndpointList,
    EndpointView,
    EndpointWithSecret,
    EventTypeList,
    UpdateEndpoint,
)
from tallystick.platform.auth import Identity
from tallystick.platform.http import json_response, problems

__all__ = ["WebhookEndpointController"]

Identify = Callable[..., Awaitable[Identity]]
EndpointId = Annotated[str, Path(alias="id", max_length=36)]
DeliveryId = Annotated[str, Path(max_length=36)]
Cursor = Annotated[str | None, Query(max_length=36, description="a delivery's id; exclusive")]
State = Annotated[Literal["queued", "delivered", "dead", "discarded"] | None, Query()]

_READ = problems(401, 403, 404, 422, 500, 503)
_WRITE = problems(401, 403, 404, 409, 413, 422, 500, 503)


class WebhookEndpointController:
    """Routes under `/api/webhook-endpoints`: for administrators and the host application; support may read."""

    def __init__(self, service: EndpointService, identify: Identify) -> None:
        self._service = service
        self.router = APIRouter(prefix="/api/webhook-endpoints", tags=["webhook endpoints"])
        self._route_reads(Depends(_allowing(identify, "admin", "service", "support")))
        self._route_writes(Depends(_allowing(identify, "admin", "service")))

    def _route_reads(self, reader: Any) -> None:
        service, get = self._service, self.router.get

        @get("", response_model=EndpointList, responses=_READ, dependencies=[reader])
        async def list_webhook_endpoints() -> Response:
            """All webhook endpoints, newest first."""
            data = [_endpoint_view(endpoint) for endpoint in await service.listed()]
            return json_response({"data": data, "has_more": False})

        @get("/event-types", response_model=EventTypeList, responses=_READ, dependencies=[reader])
        async def list_event_types() -> Response:
            """The types of events there are."""
            data = [_type_view(type_) for type_ in service.types.listed()]
            return json_response({"data": data, "has_more": False})

        @get("/{id}", response_model=EndpointView, responses=_READ, dependencies=[reader])
        async def get_webhook_endpoint(endpoint_id: EndpointId) -> Response:
            """A webhook endpoint."""
            return json_response(_endpoint_view(await service.get(endpoint_id)))

        @get("/{id}/deliveries", response_model=DeliveryPage, responses=_READ, dependencies=[reader])
        async def list_deliveries(
            endpoint_id: EndpointId,
            state: State = None,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Cursor = None,
            ending_before: Cursor = None,
        ) -> Response:
            """What was, or is to be, delivered to an endpoint, newest first."""
            page = await service.deliveries(
                endpoint_id, limit=limit, state=state, starting_after=starting_after, ending_before=ending_before
            )
            return json_response({"data": [_delivery_view(row) for row in page.data], "has_more": page.has_more})

    def _route_writes(self, writer: Any) -> None:
        service, router = self._service, self.router
        post = router.post

        @post("", status_code=201, response_model=EndpointWithSecret, responses=_WRITE, dependencies=[writer])
        async def create_webhook_endpoint(body: CreateEndpoint) -> Response:
            """Create a webhook endpoint. Its secret is in this answer, and never again."""
            made = await service.create(**body.model_dump())
            return json_response({**_endpoint_view(made), "secret": made.secret}, 201)

        @router.put("/{id}", response_model=EndpointView, responses=_WRITE, dependencies=[writer])
        async def update_webhook_endpoint(endpoint_id: EndpointId, body: UpdateEndpoint) -> Response:
            """Change a webhook endpoint. Switched on again, it gets what is queued for it."""
            return json_response(_endpoint_view(await service.update(endpoint_id, body.model_dump(exclude_unset=True))))

        @router.delete("/{id}", response_model=DeletedEndpoint, responses=_WRITE, dependencies=[writer])
        async def delete_webhook_endpoint(endpoint_id: EndpointId) -> Response:
            """Delete a webhook endpoint, and what is queued for it."""
            deleted: UUID = await service.delete(endpoint_id)
            return json_response({"id": deleted, "object": "webhook_endpoint", "deleted": True})

        @post("/{id}/rotate", response_model=EndpointWithSecret, responses=_WRITE, dependencies=[writer])
        async def rotate_secret(endpoint_id: EndpointId) -> Response:
            """Give an endpoint a new secret; for 24 hours webhooks bear a signature by the old one, too."""
            rotated = await service.rotate(endpoint_id)
            return json_response({**_endpoint_view(rotated), "secret": rotated.secret})

        @post("/{id}/test", response_model=DeliveryView, responses=_WRITE, dependencies=[writer])
        async def send_test_event(endpoint_id: EndpointId) -> Response:
            """Send a test event to an endpoint, whatever events it has chosen."""
            return json_response(_delivery_view(await service.test(endpoint_id)))

        @post(
            "/{id}/deliveries/{delivery_id}/replay",
            response_model=DeliveryView,
            responses=_WRITE,
            dependencies=[writer],
        )
        async def replay_delivery(endpoint_id: EndpointId, delivery_id: DeliveryId) -> Response:
            """Deliver once more, under the same webhook id; one that waits for its next try is tried now."""
            return json_response(_delivery_view(await service.replay(endpoint_id, delivery_id)))


def _allowing(identify: Identify, *roles: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only these roles pass."""

    async def allowed(who: Annotated[Identity, Depends(identify)]) -> None:
        if not who.roles & set(roles):
            raise Forbidden(f"This needs the role {' or '.join(roles)}.")

    return allowed


def _endpoint_view(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": endpoint.failing_since,
        "previous_secret_until": endpoint.previous_secret_until,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


def _delivery_view(row: DeliveryRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "webhook_delivery",
        "webhook_id": webhook_id(row.fact_id),
        "type": row.type,
        "state": row.state,
        "attempts": row.attempts,
        "next_attempt_at": row.not_before if row.state == "queued" else None,
        "response_status": row.response_status,
        "response_body": row.response_body,
        "error": row.last_error,
        "payload": fact_body(row.fact_id, row.type, row.occurred_at, row.data),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _type_view(type_: FactType) -> dict[str, Any]:
    example = fact_body(
        UUID("0193f0c28a5d7c3e9f10a1b2c3d4e5f6"), type_.name, datetime(2026, 1, 31, 12, tzinfo=UTC), type_.example
    )
    return {"type": type_.name, "description": type_.description, "example": example}
