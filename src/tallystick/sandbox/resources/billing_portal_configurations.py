"""Configurations of the Billing Portal: what customers may do there. The sandbox has a default one by itself."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    array_of,
    boolean,
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

__all__ = ["KIND", "ROUTES", "default", "retrieve"]

KIND = "billing_portal.configuration"

_REASONS = (
    "too_expensive", "missing_features", "switched_service", "unused", "customer_service", "too_complex",
    "low_quality", "other",
)  # fmt: skip
_ENABLED = hash_of({"enabled": boolean}, required=("enabled",))
_PRORATION = enum("always_invoice", "create_prorations", "none")
_PRODUCT = hash_of(
    {
        "adjustable_quantity": hash_of(
            {"enabled": boolean, "maximum": integer(1), "minimum": integer(0)}, required=("enabled",)
        ),
        "prices": array_of(string()),
        "product": string(),
    },
    required=("prices", "product"),
)
_FEATURES = hash_of(
    {
        "customer_update": hash_of(
            {
                "allowed_updates": array_of(enum("address", "email", "name", "phone", "shipping", "tax_id")),
                "enabled": boolean,
            }
        ),
        "invoice_history": _ENABLED,
        "payment_method_update": hash_of({"enabled": boolean, "payment_method_configuration": unsettable(string())}),
        "subscription_cancel": hash_of(
            {
                "cancellation_reason": hash_of(
                    {"enabled": boolean, "feedback_options": anything, "options": array_of(enum(*_REASONS))},
                    required=("enabled",),
                ),
                "enabled": boolean,
                "mode": enum("at_period_end", "immediately"),
                "proration_behavior": _PRORATION,
            }
        ),
        "subscription_pause": hash_of({"duration": anything, "enabled": boolean}),
        "subscription_update": hash_of(
            {
                "billing_cycle_anchor": enum("now", "unchanged"),
                "default_allowed_updates": array_of(enum("price", "promotion_code", "quantity")),
                "enabled": boolean,
                "products": array_of(_PRODUCT),
                "proration_behavior": _PRORATION,
                "schedule_at_period_end": hash_of(
                    {
                        "conditions": array_of(
                            hash_of({"type": enum("decreasing_item_amount", "shortening_interval")}, required=("type",))
                        )
                    }
                ),
                "trial_update_behavior": enum("continue_trial", "end_trial"),
            }
        ),
    }
)
_FIELDS: Fields = {
    "business_profile": hash_of(
        dict.fromkeys(("headline", "privacy_policy_url", "terms_of_service_url"), unsettable(string()))
    ),
    "default_return_url": unsettable(string()),
    "features": _FEATURES,
    "login_page": hash_of({"enabled": boolean}, required=("enabled",)),
    "metadata": metadata,
    "name": unsettable(string()),
    **common.EXPAND,
}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/billing_portal/configurations`."""
    configuration = _new(ctx, params, is_default=False)
    ctx.emit("billing_portal.configuration.created", configuration)
    return configuration


def retrieve(ctx: Context, _params: Json, configuration_id: str) -> Json:
    """`GET /v1/billing_portal/configurations/{id}`."""
    return ctx.require(KIND, configuration_id, param="configuration")


