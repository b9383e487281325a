"""Promotion codes: what customers type in to get a coupon."""

import re
from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param, no_such, unknown_param
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    boolean,
    currency,
    enum,
    hash_of,
    integer,
    metadata,
    string,
)
from tallystick.sandbox.resources import common, coupons
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "JOBS", "ROUTES", "by_code", "count_redemption", "refuse"]

EXPANDABLE = frozenset({"coupon", "customer", "promotion.coupon"})

_CODE = re.compile(r"[A-Za-z0-9-]{1,500}\Z")


def _code(value: Any, path: str) -> str:
    text: str = string(500)(value, path)
    if not _CODE.match(text):
        raise invalid("Promotion codes may only contain letters, digits and dashes.", param=path)
    return text


_RESTRICTIONS = hash_of(
    {
        "currency_options": anything,
        "first_time_transaction": boolean,
        "minimum_amount": integer(1),
        "minimum_amount_currency": currency,
    }
)
_CREATE: Fields = {
    "active": boolean,
    "code": _code,
    "coupon": string(),
    "customer": string(),
    "expires_at": integer(1),
    "max_redemptions": integer(1),
    "metadata": metadata,
    "promotion": hash_of({"coupon": string(), "type": enum("coupon")}, required=("type",)),
    "restrictions": _RESTRICTIONS,
    **common.EXPAND,
}
_UPDATE: Fields = {
    "active": boolean,
    "metadata": metadata,
    "restrictions": hash_of({"currency_options": anything}),
    **common.EXPAND,
}
_LIST: Fields = {
    **LIST_FIELDS,
    "active": boolean,
    "code": string(),
    "coupon": string(),
    "customer": string(),
}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/promotion_codes`."""
    coupon = _coupon(ctx, params)
    customer = params.get("customer")
    if customer is not None:
        ctx.require("customer", customer, param="customer", status=400)
    code = params.get("code") or ctx.ids.characters(8).upper()
    active = params.get("active", True)
    if active:
        _refuse_twin(ctx, code, customer)
    _check_limits(ctx, params, coupon)
    given = params.get("restrictions", {})
    restrictions: Json = {
        "first_time_transaction": given.get("first_time_transaction", False),
        "minimum_amount": given.get("minimum_amount"),
        "minimum_amount_currency": given.get("minimum_amount_currency"),
    }
    if given.get("minimum_amount") is not None and given.get("minimum_amount_currency") is None:
        raise missing_param("restrictions[minimum_amount_currency]")
    promotion_code: Json = {
        "id": ctx.ids.long("promo_"),
        "object": "promotion_code",
        "active": active,
        "code": code,
        "created": ctx.now,
        "customer": customer,
        "customer_account": None,
        "expires_at": params.get("expires_at", coupon["redeem_by"]),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": restrictions,
        "times_redeemed": 0,
    }
    ctx.save(promotion_code)
    ctx.emit("promotion_code.created", promotion_code)
    if promotion_code["expires_at"] is not None:
        ctx.at(promotion_code["expires_at"], "promotion_code_lapse", promotion_code["id"])
    return promotion_code


def retrieve(ctx: Context, _params: Json, promotion_code_id: str) -> Json:
    """`GET /v1/promotion_codes/{id}`."""
    return ctx.require("promotion_code", promotion_code_id, param="promotion_code")


def update(ctx: Context, params: Json, promotion_code_id: str) -> Json:
    """`POST /v1/promotion_codes/{id}`: switch it on or off."""
    promotion_code = ctx.require("promotion_code", promotion_code_id, param="promotion_code")
    if params.get("active") and not promotion_code["active"]:
        if _spent(ctx, promotion_code) or not coupons.is_valid(ctx, _coupon_of(ctx, promotion_code)):
            raise invalid("This promotion code cannot be activated because it or its coupon has expired.")
        _refuse_twin(ctx, promotion_code["code"], promotion_code["customer"])
    if "active" in params:
        promotion_code["active"] = params["active"]
    promotion_code["metadata"] = common.merge_metadata(promotion_code["metadata"], params.get("metadata"))
    ctx.save_updated("promotion_code.updated", promotion_code)
    return promotion_code


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/promotion_codes`; `code` in any case."""
    extra: list[tuple[str, list[Any]]] = []
    if "code" in params:
        where = "SELECT seq FROM refs WHERE object = 'promotion_code' AND field = 'code' AND value = ? COLLATE NOCASE"
        extra.append((f"o.seq IN ({where})", [params["code"]]))
    filters = {
        "active": common.flag(params.get("active")),
        "customer": params.get("customer"),
        "promotion.coupon": params.get("coupon"),
    }
    return page(ctx, "promotion_code", "/v1/promotion_codes", params, filters, extra=extra)


def by_code(ctx: Context, code: str, customer: str | None) -> Json | None:
    """The active code that a customer typed; one for this customer wins."""
    found = [item for item in _same_text(ctx, code) if item["active"] and item["customer"] in (None, customer)]
    return max(found, key=lambda item: item["customer"] is not None, default=None)


def refuse(
    ctx: Context,
    promotion_code: Json,
    *,
    customer: str | None,
    param: str,
    amount: int | None = None,
    currency_code: str | None = None,
) -> None:
    """400 unless the code can be redeemed by this customer for this amount (None: not known yet)."""
    shown = promotion_code["code"]
    coupon = _coupon_of(ctx, promotion_code)
    if _spent(ctx, promotion_code) or not coupons.is_valid(ctx, coupon):
        raise invalid(f"The promotion code {shown} has expired.", code="coupon_expired", param=param)
    if not promotion_code["active"]:
        raise invalid(f"The promotion code {shown} is inactive.", param=param)
    if promotion_code["customer"] not in (None, customer):
        raise invalid(f"The promotion code {shown} belongs to another customer.", param=param)
    limits = promotion_code["restrictions"]
    if limits["first_time_transaction"] and customer is not None and _has_paid(ctx, customer):
        raise invalid(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            param=param,
        )
    least = limits["minimum_amount"]
    if least is None or amount is None:
        return
    if currency_code != limits["minimum_amount_currency"] or amount < least:
        raise invalid(
            "This promotion code cannot be redeemed because the minimum amount for it is not reached.", param=param
        )


def count_redemption(ctx: Context, promotion_code: Json) -> None:
    """It was used once more; at its limit it is active no longer."""
    promotion_code["times_redeemed"] += 1
    promotion_code["active"] = promotion_code["active"] and not _spent(ctx, promotion_code)
    ctx.save_updated("promotion_code.updated", promotion_code)


def _coupon(ctx: Context, params: Json) -> Json:
    if ctx.behaviour.promotion_param:
        name, other = "promotion", "coupon"
        coupon_id, param = params.get("promotion", {}).get("coupon"), "promotion[coupon]"
    else:
        name, other = "coupon", "promotion"
        coupon_id, param = params.get("coupon"), "coupon"
    if other in params:
        raise unknown_param(other)
    if name not in params or coupon_id is None:
        raise missing_param(name if name not in params else param)
    coupon = ctx.find("coupon", coupon_id)
    if coupon is None:
        raise no_such("coupon", coupon_id, param=param, status=400)
    coupons.refuse_invalid(ctx, coupon, param=param)
    return coupon


def _coupon_of(ctx: Context, promotion_code: Json) -> Json:
    found = ctx.store.get(promotion_code["promotion"]["coupon"])
    if found is None or found.get("deleted"):
        return {"deleted": True, "max_redemptions": None, "redeem_by": None, "times_redeemed": 0}
    return found


def _check_limits(ctx: Context, params: Json, coupon: Json) -> None:
    expires = params.get("expires_at")
    if expires is not None and expires <= ctx.now:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", param="expires_at")
    if expires is not None and coupon["redeem_by"] is not None and expires > coupon["redeem_by"]:
        raise invalid("`expires_at` cannot be later than the coupon's `redeem_by`.", param="expires_at")
    most = params.get("max_redemptions")
    if most is not None and coupon["max_redemptions"] is not None and most > coupon["max_redemptions"]:
        raise invalid("`max_redemptions` cannot exceed the coupon's `max_redemptions`.", param="max_redemptions")


def _same_text(ctx: Context, code: str) -> list[Json]:
    return ctx.store.select(
        "SELECT o.seq, o.id, o.body FROM refs r JOIN objects o ON o.seq = r.seq "
        "WHERE r.object = 'promotion_code' AND r.field = 'code' AND r.value = ? COLLATE NOCASE ORDER BY r.seq",
        [code],
    )


def _refuse_twin(ctx: Context, code: str, customer: str | None) -> None:
    if any(item["active"] and item["customer"] == customer for item in _same_text(ctx, code)):
        raise invalid(f"An active promotion code with `code: {code}` already exists.", param="code")


def _spent(ctx: Context, promotion_code: Json) -> bool:
    most, end = promotion_code["max_redemptions"], promotion_code["expires_at"]
    return (most is not None and promotion_code["times_redeemed"] >= most) or (end is not None and end <= ctx.now)


def _has_paid(ctx: Context, customer: str) -> bool:
    # What Checkout is just now turning into a subscription is not a prior transaction.
    current = ctx.store.note(customer, "paid_before")
    charges = ctx.store.find("charge", "customer", customer)
    return any(charge["paid"] and charge["payment_intent"] != current for charge in charges)


def _lapse(ctx: Context, promotion_code_id: str, _data: Json) -> None:
    promotion_code = ctx.find("promotion_code", promotion_code_id)
    if promotion_code is not None:
        promotion_code["active"] = False
        ctx.save_updated("promotion_code.updated", promotion_code)


JOBS = {"promotion_code_lapse": _lapse}

ROUTES = (
    Route("POST", "promotion_codes", create, _CREATE),
    Route("GET", "promotion_codes", list_all, _LIST),
    Route("GET", "promotion_codes/*", retrieve, common.EXPAND),
    Route("POST", "promotion_codes/*", update, _UPDATE),
)
