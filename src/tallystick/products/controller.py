"""`ProductController`: the catalogue's routes. Reads are public and bear an ETag."""

import hashlib
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.platform.http import problems
from tallystick.products.models import PriceRow
from tallystick.products.schemas import PriceList, ProductPage, ProductView
from tallystick.products.service import ProductService
from tallystick.products.views import price_view, product_view

__all__ = ["ProductController"]

ProductId = Annotated[str, Path(alias="id", max_length=255, description="ours or Stripe's")]
Cursor = Annotated[str | None, Query(max_length=255, description="a product's id, ours or Stripe's; exclusive")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=500)]
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "What the caller has is what there is"}}


class ProductController:
    """Routes under `/api/products`."""

    def __init__(self, service: ProductService) -> None:
        self._service = service
        self.router = APIRouter(prefix="/api/products", tags=["products"])
        get = self.router.get

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


def _tagged(body: Any, if_none_match: str | None) -> Response:
    """The body with its ETag (RFC 9110, 8.8.3), or 304 for a caller that has it."""
    content = msgspec.json.encode(body)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=0, must-revalidate"}
    offered = {candidate.strip().removeprefix("W/") for candidate in (if_none_match or "").split(",")}
    if tag in offered or "*" in offered:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")