def update(ctx: Context, params: Json, configuration_id: str) -> Json:
    """`POST /v1/billing_portal/configurations/{id}`."""
    configuration = ctx.require(KIND, configuration_id, param="configuration")
    if params.get("active") is False and configuration["is_default"]:
        raise invalid("You cannot deactivate the default configuration.", param="active")
    if "active" in params:
        configuration["active"] = params["active"]
    _apply(ctx, configuration, params)
    if configuration != ctx.store.stored(configuration_id):
        configuration["updated"] = ctx.now
    ctx.save_updated("billing_portal.configuration.updated", configuration)
    return configuration


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/billing_portal/configurations`."""
    default(ctx)
    filters = {key: common.flag(params.get(key)) for key in ("active", "is_default")}
    return page(ctx, KIND, "/v1/billing_portal/configurations", params, filters)


def default(ctx: Context) -> Json:
    """The account's own configuration: everything that needs no choice of products is allowed."""
    known = ctx.store.find(KIND, "is_default", "true")
    if known:
        return known[0]
    enabled = {"enabled": True}
    features: Json = {
        "customer_update": {"allowed_updates": ["email", "name", "address", "phone"], "enabled": True},
        "invoice_history": enabled,
        "payment_method_update": enabled,
        "subscription_cancel": {"cancellation_reason": {"enabled": True}, "enabled": True},
    }
    return _new(ctx, {"features": features}, is_default=True)


def _new(ctx: Context, params: Json, *, is_default: bool) -> Json:
    configuration: Json = {
        "id": ctx.ids.long("bpc_"),
        "object": KIND,
        "active": True,
        "application": None,
        "business_profile": dict.fromkeys(("headline", "privacy_policy_url", "terms_of_service_url")),
        "created": ctx.now,
        "default_return_url": None,
        "features": _features(),
        "is_default": is_default,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": ctx.now,
    }
    _apply(ctx, configuration, params)
    ctx.save(configuration)
    return configuration


def _features() -> Json:
    """All off, with Stripe's defaults for the rest."""
    return {
        "customer_update": {"allowed_updates": [], "enabled": False},
        "invoice_history": {"enabled": False},
        "payment_method_update": {"enabled": False, "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "options": list(_REASONS)},
            "enabled": False,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": [],
            "enabled": False,
            "products": [],
            "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }


def _apply(ctx: Context, configuration: Json, params: Json) -> None:
    for key in ("default_return_url", "name"):
        if key in params:
            configuration[key] = params[key]
    configuration["business_profile"] = {**configuration["business_profile"], **params.get("business_profile", {})}
    configuration["metadata"] = common.merge_metadata(configuration["metadata"], params.get("metadata"))
    if "login_page" in params:
        enabled = params["login_page"]["enabled"]
        url = f"{ctx.base_url}/_sandbox/portal/login/{configuration['id']}" if enabled else None
        configuration["login_page"] = {"enabled": enabled, "url": url}
    given = params.get("features", {})
    features = configuration["features"]
    for name, change in given.items():
        # A copy, for the parameters may share what they hold.
        features[name] = _merged(features[name], decode(encode(change)))
    _check(ctx, features["subscription_update"])


def _merged(old: Json, change: Json) -> Json:
    merged = dict(old)
    for key, item in change.items():
        known = merged.get(key)
        merged[key] = {**known, **item} if isinstance(item, dict) and isinstance(known, dict) else item
    return merged


def _check(ctx: Context, feature: Json) -> None:
    path = "features[subscription_update]"
    if feature["enabled"] and not feature["default_allowed_updates"]:
        raise missing_param(f"{path}[default_allowed_updates]")
    if feature["enabled"] and not feature["products"]:
        raise missing_param(f"{path}[products]")
    if len(feature["products"]) > 10:
        raise invalid("Array must have at most 10 elements", param=f"{path}[products]")
    for index, entry in enumerate(feature["products"]):
        entry["adjustable_quantity"] = {
            "enabled": False, "maximum": None, "minimum": 1, **(entry.get("adjustable_quantity") or {})
        }  # fmt: skip
        where = f"{path}[products][{index}]"
        ctx.require("product", entry["product"], param=f"{where}[product]", status=400)
        for number, price_id in enumerate(entry["prices"]):
            price = ctx.require("price", price_id, param=f"{where}[prices][{number}]", status=400)
            if price["product"] != entry["product"] or price["type"] != "recurring":
                raise invalid(
                    f"The price `{price_id}` is not a recurring price of the product `{entry['product']}`.",
                    param=f"{where}[prices][{number}]",
                )


ROUTES = (
    Route("POST", "billing_portal/configurations", create, _FIELDS, ("features",)),
    Route(
        "GET", "billing_portal/configurations", list_all, {**LIST_FIELDS, "active": boolean, "is_default": boolean}
    ),
    Route("GET", "billing_portal/configurations/*", retrieve, common.EXPAND),
    Route("POST", "billing_portal/configurations/*", update, {**_FIELDS, "active": boolean}),
)  # fmt: skip
