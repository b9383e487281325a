"""The subscription object and its items: prices, quantities, periods, discounts."""

from tallystick.sandbox.billing.calendar import Cycle, Period
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.resources import common, discounts, price_amounts, prices
from tallystick.sandbox.shapes import Json, list_object

__all__ = [
    "apply_discounts", "cycle", "item_from", "mirror_single", "new", "period_at", "plan_of", "put_items", "set_price",
    "set_quantity",
]  # fmt: skip


def new(ctx: Context, customer: Json, params: Json) -> Json:
    """A subscription without items; nothing is stored."""
    mode = params.get("billing_mode", {"type": ctx.behaviour.billing_mode})
    flexible = mode["type"] == "flexible"
    options = (mode.get("flexible") or {}).get("proration_discounts", "included")
    behavior = (params.get("trial_settings") or {}).get("end_behavior") or {}
    return {
        **_CONSTANT,
        "id": ctx.ids.long("sub_"),
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": ctx.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {
            "flexible": {"proration_discounts": options} if flexible else None,
            "type": mode["type"],
            **({"updated_at": ctx.now} if flexible else {}),
        },
        "billing_schedules": [],
        "cancellation_details": dict.fromkeys(("comment", "feedback", "feedback_option", "reason")),
        "collection_method": params.get("collection_method", "charge_automatically"),
        "created": ctx.now,
        "customer": customer["id"],
        "days_until_due": params.get("days_until_due"),
        "default_tax_rates": [],
        "description": params.get("description"),
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
            "issuer": {"type": "self"},
        },
        "managed_payments": {"enabled": False},
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "payment_settings": {
            "payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off",
            **(params.get("payment_settings") or {}),
        },
        "start_date": ctx.now,
        "test_clock": customer["test_clock"],
        "trial_settings": {
            "end_behavior": {
                "billing_cycle_anchor": behavior.get("billing_cycle_anchor", "now"),
                "missing_payment_method": behavior.get("missing_payment_method", "create_invoice"),
            }
        },
        "_": {},
    }  # fmt: skip


_CONSTANT: Json = {
    "application": None,
    "application_fee_percent": None,
    "billing_thresholds": None,
    "cancel_at": None,
    "cancel_at_period_end": False,
    "canceled_at": None,
    "customer_account": None,
    "default_payment_method": None,
    "default_source": None,
    "ended_at": None,
    "latest_invoice": None,
    "livemode": False,
    "next_pending_invoice_item_invoice": None,
    "on_behalf_of": None,
    "pause_collection": None,
    "pending_invoice_item_interval": None,
    "pending_setup_intent": None,
    "pending_update": None,
    "schedule": None,
    "status": "active",
    "transfer_data": None,
    "trial_end": None,
    "trial_start": None,
}


def item_from(ctx: Context, subscription: Json, entry: Json, *, path: str, code: str | None) -> Json:
    """A new item without a period. Raises 400 for a price that cannot be subscribed to."""
    price = _price(ctx, entry, path=path, code=code)
    item: Json = {
        "id": ctx.ids.short("si_"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": ctx.now,
        "current_period_end": 0,
        "current_period_start": 0,
        "current_trial": None,
        "discounts": [],
        "metadata": common.merge_metadata({}, entry.get("metadata")),
        "subscription": subscription["id"],
        "tax_rates": [],
        "_": {"billed": []},
    }
    set_price(item, price)
    set_quantity(item, entry.get("quantity", 1), path)
    ctx.store.set_note(item["id"], "subscription", subscription["id"])
    return item


def set_price(item: Json, price: Json) -> None:
    """The item's price, and the old plan beside it."""
    item["price"] = price
    item["plan"] = plan_of(price)


def set_quantity(item: Json, quantity: int, path: str = "items") -> None:
    """A metered item has none."""
    if item["price"]["recurring"]["usage_type"] == "metered":
        item.pop("quantity", None)
        return
    if quantity > 10**9:
        raise invalid("Invalid integer: must be no more than 1000000000", param=f"{path}[quantity]")
    item["quantity"] = quantity


def _price(ctx: Context, entry: Json, *, path: str, code: str | None) -> Json:
    given = entry.get("price") or entry.get("plan")
    if given is None:
        if "price_data" not in entry:
            raise invalid("You must specify a `price` or `price_data` for each item.", param=path)
        made = prices.from_data(ctx, entry["price_data"], param=f"{path}[price_data]")
        return _checked(ctx, made, f"{path}[price_data]", code)
    name = f"{path}[price]" if "price" in entry else f"{path}[plan]"
    price = ctx.require("price", given, param=name, status=400)
    # Checkout sells prices that its session has been shown with, also those made of `price_data`.
    if not price["active"] and not entry.get("sold"):
        raise invalid("The price specified is inactive. This field only accepts active prices.", param=name)
    return _checked(ctx, price, name, code)


def _checked(ctx: Context, price: Json, name: str, code: str | None) -> Json:
    if price["type"] != "recurring":
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
            param=name,
        )
    if code is not None and price_amounts.option(ctx, price, code) is None:
        known = ", ".join(f"`{one}`" for one in price_amounts.currency_options(ctx, price))
        raise invalid(
            f"The price specified only supports {known}. This doesn't match the expected currency: `{code}`.",
            param=name,
        )
    return price


