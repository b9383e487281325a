"""The product itself: what creating one prints, shared by products and by `product_data` of prices."""

from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, unknown_param
from tallystick.sandbox.params import Fields, anything, array_of, boolean, enum, hash_of, metadata, string, unsettable
from tallystick.sandbox.resources import common
from tallystick.sandbox.shapes import Json

__all__ = ["FIELDS", "PRODUCT_DATA", "apply", "make"]


def _at_most(number: int, check: Any) -> Any:
    many = array_of(check)

    def checked(value: Any, path: str) -> list[Any]:
        items: list[Any] = many(value, path)
        if len(items) > number:
            raise invalid(f"Array must have at most {number} elements", param=path)
        return items

    return checked


def _size(value: Any, path: str) -> float | int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise invalid(f"Invalid decimal: {value}", param=path) from None
    return int(number) if number.is_integer() else number


_FEATURES = _at_most(15, hash_of({"name": string()}, required=("name",)))
_TAX_DETAILS = unsettable(hash_of({"performance_location": string(), "tax_code": unsettable(string())}))
_PACKAGE = hash_of(
    dict.fromkeys(("height", "length", "weight", "width"), _size), required=("height", "length", "weight", "width")
)
FIELDS: Fields = {
    "active": boolean,
    "description": unsettable(string(40000)),
    "features": _FEATURES,
    "images": _at_most(8, string()),
    "marketing_features": _FEATURES,
    "metadata": metadata,
    "name": string(),
    "package_dimensions": unsettable(_PACKAGE),
    "shippable": boolean,
    "statement_descriptor": string(22),
    "tax_code": unsettable(string()),
    "tax_details": _TAX_DETAILS,
    "type": enum("good", "service"),
    "unit_label": unsettable(string(12)),
    "url": unsettable(string()),
    **common.EXPAND,
}
PRODUCT_DATA = hash_of(
    {
        "active": boolean,
        "description": string(40000),
        "id": string(),
        "images": _at_most(8, string()),
        "metadata": metadata,
        "name": string(),
        "statement_descriptor": string(22),
        "tax_code": string(),
        "tax_details": anything,
        "unit_label": string(12),
    },
    required=("name",),
)
"""`product_data` of a price and of a line item."""

_PLAIN = (
    "active", "description", "images", "name", "package_dimensions", "shippable", "statement_descriptor",
    "tax_code", "unit_label", "url",
)  # fmt: skip


def make(ctx: Context, params: Json) -> Json:
    """A new product, stored, with its event. Raises 400 when the chosen id is taken."""
    product_id = params.get("id") or ctx.ids.short("prod_")
    taken = ctx.store.get(product_id)
    if taken is not None and not (taken["object"] == "product" and taken.get("deleted")):
        raise invalid("Product already exists.", code="resource_already_exists", param="id")
    # A deleted product's id can be chosen again: its stub becomes the new product.
    product: Json = taken if taken is not None else {}
    product.clear()
    product |= {
        "id": product_id,
        "object": "product",
        "active": True,
        "attributes": [],
        "created": ctx.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": params.get("type", "service"),
        "unit_label": None,
        "updated": ctx.now,
        "url": None,
    }
    apply(ctx, product, params)
    ctx.save(product)
    ctx.emit("product.created", product)
    return product


def apply(ctx: Context, product: Json, params: Json) -> None:
    """What a create and an update have in common."""
    renamed = {"features", "marketing_features"} - {ctx.behaviour.marketing_features}
    for name in renamed & params.keys():
        raise unknown_param(name)
    for key in _PLAIN:
        if key in params:
            product[key] = params[key]
    if ctx.behaviour.marketing_features in params:
        product["marketing_features"] = params[ctx.behaviour.marketing_features]
    if "tax_details" in params:
        given = params["tax_details"]
        product["tax_details"] = given and {"performance_location": None, "tax_code": None, **given}
    product["metadata"] = common.merge_metadata(product["metadata"], params.get("metadata"))
