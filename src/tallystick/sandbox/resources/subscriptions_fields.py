"""The parameters of the Subscriptions API, as the SDK's types and the API reference list them."""

from typing import Any

from tallystick.sandbox.errors import invalid
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Check,
    Fields,
    anything,
    array_of,
    boolean,
    currency,
    enum,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import common, discounts, invoice_items, price_fields

__all__ = [
    "ANCHOR", "CANCEL", "CREATE", "CREATE_ITEM", "DELETE_ITEM", "ITEM", "LIST", "PAUSE", "PRORATION", "RESUME",
    "UPDATE", "UPDATE_ITEM", "moment_or", "one_of",
]  # fmt: skip


def moment_or(*words: str) -> Check:
    """A Unix time, or one of `words`."""
    number = integer()

    def check(value: Any, path: str) -> Any:
        return value if value in words else number(value, path)

    return check


def one_of(text: Check, hashed: Check) -> Check:
    """A parameter that one version spells as text and another as a hash."""
    return lambda value, path: hashed(value, path) if isinstance(value, dict) else text(value, path)


def _at_most_20(check: Check) -> Check:
    many = array_of(check)

    def checked(value: Any, path: str) -> list[Any]:
        items: list[Any] = many(value, path)
        if len(items) > 20:
            raise invalid("A subscription can have at most 20 items.", param=path)
        return items

    return checked


PAYMENT_BEHAVIOR = enum("allow_incomplete", "error_if_incomplete", "pending_if_incomplete", "default_incomplete")
PRORATION = enum("always_invoice", "create_prorations", "none")
ANCHOR = one_of(
    moment_or("now", "unchanged"),
    hash_of({"type": enum("now", "unchanged", "timestamp"), "timestamp": integer()}, required=("type",)),
)
CANCELLATION_DETAILS = hash_of(
    {
        "comment": unsettable(string()),
        "feedback": unsettable(
            enum(
                "customer_service", "low_quality", "missing_features", "other", "switched_service", "too_complex",
                "too_expensive", "unused",
            )
        ),
        "feedback_option": anything,
    }
)  # fmt: skip
_ITEM: Fields = {
    "billing_thresholds": anything,
    "current_trial": anything,
    "discounts": unsettable(discounts.PARAM),
    "metadata": metadata,
    "plan": string(),
    "price": string(),
    "price_data": price_fields.PRICE_DATA,
    "quantity": integer(0),
    "tax_rates": anything,
}
ITEM: Fields = {**_ITEM, "id": string(), "deleted": boolean, "clear_usage": boolean}
_PAYMENT_SETTINGS = hash_of(
    {
        "payment_method_options": unsettable(anything),
        "payment_method_types": unsettable(array_of(string())),
        "save_default_payment_method": enum("off", "on_subscription"),
    }
)
_BEHAVIOR = hash_of(
    {
        "billing_cycle_anchor": enum("now", "unchanged"),
        "missing_payment_method": enum("cancel", "create_invoice", "pause"),
    }
)
_SHARED: Fields = {
    "add_invoice_items": _at_most_20(hash_of(invoice_items.ITEM_DATA)),
    "application_fee_percent": anything,
    "automatic_tax": anything,
    "billing_schedules": anything,
    "billing_thresholds": anything,
    "cancel_at": unsettable(moment_or("min_period_end", "max_period_end", "max_billed_until")),
    "cancel_at_period_end": boolean,
    "collection_method": enum("charge_automatically", "send_invoice"),
    "coupon": unsettable(string()),
    "days_until_due": integer(0),
    "default_payment_method": unsettable(string()),
    "default_source": anything,
    "default_tax_rates": anything,
    "description": unsettable(string(500)),
    "discounts": unsettable(discounts.PARAM),
    "invoice_settings": anything,
    "items": _at_most_20(hash_of(ITEM)),
    "metadata": metadata,
    "off_session": boolean,
    "on_behalf_of": anything,
    "payment_behavior": PAYMENT_BEHAVIOR,
    "payment_settings": _PAYMENT_SETTINGS,
    "pending_invoice_item_interval": anything,
    "promotion_code": unsettable(string()),
    "proration_behavior": PRORATION,
    "transfer_data": anything,
    "trial_end": moment_or("now"),
    "trial_from_plan": boolean,
    "trial_settings": unsettable(hash_of({"end_behavior": _BEHAVIOR})),
    **common.EXPAND,
}
CREATE: Fields = {
    **_SHARED,
    "backdate_start_date": integer(),
    "billing_cycle_anchor": integer(),
    "billing_cycle_anchor_config": hash_of(
        dict.fromkeys(("day_of_month", "hour", "minute", "month", "second"), integer(0)), required=("day_of_month",)
    ),
    "billing_mode": hash_of(
        {
            "flexible": hash_of({"proration_discounts": enum("included", "itemized")}),
            "type": enum("classic", "flexible"),
        },
        required=("type",),
    ),
    "currency": currency,
    "customer": string(),
    "trial_period_days": integer(1),
}
UPDATE: Fields = {
    **_SHARED,
    "billing_cycle_anchor": ANCHOR,
    "cancellation_details": CANCELLATION_DETAILS,
    "pause_collection": unsettable(
        hash_of(
            {"behavior": enum("keep_as_draft", "mark_uncollectible", "void"), "resumes_at": integer()},
            required=("behavior",),
        )
    ),
    "proration_date": integer(),
}
CANCEL: Fields = {
    "cancellation_details": CANCELLATION_DETAILS,
    "invoice_now": boolean,
    "prorate": boolean,
    **common.EXPAND,
}
RESUME: Fields = {
    "billing_cycle_anchor": ANCHOR,
    "payment_behavior": enum("resume_on_payment_attempt", "resume_on_payment_success"),
    "proration_behavior": PRORATION,
    "proration_date": integer(),
    **common.EXPAND,
}
PAUSE: Fields = {
    "bill_for": anything,
    "invoicing_behavior": enum("invoice", "pending_invoice_item"),
    "type": enum("subscription"),
    **common.EXPAND,
}
LIST: Fields = {
    **LIST_FIELDS,
    "automatic_tax": anything,
    "collection_method": enum("charge_automatically", "send_invoice"),
    "current_period_end": anything,
    "current_period_start": anything,
    "customer": string(),
    "plan": string(),
    "price": string(),
    "status": enum(
        "active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "trialing", "paused", "all",
        "ended",
    ),
    "test_clock": string(),
}  # fmt: skip
_CHANGE: Fields = {
    "payment_behavior": PAYMENT_BEHAVIOR,
    "proration_behavior": PRORATION,
    "proration_date": integer(),
    **common.EXPAND,
}
CREATE_ITEM: Fields = {**_ITEM, **_CHANGE, "subscription": string()}
UPDATE_ITEM: Fields = {**_ITEM, **_CHANGE, "off_session": boolean}
DELETE_ITEM: Fields = {**_CHANGE, "clear_usage": boolean}
