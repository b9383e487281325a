"""Prices: what may be asked for a product; `price_amounts` does the arithmetic."""

from decimal import Decimal
from typing import Any

from tallystick.core.currencies import MAX_AMOUNT
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.lists import page
from tallystick.sandbox.resources import common, price_amounts, product_objects
from tallystick.sandbox.resources import price_fields as fields
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json, encode

__all__ = ["EXPANDABLE", "INCLUDES", "ROUTES", "from_data", "make"]

EXPANDABLE = frozenset({"product"})

_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}
_AMOUNTS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount")


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/prices`."""
    if "currency" not in params:
        raise missing_param("currency")
    return make(ctx, params, _product(ctx, params, ""))


def from_data(ctx: Context, data: Json, *, param: str) -> Json:
    """A price for one use, made of the `price_data` of an item at `param`: it is stored but not active."""
    product = _product(ctx, data, param)
    return make(ctx, {**data, "active": False}, product, prefix=param)


def make(ctx: Context, params: Json, product: Json, *, prefix: str = "") -> Json:
    """A new price of `product`, stored, with its event. `prefix` is where the parameters stand in the request."""
    _check(params, prefix)
    if "lookup_key" in params:
        _claim_lookup_key(ctx, params)
    recurring = params.get("recurring")
    tiered = params.get("billing_scheme") == "tiered"
    price: Json = {
        "id": ctx.ids.long("price_"),
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": params.get("billing_scheme", "per_unit"),
        "created": ctx.now,
        "currency": params["currency"],
        "custom_unit_amount": _custom(params),
        "livemode": False,
        "lookup_key": params.get("lookup_key"),
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product["id"],
        "recurring": {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": recurring.get("meter"),
            "trial_period_days": recurring.get("trial_period_days"),
            "usage_type": recurring.get("usage_type", "licensed"),
        } if recurring else None,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode"),
        "transform_quantity": params.get("transform_quantity"),
        "type": "recurring" if recurring else "one_time",
        **_amounts(params),
    }  # fmt: skip
    if tiered:
        _note(ctx, price, "tiers", _tiers(params["tiers"], _path(prefix, "tiers")))
    _set_options(ctx, price, params)
    ctx.save(price)
    ctx.emit("price.created", price)
    return price


def retrieve(ctx: Context, _params: Json, price_id: str) -> Json:
    """`GET /v1/prices/{id}`."""
    return ctx.require("price", price_id, param="price")


def update(ctx: Context, params: Json, price_id: str) -> Json:
    """`POST /v1/prices/{id}`: name tags, `active`, further currencies; never the amount."""
    price = ctx.require("price", price_id, param="price")
    if params.get("active") is False and price["active"]:
        product = ctx.find("product", price["product"])
        if product is not None and product["default_price"] == price_id:
            raise invalid("This price cannot be archived because it is the default price of its product.")
    behavior = params.get("tax_behavior")
    if behavior and price["tax_behavior"] not in ("unspecified", behavior):
        raise invalid("You cannot change `tax_behavior` once it is set to exclusive or inclusive.")
    if "lookup_key" in params and params["lookup_key"] != price["lookup_key"]:
        _claim_lookup_key(ctx, params)
    for key in ("active", "lookup_key", "nickname", "tax_behavior"):
        if key in params:
            price[key] = params[key]
    price["metadata"] = common.merge_metadata(price["metadata"], params.get("metadata"))
    _set_options(ctx, price, params)
    ctx.save_updated("price.updated", price)
    return price


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/prices`."""
    extra: list[tuple[str, list[Any]]] = []
    keys = params.get("lookup_keys")
    if keys:
        marks = ", ".join("?" * len(keys))
        where = f"SELECT seq FROM refs WHERE object = 'price' AND field = 'lookup_key' AND value IN ({marks})"
        extra.append((f"o.seq IN ({where})", keys))
    filters = {key: params.get(key) for key in ("product", "currency", "type")}
    filters["active"] = common.flag(params.get("active"))
    filters |= {f"recurring.{key}": value for key, value in params.get("recurring", {}).items()}
    return page(ctx, "price", "/v1/prices", params, filters, extra=extra)


def search_prices(ctx: Context, params: Json) -> Json:
    """`GET /v1/prices/search`."""
    return search(ctx, "price", "/v1/prices/search", params)


def _path(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def _product(ctx: Context, params: Json, prefix: str) -> Json:
    if ("product" in params) == ("product_data" in params):
        how = "not both" if "product" in params else "when creating a price"
        raise invalid(f"You must specify either `product` or `product_data` {how}.")
    if "product" in params:
        return ctx.require("product", params["product"], param=_path(prefix, "product"), status=400)
    return product_objects.make(ctx, params["product_data"])


def _check(params: Json, prefix: str) -> None:
    tiered = params.get("billing_scheme") == "tiered"
    given = [name for name in _AMOUNTS if name in params]
    if tiered and given:
        raise invalid(f"`{given[0]}` cannot be set when `billing_scheme` is `tiered`.", param=_path(prefix, given[0]))
    if tiered and not (params.get("tiers") and params.get("tiers_mode")):
        missing = "tiers" if not params.get("tiers") else "tiers_mode"
        raise missing_param(_path(prefix, missing))
    if tiered and params.get("transform_quantity"):
        raise invalid("`transform_quantity` cannot be combined with `tiers`.", param=_path(prefix, "tiers"))
    if not tiered and ("tiers" in params or "tiers_mode" in params):
        raise invalid("`billing_scheme` must be `tiered` when `tiers` are set.", param=_path(prefix, "billing_scheme"))
    if not tiered and not given:
        raise invalid("Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.")
    if len(given) > 1:
        raise invalid("You may only specify one of these parameters: " + ", ".join(given) + ".")
    if params.get("unit_amount", 0) > MAX_AMOUNT:
        raise invalid(
            f"Invalid integer: must be no more than {MAX_AMOUNT}",
            code="parameter_invalid_integer", param=_path(prefix, "unit_amount"),
        )  # fmt: skip
    _check_interval(params.get("recurring"), prefix)
    if "custom_unit_amount" in params and params.get("recurring"):
        raise invalid("`custom_unit_amount` cannot be used with `recurring`.", param=_path(prefix, "recurring"))


def _check_interval(recurring: Json | None, prefix: str) -> None:
    if not recurring:
        return
    if recurring.get("interval_count", 1) > _LONGEST[recurring["interval"]]:
        raise invalid(
            "Invalid interval_count: the maximum billing interval is three years (3 years, 36 months, or 156 weeks).",
            param=_path(prefix, "recurring") + "[interval_count]",
        )


def _claim_lookup_key(ctx: Context, params: Json) -> None:
    """Free the key, if `transfer_lookup_key` says so; else 400 when another price has it."""
    for other in ctx.store.find("price", "lookup_key", params["lookup_key"]):
        if not params.get("transfer_lookup_key"):
            raise invalid(f"A price (`{other['id']}`) already uses that lookup key.", param="lookup_key")
        other["lookup_key"] = None
        ctx.save_updated("price.updated", other)


def _amounts(terms: Json) -> Json:
    """`unit_amount` only where it is whole, `unit_amount_decimal` always."""
    if "unit_amount" in terms:
        return {"unit_amount": terms["unit_amount"], "unit_amount_decimal": str(terms["unit_amount"])}
    text = terms.get("unit_amount_decimal")
    return {
        "unit_amount": int(text) if text is not None and text.isdigit() else None,
        "unit_amount_decimal": text,
    }


def _custom(terms: Json) -> Json | None:
    given = terms.get("custom_unit_amount")
    if not given or not given["enabled"]:
        return None
    return {key: given.get(key) for key in ("maximum", "minimum", "preset")}


def _tiers(given: list[Json], path: str) -> list[Json]:
    tops: list[int] = [tier["up_to"] for tier in given if tier.get("up_to") is not None]
    if given[-1].get("up_to") is not None or len(tops) != len(given) - 1:
        raise invalid("The last tier, and only the last, must have `up_to` set to `inf`.", param=path)
    if tops != sorted(set(tops)):
        raise invalid("The tiers must be in ascending order of `up_to`.", param=path)
    printed = []
    for tier in given:
        flat = tier.get("flat_amount_decimal", str(tier["flat_amount"]) if "flat_amount" in tier else None)
        amounts = _amounts(tier)
        if flat is None and amounts["unit_amount_decimal"] is None:
            raise invalid("Each tier needs a `unit_amount` or a `flat_amount`.", param=path)
        printed.append(
            {
                "flat_amount": int(Decimal(flat)) if flat is not None and flat.isdigit() else None,
                "flat_amount_decimal": flat,
                **amounts,
                "up_to": tier.get("up_to"),
            }
        )
    return printed


def _set_options(ctx: Context, price: Json, params: Json) -> None:
    if "currency_options" not in params:
        return
    given = params["currency_options"] or {}
    known = {} if params["currency_options"] is None else price_amounts.currency_options(ctx, price)
    known.pop(price["currency"], None)
    for code, terms in given.items():
        if code == price["currency"]:
            continue
        entry: Json = {
            "custom_unit_amount": _custom(terms),
            "tax_behavior": terms.get("tax_behavior", "unspecified"),
            **_amounts(terms),
        }
        if price["billing_scheme"] == "tiered":
            entry["tiers"] = _tiers(terms.get("tiers") or [{}], f"currency_options[{code}][tiers]")
        known[code] = entry
    _note(ctx, price, "currency_options", known)


def _note(ctx: Context, price: Json, name: str, value: Any) -> None:
    # Left out of the price as it is printed, like all that has to be expanded.
    ctx.store.set_note(price["id"], name, encode(value).decode())


def _printed_tiers(ctx: Context, price: Json) -> Any:
    return price_amounts.tiers(ctx, price) if price["billing_scheme"] == "tiered" else None


INCLUDES = {("price", "currency_options"): price_amounts.currency_options, ("price", "tiers"): _printed_tiers}

ROUTES = (
    Route("POST", "prices", create, fields.CREATE),
    Route("GET", "prices", list_all, fields.LIST),
    Route("GET", "prices/search", search_prices, SEARCH_FIELDS),
    Route("GET", "prices/*", retrieve, common.EXPAND),
    Route("POST", "prices/*", update, fields.UPDATE),
)
