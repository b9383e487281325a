"""What a Checkout Session sells: its line items, what they cost today, and what codes take off."""

from dataclasses import dataclass
from typing import Any

from tallystick.core.currencies import CURRENCIES
from tallystick.core.money import format_money
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.resources import discounts, price_amounts, prices
from tallystick.sandbox.shapes import Json, decode, encode, list_object

__all__ = ["Line", "build", "price_of", "printed", "stored", "total_up"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was asked for."""

    price: Json
    quantity: int | None
    given: Json
    param: str


def build(ctx: Context, params: Json, session: Json) -> None:
    """Check `line_items` against the mode and keep them; sets the session's currency and totals."""
    lines = [_line(ctx, item, f"line_items[{index}]") for index, item in enumerate(params["line_items"])]
    _check_mode(session["mode"], lines)
    currency = params.get("currency") or lines[0].price["currency"]
    for line in lines:
        if price_amounts.option(ctx, line.price, currency) is None:
            raise invalid(
                f"The price `{line.price['id']}` is not available in the currency `{currency}`: all prices of a "
                "Checkout Session must be in one currency.",
                param=f"{line.param}[price]",
            )
    session["currency"] = currency
    items = [_item(ctx, line, session) for line in lines]
    ctx.store.set_note(session["id"], "line_items", encode(items).decode())


def total_up(ctx: Context, session: Json, coupons: list[Json]) -> None:
    """Set amounts and totals of the session and its lines under these coupons. Raises 400 when too small."""
    items = stored(ctx, session["id"])
    priced = [(item["amount_subtotal"], _product(ctx, item)) for item in items]
    taken = discounts.split(ctx, coupons, priced, session["currency"])
    for item, off in zip(items, taken, strict=True):
        item["amount_discount"] = off
        item["amount_total"] = item["amount_subtotal"] - off
    ctx.store.set_note(session["id"], "line_items", encode(items).decode())
    session["amount_subtotal"] = sum(item["amount_subtotal"] for item in items)
    session["amount_total"] = sum(item["amount_total"] for item in items)
    session["total_details"] = {"amount_discount": sum(taken), "amount_shipping": 0, "amount_tax": 0}
    least = CURRENCIES[session["currency"]].minimum
    if session["mode"] == "payment" and 0 < session["amount_total"] < least:
        raise invalid(
            "The Checkout Session's total amount due must add up to at least "
            f"{format_money(least, session['currency'])} {session['currency']}",
            code="amount_too_small",
        )


def stored(ctx: Context, session_id: str) -> list[Json]:
    """The line items with the ids of their prices."""
    items: list[Json] = decode(ctx.store.note(session_id, "line_items") or "[]")
    return items


def printed(ctx: Context, session: Json, params: Json | None = None) -> Json:
    """The list of line items, oldest first; each with its whole price."""
    items = [{**item, "price": dict(ctx.store.last_form(item["price"]) or {})} for item in stored(ctx, session["id"])]
    params = params or {}
    limit = min(max(params.get("limit", 10 if params else 100), 1), 100)
    start = 0
    if "starting_after" in params:
        known = [item["id"] for item in items]
        if params["starting_after"] not in known:
            raise invalid(
                f"No such line item: '{params['starting_after']}'", code="resource_missing", param="starting_after"
            )
        start = known.index(params["starting_after"]) + 1
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return list_object(url, items[start : start + limit], has_more=len(items) > start + limit)


def price_of(ctx: Context, item: Json) -> Json:
    """The price of a stored line item."""
    return ctx.require("price", item["price"], param="price")


def _product(ctx: Context, item: Json) -> str | None:
    product: str | None = price_of(ctx, item)["product"]
    return product


def _line(ctx: Context, given: Json, param: str) -> Line:
    if ("price" in given) == ("price_data" in given):
        raise invalid("You must specify either `price` or `price_data` for each line item.", param=f"{param}[price]")
    if "price" in given:
        price = ctx.require("price", given["price"], param=f"{param}[price]", status=400)
        if not price["active"]:
            raise invalid(
                "The price specified is inactive. This field only accepts active prices.", param=f"{param}[price]"
            )
    else:
        price = prices.from_data(ctx, given["price_data"], param=f"{param}[price_data]")
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    if "quantity" not in given and not metered and not given.get("adjustable_quantity"):
        raise missing_param(f"{param}[quantity]")
    return Line(price, None if metered else given.get("quantity", 1), given, param)


def _check_mode(mode: str, lines: list[Line]) -> None:
    recurring = [line for line in lines if line.price["type"] == "recurring"]
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or "
            "use only one-time prices.",
            param=f"{recurring[0].param}[price]",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices.",
            param="line_items",
        )
    cycles = {(line.price["recurring"]["interval"], line.price["recurring"]["interval_count"]) for line in recurring}
    if len(cycles) > 1:
        raise invalid("Checkout does not support multiple prices with different billing intervals.")
    most = {"payment": (100, 0), "subscription": (20, 20)}[mode]
    if len(lines) - len(recurring) > most[0] or len(recurring) > most[1]:
        raise invalid(f"A Checkout Session in `{mode}` mode cannot have so many line items.", param="line_items")


def _item(ctx: Context, line: Line, session: Json) -> Json:
    price = line.price
    adjustable = line.given.get("adjustable_quantity")
    product = ctx.store.last_form(price["product"]) or {}
    return {
        "id": ctx.ids.long("li_"),
        "object": "item",
        "adjustable_quantity": {
            "enabled": adjustable["enabled"],
            "maximum": adjustable.get("maximum", 99) if adjustable["enabled"] else None,
            "minimum": adjustable.get("minimum", 0) if adjustable["enabled"] else None,
        } if adjustable else None,
        "amount_discount": 0,
        "amount_subtotal": _amount(ctx, line, session),
        "amount_tax": 0,
        "amount_total": 0,
        "currency": session["currency"],
        "description": price["nickname"] or product.get("name"),
        "metadata": {key: text for key, text in line.given.get("metadata", {}).items() if text is not None},
        "price": price["id"],
        "quantity": line.quantity,
    }  # fmt: skip


def _amount(ctx: Context, line: Line, session: Json) -> int:
    """Due today: nothing for a metered price, and nothing recurring during a trial."""
    price: Any = line.price
    trial = decode(ctx.store.note(session["id"], "subscription_data") or "{}")
    on_trial = price["type"] == "recurring" and ("trial_period_days" in trial or "trial_end" in trial)
    if line.quantity is None or on_trial:
        return 0
    custom = price["custom_unit_amount"]
    if custom is not None:
        chosen: int = custom["preset"] or custom["minimum"] or 0
        return chosen * line.quantity
    return price_amounts.amount_of(ctx, price, line.quantity, session["currency"])
