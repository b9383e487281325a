"""The way down from the newest form of the catalogue, Checkout and the Billing Portal to older versions.

Sources: Stripe's changelog and the types of its SDKs of both ends. Each table is what one version changed.
"""

from collections.abc import Callable

from tallystick.sandbox.shapes import Json

__all__ = ["BASIL", "CLOVER", "CLOVER_FILLED", "DAHLIA", "MARKETING_FEATURES", "UI_MODES"]

UI_MODES = {"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements"}
"""Checkout's `ui_mode` before dahlia, to the name it has since."""

_OLD_UI_MODES = {new: old for old, new in UI_MODES.items()}


def _without(value: Json, *keys: str) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def _price(value: Json) -> Json:
    recurring = value.get("recurring")
    return {**value, "recurring": {"aggregate_usage": None, **recurring}} if recurring else value


def _product(value: Json) -> Json:
    return _without(value, "attributes", "tax_details")


def _product_features(value: Json) -> Json:
    if "marketing_features" not in value:
        return value
    return {**_without(value, "marketing_features"), "features": value["marketing_features"]}


def _discount(value: Json) -> Json:
    return {**_without(value, "customer_account", "source"), "coupon": value["source"]["coupon"]}


def _promotion_code(value: Json) -> Json:
    return {**_without(value, "customer_account", "promotion"), "coupon": value["promotion"]["coupon"]}


def _checkout_ui_mode(value: Json) -> Json:
    return {**value, "ui_mode": _OLD_UI_MODES.get(value["ui_mode"], value["ui_mode"])}


def _checkout_session(value: Json) -> Json:
    value = _without(
        value, "adaptive_pricing", "collected_information", "customer_account", "discounts", "origin_context",
        "permissions", "saved_payment_method_options", "wallet_options",
    )  # fmt: skip
    if value.get("customer_details"):
        value["customer_details"] = _without(value["customer_details"], "business_name", "individual_name")
    value["automatic_tax"] = _without(value["automatic_tax"], "provider")
    value["currency_conversion"] = None
    value["shipping_details"] = None
    return value


def _line_item(value: Json) -> Json:
    return _without(value, "adjustable_quantity", "metadata")


def _portal_session(value: Json) -> Json:
    value = _without(value, "after_expiration", "customer_account")
    if value.get("flow"):
        value["flow"] = _without(value["flow"], "customer_update", "subscription_pause")
    return value


def _portal_configuration(value: Json) -> Json:
    features = dict(value["features"])
    features["payment_method_update"] = _without(features["payment_method_update"], "payment_method_configuration")
    features["subscription_pause"] = _without(features["subscription_pause"], "duration")
    update = _without(
        features["subscription_update"], "billing_cycle_anchor", "schedule_at_period_end", "trial_update_behavior"
    )
    update["products"] = [_without(entry, "adjustable_quantity") for entry in update["products"]]
    features["subscription_update"] = update
    return {**_without(value, "name"), "features": features}


_Changes = dict[str, Callable[[Json], Json]]

DAHLIA: _Changes = {"checkout.session": _checkout_ui_mode}
CLOVER: _Changes = {"discount": _discount, "promotion_code": _promotion_code}
CLOVER_FILLED = {"discount": ("source", "coupon"), "promotion_code": ("promotion", "coupon")}
"""Where the newest form has the id of what was printed in full."""
BASIL: _Changes = {
    "billing_portal.configuration": _portal_configuration,
    "billing_portal.session": _portal_session,
    "checkout.session": _checkout_session,
    "item": _line_item,
    "price": _price,
    "product": _product,
}
MARKETING_FEATURES: _Changes = {"product": _product_features}
