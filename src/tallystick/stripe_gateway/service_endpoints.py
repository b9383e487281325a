"""`EndpointCalls`: what we ask Stripe about webhook endpoints."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.errors import GatewayRejected
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.service import StripeService

__all__ = ["EndpointCalls", "StripeEndpoint"]

Json = Mapping[str, Any]

_PATH = "/v1/webhook_endpoints"


class StripeEndpoint(Struct, frozen=True):
    """Where Stripe sends events. `api_version` None: the account's default. `secret` is answered only to its making."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    api_version: str | None
    description: str | None
    metadata: dict[str, str]
    created: datetime
    secret: str | None = None

    def __repr__(self) -> str:
        return f"StripeEndpoint({self.id!r})"


class EndpointCalls:
    """All methods raise the four errors of `stripe_gateway.errors`.

    What is written is written in the endpoint's own API version, as that one decides which events there are.
    """

    def __init__(self, stripe: StripeService) -> None:
        self._stripe = stripe

    async def list_all(self) -> list[StripeEndpoint]:
        """`GET /v1/webhook_endpoints`, all pages, newest first."""
        return await self._stripe.list_all(_PATH, {}, _endpoint)

    async def create(self, params: Json, key: str) -> Answer[StripeEndpoint]:
        """`POST /v1/webhook_endpoints`: the one answer with the secret."""
        return await self._stripe.write(_PATH, {**params, "stripe_version": params["api_version"]}, key, _endpoint)

    async def update(self, endpoint: StripeEndpoint, params: Json, key: str) -> Answer[StripeEndpoint]:
        """`POST /v1/webhook_endpoints/{id}`; metadata is merged, an empty text removes."""
        version = {"stripe_version": endpoint.api_version} if endpoint.api_version else {}
        return await self._stripe.write(f"{_PATH}/{endpoint.id}", {**params, **version}, key, _endpoint)

    async def delete(self, endpoint_id: str) -> None:
        """`DELETE /v1/webhook_endpoints/{id}`: what was not delivered to it never will be.

        It bears no idempotency key, as Stripe takes none there; one that is gone already is no error.
        """
        try:
            await self._stripe.call("delete", f"{_PATH}/{endpoint_id}", {}, lambda raw: raw["id"])
        except GatewayRejected as error:
            if not error.missing:
                raise


def _endpoint(raw: Json) -> StripeEndpoint:
    return StripeEndpoint(
        id=raw["id"],
        url=raw["url"],
        events=sorted(raw["enabled_events"]),
        enabled=raw["status"] == "enabled",
        api_version=raw.get("api_version"),
        description=raw.get("description"),
        metadata=dict(raw.get("metadata") or {}),
        created=from_unix(raw["created"]),
        secret=raw.get("secret"),
    )