def put_items(subscription: Json, items: list[Json]) -> None:
    """The subscription's items, oldest first."""
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    subscription["items"] = list_object(url, items, total_count=len(items))
    mirror_single(subscription)


def mirror_single(subscription: Json) -> None:
    """`plan` and `quantity` at the top, printed while there is one item; and what may not be combined."""
    items = subscription["items"]["data"]
    subscription.pop("plan", None)
    subscription.pop("quantity", None)
    if len(items) == 1:
        subscription["plan"] = items[0]["plan"]
        if "quantity" in items[0]:
            subscription["quantity"] = items[0]["quantity"]
    seen: set[str] = set()
    for item in items:
        if item["price"]["id"] in seen:
            raise invalid(
                "Cannot create a Subscription with multiple Subscription Items with the same Price: "
                f"{item['price']['id']}",
                param="plan",
            )
        seen.add(item["price"]["id"])
    intervals = {(item["plan"]["interval"], item["plan"]["interval_count"]) for item in items}
    if len(intervals) > 1 and subscription["billing_mode"]["type"] == "classic":
        raise invalid(
            "Currency and interval fields must match across all plans on this subscription. Found mismatch in "
            "interval field."
        )


def plan_of(price: Json) -> Json:
    """The legacy plan that is printed beside a price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def cycle(subscription: Json, item: Json) -> Cycle:
    """The periods of an item."""
    config = subscription["billing_cycle_anchor_config"] or {}
    recurring = item["price"]["recurring"]
    return Cycle(
        subscription["billing_cycle_anchor"],
        recurring["interval"],
        recurring["interval_count"],
        config.get("day_of_month"),
    )


def period_at(subscription: Json, item: Json, moment: int) -> Period:
    """The whole period of an item that `moment` lies in."""
    return cycle(subscription, item).period_at(moment)


def apply_discounts(ctx: Context, subscription: Json, params: Json) -> None:
    """`discounts`, or the `coupon` and `promotion_code` of old versions, in place of what there was."""
    entries = params.get("discounts") if "discounts" in params else None
    old = discounts.old_params(ctx, params)
    if "discounts" not in params and old is None:
        return
    wanted = list(entries or ([old] if old else []))
    before = subscription["discounts"]
    kept = [entry["discount"] for entry in wanted if entry.get("discount") in before]
    for discount_id in before:
        discount = ctx.find("discount", discount_id)
        if discount is not None and discount_id not in kept:
            discounts.remove(ctx, discount)
    subscription["discounts"] = []
    for index, entry in enumerate(wanted):
        if entry.get("discount") in kept:
            subscription["discounts"].append(entry["discount"])
            continue
        param = f"discounts[{index}]" if entries else ""
        redemption = discounts.check(ctx, entry, customer=subscription["customer"], param=param)
        made = discounts.make(
            ctx, redemption, customer=subscription["customer"], subscription=subscription["id"], start=ctx.now
        )
        subscription["discounts"].append(made["id"])
