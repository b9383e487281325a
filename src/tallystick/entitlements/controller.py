"""`EntitlementController`: what users may use, and the features that administrators give to products."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from tallystick.core.clock import Clock
from tallystick.entitlements.schemas import (
    KEY_PATTERN,
    DeletedFeature,
    EntitlementCheck,
    EntitlementsView,
    FeatureFields,
    FeatureList,
    FeatureView,
    ProductFeatureFields,
    ProductFeatureList,
)
from tallystick.entitlements.service import EntitlementService
from tallystick.entitlements.views import check_view, entitlements_view, feature_view, product_features_view
from tallystick.platform.auth import Actor
from tallystick.platform.direct import DirectRead
from tallystick.platform.http import json_response, problems

__all__ = ["EntitlementController"]

Authenticate = Callable[..., Awaitable[Actor]]
FeatureKey = Annotated[str, Path(alias="key", pattern=KEY_PATTERN)]
ProductId = Annotated[str, Path(alias="id", max_length=255, description="ours or Stripe's")]
User = Annotated[str | None, Query(max_length=255, description="the host application's id of a user (staff)")]
_DIRECT = re.compile(r"/api/entitlements")
_READ = problems(401, 403, 404, 422, 500, 503)
_WRITE = problems(401, 403, 404, 409, 413, 422, 500, 503)


class EntitlementController:
    """Routes under `/api/entitlements` and `/api/features`, and the features of `/api/products/{id}`."""

    def __init__(self, service: EntitlementService, clock: Clock, authenticate: Authenticate) -> None:
        self.router = APIRouter(prefix="/api", tags=["entitlements"])
        self._service = service
        self._clock = clock
        self._route_entitlements(service, clock, authenticate)
        self.direct = [DirectRead("/api/entitlements", "list_entitlements", _DIRECT, self._directly)]
        self._route_features(service, authenticate)
        self._route_products(service, authenticate)

    def _route_entitlements(self, service: EntitlementService, clock: Clock, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]

        @self.router.get("/entitlements", response_model=EntitlementsView, responses=_READ)
        async def list_entitlements(who: actor, user: User = None) -> Response:
            """What you may use now, and until when; of each feature the best that your subscriptions give."""
            return await self._list(who, user)

        @self.router.get("/entitlements/{key}", response_model=EntitlementCheck, responses=_READ)
        async def check_entitlement(who: actor, key: FeatureKey, user: User = None) -> Response:
            """Whether you may use a feature now. A feature whose best value is false may not be used."""
            subject, found = await service.check(who, key, user)
            return json_response(check_view(subject, clock.now(), key, found))

    async def _list(self, who: Actor, user: str | None) -> Response:
        subject, found = await self._service.of(who, user)
        return json_response(entitlements_view(subject, self._clock.now(), found))

    async def _directly(self, who: Actor, _: "re.Match[str]") -> Response:
        return await self._list(who, None)

    def _route_features(self, service: EntitlementService, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        route = self.router
        made: dict[int | str, dict[str, Any]] = {
            201: {"model": FeatureView, "description": "There was none, and it was made"}
        }

        @route.get("/features", response_model=FeatureList, responses=_READ)
        async def list_features(who: actor) -> Response:
            """All features, by key."""
            return json_response({"data": [feature_view(row) for row in await service.listed()], "has_more": False})

        @route.get("/features/{key}", response_model=FeatureView, responses=_READ)
        async def get_feature(who: actor, key: FeatureKey) -> Response:
            """A feature."""
            return json_response(feature_view(await service.get(key)))

        @route.put("/features/{key}", response_model=FeatureView, responses={**made, **_WRITE})
        async def put_feature(who: actor, key: FeatureKey, body: FeatureFields) -> Response:
            """Make a feature, or name it anew (administrators)."""
            feature, new = await service.put(who, key, body.name)
            return json_response(feature_view(feature), 201 if new else 200)

        @route.delete("/features/{key}", response_model=DeletedFeature, responses=_WRITE)
        async def delete_feature(who: actor, key: FeatureKey) -> Response:
            """Delete a feature that no product has (administrators)."""
            feature = await service.delete(who, key)
            return json_response({"key": feature.key, "object": "feature", "deleted": True})

    def _route_products(self, service: EntitlementService, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        path = "/products/{id}/features"

        @self.router.get(path, response_model=ProductFeatureList, responses=problems(404, 422, 500, 503))
        async def list_product_features(product_id: ProductId) -> Response:
            """The features of a product, by key."""
            return json_response(product_features_view(*await service.of_product(product_id)))

        @self.router.put(path, response_model=ProductFeatureList, responses=_WRITE)
        async def put_product_features(who: actor, product_id: ProductId, body: ProductFeatureFields) -> Response:
            """Give a product exactly these features (administrators); whoever has the product has them at once."""
            values = [(wanted.key, wanted.value) for wanted in body.features]
            return json_response(product_features_view(*await service.set_of_product(who, product_id, values)))
