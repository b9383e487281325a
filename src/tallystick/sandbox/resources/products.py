"""Products: create, change, archive, delete, search."""

from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, Fields, array_of, boolean, enum, string, unsettable
from tallystick.sandbox.resources import common, price_fields, prices, product_objects
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "ROUTES"]

EXPANDABLE = frozenset({"default_price"})

_CREATE: Fields = {**product_objects.FIELDS, "default_price_data": price_fields.DEFAULT_PRICE_DATA, "id": string()}
_UPDATE: Fields = {
    **{key: check for key, check in product_objects.FIELDS.items() if key != "type"},
    "default_price": unsettable(string()),
}
_LIST: Fields = {
    **LIST_FIELDS,
    "active": boolean,
    "ids": array_of(string()),
    "shippable": boolean,
    "type": enum("good", "service"),
    "url": string(),
}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/products`, with `default_price_data` also its first price."""
    product = product_objects.make(ctx, params)
    data = params.get("default_price_data")
    if data is not None:
        price = prices.make(ctx, data, product, prefix="default_price_data")
        product["default_price"] = price["id"]
        ctx.save_updated("product.updated", product)
    return product


def retrieve(ctx: Context, _params: Json, product_id: str) -> Json:
    """`GET /v1/products/{id}`; a deleted product is 404."""
    return ctx.require("product", product_id, param="id")


def update(ctx: Context, params: Json, product_id: str) -> Json:
    """`POST /v1/products/{id}`."""
    product = ctx.require("product", product_id, param="id")
    if "default_price" in params:
        product["default_price"] = _default_price(ctx, product, params["default_price"])
    product_objects.apply(ctx, product, params)
    if product != ctx.store.stored(product_id):
        product["updated"] = ctx.now
    ctx.save_updated("product.updated", product)
    return product


def delete(ctx: Context, _params: Json, product_id: str) -> Json:
    """`DELETE /v1/products/{id}`: only of a product without prices."""
    product = ctx.require("product", product_id, param="id")
    if ctx.store.find("price", "product", product_id):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.", param="id")
    ctx.emit("product.deleted", product)
    return common.delete(ctx, product)


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/products`; ids that are not there are left out."""
    extra: list[tuple[str, list[Any]]] = []
    if params.get("ids"):
        extra.append((f"o.id IN ({', '.join('?' * len(params['ids']))})", params["ids"]))
    filters = {key: common.flag(params.get(key)) for key in ("active", "shippable")}
    filters |= {key: params.get(key) for key in ("type", "url")}
    return page(ctx, "product", "/v1/products", params, filters, extra=extra)


def search_products(ctx: Context, params: Json) -> Json:
    """`GET /v1/products/search`."""
    return search(ctx, "product", "/v1/products/search", params)


def _default_price(ctx: Context, product: Json, price_id: str | None) -> str | None:
    if price_id is None:
        return None
    price = ctx.require("price", price_id, param="default_price", status=400)
    if price["product"] != product["id"]:
        raise invalid(
            f"The price `{price_id}` does not belong to the product `{product['id']}`.", param="default_price"
        )
    if not price["active"]:
        raise invalid("The default price of a product must be active.", param="default_price")
    return price_id


ROUTES = (
    Route("POST", "products", create, _CREATE, ("name",)),
    Route("GET", "products", list_all, _LIST),
    Route("GET", "products/search", search_products, SEARCH_FIELDS),
    Route("GET", "products/*", retrieve, common.EXPAND),
    Route("POST", "products/*", update, _UPDATE),
    Route("DELETE", "products/*", delete),
)
