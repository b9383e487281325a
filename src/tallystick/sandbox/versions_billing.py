"""The way down from the newest form of subscriptions and invoices to the versions before endive and basil.

Sources: Stripe's changelog of 2025-03-31.basil, and the types of its SDKs of both ends. Expanded and filled-in
objects are there already when these run.
"""

from collections.abc import Callable
from typing import TypeAlias

from tallystick.sandbox.shapes import Json

__all__ = ["BASIL", "FIRST"]

Lookup: TypeAlias = Callable[[str], Json | None]

_HIDDEN = "_"


def _without(value: Json, *keys: str) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def _subscription_first(value: Json, lookup: Lookup) -> Json:
    """The period of the whole, from those of its items; and its first discount in full."""
    items = value["items"]["data"]
    found = value["discounts"][0] if value["discounts"] else None
    return {
        **value,
        "current_period_end": max((item["current_period_end"] for item in items), default=None),
        "current_period_start": min((item["current_period_start"] for item in items), default=None),
        "discount": lookup(found) if isinstance(found, str) else found,
    }


def _subscription(value: Json) -> Json:
    value = _without(
        value, "billing_mode", "billing_schedules", "customer_account", "invoice_settings", "managed_payments",
        "status_details",
    )  # fmt: skip
    value["automatic_tax"] = _without(value["automatic_tax"], "disabled_reason")
    value["cancellation_details"] = _without(value["cancellation_details"], "feedback_option")
    ending = _without(value["trial_settings"]["end_behavior"], "billing_cycle_anchor")
    value["trial_settings"] = {**value["trial_settings"], "end_behavior": ending}
    if value["pending_update"]:
        value["pending_update"] = _without(
            value["pending_update"], "cancel_at_period_end", "discount", "discounts", "metadata"
        )
    return value


def _subscription_item(value: Json) -> Json:
    return _without(value, "billed_until", "current_period_end", "current_period_start", "current_trial")


def _invoice_first(value: Json, lookup: Lookup) -> Json:
    """The PaymentIntent's charge, and the first discount in full."""
    if "lines" not in value:
        return value
    hidden = value.get(_HIDDEN) or {}
    intent = lookup(hidden["payment_intent"]) if hidden.get("payment_intent") else None
    found = value["discounts"][0] if value["discounts"] else None
    return {
        **value,
        "charge": intent["latest_charge"] if intent else None,
        "discount": lookup(found) if isinstance(found, str) else found,
        "payment_intent": hidden.get("payment_intent"),
    }


def _invoice(value: Json) -> Json:
    if "lines" not in value:
        return value
    details = (value.get("parent") or {}).get("subscription_details")
    hidden = value.get(_HIDDEN) or {}
    value = _without(
        value, "amount_overpaid", "amount_paid_off_stripe", "automatically_finalizes_at", "confirmation_secret",
        "customer_account", "parent", "payments", "status_details", "total_pretax_credit_amounts", "total_taxes",
    )  # fmt: skip
    value |= {
        "application_fee_amount": None,
        "automatic_tax": {key: value["automatic_tax"][key] for key in ("enabled", "liability", "status")},
        "paid": value["status"] == "paid",
        "paid_out_of_band": hidden.get("paid_out_of_band", False),
        "quote": None,
        "rendering_options": None,
        "subscription": details["subscription"] if details else None,
        "subscription_details": {"metadata": details["metadata"] if details else None},
        "tax": None,
        "total_tax_amounts": [],
        "transfer_data": None,
    }
    if (value.get("id") or "").startswith("upcoming_in_"):
        # Before basil the preview of an invoice had no id.
        value.pop("id")
    return value


def _with_price(value: Json, lookup: Lookup) -> Json:
    """A line or invoice item with its price in full."""
    found = ((value.get("pricing") or {}).get("price_details") or {}).get("price")
    return {**value, "price": lookup(found) if isinstance(found, str) else found}


def _line_item(value: Json) -> Json:
    parent = value.get("parent") or {}
    details = parent.get(parent.get("type", "")) or {}
    price = value.get("price")
    item = details.get("invoice_item")
    lowered = _without(value, "parent", "pretax_credit_amounts", "pricing", "quantity_decimal", "subtotal", "taxes")
    lowered |= {
        "amount_excluding_tax": value["amount"],
        "plan": _plan(price),
        "price": price,
        "proration": bool(details.get("proration")),
        "proration_details": details.get("proration_details") or {"credited_items": None},
        "tax_amounts": [],
        "tax_rates": [],
        "type": "invoiceitem" if item else "subscription",
        "unit_amount_excluding_tax": _unit(value),
    }
    if item:
        lowered["invoice_item"] = item
    if details.get("subscription_item"):
        lowered["subscription_item"] = details["subscription_item"]
    return lowered


def _invoiceitem(value: Json) -> Json:
    if value.get("deleted"):
        return value
    details = (value.get("parent") or {}).get("subscription_details") or {}
    price = value.get("price")
    lowered = _without(
        value, "customer_account", "frozen_fields", "invoicing_rules", "net_amount", "parent", "pricing",
        "proration_details", "quantity_decimal",
    )  # fmt: skip
    unit = _unit(value)
    lowered |= {
        "plan": _plan(price),
        "price": price,
        "subscription": details.get("subscription"),
        "unit_amount": int(unit) if unit and unit.lstrip("-").isdigit() else None,
        "unit_amount_decimal": unit,
    }
    if details.get("subscription_item"):
        lowered["subscription_item"] = details["subscription_item"]
    return lowered


def _unit(value: Json) -> str | None:
    found: str | None = (value.get("pricing") or {}).get("unit_amount_decimal")
    return found


def _plan(price: Json | None) -> Json | None:
    if price is None or not price.get("recurring"):
        return None
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "aggregate_usage": None,
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": recurring.get("meter"),
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def _plan_object(value: Json) -> Json:
    return {**value, "aggregate_usage": None}


def _balance_transaction(value: Json) -> Json:
    return _without(value, "checkout_session", "customer_account")


def _schedule(value: Json) -> Json:
    value = _without(value, "billing_mode", "customer_account", "pause_schedules")
    settings = value["default_settings"]
    invoices = _without(settings["invoice_settings"], "custom_fields", "description", "footer")
    tax = _without(settings["automatic_tax"], "disabled_reason")
    value["default_settings"] = {**settings, "automatic_tax": tax, "invoice_settings": invoices}
    value["phases"] = [{**phase, "coupon": None} for phase in value["phases"]]
    return value


def _test_clock(value: Json) -> Json:
    return _without(value, "status_details")


BASIL: dict[str, Callable[[Json], Json]] = {
    "customer_balance_transaction": _balance_transaction,
    "invoice": _invoice,
    "invoiceitem": _invoiceitem,
    "line_item": _line_item,
    "plan": _plan_object,
    "subscription": _subscription,
    "subscription_item": _subscription_item,
    "subscription_schedule": _schedule,
    "test_helpers.test_clock": _test_clock,
}
"""What basil changed (and what SDKs of the versions before do not know), by kind of object."""

FIRST: dict[str, Callable[[Json, Lookup], Json]] = {
    "invoice": _invoice_first,
    "invoiceitem": _with_price,
    "line_item": _with_price,
    "subscription": _subscription_first,
}
"""What is looked up before, while the object still has its newest form; what is found is taken down too."""
