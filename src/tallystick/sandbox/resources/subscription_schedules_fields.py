"""The parameters of the Subscription Schedules API, as the SDK's types list them."""

from tallystick.sandbox.params import (
    LIST_FIELDS,
    Check,
    Fields,
    anything,
    array_of,
    boolean,
    enum,
    hash_of,
    integer,
    string,
)
from tallystick.sandbox.params import metadata as metadata_param
from tallystick.sandbox.resources import common
from tallystick.sandbox.resources.subscriptions_fields import PRORATION, moment_or

__all__ = ["CANCEL", "CREATE", "LIST", "RELEASE", "UPDATE"]

_NOW: Check = moment_or("now")
_ITEM = hash_of({"price": string(), "quantity": integer(0), "metadata": metadata_param}, required=("price",))
_PHASE = hash_of(
    {
        "coupon": anything,
        "discounts": array_of(hash_of(dict.fromkeys(("coupon", "discount", "promotion_code"), string()))),
        "duration": hash_of(
            {"interval": enum("day", "week", "month", "year"), "interval_count": integer(1)}, required=("interval",)
        ),
        "end_date": _NOW,
        "items": array_of(_ITEM),
        "iterations": integer(1),
        "metadata": metadata_param,
        "proration_behavior": PRORATION,
        "start_date": _NOW,
        "trial_end": integer(1),
    },
    required=("items",),
)
_ENDING = enum("cancel", "release")
CREATE: Fields = {
    "billing_mode": anything,
    "customer": string(),
    "end_behavior": _ENDING,
    "from_subscription": string(),
    "metadata": metadata_param,
    "phases": anything,
    "start_date": anything,
    **common.EXPAND,
}
UPDATE: Fields = {
    "end_behavior": _ENDING,
    "metadata": metadata_param,
    "phases": array_of(_PHASE),
    "proration_behavior": PRORATION,
    **common.EXPAND,
}
LIST: Fields = {**LIST_FIELDS, "customer": string()}
RELEASE: Fields = {"preserve_cancel_date": boolean, **common.EXPAND}
CANCEL: Fields = {"invoice_now": boolean, "prorate": boolean, **common.EXPAND}
