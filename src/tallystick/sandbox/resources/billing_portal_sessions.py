"""Billing Portal sessions: a short-lived link to a customer's own page. `pages.portal` is that page."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param, no_such
from tallystick.sandbox.params import Fields, anything, array_of, enum, hash_of, integer, string
from tallystick.sandbox.resources import billing_portal_configurations as configurations
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "ROUTES", "is_open", "touch"]

EXPANDABLE = frozenset({"configuration"})

_UNOPENED_S, _IDLE_S = 300, 3600
_SUBSCRIPTION = hash_of({"retention": anything, "subscription": string()}, required=("subscription",))
_OF_SUBSCRIPTION = ("subscription_cancel", "subscription_pause", "subscription_update", "subscription_update_confirm")
_FEATURE_OF = {
    "customer_update": "customer_update",
    "payment_method_update": "payment_method_update",
    "subscription_cancel": "subscription_cancel",
    "subscription_pause": "subscription_pause",
    "subscription_update": "subscription_update",
    "subscription_update_confirm": "subscription_update",
}
_FLOW = hash_of(
    {
        "after_completion": hash_of(
            {
                "hosted_confirmation": hash_of({"custom_message": string(500)}),
                "redirect": hash_of({"return_url": string()}, required=("return_url",)),
                "type": enum("hosted_confirmation", "portal_homepage", "redirect"),
            },
            required=("type",),
        ),
        "subscription_cancel": _SUBSCRIPTION,
        "subscription_pause": _SUBSCRIPTION,
        "subscription_update": _SUBSCRIPTION,
        "subscription_update_confirm": hash_of(
            {
                "discounts": array_of(hash_of({"coupon": string(), "promotion_code": string()})),
                "items": array_of(
                    hash_of({"id": string(), "price": string(), "quantity": integer(0)}, required=("id",))
                ),
                "subscription": string(),
            },
            required=("items", "subscription"),
        ),
        "type": enum(*_FEATURE_OF),
    },
    required=("type",),
)
_CREATE: Fields = {
    "configuration": string(),
    "customer": string(),
    "flow_data": _FLOW,
    "locale": string(),
    "return_url": string(),
    **dict.fromkeys(("after_expiration", "customer_account", "on_behalf_of"), anything),
    **common.EXPAND,
}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/billing_portal/sessions`."""
    if "customer" not in params:
        raise missing_param("customer")
    customer = ctx.require("customer", params["customer"], param="customer", status=400)
    configuration = _configuration(ctx, params)
    return_url = params.get("return_url", configuration["default_return_url"])
    if return_url is None:
        raise missing_param("return_url")
    flow = _flow(ctx, params["flow_data"], customer, configuration) if "flow_data" in params else None
    session_id = ctx.ids.long("bps_")
    # The page is open to whoever has its address, so it has to be long.
    secret = ctx.ids.characters(40)
    session: Json = {
        "id": session_id,
        "object": "billing_portal.session",
        "after_expiration": None,
        "configuration": configuration["id"],
        "created": ctx.now,
        "customer": customer["id"],
        "customer_account": None,
        "flow": flow,
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": return_url,
        "url": f"{ctx.base_url}/_sandbox/portal/{session_id}.{secret}",
    }
    ctx.save(session)
    ctx.store.set_note(session_id, "version", ctx.version)
    ctx.emit("billing_portal.session.created", session)
    return session


def is_open(ctx: Context, session: Json) -> bool:
    """Five minutes until it is opened, then an hour after each use."""
    seen = ctx.store.note(session["id"], "seen")
    return ctx.now <= (int(seen) + _IDLE_S if seen else session["created"] + _UNOPENED_S)


def touch(ctx: Context, session: Json) -> None:
    """The customer used the page."""
    ctx.store.set_note(session["id"], "seen", str(ctx.now))


def _configuration(ctx: Context, params: Json) -> Json:
    if "configuration" not in params:
        return configurations.default(ctx)
    found = ctx.require(configurations.KIND, params["configuration"], param="configuration", status=400)
    if not found["active"]:
        raise invalid(f"The configuration `{found['id']}` is inactive.", param="configuration")
    return found


def _flow(ctx: Context, given: Json, customer: Json, configuration: Json) -> Json:
    kind = given["type"]
    if not configuration["features"][_FEATURE_OF[kind]]["enabled"]:
        raise invalid(
            f"This {kind} flow in the portal configuration is disabled: the feature `{_FEATURE_OF[kind]}` is not "
            "enabled.",
            param="flow_data[type]",
        )
    details = given.get(kind)
    if kind in _OF_SUBSCRIPTION:
        if details is None:
            raise missing_param(f"flow_data[{kind}]")
        path = f"flow_data[{kind}][subscription]"
        subscription = ctx.require("subscription", details["subscription"], param=path, status=400)
        if subscription["customer"] != customer["id"]:
            raise no_such("subscription", details["subscription"], param=path, status=400)
    after = given.get("after_completion", {"type": "portal_homepage"})
    confirmation, redirect = after.get("hosted_confirmation"), after.get("redirect")
    flow: Json = {
        "after_completion": {
            "hosted_confirmation": {"custom_message": confirmation.get("custom_message")} if confirmation else None,
            "redirect": redirect,
            "type": after["type"],
        },
        "customer_update": {} if kind == "customer_update" else None,
        **dict.fromkeys(_OF_SUBSCRIPTION),
        "type": kind,
    }
    if kind in ("subscription_cancel", "subscription_pause", "subscription_update") and details:
        flow[kind] = {"subscription": details["subscription"]}
        if kind == "subscription_cancel":
            flow[kind]["retention"] = None
    elif kind == "subscription_update_confirm" and details:
        flow[kind] = {
            "discounts": details.get("discounts"),
            "items": [
                {"id": item["id"], "price": item.get("price"), "quantity": item.get("quantity", 1)}
                for item in details["items"]
            ],
            "subscription": details["subscription"],
        }
    return flow


ROUTES = (Route("POST", "billing_portal/sessions", create, _CREATE),)
