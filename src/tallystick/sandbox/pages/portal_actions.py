"""What a customer does in the Billing Portal, each through the API's own endpoint, so that its events come out."""

from collections.abc import Callable
from typing import Any

from tallystick.sandbox.catalog import ROUTER
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, no_such
from tallystick.sandbox.params import validate
from tallystick.sandbox.shapes import Json

__all__ = ["ACTIONS", "call", "features"]


def call(ctx: Context, method: str, path: str, raw: Json | None = None) -> Json:
    """One call of the sandbox's own API inside this transaction; `raw` as a form would send it."""
    found = ROUTER.find(method, path)
    if found is None:
        raise ApiError(404, f"The sandbox has no {method} /v1/{path}.")
    route, ids = found
    return route.run(ctx, validate(raw or {}, route.fields, required=route.required), ids)


def features(ctx: Context, session: Json) -> Json:
    """What the session's configuration allows."""
    found: Json = ctx.require("billing_portal.configuration", session["configuration"], param="id")["features"]
    return found


def cancel(ctx: Context, session: Json, asked: Json) -> Json:
    """End a subscription, at the end of its period or now, as configured."""
    feature = _allowed(ctx, session, "subscription_cancel")
    subscription = _subscription(ctx, session, asked)
    details = {key: asked[key] for key in ("comment", "feedback") if asked.get(key)}
    if feature["mode"] == "at_period_end":
        raw: Json = {"cancel_at_period_end": "true"}
        if details:
            raw["cancellation_details"] = details
        return call(ctx, "POST", f"subscriptions/{subscription['id']}", raw)
    raw = {"prorate": str(feature["proration_behavior"] != "none").lower()}
    if feature["proration_behavior"] == "always_invoice":
        raw["invoice_now"] = "true"
    if details:
        raw["cancellation_details"] = details
    return call(ctx, "DELETE", f"subscriptions/{subscription['id']}", raw)


def resume(ctx: Context, session: Json, asked: Json) -> Json:
    """Take a planned cancellation back."""
    _allowed(ctx, session, "subscription_cancel")
    subscription = _subscription(ctx, session, asked)
    return call(ctx, "POST", f"subscriptions/{subscription['id']}", {"cancel_at_period_end": "false"})


def update(ctx: Context, session: Json, asked: Json) -> Json:
    """Another plan or quantity, out of those that are configured."""
    feature = _allowed(ctx, session, "subscription_update")
    subscription = _subscription(ctx, session, asked)
    items = subscription["items"]["data"]
    if len(items) != 1:
        raise invalid("The portal cannot change a subscription with several products.")
    item: Json = {"id": items[0]["id"]}
    allowed = feature["default_allowed_updates"]
    if asked.get("price"):
        choices = {price for entry in feature["products"] for price in entry["prices"]}
        if "price" not in allowed or asked["price"] not in choices:
            raise invalid("The portal does not offer this price.", param="price")
        item["price"] = asked["price"]
    if asked.get("quantity"):
        if "quantity" not in allowed:
            raise invalid("The portal does not let customers change the quantity.", param="quantity")
        item["quantity"] = str(asked["quantity"])
    raw: Json = {
        "items": [item],
        "proration_behavior": feature["proration_behavior"],
        # The card was saved for later payments; a change that it does not pay for is not made.
        "off_session": "true",
        "payment_behavior": "error_if_incomplete",
    }
    if subscription["status"] == "trialing" and feature["trial_update_behavior"] == "end_trial":
        raw["trial_end"] = "now"
    return call(ctx, "POST", f"subscriptions/{subscription['id']}", raw)


def confirm(ctx: Context, session: Json, _asked: Json) -> Json:
    """Do what the session's flow proposes."""
    flow = session["flow"] or {}
    kind = flow.get("type")
    if kind == "subscription_cancel":
        return cancel(ctx, session, flow[kind])
    if kind != "subscription_update_confirm":
        raise invalid("This portal session has nothing to confirm.")
    details = flow[kind]
    feature = _allowed(ctx, session, "subscription_update")
    subscription = _subscription(ctx, session, details)
    items = [
        {key: str(item[key]) for key in ("id", "price", "quantity") if item[key] is not None}
        for item in details["items"]
    ]
    raw: Json = {"items": items, "proration_behavior": feature["proration_behavior"]}
    if details["discounts"]:
        raw["discounts"] = details["discounts"]
    return call(ctx, "POST", f"subscriptions/{subscription['id']}", raw)


def add_method(ctx: Context, session: Json, asked: Json) -> Json:
    """A new card (or a method's id) for the customer; the first becomes the default."""
    _allowed(ctx, session, "payment_method_update")
    customer = ctx.require("customer", session["customer"], param="customer")
    method_id = asked.get("payment_method")
    if method_id is None:
        card = asked.get("card") or {}
        billing = {key: text for key, text in (("email", customer["email"]), ("name", asked.get("name"))) if text}
        raw: Json = {"type": "card", "card": {key: str(item) for key, item in card.items()}}
        if billing:
            raw["billing_details"] = billing
        method_id = call(ctx, "POST", "payment_methods", raw)["id"]
    method = call(ctx, "POST", f"payment_methods/{method_id}/attach", {"customer": customer["id"]})
    if customer["invoice_settings"]["default_payment_method"] is None:
        make_default(ctx, session, {"payment_method": method["id"]})
    return method


def make_default(ctx: Context, session: Json, asked: Json) -> Json:
    """The method that later invoices are paid with."""
    _allowed(ctx, session, "payment_method_update")
    method = _method(ctx, session, asked)
    return call(
        ctx, "POST", f"customers/{session['customer']}",
        {"invoice_settings": {"default_payment_method": method["id"]}},
    )  # fmt: skip


def remove_method(ctx: Context, session: Json, asked: Json) -> Json:
    """Detach a method."""
    _allowed(ctx, session, "payment_method_update")
    method = _method(ctx, session, asked)
    return call(ctx, "POST", f"payment_methods/{method['id']}/detach")


def change_customer(ctx: Context, session: Json, asked: Json) -> Json:
    """Name and addresses, as far as the configuration allows."""
    allowed = _allowed(ctx, session, "customer_update")["allowed_updates"]
    for name in asked:
        if name not in allowed:
            raise invalid(f"The portal does not let customers change `{name}`.", param=name)
    return call(ctx, "POST", f"customers/{session['customer']}", asked)


def _allowed(ctx: Context, session: Json, name: str) -> Json:
    feature: Json = features(ctx, session)[name]
    if not feature["enabled"]:
        raise invalid(f"The portal's configuration does not allow `{name}`.")
    return feature


def _subscription(ctx: Context, session: Json, asked: Json) -> Json:
    found = ctx.find("subscription", str(asked.get("subscription")))
    if found is None or found["customer"] != session["customer"]:
        raise no_such("subscription", str(asked.get("subscription")), param="subscription")
    return found


def _method(ctx: Context, session: Json, asked: Json) -> Json:
    found = ctx.find("payment_method", str(asked.get("payment_method")))
    if found is None or found["customer"] != session["customer"]:
        raise no_such("PaymentMethod", str(asked.get("payment_method")), param="payment_method")
    return found


ACTIONS: dict[str, Callable[[Context, Json, Json], Any]] = {
    "add_payment_method": add_method,
    "cancel": cancel,
    "confirm": confirm,
    "customer": change_customer,
    "default_payment_method": make_default,
    "remove_payment_method": remove_method,
    "resume": resume,
    "update": update,
}
"""`POST {url}/{action}`."""
