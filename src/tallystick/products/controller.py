"""`ProductController`: the catalogue's routes. Reads are public and bear an ETag."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response

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
from tallystick.products.models import PriceRow
from tallystick.products.schemas import CreateProduct, PriceList, ProductPage, ProductView
from tallystick.products.service import ProductService
from tallystick.products.service_create import ProductCreation
from tallystick.products.views import price_view, product_view

__all__ = ["ProductController"]

Authenticate = Callable[..., Awaitable[Actor]]
ProductId = Annotated[str, Path(alias="id", max_length=255, description="ours or Stripe's")]
Cursor = Annotated[str | None, Query(max_length=255, description="a product's id, ours or Stripe's; exclusive")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=500)]
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "What the caller has is what there is"}}


class ProductController:
    """Routes under `/api/products`."""

    def __init__(self, service: ProductService, creation: ProductCreation, authenticate: Authenticate) -> None:
        self._service = service
        self.router = APIRouter(prefix="/api/products", tags=["products"])
        get = self.router.get
        self._route_create(creation, authenticate)

        @get("", response_model=ProductPage, responses={**_UNCHANGED, **problems(404, 422, 500, 503)})
        async def list_products(
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Cursor = None,
            ending_before: Cursor = None,
            if_none_match: IfNoneMatch = None,
        ) -> Response:
            """The products on offer with their prices, newest first."""
            page, prices = await service.listed(limit=limit, starting_after=starting_after, ending_before=ending_before)
            offered: dict[str, list[PriceRow]] = {}
            for price in prices:
                offered.setdefault(price.stripe_product_id, []).append(price)
            data = [product_view(product, offered.get(product.stripe_product_id, [])) for product in page.data]
            return _tagged({"data": data, "has_more": page.has_more}, if_none_match)

        @get("/{id}", response_model=ProductView, responses={**_UNCHANGED, **problems(404, 422, 500, 503)})
        async def get_product(product_id: ProductId, if_none_match: IfNoneMatch = None) -> Response:
            """A product with its prices on offer, by our id or Stripe's."""
            return _tagged(product_view(*await service.get(product_id)), if_none_match)

        @get("/{id}/prices", response_model=PriceList, responses={**_UNCHANGED, **problems(404, 422, 500, 503)})
        async def get_prices(product_id: ProductId, if_none_match: IfNoneMatch = None) -> Response:
            """The prices on offer of a product, newest first."""
            _, prices = await service.get(product_id)
            return _tagged({"data": [price_view(price) for price in prices], "has_more": False}, if_none_match)

    def _route_create(self, creation: ProductCreation, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]
        errors = problems(401, 403, 409, 413, 422, 500, 502, 503)

        @self.router.post(
            "", status_code=201, response_model=ProductView, responses={202: {"model": ProductView}, **errors}
        )
        async def create_product(
            request: Request, who: actor, body: CreateProduct, key: IdempotencyKey = None
        ) -> Response:
            """Create a product with its prices (administrators)."""
            sent = idempotent_request(request, f"user:{who.subject}", key, body)
            settled = await creation.create(who, sent, body.model_dump())
            headers = {"Idempotency-Key": sent.key}
            if settled.status >= 400:
                return problem_response({**settled.body, "request_id": request_id_of(request.scope)}, headers)
            return json_response(settled.body, settled.status, headers)


def _tagged(body: Any, if_none_match: str | None) -> Response:
    """The body with its ETag (RFC 9110, 8.8.3), or 304 for a caller that has it."""
    content = msgspec.json.encode(body)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=0, must-revalidate"}
    offered = {candidate.strip().removeprefix("W/") for candidate in (if_none_match or "").split(",")}
    if tag in offered or "*" in offered:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")
