"""Coupons: how much is taken off and for how long; `discounts` applies them."""

from decimal import Decimal, InvalidOperation
from typing import Any

from tallystick.core.currencies import CURRENCIES
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    array_of,
    currency,
    enum,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, decode, encode

__all__ = [
    "INCLUDES", "JOBS", "ROUTES", "amount_off", "applies_to", "count_redemption", "is_valid", "products",
    "reduction", "refuse_invalid",
]  # fmt: skip


def _percent(value: Any, path: str) -> int | float:
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError):
        raise invalid(f"Invalid decimal: {value}", code="parameter_invalid_decimal", param=path) from None
    if not 0 < number <= 100:
        raise invalid("Invalid percent_off: must be greater than 0 and at most 100.", param=path)
    # As JSON prints it; the arithmetic takes the decimal text of it, never the float.
    return int(number) if number == int(number) else float(number)


def _options(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise invalid("Invalid object", param=path)
    for code in value:
        if code not in CURRENCIES:
            currency(code, f"{path}[{code}]")
    check = hash_of({"amount_off": integer(1)}, required=("amount_off",))
    return {code: check(item, f"{path}[{code}]") for code, item in value.items()}


_CREATE: Fields = {
    "amount_off": integer(1),
    "applies_to": hash_of({"products": array_of(string())}),
    "currency": currency,
    "currency_options": _options,
    "duration": enum("forever", "once", "repeating"),
    "duration_in_months": integer(1),
    "id": string(500),
    "max_redemptions": integer(1),
    "metadata": metadata,
    "name": unsettable(string(40)),
    "percent_off": _percent,
    "redeem_by": integer(1),
    **common.EXPAND,
}
_UPDATE: Fields = {key: _CREATE[key] for key in ("currency_options", "expand", "metadata", "name")}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/coupons`."""
    duration = params.get("duration", "once")
    _check(ctx, params, duration)
    coupon_id = params.get("id") or ctx.ids.characters(8)
    taken = ctx.store.get(coupon_id)
    if taken is not None and not (taken["object"] == "coupon" and taken.get("deleted")):
        raise invalid("Coupon already exists.", code="resource_already_exists", param="id")
    coupon: Json = taken if taken is not None else {}
    coupon.clear()
    coupon |= {
        "id": coupon_id,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": ctx.now,
        "currency": params.get("currency") if "amount_off" in params else None,
        "duration": duration,
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": params.get("percent_off"),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    products = params.get("applies_to", {}).get("products", [])
    for index, product in enumerate(products):
        ctx.require("product", product, param=f"applies_to[products][{index}]", status=400)
    _note(ctx, coupon, "applies_to", {"products": products} if products else None)
    _note(ctx, coupon, "currency_options", params.get("currency_options") or None)
    ctx.save(coupon)
    ctx.emit("coupon.created", coupon)
    if coupon["redeem_by"] is not None:
        ctx.at(coupon["redeem_by"], "coupon_lapse", coupon_id)
    return coupon


def retrieve(ctx: Context, _params: Json, coupon_id: str) -> Json:
    """`GET /v1/coupons/{id}`."""
    return ctx.require("coupon", coupon_id, param="coupon")


def update(ctx: Context, params: Json, coupon_id: str) -> Json:
    """`POST /v1/coupons/{id}`: its name and metadata only."""
    coupon = ctx.require("coupon", coupon_id, param="coupon")
    if "name" in params:
        coupon["name"] = params["name"]
    if params.get("currency_options"):
        known = decode(ctx.store.note(coupon_id, "currency_options") or "null") or {}
        _note(ctx, coupon, "currency_options", known | params["currency_options"])
    coupon["metadata"] = common.merge_metadata(coupon["metadata"], params.get("metadata"))
    ctx.save_updated("coupon.updated", coupon)
    return coupon


def delete(ctx: Context, _params: Json, coupon_id: str) -> Json:
    """`DELETE /v1/coupons/{id}`: no new uses; discounts that exist go on."""
    coupon = ctx.require("coupon", coupon_id, param="coupon")
    ctx.emit("coupon.deleted", coupon)
    return common.delete(ctx, coupon)


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/coupons`."""
    return page(ctx, "coupon", "/v1/coupons", params)


def is_valid(ctx: Context, coupon: Json) -> bool:
    """Whether it can still be redeemed."""
    spent = coupon["max_redemptions"] is not None and coupon["times_redeemed"] >= coupon["max_redemptions"]
    late = coupon["redeem_by"] is not None and coupon["redeem_by"] <= ctx.now
    return not coupon.get("deleted") and not spent and not late


def refuse_invalid(ctx: Context, coupon: Json, *, param: str) -> None:
    """400 `coupon_expired` for one that is used up or past its date."""
    if not is_valid(ctx, coupon):
        raise invalid(f"Coupon expired: {coupon['id']}", code="coupon_expired", param=param)


def count_redemption(ctx: Context, coupon: Json) -> None:
    """One more customer has it."""
    coupon["times_redeemed"] += 1
    coupon["valid"] = is_valid(ctx, coupon)
    ctx.save_updated("coupon.updated", coupon)


def products(ctx: Context, coupon: Json) -> list[str] | None:
    """The only products that it takes anything off; None for all."""
    limit: Json | None = _printed(ctx, coupon, "applies_to")
    return limit["products"] if limit else None


def applies_to(ctx: Context, coupon: Json, product_id: str | None) -> bool:
    """Whether it takes anything off this product."""
    limit = products(ctx, coupon)
    return limit is None or product_id in limit


def reduction(ctx: Context, coupon: Json, amount: int, currency_code: str) -> int:
    """What a coupon with an amount takes off `amount`: never more than that."""
    return min(amount, amount_off(ctx, coupon, currency_code))


def amount_off(ctx: Context, coupon: Json, currency_code: str) -> int:
    """What it takes off in a currency; 0 in one that the coupon has not."""
    other = (_printed(ctx, coupon, "currency_options") or {}).get(currency_code)
    off: int = other["amount_off"] if other else coupon["amount_off"] if coupon["currency"] == currency_code else 0
    return off


def _check(ctx: Context, params: Json, duration: str) -> None:
    if "percent_off" in params and "amount_off" in params:
        raise invalid("Received both percent_off and amount_off parameters. Please pass in only one.")
    if "percent_off" not in params and "amount_off" not in params:
        raise missing_param("percent_off")
    if "amount_off" in params and "currency" not in params:
        raise missing_param("currency")
    if (duration == "repeating") != ("duration_in_months" in params):
        if duration == "repeating":
            raise missing_param("duration_in_months")
        raise invalid("`duration_in_months` can only be set when `duration` is `repeating`.", param="duration")
    if "amount_off" in params and duration == "forever" and not ctx.behaviour.amount_off_forever:
        raise invalid("Coupons with `amount_off` cannot have a `duration` of `forever`.", param="duration")
    if params.get("redeem_by", ctx.now + 1) <= ctx.now:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", param="redeem_by")


def _lapse(ctx: Context, coupon_id: str, _data: Json) -> None:
    coupon = ctx.find("coupon", coupon_id)
    if coupon is not None:
        coupon["valid"] = False
        ctx.save_updated("coupon.updated", coupon)


def _note(ctx: Context, coupon: Json, name: str, value: Json | None) -> None:
    ctx.store.set_note(coupon["id"], name, encode(value).decode())


def _printed(ctx: Context, coupon: Json, name: str) -> Any:
    return decode(ctx.store.note(coupon["id"], name) or "null")


INCLUDES = {
    ("coupon", "applies_to"): lambda ctx, coupon: _printed(ctx, coupon, "applies_to"),
    ("coupon", "currency_options"): lambda ctx, coupon: _printed(ctx, coupon, "currency_options"),
}
JOBS = {"coupon_lapse": _lapse}

ROUTES = (
    Route("POST", "coupons", create, _CREATE),
    Route("GET", "coupons", list_all, LIST_FIELDS),
    Route("GET", "coupons/*", retrieve, common.EXPAND),
    Route("POST", "coupons/*", update, _UPDATE),
    Route("DELETE", "coupons/*", delete),
)
