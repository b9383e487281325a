"""The shapes of requests and answers about webhook endpoints, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "CreateEndpoint",
    "DeletedEndpoint",
    "DeliveryPage",
    "DeliveryView",
    "EndpointList",
    "EndpointView",
    "EndpointWithSecret",
    "EventTypeList",
    "UpdateEndpoint",
]

Url = Annotated[str, StringConstraints(strict=True, min_length=8, max_length=2000)]
Events = Annotated[
    list[Annotated[str, StringConstraints(strict=True, pattern=r"^(\*|[a-z_]+(\.[a-z_]+)+)$", max_length=100)]],
    Field(min_length=1, max_length=100, description='types of events; ["*"] is all, those to come too'),
]
Description = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class CreateEndpoint(BaseModel):
    """A new webhook endpoint."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://app.example.com/tallystick", "events": ["payment.succeeded"]}]
        },
    )

    url: Url
    events: Events
    description: Description | None = None
    enabled: Annotated[bool, Field(strict=True)] = True


class UpdateEndpoint(BaseModel):
    """What to change of a webhook endpoint; what is not sent stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: Url = ""
    events: Events = []
    description: Description | None = None
    enabled: Annotated[bool, Field(strict=True)] = True


class EndpointView(BaseModel):
    """A webhook endpoint. `disabled_reason`: manual, failing (for three days) or gone (it answered 410)."""

    id: UUID
    object: Literal["webhook_endpoint"]
    url: str
    events: list[str]
    description: str | None
    enabled: bool
    disabled_reason: Literal["manual", "failing", "gone"] | None
    failing_since: datetime | None = Field(description="when it first failed since it last succeeded")
    previous_secret_until: datetime | None = Field(description="until when webhooks are signed by the old secret, too")
    created_at: datetime
    updated_at: datetime


class EndpointWithSecret(EndpointView):
    """A webhook endpoint with its secret, which is shown this once."""

    secret: str = Field(description="for a Standard Webhooks library; begins with whsec_")


class EndpointList(BaseModel):
    """All webhook endpoints, newest first."""

    data: list[EndpointView]
    has_more: bool


class DeletedEndpoint(BaseModel):
    """A webhook endpoint that is no more."""

    id: UUID
    object: Literal["webhook_endpoint"]
    deleted: Literal[True]


class DeliveryView(BaseModel):
    """One event for one endpoint; `payload` is the body that is sent."""

    id: UUID
    object: Literal["webhook_delivery"]
    webhook_id: str = Field(description="the header webhook-id: the same in every delivery of this event")
    type: str
    state: Literal["queued", "delivered", "dead", "discarded"]
    attempts: int
    next_attempt_at: datetime | None
    response_status: int | None
    response_body: str | None = Field(description="its beginning, without what looks like a secret")
    error: str | None
    payload: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first."""

    data: list[DeliveryView]
    has_more: bool


class EventTypeView(BaseModel):
    """A type of events; `example` is the body of one."""

    type: str
    description: str
    example: dict[str, Any]


class EventTypeList(BaseModel):
    """All types of events, by name."""

    data: list[EventTypeView]
    has_more: bool
